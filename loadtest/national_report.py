"""The figures of `national.py`, and their table with the goals, and a slope to two billion pairs."""

from collections.abc import Iterator
from typing import Final

import msgspec

from loadtest.machine import Machine

MIB: Final = 1 << 20

REFUSAL_BITS_MAX: Final = 5.0
REFUSAL_MB_MAX: Final = 350.0
LOAD_S_MAX: Final = 2.0
FIRST_DECISION_S_MAX: Final = 5.0
LOOK_UP_NS_MAX: Final = 250.0
EXPRESSIONS_PER_S_MIN: Final = 500_000.0
SLOPE_PAIRS: Final = 2_000_000_000


class Built(msgspec.Struct, frozen=True):
    """Everything in one process, and its file."""

    refusals_count: int
    pairs_count: int
    range_size: int
    in_use_count: int
    refusal_bits: float
    """serialised, per refusal"""
    refusal_bytes: int
    pair_bytes: float
    """serialised, per consent"""
    memory_per_pair_bytes: float
    """in memory, with all that the allocator adds"""
    memory_bytes: int
    build_s: float
    file_bytes: int
    write_s: float


class Loaded(msgspec.Struct, frozen=True):
    """One file read."""

    load_s: float
    memory_bytes: int


class Worker(msgspec.Struct, frozen=True):
    """What one worker takes, of those that share a base."""

    before_bytes: int
    after_bytes: int
    updates_count: int
    update_cpu_s: float


class FoldRate(msgspec.Struct, frozen=True):
    """Expressions folded into an overlay, by the share of them that refuse everything."""

    everything_share: float
    per_second: float


class LookUp(msgspec.Struct, frozen=True):
    """One question, of consents and of up to four sets of refusals."""

    what: str
    ns: float


class Report(msgspec.Struct, frozen=True):
    """All figures."""

    machine: Machine
    scale: float
    built: Built
    loaded_refusals: Loaded
    """the file of the refusals alone"""
    loaded: Loaded
    workers: tuple[Worker, ...]
    updates_per_s: int
    updates_s: int
    supervisor_bytes: int
    folds: tuple[FoldRate, ...]
    look_ups: tuple[LookUp, ...]
    first_decision_s: float
    """`wurao decide` of one event, from the start of the process"""


def lines(report: Report) -> Iterator[str]:
    """The table, line by line."""
    built = report.built
    yield str(report.machine)
    yield (
        f"{built.refusals_count:,} refusals of everything and {built.pairs_count:,} consents to 5,000 senders, over "
        f"{built.range_size:,} numbers of which {built.in_use_count:,} are in use"
    )
    yield from _sizes(report)
    yield from _workers(report)
    yield from _rates(report)
    yield from _slope(report)


def _sizes(report: Report) -> Iterator[str]:
    built, refusals = report.built, report.loaded_refusals
    yield _row("bits per refusal", f"{built.refusal_bits:.2f}", built.refusal_bits <= REFUSAL_BITS_MAX, "≤ 5")
    megabytes = built.refusal_bytes / 1e6
    yield _row("the refusals, serialised", f"{megabytes:,.0f} MB", megabytes <= REFUSAL_MB_MAX, "≤ 350 MB")
    yield _row("the refusals alone: loaded in", f"{refusals.load_s:.2f} s", refusals.load_s < LOAD_S_MAX, "< 2 s")
    yield _row("a consent, serialised", f"{built.pair_bytes:.2f} B")
    yield _row("a consent, in memory", f"{built.memory_per_pair_bytes:.2f} B")
    yield _row("built in (processor time)", f"{built.build_s:.0f} s")
    yield _row("file of everything", f"{built.file_bytes / 1e6:,.0f} MB, written in {built.write_s:.1f} s")
    yield _row("everything loaded in", f"{report.loaded.load_s:.2f} s", report.loaded.load_s < LOAD_S_MAX, "< 2 s")
    yield _row("everything in memory", f"{report.loaded.memory_bytes / MIB:,.0f} MiB")
    first = report.first_decision_s
    yield _row("start to first decision (wall)", f"{first:.2f} s", first < FIRST_DECISION_S_MAX, "< 5 s")


def _workers(report: Report) -> Iterator[str]:
    before = sum(worker.before_bytes for worker in report.workers)
    after = sum(worker.after_bytes for worker in report.workers)
    updates, cpu_s = report.workers[0].updates_count, report.workers[0].update_cpu_s
    hours = report.updates_s / 3600
    yield f"{len(report.workers)} workers sharing a base by fork (Pss, which adds up; the supervisor is not counted)"
    yield _row("each, before", f"{before / len(report.workers) / MIB:,.0f} MiB")
    yield _row(
        f"each, after {hours:g} h of {report.updates_per_s:,} expressions a second",
        f"{after / len(report.workers) / MIB:,.0f} MiB ({(after - before) / len(report.workers) / MIB:+,.0f})",
    )
    yield _row("expressions applied", f"{updates:,} in {cpu_s:.1f} s of processor time")


def _rates(report: Report) -> Iterator[str]:
    yield "expressions applied to a worker's overlay, batches of 10,000"
    for fold in report.folds:
        enough = fold.per_second >= EXPRESSIONS_PER_S_MIN
        yield _row(
            f"{fold.everything_share:4.0%} refuse everything", f"{fold.per_second:,.0f} a second", enough, "≥ 500,000"
        )
    yield "one question (a set of consents, up to four of refusals), a Python loop included"
    for look in report.look_ups:
        goal = "in cache" in look.what
        yield _row(look.what, f"{look.ns:,.0f} ns", *((look.ns <= LOOK_UP_NS_MAX, "≤ 250 ns") if goal else ()))


def _slope(report: Report) -> Iterator[str]:
    built, loaded, refusals = report.built, report.loaded, report.loaded_refusals
    pairs = built.pairs_count
    seconds = refusals.load_s + (loaded.load_s - refusals.load_s) / pairs * SLOPE_PAIRS
    file_gb = (built.refusal_bytes + built.pair_bytes * SLOPE_PAIRS) / 1e9
    memory_gb = (refusals.memory_bytes + (loaded.memory_bytes - refusals.memory_bytes) / pairs * SLOPE_PAIRS) / 1e9
    yield "on paper, by this slope: two billion consents beside the same refusals"
    yield _row("file, memory, load", f"{file_gb:.1f} GB, {memory_gb:.1f} GB, {seconds:.0f} s")


def _row(what: str, found: str, met: bool | None = None, goal: str = "") -> str:  # noqa: FBT001  # a cell of a table
    compared = "" if met is None else f"   goal {goal}: {'met' if met else 'NOT MET'}"
    return f"  {what:<64}{found:>28}{compared}"
