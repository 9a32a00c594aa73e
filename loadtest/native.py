"""What the native batch function costs: from the bytes of a record batch of events to those of one of decisions.

    python -m loadtest.native [--numbers N] [--compression C] [--rounds R]

Nanoseconds of one core for an event, beside the Python core on the same batches; no Kafka. The traffic is that of
`loadtest.decide`: mostly commercial and service SMS of some forty characters that hardly repeat, 5,000 prohibited
terms; half of the commercial ones go to somebody who consented. Under it lies a register of N numbers that refuse SMS,
calls or both, a quarter of all numbers of their ranges, so that look-ups miss the processor's cache as they do at that
size. Also the share that is left to Python, here and on the sample traffic. The same seed makes the same traffic.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from msgspec.structs import replace
from numpy.typing import NDArray
from pyroaring import BitMap64

from bloom.base import Base, BasedWills
from bloom.bitmaps import Overlay, Wills
from bloom.sets import ScopedBitmap, bitmap_of
from bloom.wills import EVERYTHING, Channel
from loadtest import decide
from stream.deciding.batch import Record, decide_batch
from stream.deciding.native import Compression, NativeBatches
from stream.model.codec import decode_event, encode
from stream.model.events import Reply, Sms
from stream.model.registry import Expression
from stream.model.registry import Record as Registered
from stream.model.topics import EVENTS_URGENT, TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry, registry_of
from stream.testbed.sample import REFUSALS_COUNT_MIN, sample
from stream.testbed.texts import own
from stream.testbed.traffic import Traffic

NUMBERS_COUNT: Final = 2_000_000
DENSITY: Final = 4
"""One in so many numbers of a range is in the register."""
CHUNK: Final = 1 << 24
FIRST: Final = 8_613_000_000_000
EVENTS_COUNT: Final = 200_000
BATCH_COUNT: Final = 3_000
"""Events in a batch of a MiB."""
ROUNDS_COUNT: Final = 7
SAMPLE_COUNT: Final = 100_000


CODECS: Final[dict[Compression, int]] = {"none": 0, "lz4": 3, "zstd": 4}


@dataclass(slots=True)
class Consumed:
    """A consumed record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Batch(NamedTuple):
    """A record batch, and its records one by one."""

    raw: bytes
    consumed: Sequence[Record]


