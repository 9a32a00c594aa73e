"""What the control plane does in a second, and what 100,000 open cases cost: `python -m loadtest.enforce`.

Four measurements on one genuine broker, with `wurao enforce` and `wurao filter` as processes of their own:

* **obedience**: findings that suspend at once, one sender after the other, while that sender goes on sending. From the
  order's record timestamp to the moment of the first decision `suspend` (both in the records themselves), and from the
  finding, which adds the control plane's own two steps.
* **records a second**: complaints that wait, until the last is dealt with.
* **open cases**: as many rows in the table; memory, and how long a start takes until cases are dealt with.
* **takeover**: of two instances that share them, one is killed; how long until the other deals with all.

Broker and programs share the machine.
"""

import argparse
import asyncio
import logging
import statistics
import time
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from loadtest import machine
from loadtest.environment import PARTITIONS, Rig, note, rigging
from stream.clock import now_ms
from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.cases.store import Updated
from stream.enforce.procedures import ids, settings
from stream.enforce.procedures.complaint import Complained
from stream.kafka import clients
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding
from stream.model.codec import decode_decision, encode
from stream.model.control import Complaint, Finding, Party, party_key
from stream.model.events import Sms
from stream.model.registry import NumberEntry, Order, Sender
from stream.model.topics import (
    CASE_EVENTS,
    COMPLAINTS,
    DECISIONS,
    ENFORCE_TABLE,
    EVENTS_SMS,
    ORDERS,
    SENDERS,
)
from stream.policy.loading import load as load_policy
from stream.testbed.processes import Usage, WuraoProcess, environment_with, free_ports, usage, wurao_command

EVENT_EVERY_S: Final = 0.004
"""The resolution of obedience."""

SUBSCRIBER: Final = "+8613800138000"


class Enforce(WuraoProcess):
    """`wurao enforce`, and what it costs."""

    def __init__(self, rig: Rig, *, instance: str = "bench") -> None:
        port = free_ports(1)
        variables = {**rig.settings, "WURAO_ENFORCE__PORT": str(port), "WURAO_ENFORCE__INSTANCE": instance}
        log = rig.directory / "enforce.log"
        super().__init__(wurao_command("enforce"), environment=environment_with(variables), port=port, log=log)

    def usage(self) -> Usage:
        """What it has taken so far."""
        taken = usage(self.pid)
        assert taken is not None, self.last_words()
        return taken


# ---- obedience


async def obedience(rig: Rig, *, count: int) -> None:
    """From orders to obedience."""
    filter_ = rig.filter()
    senders = [f"ORG-{place}" for place in range(count)]
    async with rig.producer() as producer:
        for sender in senders:
            number = NumberEntry(prefix=_port(sender), channel="sms", purposes=("service",))
            record = Sender(sender, sender, "95588", "active", (number,))
            await producer.send_and_wait(SENDERS, value=encode(record), key=sender.encode(), partition=0)
        filter_.start()
        try:
            await filter_.ready()
            with Enforce(rig) as enforce:
                await enforce.ready()
                suspended = await _suspended(rig, producer, senders)
        finally:
            await asyncio.to_thread(filter_.stop)
    _say("finding sent → first `suspend`", [suspended[sender][1] - suspended[sender][0] for sender in senders])
    orders = await _order_times(rig)
    _say("order's record → first `suspend`", [suspended[sender][1] - orders[sender] for sender in senders])


async def _suspended(rig: Rig, producer: AIOKafkaProducer, senders: list[str]) -> dict[str, tuple[int, int]]:
    """Per sender, when its finding was sent and when its first suspended event was decided."""
    consumer = clients.follower(rig.config, client="loadtest-decisions")
    place = partition_of(SUBSCRIBER, PARTITIONS)
    (decisions,) = [one for one in clients.partitions(DECISIONS, PARTITIONS) if one.partition == place]
    consumer.assign([decisions])
    await consumer.start()
    await consumer.seek_to_end(decisions)
    found: dict[str, tuple[int, int]] = {}
    try:
        for sender in senders:
            sent = now_ms()
            finding = Finding(
                f"F-{sender}", sent, Party(sender=sender), "prohibited-content", "prohibited-content", channel="sms"
            )
            key = party_key(finding.party)
            finding_event = CaseEvent(
                finding.finding, sent, key, DOCKET, msgspec.Raw(encode(EscalationFinding(finding)))
            )
            await producer.send(
                CASE_EVENTS, value=encode(finding_event), key=key.encode(), partition=partition_of(key, PARTITIONS)
            )
            tries = 0
            while sender not in found:
                tries += 1
                event = Sms(
                    id=f"{sender}-{tries}", time=now_ms(), to=SUBSCRIBER, sender=sender, from_=_port(sender),
                    purpose="service", text="。",
                )  # fmt: skip
                await producer.send(EVENTS_SMS, value=encode(event), key=SUBSCRIBER.encode(), partition=place)
                for records in (await consumer.getmany(timeout_ms=int(1000 * EVENT_EVERY_S))).values():
                    for record in records:
                        decision = decode_decision(record.value)
                        if decision.verdict == "suspend" and decision.sender == sender and sender not in found:
                            found[sender] = (sent, decision.decided)
    finally:
        await consumer.stop()
    return found


