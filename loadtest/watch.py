"""Records of activity a second that one `wurao watch` sustains: `python -m loadtest.watch`.

The records wait in the topic, two workers' parts for each sender and window, as filters write them; the program is a
process of its own that judges them all in a new group, reading back included. It is watched from outside: by what it
has committed, and by the processor time that the kernel has charged to it. The start (joining the group) is left out.
Broker and program share the machine.
"""

import argparse
import asyncio
import logging
import statistics
import time
from collections.abc import Iterator
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import GroupCoordinatorNotAvailableError

from bloom.partition import partition_of
from loadtest.environment import PARTITIONS, Rig, note, rigging
from stream.clock import now_ms
from stream.kafka import clients
from stream.model.codec import encode
from stream.model.control import WINDOW_MS, Activity, Party, Tally, key_of_control
from stream.model.topics import ACTIVITY, CASE_EVENTS
from stream.testbed.processes import GuardedProcess, cpu_s, environment_with, wurao_command

SENDERS: Final = 2_000
WORKERS: Final = 2
VIOLATORS_EVERY: Final = 200
LOOK_EVERY_S: Final = 0.1
LEFT_OUT: Final = 0.05
"""The part of the records at each end that is not measured."""

RUN_S_MAX: Final = 120.0


def activity(windows: int) -> Iterator[Activity]:
    """The parts that two workers tell of many senders, one in 200 of which works without consent."""
    start = now_ms() // WINDOW_MS * WINDOW_MS - windows * WINDOW_MS
    for window in range(windows):
        for sender in range(SENDERS):
            refused = 40 if sender % VIOLATORS_EVERY == 0 else sender % 3
            for worker in range(WORKERS):
                yield Activity(
                    window=start + window * WINDOW_MS,
                    party=Party(sender=f"ORG-{sender}"),
                    channel="sms",
                    tallies=(
                        Tally("allow", "consented", 60),
                        Tally("allow", "service", 30),
                        Tally("block", "refused", refused),
                        Tally("block", "no_consent", 1),
                    ),
                    recipients=90,
                    refusals=int(window % 20 == 0),
                    run=2,
                    worker=f"bench{worker}-{window}",
                )


async def write(producer: AIOKafkaProducer, windows: int) -> int:
    """Write them; returns how many there are."""
    placed: dict[str, int] = {}
    acks: list[asyncio.Future[object]] = []
    count = 0
    for one in activity(windows):
        key = key_of_control(one)
        partition = placed.setdefault(key, partition_of(key, PARTITIONS))
        acks.append(await producer.send(ACTIVITY, value=encode(one), key=key.encode(), partition=partition))
        count += 1
        if len(acks) >= 20_000:
            await asyncio.gather(*acks)
            acks.clear()
    await asyncio.gather(*acks)
    return count


async def committed(rig: Rig, group: str) -> int:
    """How many records a group has behind it."""
    admin = clients.admin(rig.config)
    await admin.start()
    try:
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:  # the first group of all: the broker makes its topic just now
            return 0
        return sum(max(0, meta.offset) for place, meta in offsets.items() if place.topic == ACTIVITY)
    finally:
        await admin.close()


async def turn(rig: Rig, count: int) -> tuple[float, float]:
    """One run over all records: records per second of the clock, and of processor time."""
    group = rig.group()
    environment = environment_with(
        {
            **rig.settings,
            "WURAO_WATCH__GROUP": group,
            "WURAO_WATCH__PORT": "0",
            "WURAO_WATCH__COMMIT_EVERY_MS": "100",
        }
    )
    process = GuardedProcess(wurao_command("watch"), environment=environment, log=rig.directory / "watch.log")
    process.start()
    began = time.monotonic()
    done = 0
    first: tuple[float, float, int] | None = None
    try:
        while time.monotonic() - began < RUN_S_MAX:
            await asyncio.sleep(LOOK_EVERY_S)
            done = await committed(rig, group)
            look = time.monotonic(), cpu_s(process.pid) or 0.0, done
            if first is None and done >= LEFT_OUT * count:
                first = look
            elif first is not None and done >= (1 - LEFT_OUT) * count:
                return (done - first[2]) / (look[0] - first[0]), (done - first[2]) / (look[1] - first[1])
        raise RuntimeError(f"{done:,} of {count:,} records after {RUN_S_MAX:.0f} s: see the log of `wurao watch`")
    finally:
        await asyncio.to_thread(process.stop)


async def measure(windows: int, turns: int) -> None:
    """Write, run, tell."""
    async with rigging(None) as rig:
        await rig.make_topics()
        async with rig.producer() as producer:
            count = await write(producer, windows)
        note(f"{count:,} records of {SENDERS:,} senders wait in {ACTIVITY}")
        found: list[tuple[float, float]] = []
        for _ in range(turns):
            found.append(await turn(rig, count))
            note(f"{found[-1][0]:10,.0f} records per second, {found[-1][1]:10,.0f} per CPU-second")
        walls, cpus = zip(*found, strict=True)
        note(f"median: {statistics.median(walls):,.0f} per second, {statistics.median(cpus):,.0f} per CPU-second")
        findings = await _ends(rig, CASE_EVENTS)
        note(f"{findings} findings in {turns} turns")


async def _ends(rig: Rig, topic: str) -> int:
    consumer = clients.follower(rig.config, client="loadtest-ends")
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(clients.partitions(topic, PARTITIONS))).values())
    finally:
        await consumer.stop()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.watch", description=__doc__)
    parser.add_argument("--windows", type=int, default=100, metavar="N", help="windows of ten seconds (default: 100)")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="runs over all of them (default: 3)")
    arguments = parser.parse_args()
    # A topic that has just been made has no leader for a moment: aiokafka tries again, and would say so.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    asyncio.run(measure(arguments.windows, arguments.turns))


if __name__ == "__main__":
    main()
