"""`wurao topics`: made once, and checked with the mend."""

from pathlib import Path

import msgspec
import pytest

from stream.kafka.topics import EXPECTED
from stream.model.registry import Expression, Order, Wordlist
from tests.cli.command import Wurao
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka


def test_what_is_missing_is_made_and_what_is_there_stays(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    assert wurao.asked("topics", "create") == {"made": [], "kept": list(EXPECTED), "differences": []}
    broker.delete_topics()
    made = wurao.run("topics", "create")
    assert made.returncode == 0, made.stderr
    assert [line.split()[1].rstrip(",") for line in made.stdout.splitlines()] == list(EXPECTED)
    assert wurao.asked("topics", "check") == {"differences": [], "exceeding": []}


def test_what_differs_is_told_with_its_mend(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, Broker(broker.bootstrap))
    config = wurao.file("wurao.toml", "[topics]", "partitions = 6")
    checked = wurao.run("topics", "check", "--config", config)
    assert checked.returncode == 1
    assert "events.sms: 12 partitions where 6 are configured (topics.partitions)" in checked.stdout
    assert "set topics.partitions to it" in checked.stdout
    broker.delete_topics()
    assert "run `wurao topics create`" in wurao.run("topics", "check").stdout


def test_what_exceeds_a_limit_stays_in_force_and_is_named(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    seconds = Expression("+8613800138000", "sms", "refuse", 1_600_000_000, "letter")
    proven = Expression("+8613800138000", "call", "refuse", 1_700_000_000_000, "letter", evidence="e" * 4001)
    mended = Expression("+8613900139000", "call", "refuse", 1_600_000_000, "letter")
    many = [Expression("+8617012345678", "sms", "refuse", 1_700_000_000_000, "letter", f"S-{n}") for n in range(1001)]
    long = Expression("+8613700137000", "sms", "refuse", 1_700_000_000_000, "letter", "s" * 66_000)
    terms = Wordlist("old", ("词" * 65,))
    order = Order("O-1", "stop", 1, "measures", sender="S")
    broker.write_registry([seconds, proven, mended, *many, long, terms, order])
    broker.write_registry([msgspec.structs.replace(mended, time=1_700_000_000_000)])
    answer = wurao.asked("topics", "check")
    told = answer["exceeding"]
    assert answer["differences"] == []
    assert isinstance(told, list)
    for part, why in (
        ("+86138****8000|sms|*|*", "looks like seconds"),
        ("+86138****8000|call|*|*", "`evidence` has 4,001 characters"),
        ("+86137****7000|sms|" + "s" * 20, "`sender` has 66,000 characters"),
        ("+86170****5678 on sms", "1,001 scopes, at most 1,000"),
        ("registry.wordlists, partition 0, offset 0, key old", "`terms[0]` has 65 characters, at most 64"),
        ("registry.orders, partition 0, offset 0, key O-1", "`from`: 1 "),
    ):
        assert [one for one in told if part in one and why in one], part
    assert len(told) == 6
    assert all(len(one) < 400 for one in told), "what is too long is not repeated whole"
    assert "8000" not in wurao.run("topics", "check").stdout.replace("****8000", "")
    fewer = wurao.asked("topics", "check", "--records", "all-but-expressions")["exceeding"]
    assert isinstance(fewer, list)
    assert len(fewer) == 2
    assert wurao.asked("topics", "check", "--records", "none")["exceeding"] == []


def test_without_a_broker_one_line_says_where_it_was_sought(tmp_path: Path) -> None:
    ran = Wurao(tmp_path).run("topics", "check")
    assert ran.returncode == 1
    assert ran.stderr.startswith("wurao topics: Kafka: 127.0.0.1:1 does not answer by PLAINTEXT")
    assert len(ran.stderr.splitlines()) == 1
