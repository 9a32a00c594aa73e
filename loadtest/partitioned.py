"""Partitioned mode in figures: what each of two workers holds beside one that holds all, and how long a partition that
moves stands still. `python -m loadtest.partitioned [--numbers N] [--bitmaps]`; some three minutes with two million.

Bitmap bytes are those that sets of numbers take of the heap, from dense to thin, since a hash thins what lies together
(docs/decisions/0011). Process memory is what smaps says of real workers, less that of workers with
an empty register. Pauses are seen from outside: from an event's time to its decision's, in partitions that move and in
those that stay, while a second worker joins: first with no snapshot on its host, then with one.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from bloom.base import BUILT, Base
from bloom.bitmaps import Wills
from bloom.partition import partitions_of, partitions_of_numbers
from bloom.sets import bitmap_of
from bloom.wills import EVERYTHING
from loadtest.machine import describe
from stream import config as configuration
from stream.config import Config
from stream.filter.delivery import send
from stream.filter.partition_assignment import GIVE_BACK_AFTER_S
from stream.kafka import clients, topics
from stream.model.topics import DECISIONS, EVENTS_SMS, EXPRESSIONS
from stream.testbed.local import LocalKafka
from stream.testbed.processes import FilterProcess, usage

PARTITIONS: Final = 12
FIRST: Final = 8_613_000_000_000
SESSION_TIMEOUT_MS: Final = 6_000
CHUNK: Final = 100_000
EVENT_EVERY_S: Final = 0.02
"""Between two events of one partition: what a pause is known to."""

SETTLE_S: Final = 3.0


class Bytes(msgspec.Struct, frozen=True):
    """What a set of numbers takes in memory at one density: in one store, and for a worker with its share of it."""

    density: str
    whole_bytes: float
    """a number"""
    half_share: float
    """what one of two workers takes, as a share of the whole"""
    quarter_share: float
    twelfth_share: float
    thin_half_share: float
    """what one of two would take with a store for each partition"""
    native_bytes: float | None
    """a number, in the native module's base of all; None where that is not built"""
    native_half_share: float | None
    """what the base of one of two workers takes, as a share of that"""
    native_thin_half_share: float | None
    """what it takes until its partitions' bases are folded into one"""


class Memory(msgspec.Struct, frozen=True):
    """What a registry adds to a host's processes, MiB: the supervisor, then two workers. Shared pages are divided
    among those that share them.
    """

    replicated_mib: Sequence[float]
    from_topic_mib: Sequence[float]
    """partitioned, where workers have read the topic"""
    from_snapshots_mib: Sequence[float]
    """partitioned, where workers have read snapshots"""


class Pause(msgspec.Struct, frozen=True):
    """The longest time from an event to its decision, ms, over partitions, while a second worker joined."""

    stayed_ms: float
    moved_median_ms: float
    moved_max_ms: float
    loading_max_ms: float
    """of it, the worker's own: from its assignment until it decided"""


def bitmaps(numbers_count: int) -> Iterator[Bytes]:
    """Count bytes at some densities."""
    chance = np.random.default_rng(1)
    for one_in in (4, 16, 100, 500, 5_000, 50_000):
        numbers = FIRST + np.unique(chance.integers(0, one_in * numbers_count, numbers_count)).astype(np.uint64)
        of = partitions_of_numbers(numbers, PARTITIONS)
        whole = _taken_by([numbers])
        half, quarter, twelfth = (_taken_by([numbers[of < partitions]]) / whole for partitions in (6, 3, 1))
        thin = _taken_by([numbers[of == partition] for partition in range(6)]) / whole
        yield Bytes(f"1 in {one_in:,}", whole / len(numbers), half, quarter, twelfth, thin, *_native(numbers, of))


def _native(numbers: NDArray[np.uint64], of: NDArray[np.int64]) -> tuple[float, float, float] | tuple[None, None, None]:
    """The same of the native module's bases, of numbers that refuse everything."""
    if not BUILT:
        return None, None, None
    whole, half, *thin = (
        Base.of(Wills.of_arrays([("sms", "refusal", EVERYTHING, some)])).bytes_count
        for some in (numbers, numbers[of < 6], *(numbers[of == partition] for partition in range(6)))
    )
    return whole / len(numbers), half / whole, sum(thin) / whole


def _taken_by(sets: Sequence[NDArray[np.uint64]]) -> int:
    """Bytes that a bitmap of each set takes of the heap (mallinfo2, glibc)."""
    before = _heap_bytes()
    kept = [bitmap_of(numbers) for numbers in sets]
    taken = _heap_bytes() - before
    del kept
    return taken


