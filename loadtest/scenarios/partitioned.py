"""Partitioned mode: what a registry adds to a host's processes, and how long a partition that moves stands still.

Memory is what smaps says of real workers, less that of workers with an empty registry; shared pages are divided among
those that share them. Pauses are seen from outside: from an event's time to its decision's, in partitions that move and
in those that stay, while a second worker joins: first with no snapshot on its host, then with one. Each host keeps its
snapshots apart.
"""

import asyncio
import signal
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from bloom.partition import partitions_of, partitions_of_numbers
from loadtest.environment import Rig, note
from loadtest.figures import Row, Taken
from loadtest.options import RunOptions
from stream.clock import now_ms
from stream.filter.delivery import send
from stream.filter.partition_assignment import GIVE_BACK_AFTER_S
from stream.kafka import clients
from stream.model.topics import DECISIONS, EVENTS_SMS, EXPRESSIONS
from stream.testbed.processes import FilterProcess, usage

FIRST: Final = 8_613_000_000_000
SPREAD_OVER: Final = 500
"""Of so many numbers one refuses."""
CHUNK: Final = 100_000
EVENT_EVERY_S: Final = 0.02
"""Between two events of one partition: what a pause is known to."""

SETTLE_S: Final = 3.0


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Memory of each mode, then both ways to join; each from a start of its own."""
    await rig.make_topics()
    empty = {mode: await _memory(rig, mode, host="empty") for mode in ("replicated", "partitioned")}
    chance = np.random.default_rng(2)
    drawn = chance.integers(0, SPREAD_OVER * options.refusals_count, options.refusals_count)
    await _refuse_everything(rig, FIRST + np.unique(drawn).astype(np.uint64))
    note(f"{options.refusals_count:,} refusals are written")
    for turn in range(options.repeat):
        rows: dict[str, Row] = {}
        for row, mode, fold in (
            ("replicated", "replicated", False),
            ("partitioned, from the topic", "partitioned", True),
            ("partitioned, from snapshots", "partitioned", False),
        ):
            found = await _memory(rig, mode, host=f"full-{turn}", fold=fold)
            rows[row] = {name: value - empty[mode][name] for name, value in found.items()}
        rows["joins without snapshots"] = await _pause(rig, turn=turn, with_snapshots=False)
        rows["joins with snapshots"] = await _pause(rig, turn=turn, with_snapshots=True)
        for name, figures in rows.items():
            note(f"{name:<28}" + "  ".join(f"{figure} {value:,.1f}" for figure, value in figures.items()))
        yield Taken(rows=rows)


@asynccontextmanager
async def _host(rig: Rig, name: str, *, mode: str, group: str, workers: int = 1) -> AsyncIterator[FilterProcess]:
    """A host's filter that is ready, for as long as the block lasts."""
    process = rig.filter(
        workers=workers,
        name=f"{name}-{group}",
        group=group,
        settings={
            "WURAO_REGISTRY__MODE": mode,
            "WURAO_REGISTRY__SNAPSHOTS": str(rig.directory / f"{name}-{mode}"),
            "WURAO_FILTER__NATIVE": "off",
        },
    )
    process.start()
    try:
        await process.ready()
        yield process
    finally:
        await asyncio.to_thread(process.stop)


async def _memory(rig: Rig, mode: str, *, host: str, fold: bool = False) -> Row:
    """What a host's processes take; with `fold` it makes snapshots afterwards."""
    async with _host(rig, host, mode=mode, group=rig.group(), workers=2) as process:
        await asyncio.sleep(SETTLE_S + GIVE_BACK_AFTER_S)
        supervisor, *workers = (
            taken.pss_mib for pid in (process.pid, *process.worker_pids()) if (taken := usage(pid)) is not None
        )
        if fold:
            await _fold(rig, process)
    return {"supervisor_mib": supervisor, "worker_mib": statistics.mean(workers)}


