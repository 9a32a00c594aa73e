"""Expressions out of their topic into columns, as the fold takes them: by the native module where it is built.

The native reader makes rows of the expressions that it is sure of. The others fall back to Python, each with the row
before which it stands: they are decoded by `decoding` and inserted there, since the order of receipt is what counts. So
the columns are the same, record for record, as those of Python alone.

Promises that a fetched batch is read whole or not at all. A native module that fails (a panic in Rust) has changed
nothing: Python reads that batch and all that follow, and the log says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bloom.base import BUILT
from bloom.wills import CHANNELS, VERBS, ExpressionColumns, ExpressionContent
from stream import logs
from stream.config import Config
from stream.kafka import seams
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch, joined
from stream.kafka.seams.outgoing import batch_of
from stream.registry.decoding import BadRecord, ConsumedRecord, Misplaced, decode_expressions

if TYPE_CHECKING or BUILT:
    import wurao_native

log = logs.get(__name__)

Piece = RawBatch | FetchedRecord
"""What a consumer hands out: a record batch as the broker sent it, or a record."""

_TRIAL: Final = (
    b"+8613800138000|call|ORG-1|finance",
    (
        b'{"kind":"expression","subscriber":"+8613800138000","channel":"call","will":"consent","time":1,"source":"x",'
        b'"sender":"ORG-1","category":"finance"}'
    ),
)
_TRIAL_PARTITION: Final = 8
_PARTITIONS: Final = 12


class _UnreadExpression(NamedTuple):
    """An expression that falls back from the native reader to Python."""

    row: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class PolledExpressions:
    """What one poll of `registry.expressions` returned, over all partitions."""

    columns: ExpressionColumns = field(default_factory=ExpressionColumns)
    records_count: int = 0
    """all of them, the bad ones as well"""
    bad: list[BadRecord] = field(default_factory=list)
    misplaced_count: int = 0


class NativeReader:
    """The module's reader, for as long as it does not fail."""

    def __init__(self) -> None:
        self._native: wurao_native.ExpressionReader | None = wurao_native.ExpressionReader()

    def read(
        self, piece: RawBatch, partition: int, reading: PolledExpressions, *, partitions: int, misplaced: Misplaced
    ) -> bool:
        """Read a piece of one partition. False where the module does not: nothing was read then."""
        if self._native is None or not piece.readable:
            return False
        try:
            numbers, ids, named, fallback, misplaced_count = self._native.read(
                piece.data,
                from_offset=piece.first,
                partition=partition,
                partitions=partitions,
                reject_misplaced=misplaced is Misplaced.REJECT,
            )
        except ValueError:
            return False  # bytes that it does not read, whose errors are Python's to find
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no `Exception`
            self._native = None
            log.exception("the native reader failed; Python reads the registry from now on", error=repr(error))
            return False
        rows, content_ids = np.frombuffer(numbers, np.uint64), np.frombuffer(ids, np.uint32)
        contents: list[ExpressionContent] = [
            (CHANNELS[channel], VERBS[verb], sender, category) for channel, verb, sender, category in named
        ]
        reading.records_count += len(rows) + len(fallback)
        reading.misplaced_count += misplaced_count
        if fallback:
            unread = [_UnreadExpression(*record) for record in fallback]
            decoded = decode_expressions(partition, unread, partitions=partitions, misplaced=misplaced)
            before = [unread[place].row for place in decoded.places]
            content_ids = np.insert(
                content_ids, before, np.arange(len(contents), len(contents) + len(before), dtype=np.uint32)
            )
            rows = np.insert(rows, before, np.array(decoded.numbers, dtype=np.uint64))
            contents += decoded.contents
            reading.bad += decoded.bad
            reading.misplaced_count += decoded.misplaced_count
        reading.columns.extend(rows, content_ids, contents)
        return True


def native_reader(config: Config) -> NativeReader | None:
    """The native reader where its module is built, wanted and answers as Python does; else None."""
    if config.filter.native == "off" or not BUILT or seams.misfit() is not None:
        return None
    raw = batch_of([_TRIAL], timestamp=0)
    trial = RawBatch(raw, 0, len(raw), 0, 1, 1, readable=True)
    expected, reading = PolledExpressions(), PolledExpressions()
    _read_by_python(_TRIAL_PARTITION, trial.records(), expected, partitions=_PARTITIONS, misplaced=Misplaced.REJECT)
    try:
        reader = NativeReader()
        reader.read(trial, _TRIAL_PARTITION, reading, partitions=_PARTITIONS, misplaced=Misplaced.REJECT)
    except (AttributeError, TypeError, ValueError) as error:
        log.warning("wurao_native was built from other sources: Python reads the registry", problem=repr(error))
        return None
    if reading.columns.numbers != expected.columns.numbers or reading.columns.contents != expected.columns.contents:
        log.warning("wurao_native reads an expression differently: Python reads the registry")
        return None
    return reader


def read(
    reader: NativeReader | None,
    partition: int,
    pieces: Sequence[Piece],
    reading: PolledExpressions,
    *,
    partitions: int,
    misplaced: Misplaced,
) -> None:
    """Read what came of one partition of `registry.expressions`, in its order.

    `misplaced` says what becomes of an expression of another partition. Some 0.15 µs a record that the native
    reader takes, 1.2 µs for one that falls back. Raises `CorruptRecordException` as aiokafka's reader does.
    """
    for some in _alike(pieces):
        if not isinstance(some, RawBatch):
            _read_by_python(partition, some, reading, partitions=partitions, misplaced=misplaced)
        elif reader is None or not reader.read(some, partition, reading, partitions=partitions, misplaced=misplaced):
            _read_by_python(partition, some.records(), reading, partitions=partitions, misplaced=misplaced)


def _alike(pieces: Sequence[Piece]) -> Iterator[RawBatch | list[FetchedRecord]]:
    """The same in as few pieces as can be, in order."""
    for is_raw, some in groupby(pieces, key=lambda piece: isinstance(piece, RawBatch)):
        if is_raw:
            yield from joined([piece for piece in some if isinstance(piece, RawBatch)])
        else:
            yield [piece for piece in some if not isinstance(piece, RawBatch)]


def _read_by_python(
    partition: int,
    found: Sequence[ConsumedRecord],
    reading: PolledExpressions,
    *,
    partitions: int,
    misplaced: Misplaced,
) -> None:
    decoded = decode_expressions(partition, found, partitions=partitions, misplaced=misplaced)
    reading.records_count += len(found)
    reading.bad += decoded.bad
    reading.misplaced_count += decoded.misplaced_count
    for number, content in zip(decoded.numbers, decoded.contents, strict=True):
        reading.columns.add(number, content)


def records_of(pieces: Iterable[Piece]) -> list[FetchedRecord]:
    """The records of what came of a partition, whichever way. Raises `CorruptRecordException`."""
    found: list[FetchedRecord] = []
    for piece in pieces:
        found += piece.records() if isinstance(piece, RawBatch) else [piece]
    return found


def next_offset(pieces: Sequence[Piece]) -> int:
    """The position behind them."""
    last = pieces[-1]
    return last.next_offset if isinstance(last, RawBatch) else last.offset + 1
