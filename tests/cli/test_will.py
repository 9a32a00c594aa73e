"""`wurao will`: one subscriber's wills with every word behind them, from the topics or from files."""

import time
from pathlib import Path

import pytest

from bloom.partition import partition_of
from bloom.snapshot import SnapshotMeta
from stream.feed import snapshots
from stream.model.codec import encode
from stream.model.registry import Expression, NumberEntry, Sender
from stream.registry.registry import registry_of
from tests.cli.command import Ran, Wurao, persons
from tests.filter.harness import Broker

NUMBER = "+8613800138000"
OTHER = "+8613900139000"
SAID = 1_795_000_000_000


def _expression(
    will: str, time: int, sender: str | None = None, category: str | None = None, **fields: str
) -> Expression:
    channel = fields.pop("channel", "sms")
    return Expression(NUMBER, channel, will, time, "web-form", sender, category, **fields)  # type: ignore[arg-type]


BANK = Sender("ORG-1", "某某银行", "95588", "active", (NumberEntry("1069", "sms", ("commercial",)),))

WORDS = [
    _expression("refuse", 1, "S"),
    _expression("refuse", 2),
    _expression("consent", 3, "S", "c", evidence="sha256:1", actor="desk:17"),
    _expression("lift", 4, channel="call"),
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The words in a file, between those of somebody else."""
    other = Expression(OTHER, "sms", "refuse", 9, "web-form")
    path = tmp_path / "registry.ndjson"
    path.write_bytes(b"".join(encode(word) + b"\n" for word in (other, *WORDS, other)))
    return path


def test_it_shows_what_stands_the_word_behind_it_and_all_words(files: Path, tmp_path: Path) -> None:
    answer = Wurao(tmp_path).asked("will", "show", "138-0013-8000", "--registry", files)
    assert answer["subscriber"] == NUMBER
    sms = answer["sms"]
    assert isinstance(sms, dict)
    ((refusal,), (consent,)) = sms["refusals"], sms["consents"]
    assert (refusal["sender"], refusal["category"], refusal["expression"]["time"]) == ("*", "*", 2)
    assert (consent["sender"], consent["category"]) == ("S", "c")
    assert consent["expression"]["evidence"] == "sha256:1"
    assert answer["call"] == {"refusals": [], "consents": []}
    words = answer["expressions"]
    assert isinstance(words, list)
    assert [word["time"] for word in words] == [1, 2, 3, 4]


def test_people_read_it_in_words(files: Path, tmp_path: Path) -> None:
    shown = Wurao(tmp_path).run("will", "show", NUMBER, "--registry", files).stdout
    assert "refuses everything (*, *)" in shown
    assert "consents to sender S, category c" in shown
    assert "evidence sha256:1, actor desk:17" in shown
    assert "call: silent" in shown
    assert OTHER not in shown


def test_a_snapshot_tells_what_stands_and_not_the_words(tmp_path: Path) -> None:
    meta = SnapshotMeta("cluster", 1, {})
    path = snapshots.save(tmp_path, registry_of(WORDS), meta)
    answer = Wurao(tmp_path).asked("will", "show", NUMBER, "--registry", path)
    assert answer["sms"] == {
        "refusals": [{"sender": "*", "category": "*", "expression": None}],
        "consents": [{"sender": "S", "category": "c", "expression": None}],
    }


@pytest.mark.kafka
def test_a_word_is_written_to_its_partition_and_shown_from_there(registry: Broker, tmp_path: Path) -> None:
    (number,) = persons(1)
    wurao = Wurao(tmp_path, registry)
    written = wurao.run(
        "will",
        "set",
        number,
        "--channel",
        "sms",
        "--will",
        "refuse",
        "--sender",
        "S",
        "--source",
        "phone",
        "--time",
        str(SAID),
    )
    assert written.returncode == 0, written.stderr
    assert f"partition {partition_of(number, registry.partitions)}" in written.stdout
    (record,) = registry.read("registry.expressions")
    assert record.partition == partition_of(number, registry.partitions)
    assert record.key == f"{number}|sms|S|*".encode()
    answer = wurao.asked("will", "show", number)
    assert answer["sms"]["refusals"][0]["expression"] == {  # type: ignore[index]
        "kind": "expression",
        "subscriber": number,
        "channel": "sms",
        "will": "refuse",
        "time": SAID,
        "source": "phone",
        "sender": "S",
        "category": None,
        "evidence": None,
        "actor": None,
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nobody"), "is no person's number"),
        (("show", "95588"), "is no person's number"),
        (("show", "+8613800138004.0"), "is no person's number"),
        (("set", "+440000000000", "--channel", "sms", "--will", "refuse"), "is no person's number"),
        (("set", NUMBER, "--channel", "sms", "--will", "refuse", "--time", str(SAID // 1000)), "looks like seconds"),
        (
            ("set", NUMBER, "--channel", "sms", "--will", "refuse", "--time", "99999999999999"),
            "more than a day from now",
        ),
        (("set", NUMBER, "--channel", "sms", "--will", "refuse", "--evidence", "e" * 4001), "at most 4,000"),
        (("set", NUMBER, "--channel", "sms", "--will", "consent", "--sender", "S"), "must name both"),
        (("set", NUMBER, "--channel", "sms", "--will", "lift", "--time", "2026-11-25"), "has no offset"),
        (("set", NUMBER, "--channel", "sms", "--will", "lift", "--time", "0"), "before 2000"),
    ],
)
def test_what_cannot_be_is_refused_before_any_broker_is_asked(
    words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    ran = Wurao(tmp_path).run("will", *words)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert "Kafka" not in ran.stderr


def test_where_no_broker_answers_the_command_ends_and_says_so(tmp_path: Path) -> None:
    """It asked again for ever."""
    ran = Wurao(tmp_path, variables={"WURAO_REGISTRAR__ANSWER_TIMEOUT_MS": "1000"}).run("will", "show", NUMBER)
    assert ran.returncode == 1
    assert "wurao will: no broker at 127.0.0.1:1 answered within 1 s: see `kafka.bootstrap`" in ran.stderr


def test_the_number_may_come_from_standard_input_where_no_list_of_processes_shows_it(
    files: Path, tmp_path: Path
) -> None:
    ran = Wurao(tmp_path).run("will", "show", "-", "--registry", files, stdin="138 0013 8000\n")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{NUMBER}\n")
    empty = Wurao(tmp_path).run("will", "show", "-", "--registry", files)
    assert "no person's number" in empty.stderr


def test_a_number_that_is_none_is_told_masked(tmp_path: Path) -> None:
    ran = Wurao(tmp_path).run("will", "set", "+13900139000", "--channel", "sms", "--will", "refuse")
    assert "no person's number" in ran.stderr
    assert "13900139000" not in ran.stderr


def _set(
    wurao: Wurao, number: str, will: str, *words: str, sender: str | None = None, category: str | None = None
) -> Ran:
    about = (["--sender", sender] if sender else []) + (["--category", category] if category else [])
    return wurao.run("will", "set", number, "--channel", "sms", "--will", will, *about, *words)


@pytest.mark.kafka
def test_a_word_that_was_said_before_what_stands_is_too_late_and_a_refusal_given_now_never_is(
    registry: Broker, tmp_path: Path
) -> None:
    (number,) = persons(1)
    wurao = Wurao(tmp_path, registry)
    registry.write_registry([BANK])
    assert _set(wurao, number, "refuse").returncode == 0
    late = _set(
        wurao,
        number,
        "consent",
        "--time",
        str(time.time_ns() // 1_000_000 - 60_000),
        sender="ORG-1",
        category="finance",
    )
    assert late.returncode == 1
    assert "too late" in late.stderr
    assert "refuse (*, *) on sms" in late.stderr
    now = str(time.time_ns() // 1_000_000)
    consent = (wurao, number, "consent", "--time", now)
    assert ", offset " in _set(*consent, sender="ORG-1", category="finance").stdout, "said now"
    assert _set(wurao, number, "refuse", sender="ORG-1").returncode == 0
    again = _set(*consent, sender="ORG-1", category="finance").stdout
    assert again.startswith("stood already in registry.expressions, partition"), "and does not count any more"
    assert [word.will for word in wurao.expressions()] == ["refuse", "consent", "refuse"]


@pytest.mark.kafka
def test_a_refusal_of_what_is_refused_already_says_so_and_is_written(registry: Broker, tmp_path: Path) -> None:
    (number,) = persons(1)
    wurao = Wurao(tmp_path, registry)
    refuse = ("will", "set", number, "--channel", "sms", "--will", "refuse", "--source")
    assert "already" not in wurao.run(*refuse, "letter").stderr
    again = wurao.run(*refuse, "phone", "--sender", "S")
    assert again.returncode == 0
    assert "refused already: refuse (*, *) on sms, of 2" in again.stderr
    assert "source letter" in again.stderr
    registry.write_registry([Expression(number, "sms", "lift", SAID, "phone")])
    assert "already" not in wurao.run(*refuse, "phone").stderr


@pytest.mark.kafka
def test_a_consent_to_nobody_or_of_no_category_says_so_with_what_may_have_been_meant(
    registry: Broker, tmp_path: Path
) -> None:
    (number,) = persons(1)
    wurao = Wurao(tmp_path, registry)
    registry.write_registry([BANK])
    ran = _set(wurao, number, "consent", sender="org-1", category="finace")
    assert ran.returncode == 1
    assert "category 'finace' is none of the policy's (did you mean finance" in ran.stderr
    assert "sender 'org-1' is not registered (did you mean ORG-1?)" in ran.stderr
    assert wurao.expressions() == []
    refused = _set(wurao, number, "refuse", sender="org-1")
    assert refused.returncode == 0, "a refusal is written"
    assert "is not registered" in refused.stderr
    assert _set(wurao, number, "consent", "--unregistered", sender="ORG-7", category="finace").returncode == 0
