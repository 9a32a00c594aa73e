"""`python -m loadtest bench`: the figures of this project, measured one after the other on one broker.

Prints tables with ratios and writes all of it, each turn included, as JSON into `loadtest/results/`.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from loadtest.machine import Machine, describe
from loadtest.propagation import Applied, Propagation, applied, propagation
from loadtest.rig import Rig, note, rigged
from loadtest.throughput import FILTER, PASSTHROUGH, PASSTHROUGH_TOPIC, PLAIN, PLAIN_TOPIC, Measured, compare
from stream.kafka import jars

RESULTS: Final = Path(__file__).parent / "results"

CHURN_PER_S: Final = 50_000
FRESH_FIRST: Final = 100_000_000
"""Subscribers from here on are in no sample registry."""

FRESH_EACH: Final = 10_000_000

GOALS: Final = {PASSTHROUGH: 0.5, PLAIN: 3.0}
"""What the filter should reach of each peer, per CPU-second."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    events_count: int
    refusals_count: int
    turns: int
    propagation_s: float
    applied_count: int
    parts: tuple[str, ...]
    """modules whose figures need no broker"""


WHOLE: Final = Size(1_000_000, 2_000_000, 3, 12.0, 500_000, ("loadtest.decide", "loadtest.bitmaps"))
QUICK: Final = Size(200_000, 300_000, 1, 4.0, 200_000, ("loadtest.decide",))


class Results(msgspec.Struct, frozen=True):
    """All figures of a run."""

    time: str
    machine: Machine
    events_count: int
    event_bytes: float
    refusals_count: int
    throughput: tuple[Measured, ...]
    propagation: tuple[Propagation, ...]
    applied: Applied
    parts: dict[str, str]
    took_s: float


def run(size: Size) -> Path:
    """Measure, print, and write the results; returns their file."""
    began = time.monotonic()
    machine = describe(kafka=_kafka_version())
    note(str(machine))
    parts = {name: _part(name) for name in size.parts}
    with rigged() as rig:
        results = asyncio.run(_measure(rig, size, machine, parts, began))
    print("\n".join(("", *told(results))))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    print(f"\nEvery turn stands in loadtest/results/{path.name}")
    return path


async def _measure(rig: Rig, size: Size, machine: Machine, parts: dict[str, str], began: float) -> Results:
    await rig.make_topics((PASSTHROUGH_TOPIC, PLAIN_TOPIC))
    registry = await rig.write_sample(refusals_count=size.refusals_count)
    note(f"{registry.expressions_count:,} expressions written")
    event_bytes = await rig.write_events(registry, count=size.events_count)
    note(f"{size.events_count:,} events of {event_bytes:.0f} bytes written")
    measured = await compare(rig, events_count=size.events_count, turns=size.turns)
    words: list[Propagation] = []
    for place, churn_per_s in enumerate((0, CHURN_PER_S)):
        indexes = range(FRESH_FIRST + place * FRESH_EACH, FRESH_FIRST + (place + 1) * FRESH_EACH)
        words.append(
            await propagation(
                rig,
                events_count=size.events_count,
                seconds=size.propagation_s,
                churn_per_s=churn_per_s,
                indexes=indexes,
            )
        )
        note(f"a word is in force after {words[-1].p50_ms:.0f} ms (p50), {words[-1].p99_ms:.0f} ms (p99)")
    first = FRESH_FIRST + 2 * FRESH_EACH
    return Results(
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=machine,
        events_count=size.events_count,
        event_bytes=event_bytes,
        refusals_count=size.refusals_count,
        throughput=measured,
        propagation=tuple(words),
        applied=await applied(rig, count=size.applied_count, indexes=range(first, first + FRESH_EACH)),
        parts=parts,
        took_s=time.monotonic() - began,
    )


def told(results: Results) -> Iterator[str]:
    """The tables, line by line."""
    yield f"{results.machine}"
    yield ""
    yield (
        f"Throughput: {results.events_count:,} SMS events of {results.event_bytes:.0f} bytes, 12 partitions, "
        f"{results.refusals_count:,} refusals; one process each; median of {len(results.throughput[0].turns)}"
    )
    yield f"  {'':26}{'per CPU-second':>16}{'spread':>9}{'per second':>13}{'µs an event':>13}"
    for measured in results.throughput:
        yield (
            f"  {measured.program:26}{measured.per_cpu_s:16,.0f}{measured.spread:9.0%}"
            f"{measured.per_wall_s:13,.0f}{1e6 / measured.per_cpu_s:13.1f}"
        )
    yield from _ratios(results)
    yield ""
    yield "A word produced → in force in a worker that is busy with events:"
    yield f"  {'refusals of all written':26}{'p50':>8}{'p99':>9}{'max':>9}{'words':>8}{'never':>7}{'events/s':>11}"
    for words in results.propagation:
        yield (
            f"  {words.churn_per_s:15,.0f} a second   {words.p50_ms:5.0f} ms{words.p99_ms:6.0f} ms"
            f"{words.max_ms:6.0f} ms{words.words_count:8,}{words.never_count:7,}{words.events_per_s:11,.0f}"
        )
    yield ""
    one = results.applied
    yield (
        f"Registry: one idle worker applied {one.records_count:,} refusals of everything at "
        f"{one.per_cpu_s:,.0f} per CPU-second ({one.per_wall_s:,.0f} a second while they were written)"
    )
    for name, text in results.parts.items():
        yield ""
        yield f"python -m {name}"
        yield from (f"  {line}" for line in text.splitlines())
    yield ""
    yield f"All of it took {results.took_s:.0f} s."


def _ratios(results: Results) -> Iterator[str]:
    rates = {measured.program: measured.per_cpu_s for measured in results.throughput}
    for peer, goal in GOALS.items():
        ratio = rates[FILTER] / rates[peer]
        met = "met" if ratio >= goal else "NOT MET"
        yield f"  the filter does {ratio:.2f} × of {peer} per CPU-second (goal: ≥ {goal:g}: {met})"


def _part(module: str) -> str:
    """The figures of a module that needs no broker, as it prints them."""
    note(f"python -m {module}")
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else f"failed with exit code {done.returncode}: {done.stderr[-2000:]}"


def _kafka_version() -> str:
    found = re.search(r"kafka_[0-9.]+-([0-9.]+)\.jar", jars.class_path())
    return found.group(1) if found else "unknown"
