"""What counting activity costs on the filter's hot path, in microseconds an event: `python -m loadtest.activity`.

The demo's traffic is decided by the demo's registry, and its decisions are handed to an `ActivityCounter` in batches of
the size that a consumer hands out, as the worker does it; closed windows are left out, which have a loop of their own.
Once as it is, and once without the test of claims (whether a number bears out the sender that an event names): the
difference is what it costs that nobody can be blamed in another's name. The two take turns, so that what else the
machine does meets both; CPU time, the median of several rounds.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple
from unittest.mock import patch

from stream.deciding import activity
from stream.deciding.activity import CLAIMED, ActivityCounter, AnswerTable, DecisionColumns, Owner, acts_of
from stream.model.decision import Decision
from stream.model.fields import Channel
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry, registry_of
from stream.testbed import texts
from stream.testbed.sample import sample
from stream.testbed.traffic import Traffic

NOW: Final = 1_795_500_000_000
EVENTS_COUNT: Final = 200_000
BATCH_COUNT: Final = 500
ROUNDS_COUNT: Final = 9
PEOPLE_COUNT: Final = 20_000


class Cost(NamedTuple):
    """Microseconds an event."""

    tested: float
    believed: float


def decisions(registry: Registry, traffic: Traffic, *, count: int) -> list[Decision]:
    """What the demo's traffic is answered with."""
    return Decider(load(), registry).decide_all(traffic.events(count, now=NOW), NOW)


def measure(registry: Registry, decided: list[Decision]) -> Cost:
    """The same decisions counted with the test of claims and without, in turns."""

    def owner(channel: Channel, number: str) -> str | None:  # as the worker asks
        holding = registry.ownership[channel].owner(number)
        return holding.sender if holding is not None else None

    def believe(channel: Channel, number: str) -> str | None:
        raise AssertionError(f"no claim is tested: {channel} {number}")

    def rounds() -> Iterator[tuple[float, float]]:
        for _ in range(ROUNDS_COUNT):
            tested = _counted(decided, owner)
            with patch.object(activity, "CLAIMED", frozenset()):
                yield tested, _counted(decided, believe)

    tested, believed = (statistics.median(costs) / len(decided) * 1e6 for costs in zip(*rounds(), strict=True))
    return Cost(tested, believed)


def _counted(decided: list[Decision], owner: Owner) -> float:
    counter, table = ActivityCounter("run"), AnswerTable()
    timestamps = [NOW] * BATCH_COUNT
    begun = time.process_time()
    for at in range(0, len(decided), BATCH_COUNT):
        batch = decided[at : at + BATCH_COUNT]
        columns = DecisionColumns(
            batch, [one.to for one in batch], [one.from_ for one in batch], timestamps[: len(batch)]
        )
        counter.add(acts_of(columns, (), owner=owner, table=table), now=NOW)
    return time.process_time() - begun


def main() -> None:
    """Print the costs, and how often there is a claim to test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS_COUNT)
    count = parser.parse_args().events
    people = sample(now=NOW, refusals_count=PEOPLE_COUNT, silent_count=PEOPLE_COUNT)
    expressions = (repeated.expression(index) for repeated in people.expressions for index in repeated.who)
    registry = registry_of((*people.records(), *expressions))
    decided = decisions(registry, Traffic(people, texts.own(), seed=1), count=count)
    claims = Counter(one.reason for one in decided if one.sender is not None and one.reason in CLAIMED)
    cost = measure(registry, decided)
    share = claims.total() / len(decided)
    print(f"{'as it is':<24}{cost.tested:6.3f} µs an event")
    print(f"{'without testing claims':<24}{cost.believed:6.3f} µs an event")
    print(f"{share:.1%} of events are claims: {(cost.tested - cost.believed) / max(share, 1e-9):.2f} µs each")
    print(", ".join(f"{reason} {each / len(decided):.2%}" for reason, each in claims.most_common()))


if __name__ == "__main__":
    main()