async def _pause(rig: Rig, *, turn: int, with_snapshots: bool) -> Row:
    """Let a second worker join one that holds everything; the longest time from an event to its decision."""
    group = rig.group()
    newcomer = f"{'with' if with_snapshots else 'without'}-{turn}"
    if with_snapshots:
        async with _host(rig, newcomer, mode="partitioned", group=rig.group()) as process:
            await _fold(rig, process)
    ending = asyncio.Event()
    async with _host(rig, f"first-{turn}", mode="partitioned", group=group):
        trickling = asyncio.create_task(_trickle(rig, ending))
        await asyncio.sleep(SETTLE_S)
        async with _host(rig, newcomer, mode="partitioned", group=group) as second:
            await asyncio.sleep(SETTLE_S)
            ending.set()
            longest = await _decided(rig, await trickling)
            loaded = _logged(second, "partition loaded")
    moved = {int(line["partition"]) for line in loaded}
    of_moved = [took for partition, took in longest.items() if partition in moved]
    return {
        "stayed_max_ms": max(took for partition, took in longest.items() if partition not in moved),
        "moved_median_ms": statistics.median(of_moved),
        "moved_max_ms": max(of_moved),
        "loading_max_ms": 1000 * max(float(line["pause_s"]) for line in loaded),
    }


async def _refuse_everything(rig: Rig, numbers: NDArray[np.uint64]) -> None:
    """Write a refusal of every SMS for each number."""
    of = partitions_of_numbers(numbers, rig.partitions)
    async with rig.producer() as producer:
        for partition in range(rig.partitions):
            texts = [f"+{number}" for number in numbers[of == partition].tolist()]
            for first in range(0, len(texts), CHUNK):
                records = [_refusal(text) for text in texts[first : first + CHUNK]]
                await asyncio.gather(*await send(producer, EXPRESSIONS, partition, records, now=now_ms()))


def _refusal(text: str) -> tuple[bytes, bytes]:
    value = f'{{"kind":"expression","subscriber":"{text}","channel":"sms","will":"refuse","time":1,"source":"bench"}}'
    return f"{text}|sms|*|*".encode(), value.encode()


async def _trickle(rig: Rig, ending: asyncio.Event) -> dict[str, int]:
    """An event in each partition every now and then, until `ending`; returns when each was written (ms)."""
    subscribers = _one_in_each(rig.partitions)
    written: dict[str, int] = {}
    async with rig.producer() as producer:
        while not ending.is_set():
            now = now_ms()
            for partition, subscriber in enumerate(subscribers):
                name = f"{now}:{partition}"
                value = orjson.dumps({"kind": "sms", "id": name, "time": now, "to": subscriber, "from": "95588"})
                await producer.send(EVENTS_SMS, value, subscriber.encode(), partition=partition, timestamp_ms=now)
                written[name] = now
            await asyncio.sleep(EVENT_EVERY_S)
        await producer.flush()
    return written


def _one_in_each(partitions: int) -> Sequence[str]:
    texts = [f"+{FIRST + step}" for step in range(50 * partitions)]
    of = partitions_of(texts, partitions).tolist()
    return [texts[of.index(partition)] for partition in range(partitions)]


async def _decided(rig: Rig, names: Mapping[str, int]) -> dict[int, float]:
    """Partition → the longest time from one of these events to its decision, milliseconds."""
    consumer = clients.follower(rig.config, client="loadtest")
    consumer.assign(clients.partitions(DECISIONS, rig.partitions))
    await consumer.start()
    longest: dict[int, float] = {}
    left = set(names)
    try:
        await consumer.seek_to_beginning(*consumer.assignment())
        while left:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    decision = orjson.loads(record.value)
                    if decision["event"] in left:
                        left.discard(decision["event"])
                        took = decision["decided"] - names[decision["event"]]
                        longest[record.partition] = max(longest.get(record.partition, 0), took)
    finally:
        await consumer.stop()
    return longest


async def _fold(rig: Rig, process: FilterProcess) -> None:
    """Let a host make snapshots of all partitions."""
    process.signal(signal.SIGUSR1)
    while len(_logged(process, "snapshot of a partition made")) < rig.partitions:
        process.check()
        await asyncio.sleep(0.2)


def _logged(process: FilterProcess, event: str) -> list[dict[str, float]]:
    """What a host has logged of one event."""
    return [orjson.loads(line) for line in process.log.splitlines() if f'"{event}"' in line]
