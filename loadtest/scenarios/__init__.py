"""Every scenario: its name, what it measures, and what it is run with unless otherwise asked.

A scenario is an asynchronous generator: it prepares what all turns share, and then gives what each turn measured. It
prints its progress by `environment.note`, never a figure that is not in what it gives.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from loadtest.environment import Rig
from loadtest.figures import Taken
from loadtest.options import RunOptions
from loadtest.scenarios import (
    burst,
    cold_start,
    hostile,
    latency,
    mixed,
    optout,
    partitioned,
    registrar,
    scale,
    sensitivity,
    soak,
    throughput,
    urgent,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that can be measured."""

    name: str
    what: str
    run: Callable[[Rig, RunOptions], AsyncIterator[Taken]]
    whole: RunOptions
    """for figures to quote"""
    quick: RunOptions
    """for a look, within about a minute"""


_SMALL: Final = 200_000
"""Refusals of a registry that is written within a second."""

SCENARIOS: Final[dict[str, Scenario]] = {
    one.name: one
    for one in (
        Scenario(
            "throughput",
            "the filter beside every peer on events that wait: per wall second, per CPU-second, ratios",
            throughput.run,
            RunOptions(repeat=3, events_count=1_000_000, refusals_count=2_000_000),
            RunOptions(repeat=1, events_count=200_000, refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "latency",
            "event due → acknowledged, and in a gateway's hands: at 1,000, 20,000, 100,000 and half of saturation",
            latency.run,
            RunOptions(repeat=3, seconds=30.0, rates=(1_000, 20_000, 100_000, latency.HALF), events_count=400_000),
            RunOptions(
                repeat=1,
                seconds=6.0,
                rates=(1_000, 20_000, latency.HALF),
                events_count=150_000,
                refusals_count=_SMALL,
                quick=True,
            ),
        ),
        Scenario(
            "mixed",
            "SMS, calls, replies and emergencies together: the delay of each kind",
            mixed.run,
            RunOptions(repeat=3, seconds=30.0, rates=(10_000,)),
            RunOptions(repeat=1, seconds=8.0, rates=(10_000,), refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "optout-propagation",
            "refusal produced → applied by all workers (propagation), while events flow",
            optout.propagation,
            RunOptions(repeat=3, seconds=20.0, rates=(10_000,), workers=(2,)),
            RunOptions(repeat=1, seconds=6.0, rates=(10_000,), workers=(2,), refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "registry-churn",
            "the same, and the events' own delay, while 50,000 registry records a second are written",
            optout.churning,
            RunOptions(repeat=3, seconds=20.0, rates=(10_000,), churn_per_s=50_000, everything_share=0.2),
            RunOptions(
                repeat=1,
                seconds=6.0,
                rates=(10_000,),
                churn_per_s=50_000,
                everything_share=0.2,
                refusals_count=_SMALL,
                quick=True,
            ),
        ),
        Scenario(
            "cold-start",
            "start of the process → first decision, with snapshots of so many numbers",
            cold_start.run,
            RunOptions(repeat=3, numbers=(1_000_000, 50_000_000, 500_000_000), refusals_count=10_000),
            RunOptions(repeat=1, numbers=(1_000_000, 10_000_000), refusals_count=10_000, quick=True),
        ),
        Scenario(
            "scale",
            "1, 2 and 4 workers on the same events",
            scale.run,
            RunOptions(repeat=3, workers=(1, 2, 4), events_count=2_000_000),
            RunOptions(repeat=1, workers=(1, 2), events_count=300_000, refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "sensitivity",
            "what an event costs as events grow and as the registry grows",
            sensitivity.run,
            RunOptions(repeat=3, events_count=400_000, numbers=(50_000_000, 500_000_000)),
            RunOptions(repeat=1, events_count=120_000, numbers=(10_000_000,), refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "partitioned",
            "partitioned mode: what a registry adds to processes, and how long partitions that move stand still",
            partitioned.run,
            RunOptions(repeat=3),
            RunOptions(repeat=1, refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "registrar",
            "requests to the registry: what a file's expression costs, and the delay of single requests beside it",
            registrar.run,
            RunOptions(repeat=3, seconds=30.0, rates=(20,), events_count=1_000_000),
            RunOptions(repeat=1, seconds=8.0, rates=(20,), events_count=200_000, quick=True),
        ),
        Scenario(
            "soak",
            "steady traffic with workers killed now and then: nothing lost, no memory that grows",
            soak.run,
            RunOptions(repeat=1, seconds=900.0, rates=(2_000,), workers=(2,), refusals_count=_SMALL),
            RunOptions(repeat=1, seconds=60.0, rates=(2_000,), workers=(2,), refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "hostile",
            "hostile events beside good ones, at half of saturation: nobody dies or grows, good ones are not held up",
            hostile.run,
            RunOptions(
                repeat=1,
                seconds=60.0,
                rates=(0,),
                workers=(2,),
                refusals_count=_SMALL,
                hostile_count=1_000_000,
                alone_count=10_000_000,
            ),
            RunOptions(
                repeat=1,
                seconds=8.0,
                rates=(0,),
                workers=(2,),
                refusals_count=_SMALL,
                hostile_count=50_000,
                alone_count=50_000,
                quick=True,
            ),
        ),
        Scenario(
            "burst",
            "ten times the usual rate for ten seconds: time until nothing waits, and the worst delay",
            burst.run,
            RunOptions(repeat=3, seconds=20.0, rates=(5_000,)),
            RunOptions(repeat=1, seconds=8.0, rates=(3_000,), refusals_count=_SMALL, quick=True),
        ),
        Scenario(
            "urgent",
            "emergency SMS while ten million others wait: time to decision",
            urgent.run,
            RunOptions(repeat=3, seconds=20.0, rates=(50,), backlog=10_000_000),
            RunOptions(repeat=1, seconds=6.0, rates=(50,), backlog=600_000, refusals_count=_SMALL, quick=True),
        ),
    )
}
