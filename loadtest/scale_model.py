"""The model of scale: what a million and ten million events a second need, from costs that were measured. Pure.

Costs come from results (`measured`); what was not measured stands in `Assumptions`, each with its sentence. The
arithmetic is that of utilisation: what an event costs times how many there are, over the share of a
resource that one plans to use. It knows nothing of queues; delays are measured (`latency`, `burst`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from loadtest.cluster import LoadtestError
from loadtest.figures import Result
from loadtest.programs import FILTER

NEEDED: Final = ("throughput", "sensitivity", "cold-start", "registry-churn")
MIB: Final = 1 << 20
BILLION: Final = 1_000_000_000
SMALL: Final = 0.25
"""Of a machine: what needs less than this of every resource has no bottleneck."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs as they were measured on one machine."""

    worker_us: float
    """processor time of a worker per event"""
    broker_us: float
    """processor time of the broker per event: taken in, handed out, its decision taken in; one replica"""
    event_bytes: float
    decision_bytes: float
    us_per_kilobyte: float
    """more processor time of a worker for each further 1,000 bytes of text"""
    number_bytes: float
    """of a snapshot, and of memory, per number that refuses everything"""
    load_s_per_million: float
    records_per_cpu_s: float


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What was not measured. Change it here, and the document follows."""

    compressed_share: float = 0.4
    """of the bytes of events and decisions, as they travel and are stored: real texts in batches of some hundreds. The
    sample's, made from templates, compress to an eighth, decisions to a tenth, which would flatter"""
    replicas: int = 3
    """copies of each record"""
    replica_cost: float = 0.4
    """of a broker's processor time per event, for each further replica: it fetches in large batches and checks them"""
    readers: int = 2
    """that read decisions besides the filter's own topics: gateways, and the archive"""
    used_share: float = 0.6
    """of a core or a network card that one plans to use: the rest is for bursts and for a host that is away"""
    host_cores: int = 16
    host_gib: int = 64
    broker_cores: int = 16
    card_gbit_s: float = 25.0
    """of a broker's network card, each way"""
    disk_mb_s: float = 1_000.0
    """that a broker writes, steadily"""
    broker_tb: float = 30.0
    """of a broker's disks, to be filled"""
    retention_days: int = 3
    """of events and decisions in Kafka; the archive keeps them longer"""
    core_hour_price: float = 0.04
    """in whatever currency: of a core of a rented machine with its share of memory and disk"""
    worker_mib: float = 250.0
    """a worker's own memory, without the registry that it shares"""


@dataclass(frozen=True, slots=True)
class Need:
    """What a rate needs."""

    rate: int
    worker_cores: float
    """busy"""
    workers: int
    hosts: int
    broker_cores: float
    """busy"""
    partitions: int
    gbit_in: float
    """into all brokers, copies included"""
    gbit_out: float
    disk_mb_s: float
    disk_tb: float
    brokers: int
    """at least as many as copies of a record"""
    machines_by: Mapping[str, float]
    """how many machines each resource alone would fill"""

    @property
    def bottleneck(self) -> str:
        """The resource that fills most machines: what runs out first."""
        if max(self.machines_by.values()) < SMALL:
            return "none"
        return max(self.machines_by, key=lambda name: self.machines_by[name])


def measured(results: Mapping[str, Result]) -> Measured:
    """The costs that results tell. Raises `LoadtestError` that names the scenarios to run where some are missing."""
    missing = [name for name in NEEDED if name not in results]
    if missing:
        raise LoadtestError(f"the model needs published results of {', '.join(missing)}: run them, then `report`")
    through, sizes = results["throughput"], results["sensitivity"]
    cold, churn = results["cold-start"], results["registry-churn"]
    texts = [row for row in sizes.rows if row.startswith("text")]
    by_bytes = [(sizes.figure(row, "event_bytes").median, sizes.figure(row, "cpu_us").median) for row in texts]
    registries = sorted((int(row.split()[0].replace(",", "")), row) for row in cold.rows)
    snapshots = [(count, cold.figure(row, "snapshot_mib").median * MIB) for count, row in registries]
    starts = [(count / 1e6, cold.figure(row, "first_decision_s").median) for count, row in registries]

    def of_filter(name: str) -> float:
        return through.figure(FILTER, name).median

    return Measured(
        worker_us=of_filter("cpu_us"),
        broker_us=of_filter("broker_cpu_us"),
        event_bytes=of_filter("event_bytes"),
        decision_bytes=of_filter("decision_bytes"),
        us_per_kilobyte=1_000 * slope(by_bytes),
        number_bytes=slope(snapshots),
        load_s_per_million=slope(starts),
        records_per_cpu_s=churn.figure("idle worker", "records_per_cpu_s").median,
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line between the first and the last point; never below 0, which would be noise."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return max(0.0, (y1 - y0) / (x1 - x0)) if x1 != x0 else 0.0


def need(rate: int, cost: Measured, assumed: Assumptions, *, text_bytes: float = 0.0) -> Need:
    """What so many events a second need; `text_bytes` more than those measured. Linear in all that it is given."""
    worker_us = cost.worker_us + cost.us_per_kilobyte * text_bytes / 1_000
    event_bytes = assumed.compressed_share * (cost.event_bytes + text_bytes)
    decision_bytes = assumed.compressed_share * cost.decision_bytes
    worker_cores = rate * worker_us / 1e6
    workers = max(1, ceil(worker_cores / assumed.used_share))
    longer = (event_bytes + decision_bytes) / (assumed.compressed_share * (cost.event_bytes + cost.decision_bytes))
    broker_us = cost.broker_us * longer * (1 + assumed.replica_cost * (assumed.replicas - 1))
    broker_cores = rate * broker_us / 1e6
    written = rate * (event_bytes + decision_bytes)
    bytes_in = written * assumed.replicas
    # Out: copies to followers, events to the filter and to the archive, decisions to whoever reads them.
    bytes_out = written * (assumed.replicas - 1) + rate * (2 * event_bytes + assumed.readers * decision_bytes)
    card = assumed.card_gbit_s * assumed.used_share
    gbit_in, gbit_out, disk_mb_s = 8 * bytes_in / 1e9, 8 * bytes_out / 1e9, bytes_in / 1e6
    disk_tb = bytes_in * 86_400 * assumed.retention_days / 1e12
    hosts = workers / (assumed.host_cores - 1)
    brokers_by = {
        "cores of brokers": broker_cores / (assumed.broker_cores * assumed.used_share),
        "network of brokers": max(gbit_in, gbit_out) / card,
        "disks of brokers, by speed": disk_mb_s / (assumed.disk_mb_s * assumed.used_share),
        "disks of brokers, by size": disk_tb / assumed.broker_tb,
    }
    return Need(
        rate=rate,
        worker_cores=worker_cores,
        workers=workers,
        hosts=ceil(hosts),
        broker_cores=broker_cores,
        partitions=max(12, 12 * ceil(2 * workers / 12)),
        gbit_in=gbit_in,
        gbit_out=gbit_out,
        disk_mb_s=disk_mb_s,
        disk_tb=disk_tb,
        brokers=max(assumed.replicas, ceil(max(brokers_by.values()))),
        machines_by={"cores of filter hosts": hosts, **brokers_by},
    )


def core_hours_per_billion(cost: Measured, assumed: Assumptions) -> tuple[float, float]:
    """Core-hours that are rented for a billion decisions: of the filter, of the brokers."""
    one = need(BILLION, cost, assumed)
    return one.worker_cores / assumed.used_share / 3_600, one.broker_cores / assumed.used_share / 3_600
