"""The importer: bulk records into the registry topics, without undoing a newer expression.

Every chunk of lines is a request at the registry's door (`stream.registry.door`), which knows the topics by the order
index and by what was read of the other ones; what is acknowledged is then noted in the index. Everything but
expressions (senders, orders, campaigns, word lists, and tombstones) is little: it is held to the end, and is one
request.

Promises that a second run of the same file writes nothing, and that a run after one that was killed
completes it. Never more than one importer at a time: the caller holds an `OrderLock`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

from stream.config import Config
from stream.feed.bulk_files import CHUNK_LINES, BadLine, LineChunk
from stream.feed.order_index import OrderIndex
from stream.feed.snapshots import describe_registry
from stream.feed.topic_reader import read
from stream.feed.topic_writer import Group, Landed, RegistryWriter, TopicWriter
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.describe import ClusterDescription
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.fields import TIME_MAX
from stream.model.registry import Expression, FileRecord, Tombstone
from stream.model.requests import NO_VERSION, RegistryRequest, Statements
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.door import AskedRequest, Door
from stream.registry.known import Known, StandingRecord, Subject
from stream.registry.known_names import KnownNames
from stream.registry.numbers import NumberKinds
from stream.registry.order_rule import IndexedExpression, digest_of_encoded
from stream.registry.registry import Registry

Fate = Literal["bad", "late", "refused"]
"""Why a line was not applied: it is no record; it is older than an expression that it overlaps; it may not be
written.
"""


UNKNOWN_MAX: Final = 1_000
"""Unknown names that are counted one by one."""

UNKNOWN_REST: Final = "other names that are not known"


class Rejection(NamedTuple):
    """A line that was not applied."""

    fate: Fate
    path: Path
    line: int
    raw: bytes
    reason: str


@dataclass(slots=True)
class ImportTally:
    """What became of the lines of an import."""

    read_count: int = 0
    already_count: int = 0
    """They stand there as they are, or later lines take their place."""
    written: Counter[str] = field(default_factory=Counter)
    """topic → records written"""
    rejected: Counter[Fate] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    """what expressions name and nobody knows → how many, whether they were written or refused"""


class _IndexKnown:
    """What an import knows: `Known` but for what only those ask who erase, take scopes back or state versions."""

    def __init__(self, index: OrderIndex, registry: Registry, names: KnownNames) -> None:
        self.registry = registry
        self._index, self._names = index, names

    def names(self) -> KnownNames:
        return self._names

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        return self._index.indexed(rows)

    def standing(self, _: str, /) -> Sequence[StandingRecord]:
        raise AssertionError("an import neither erases nor takes a scope back")

    def version(self, _: Subject, /) -> int:
        return NO_VERSION

    def answered(self, _: str, /) -> None:
        return None


class Importer:
    """One import. `take` every chunk, then `finish`."""

    def __init__(
        self,
        *,
        index: OrderIndex,
        writer: RegistryWriter,
        registry: Registry,
        numbering: NumberKinds,
        now: int,
        on_rejection: Callable[[Rejection], None],
        names: KnownNames,
        stated: Statements,
    ) -> None:
        self.tally = ImportTally()
        self._index = index
        self._writer = writer
        self._door = Door(numbering, topics=frozenset(RECORD_KIND), in_full_max=CHUNK_LINES)
        self._known: Known = _IndexKnown(index, registry, names)
        self._now = now
        self._on_rejection = on_rejection
        self._stated = stated
        self._others: list[tuple[Path, int, FileRecord]] = []

    async def take(self, path: Path, chunk: LineChunk) -> None:
        """Write the chunk's expressions, and keep its other records for `finish`."""
        self.tally.read_count += len(chunk)
        self.report_bad(path, chunk.bad)
        expressions: list[tuple[Path, int, FileRecord]] = []
        for line, record in zip(chunk.lines, chunk.records, strict=True):
            (expressions if type(record) is Expression else self._others).append((path, line, record))
        await self._ask(expressions)

    async def finish(self) -> ImportTally:
        """Write what was kept, and say what became of every line."""
        await self._ask(self._others)
        self._others.clear()
        return self.tally

    async def write_together(self, groups: Sequence[tuple[Expression, ...]]) -> None:
        """Write groups of expressions as they are, each whole or not at all, past the order rule.

        For what takes a scope back: a lift, then again the narrower, older expressions that stand (DESIGN
        section 3).
        """
        landed = await self._writer.write(groups)
        expressions = [expression for group in groups for expression in group]
        self._note(expressions, landed)
        self.tally.written[EXPRESSIONS] += len(expressions)

    def report_bad(self, path: Path, bad: Iterable[BadLine]) -> None:
        """Tell of lines that are no records."""
        for line in bad:
            self._reject("bad", path, line.number, line.raw, line.reason)

    async def _ask(self, lines: Sequence[tuple[Path, int, FileRecord]]) -> None:
        """Ask for what these lines have, and write what is admitted."""
        if not lines:
            return
        records = tuple(record for *_, record in lines)
        request = RegistryRequest("import", self._now, "import", records, stated=self._stated)
        admitted = self._door.admit([AskedRequest("import", request, of_file=True)], self._known, self._now)
        (answer,) = admitted.answers
        self.tally.already_count += answer.already
        for name in answer.unknown:
            known = name.what in self.tally.unknown or len(self.tally.unknown) < UNKNOWN_MAX
            self.tally.unknown[name.what if known else UNKNOWN_REST] += name.count
        for refusal in answer.refusals:
            assert refusal.place is not None, "the request as a whole is in order"
            path, line, record = lines[refusal.place]
            self._reject("late" if refusal.code == "late" else "refused", path, line, encode(record), refusal.what)
        expressions: list[Expression] = []
        encoded: list[bytes] = []
        others: list[FileRecord] = []
        for topic, key, one, value, _ in admitted.records:
            if type(one) is Expression and value is not None:
                expressions.append(one)
                encoded.append(value)
            else:
                others.append(Tombstone(topic, key) if one is None else one)
        if expressions:
            landed = await self._writer.write_each(expressions, encoded)
            self._note(expressions, landed, list(map(digest_of_encoded, encoded)))
        if others:
            await self._writer.write([(one,) for one in others])
        self.tally.written.update(record.topic for record in admitted.records)

    def _note(
        self, expressions: Sequence[Expression], landed: Sequence[Landed], digests: Sequence[int] | None = None
    ) -> None:
        """Put into the index what the topic now has; and where nobody else wrote in between, its offsets."""
        known = dict(self._index.next_offsets)
        for batch in landed:
            if known.get(batch.partition, 0) == batch.first_offset:
                known[batch.partition] = batch.first_offset + batch.records_count
        self._index.take(expressions, known, written=repeat(self._now), digests=digests)

    def _reject(self, fate: Fate, path: Path, line: int, raw: bytes, reason: str) -> None:
        self.tally.rejected[fate] += 1
        self._on_rejection(Rejection(fate, path, line, raw, reason))


