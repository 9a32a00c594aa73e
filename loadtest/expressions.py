"""What applying expressions costs a worker, without a broker: from record batches as fetched to changed stances.

    python -m loadtest.expressions [--records N] [--base N] [--scattered]

Refusals of everything and consents, one batch of the broker's size after another, on the Python path and on the native
one in turns. The worker's stances are an overlay on a base, and where the native module is built also in its form.
Prints records per CPU-second, the best of the turns: the machine may do other things meanwhile.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bloom.base import BUILT, BasedWills
from bloom.bitmaps import Overlay, Wills
from bloom.partition import partitions_of_numbers
from bloom.wills import EVERYTHING
from loadtest.figures import Row
from stream.feed import expression_reader
from stream.feed.expression_reader import NativeReader, PolledExpressions
from stream.kafka.seams.incoming import RawBatch
from stream.registry.decoding import Misplaced
from stream.registry.registry import Registry
from stream.testbed.feed import template
from stream.testbed.sample import WATCHED_CATEGORY, WATCHED_SENDER, RepeatedExpression

CODECS: Final = {"none": 0, "lz4": 3, "zstd": 4}
BATCH_RECORDS: Final = 5_000
PARTITIONS: Final = 12
TURNS: Final = 5
FIRST: Final = 8_613_000_000_000
SPAN: Final = 1_000_000_000
"""Numbers are drawn from so many where they lie scattered."""

EXPRESSIONS: Final = (
    RepeatedExpression("call", "refuse", None, None, range(1), 1_795_400_000_000, "loadtest"),
    RepeatedExpression("sms", "consent", WATCHED_SENDER, WATCHED_CATEGORY, range(1), 1_795_400_000_000, "loadtest"),
)


def batches(expression: RepeatedExpression, numbers: Sequence[int], codec: int) -> Iterator[RawBatch]:
    """The record batches of a partition in which these say this."""
    key, value = template(expression)
    for start in range(0, len(numbers), BATCH_RECORDS):
        some = numbers[start : start + BATCH_RECORDS]
        builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
        for offset, number in enumerate(some):
            builder.append(offset, 1_795_400_000_000, key % number, value % number, [])
        raw = bytes(builder.build())
        yield RawBatch(raw, 0, len(raw), 0, len(some), len(some), readable=True)


def apply(made: Sequence[RawBatch], reader: NativeReader | None, registry: Registry, *, partition: int) -> float:
    """CPU seconds to read and apply all of them, a batch a poll."""
    began = time.process_time()
    for batch in made:
        reading = PolledExpressions()
        expression_reader.read(reader, partition, [batch], reading, partitions=PARTITIONS, misplaced=Misplaced.APPLY)
        registry.apply_columns(reading.columns)
        assert reading.records_count == batch.count
        assert not reading.bad
    return time.process_time() - began


def measure(*, records_count: int, base_count: int, scattered: bool) -> dict[str, Row]:
    """Records per CPU-second by word, codec and path."""
    draw = np.random.default_rng(7)
    span = SPAN if scattered else 4 * (base_count + PARTITIONS * records_count)
    base = np.unique(draw.integers(FIRST, FIRST + span, base_count, dtype=np.uint64))
    wills = Wills.of_arrays([("sms", "refusal", EVERYTHING, base)])
    some = draw.permutation(np.unique(draw.integers(FIRST, FIRST + span, 2 * PARTITIONS * records_count, np.uint64)))
    numbers = some[partitions_of_numbers(some, PARTITIONS) == 1][:records_count].tolist()
    paths: dict[str, Callable[[], NativeReader | None]] = {"python": lambda: None}
    if BUILT:
        paths["native"] = NativeReader
    rows: dict[str, Row] = {}
    for expression in EXPRESSIONS:
        for codec, number in CODECS.items():
            made = list(batches(expression, numbers, number))
            row: Row = {}
            for _ in range(TURNS):
                for path, make in paths.items():
                    registry = Registry(Overlay(wills))
                    if BUILT:
                        BasedWills.following(registry.wills)
                    spent = apply(made, make(), registry, partition=1)
                    row[f"{path}_per_cpu_s"] = max(row.get(f"{path}_per_cpu_s", 0.0), len(numbers) / spent)
            rows[f"{expression.will} {codec}"] = row
    return rows


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=100_000)
    arguments.add_argument("--base", type=int, default=1_000_000)
    arguments.add_argument("--scattered", action="store_true", help="numbers anywhere among a billion")
    options = arguments.parse_args()
    gc.disable()
    for name, row in measure(
        records_count=options.records, base_count=options.base, scattered=options.scattered
    ).items():
        print(f"{name:14}" + "".join(f"{path:>24} {value:>11,.0f}" for path, value in row.items()))


if __name__ == "__main__":
    main()
