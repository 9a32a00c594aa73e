"""What is under a running filter changes: each is noticed within seconds, told once, and never decided from."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bloom.partition import partition_of
from stream.kafka import clients, topics
from stream.model.codec import encode
from stream.model.registry import Expression, FileRecord, key_of
from stream.model.topics import DEAD_LETTER, EPOCHS, EVENTS_CALL, EVENTS_SMS, EXPRESSIONS, RECORD_KIND
from stream.policy import settings as policy_settings
from stream.testbed.local import LocalKafka
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

FIRST, SECOND = "+8613800138000", "+8613900139000"
"""Both consented once; neither does in the topic that is made anew."""

PADDING = [f"+86137{number:08d}" for number in range(600)]

_numbers = count()


def _expression(subscriber: str, will: str) -> Expression:
    consent = will == "consent"
    return Expression(
        subscriber=subscriber,
        channel="sms",
        sender="ORG-BANK" if consent else None,
        category="finance" if consent else None,
        will="consent" if consent else "refuse",
        time=1,
        source="test",
    )


def _others() -> list[FileRecord]:
    return [record for record in cases.registry() if not isinstance(record, Expression)]


def _sms(to: str) -> dict[str, object]:
    return event("sms", next(_numbers), to=to, text=cases.GOOD_TEXT, **cases.BANK)


def _call() -> dict[str, object]:
    return event("call", next(_numbers), to="12300", **{"from": "+862155550000"})


def _wait(seen: Callable[[], bool], filter_: FilterProcess, *, within_s: float = LONG_S) -> None:
    deadline = time.monotonic() + within_s
    while not seen():
        assert filter_.poll() is None, filter_.log[-4000:]
        assert time.monotonic() < deadline, filter_.log[-4000:]
        time.sleep(0.1)


def _asked(broker: Broker, filter_: FilterProcess, one: dict[str, object]) -> str:
    """How an event is decided that is written now."""
    broker.write_events([one])
    found: list[dict[str, object]] = []

    def decided() -> bool:
        found[:] = [decision for decision in broker.decisions() if decision["event"] == one["id"]]
        return bool(found)

    _wait(decided, filter_)
    return str(found[0]["reason"])


def _delete(broker: Broker, *names: str) -> None:
    broker.ask(lambda admin: admin.delete_topics(list(names)))
    broker.wait_for(lambda cluster: not cluster.topics.keys() & set(names))


def _make_anew(broker: Broker, *names: str) -> None:
    _delete(broker, *names)
    broker.create_topics()


@contextmanager
def _frozen(filter_: FilterProcess) -> Iterator[None]:
    """The workers stand still meanwhile, for less than their session in the group."""
    workers = filter_.worker_pids()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


@contextmanager
def _asking_both(broker: Broker) -> Iterator[None]:
    """Events to both subscribers, side by side, again and again."""
    ended = Event()

    def ask() -> None:
        while not ended.wait(0.05):
            broker.write_events([_sms(FIRST), _sms(SECOND)])

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


@pytest.mark.parametrize("mode", ["replicated", "partitioned"])
@pytest.mark.parametrize("more", [True, False], ids=["more records", "fewer records"])
def test_a_registry_made_anew_is_read_anew_and_never_mixed_with_the_old(
    *, more: bool, mode: str, broker: Broker, tmp_path: Path
) -> None:
    before, after = (10, 300) if more else (300, 0)
    old = [_expression(one, "refuse") for one in PADDING[:before]]
    broker.write_registry([*_others(), *old, _expression(FIRST, "consent"), _expression(SECOND, "consent")])
    with FilterProcess(broker, tmp_path, workers=2, WURAO_REGISTRY__MODE=mode) as filter_:
        filter_.wait_ready()
        assert _asked(broker, filter_, _sms(FIRST)) == "consented"
        with _asking_both(broker):
            # More than there was must be there before the workers ask again: else they find themselves beyond the end.
            with _frozen(filter_) if more else nullcontext():
                _make_anew(broker, *RECORD_KIND)
                # Read on at the old offsets, the first word would be missed, the last one not.
                padding = [_expression(one, "refuse") for one in PADDING[-after:]] if after else []
                others = [*_others(), *_others()]
                broker.write_registry([_expression(FIRST, "refuse"), *padding, _expression(SECOND, "refuse"), *others])
            _wait(lambda: _asked(broker, filter_, _sms(SECOND)) == "refused", filter_)
        assert _asked(broker, filter_, _sms(FIRST)) == "refused"
        filter_.wait_ready()
        by_epoch: defaultdict[object, set[tuple[object, object]]] = defaultdict(set)
        for decision in broker.decisions():
            by_epoch[decision["epoch"]].add((decision["to"], decision["reason"]))
        mixed = {(FIRST, "consented"), (SECOND, "refused")}
        assert not [epoch for epoch, found in by_epoch.items() if mixed <= found]
        assert filter_.log.count("topics were recreated, or another cluster answers") == 1
        assert filter_.metric("wurao_worker_restarts_total", worker=0) == 0, "nobody died"
        assert filter_.terminate() == 0


@pytest.mark.parametrize("mode", ["replicated", "partitioned"])
def test_where_the_address_leads_to_another_cluster_the_registry_there_is_read_anew(mode: str, tmp_path: Path) -> None:
    with LocalKafka() as kafka:
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        old = [_expression(one, "refuse") for one in PADDING]
        broker.write_registry([*_others(), *old, _expression(FIRST, "consent")])
        with FilterProcess(broker, tmp_path, WURAO_REGISTRY__MODE=mode) as filter_:
            filter_.wait_ready()
            assert _asked(broker, filter_, _sms(FIRST)) == "consented"
            kafka.replace()
            broker.create_topics()
            # A mirror need not have the same offsets.
            broker.write_registry([_expression(FIRST, "refuse"), *_others()])
            _wait(lambda: "this is cluster" in filter_.log, filter_)
            _wait(lambda: filter_.get("/readyz") == "ready\n", filter_)
            assert _asked(broker, filter_, _sms(FIRST)) == "refused"
            assert {decision["reason"] for decision in broker.decisions()} == {"refused"}
            assert filter_.terminate() == 0


def test_refusals_behind_a_transaction_that_hangs_make_the_registry_stale(broker: Broker, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    shipped = (Path(policy_settings.__file__).parent / "cn-2020.toml").read_text(encoding="utf-8")
    assert "limit_ms = 60_000" in shipped
    policy.write_text(shipped.replace("limit_ms = 60_000", "limit_ms = 3_000"), encoding="utf-8")
    broker.write_registry([*_others(), _expression(FIRST, "consent")])
    refusal = _expression(FIRST, "refuse")
    partition = partition_of(FIRST, broker.partitions)
    loop = asyncio.new_event_loop()

    async def hang() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap, transactional_id="hangs", transaction_timeout_ms=600_000
        )
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(EXPRESSIONS, partition=partition, key=b"of somebody else", value=None)
        return producer

    with FilterProcess(broker, tmp_path, WURAO_POLICY__FILE=str(policy)) as filter_:
        filter_.wait_ready()
        assert _asked(broker, filter_, _sms(FIRST)) == "consented"
        hanging = loop.run_until_complete(hang())
        broker.write([(EXPRESSIONS, partition, key_of(refusal).encode(), encode(refusal))])
        written = time.monotonic()
        _wait(lambda: _asked(broker, filter_, _sms(FIRST)) == "registry_stale", filter_)
        noticed_s = time.monotonic() - written
        assert noticed_s < 3 + 10, "the limit, and what a crowded machine needs to ask"
        _wait(
            lambda: "a transaction is open in registry.expressions-" in (filter_.get("/readyz", worker=1) or ""),
            filter_,
        )
        _wait(lambda: filter_.get("/readyz") == "1 of 1 workers are not ready\n", filter_)
        loop.run_until_complete(hanging.abort_transaction())
        _wait(lambda: _asked(broker, filter_, _sms(FIRST)) == "refused", filter_)
        filter_.wait_ready()
        assert filter_.log.count("hanging transaction in a registry topic") <= 1
        loop.run_until_complete(hanging.stop())
        loop.close()
        assert filter_.terminate() == 0


def test_the_epoch_that_it_decides_from_is_announced_in_a_recreated_epochs_too(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert _asked(broker, filter_, _sms(FIRST)) == "consented"
        _delete(broker, EPOCHS, DEAD_LETTER)
        _wait(lambda: f"{EPOCHS}, {DEAD_LETTER}: not there" in (filter_.get("/readyz", worker=1) or ""), filter_)
        broker.create_topics()
        _wait(lambda: filter_.log.count("recreated topics are read from their beginning") == 1, filter_)
        filter_.wait_ready()
        late = _sms(FIRST)
        assert _asked(broker, filter_, late) == "consented"
        (decision,) = (one for one in broker.decisions() if one["event"] == late["id"])
        assert decision["epoch"] in {orjson.loads(record.value)["epoch"] for record in broker.read(EPOCHS, until=1)}
        assert filter_.terminate() == 0


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
@pytest.mark.parametrize("more", [True, False], ids=["more events", "fewer events"])
def test_events_of_a_topic_made_anew_are_all_decided_within_seconds(
    *, more: bool, delivery: str, broker: Broker, tmp_path: Path
) -> None:
    before, after = (20, 300) if more else (300, 20)
    broker.write_registry(cases.registry())
    broker.write_events([_sms(FIRST) for _ in range(before)])
    with FilterProcess(broker, tmp_path, WURAO_FILTER__DELIVERY=delivery) as filter_:
        filter_.wait_ready()
        broker.decisions(until=before)
        _delete(broker, EVENTS_SMS)
        _wait(lambda: f"{EVENTS_SMS}: not there" in (filter_.get("/readyz", worker=1) or ""), filter_)
        _wait(lambda: filter_.get("/readyz") == "1 of 1 workers are not ready\n", filter_)
        assert _asked(broker, filter_, _call()) == "redress", "other topics go on"
        broker.create_topics()
        new = [_sms(FIRST) for _ in range(after)]
        broker.write_events(new)
        wanted = {str(one["id"]) for one in new}
        _wait(lambda: wanted <= {decision["event"] for decision in broker.decisions()}, filter_)
        filter_.wait_ready()
        assert filter_.log.count("topics are missing") == 1
        assert filter_.terminate() == 0
    assert sum(broker.committed("wurao-filter.bulk").values()) > 0


def test_an_offset_of_another_topic_of_that_name_skips_nothing(broker: Broker, tmp_path: Path) -> None:
    """As when a worker commits the last of the old topic when the new one is there already."""
    partition = partition_of(FIRST, broker.partitions)
    broker.write_events([_sms(FIRST) for _ in range(10)])
    _commit(broker, partition, 7, "another-topic")
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert len(broker.decisions(until=10)) == 10
        assert filter_.terminate() == 0


def _commit(broker: Broker, partition: int, offset: int, topic_id: str) -> None:
    async def commit() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        cluster = (await admin.describe_cluster())["cluster_id"]
        await admin.close()
        consumer = clients.group_consumer(broker.config, group="wurao-filter.bulk", client="test", instance=None)
        consumer.subscribe([EVENTS_SMS])
        async with consumer:
            place = AIOKafkaPartition(EVENTS_SMS, partition)
            while place not in consumer.assignment():
                await consumer.getmany(timeout_ms=100)
            await consumer.commit({place: (offset, f"{cluster}/{topic_id}")})

    asyncio.run(commit())


def test_partitions_added_stop_all_decisions_and_are_told_once(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        assert _asked(broker, filter_, _call()) == "redress"
        broker.ask(lambda admin: admin.create_partitions({EVENTS_CALL: NewPartitions(13)}))
        wrong = f"{EVENTS_CALL}: 13 partitions where 12 are configured"
        _wait(lambda: wrong in (filter_.get("/readyz") or ""), filter_)
        broker.write([(EVENTS_CALL, 12, b"k", b"{}")])
        time.sleep(3)  # it must go on being so
        assert wrong in (filter_.get("/readyz") or "")
        assert not broker.read("dead-letter"), "not even read"
        assert filter_.log.count("topics were recreated, or another cluster answers") == 1
        _make_anew(broker, EVENTS_CALL)
        filter_.wait_ready()
        assert _asked(broker, filter_, _call()) == "redress"
        assert filter_.terminate() == 0


def test_events_removed_before_they_were_read_are_counted_and_the_rest_is_decided(
    broker: Broker, tmp_path: Path
) -> None:
    place = AIOKafkaPartition(EVENTS_SMS, partition_of(FIRST, broker.partitions))
    broker.write_events([_sms(FIRST) for _ in range(10)])
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        broker.decisions(until=10)
        assert filter_.terminate() == 0
    broker.write_events([_sms(FIRST) for _ in range(20)])
    broker.ask(lambda admin: admin.delete_records({place: RecordsToDelete(25)}))
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert len(broker.decisions(until=15)) == 15
        assert filter_.metric(f'wurao_events_lost_total{{topic="{EVENTS_SMS}"}}') == 15
        assert filter_.log.count("events were deleted before they were consumed") == 1
        assert filter_.terminate() == 0


@pytest.mark.parametrize("mode", ["replicated", "partitioned"])
def test_a_snapshot_that_stands_before_what_was_removed_from_the_registry_is_made_anew(
    mode: str, broker: Broker, tmp_path: Path
) -> None:
    place = AIOKafkaPartition(EXPRESSIONS, partition_of(FIRST, broker.partitions))
    broker.write_registry([*_others(), *[_expression(FIRST, "consent")] * 5])
    with FilterProcess(broker, tmp_path, WURAO_REGISTRY__MODE=mode) as filter_:
        filter_.wait_ready()
        filter_.signal(signal.SIGUSR1)
        made = "snapshot of a partition made" if mode == "partitioned" else "base loaded"
        _wait(lambda: filter_.log.count(made) >= (broker.partitions if mode == "partitioned" else 2), filter_)
        assert filter_.terminate() == 0
    broker.write_registry([_expression(FIRST, "consent")] * 5)

    async def remove(admin: AIOKafkaAdminClient) -> None:
        settings = dict(topics.EXPECTED[EXPRESSIONS].settings)
        for policy in ("compact,delete", "compact"):  # Kafka removes nothing by request from what is only compacted
            configs = settings | {"cleanup.policy": policy}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, EXPRESSIONS, configs)])
            if policy != "compact":
                await admin.delete_records({place: RecordsToDelete(9)})

    broker.ask(remove)
    with FilterProcess(broker, tmp_path, WURAO_REGISTRY__MODE=mode) as filter_:
        _wait(lambda: "registry records were deleted before they were consumed" in filter_.log, filter_)
        filter_.wait_ready()
        assert _asked(broker, filter_, _sms(FIRST)) == "consented"
        assert filter_.terminate() == 0
