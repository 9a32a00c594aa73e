"""Partitioned mode: workers that hold their own partitions' wills decide as those do that hold all of them."""

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol, Self

import orjson
import pytest

from bloom.base import CHANGED_MIN
from bloom.partition import partition_of
from stream.kafka.clients import ConsumerRecord
from stream.model.codec import decode_event, decode_record, encode
from stream.model.registry import Expression, FileRecord, key_of
from stream.model.topics import EVENTS_URGENT, EXPRESSIONS
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load as load_policy
from stream.registry.registry import Registry
from stream.testbed.local import Cluster
from tests.deciding.twins import needs_native
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

WILLING = [f"+86138{number:08d}" for number in range(300)]
"""Who has consented at first; the first third of them refuses while events flow."""

HELD = "wurao_registry_partitions_held"


class Start(Protocol):
    """Starts a host."""

    def __call__(self, broker: Broker, directory: Path, *, workers: int = 1, **environment: str) -> FilterProcess: ...


def _host(native: str) -> Start:
    """Hosts in partitioned mode, on the Python path or on the native one."""

    def start(broker: Broker, directory: Path, *, workers: int = 1, **environment: str) -> FilterProcess:
        apart = {"WURAO_REGISTRY__MODE": "partitioned", "WURAO_FILTER__NATIVE": native}
        return FilterProcess(broker, directory, workers=workers, **apart | environment)

    return start


@pytest.fixture(params=["off", pytest.param("on", marks=needs_native)])
def partitioned(request: pytest.FixtureRequest) -> Start:
    return _host(request.param)


def _consent(subscriber: str) -> Expression:
    return Expression(
        subscriber=subscriber,
        channel="sms",
        sender="ORG-BANK",
        category="finance",
        will="consent",
        time=1,
        source="test",
    )


def _refusal(subscriber: str) -> Expression:
    return Expression(subscriber=subscriber, channel="sms", will="refuse", time=2, source="test")


def _others() -> list[FileRecord]:
    return [record for record in cases.registry() if not isinstance(record, Expression)]


def _wait(seen: Callable[[], bool], filter_: FilterProcess, *, within_s: float = LONG_S) -> None:
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, filter_.log[-4000:]
        time.sleep(0.1)


def _refusing(filter_: FilterProcess) -> list[float]:
    """How many numbers each of two workers knows to refuse every SMS: refreshed every five seconds."""
    return [filter_.metric('wurao_registry_numbers{channel="sms"}', worker=worker) for worker in (1, 2)]


