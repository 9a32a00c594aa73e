"""The filter as carriers run it: a real process, on genuine Kafka, killed, crowded and poisoned."""

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from bloom.partition import partition_of
from stream.kafka import clients
from stream.model.codec import decode_file_record, encode
from stream.model.registry import Expression, key_of
from stream.model.topics import EVENT_KINDS, EXPRESSIONS, RECORD_KIND
from tests.filter import cases
from tests.filter.harness import NOW, Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

MANY = 40_000


def _flood(wanted: int, *, first: int = 0) -> list[dict[str, object]]:
    """Commercial SMS to many subscribers, all of them silent."""
    return [
        event("sms", first + number, to=f"+86138{number % 5_000:08d}", text=cases.GOOD_TEXT, **cases.BANK)
        for number in range(wanted)
    ]


def _check_each_decided(events: list[dict[str, object]], decisions: list[dict[str, object]]) -> int:
    """Every event has a decision and there are no others; returns how many were made twice."""
    decided = Counter(str(decision["event"]) for decision in decisions)
    assert set(decided) == {str(one["id"]) for one in events}
    return sum(decided.values()) - len(decided)


def test_every_answer_comes_through_the_real_worker(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        decisions = broker.decisions(until=len(cases.EVENTS))
        got = {decision["event"]: decision["reason"] for decision in decisions}
        assert got == cases.EXPECTED
        for decision in decisions:
            assert ("code" in decision) == (decision["verdict"] != "allow") == ("appeal" in decision)
        suspended = next(decision for decision in decisions if decision["reason"] == "suspended")
        assert (suspended["basis"], suspended["appeal"]) == ("measures", "tel:95077")
        epochs = {record.key.decode() for record in broker.read("epochs", until=1)}
        assert {decision["epoch"] for decision in decisions} <= epochs
        assert filter_.metric("wurao_decisions_total{", worker=1) >= 1
        assert filter_.terminate() == 0


def test_decisions_stand_in_their_events_partition_under_their_key(broker: Broker, tmp_path: Path) -> None:
    events = _flood(100)
    broker.write_events(events)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        for record in broker.read("decisions", until=len(events)):
            assert record.partition == partition_of(record.key.decode(), broker.partitions)


def test_a_killed_worker_skips_no_event(
    broker: Broker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    events = _flood(MANY)
    broker.write_events(events)
    chance = random.Random(7)
    with FilterProcess(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        for _ in range(3):
            time.sleep(chance.uniform(0.05, 0.4))
            os.kill(chance.choice(filter_.worker_pids()), signal.SIGKILL)
            filter_.wait_ready()
        decisions = broker.decisions(until=MANY)
        while len({decision["event"] for decision in decisions}) < MANY:
            decisions = broker.decisions(until=len(decisions) + 1)
        twice = _check_each_decided(events, decisions)
        record_property("decided_twice", twice)
        assert filter_.metric("wurao_worker_restarts_total", worker=0) == 3
        assert filter_.terminate() == 0


def test_a_worker_that_hangs_is_killed_and_its_events_are_decided(broker: Broker, tmp_path: Path) -> None:
    events = _flood(200)
    with FilterProcess(broker, tmp_path, workers=2, WURAO_FILTER__HUNG_AFTER_MS="2000") as filter_:
        filter_.wait_ready()
        well, hung = filter_.worker_pids()
        os.kill(hung, signal.SIGSTOP)
        broker.write_events(events)
        assert _check_each_decided(events, broker.decisions(until=len(events))) == 0
        deadline = time.monotonic() + LONG_S
        while not (filter_.metric("wurao_worker_restarts_total", worker=0) and filter_.is_ready):
            assert time.monotonic() < deadline, filter_.last_words()
            time.sleep(0.05)
        assert hung not in filter_.worker_pids()
        assert well in filter_.worker_pids()
        assert f'"pid":{hung}' in next(line for line in filter_.log.splitlines() if "worker hangs" in line).replace(
            " ", ""
        )
        assert filter_.terminate() == 0


def test_a_second_worker_takes_over_without_deciding_twice(broker: Broker, tmp_path: Path) -> None:
    events = _flood(MANY)
    waves = [events[first : first + 2_000] for first in range(0, MANY, 2_000)]
    writer = threading.Thread(target=lambda: deque(map(broker.write_events, waves), maxlen=0))
    with FilterProcess(broker, tmp_path / "a") as first, FilterProcess(broker, tmp_path / "b") as second:
        first.wait_ready()
        writer.start()
        second.wait_ready()
        broker.decisions(until=MANY // 4)
        assert first.terminate() == 0
        writer.join()
        late = _flood(1_000, first=MANY)  # for the second worker alone
        broker.write_events(late)
        events += late
        assert _check_each_decided(events, broker.decisions(until=len(events))) == 0
        assert second.metric("wurao_decisions_total{") > 0
        assert second.terminate() == 0


def test_sigterm_drains_what_is_in_hand_and_commits_it(broker: Broker, tmp_path: Path) -> None:
    waves = (_flood(2_000, first=first) for first in count(MANY, 2_000))
    ended = threading.Event()
    events = _flood(MANY)

    def write_on() -> None:
        while not ended.is_set():
            events.extend(wave := next(waves))
            broker.write_events(wave)

    broker.write_events(events)
    writer = threading.Thread(target=write_on)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        writer.start()  # however fast the filter is, it has something in hand
        try:
            broker.decisions(until=1)
            assert filter_.terminate() == 0
        finally:
            ended.set()
            writer.join()
    late = next(waves)
    events += late
    broker.write_events(late)
    assert 0 < len(broker.decisions()) < len(events)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert _check_each_decided(events, broker.decisions(until=len(events))) == 0


def test_a_reply_is_in_force_before_the_next_messages(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        broker.write_events([event("sms", 1, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
        assert broker.decisions(until=1)[0]["reason"] == "consented"
        reply = event("reply", 2, **{"from": cases.WILLING, "to": cases.PORT, "text": "TD"})
        before = len(broker.read(EXPRESSIONS))
        broker.write_events([reply])
        written = broker.read(EXPRESSIONS, until=before + 1)
        wills = [record for record in written if record.key == f"{cases.WILLING}|sms|ORG-BANK|*".encode()]
        assert len(wills) == 1, "one reply, one expression"
        reasons: list[object] = []
        for number in range(10, 200):
            broker.write_events([event("sms", number, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
            mine = [d for d in broker.decisions(until=len(reasons) + 3) if d["of"] == "sms" and d["event"] != "sms-1"]
            reasons = [d["reason"] for d in mine]
            if "refused" in reasons:
                break
        assert reasons[-1] == "refused"


def test_replies_that_say_no_refusal_or_whose_numbers_are_of_no_use_are_counted_and_named(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    nobodys = "10691234567890"
    replies: list[dict[str, object]] = [
        {"from": cases.WILLING, "to": cases.PORT, "text": "0000"},
        {"from": cases.WILLING, "to": nobodys, "text": "TD"},
        {"from": "95588", "to": cases.PORT, "text": "TD"},
    ]
    broker.write_events(event("reply", number, **reply) for number, reply in enumerate(replies))
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert [decision["reason"] for decision in broker.decisions(until=3)] == ["reply"] * 3
        for outcome in ("unheard", "port_unknown", "author_unknown"):
            assert filter_.metric(f'wurao_replies_total{{outcome="{outcome}"}}') == 1
        assert "reply with unusable numbers" in filter_.log
        assert nobodys not in filter_.log
        assert cases.WILLING not in filter_.log


def test_a_refusal_holds_for_good_while_events_flow(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    refusal = Expression(subscriber=cases.WILLING, channel="sms", will="refuse", time=NOW, source="test")
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        for number in range(20):
            if number == 5:
                broker.decisions(until=1)  # the filter is at work: what it has decided is decided before the refusal
                broker.write_registry([refusal])
            wave = [
                event("sms", 100 * number + one, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)
                for one in range(100)
            ]
            broker.write_events(wave)
        decisions = broker.decisions(until=2_000)
        reasons = [str(decision["reason"]) for decision in decisions]  # one subscriber, one partition: in order
        assert set(reasons) == {"consented", "refused"}
        assert "consented" not in reasons[reasons.index("refused") :]


def test_poison_in_every_topic_becomes_dead_letters_and_stops_nothing(broker: Broker, tmp_path: Path) -> None:
    broken = b'{"kind":"sms","id":"","time":1.0,"to":"\xff"}'
    poison: list[tuple[str, int, bytes | None, bytes | None]] = []
    for topic in EVENT_KINDS:
        poison += [(topic, 3, b"k", broken), (topic, 3, None, b""), (topic, 3, b"k", b"[" * 5_000)]
        poison.append((topic, 3, b"k", None))
    for topic in RECORD_KIND:
        poison.append((topic, 0, b"k", broken))
        right = next(r for r in cases.registry() if type(r) is RECORD_KIND[topic])
        poison.append((topic, 0, b"not its key", encode(right)))
    poison.append((EXPRESSIONS, 0, b"+8613800138000|sms|*|*", None))
    broker.write(poison[: len(poison) // 2])
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        broker.write(poison[len(poison) // 2 :])
        broker.write_events(cases.EVENTS)
        assert len(broker.decisions(until=len(cases.EVENTS))) == len(cases.EVENTS)
        letters = broker.read("dead-letter", until=len(poison))
        assert sorted((letter.key, letter.value) for letter in letters if letter.value) == sorted(
            (k, v) for _, _, k, v in poison if v
        )
        for letter in letters:
            headers = dict(letter.headers)
            assert set(headers) == {"error", "topic", "partition", "offset"}
            assert headers["error"]
            place = headers["topic"].decode(), int(headers["partition"])
            assert place in {(topic, partition) for topic, partition, _, _ in poison}
        assert filter_.metric('wurao_dead_letters_total{topic="events.sms"}') == 4


def test_a_record_in_the_wrong_partition_is_counted_named_and_applied(broker: Broker, tmp_path: Path) -> None:
    right = partition_of(cases.WILLING, broker.partitions)
    wrong = (right + 1) % broker.partitions
    consent = next(r for r in cases.registry() if isinstance(r, Expression))
    broker.write_registry([r for r in cases.registry() if not isinstance(r, Expression)])
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        broker.write([(EXPRESSIONS, wrong, key_of(consent).encode(), encode(consent))])
        time.sleep(1)
        broker.write_events([event("sms", 1, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)])
        assert broker.decisions(until=1)[0]["reason"] == "consented"
        assert filter_.metric(f'wurao_misplaced_records_total{{topic="{EXPRESSIONS}"}}') == 1
        assert "wrong partition" in filter_.log
        assert cases.WILLING not in filter_.log


def test_urgent_events_are_decided_before_a_backlog(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    broker.write_events(_flood(MANY))
    urgent = event("sms", 999_999, to=cases.SILENT, text="台风", purpose="emergency", **{"from": "12320"})
    broker.write_events([urgent], topic="events.urgent")
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        decisions = broker.read("decisions", until=MANY + 1)
        by_time = sorted(decisions, key=lambda record: record.timestamp)
        place = next(i for i, record in enumerate(by_time) if b"sms-999999" in record.value)
        assert place < MANY // 2, f"the emergency came {place}th"


def test_the_next_start_takes_the_snapshot_and_what_came_since(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert filter_.terminate() == 0
    lift = decode_file_record(
        b'{"kind":"expression","subscriber":"+8613800138000","channel":"sms","will":"refuse","time":2,"source":"t"}'
    )
    broker.write_registry([lift])
    broker.write_events(cases.EVENTS)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert "snapshot made" not in filter_.log, "the snapshot of the first run serves the second"
        got = {decision["event"]: decision["reason"] for decision in broker.decisions(until=len(cases.EVENTS))}
        consented = [name for name, reason in cases.EXPECTED.items() if reason == "consented" and "sms" in name]
        assert all(got[name] == "refused" for name in consented)


@pytest.mark.parametrize("damage", ["a flipped byte", "a cut end", "another cluster's"])
def test_a_bad_snapshot_is_named_and_the_topics_are_read_instead(broker: Broker, tmp_path: Path, damage: str) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert filter_.terminate() == 0
    (path,) = (tmp_path / "snapshots").glob("*.snapshot")
    whole = path.read_bytes()
    if damage == "a flipped byte":
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif damage == "a cut end":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        broker.delete_topics()
        broker.create_topics()
        broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        got = {decision["event"]: decision["reason"] for decision in broker.decisions(until=len(cases.EVENTS))}
        assert got == cases.EXPECTED
        assert "snapshot not used" in filter_.log


def test_a_new_base_is_folded_and_handed_to_the_workers_while_they_decide(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        changed = [
            Expression(subscriber=f"+86137{n:08d}", channel="sms", will="refuse", time=1, source="t")
            for n in range(500)
        ]
        broker.write_registry(changed)
        before = set(filter_.worker_pids())
        deadline = time.monotonic() + LONG_S
        while filter_.metric("wurao_registry_overlay_numbers") < 500 and time.monotonic() < deadline:
            time.sleep(0.2)
        filter_.signal(signal.SIGUSR1)
        while set(filter_.worker_pids()) & before or filter_.get("/readyz") != "ready\n":
            assert time.monotonic() < deadline, filter_.log
            time.sleep(0.1)
        assert filter_.metric("wurao_registry_overlay_numbers", worker=1) == 0
        assert filter_.metric('wurao_registry_base_numbers{channel="sms"}', worker=0) == 501
        assert filter_.metric("wurao_worker_restarts_total", worker=0) == 0
        broker.write_events([event("sms", 1, to="+8613700000499", text=cases.GOOD_TEXT, **cases.BANK)])
        assert broker.decisions(until=1)[0]["reason"] == "refused"
        assert filter_.terminate() == 0


def test_an_aborted_transaction_at_a_topics_end_keeps_no_worker_from_starting(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())

    async def abort() -> None:
        producer = clients.producer(broker.config, client="test", transactional_id="test-abort")
        await producer.start()
        with contextlib.suppress(ZeroDivisionError):
            async with producer.transaction():
                await producer.send_and_wait("registry.orders", b"{}", key=b"k", partition=0)
                raise ZeroDivisionError
        await producer.stop()

    asyncio.run(abort())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        assert filter_.terminate() == 0
