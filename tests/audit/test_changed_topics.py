"""Topics that a running audit reads are deleted and recreated: it says so, lives, begins anew, and accuses nobody."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import NewPartitions, RecordsToDelete

from bloom.partition import partition_of
from stream.audit.decision_reader import DecisionReader
from stream.kafka import clients, topics
from stream.kafka.describe import describe_topics
from stream.kafka.identity import TopicsChanged
from stream.model.codec import decode_event, encode
from stream.model.decision import Epoch
from stream.model.registry import Expression, Wordlist
from stream.model.topics import (
    DECISIONS,
    EPOCHS,
    EVENTS_SMS,
    EXPRESSIONS,
    ORDERS,
    RECORD_KIND,
    SENDERS,
    WORDLISTS,
    TopicPartition,
)
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.audit.test_audit import AuditProcess, audit, until
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event

pytestmark = pytest.mark.kafka

POLICY = load()
PADDING = [
    Expression(subscriber=f"+86137{number:08d}", channel="sms", will="refuse", time=1, source="test")
    for number in range(300)
]
REFUSAL = Expression(subscriber=cases.WILLING, channel="sms", will="refuse", time=2, source="test")

Record = tuple[str, int, bytes | None, bytes | None]


def _outcome(outcome: str, count: int) -> str:
    return f'wurao_audit_decisions_total{{outcome="{outcome}"}} {float(count)}'


def _judged(broker: Broker, process: AuditProcess, outcome: str, count: int) -> None:
    """Wait until so many decisions came to this and all that there are is committed: none is judged again."""
    process.metrics_with(_outcome(outcome, count))
    until(lambda: sum(broker.committed("wurao-audit").values()) == len(broker.read(DECISIONS)))


def _see_no_violation(process: AuditProcess) -> None:
    process.metrics_with("wurao_audit_violations_total 0.0")


def _made(broker: Broker, number: int) -> list[Record]:
    """An epoch of all that the registry topics hold, an event that is decided by it, and the decision."""
    places = [
        place
        for topic in RECORD_KIND
        for place in clients.partitions(topic, broker.partitions if topic == EXPRESSIONS else 1)
    ]

    async def ends() -> dict[TopicPartition, int]:
        consumer = clients.follower(broker.config, client="test")
        consumer.assign(places)
        await consumer.start()
        try:
            return dict(await consumer.end_offsets(places))
        finally:
            await consumer.stop()

    cluster, found = asyncio.run(describe_topics(broker.config, tuple(RECORD_KIND))), asyncio.run(ends())
    offsets = {topic: tuple(found[place] for place in places if place.topic == topic) for topic in RECORD_KIND}
    ids = {name: topic.id for name, topic in cluster.topics.items()}
    now = time.time_ns() // 1_000_000
    epoch = Epoch(f"run-{number}", now, POLICY.version, POLICY.digest, False, 0, cluster.id, offsets, ids)
    sms = event("sms", number, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)
    raw = msgspec.json.encode(sms)
    world = World(POLICY, registry_of(cases.registry()))
    decision = decide(decode_event(raw), world, now, epoch=epoch.epoch)
    assert decision.reason == "consented"
    partition, key = partition_of(cases.WILLING, broker.partitions), cases.WILLING.encode()
    return [
        (EPOCHS, 0, epoch.epoch.encode(), encode(epoch)),
        (EVENTS_SMS, partition, key, raw),
        (DECISIONS, partition, key, encode(decision)),
    ]


def _recreated(broker: Broker, process: AuditProcess, name: str, *, missed: bool) -> None:
    """Delete and recreate a topic; the audit sees that it is gone meanwhile, unless it has `missed` it."""
    broker.delete_topics((name,))
    if not missed:
        until(lambda: f"{name}: not there" in (process.get("/readyz") or ""))
    broker.create_topics()


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """The audit stands still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _see_told(log: Path, *, times: int, missed: bool = False) -> None:
    text = log.read_text("utf-8")
    assert "Traceback" not in text
    assert text.count("topics were recreated, or another cluster answers") == times
    assert text.count("topics are missing") == (0 if missed else times)


@pytest.mark.parametrize("missed", [False, True], ids=["seen", "missed"])
def test_decisions_of_before_a_registry_topic_was_recreated_are_unknown_and_those_after_it_agree(
    broker: Broker, tmp_path: Path, *, missed: bool
) -> None:
    broker.write_registry(cases.registry())
    before = _made(broker, 1)
    broker.write(before)
    with AuditProcess(broker, tmp_path) as process:
        _judged(broker, process, "agrees", 1)
        if missed:  # it reads on at the old offsets of a topic that has more records, until it looks
            with _frozen(process.pid):
                _recreated(broker, process, EXPRESSIONS, missed=True)
                broker.write_registry([REFUSAL, *PADDING])
                broker.write(before[2:])
        else:
            _recreated(broker, process, EXPRESSIONS, missed=False)
            broker.write_registry([REFUSAL, *PADDING])
            broker.write(before[2:])
        process.metrics_with(_outcome("unknown", 1))
        _see_no_violation(process)
        broker.write_registry(cases.registry())  # they agree again, and this is decided by it
        broker.write(_made(broker, 2))
        process.metrics_with(_outcome("agrees", 2))
        until(lambda: process.is_ready)
        _see_no_violation(process)
        assert process.terminate() == 0
    _see_told(tmp_path / "audit.log", times=1, missed=missed)
    code, found = audit(broker)
    assert (code, found.agrees, found.unknown, found.violations) == (0, 1, 2, [])
    assert "recreated" in next(iter(found.whys))


