"""Snapshots of single partitions: what a worker of partitioned mode begins with when it gains one.

Each has a directory of its own below the one that the configuration names, and holds the wills of one partition of
`registry.expressions` and nothing else: the other topics are small and read from their beginnings. The same rules
hold as for whole snapshots (`snapshots`): another cluster's, another topic's or an old one is never used, and what is
not used is named with its reason. Every host keeps all partitions on its disk, since any may come to it; in memory,
while they are made, is one at a time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import OffsetOutOfRangeError

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.snapshot import SnapshotError, SnapshotMeta, TopicMark
from bloom.wills import ExpressionColumns
from stream import logs
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.feed import topic_reader
from stream.feed.snapshots import MAX_AGE_MS, describe_registry, kept, prune, see_unchanged
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.describe import ClusterDescription
from stream.model.topics import EXPRESSIONS
from stream.registry.decoding import Misplaced, decode_expressions

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One partition's wills, and the offset up to which (exclusive) its topic has gone into them."""

    wills: Wills
    next_offset: int | None
    """None: nothing has, and the topic is to be read from its beginning"""

    @property
    def from_snapshot(self) -> bool:
        """Whether there was a snapshot."""
        return self.next_offset is not None


def directory(config: Config, partition: int) -> Path:
    """Where the snapshots of a partition are kept."""
    return Path(config.registry.snapshots) / f"partition-{partition:04d}"


def newest_good(config: Config, cluster: ClusterDescription, partition: int, on_problem: Callable[[str], None]) -> Part:
    """The newest snapshot of a partition that may be used, read whole, or no wills at all where there is none.

    `on_problem` is called with the reason for each that may not be used.

    Takes a quarter of a second for each gigabyte; the caller may be in another thread than the loop's.
    """
    for path in reversed(kept(directory(config, partition))):
        try:
            problem = _unfit(snapshot.read_meta(path), cluster, partition, now_ms())
            if problem is None:
                found = snapshot.read(path, keys_of(config))
                problem = _unfit(found.meta, cluster, partition, now_ms())  # what was verified is what counts
                if problem is None:
                    return Part(found.wills, found.meta.topics[_mark(partition)].offsets[0])
            on_problem(f"{path}: {problem}")
        except (SnapshotError, ConfigError) as error:
            on_problem(str(error))
    return Part(Wills(), None)


async def renew(config: Config) -> None:
    """Fold what came since into a new snapshot of every partition, one after the other.

    Raises `KafkaError`, and `SnapshotsError` where the topics are missing or recreated meanwhile.
    """
    cluster = await describe_registry(config)
    for partition in range(config.topics.partitions):
        began = time.monotonic()
        start = newest_good(config, cluster, partition, log_unused)
        try:
            path = await _renew(config, cluster, partition, start)
        except OffsetOutOfRangeError:
            log_unused(f"partition {partition}: its topic has no record at {start.next_offset}: it was cut short")
            path = await _renew(config, cluster, partition, Part(Wills(), None))
        removed = prune(path.parent, keep=config.registry.snapshots_kept)
        log.info(
            "snapshot of a partition made",
            partition=partition,
            seconds=round(time.monotonic() - began, 3),
            removed_count=len(removed),
        )


async def _renew(config: Config, cluster: ClusterDescription, partition: int, start: Part) -> Path:
    created_ms = now_ms()  # before the first record is read: older than true is the safe side
    place = AIOKafkaPartition(EXPRESSIONS, partition)
    marks = {} if start.next_offset is None else {place: start.next_offset}
    next_offset = 0
    async for batch in topic_reader.read(config, [place], start=marks, client="wurao-snapshot"):
        # Whoever follows the topic puts the bad ones where they are kept.
        decoded = decode_expressions(
            partition, batch.records, partitions=config.topics.partitions, misplaced=Misplaced.REJECT
        )
        columns = ExpressionColumns()
        for number, content in zip(decoded.numbers, decoded.contents, strict=True):
            columns.add(number, content)
        start.wills.apply_columns(columns)
        next_offset = batch.next_offsets[place]
    await see_unchanged(config, cluster)
    there = directory(config, partition)
    there.mkdir(parents=True, exist_ok=True)
    path = there / f"registry-{created_ms}.snapshot"
    mark = TopicMark(cluster.topics[EXPRESSIONS].id, (next_offset,))
    snapshot.write(
        path,
        meta=SnapshotMeta(cluster.id, created_ms, {_mark(partition): mark}),
        wills=start.wills,
        records=(),
        keys=keys_of(config),
    )
    return path


def log_unused(problem: str) -> None:
    """Name a snapshot that is not used."""
    log.warning("snapshot not used", problem=problem)


def missing(config: Config) -> bool:
    """Whether some partition has no snapshot at all, as before the first fold."""
    return any(not kept(directory(config, partition)) for partition in range(config.topics.partitions))


def _mark(partition: int) -> str:
    """What a partition's snapshot stands for, by name: as a broker names the partition's directory."""
    return f"{EXPRESSIONS}-{partition}"


def _unfit(meta: SnapshotMeta, cluster: ClusterDescription, partition: int, now: int) -> str | None:
    mark, topic = meta.topics.get(_mark(partition)), cluster.topics[EXPRESSIONS]
    if meta.cluster != cluster.id:
        return f"is of cluster {meta.cluster}, this is {cluster.id}; keep the snapshots of clusters apart"
    if mark is None or len(mark.offsets) != 1:
        return f"does not stand for partition {partition} alone"
    if mark.id != topic.id:
        return f"is of another topic {EXPRESSIONS} (id {mark.id}, now {topic.id}): it was recreated since"
    age_ms = now - meta.created_ms
    if age_ms > MAX_AGE_MS:
        return f"is {age_ms / 3_600_000:.1f} h old, the limit is {MAX_AGE_MS / 3_600_000:.1f} h; make one more often"
    return None