_HEAP_FIGURES: Final = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _HEAP_FIGURES.split()]


def _heap_bytes() -> int:
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Heap
    heap = library.mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


class Stand:
    """A broker, and hosts of workers that keep their snapshots apart."""

    def __init__(self, kafka: LocalKafka, directory: Path) -> None:
        self._kafka = kafka
        self._directory = directory
        self._groups_count = 0

    @property
    def config(self) -> Config:
        """How to reach the broker."""
        return configuration.load(None, self._settings())

    def _settings(self, **more: str) -> dict[str, str]:
        return {
            "WURAO_KAFKA__BOOTSTRAP": self._kafka.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(PARTITIONS),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "WURAO_FILTER__NATIVE": "off",
            **more,
        }

    def group(self) -> str:
        """A group that nobody has joined yet."""
        self._groups_count += 1
        return f"partitioned-{self._groups_count}"

    @contextmanager
    def host(self, name: str, *, mode: str, group: str, workers: int = 1) -> Iterator[FilterProcess]:
        """A host's filter, which ends with the block."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(configuration.ENVIRONMENT_PREFIX)}
        process = FilterProcess(
            kept
            | self._settings(
                WURAO_FILTER__GROUP=group,
                WURAO_REGISTRY__MODE=mode,
                WURAO_REGISTRY__SNAPSHOTS=str(self._directory / f"{name}-{mode}"),
            ),
            workers=workers,
            log=self._directory / f"{name}-{group}.log",
        )
        process.start()
        try:
            yield process
        finally:
            process.stop()

    async def make_topics(self) -> None:
        """Make wurao's topics."""
        admin = clients.admin(self.config)
        await admin.start()
        try:
            await topics.create(admin, self.config.topics)
        finally:
            await admin.close()

    async def refuse_everything(self, numbers: NDArray[np.uint64]) -> None:
        """Write a refusal of every SMS for each number."""
        of = partitions_of_numbers(numbers, PARTITIONS)
        async with self._producer() as producer:
            for partition in range(PARTITIONS):
                texts = [f"+{number}" for number in numbers[of == partition].tolist()]
                for first in range(0, len(texts), CHUNK):
                    records = [_refusal(text) for text in texts[first : first + CHUNK]]
                    await asyncio.gather(*await send(producer, EXPRESSIONS, partition, records, now=_now_ms()))

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[clients.AIOKafkaProducer]:
        producer = clients.producer(self.config, client="loadtest")
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def trickle(self, ending: asyncio.Event) -> dict[str, int]:
        """An event in each partition every now and then, until `ending`; returns when each was written (ms)."""
        subscribers = _one_in_each()
        written: dict[str, int] = {}
        async with self._producer() as producer:
            while not ending.is_set():
                now = _now_ms()
                for partition, subscriber in enumerate(subscribers):
                    name = f"{now}:{partition}"
                    value = orjson.dumps({"kind": "sms", "id": name, "time": now, "to": subscriber, "from": "95588"})
                    await producer.send(EVENTS_SMS, value, subscriber.encode(), partition=partition, timestamp_ms=now)
                    written[name] = now
                await asyncio.sleep(EVENT_EVERY_S)
            await producer.flush()
        return written

    async def decided(self, names: Mapping[str, int]) -> dict[int, float]:
        """Partition → the longest time from one of these events to its decision, milliseconds."""
        consumer = clients.follower(self.config, client="loadtest")
        consumer.assign(clients.partitions(DECISIONS, PARTITIONS))
        await consumer.start()
        longest: dict[int, float] = {}
        left = set(names)
        try:
            for place in consumer.assignment():
                consumer.seek(place, 0)
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


def _refusal(text: str) -> tuple[bytes, bytes]:
    value = f'{{"kind":"expression","subscriber":"{text}","channel":"sms","will":"refuse","time":1,"source":"bench"}}'
    return f"{text}|sms|*|*".encode(), value.encode()


