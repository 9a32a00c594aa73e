"""The registry as it stood at any moment of the recent past: what an audit compares decisions with.

A decision names an epoch, and an epoch the offsets up to which its worker had applied the registry topics. Workers are
not at the same offsets at the same time, so one fold is not enough: here the distant past is folded into a base, and
what came since is kept record by record, with offset and timestamp. A stance as of an epoch is the base's, changed by
those later records of that one subscriber that the epoch includes; the rest of the registry, which is small, is kept
folded for the vectors of offsets that were asked for, and advanced from one to the next.

Promises: an answer is exact, or there is none. What is asked about a state older than the base gets no answer.
Must never decide anything: whether a stance permits a message is the policy's business. Pure: no client, no clock.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from operator import le
from typing import Final, NamedTuple

from bloom.bitmaps import Wills
from bloom.number import Msisdn
from bloom.wills import CHANNELS, ExpressionRow
from stream.model.registry import Expression, FileRecord, Record, Tombstone, key_of
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.registry import Registry, expression_row_of

SINGLE: Final = tuple(topic for topic in RECORD_KIND if topic != EXPRESSIONS)
"""The registry topics of one partition, whose order is total."""

STATES_MAX: Final = 16
"""Registries kept, without expressions: as many workers as may be at different offsets for more than a moment."""

Offsets = Mapping[str, Sequence[int]]
"""Registry topic → per partition the offset up to which (exclusive) records count: an epoch's `offsets`."""

Vector = tuple[int, ...]
"""The same for the topics of `SINGLE` alone, in their order."""


class ExpressionRecord(NamedTuple):
    """One expression row, and where its record stands; `timestamp` in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    row: ExpressionRow


class RefusalRecord(NamedTuple):
    """A refusal's offset and timestamp (ms): its propagation is measured from there."""

    offset: int
    timestamp: int


class ExpressionHistory:
    """The stances of every subscriber, at any offsets since the base. Memory: a base, and some 300 bytes a change."""

    def __init__(self, partitions: int) -> None:
        self._base = Wills()
        self._base_to = [0] * partitions
        self._base_ms = [0] * partitions
        """per partition, the latest moment of which the base holds anything"""
        self._recent: list[deque[ExpressionRecord]] = [deque() for _ in range(partitions)]
        self._of: defaultdict[Msisdn, list[ExpressionRecord]] = defaultdict(list)

    def take(self, partition: int, offset: int, timestamp: int, expression: Expression) -> None:
        """Note an expression. Those of a partition are given in their order."""
        record = ExpressionRecord(partition, offset, timestamp, expression_row_of(expression))
        self._recent[partition].append(record)
        self._of[record.row.number].append(record)

    def settle(self, before_ms: int) -> None:
        """Fold into the base what was written before a moment: states older than that are not asked about any more."""
        for partition, recent in enumerate(self._recent):
            old: list[ExpressionRecord] = []
            while recent and recent[0].timestamp < before_ms:
                old.append(recent.popleft())
            if not old:
                continue
            self._base.apply([record.row for record in old])
            self._base_to[partition] = old[-1].offset + 1
            self._base_ms[partition] = max(self._base_ms[partition], *(record.timestamp for record in old))
            for number in {record.row.number for record in old}:
                later = [record for record in self._of[number] if record.offset >= self._base_to[record.partition]]
                if later:
                    self._of[number] = later
                else:
                    del self._of[number]

    def as_of(self, number: Msisdn, offsets: Sequence[int] | None, *, until_ms: int = 0) -> Wills | None:
        """Wills in which `number`'s are as of these offsets, or as of `until_ms` where that is later.

        Without offsets, as of the moment alone; one below 0 is of a partition that was not held. None: the base holds
        something that is later than both. Only `number` may be looked up.
        """
        if not self._base_is_within(offsets, until_ms):
            return None
        record = self._of.get(number)
        if record is None:
            return self._base
        then = self._of_base(number)
        then.apply(
            [
                one.row
                for one in record
                if one.timestamp <= until_ms or (offsets is not None and one.offset < offsets[one.partition])
            ]
        )
        return then

    def reaches_back_to(self, offsets: Sequence[int]) -> bool:
        """Whether `as_of` has an answer for these offsets."""
        return self._base_is_within(offsets, 0)

    def _base_is_within(self, offsets: Sequence[int] | None, until_ms: int) -> bool:
        if offsets is None:
            return max(self._base_ms) <= until_ms
        ends = zip(self._base_to, self._base_ms, offsets, strict=True)
        return all(offset < 0 or to <= offset or newest_ms <= until_ms for to, newest_ms, offset in ends)

    def _of_base(self, number: Msisdn) -> Wills:
        """The base's expressions of one subscriber, as wills of their own."""
        wills = Wills()
        for channel in CHANNELS:
            refusals, consents = self._base.expressions_of(channel, number)
            for scope in refusals:
                wills.add(channel, "refusal", scope, [number])
            for scope in consents:
                wills.add(channel, "consent", scope, [number])
        return wills


