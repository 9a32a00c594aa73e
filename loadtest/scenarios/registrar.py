"""The registrar: single requests alone, and while files' requests wait; and what an expression of a file costs.

Requests of a thousand expressions each stand in `registry.bulk` before it starts, of subscribers at random; each turn
another file. Single requests come at a steady rate and are measured from when each was due to its answer's arrival.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Final, Self

import numpy as np

from bloom.partition import partitions_of
from loadtest.environment import CHUNK, Rig, note
from loadtest.figures import Row, Taken
from loadtest.latency import Delays, delays_of
from loadtest.options import RunOptions
from loadtest.programs import cpu_of
from stream.clock import now_ms
from stream.kafka.registry_client import RegistryClient
from stream.model.codec import encode
from stream.model.limits import ENTRIES
from stream.model.registry import Expression
from stream.model.requests import RegistryRequest
from stream.model.topics import BULK
from stream.testbed.feed import Ack
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command

NUMBERS: Final = 10**8
"""Of one prefix, from which a file's are drawn."""

BEHIND_MS: Final = 3_600_000
"""How long ago a file's expressions were given: no refusal of it is given now."""

ANSWER_S_MAX: Final = 300.0
LOOK_EVERY_S: Final = 0.1


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """In each turn a file, met by registrars that have just started."""
    await rig.make_topics()
    (rate,), (count,) = options.rates, options.workers
    async with RegistryAsker(rig) as asker:
        for turn in range(1, options.repeat + 1):
            requests_count = await _write_file(rig, options.events_count, seed=turn)
            processes = [registrar(rig, f"registrar-{turn}-{place}", place) for place in range(count)]
            try:
                for process in processes:
                    process.start()
                for process in processes:
                    await process.ready()
                begun, cpu = time.monotonic(), cpu_of([process.pid for process in processes])
                under = asyncio.create_task(_until_answered(processes, requests_count))
                beside = await asker.ask(rate, options.seconds, name=f"beside-{turn}", stop=under)
                await under
                wall_s, cpu_s = time.monotonic() - begun, cpu_of([process.pid for process in processes]) - cpu
                alone = await asker.ask(rate, options.seconds, name=f"alone-{turn}")
            finally:
                for process in processes:
                    process.stop()
            rows: dict[str, Row] = {
                "bulk": {
                    "expressions_per_s": options.events_count / wall_s,
                    "expressions_per_cpu_s": options.events_count / cpu_s,
                },
                "single, alone": alone.figures,
                "single, beside bulk": beside.figures,
            }
            for name, row in rows.items():
                note(f"turn {turn}: {name}: " + "  ".join(f"{one} {value:,.1f}" for one, value in row.items()))
            yield Taken(rows=rows, delays={"single, alone": alone, "single, beside bulk": beside})


class RegistryAsker:
    """Single requests at a steady rate, each of another subscriber."""

    def __init__(self, rig: Rig) -> None:
        self._client = RegistryClient(rig.config, client="loadtest")

    async def __aenter__(self) -> Self:
        await self._client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.stop()

    async def ask(self, rate: int, seconds: float, *, name: str, stop: asyncio.Task[None] | None = None) -> Delays:
        """The delays of requests from when each was due; as long as `seconds`, or until `stop` is done."""
        begun = time.monotonic()
        asking: list[asyncio.Task[int]] = []
        while (place := len(asking)) < rate * seconds and (stop is None or not stop.done()):
            due = begun + place / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asking.append(asyncio.create_task(self._ask(f"{name}-{place}", place, due)))
        return delays_of(np.array(await asyncio.gather(*asking), dtype=np.int64))

    async def _ask(self, name: str, place: int, due: float) -> int:
        said = Expression(f"+86139{place:08}", "call", "refuse", now_ms(), "loadtest", evidence=name)
        await self._client.ask(RegistryRequest(name, now_ms(), "loadtest", (said,)), within_s=ANSWER_S_MAX)
        return int(1e9 * (time.monotonic() - due))


async def _write_file(rig: Rig, count: int, *, seed: int) -> int:
    """Bulk requests of so many expressions; returns how many."""
    draw = random.Random(seed)
    now = now_ms()
    waiting: list[list[Expression]] = [[] for _ in range(rig.partitions)]
    acks: list[Ack] = []
    written = 0

    async with rig.producer() as producer:

        async def send(partition: int) -> None:
            nonlocal written
            request = RegistryRequest(f"file-{rig.run}-{seed}-{written}", now, "loadtest", tuple(waiting[partition]))
            acks.append(await producer.send(BULK, encode(request), request.id.encode(), partition=partition))
            waiting[partition].clear()
            written += 1

        for start in range(0, count, CHUNK):
            numbers = [f"+86135{draw.randrange(NUMBERS):08}" for _ in range(min(CHUNK, count - start))]
            places = partitions_of(numbers, rig.partitions).tolist()
            for number, partition in zip(numbers, places, strict=True):
                said = Expression(number, "call", "refuse", now - BEHIND_MS, "loadtest", evidence="sha256:" + "ab" * 32)
                waiting[partition].append(said)
                if len(waiting[partition]) == ENTRIES.most:
                    await send(partition)
        for partition in range(rig.partitions):
            if waiting[partition]:
                await send(partition)
        await asyncio.gather(*acks)
    note(f"{count:,} expressions wait in {written:,} requests")
    return written


async def _until_answered(processes: list[WuraoProcess], count: int) -> None:
    """Wait until they have answered so many bulk requests."""
    name = 'wurao_registrar_requests_total{lane="bulk"}'
    while sum([await asyncio.to_thread(process.metric, name) for process in processes]) < count:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)


def registrar(rig: Rig, name: str, place: int = 0) -> WuraoProcess:
    """`wurao registrar` on the rig's cluster, with a directory for each place."""
    port = free_ports(1)
    settings = {
        **rig.settings,
        "WURAO_REGISTRAR__PORT": str(port),
        "WURAO_REGISTRAR__DIRECTORY": str(rig.directory / f"stores-{place}"),
    }
    return WuraoProcess(
        wurao_command("registrar"),
        environment=environment_with(settings),
        port=port,
        workers=0,
        log=rig.directory / f"{name}.log",
    )