def _one_in_each() -> list[str]:
    texts = [f"+{FIRST + step}" for step in range(50 * PARTITIONS)]
    of = partitions_of(texts, PARTITIONS).tolist()
    return [texts[of.index(partition)] for partition in range(PARTITIONS)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _host_memory(stand: Stand, mode: str, *, name: str, fold: bool = False) -> list[float]:
    with stand.host(name, mode=mode, group=stand.group(), workers=2) as host:
        await host.ready()
        await asyncio.sleep(SETTLE_S + GIVE_BACK_AFTER_S)
        found = [usage(pid) for pid in (host.pid, *host.worker_pids())]
        if fold:
            await asyncio.to_thread(_fold, host)
    return [one.pss_mib for one in found if one is not None]


async def memory(stand: Stand, *, empty: Mapping[str, Sequence[float]]) -> Memory:
    """Measure it, each time from a start of its own."""
    apart = empty["partitioned"]
    return Memory(
        _less(await _host_memory(stand, "replicated", name="full"), empty["replicated"]),
        _less(await _host_memory(stand, "partitioned", name="full", fold=True), apart),
        _less(await _host_memory(stand, "partitioned", name="full"), apart),
    )


def _less(of: Sequence[float], base: Sequence[float]) -> list[float]:
    return [round(one - less, 1) for one, less in zip(of, base, strict=True)]


async def pause(stand: Stand, *, newcomer: str, fold: bool) -> Pause:
    """Let a second worker join one that has everything; with `fold` its host has made snapshots first."""
    group = stand.group()
    if fold:
        with stand.host(newcomer, mode="partitioned", group=stand.group()) as host:
            await host.ready()
            await asyncio.to_thread(_fold, host)
    ending = asyncio.Event()
    with stand.host("first", mode="partitioned", group=group) as first:
        await first.ready()
        trickling = asyncio.create_task(stand.trickle(ending))
        await asyncio.sleep(SETTLE_S)
        with stand.host(newcomer, mode="partitioned", group=group) as second:
            await second.ready()
            await asyncio.sleep(SETTLE_S)
            ending.set()
            longest = await stand.decided(await trickling)
            loaded = _logged(second, "partition loaded")
    moved = {int(line["partition"]) for line in loaded}
    of_moved = [took for partition, took in longest.items() if partition in moved]
    return Pause(
        stayed_ms=max(took for partition, took in longest.items() if partition not in moved),
        moved_median_ms=float(np.median(of_moved)),
        moved_max_ms=max(of_moved),
        loading_max_ms=1000 * max(float(line["pause_s"]) for line in loaded),
    )


def _logged(host: FilterProcess, event: str) -> list[dict[str, float]]:
    """What a host has logged of one event."""
    return [orjson.loads(line) for line in host.log.splitlines() if f'"{event}"' in line]


def _fold(host: FilterProcess) -> None:
    """Let a host make snapshots of all partitions."""
    os.kill(host.pid, signal.SIGUSR1)
    while len(_logged(host, "snapshot of a partition made")) < PARTITIONS:
        time.sleep(0.2)


async def _measure(numbers_count: int, directory: Path) -> None:
    with LocalKafka(profile="bench", heap_mb=1_024) as kafka:
        print(describe(kafka="4.4.0"), flush=True)
        stand = Stand(kafka, directory)
        await stand.make_topics()
        empty = {mode: await _host_memory(stand, mode, name="empty") for mode in ("replicated", "partitioned")}
        print(f"workers with an empty register, MiB: {empty}", flush=True)
        chance = np.random.default_rng(2)
        began = time.monotonic()
        await stand.refuse_everything(FIRST + np.unique(chance.integers(0, 10**9, numbers_count)).astype(np.uint64))
        print(f"{numbers_count:,} refusals written in {time.monotonic() - began:.1f} s", flush=True)
        print(f"memory {msgspec.json.encode(await memory(stand, empty=empty)).decode()}", flush=True)
        for newcomer, fold in (("without", False), ("with", True)):
            found = await pause(stand, newcomer=newcomer, fold=fold)
            print(f"a second worker joins, {newcomer} snapshots: {msgspec.json.encode(found).decode()}", flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.partitioned", description=__doc__)
    parser.add_argument("--numbers", type=int, default=2_000_000, metavar="N", help="who refuses (default: 2,000,000)")
    parser.add_argument("--bitmaps", action="store_true", help="only count the bytes of bitmaps: no broker")
    arguments = parser.parse_args()
    if not arguments.bitmaps:
        with tempfile.TemporaryDirectory(prefix="wurao-partitioned-") as directory:
            asyncio.run(_measure(arguments.numbers, Path(directory)))
    for row in bitmaps(arguments.numbers):
        print(f"bitmaps, {arguments.numbers:,} numbers, {msgspec.json.encode(row).decode()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
