"""`explain`: it tells the truth about the table, and no more than the decision looked at."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given

from stream.model.codec import decode_event, decode_file_record, encode
from stream.model.events import Event
from stream.policy.decide import case_of, decide, first_match
from stream.policy.explain import SAW, explain
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.predicates import ALL
from stream.registry.registry import registry_of
from stream.testbed.processes import wurao_command
from tests.patience import LONG_S
from tests.policy.cases import (
    ADVERT,
    BANK,
    CHAT,
    LAWFUL,
    NOTICE,
    OPT_OUT,
    PUBLIC,
    REFUSING,
    SALES_CALL,
    but,
    order,
    registry,
)
from tests.policy.test_model import Scene, policy_of, scenes, worlds_by_the_thousand
from tests.policy.test_properties import Sealed

ROOT = Path(__file__).parents[2]


def test_every_predicate_says_what_it_saw() -> None:
    assert set(SAW) == set(ALL)


@worlds_by_the_thousand
@given(scenes)
def test_the_rules_tried_end_with_the_one_that_decides(scene: Scene) -> None:
    records = [decode_file_record(json.dumps(record).encode()) for record in scene.records]
    world = World(policy_of(scene.settings), registry_of(records), stale=scene.stale)
    for raw in scene.events:
        event = decode_event(json.dumps(raw).encode())
        told = explain(event, world, event.time)
        assert told.decision == decide(event, world, event.time)
        assert told.tried[-1].rule == first_match(case_of(event, world, event.time)).id
        assert [tried.decided for tried in told.tried] == [False] * (len(told.tried) - 1) + [True]
        assert all(asked.met for tried in told.tried for asked in tried.asked[:-1])


def seen(event: Event, need: str) -> str:
    """What was seen when the last need with these words was asked."""
    world = World(load(), registry())
    asked = [asked for tried in explain(event, world, event.time).tried for asked in tried.asked if need in asked.need]
    return asked[-1].saw


@pytest.mark.parametrize(
    ("event", "need", "saw"),
    [
        (ADVERT, "help number", "+8613800138000: a person's number"),
        (ADVERT, "the sender and its contact", ""),
        (but(ADVERT, purpose=None), "it is commercial", "commercial, the strictest that the entry 10690123 has"),
        (but(ADVERT, category=None), "category", "general, for none is stated; ORG-1: 10690123 for"),
        (but(ADVERT, to=REFUSING), "has refused", "refused toward (ORG-1, finance) on sms, by (*, *)"),
        (but(ADVERT, to="+861020000001"), "is silent", "silent toward (ORG-1, finance) on sms"),
        (but(ADVERT, text="赌 场"), "prohibited", "the term 赌场"),
        (but(ADVERT, text="某行 95588"), "lacks the sender", "the sender is not there, its contact stands there"),
        (but(ADVERT, text="【某行】95588"), "how to refuse", "no hint"),
        (but(NOTICE, sender="ORG-9"), "not registered", "ORG-9 (stated): not registered"),
        (but(NOTICE, sender="ORG-2"), "is not the event's sender", "sender ORG-2; ORG-1 holds 1069109999 since 0"),
        (but(PUBLIC, region="310000"), "regions", "recipient in 310000; campaign in 110000"),
        (but(PUBLIC, text="防汛"), "differs", "2 characters against 19, different from character 3"),
        (but(PUBLIC, campaign="P-9"), "no approved campaign", "P-9 is not registered"),
        (but(SALES_CALL, presented="+861012345678"), "another number", "+861012345678, of ORG-1 (+8610 for"),
        (but(SALES_CALL, platform=True), "from a platform", "the event says so"),
        (OPT_OUT, "the reply table has", "'TD' to 1069012345 means refuse (ORG-1, *) on sms"),
        (but(CHAT, from_="95599"), "no sender", "no sender"),
    ],
)
def test_what_was_seen_is_told_in_words(event: Event, need: str, saw: str) -> None:
    if saw:
        assert saw in seen(event, need)
    else:
        assert "stands there" in seen(event, "lacks the sender")


def test_the_order_that_suspends_is_told_with_its_window_and_basis() -> None:
    world = World(load(), registry(order("suspend", until=NOON_LATER)))
    (asked,) = explain(NOTICE, world, NOTICE.time).tried[-1].asked
    assert asked.saw == "O-1 on ORG-1, 1970-01-01T00:00:00Z to 2027-01-15T08:00:00Z: measures"


NOON_LATER = 1_800_000_000_000


def test_a_moment_beyond_the_calendar_is_told_as_it_is() -> None:
    world = World(load(), registry(order("suspend", until=2**53 - 1)))
    assert "9007199254740991" in explain(NOTICE, world, NOTICE.time).tried[-1].asked[0].saw


def test_the_text_of_a_personal_message_is_not_looked_at_here_either() -> None:
    explain(but(CHAT, text=Sealed("x")), World(load(), registry(BANK)), CHAT.time)


def wurao(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        wurao_command("explain", *words),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=LONG_S,
    )


@pytest.fixture
def registry_file(tmp_path: Path) -> str:
    file = tmp_path / "registry.ndjson"
    file.write_bytes(b"\n".join(encode(record) for record in LAWFUL))
    return str(file)


def test_the_command_takes_an_event_as_text_as_a_file_and_from_a_pipe(tmp_path: Path, registry_file: str) -> None:
    text = encode(but(ADVERT, to=REFUSING)).decode()
    file = tmp_path / "event.json"
    file.write_text(json.dumps(json.loads(text), indent=2))
    answers = [
        wurao(*given, "--registry", registry_file, stdin=text if given == ["-"] else "")
        for given in ([text], [str(file)], ["-"])
    ]
    assert len({answer.stdout for answer in answers}) == 1
    assert answers[0].returncode == 0
    assert "\x1b" not in answers[0].stdout
    assert answers[0].stdout.splitlines()[-1].startswith("block: refused, basis consent")
    assert answers[0].stdout.splitlines()[-1].endswith("(rule 25a)")


def test_the_command_answers_programs_in_json_and_takes_a_policy_and_a_moment(registry_file: str) -> None:
    ran = wurao(encode(ADVERT).decode(), "--registry", registry_file, "--policy", "opt-out", "--now", "0", "--json")
    told = json.loads(ran.stdout)
    assert told["decision"]["decided"] == 0
    assert told["tried"][-1]["decided"] is True
    assert told["decision"]["policy"].startswith("opt-out")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["{}"], "EVENT: Object missing required field `kind`"),
        (['{"kind":"sms"} {}'], "EVENT: "),
        (["/none.json"], "give an event in JSON, a file that holds one, or -"),
        ([encode(ADVERT).decode(), "--policy", "/none.toml"], "/none.toml"),
        ([encode(ADVERT).decode(), "--registry", "/none.ndjson"], "/none.ndjson"),
    ],
)
def test_the_command_says_what_it_cannot_use(words: list[str], why: str) -> None:
    ran = wurao(*words)
    assert ran.returncode == 1
    assert why in ran.stderr
    assert ran.stdout == ""


def test_a_bad_registry_line_is_named_and_the_rest_explained(tmp_path: Path) -> None:
    file = tmp_path / "registry.ndjson"
    file.write_bytes(b"{}\n" + encode(BANK))
    ran = wurao(encode(NOTICE).decode(), "--registry", str(file))
    assert ran.returncode == 1
    assert f"{file}:1: " in ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("allow: service")


@pytest.mark.parametrize("time", [0, 253_402_300_800_000, (1 << 53) - 1])
def test_an_event_of_any_time_is_explained_with_permitted_hours(time: int) -> None:
    world = World(load("opt-out"), registry())
    event = but(ADVERT, time=time)
    assert explain(event, world, time).decision == decide(event, world, time)
