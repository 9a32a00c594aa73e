"""Bulk records of files into the registry: asked of the registrar, or by the same admission into a file (`--into`).

Whoever imports takes the files' senders, word lists, orders and campaigns first (they are little), so that consents may
name what comes along with them, and then the expressions, chunk by chunk. Expressions are asked for in requests of one
partition each, many at once (`RegistryClient.ask_many`); each partition's keep the files' order. Orders and campaigns
are the control plane's topics: these the operator writes, by the same rules.

Promises that a second run of the same file writes nothing, and that a run after one that was killed completes it: what
stands is not written again.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, Literal, NamedTuple

from bloom.partition import partitions_of
from stream.clock import now_ms
from stream.config import Config
from stream.feed.bulk_files import CHUNK_LINES, BadLine, LineChunk
from stream.feed.offline_index import OfflineIndex
from stream.feed.topic_reader import all_but_wills
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.registry_client import BULK_ANSWER_S_MAX, RegistryClient
from stream.model.codec import encode
from stream.model.limits import ENTRIES
from stream.model.registry import Expression, FileRecord, Tombstone
from stream.model.requests import NO_VERSION, RefusalCode, RegistryAnswer, RegistryRequest, Statements
from stream.model.topics import RECORD_KIND
from stream.registry.door import REGISTRARS, AskedRequest, Door
from stream.registry.known import StandingRecord, Subject
from stream.registry.known_names import KnownNames
from stream.registry.numbers import NumberKinds
from stream.registry.one_request import subject_of
from stream.registry.order_rule import IndexedExpression, digest_of_encoded
from stream.registry.refusals import REASONS
from stream.registry.registry import Registry

Fate = Literal["bad", "late", "refused"]
"""Why a line was not applied: it is no record; it is older than an expression that it overlaps; it may not be
written.
"""

UNKNOWN_MAX: Final = 1_000
"""Unknown names that are counted one by one."""

UNKNOWN_REST: Final = "other names that are not known"

REQUEST_BYTES_MAX: Final = 256 << 10
"""Expressions of one request: a thousand of the usual ones. The registrar takes as much into a transaction."""

REJECTIONS_MAX: Final = 10_000
"""So many are held back, so that they are told in the order of the lines, wherever their answers came."""

CONTROL_PLANES: Final = frozenset(RECORD_KIND) - REGISTRARS
"""The topics that the registrar does not write."""


class Rejection(NamedTuple):
    """A line that was not applied."""

    fate: Fate
    path: Path
    line: int
    raw: bytes
    reason: str


class FileLine(NamedTuple):
    """A record, and where it stood."""

    path: Path
    line: int
    record: FileRecord


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
    left_alone_count: int = 0
    """of a full file: whose expression about everything came since the register was read"""


class ImportOutcome:
    """What came of the lines: the tally, and the rejections, told in their order as far as they are held back."""

    def __init__(self, on_rejection: Callable[[Rejection], None]) -> None:
        self.tally = ImportTally()
        self.leaves_alone: frozenset[RefusalCode] = frozenset()
        """codes of lines that are counted as left alone"""
        self._on_rejection = on_rejection
        self._held: list[Rejection] = []

    def read(self, path: Path, chunk: LineChunk) -> None:
        """A chunk was read: its lines count, and the bad ones are told."""
        self.tally.read_count += len(chunk)
        self.bad(path, chunk.bad)

    def bad(self, path: Path, bad: Iterable[BadLine]) -> None:
        """Tell of lines that are no records."""
        for line in bad:
            self.tally.rejected["bad"] += 1
            self._on_rejection(Rejection("bad", path, line.number, line.raw, line.reason))

    def answered(self, lines: Sequence[FileLine], answer: RegistryAnswer) -> None:
        """What was answered to a request with these lines' records, which are all of one topic."""
        self.tally.already_count += answer.already
        if answer.written:
            self.tally.written[_topic_of(lines[0])] += answer.written
        for name in answer.unknown:
            known = name.what in self.tally.unknown or len(self.tally.unknown) < UNKNOWN_MAX
            self.tally.unknown[name.what if known else UNKNOWN_REST] += name.count
        for refusal in answer.refusals:
            for place in range(len(lines)) if refusal.place is None else (refusal.place,):
                self._refused(lines[place], refusal.code, refusal.what)
        for further in answer.further:
            for place in further.places:
                self._refused(lines[place], further.code, REASONS[further.code].meaning)

    def _refused(self, line: FileLine, code: RefusalCode, why: str) -> None:
        if code in self.leaves_alone:
            self.tally.left_alone_count += 1
            return
        fate: Fate = "late" if code == "late" else "refused"
        self.tally.rejected[fate] += 1
        self._held.append(Rejection(fate, line.path, line.line, encode(line.record), why))
        if len(self._held) >= REJECTIONS_MAX:
            self.tell()

    def tell(self) -> None:
        """Tell what was held back. A sort keeps the files' order."""
        order = {path: place for place, path in enumerate(dict.fromkeys(one.path for one in self._held))}
        for one in sorted(self._held, key=lambda one: (order[one.path], one.line)):
            self._on_rejection(one)
        self._held.clear()