def test_any_topic_that_the_audit_reads_may_be_recreated_under_it(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    recreated = (SENDERS, ORDERS, EVENTS_SMS, DECISIONS, EPOCHS)
    with AuditProcess(broker, tmp_path) as process:
        broker.write(_made(broker, 0))
        for number, name in enumerate(recreated, 1):
            _judged(broker, process, "agrees", number)
            _recreated(broker, process, name, missed=False)
            broker.write_registry(cases.registry())
            broker.write(_made(broker, number))
        process.metrics_with(_outcome("agrees", len(recreated) + 1))
        until(lambda: process.is_ready)
        _see_no_violation(process)
        assert process.terminate() == 0
    _see_told(tmp_path / "audit.log", times=len(recreated))


def test_an_audit_goes_on_with_the_filter_under_which_a_registry_topic_was_recreated(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    broker.write_events([event("sms", 1, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
    with FilterProcess(broker, tmp_path) as filter_, AuditProcess(broker, tmp_path) as process:
        assert [one["reason"] for one in broker.decisions(until=1)] == ["consented"]
        _judged(broker, process, "agrees", 1)
        broker.delete_topics((EXPRESSIONS,))
        broker.create_topics()
        broker.write_registry([REFUSAL])
        until(lambda: "read from their beginning" in filter_.log)
        filter_.wait_ready()
        broker.write_events([event("sms", 2, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
        assert [one["reason"] for one in broker.decisions(until=2)] == ["consented", "refused"]
        process.metrics_with(_outcome("agrees", 2))
        _see_no_violation(process)
        assert process.terminate() == 0


def test_what_was_read_while_a_topic_was_recreated_is_never_given_out(broker: Broker) -> None:
    lists = [record for record in cases.registry() if isinstance(record, Wordlist)]
    broker.write_registry([record for record in cases.registry() if record not in lists])  # at 0 every offset is there
    before = _made(broker, 1)
    broker.write(before)

    def recreate() -> None:
        broker.delete_topics((WORDLISTS,))
        broker.create_topics()
        broker.write_registry(lists)
        broker.write(before[2:])

    async def take(reader: DecisionReader) -> None:
        while not await reader.take():
            pass

    async def go() -> None:
        cluster = await describe_topics(broker.config, tuple(topics.EXPECTED))
        reader = DecisionReader(broker.config, cluster, client="test", group=None)
        try:
            await reader.start()
            await take(reader)
            await reader.done()
            await asyncio.to_thread(recreate)
            with pytest.raises(TopicsChanged, match=WORDLISTS):
                await take(reader)
        finally:
            await reader.stop()

    asyncio.run(go())


def test_partitions_that_were_added_are_told_and_nothing_is_judged_until_the_topic_is_right(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    with AuditProcess(broker, tmp_path) as process:
        broker.write(_made(broker, 1))
        _judged(broker, process, "agrees", 1)
        broker.ask(lambda admin: admin.create_partitions({EVENTS_SMS: NewPartitions(13)}))
        until(lambda: f"{EVENTS_SMS}: 13 partitions where 12 are configured" in (process.get("/readyz") or ""))
        broker.delete_topics((EVENTS_SMS,))
        broker.create_topics()
        broker.write(_made(broker, 2))
        process.metrics_with(_outcome("agrees", 2))


def test_decisions_that_were_deleted_before_they_were_judged_are_told_and_unknown(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    with AuditProcess(broker, tmp_path) as process:
        broker.write(_made(broker, 1))
        _judged(broker, process, "agrees", 1)
        assert process.terminate() == 0
    for number in range(2, 6):
        broker.write(_made(broker, number))
    place = clients.AIOKafkaPartition(DECISIONS, partition_of(cases.WILLING, broker.partitions))
    broker.ask(lambda admin: admin.delete_records({place: RecordsToDelete(4)}))
    with AuditProcess(broker, tmp_path) as process:
        process.metrics_with(_outcome("agrees", 1))
        process.metrics_with(_outcome("unknown", 3))
    assert (tmp_path / "audit.log").read_text("utf-8").count("decisions were deleted before they were consumed") == 1


def test_offsets_that_were_committed_of_another_topic_of_this_name_hide_no_decision(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    broker.write(_made(broker, 1))

    async def commit() -> None:
        cluster = await describe_topics(broker.config, (DECISIONS,))
        consumer = clients.group_consumer(broker.config, group="wurao-audit-anew", client="test", instance=None)
        consumer.assign(clients.partitions(DECISIONS, broker.partitions))
        await consumer.start()
        try:
            await consumer.commit(
                dict.fromkeys(clients.partitions(DECISIONS, broker.partitions), (1, f"{cluster.id}/another"))
            )
        finally:
            await consumer.stop()

    asyncio.run(commit())
    with AuditProcess(broker, tmp_path, WURAO_AUDIT__GROUP="wurao-audit-anew") as process:
        process.metrics_with(_outcome("agrees", 1))
