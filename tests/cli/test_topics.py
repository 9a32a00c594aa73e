"""`wurao topics`: made once, and checked with the mend."""

from pathlib import Path

import pytest

from stream.kafka.topics import EXPECTED
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
    assert wurao.asked("topics", "check") == {"differences": []}


def test_what_differs_is_told_with_its_mend(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, Broker(broker.bootstrap))
    config = wurao.file("wurao.toml", "[topics]", "partitions = 6")
    checked = wurao.run("topics", "check", "--config", config)
    assert checked.returncode == 1
    assert "events.sms: 12 partitions where 6 are configured (topics.partitions)" in checked.stdout
    assert "set topics.partitions to it" in checked.stdout
    broker.delete_topics()
    assert "run `wurao topics create`" in wurao.run("topics", "check").stdout


def test_without_a_broker_one_line_says_where_it_was_sought(tmp_path: Path) -> None:
    ran = Wurao(tmp_path).run("topics", "check")
    assert ran.returncode == 1
    assert ran.stderr.startswith("wurao topics: Kafka: 127.0.0.1:1 does not answer by PLAINTEXT")
    assert len(ran.stderr.splitlines()) == 1