class Import:
    """An import into the topics of a cluster."""

    def __init__(
        self,
        *,
        config: Config,
        client: RegistryClient,
        numbering: NumberKinds,
        stated: Statements,
        actor: str,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        self.outcome = ImportOutcome(on_rejection)
        self._config = config
        self._client = client
        self._numbering = numbering
        self._stated = stated
        self._actor = actor
        self._name = f"import-{token_hex(8)}"
        self._asked_count = 0

    async def take_others(self, lines: Iterable[FileLine]) -> None:
        """Senders, word lists, orders, campaigns, and what removes them, in the files' order."""
        control: _ControlPlaneTopics | None = None
        try:
            for topic, run in groupby(lines, key=_topic_of):
                for part in _portions(list(run)):
                    if topic in CONTROL_PLANES:
                        control = control or await _ControlPlaneTopics.opened(self._config, self._numbering)
                        answer = await control.write(self._request(part))
                    else:
                        answer = await self._ask_alone(part)
                    self.outcome.answered(part, answer)
        finally:
            if control is not None:
                await control.close()

    async def take(
        self,
        chunks: Iterable[tuple[Path, LineChunk]],
        *,
        stated: Callable[[int], Statements] | None = None,
    ) -> None:
        """The expressions of these chunks; returns when all are answered.

        `stated` gives what is stated of a partition, beside the usual. Raises `NoAnswer`.
        """
        asked: dict[str, Sequence[FileLine]] = {}

        async def requests() -> AsyncIterator[RegistryRequest]:
            for partition, lines in self._by_partition(chunks):
                request = self._request(lines, stated(partition) if stated else None)
                asked[request.id] = lines
                yield request

        async for request, answer in self._client.ask_many(requests()):
            self.outcome.answered(asked.pop(request.id), answer)
        self.outcome.tell()

    def _by_partition(self, chunks: Iterable[tuple[Path, LineChunk]]) -> Iterator[tuple[int, Sequence[FileLine]]]:
        """The expressions in portions of one partition each."""
        partitions_count = self._config.topics.partitions
        waiting = [_Portion() for _ in range(partitions_count)]
        for path, chunk in chunks:
            found = [
                (FileLine(path, line, record), record.subscriber)
                for line, record in zip(chunk.lines, chunk.records, strict=True)
                if isinstance(record, Expression)
            ]
            partitions = partitions_of([subscriber for _, subscriber in found], partitions_count).tolist()
            for (line, _), partition in zip(found, partitions, strict=True):
                if (full := waiting[partition].put(line)) is not None:
                    yield partition, full
        for partition, portion in enumerate(waiting):
            if portion.lines:
                yield partition, portion.lines

    def _request(self, lines: Sequence[FileLine], stated: Statements | None = None) -> RegistryRequest:
        self._asked_count += 1
        records = tuple(line.record for line in lines)
        name = f"{self._name}-{self._asked_count}"
        return RegistryRequest(name, now_ms(), self._actor, records, stated=stated or self._stated)

    async def _ask_alone(self, lines: Sequence[FileLine]) -> RegistryAnswer:
        """Ask for records that others of the file may rest on, and wait for the answer."""
        return await self._client.ask(self._request(lines), lane="bulk", within_s=BULK_ANSWER_S_MAX)


class OfflineImport:
    """The same into a file: no broker, nothing lands in a topic, and each line is admitted by itself."""

    def __init__(
        self,
        *,
        file: BinaryIO,
        numbering: NumberKinds,
        names: KnownNames,
        stated: Statements,
        now: int,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        self.outcome = ImportOutcome(on_rejection)
        self._file = file
        self._door = Door(numbering, topics=frozenset(RECORD_KIND), in_full_max=CHUNK_LINES)
        self._index = OfflineIndex()
        self._known = _OfflineKnown(self._index, Registry(), names)
        self._stated, self._now = stated, now

    def take_others(self, lines: Iterable[FileLine]) -> None:
        """See `Import`."""
        for _, run in groupby(lines, key=_topic_of):
            for part in _portions(list(run)):
                self._admit(part)

    def take(self, chunks: Iterable[tuple[Path, LineChunk]]) -> None:
        """See `Import`."""
        for path, chunk in chunks:
            lines = [
                FileLine(path, line, record)
                for line, record in zip(chunk.lines, chunk.records, strict=True)
                if type(record) is Expression
            ]
            self._admit(lines)
        self.outcome.tell()

    def _admit(self, lines: Sequence[FileLine]) -> None:
        if not lines:
            return
        records = tuple(line.record for line in lines)
        request = RegistryRequest("import", self._now, "import", records, stated=self._stated)
        admitted = self._door.admit([AskedRequest("import", request, of_file=True)], self._known, self._now)
        (answer,) = admitted.answers
        self.outcome.answered(lines, answer)
        expressions: list[Expression] = []
        digests: list[int] = []
        for topic, key, record, value, _ in admitted.records:
            self._file.write((value if value is not None else encode(Tombstone(topic, key))) + b"\n")
            if type(record) is Expression and value is not None:
                expressions.append(record)
                digests.append(digest_of_encoded(value))
        self._index.take(expressions, self._now, digests)


@dataclass(frozen=True, slots=True)
class _OfflineKnown:
    """What is known without a registrar: `Known` but for what only those ask who erase, take back or state versions."""

    index: OfflineIndex
    registry: Registry
    known_names: KnownNames

    def names(self) -> KnownNames:
        return self.known_names

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        return self.index.indexed(rows)

    def standing(self, _: str, /) -> Sequence[StandingRecord]:
        raise AssertionError("a file neither erases nor takes a scope back")

    def version(self, _: Subject, /) -> int:
        return NO_VERSION

    def answered(self, _: str, /) -> None:
        return None


class _ControlPlaneTopics:
    """`registry.orders` and `registry.campaigns`, which the operator writes beside the control plane."""

    def __init__(self, producer: DurableProducer, registry: Registry, numbering: NumberKinds) -> None:
        self._producer = producer
        self._door = Door(numbering, topics=CONTROL_PLANES, in_full_max=ENTRIES.most)
        self._known = _OfflineKnown(OfflineIndex(), registry, KnownNames((), None))

    @classmethod
    async def opened(cls, config: Config, numbering: NumberKinds) -> "_ControlPlaneTopics":
        """Once all is read that its rules ask for. Raises `KafkaError`."""
        registry = await all_but_wills(config, client="wurao-import")
        return cls(DurableProducer(config, client="wurao-import"), registry, numbering)

    async def write(self, request: RegistryRequest) -> RegistryAnswer:
        """Write what is admitted."""
        admitted = self._door.admit([AskedRequest("import", request, of_file=True)], self._known, now_ms())
        await self._producer.write(
            [Produced(topic, key.encode(), value, 0) for topic, key, _, value, _ in admitted.records]
        )
        return admitted.answers[0]

    async def close(self) -> None:
        """Write no more."""
        await self._producer.close()


class _Portion:
    """Lines of one partition or topic that are asked for together."""

    def __init__(self) -> None:
        self.lines: list[FileLine] = []
        self._bytes = 0

    def put(self, line: FileLine) -> Sequence[FileLine] | None:
        """Put a line into it; returns the lines before it where there is no room beside them."""
        size = len(encode(line.record))
        if self.lines and (len(self.lines) == ENTRIES.most or self._bytes + size > REQUEST_BYTES_MAX):
            full, self.lines, self._bytes = self.lines, [line], size
            return full
        self.lines.append(line)
        self._bytes += size
        return None


def _portions(lines: Iterable[FileLine]) -> Iterator[Sequence[FileLine]]:
    portion = _Portion()
    for line in lines:
        if (full := portion.put(line)) is not None:
            yield full
    if portion.lines:
        yield portion.lines


def _topic_of(line: FileLine) -> str:
    return subject_of(line.record).topic


__all__ = ["Fate", "FileLine", "Import", "ImportOutcome", "ImportTally", "OfflineImport", "Rejection"]
