"""A batch on the native path, purely: bytes of record batches in, finished batches out, the fallback by `decide_batch`.

The native module answers what it is sure of and names the records that it is not: those are decided by Python, in the
same batch, on the same state of the registry and at the same moment. So whatever falls back, the answers are
those of `decide_batch`; only their order within a partition may differ, between the two groups.

What it must keep: every record that was taken is answered, falls back, or is a dead letter, and an offset is named
only when all before it are in what is put out.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from stream.deciding.activity import Acts, AnswerTable
from stream.deciding.batch import Finished, Outputs, Record, cut, decide_batch
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider


class Raw(Protocol):
    """Record batches as the broker sent them, back to back (Kafka's message format 2), none of them a control batch."""

    @property
    def data(self) -> memoryview:
        """The bytes."""

    @property
    def first(self) -> int:
        """The first offset that is wanted; records before it were decided."""

    @property
    def next_offset(self) -> int:
        """The position behind it."""

    @property
    def readable(self) -> bool:
        """Whether the native module knows its compression."""

    def records(self) -> Sequence[Record]:
        """Its records from `first` on."""


class Taken(NamedTuple):
    """What was taken of one partition: record batches, and records that came by themselves."""

    raw: Sequence[Raw]
    records: Sequence[Record]
    next_offset: int
    """the position behind all of it"""

    @property
    def first_offset(self) -> int:
        """Its first offset: there is at least one record or batch."""
        return min([raw.first for raw in self.raw] + [record.offset for record in self.records[:1]])


@dataclass(slots=True)
class FallbackRecord:
    """A record that falls back to Python: the native module is not sure of it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Outcome(Protocol):
    """What the native module made of a stretch of record batches."""

    @property
    def batches(self) -> Sequence[tuple[bytes | bytearray, int]]:
        """Finished record batches of decisions, without producer fields and CRC, and how many each holds."""

    @property
    def counts(self) -> Sequence[tuple[str, str, str, int]]:
        """Kind, verdict and reason of what it answered, and how many events got that."""

    @property
    def fallback(self) -> Sequence[tuple[int, int, bytes | None, bytes | None]]:
        """Offset, timestamp, key and value of what falls back to Python, in the order of offsets."""

    @property
    def acts(self) -> Acts:
        """What it answered, as activity is counted from it."""

    @property
    def misplaced(self) -> int:
        """Answered events that stood in another partition than their subscriber's."""

    @property
    def misread_routes_count(self) -> int:
        """Routes, met for the first time, that it takes for another than Python does: their events fall back."""


class Native(Protocol):
    """The native batch function, on one worker's registry and policy: it takes note itself of what changes there."""

    def decide(self, raw: memoryview, /, *, topic: str, partition: int, base_offset_from: int, now: int) -> Outcome:
        """Answer what it is sure of, and name what falls back. Raises ValueError for bytes that it cannot read.

        `decide_raw` calls it, once for each run of record batches. It waits for nothing, but the loop stands still
        meanwhile, some 0.4 µs an event; other threads of the process run.

        `raw` may hold several record batches, back to back; records before `base_offset_from` are passed over. `now`
        in milliseconds.
        """


MakeNative = Callable[[Decider], Native]
"""Puts one worker's decider into the native module's form. Its registry is the one that was inherited."""


class NativeFailed(Exception):
    """The native module failed in the middle of a batch: nothing of that batch was handed over."""


def decide_raw(
    batches: Mapping[TopicPartition, Taken],
    native: Native | None,
    decider: Decider,
    *,
    now: int,
    partitions: int,
    answers: AnswerTable | None = None,
    python_bytes_max: int = sys.maxsize,
) -> Outputs:
    """Decide a batch that came as record batches, or partly so. Raises `NativeFailed` for whatever the module raises.

    Of what falls back so many bytes are decided now, and the others are its `rest`.

    Without `native` (a policy that the module does not fit) all of it falls back. Where the registry holds some
    partitions only, so does what stands in another than its subscriber's.
    `now` in milliseconds. Some 0.4 µs an event that the module answers, and 6 µs for one that falls back.
    """
    fallback: dict[TopicPartition, list[Record]] = {}
    done: list[tuple[TopicPartition, Outcome]] = []
    held = decider.world.registry.held
    for place, taken in batches.items():
        if held is not None:
            held.require(place.partition)
        records = list(taken.records)
        for piece in taken.raw:
            outcome = _decided(native, piece, place, now) if native is not None and piece.readable else None
            if outcome is None:
                records += piece.records()
            else:
                done.append((place, outcome))
                records += [FallbackRecord(*record) for record in outcome.fallback]
        if records:
            fallback[place] = records
    first, rest = cut(fallback, python_bytes_max)
    outputs = decide_batch(first, decider, now=now, partitions=partitions, answers=answers)
    outputs.rest = rest
    outputs.counts.fallback_count = sum(map(len, first.values()))
    for place, outcome in done:
        outputs.counts.misread_routes_count += outcome.misread_routes_count
        _add(outputs, place, outcome)
    outputs.next_offsets = {place: taken.next_offset for place, taken in batches.items()}
    return outputs


def _decided(native: Native, piece: Raw, place: TopicPartition, now: int) -> Outcome | None:
    """The module's answer; None for bytes that it does not read, whose errors are Python's to find."""
    try:
        return native.decide(
            piece.data, topic=place.topic, partition=place.partition, base_offset_from=piece.first, now=now
        )
    except ValueError:
        return None
    except BaseException as error:  # a panic in Rust is no `Exception`
        raise NativeFailed(f"{place.topic}-{place.partition} from offset {piece.first}: {error!r}") from error


def _add(outputs: Outputs, place: TopicPartition, outcome: Outcome) -> None:
    decisions_count = sum(count for _, count in outcome.batches)
    if len(outcome.acts.timestamps) != decisions_count:
        raise NativeFailed(f"{place}: {decisions_count} decisions, and columns of {len(outcome.acts.timestamps)} rows")
    if not decisions_count:
        return
    outputs.counts.acts.append(outcome.acts)
    outputs.finished += [Finished(place.partition, data, count) for data, count in outcome.batches]
    for kind, verdict, reason, count in outcome.counts:
        outputs.counts.verdicts[kind, verdict, reason] += count
    if outcome.misplaced:
        outputs.counts.misplaced[place.topic] += outcome.misplaced