def main() -> None:
    """Print the costs and the shares."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--numbers", type=int, default=NUMBERS_COUNT, help="in the register (default: 2,000,000)")
    arguments.add_argument("--compression", choices=get_args(Compression), default="none", help="of the batches")
    arguments.add_argument("--rounds", type=int, default=ROUNDS_COUNT)
    asked = arguments.parse_args()
    native, decider, events = staged(asked.numbers, asked.compression)
    batches = [batch_of(events[at : at + BATCH_COUNT], asked.compression) for at in range(0, len(events), BATCH_COUNT)]
    print(f"{len(events):,} events of {sum(map(len, events)) / len(events):.0f} bytes, {asked.compression}")
    costs, left = [], 0
    for _ in range(asked.rounds):
        begun, left = time.process_time(), 0
        for batch in batches:
            outcome = native.decide(batch.raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=decide.NOW)
            left += len(outcome.fallback)
        costs.append((time.process_time() - begun) / len(events) * 1e9)
    cost = statistics.median(costs)
    print(f"native{cost:8.0f} ns an event (from {min(costs):.0f} to {max(costs):.0f})")
    few = batches[: max(1, len(batches) // 4)]
    spent = 0.0
    for _ in range(2):  # the second time it knows the routes, as the native function does
        begun = time.process_time()
        for batch in few:
            decide_batch({TopicPartition(EVENTS_URGENT, 0): batch.consumed}, decider, now=decide.NOW, partitions=12)
        spent = time.process_time() - begun
    python = spent / sum(len(batch.consumed) for batch in few) * 1e9
    print(f"python{python:8.0f} ns an event, without making records and batches: {python / cost:.1f} times as much")
    share, of_replies = left / len(events), _replies(events)
    print(f"left to Python: {share:.2%}, of which replies {of_replies:.2%}; of the sample traffic {sample_share():.2%}")


def staged(numbers_count: int, compression: Compression) -> tuple[NativeBatches, Decider, list[bytes]]:
    """The two ways to decide, and the events. Prints what the base costs."""
    records, _, _ = decide.traffic()
    begun = time.process_time()
    wills = register(numbers_count)
    registry = Registry(wills)
    registry.apply(records)
    made = time.process_time()
    base = Base.of(wills)
    built = time.process_time()
    print(f"{base.numbers_count:,} numbers: the Roaring sets took {made - begun:.1f} s, the base {built - made:.1f} s;")
    print(f"  it is {base.bytes_count:,} bytes, {8 * base.bytes_count / base.numbers_count:.2f} bits a number")
    registry.wills = Overlay(wills)
    decider = Decider(load(), registry)
    decider.settle(stale=False, epoch="k7Qf2-17")
    following = BasedWills.following(registry.wills, base)
    native = NativeBatches(decider, following, partitions=12, compression=compression)
    return native, decider, traffic(records, numbers_count)


def _replies(events: Sequence[bytes]) -> float:
    return sum(isinstance(decode_event(line), Reply) for line in events) / len(events)


def register(count: int) -> Wills:
    """Refusals of every SMS (half of the numbers), every call (a third), and both (the rest), at random."""
    draw = np.random.default_rng(1)
    sets: dict[Channel, BitMap64] = {"sms": BitMap64(), "call": BitMap64()}
    for first in range(FIRST, FIRST + DENSITY * count, CHUNK):
        numbers = np.arange(first, min(first + CHUNK, FIRST + DENSITY * count), dtype=np.uint64)
        kinds = draw.integers(0, 6 * DENSITY, len(numbers))
        sms: NDArray[np.uint64] = numbers[kinds < 4]
        call: NDArray[np.uint64] = numbers[(kinds >= 3) & (kinds < 6)]
        sets["sms"] |= bitmap_of(sms)
        sets["call"] |= bitmap_of(call)
    return Wills.of_bitmaps(ScopedBitmap(channel, "refusal", EVERYTHING, bitmap) for channel, bitmap in sets.items())


def traffic(records: Sequence[Registered], numbers_count: int) -> list[bytes]:
    """The events of `loadtest.decide`, but whoever has consented to nothing is drawn again from all of the ranges."""
    _, warming, lines = decide.traffic()
    draw = random.Random(2)
    consenting = {
        record.subscriber for record in records if isinstance(record, Expression) and record.will == "consent"
    }
    spread: list[bytes] = []
    for line in (*warming, *lines):
        event = decode_event(line)
        if not isinstance(event, Reply) and event.to not in consenting:
            event = replace(event, to=f"+{FIRST + draw.randrange(DENSITY * numbers_count)}")
        if isinstance(event, Sms) and event.purpose == "service" and event.text:
            event = replace(event, text=event.text.removesuffix(",拒收请回复TD"))  # which no service need say
        spread.append(encode(event))
    return spread


def batch_of(lines: Sequence[bytes], compression: Compression) -> Batch:
    """A record batch as a producer makes it, and its records as a consumer does."""
    builder = DefaultRecordBatchBuilder(2, CODECS[compression], 0, -1, -1, -1, 1 << 30)
    consumed: list[Record] = []
    for offset, line in enumerate(lines):
        event = decode_event(line)
        key = (event.from_ if isinstance(event, Reply) else event.to).encode()
        builder.append(offset, decide.NOW, key, line, [])
        consumed.append(Consumed(offset, decide.NOW, key, line))
    return Batch(bytes(builder.build()), consumed)


def sample_share() -> float:
    """How much of the sample traffic is left to Python."""
    few = sample(now=decide.NOW, refusals_count=REFUSALS_COUNT_MIN, silent_count=10_000)
    expressions = [repeated.expression(index) for repeated in few.expressions for index in repeated.who]
    registry = registry_of([*few.records(), *expressions])
    native = NativeBatches(Decider(load(), registry), BasedWills.following(registry.wills), partitions=12)
    lines = [encode(event) for event in Traffic(few, own(), seed=1).events(SAMPLE_COUNT, now=decide.NOW)]
    raw = batch_of(lines, "none").raw
    outcome = native.decide(raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=decide.NOW)
    return len(outcome.fallback) / SAMPLE_COUNT


if __name__ == "__main__":
    main()