@dataclass(frozen=True, slots=True)
class Target:
    """The topics of a cluster, ready to be written: their index up to date, and what else they hold."""

    cluster: ClusterDescription
    registry: Registry
    """Everything but wills."""
    writer: RegistryWriter


@asynccontextmanager
async def topics_opened(
    config: Config, index: OrderIndex, *, note: Callable[[str], None], progress: Callable[[int, int], None]
) -> AsyncIterator[Target]:
    """The topics to write to, with the index brought up to date and everything but the wills read.

    `note` is called with what an operator should know, `progress` with how many records the index has read and has
    left. Raises `KafkaError` where no broker answers, `SnapshotsError` where topics are missing.
    """
    cluster = await describe_registry(config)
    changed = index.belong_to(cluster=cluster.id, topic=cluster.topics[EXPRESSIONS].id)
    if changed is not None:
        note(f"the order index was of another topic ({changed}); it is rebuilt")
    await catch_up(config, index, partitions=cluster.topics[EXPRESSIONS].partitions, progress=progress)
    registry = await read_all_but_wills(config)
    producer = clients.producer(config, client="wurao-import")
    try:
        await producer.start()
        writer = TopicWriter(producer, partitions=cluster.topics[EXPRESSIONS].partitions)
        yield Target(cluster, registry, writer)
    finally:
        await close_within(producer)


async def catch_up(
    config: Config,
    index: OrderIndex,
    *,
    partitions: int,
    progress: Callable[[int, int], None],
    on_taken: Callable[[Sequence[Expression]], None] | None = None,
) -> None:
    """Bring the index up to date with its topic. Records that cannot be used mean nothing to the filter
    either.

    `on_taken` is called with the expressions that the index did not know.
    """
    places = clients.partitions(EXPRESSIONS, partitions)
    start = {place: index.next_offsets[place.partition] for place in places if place.partition in index.next_offsets}
    read_count = 0
    async for batch in read(config, places, start=start, client="wurao-import"):
        expressions: list[Expression] = []
        written: list[int] = []
        for raw in batch.records:
            try:
                record = decode_record(raw.topic, raw.key, raw.value)
            except Undecodable:
                continue
            if type(record) is Expression:
                expressions.append(record)
                written.append(raw.timestamp if raw.timestamp >= 0 else TIME_MAX)
        next_offsets = {place.partition: offset for place, offset in batch.next_offsets.items()}
        index.take(expressions, next_offsets, written=written)
        if on_taken is not None:
            on_taken(expressions)
        read_count += len(batch.records)
        progress(read_count, batch.left_count)


async def read_all_but_wills(config: Config) -> Registry:
    """Senders, orders, campaigns and word lists as their topics hold them."""
    registry = Registry()
    places = [place for topic in RECORD_KIND if topic != EXPRESSIONS for place in clients.partitions(topic, 1)]
    async for batch in read(config, places, client="wurao-import"):
        records: list[FileRecord] = []
        for raw in batch.records:
            try:
                records.append(decode_record(raw.topic, raw.key, raw.value))
            except Undecodable:
                continue
        registry.apply(records)
    return registry


class FileWriter:
    """Writes records as NDJSON instead, for `--into FILE`: no broker, nothing lands in a topic."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def write(self, groups: Iterable[Group]) -> list[Landed]:
        """See `RegistryWriter`."""
        self._file.writelines(encode(record) + b"\n" for group in groups for record in group)
        return []

    async def write_each(self, _: Sequence[Expression], encoded: Sequence[bytes], /) -> list[Landed]:
        """See `RegistryWriter`."""
        self._file.writelines(line + b"\n" for line in encoded)
        return []


__all__ = ["Fate", "FileWriter", "ImportTally", "Importer", "Rejection", "Target", "catch_up", "topics_opened"]
