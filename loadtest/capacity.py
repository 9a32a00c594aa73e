"""docs/capacity.md, made from the published results by the model of scale: `python -m loadtest capacity`.

Its figures cannot drift from what was measured: a test makes the document again and compares.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from loadtest import report
from loadtest.figures import Result
from loadtest.machine import Machine
from loadtest.scale_model import BILLION, MIB, Assumptions, Measured, Need, core_hours_per_billion, measured, need

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "capacity.md"
STEPS: Final = (10_000, 100_000, 1_000_000, 10_000_000)
REGISTRIES: Final = (50_000_000, 500_000_000, 2_000_000_000)
GIB: Final = 1 << 30
USED_MEMORY_SHARE: Final = 0.8


def document(results: Mapping[str, Result], assumed: Assumptions) -> str:
    """docs/capacity.md."""
    return "\n".join(_lines(results, measured(results), assumed)) + "\n"


def _lines(results: Mapping[str, Result], cost: Measured, assumed: Assumptions) -> Iterator[str]:
    yield "# What it takes"
    yield ""
    yield "Made by `python -m loadtest capacity` from the results in `loadtest/published`; change it there."
    if any(result.options.quick for result in results.values()):
        yield "**Some of these results are quick looks: the figures below are no figures to quote.**"
    yield ""
    yield from _measured(cost, results["throughput"].machine)
    yield ""
    yield from _assumed(assumed)
    yield ""
    yield from _rates(cost, assumed)
    yield ""
    yield from _registries(results["sensitivity"], cost, assumed)
    yield ""
    yield "## What the model leaves out"
    yield ""
    yield "* Small batches: gateways that send one message at a time cost a broker several times as much an event."
    yield "* Links between sites, the archive's own machines, and whatever else a cluster carries."
    yield "* Other processors: costs scale with the speed of a core, ratios hold."


def _measured(cost: Measured, machine: Machine) -> Iterator[str]:
    yield "## Measured"
    yield ""
    yield f"On {machine}."
    yield ""
    yield "| cost | | from |"
    yield "|---|--:|---|"
    yield f"| a worker's processor time per event | {cost.worker_us:.2f} µs | `throughput` |"
    yield f"| the broker's processor time per event, one replica | {cost.broker_us:.2f} µs | `throughput` |"
    yield f"| an event, a decision | {cost.event_bytes:.0f} B, {cost.decision_bytes:.0f} B | `throughput` |"
    yield f"| more per further kilobyte of text | {cost.us_per_kilobyte:.2f} µs | `sensitivity` |"
    yield f"| a number that refuses everything, in memory and snapshot | {cost.number_bytes:.2f} B | `cold-start` |"
    yield f"| a start, per further million of such numbers | {cost.load_s_per_million * 1_000:.1f} ms | `cold-start` |"
    yield f"| registry records applied per CPU-second | {cost.records_per_cpu_s:,.0f} | `registry-churn` |"


def _rates(cost: Measured, assumed: Assumptions) -> Iterator[str]:
    yield "## What a rate needs"
    yield ""
    needs = [need(rate, cost, assumed) for rate in STEPS]
    yield from _table("events a second", [f"{one.rate:,}" for one in needs], {
        "busy cores of workers": [f"{one.worker_cores:.1f}" for one in needs],
        "workers": [f"{one.workers:,}" for one in needs],
        f"filter hosts of {assumed.host_cores} cores": [f"{one.hosts:,}" for one in needs],
        "partitions": [f"{one.partitions:,}" for one in needs],
        "busy cores of brokers": [f"{one.broker_cores:.1f}" for one in needs],
        f"brokers of {assumed.broker_cores} cores": [f"{one.brokers:,}" for one in needs],
        "into brokers, Gbit/s": [f"{one.gbit_in:.2f}" for one in needs],
        "out of brokers, Gbit/s": [f"{one.gbit_out:.2f}" for one in needs],
        "written to disk, MB/s": [f"{one.disk_mb_s:,.0f}" for one in needs],
        f"kept for {assumed.retention_days} days, TB": [f"{one.disk_tb:,.1f}" for one in needs],
        "first bottleneck": [one.bottleneck for one in needs],
    })  # fmt: skip
    yield ""
    yield from _shares(needs)
    yield ""
    yield "Partitions are fixed for life: choose those of the rate that is to come, not of today's."
    yield ""
    yield "## A billion decisions"
    yield ""
    filter_hours, broker_hours = core_hours_per_billion(cost, assumed)
    price = (filter_hours + broker_hours) * assumed.core_hour_price
    yield (
        f"{filter_hours:.2f} core-hours of filter and {broker_hours:.2f} of brokers, rented at "
        f"{assumed.used_share:.0%} use: {price:.2f} at {assumed.core_hour_price} a core-hour."
    )
    yield ""
    yield "## Longer events"
    yield ""
    more = (0, 250, 750)
    longer = [need(1_000_000, cost, assumed, text_bytes=extra) for extra in more]
    yield from _table("bytes an event, at 1,000,000 a second", [f"{cost.event_bytes + extra:.0f}" for extra in more], {
        "workers": [f"{one.workers:,}" for one in longer],
        f"brokers of {assumed.broker_cores} cores": [f"{one.brokers:,}" for one in longer],
        "out of brokers, Gbit/s": [f"{one.gbit_out:.2f}" for one in longer],
        "first bottleneck": [one.bottleneck for one in longer],
    })  # fmt: skip


def _shares(needs: Sequence[Need]) -> Iterator[str]:
    """What each resource alone would fill: how far behind the bottleneck the others are."""
    yield from _table(
        "machines that each resource alone would fill",
        [f"{one.rate:,}" for one in needs],
        {name: [f"{one.machines_by[name]:.2f}" for one in needs] for name in needs[0].machines_by},
    )


def _registries(sizes: Result, cost: Measured, assumed: Assumptions) -> Iterator[str]:
    yield "## A larger registry"
    yield ""
    bytes_each = [count * cost.number_bytes for count in REGISTRIES]
    host_mib = (assumed.host_cores - 1) * assumed.worker_mib
    yield from _table("numbers that refuse everything", [f"{count:,}" for count in REGISTRIES], {
        "shared by a host's workers, GiB": [f"{size / GIB:.2f}" for size in bytes_each],
        "a host in all, GiB": [f"{(size + host_mib * MIB) / GIB:.1f}" for size in bytes_each],
        "a start takes longer by, s": [f"{count / 1e6 * cost.load_s_per_million:.1f}" for count in REGISTRIES],
    })  # fmt: skip
    yield ""
    for row in sizes.rows:
        if row.endswith("numbers"):
            took = sizes.figure(row, "cpu_us").median
            plain = sizes.figure("text × 1", "cpu_us").median
            yield f"* With {row} in it, an event took {took:.2f} µs of a worker, with the sample alone {plain:.2f} µs."
    yield (
        f"* Every worker applies every record of a replicated registry: 50,000 records a second take "
        f"{50_000 / cost.records_per_cpu_s:.0%} of each worker's core, which is then missing for events."
    )
    room = USED_MEMORY_SHARE * assumed.host_gib * GIB - host_mib * MIB
    billions = room / max(cost.number_bytes, 1e-9) / BILLION
    yield (
        f"* Beside its workers a host of {assumed.host_gib} GiB holds {billions:.0f} billion numbers that refuse "
        'everything; where that is too few, `registry.mode = "partitioned"`.'
    )


def _assumed(assumed: Assumptions) -> Iterator[str]:
    yield "## Assumed"
    yield ""
    meanings = {
        "compressed_share": "of the bytes of events and decisions, as they travel and are stored (the sample's texts, "
        "made from templates, compress to an eighth, decisions to a tenth, which would flatter)",
        "replicas": "copies of each record",
        "replica_cost": "of a broker's processor time per event, for each further copy",
        "readers": "readers of decisions: gateways, the archive",
        "used_share": "of a core, a disk or a network card is planned to be used",
        "host_cores": "cores of a filter host, one of them for the system",
        "host_gib": "GiB of memory of a filter host",
        "broker_cores": "cores of a broker",
        "card_gbit_s": "Gbit/s of a broker's network card, each way",
        "disk_mb_s": "MB/s that a broker writes steadily",
        "broker_tb": "TB of disk of a broker, to be filled",
        "retention_days": "days that events and decisions stay in Kafka",
        "core_hour_price": "for an hour of a core with its share of memory and disk, in any currency",
        "worker_mib": "MiB of a worker's own, beside the registry that workers share",
    }
    for one in fields(assumed):
        yield f"* {getattr(assumed, one.name):g} {meanings[one.name]}"


def _table(corner: str, head: Sequence[str], lines: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"| {corner} |" + "".join(f" {one} |" for one in head)
    yield "|---|" + "--:|" * len(head)
    for name, cells in lines.items():
        yield f"| {name} |" + "".join(f" {one} |" for one in cells)


def write() -> Path:
    """Write docs/capacity.md. Raises `LoadtestError` where results are missing."""
    DOCUMENT.write_text(document(report.published(), Assumptions()), encoding="utf-8")
    return DOCUMENT
