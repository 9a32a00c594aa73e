"""The importer: bulk records into the registry topics, without undoing a newer expression.

Expressions go through the order rule (`order_rule`) and the order index batch by batch; what is acknowledged
is then noted in the index. Everything else (senders, orders, campaigns, word lists, and tombstones) is
little: it is held to the end, asked about at the door (`admission`) in its order, and the last record of
each key is written where it differs from what stands there.

Promises that a second run of the same file writes nothing, and that a run after one that was killed
completes it. Never more than one importer at a time: the caller holds an `OrderLock`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple, TypeVar

import msgspec

from stream.config import Config
from stream.feed.bulk_files import BadLine, LineChunk
from stream.feed.order_index import OrderIndex
from stream.feed.snapshots import describe_registry
from stream.feed.topic_reader import read
from stream.feed.topic_writer import Group, Landed, RegistryWriter, TopicWriter, topic_of
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.describe import ClusterDescription
from stream.model import limits
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.fields import TIME_MAX
from stream.model.registry import Expression, FileRecord, Tombstone, key_fault, key_of
from stream.model.times import iso_time
from stream.model.topics import CAMPAIGNS, EXPRESSIONS, ORDERS, RECORD_KIND, SENDERS
from stream.registry.admission import Admission
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import apply_order_rule, digest_of, digest_of_encoded, rows_of
from stream.registry.registry import Registry

T = TypeVar("T")

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


class Importer:
    """One import. `take` every chunk, then `finish`."""

    def __init__(
        self,
        *,
        index: OrderIndex,
        writer: RegistryWriter,
        registry: Registry,
        admission: Admission,
        now: int,
        on_rejection: Callable[[Rejection], None],
        known: KnownNames,
        unregistered: bool = False,
    ) -> None:
        """With `unregistered`, consents that name what is not `known` are written as well."""
        self.tally = ImportTally()
        self._index = index
        self._writer = writer
        self._registry = registry
        self._admission = admission
        self._now = now
        self._on_rejection = on_rejection
        self._known, self._unregistered = known, unregistered
        self._others: list[tuple[Path, int, FileRecord]] = []

    async def take(self, path: Path, chunk: LineChunk) -> None:
        """Write the chunk's expressions, and keep its other records for `finish`."""
        self.tally.read_count += len(chunk)
        self.report_bad(path, chunk.bad)
        expressions: list[Expression] = []
        lines: list[int] = []
        for line, record in zip(chunk.lines, chunk.records, strict=True):
            if type(record) is Expression:
                if (record.sender or record.category) and not self._admits(path, line, record):
                    continue
                expressions.append(record)
                lines.append(line)
            else:
                self._others.append((path, line, self._admission.as_written(record)))
        if expressions:
            await self._take_expressions(path, lines, expressions)

    async def finish(self) -> ImportTally:
        """Write what was kept, and say what became of every line."""
        last = {_place(record): record for _, _, record in self._others}
        # What stands already as the file leaves it was imported before: what the file says on the way there must
        # not be done again.
        settled = {place for place, record in last.items() if _stands(record, self._registry)}
        pending: dict[tuple[str, str], FileRecord] = {}
        for path, line, record in self._others:
            place = _place(record)
            if place in settled or _stands(record, self._registry):
                self.tally.already_count += 1
            elif reason := self._admission.refusal(record, self._registry, self._now):
                self._reject("refused", path, line, encode(record), reason)
            else:
                # Before the record that takes their numbers over.
                for handing_over in self._admission.giving_up(record, self._registry):
                    self._registry.apply([handing_over])
                    pending.pop(_place(handing_over), None)
                    pending[_place(handing_over)] = handing_over
                self._registry.apply([record])
                if pending.pop(place, None) is not None:
                    self.tally.already_count += 1  # repeated: the last record of a key is the one that stands
                pending[place] = record
        self._others.clear()
        if pending:
            await self._writer.write([(record,) for record in pending.values()])
            self.tally.written.update(topic for topic, _ in pending)
        return self.tally

    async def write_together(self, groups: Sequence[tuple[Expression, ...]]) -> None:
        """Write groups of expressions as they are, each whole or not at all, past the order rule.

        For what takes a scope back: a lift, then again the narrower, older expressions that stand (DESIGN
        section 3).
        """
        landed = await self._writer.write(groups)
        expressions = [expression for group in groups for expression in group]
        self._note(expressions, landed, rows_of(expressions), list(map(digest_of, expressions)))

    def report_bad(self, path: Path, bad: Iterable[BadLine]) -> None:
        """Tell of lines that are no records."""
        for line in bad:
            self._reject("bad", path, line.number, line.raw, line.reason)

    def _admits(self, path: Path, line: int, expression: Expression) -> bool:
        """Count what the expression names and nobody knows; a consent with such a name is refused.

        So is what no key can be made of.
        """
        if fault := key_fault(expression):
            self._reject("refused", path, line, encode(expression), fault)
            return False
        problems = self._known.problems(expression)
        if not problems:
            return True
        for problem in problems:
            known = problem in self.tally.unknown or len(self.tally.unknown) < UNKNOWN_MAX
            self.tally.unknown[problem if known else UNKNOWN_REST] += 1
        if expression.will != "consent" or self._unregistered:
            return True
        reason = f"{'; '.join(problems)}: correct it, or give --unregistered"
        self._reject("refused", path, line, encode(expression), reason)
        return False

    async def _take_expressions(self, path: Path, lines: Sequence[int], expressions: Sequence[Expression]) -> None:
        encoded = list(map(encode, expressions))
        rows, digests = rows_of(expressions), list(map(digest_of_encoded, encoded))
        sifted = apply_order_rule(
            expressions, rows, digests, self._index.indexed(set(rows)), now=self._now, of_file=True
        )
        self.tally.already_count += sifted.already_count
        for place, newer in sifted.late:
            reason = f"older than this subscriber's expression of {iso_time(newer)} about an overlapping scope"
            self._reject("late", path, lines[place], encode(expressions[place]), reason)
        for place in sifted.too_many:
            reason = f"this subscriber has expressions about {limits.SCOPES.most:,} scopes on that channel: no more"
            self._reject("refused", path, lines[place], encode(expressions[place]), reason)
        if sifted.write:
            accepted = _at(sifted.write, expressions)
            landed = await self._writer.write_each(accepted, _at(sifted.write, encoded))
            self._note(accepted, landed, _at(sifted.write, rows), _at(sifted.write, digests))

    def _note(
        self, expressions: Sequence[Expression], landed: Sequence[Landed], rows: Sequence[int], digests: Sequence[int]
    ) -> None:
        """Put into the index what the topic now has; and where nobody else wrote in between, its offsets."""
        self.tally.written[EXPRESSIONS] += len(expressions)
        known = dict(self._index.next_offsets)
        for batch in landed:
            if known.get(batch.partition, 0) == batch.first_offset:
                known[batch.partition] = batch.first_offset + batch.records_count
        self._index.take(expressions, known, written=repeat(self._now), rows=rows, digests=digests)

    def _reject(self, fate: Fate, path: Path, line: int, raw: bytes, reason: str) -> None:
        self.tally.rejected[fate] += 1
        self._on_rejection(Rejection(fate, path, line, raw, reason))


def _at(places: Sequence[int], column: Sequence[T]) -> list[T]:
    return [column[place] for place in places]


def _place(record: FileRecord) -> tuple[str, str]:
    """Topic and key: what a later record of the same replaces."""
    return topic_of(record), record.key if isinstance(record, Tombstone) else key_of(record)


def _stands(record: FileRecord, registry: Registry) -> bool:
    topic, key = _place(record)
    kept: msgspec.Struct | None
    if topic == SENDERS:
        kept = registry.senders.get(key)
    elif topic == ORDERS:
        kept = registry.orders.get(key)
    elif topic == CAMPAIGNS:
        kept = registry.campaigns.get(key)
    else:
        kept = registry.wordlists.get(key)
    return kept is None if isinstance(record, Tombstone) else kept == record


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
