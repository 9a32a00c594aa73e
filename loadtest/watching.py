"""A program at work on events that wait: events, wall seconds, CPU-seconds of it and of the broker.

The filter is watched from outside, and start and end are left out (joining a group, the last batches): the figures are
those between the moment when a twentieth of the events is decided and the moment when a twentieth is left. A worker's
own memory is what it shares with no other process, that of the largest, at the second of these moments. Peers count
for themselves, from the first event to the last acknowledgement, since those of Java make several passes until their
compiler has settled and tell of a settled one; what they leave in their topic is looked at too.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from loadtest.cluster import LoadtestError
from loadtest.environment import Offsets, Rig, note
from loadtest.figures import Row
from loadtest.programs import CannotRun, FilterProgram, PeerProgram, cpu_of
from stream.testbed.processes import usage

LOOK_EVERY_S: Final = 0.1
LEFT_OUT: Final = 0.05
RUN_S_MAX: Final = 20.0
"""A slow program is not waited for to the end: its rate is known by then."""

START_S_MAX: Final = 90.0
PASSES_S_MAX: Final = 150.0
"""What a peer that makes several passes may take for all of them."""


class Look(NamedTuple):
    """A moment: what was produced by then, and what it had cost the program and the broker."""

    at_s: float
    cpu_s: float
    broker_cpu_s: float
    produced: int


async def watch(
    rig: Rig, program: FilterProgram, *, events_count: int, workers: int = 1, run_s_max: float = RUN_S_MAX
) -> Row:
    """Start it, watch it at work, end it. Raises `LoadtestError` where it does not get on."""
    async with Offsets(rig.config, program.target) as produced:
        program.start()
        try:
            looks = await _looks(
                rig, program, produced, events_count=events_count, workers=workers, run_s_max=run_s_max
            )
            memory = [taken.own_mib for pid in program.pids() if (taken := usage(pid)) is not None]
        finally:
            await asyncio.to_thread(program.stop)
    return row_of(looks[0], looks[-1]) | ({"worker_own_mib": max(memory)} if memory else {})


async def follow(rig: Rig, peer: PeerProgram, *, events_count: int) -> Row:
    """The same for a peer. One that is slow is asked to end after a while, and tells of what it has done by then."""
    async with Offsets(rig.config, peer.target) as produced:
        before_s = cpu_of(rig.ground.broker_pids)
        peer.start()
        try:
            count = await _until_ended(peer, produced, events_count)
        finally:
            await asyncio.to_thread(peer.stop)
        count = max(count, await produced.count())
        broker_s = cpu_of(rig.ground.broker_pids) - before_s
    report = peer.report()
    if not report.settled:
        note(f"its {report.passes} passes still differ from each other: the figures are those of the last")
    return {
        "events_per_cpu_s": report.events / report.cpu_s,
        "events_per_s": report.events / report.wall_s,
        "cpu_us": 1e6 * report.cpu_s / report.events,
        "broker_cpu_us": 1e6 * broker_s / max(1, count),
        "cpu_share": report.cpu_s / report.wall_s,
        "passes_count": float(report.passes),
    }


async def _until_ended(peer: PeerProgram, produced: Offsets, events_count: int) -> int:
    began, first = time.monotonic(), None
    count = 0
    while peer.poll() is None:
        await asyncio.sleep(LOOK_EVERY_S)
        count = await produced.count()
        moment = time.monotonic()
        if first is None and count:
            first = moment
        slow = first is not None and count < events_count and moment - first > RUN_S_MAX
        if slow or (first is None and moment - began > START_S_MAX) or moment - began > PASSES_S_MAX:
            break
    return count


def row_of(first: Look, last: Look) -> Row:
    """The figures between two looks."""
    count, wall_s, cpu_s = last.produced - first.produced, last.at_s - first.at_s, last.cpu_s - first.cpu_s
    if not count or not cpu_s:
        raise CannotRun("it decided nothing between two looks")
    return {
        "events_per_cpu_s": count / cpu_s,
        "events_per_s": count / wall_s,
        "cpu_us": 1e6 * cpu_s / count,
        "broker_cpu_us": 1e6 * (last.broker_cpu_s - first.broker_cpu_s) / count,
        "cpu_share": cpu_s / wall_s,
    }


async def _looks(
    rig: Rig, program: FilterProgram, produced: Offsets, *, events_count: int, workers: int, run_s_max: float
) -> Sequence[Look]:
    began = time.monotonic()
    looks: list[Look] = []
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        count, pids = await produced.count(), program.pids()
        if count >= LEFT_OUT * events_count and len(pids) >= workers:
            if not looks:
                rig.pin_workers(pids)
            looks.append(Look(time.monotonic(), cpu_of(pids), cpu_of(rig.ground.broker_pids), count))
        if looks and (count >= (1 - LEFT_OUT) * events_count or looks[-1].at_s - looks[0].at_s > run_s_max):
            if looks[-1].produced == looks[0].produced or looks[-1].cpu_s == looks[0].cpu_s:
                raise LoadtestError(
                    f"{events_count:,} events are too few: all were decided between two looks; use a larger --events"
                )
            return looks
        if not looks and time.monotonic() - began > START_S_MAX:
            raise LoadtestError(f"a program had put out {count:,} records after {START_S_MAX:.0f} s: see its log")