class RegistryHistory:
    """Senders, orders, campaigns and word lists as of any offsets since the base.

    A registry that answered one request is advanced to the offsets of a later one: that costs the records between the
    two, not the fold of all senders.
    """

    def __init__(self) -> None:
        self._records: dict[str, list[tuple[int, int, FileRecord]]] = {topic: [] for topic in SINGLE}
        self._base_to = dict.fromkeys(SINGLE, 0)
        self._ends = dict.fromkeys(SINGLE, 0)
        """the offset after the last record that was taken"""
        self._newest_ms = dict.fromkeys(SINGLE, 0)
        self._states: OrderedDict[Vector, Registry] = OrderedDict()

    def take(self, topic: str, offset: int, timestamp: int, record: FileRecord) -> None:
        """Note a record. Those of a topic are given in their order."""
        # A record stands when all before it do: moments that only grow can be looked for as offsets are.
        self._newest_ms[topic] = max(self._newest_ms[topic], timestamp)
        self._records[topic].append((offset, self._newest_ms[topic], record))
        self._ends[topic] = offset + 1

    def settle(self, before_ms: int) -> None:
        """Forget what was superseded before a moment, as compaction would."""
        for topic, records in self._records.items():
            old = bisect_left(records, before_ms, key=_moment)
            if not old or self._base_to[topic] == records[old - 1][0] + 1:
                continue
            last = {_key(record): (offset, timestamp, record) for offset, timestamp, record in records[:old]}
            kept = sorted(last.values(), key=lambda one: one[0])
            self._base_to[topic] = records[old - 1][0] + 1
            self._records[topic] = kept + records[old:]

    def as_of(self, offsets: Offsets) -> Registry | None:
        """A registry without wills as of these offsets. None: the base is later.

        It is that until the next request, which may advance it.
        """
        return self._at(self._vector(offsets))

    def reaches_back_to(self, offsets: Offsets) -> bool:
        """Whether `as_of` has an answer for these offsets."""
        return not self._base_is_later(self._vector(offsets))

    def at(self, moment_ms: int) -> Registry | None:
        """The same as of a moment: with all that stood in the topics then."""
        vector: list[int] = []
        for topic, records in self._records.items():
            later = bisect_right(records, moment_ms, key=_moment)
            vector.append(records[later][0] if later < len(records) else self._ends[topic])
        return self._at(tuple(vector))

    def _vector(self, offsets: Offsets) -> Vector:
        # What lies beyond the end is not read yet: a state that claimed to include it would never get it.
        return tuple(map(min, self._ends.values(), (offsets[topic][0] for topic in SINGLE)))

    def _base_is_later(self, vector: Vector) -> bool:
        return any(to > offset for to, offset in zip(self._base_to.values(), vector, strict=True))

    def _at(self, vector: Vector) -> Registry | None:
        if self._base_is_later(vector):
            return None
        state = self._states.pop(vector, None)
        if state is None:
            since, state = self._to_advance(vector)
            for records, begin, end in zip(self._records.values(), since, vector, strict=True):
                new = records[bisect_left(records, begin, key=_offset) : bisect_left(records, end, key=_offset)]
                state.apply(record for _, _, record in new)
        self._states[vector] = state
        return state

    def _to_advance(self, vector: Vector) -> tuple[Vector, Registry]:
        """The state that was not asked for the longest and can be advanced to this one, once there are enough; or a new
        one.

        What `settle` has forgotten meanwhile does not matter to it: a later record of the same key stands further on.
        """
        if len(self._states) >= STATES_MAX:
            for since in self._states:
                if all(map(le, since, vector)):
                    return since, self._states.pop(since)
            self._states.popitem(last=False)
        return (0,) * len(SINGLE), Registry()


class Propagation:
    """The propagation of refusals: from a refusal's timestamp to the first epoch, of each worker, that includes it."""

    def __init__(self, partitions: int) -> None:
        self._refusals: list[list[RefusalRecord]] = [[] for _ in range(partitions)]
        self._reached: dict[str, Sequence[int]] = {}

    def take(self, partition: int, offset: int, timestamp: int) -> None:
        """Note a refusal. Those of a partition are given in their order."""
        self._refusals[partition].append(RefusalRecord(offset, timestamp))

    def reach(self, run: str, offsets: Sequence[int], time: int) -> list[int]:
        """A worker's run came to these offsets at `time`: the milliseconds of each refusal that it had not before.

        The first epoch of a run measures nothing: it includes what was written before the worker started.
        """
        before, self._reached[run] = self._reached.get(run), offsets
        if before is None:
            return []
        found: list[int] = []
        for refusals, old, new in zip(self._refusals, before, offsets, strict=True):
            if old < new:
                here = refusals[bisect_left(refusals, (old,)) : bisect_left(refusals, (new,))]
                found += [max(0, time - refusal.timestamp) for refusal in here]
        return found

    def settle(self, before_ms: int) -> None:
        """Forget refusals older than a moment: a worker that had not reached them by then measures them no more."""
        for refusals in self._refusals:
            old = 0
            while old < len(refusals) and refusals[old].timestamp < before_ms:
                old += 1
            del refusals[:old]


def _offset(one: tuple[int, int, FileRecord]) -> int:
    return one[0]


def _moment(one: tuple[int, int, FileRecord]) -> int:
    return one[1]


def _key(record: FileRecord) -> str:
    if isinstance(record, Tombstone):
        return record.key
    assert isinstance(record, Record)
    return key_of(record)
