"""What hostile events cost a worker, kind by kind, on both paths: from a record batch's bytes to what is put out.

    python -m loadtest.hostile_cost [--rounds R]

Microseconds of one core for an event, dearest first; no Kafka. Small kinds come 200 to a batch, large ones alone, in
every compression that they come in; the figure is the median of the rounds, each with new events, and the worst of one.
The registry is the sample's. What a kind costs is bounded by its size (docs/limits.md): nothing may take 50 ms.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bloom.base import BasedWills
from stream.deciding.batch import Outputs, decide_batch
from stream.deciding.native import NativeBatches
from stream.deciding.native_batch import Taken, decide_raw
from stream.kafka.seams import bounded
from stream.kafka.seams.bounded import records_in
from stream.kafka.seams.incoming import READABLE, RawBatch
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import registry_of
from stream.testbed.hostile import HostileTraffic, Lot
from stream.testbed.hostile_kinds import CODECS, KINDS, Kind
from stream.testbed.sample import REFUSALS_COUNT_MIN, sample

NOW: Final = 1_795_500_000_000
TOGETHER: Final = 200
ROUNDS_COUNT: Final = 15
PARTITIONS: Final = 12
LIMIT_US: Final = 50_000.0


class Cost(NamedTuple):
    """What an event of a kind costs on one path, in microseconds."""

    median_us: float
    worst_us: float


Way = Callable[[bytes, Lot], Outputs]
"""Decides a batch."""


def ways() -> tuple[Way, Way]:
    """The native path and the Python path, on one registry."""
    some = sample(now=NOW, refusals_count=REFUSALS_COUNT_MIN, silent_count=10_000)
    registry = registry_of([*some.records(), *(one.expression(at) for one in some.expressions for at in one.who)])
    decider = Decider(load(), registry)
    decider.settle(stale=False, epoch="k7Qf2-17")
    native = NativeBatches(decider, BasedWills.following(registry.wills), partitions=PARTITIONS)

    def natively(batch: bytes, lot: Lot) -> Outputs:
        count = sum(record.kind.records for record in lot.records)
        raw = RawBatch(batch, 0, len(batch), 0, count, count, CODECS.index(lot.codec) in READABLE)
        taken = {TopicPartition(lot.topic, lot.partition): Taken([raw], [], count)}
        return decide_raw(taken, native, decider, now=NOW, partitions=PARTITIONS)

    def by_python(batch: bytes, lot: Lot) -> Outputs:
        records = {TopicPartition(lot.topic, lot.partition): records_in(batch)}
        return decide_batch(records, decider, now=NOW, partitions=PARTITIONS)

    return natively, by_python


def cost(way: Way, lots: Sequence[Lot]) -> Cost:
    """What the events of these lots cost: the median lot's, and the worst lot's."""
    spent: list[float] = []
    for lot in lots:
        batch = bytes(lot.batch())
        begun = time.process_time()
        way(batch, lot)
        spent.append(1e6 * (time.process_time() - begun) / len(lot.records))
    return Cost(statistics.median(spent), max(spent))


def lots_of(kind: Kind, *, rounds: int) -> list[Lot]:
    """A kind's lots, in its compressions by turns."""
    traffic = HostileTraffic(seed=1, prefix="h", first=0, partitions=PARTITIONS)
    count = 1 if kind.one_in else TOGETHER
    return [traffic.lot_of(kind, count, now=NOW) for _ in range(rounds)]


def main() -> None:
    """Print a line for each kind."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=ROUNDS_COUNT)
    rounds = arguments.parse_args().rounds
    bounded.install()  # as in every process that makes a consumer
    natively, by_python = ways()
    for way in (natively, by_python):  # what a first batch costs is no kind's
        cost(way, lots_of(random.Random(1).choice(KINDS), rounds=2))
    costs = {
        kind.name: tuple(cost(way, lots_of(kind, rounds=rounds)) for way in (natively, by_python)) for kind in KINDS
    }
    print(f"{'µs an event':<32}{'native':>10}{'worst':>10}{'python':>10}{'worst':>10}")
    for name, both in sorted(costs.items(), key=lambda one: -max(cost.worst_us for cost in one[1])):
        figures = "".join(f"{figure:>10,.0f}" for one in both for figure in one)
        print(f"{name:<32}{figures}{'  more than 50 ms' if max(one.worst_us for one in both) > LIMIT_US else ''}")


if __name__ == "__main__":
    main()
