"""`wurao will`: one subscriber's wills with every word behind them, from the topics or from files."""

from pathlib import Path

import pytest

from bloom.partition import partition_of
from bloom.snapshot import SnapshotMeta
from stream.model.codec import encode
from stream.model.registry import Expression
from stream.registry import snapshots
from stream.registry.registry import registry_of
from tests.cli.command import Wurao
from tests.filter.harness import Broker

NUMBER = "+8613800138000"
OTHER = "+8613900139000"


def _word(will: str, time: int, sender: str | None = None, category: str | None = None, **fields: str) -> Expression:
    channel = fields.pop("channel", "sms")
    return Expression(NUMBER, channel, will, time, "web-form", sender, category, **fields)  # type: ignore[arg-type]


WORDS = [
    _word("refuse", 1, "S"),
    _word("refuse", 2),
    _word("consent", 3, "S", "c", evidence="sha256:1", actor="desk:17"),
    _word("lift", 4, channel="call"),
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
def test_a_word_is_written_to_its_partition_and_shown_from_there(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    written = wurao.run(
        "will",
        "set",
        NUMBER,
        "--channel",
        "sms",
        "--will",
        "refuse",
        "--sender",
        "S",
        "--source",
        "phone",
        "--time",
        "7",
    )
    assert written.returncode == 0, written.stderr
    assert f"partition {partition_of(NUMBER, broker.partitions)}" in written.stdout
    broker.write_registry([Expression(OTHER, "sms", "refuse", 9, "web-form")])
    (record,) = [record for record in broker.read("registry.expressions") if record.partition == 8]
    assert record.key == f"{NUMBER}|sms|S|*".encode()
    answer = wurao.asked("will", "show", NUMBER)
    assert answer["sms"]["refusals"][0]["expression"] == {  # type: ignore[index]
        "kind": "expression",
        "subscriber": NUMBER,
        "channel": "sms",
        "will": "refuse",
        "time": 7,
        "source": "phone",
        "sender": "S",
        "category": None,
        "evidence": None,
        "actor": None,
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nobody"), "give + and 7 to 15 digits"),
        (("set", NUMBER, "--channel", "sms", "--will", "consent", "--sender", "S"), "must name both"),
        (("set", NUMBER, "--channel", "sms", "--will", "lift", "--time", "-1"), "time"),
    ],
)
def test_what_cannot_be_is_refused_before_any_broker_is_asked(
    words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    ran = Wurao(tmp_path).run("will", *words)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert "Kafka" not in ran.stderr