def test_two_workers_answer_everything_and_each_holds_half(partitioned: Start, broker: Broker, tmp_path: Path) -> None:
    broker.write_registry([*cases.registry(), *map(_refusal, WILLING)])
    broker.write_events(cases.EVENTS)
    with partitioned(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        got = {decision["event"]: decision["reason"] for decision in broker.decisions(until=len(cases.EVENTS))}
        assert got == cases.EXPECTED
        held = [filter_.metric(HELD, worker=worker) for worker in (1, 2)]
        assert held == [broker.partitions / 2] * 2
        _wait(lambda: sum(_refusing(filter_)) == len(WILLING) + 1, filter_)  # `cases.REFUSING` is the one
        assert min(_refusing(filter_)) > len(WILLING) / 4
        assert filter_.terminate() == 0


def test_no_one_who_refused_is_sent_to_while_workers_come_and_die(
    partitioned: Start, broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry([*_others(), *map(_consent, WILLING)])
    traffic = _Traffic(broker)
    with (
        partitioned(broker, tmp_path / "a") as first,
        partitioned(broker, tmp_path / "b") as second,
        traffic,
    ):
        first.wait_ready()
        second.wait_ready()
        traffic.wait_for(waves=2)
        with partitioned(broker, tmp_path / "c") as third:
            third.wait_ready()
            traffic.wait_for(waves=2)
            _kill(second)
            _wait(lambda: _held(first) + _held(third) == broker.partitions, first)
            traffic.wait_for(waves=2)
            traffic.end()
            decisions = _decisions_of(broker, traffic.events_count)
            assert first.terminate() == 0
            assert third.terminate() == 0

    refused: set[object] = set()
    for record in decisions:  # in each partition's order, so in each subscriber's
        decision = orjson.loads(record.value)
        if decision["reason"] == "refused":
            refused.add(decision["to"])
        else:
            assert decision["reason"] == "consented"
            assert decision["to"] not in refused, "allowed after it was refused"
    assert refused == set(traffic.refusing)
    assert _judged_alone(broker, decisions) == [record.value for record in decisions]


class _Traffic:
    """Waves of events to everybody, each followed by some refusals; a thread writes them until `end`."""

    def __init__(self, broker: Broker) -> None:
        self.refusing: list[str] = []
        self.events_count = 0
        self._broker = broker
        self._waves = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Write no more."""
        self._ending.set()
        self._thread.join()

    def wait_for(self, *, waves: int) -> None:
        """Wait until so many more waves are written."""
        wanted = self._waves + waves
        while self._waves < wanted:
            assert self._thread.is_alive()
            time.sleep(0.05)

    def _write(self) -> None:
        while not self._ending.is_set():
            self._wave()
            refusing = WILLING[len(self.refusing) :][: min(20, len(WILLING) // 3 - len(self.refusing))]
            self._broker.write_registry(map(_refusal, refusing))
            self.refusing += refusing
            time.sleep(0.1)
        self._broker_is_caught_up()

    def _broker_is_caught_up(self) -> None:
        time.sleep(1)  # so that the last refusals are in force when the last wave comes
        self._wave()

    def _wave(self) -> None:
        first = self.events_count
        wave = [
            event("sms", first + number, to=to, text=cases.GOOD_TEXT, **cases.BANK) for number, to in enumerate(WILLING)
        ]
        self._broker.write_events(wave)
        self.events_count += len(wave)
        self._waves += 1


def _kill(filter_: FilterProcess) -> None:
    """End a host as a power cut does: its supervisor must not ask the worker to drain."""
    (worker,) = filter_.worker_pids()
    os.kill(filter_.pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    filter_.kill()


def _held(filter_: FilterProcess) -> float:
    return filter_.metric(HELD)


def _decisions_of(broker: Broker, events_count: int) -> list[ConsumerRecord]:
    """The decisions, every event's among them, partition by partition in the order of their offsets."""
    found: list[ConsumerRecord] = []
    deadline = time.monotonic() + LONG_S
    while len({orjson.loads(record.value)["event"] for record in found}) < events_count:
        assert time.monotonic() < deadline, "an event was skipped"
        found = broker.read("decisions", until=events_count)
    return sorted(found, key=lambda record: (record.partition, record.offset))


@needs_native
def test_whatever_comes_while_partitions_move_is_decided_natively_as_python_alone_decides(
    broker: Broker, tmp_path: Path
) -> None:
    """Snapshots of the first host stand for some, and the topic for others; nothing of it may be seen."""
    broker.write_registry([*cases.registry(), *map(_consent, WILLING)])
    sent = _events(rounds=2)
    native = _host("on")
    with native(broker, tmp_path, workers=2) as first:
        first.wait_ready()
        first.signal(signal.SIGUSR1)
        _wait(lambda: len(list(_partition_snapshots(tmp_path))) == broker.partitions, first)
        broker.write_registry(map(_refusal, WILLING[::2]))
        broker.write_events(sent[: len(sent) // 2])
        with native(broker, tmp_path / "b") as second:
            second.wait_ready()
            broker.write_registry([_refusal(cases.SILENT), *map(_refusal, WILLING[1::4])])
            broker.write_events(sent[len(sent) // 2 :])
            _decisions_of(broker, len(sent))
            assert second.metric('wurao_native_info{path="native"}') == 1
            assert 0 < _held(second) < broker.partitions
            assert second.terminate() == 0
        more = _events(rounds=1, first=len(sent))
        _wait(lambda: sum(first.metric(HELD, worker=worker) for worker in (1, 2)) == broker.partitions, first)
        broker.write_events(more)
        decisions = _decisions_of(broker, len(sent) + len(more))
        for worker in (1, 2):
            assert first.metric('wurao_native_info{path="native"}', worker=worker) == 1
        left = sum(first.metric("wurao_native_left_total", worker=worker) for worker in (1, 2))
        assert left < len(decisions) / 10
        assert first.terminate() == 0
    judged = {one["event"]: one for one in map(orjson.loads, _judged_alone(broker, decisions))}
    assert judged == {one["event"]: one for one in (orjson.loads(record.value) for record in decisions)}
    assert len({one["reason"] for one in judged.values()}) > len(cases.EXPECTED) / 2, "many rules were asked"
    replies = [one for one in (*sent, *more) if one["kind"] == "reply"]
    assert len(broker.read("events.reply")) == len(replies)


def _events(*, rounds: int, first: int = 0) -> list[dict[str, object]]:
    """Every case, and commercial messages to all the willing."""
    messages = [event("sms", 0, to=to, text=cases.GOOD_TEXT, **cases.BANK) for to in WILLING]
    some = [*cases.EVENTS, *messages] * rounds
    return [{**one, "id": f"{first + place}"} for place, one in enumerate(some)]


def _judged_alone(broker: Broker, decisions: Sequence[ConsumerRecord]) -> list[bytes]:
    """What `decide` says of each event, on a registry of all that its partition held up to the epoch's offset."""
    policy = load_policy(broker.config.policy.file)
    epochs = {record.key.decode(): orjson.loads(record.value) for record in broker.read("epochs")}
    topics = ("events.sms", "events.call", "events.reply")
    events = {one.id: one for one in (decode_event(r.value) for topic in topics for r in broker.read(topic))}
    topic: defaultdict[int, list[ConsumerRecord]] = defaultdict(list)
    for record in broker.read(EXPRESSIONS):
        topic[record.partition].append(record)

    def offset_of(record: ConsumerRecord) -> int:
        epoch = epochs[orjson.loads(record.value)["epoch"]]
        assert not epoch["stale"]
        offset: int = epoch["offsets"][EXPRESSIONS][record.partition]
        assert offset >= 0, "decided without the partition"
        return offset

    judged: dict[int, bytes] = {}
    for partition, some in groupby(decisions, key=lambda record: int(record.partition)):
        for offset, at_once in groupby(sorted(some, key=offset_of), key=offset_of):
            registry = Registry()
            registry.apply(_others())
            registry.apply(decode_record(EXPRESSIONS, r.key, r.value) for r in topic[partition] if r.offset < offset)
            world = World(policy, registry)
            for record in at_once:
                made = orjson.loads(record.value)
                alone = decide(events[made["event"]], world, made["decided"], epoch=made["epoch"])
                judged[id(record)] = encode(alone)
    return [judged[id(record)] for record in decisions]


def test_what_stands_in_the_wrong_partition_is_a_dead_letter(
    partitioned: Start, broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    right = partition_of(cases.SILENT, broker.partitions)
    wrong = (right + 1) % broker.partitions
    consent = _consent(cases.SILENT)
    stray = event("sms", 1, to=cases.SILENT, text=cases.GOOD_TEXT, **cases.BANK)
    with partitioned(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        broker.write([(EXPRESSIONS, wrong, key_of(consent).encode(), encode(consent))])
        broker.write([("events.sms", wrong, cases.SILENT.encode(), orjson.dumps(stray))])
        letters = broker.read("dead-letter", until=2)
        assert {dict(letter.headers)["topic"] for letter in letters} == {EXPRESSIONS.encode(), b"events.sms"}
        error = f"stands in partition {wrong}, its subscriber belongs to {right}"
        assert all(error in dict(letter.headers)["error"].decode() for letter in letters)
        broker.write_events([event("sms", 2, to=cases.SILENT, text=cases.GOOD_TEXT, **cases.BANK)])
        (decision,) = broker.decisions(until=1)
        assert (decision["event"], decision["reason"]) == ("sms-2", "no_consent")
        assert cases.SILENT not in filter_.log


def _partition_snapshots(directory: Path) -> Iterator[Path]:
    return (directory / "snapshots").glob("partition-*/registry-*.snapshot")


def test_a_partition_is_loaded_from_its_snapshot_and_what_came_since(
    partitioned: Start, broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    urgent = event("sms", 1, to=cases.SILENT, text="台风", purpose="emergency", **{"from": "12320"})
    broker.write_events([urgent], topic=EVENTS_URGENT)
    with partitioned(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert broker.decisions(until=1)[0]["reason"] == "emergency"
        filter_.signal(signal.SIGUSR1)
        _wait(lambda: len(list(_partition_snapshots(tmp_path))) == broker.partitions, filter_)
        assert filter_.terminate() == 0
    place = EVENTS_URGENT, partition_of(cases.SILENT, broker.partitions)
    assert broker.committed("wurao-filter.bulk")[place] == 1, "one group commits for both lanes"

    broken = next(path for path in _partition_snapshots(tmp_path) if path.parent.name == "partition-0009")
    broken.write_bytes(broken.read_bytes()[:-1])
    before_it = [_consent(cases.WILLING)] * 200
    broker.write_registry([*before_it, _refusal(cases.WILLING)])
    broker.write_events([event("sms", 2, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
    broker.write_events([event("sms", 3, to=cases.REFUSING, text=cases.GOOD_TEXT, **cases.BANK)])
    # A record a poll: whoever decided before the last of them would let the message through.
    with partitioned(broker, tmp_path, WURAO_REGISTRY__POLL_RECORDS_MAX="1") as filter_:
        filter_.wait_ready()
        reasons = {decision["event"]: decision["reason"] for decision in broker.decisions(until=3)}
        assert reasons == {"sms-1": "emergency", "sms-2": "refused", "sms-3": "refused"}
        assert len(broker.decisions()) == 3, "nothing is decided twice"
        loaded = [line for line in filter_.log.splitlines() if "partition loaded" in line]
        from_snapshot = sum('"from_snapshot":true' in line.replace(" ", "") for line in loaded)
        assert (len(loaded), from_snapshot) == (broker.partitions, broker.partitions - 1)
        assert "snapshot not used" in filter_.log


@needs_native
def test_what_is_read_from_the_topic_goes_into_a_native_base_and_newer_words_count(
    kafka: Cluster, tmp_path: Path
) -> None:
    broker = Broker(kafka.bootstrap, partitions=1)
    broker.delete_topics()
    broker.create_topics()
    broker.write_registry([*_others(), *map(_consent, WILLING)])
    refusing = [f"+86139{number:08d}" for number in range(CHANGED_MIN + 1)]
    broker.write_registry(map(_refusal, refusing))
    with _host("on")(broker, tmp_path, WURAO_TOPICS__PARTITIONS="1") as filter_:
        filter_.wait_ready()
        _wait(lambda: "native base renewed" in filter_.log, filter_)
        broker.write_registry([_refusal(WILLING[0]), _consent(refusing[0])])
        _wait(
            lambda: (
                filter_.metric('wurao_registry_records_total{topic="registry.expressions"}')
                > len(refusing) + len(WILLING) + 1
            ),
            filter_,
        )
        asked = [*WILLING[:2], *refusing[:2]]
        broker.write_events(
            [event("sms", number, to=to, text=cases.GOOD_TEXT, **cases.BANK) for number, to in enumerate(asked)]
        )
        reasons = {decision["to"]: decision["reason"] for decision in broker.decisions(until=len(asked))}
        assert reasons == dict(zip(asked, ("refused", "consented", "consented", "refused"), strict=True))
        assert filter_.metric("wurao_native_left_total") == 0
        assert filter_.terminate() == 0
