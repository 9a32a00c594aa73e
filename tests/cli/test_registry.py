"""`wurao registry export|snapshot|inspect`: what the topics hold, as a file, a snapshot, and figures."""

import json
from pathlib import Path

import pytest

from bloom import snapshot
from stream.feed import snapshots
from stream.feed.files import load_registry
from stream.model.codec import encode
from stream.model.registry import Expression, Wordlist
from stream.model.topics import EXPRESSIONS
from stream.registry.registry import registry_of
from tests.cli.command import Wurao
from tests.filter import cases
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka


def test_an_export_holds_the_latest_of_each_key(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    records = cases.registry()
    earlier = Expression("+8613900139000", "sms", "lift", 0, "earlier")
    broker.write_registry([earlier, *records])
    broker.write([("registry.wordlists", 0, b"fraud", None)])
    out = tmp_path / "export.ndjson"
    ran = wurao.run("registry", "export", "--out", out)
    assert ran.returncode == 0, ran.stderr
    kept = [record for record in records if not isinstance(record, Wordlist)]
    assert sorted(out.read_bytes().splitlines()) == sorted(encode(record) for record in kept)
    assert load_registry([out]).registry.wills.state_equal(registry_of(records).wills)
    assert wurao.run("registry", "export").stdout.encode() == out.read_bytes()


def test_a_record_that_cannot_be_used_is_told_and_left_out(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    broker.write_registry(cases.registry())
    broker.write([(EXPRESSIONS, 3, b"+8613800138000|sms|*|*", None), ("registry.orders", 0, b"O-1", b"{")])
    ran = wurao.run("registry", "export")
    assert ran.returncode == 1
    assert "registry.expressions, partition 3, offset 0: null value" in ran.stderr
    made = wurao.run("registry", "snapshot", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["bad"] == 2
    assert "registry.orders, partition 0, offset 2: " in made.stderr


def test_a_snapshot_is_the_registry_of_the_topics_and_says_for_which_offsets(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    broker.write_registry(cases.registry())
    path = Path(str(wurao.asked("registry", "snapshot")["path"]))
    kept = snapshot.read(path)
    whole = registry_of(cases.registry())
    assert kept.wills.state_equal(whole.wills)
    assert kept.records == list(whole.records())
    marks = {topic: sum(mark.offsets) for topic, mark in kept.meta.topics.items()}
    assert marks == {
        EXPRESSIONS: 4,
        "registry.senders": 7,
        "registry.orders": 2,
        "registry.campaigns": 2,
        "registry.wordlists": 1,
    }
    figures = wurao.asked("registry", "inspect", path)
    assert {name: figures[name] for name in ("sms_refusing_all", "consents", "senders", "orders_in_force")} == {
        "sms_refusing_all": 1,
        "consents": 2,
        "senders": 7,
        "orders_in_force": 2,
    }
    of_topics = wurao.asked("registry", "inspect", "--topics")
    same = ("cluster", "topics", "refusals", "consents", "bitmaps", "wordlists")
    assert [of_topics[name] for name in same] == [figures[name] for name in same]
    assert "refuse everything, sms" in wurao.run("registry", "inspect", path).stdout


def test_snapshots_are_pruned_where_the_configuration_keeps_them(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    made = [str(wurao.asked("registry", "snapshot")["path"]) for _ in range(4)]
    assert [str(path) for path in snapshots.kept(tmp_path / "snapshots")] == made[1:]
    wurao.asked("registry", "snapshot", "--out", tmp_path / "elsewhere")
    assert len(snapshots.kept(tmp_path / "elsewhere")) == 1


def test_a_damaged_snapshot_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "registry-1.snapshot"
    path.write_bytes(b"nothing of the kind")
    ran = Wurao(tmp_path).run("registry", "inspect", path)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1


def test_where_no_registrar_answers_it_is_said_and_nothing_was_written(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker, {"WURAO_REGISTRAR__ANSWER_TIMEOUT_MS": "8000"})
    path = wurao.file("r.txt", "13800138000")
    ran = wurao.run("registry", "import", path, "--channel", "sms", "--will", "refuse", "--source", "s")
    assert ran.returncode == 1
    assert "no registrar answered within 8 s: start `wurao registrar`" in ran.stderr
    assert "may be admitted" not in ran.stderr, "it only asked whether somebody is there"
    assert [broker.read(topic) for topic in ("registry.expressions", "registry.bulk")] == [[], []]
