"""`python -m loadtest.rolling`: how long each way to restart one of two hosts keeps partitions waiting.

Two hosts with one worker each share the partitions; a steady trickle of SMS flows into every partition. One host is
then replaced in one of three ways, and what is measured is what a gateway sees: for every partition the longest time
that an event waited for its decision, by the records' own timestamps.

* `leave`: the old one drains and leaves its group; the new one starts and joins.
* `static`: the same, but as a static member (KIP-345): it leaves no word, and the new one comes back under its name.
* `surge`: the new one starts, loads and joins; when it is ready, the old one drains and leaves.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping
from itertools import count
from typing import Final, Literal, NamedTuple, get_args

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from loadtest.cluster import LoadtestError
from loadtest.environment import PARTITIONS, Rig, note, rigging
from stream.clock import now_ms
from stream.kafka import clients
from stream.model.codec import decode_decision
from stream.model.topics import DECISIONS, EVENTS_SMS
from stream.testbed.local import LocalKafkaError
from stream.testbed.processes import FilterProcess, ProcessError

RestartMode = Literal["leave", "static", "surge"]

EVENT_EVERY_S: Final = 0.02
"""Between two events of a partition: the resolution of what is measured."""

STEADY_S: Final = 3.0
"""Before and after the restart."""

PAUSE_MS: Final = 200
"""What a call waits for: a partition that kept an event longer than this had a pause."""

READ_S_MAX: Final = 30.0


class Restart(NamedTuple):
    """One restart: the longest wait of each partition's events, and how long the whole took."""

    waits_ms: np.typing.NDArray[np.int64]
    took_s: float


def main() -> int:
    """Measure every way, several times, and print a table. Exit codes: 0 done, 1 failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.rolling", description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=3, metavar="N", help="restarts of each way (default: 3)")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    try:
        asyncio.run(_run(times=arguments.times))
    except (ProcessError, LoadtestError, LocalKafkaError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(*, times: int) -> None:
    async with rigging(None) as rig:
        await _measure(rig, times=times)


async def _measure(rig: Rig, *, times: int) -> None:
    await rig.make_topics()
    found: dict[RestartMode, list[Restart]] = {way: [] for way in get_args(RestartMode)}
    for _ in range(times):
        for way, restarts in found.items():
            restarts.append(await restart(rig, way))
            note(f"{way}: partitions waited {np.sort(restarts[-1].waits_ms).tolist()} ms")
    print(f"\n{'way':8}{'pauses of 12':>14}{'longest, median':>18}{'longest, worst':>17}{'restart took':>15}")
    for way, restarts in found.items():
        pauses = np.array([(one.waits_ms > PAUSE_MS).sum() for one in restarts])
        longest = np.array([one.waits_ms.max() for one in restarts])
        took = np.median([one.took_s for one in restarts])
        print(
            f"{way:8}{float(np.median(pauses)):>14.0f}{float(np.median(longest)):>15.0f} ms{longest.max():>14} ms"
            f"{took:>13.1f} s"
        )


async def restart(rig: Rig, way: RestartMode) -> Restart:
    """Replace one of two hosts in that way while events flow."""
    group = rig.group()
    running: list[FilterProcess] = []

    async def begin(name: str) -> FilterProcess:
        host = _host(rig, group, way, name)
        host.start()
        running.append(host)
        await host.ready()  # and so listens on its ports before the next one looks for free ones
        return host

    try:
        first, _ = await begin("a"), await begin("b")
        async with rig.producer() as producer:
            flow = asyncio.create_task(_trickle(producer, prefix=f"{group}-"))
            await asyncio.sleep(STEADY_S)
            began = now_ms()
            # The new one has the old one's name: as a static member it takes its place.
            if way == "surge":
                await begin("a")
                await asyncio.to_thread(first.stop)
            else:
                await asyncio.to_thread(first.stop)
                await begin("a")
            took_s = (now_ms() - began) / 1000
            await asyncio.sleep(STEADY_S)
            flow.cancel()
            sent = await flow
        return Restart(await _waits(rig, sent, since=began), took_s)
    finally:
        for host in running:
            await asyncio.to_thread(host.stop)


def _host(rig: Rig, group: str, way: RestartMode, name: str) -> FilterProcess:
    static = {"WURAO_FILTER__INSTANCE": name} if way == "static" else {}
    return rig.filter(group=group, name=f"{group}-{name}", settings=static)


async def _trickle(producer: AIOKafkaProducer, *, prefix: str) -> dict[str, int]:
    """Events into every partition until cancelled; event → the timestamp of its record."""
    subscribers = _one_for_each_partition()
    sent: dict[str, int] = {}
    try:
        for number in count():
            for partition, subscriber in subscribers.items():
                name, moment = f"{prefix}{number}-{partition}", now_ms()
                value = msgspec.json.encode({"kind": "sms", "id": name, "time": moment, "to": subscriber})
                await producer.send(
                    EVENTS_SMS, value, key=subscriber.encode(), partition=partition, timestamp_ms=moment
                )
                sent[name] = moment
            await asyncio.sleep(EVENT_EVERY_S)
    except asyncio.CancelledError:
        pass
    return sent


def _one_for_each_partition() -> dict[int, str]:
    found: dict[int, str] = {}
    for number in count(13_800_000_000):
        found.setdefault(partition_of(f"+86{number}", PARTITIONS), f"+86{number}")
        if len(found) == PARTITIONS:
            break
    return found


async def _waits(rig: Rig, sent: Mapping[str, int], *, since: int) -> np.typing.NDArray[np.int64]:
    """Per partition the longest wait of an event sent from shortly before the restart on. All must be decided."""
    waits = np.zeros(PARTITIONS, dtype=np.int64)
    left = set(sent)
    consumer = clients.follower(rig.config, client="loadtest-rolling")
    places = clients.partitions(DECISIONS, PARTITIONS)
    consumer.assign(places)
    await consumer.start()
    try:
        for place, offset in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, offset)
        async with asyncio.timeout(READ_S_MAX):
            while left:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        event = decode_decision(record.value).event
                        if event in left:  # the first decision of an event counts
                            left.remove(event)
                            if sent[event] >= since - 1_000:
                                wait = record.timestamp - sent[event]
                                waits[place.partition] = max(waits[place.partition], wait)
    except TimeoutError as error:
        raise ProcessError(f"{len(left)} of {len(sent)} events were not decided") from error
    finally:
        await consumer.stop()
    return waits


if __name__ == "__main__":
    sys.exit(main())
