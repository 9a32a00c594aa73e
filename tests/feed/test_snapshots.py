"""Snapshots: made from topics, and only used with the topics that they were made from."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bloom.signatures import Keys, signature_of
from bloom.snapshot import SnapshotMeta, TopicMark, read
from stream.feed import snapshots
from stream.feed.snapshots import ABANDONED_AFTER_S, BuildProgress, build, kept, newest_good, prune, save
from stream.kafka.describe import ClusterDescription, TopicDescription
from stream.model.registry import Expression, Order
from stream.model.topics import EXPRESSIONS, ORDERS, RECORD_KIND
from stream.registry.registry import Registry, registry_of
from stream.testbed.local import Cluster as Kafka
from tests.filter.harness import Broker

NOW = 1_795_500_000_000
CLUSTER = ClusterDescription(
    "C", {name: TopicDescription(f"id-{name}", 12 if name == EXPRESSIONS else 1, {}) for name in RECORD_KIND}
)
META = SnapshotMeta(
    "C", NOW, {name: TopicMark(topic.id, (0,) * topic.partitions) for name, topic in CLUSTER.topics.items()}
)


def _newest(
    directory: Path, cluster: ClusterDescription = CLUSTER, *, now: int = NOW, age: int = 1000
) -> tuple[Path | None, str]:
    problems: list[str] = []
    found = newest_good(directory, cluster, now, age, problems.append)
    return found, "\n".join(problems)


def test_the_newest_good_one_is_found_and_older_ones_are_not_talked_about(tmp_path: Path) -> None:
    old = save(tmp_path, Registry(), replace(META, created_ms=NOW - 900))
    new = save(tmp_path, Registry(), META)
    assert _newest(tmp_path) == (new, "")
    new.write_bytes(new.read_bytes()[:-1])
    found, told = _newest(tmp_path)
    assert found == old
    assert str(new) in told


def _without(name: str) -> ClusterDescription:
    return ClusterDescription("C", {topic: had for topic, had in CLUSTER.topics.items() if topic != name})


@pytest.mark.parametrize(
    ("cluster", "now", "told"),
    [
        pytest.param(replace(CLUSTER, id="D"), NOW, "is of cluster C, this is D", id="another cluster"),
        pytest.param(CLUSTER, NOW + 1001, "it may have missed a tombstone", id="too old"),
        pytest.param(_without(ORDERS), NOW, "registry.orders, which is not there", id="a topic is gone"),
        pytest.param(
            replace(CLUSTER, topics={**CLUSTER.topics, ORDERS: TopicDescription("new", 1, {})}),
            NOW,
            "it was recreated since",
            id="a topic was recreated",
        ),
        pytest.param(
            replace(CLUSTER, topics={**CLUSTER.topics, EXPRESSIONS: TopicDescription(f"id-{EXPRESSIONS}", 24, {})}),
            NOW,
            "has 12 partitions of registry.expressions, which has 24",
            id="partitions were added",
        ),
    ],
)
def test_one_that_must_not_be_used_is_rejected_with_its_reason(
    cluster: ClusterDescription, now: int, told: str, tmp_path: Path
) -> None:
    path = save(tmp_path, Registry(), META)
    found, problems = _newest(tmp_path, cluster, now=now)
    assert found is None
    assert f"{path}: " in problems
    assert told in problems


def test_a_body_that_is_damaged_gives_way_to_an_older_snapshot(tmp_path: Path) -> None:
    registry = registry_of([Order("O-1", "stop", 0, "b", sender="S")])
    old = save(tmp_path, registry, replace(META, created_ms=NOW - 1))
    new = save(tmp_path, registry, META)
    damaged = bytearray(new.read_bytes())
    damaged[-1] ^= 1
    new.write_bytes(damaged)
    problems: list[str] = []
    found = snapshots.read_newest_good(tmp_path, CLUSTER, NOW, 1000, problems.append)
    assert found is not None
    assert found[0] == old
    assert len(problems) == 1


def test_pruning_keeps_the_newest_and_takes_what_a_dead_writer_left(tmp_path: Path) -> None:
    keys = Keys.of_text("0" * 64)
    paths = [save(tmp_path, Registry(), replace(META, created_ms=created), keys) for created in (9, 10, 100)]
    fresh, abandoned = tmp_path / ".registry-1.snapshot.a.tmp", tmp_path / ".registry-1.snapshot.b.tmp"
    signature, unfinished = tmp_path / "registry-1.snapshot.hmac", tmp_path / ".registry-1.snapshot.hmac.b"
    next_signature, other = tmp_path / "registry-101.snapshot.hmac", tmp_path / "registry-backup.snapshot"
    for path in (fresh, abandoned, signature, unfinished, next_signature, other):
        path.touch()
    long_ago = time.time() - ABANDONED_AFTER_S - 1
    for path in (abandoned, signature, unfinished, signature_of(paths[2])):
        os.utime(path, (long_ago, long_ago))
    assert kept(tmp_path) == paths
    assert set(prune(tmp_path, keep=2)) == {paths[0], abandoned}
    left = {*paths[1:], *map(signature_of, paths[1:]), fresh, next_signature, other}
    assert set(tmp_path.iterdir()) == left


def test_where_there_is_no_directory_there_is_no_snapshot(tmp_path: Path) -> None:
    assert _newest(tmp_path / "nowhere") == (None, "")


@pytest.mark.kafka
def test_a_build_from_a_snapshot_reads_only_what_came_since_and_gives_the_whole(kafka: Kafka, tmp_path: Path) -> None:
    broker = Broker(kafka.bootstrap, environment={"WURAO_REGISTRY__SNAPSHOTS": str(tmp_path)})
    broker.delete_topics()
    broker.create_topics()
    words = [Expression(f"+86138{n:08d}", "sms", "refuse", n, "t") for n in range(500)]
    orders = [Order("O-1", "stop", 0, "b", sender="S"), Order("O-2", "stop", 0, "b", sender="T")]
    broker.write_registry([*words[:300], orders[0]])
    start = asyncio.run(snapshots.renew(broker.config))
    broker.write_registry([*words[300:], orders[1]])
    seen: list[BuildProgress] = []
    registry, meta = asyncio.run(build(broker.config, start=read(start), progress=seen.append))
    assert sum(mark.read_count for mark in seen[-1:]) == 201
    assert registry.wills.state_equal(registry_of(words).wills)
    assert list(registry.orders.values()) == orders
    assert sum(meta.topics[EXPRESSIONS].offsets) == 500
    # A snapshot of a topic that was recreated since is not built upon.
    broker.delete_topics()
    broker.create_topics()
    renewed = asyncio.run(snapshots.renew(broker.config, start=start))
    assert read(renewed).records == []
