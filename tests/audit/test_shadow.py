"""A policy on trial beside production: it tells what it would change, and changes nothing."""

import time
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from stream.audit.shadow import difference
from stream.kafka.topics import EXPECTED
from stream.model.codec import decode_as, decode_decision
from stream.model.decision import Answer, Difference
from stream.model.topics import DECISIONS, EXPRESSIONS, SHADOW_DIFFERENCES
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

NEXT = (
    files("stream.policy")
    .joinpath("cn-2020.toml")
    .read_text(encoding="utf-8")
    .replace('version = "cn-2020.2"', 'version = "cn-next"', 1)
    .replace('silence = "refuse"', 'silence = "allow"', 1)
)


def _records_of(broker: Broker) -> dict[str, int]:
    """How many records stand in each topic but the shadow's."""
    return {name: len(broker.read(name)) for name in (DECISIONS, EXPRESSIONS, "activity", "epochs", "dead-letter")}


def test_a_shadow_publishes_just_the_differences_and_nothing_else(broker: Broker, tmp_path: Path) -> None:
    candidate = tmp_path / "next.toml"
    candidate.write_text(NEXT, encoding="utf-8")
    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    silent = [event("sms", one, to=f"+86138{one:08d}", text=cases.GOOD_TEXT, **cases.BANK) for one in range(300)]
    broker.write_events(silent)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        made = broker.read(DECISIONS, until=len(cases.EVENTS) + len(silent))
        assert filter_.terminate() == 0
    before = _records_of(broker)
    port = free_ports(1)
    shadow = WuraoProcess(
        wurao_command("filter", "--shadow", "--policy", candidate),
        environment=environment_with(
            {"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, "WURAO_FILTER__SHADOW_PORT": str(port)}
        ),
        port=port,
        log=tmp_path / "shadow.log",
    )
    with shadow:
        shown = _when_compared(shadow, len(made))
        assert shadow.terminate() == 0
    found = broker.read(SHADOW_DIFFERENCES)
    differences = [decode_as(Difference, record.value) for record in found]
    changed = {one.event for one in differences}
    asked = {str(one["id"]) for one in silent}
    others = {name for name, reason in cases.EXPECTED.items() if reason == "no_consent"}
    assert changed == asked | others, "everybody who has said nothing, and nobody else"
    assert {(one.made.reason, one.shadow.reason) for one in differences} == {("no_consent", "default_allow")}
    assert {(one.made.policy, one.shadow.policy) for one in differences} == {("cn-2020.2", "cn-next")}
    assert f'wurao_shadow_decisions_total{{outcome="differs"}} {len(found)}.0' in shown
    assert 'wurao_shadow_decisions_total{outcome="unknown"} 0.0' in shown
    placed = {decode_decision(record.value).event: (record.partition, record.key) for record in made}
    for record, one in zip(found, differences, strict=True):
        assert (record.partition, record.key) == placed[one.event]
    assert _records_of(broker) == before
    assert broker.committed("wurao-filter-shadow")


def _when_compared(shadow: WuraoProcess, decisions: int) -> str:
    """The shadow's metrics once they add up to so many decisions."""
    deadline = time.monotonic() + LONG_S
    shadow.wait_ready()
    while shadow.metric("wurao_shadow_decisions_total{") != decisions:
        shadow.check()
        assert time.monotonic() < deadline, shadow.last_words()
        time.sleep(0.1)
    return shadow.get("/metrics") or ""


def test_a_difference_says_what_was_made_and_what_the_candidate_answers() -> None:
    made = decode_decision(
        b'{"kind":"decision","event":"e","of":"sms","time":1,"decided":2,"to":"+8613800138000","from":"1069",'
        b'"sender":"S","verdict":"block","reason":"no_consent","basis":"consent","policy":"a","epoch":"r-1"}'
    )
    again = msgspec.structs.replace(made, verdict="allow", reason="default_allow", policy="b")
    told = difference(made, again)
    assert (told.made, told.shadow) == (
        Answer("block", "no_consent", "consent", "a"),
        Answer("allow", "default_allow", "consent", "b"),
    )
    assert b"13800138000" not in msgspec.json.encode(told)
    assert EXPECTED[SHADOW_DIFFERENCES].partitioned, "a difference stands beside its decision"