async def _order_times(rig: Rig) -> dict[str, int]:
    consumer = clients.follower(rig.config, client="loadtest-orders")
    (place,) = clients.partitions(ORDERS, 1)
    consumer.assign([place])
    await consumer.start()
    times: dict[str, int] = {}
    try:
        consumer.seek(place, 0)
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    times.setdefault(str(msgspec.json.decode(record.value, type=Order).sender), record.timestamp)
    finally:
        await consumer.stop()
    return times


def _port(sender: str) -> str:
    return f"1069{int(sender.removeprefix('ORG-')):06d}"


def _say(what: str, milliseconds: list[int]) -> None:
    ordered = sorted(milliseconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    note(f"{what}: p50 {statistics.median(ordered):.0f} ms, p99 {p99} ms, most {ordered[-1]} ms ({len(ordered)} times)")


# ---- records a second


async def throughput(rig: Rig, *, count: int) -> None:
    """Complaints that wait, until the last is dealt with."""
    async with rig.producer() as producer:
        for place in range(count):
            complaint = _complaint(place, "bench")
            key = ids.complaint_case(complaint)
            await producer.send(
                COMPLAINTS, value=encode(complaint), key=key.encode(), partition=partition_of(key, PARTITIONS)
            )
    with Enforce(rig) as enforce:
        await enforce.ready()
        began = time.monotonic()
        before = enforce.metric('wurao_enforce_arrivals_total{outcome="taken",topic="complaints"')
        done = before
        while done < count:
            await asyncio.sleep(0.1)
            done = enforce.metric('wurao_enforce_arrivals_total{outcome="taken",topic="complaints"')
        took = time.monotonic() - began
    note(f"records a second, each with its table row, hold, expression and picture: {(done - before) / took:.0f}")


def _complaint(place: int, name: str) -> Complaint:
    return Complaint(
        f"{name}-{place}",
        now_ms(),
        subscriber=f"+86138{place:08d}",
        channel="sms",
        sender=f"ORG-{place % 1000}",
        at=now_ms(),
        text="贷" * 60,
        refusal=True,
    )


# ---- open cases


async def open_cases(rig: Rig, *, count: int) -> None:
    """Memory and start with many open cases."""
    terms = settings.terms(rig.config, load_policy(rig.config.policy.file))
    async with rig.producer() as producer:
        size = 0
        for place in range(count):
            complained = Complained(_complaint(place, "open"))
            key = ids.complaint_case(complained.complaint)
            taken = store.apply(key, None, Arrival(key, "complaint", complained, key, now_ms()), now_ms(), terms)
            assert isinstance(taken, Updated)
            row = encode(store.without_outbox(taken.entry))
            size += len(row)
            await producer.send(ENFORCE_TABLE, value=row, key=key.encode(), partition=partition_of(key, PARTITIONS))
    with Enforce(rig) as empty:
        await empty.ready()
        first = empty.usage().rss_mib
    note(f"{count:,} open cases of {size / count:.0f} bytes: {first:.0f} MiB resident after the first start")
    for _ in range(3):
        began = time.monotonic()
        with Enforce(rig) as enforce:
            await enforce.ready()
            took, cost = time.monotonic() - began, enforce.usage()
            held = enforce.metric("wurao_enforce_entries")
            note(
                f"killed and started: at work after {took:.1f} s with {held:,.0f} entries, "
                f"{cost.rss_mib:.0f} MiB resident, {cost.cpu_s:.1f} s of CPU"
            )


async def takeover(rig: Rig) -> None:
    """Of two that share the cases, one dies."""
    with Enforce(rig, instance="one") as one:
        await one.ready()
        with Enforce(rig, instance="other") as other:
            await other.ready()
            await _one_dies(one, other)


async def _one_dies(one: Enforce, other: Enforce) -> None:
    while {process.metric("wurao_enforce_partitions") for process in (one, other)} != {PARTITIONS / 2}:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    spent = other.usage().cpu_s
    one.kill()
    began = time.monotonic()
    while other.metric("wurao_enforce_partitions") != PARTITIONS:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0.05)
    took, own = time.monotonic() - began, other.metric("wurao_enforce_recovery_seconds")
    note(
        f"one of two dies: the other deals with all cases {took:.1f} s later, {own:.1f} s of which are its own "
        f"({other.usage().cpu_s - spent:.1f} s of CPU), the rest the session's time-out"
    )


async def _run(arguments: argparse.Namespace) -> None:
    async with rigging(None) as rig:
        note(str(machine.describe(kafka="4")))
        await rig.make_topics()
        await obedience(rig, count=arguments.orders)
        await throughput(rig, count=arguments.records)
        await open_cases(rig, count=arguments.cases)
        await takeover(rig)


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--cases", type=int, default=100_000)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
