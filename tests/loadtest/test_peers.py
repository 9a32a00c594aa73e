"""Every peer that is set up gives the same answers: what is measured beside the filter does the filter's work."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import NewTopic

from bloom import snapshot
from bloom.partition import partition_of
from bloom.snapshot import SnapshotMeta
from loadtest.peers import PEERS, Peer
from loadtest.peers.arguments import Report, Run
from stream import config as configuration
from stream.config import Config
from stream.deciding.batch import Keyed
from stream.kafka import clients
from stream.model.codec import decode_decision, encode
from stream.model.decision import Decision
from stream.model.events import Sms
from stream.model.topics import TopicPartition
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import Registry, registry_of
from stream.testbed import texts
from stream.testbed.feed import send
from stream.testbed.local import Cluster
from stream.testbed.sample import CAMPAIGN, CAMPAIGN_TEXT, HEALTH_SENDER, Sample, sample
from stream.testbed.traffic import Placed, Traffic

PARTITIONS = 3
EVENTS_TOPIC = "peers.events"
LIMIT_S = 60

BANK_PORT = "10690001010199"

GOOD = "【江澜银行】稳健理财新品今日开售，详询400-000-0101，拒收请回复R"
COMMERCIAL: dict[str, str | None] = {"from_": BANK_PORT, "purpose": "commercial", "category": "finance", "text": GOOD}

PUBLIC: dict[str, str | None] = {
    "from_": "106900012001", "purpose": "public", "campaign": CAMPAIGN, "text": CAMPAIGN_TEXT,
}  # fmt: skip

# What the traffic's own scenarios leave out: spellings, absent fields, odd numbers.
ODD: tuple[dict[str, str | None], ...] = (
    COMMERCIAL,
    COMMERCIAL | {"purpose": None, "category": None},
    COMMERCIAL | {"text": "【江瀾銀行】詳詢４００－０００－０１０１,退訂回T"},
    COMMERCIAL | {"text": "江澜银行 400 000 0101 回 td"},
    COMMERCIAL | {"text": "江澜银行 400 000 0101 回 td1"},
    COMMERCIAL | {"text": "江澜银行14000000101 回T"},
    COMMERCIAL | {"text": "ｶﾞ 江澜银行 400-000-0101 回复ＴＤ \U00020000"},
    COMMERCIAL | {"text": None},
    COMMERCIAL | {"text": GOOD + "免-费 领_取(代)开·发票"},
    COMMERCIAL | {"sender": "ORG-SHOP-1"},
    COMMERCIAL | {"sender": "ORG-NOBODY"},
    COMMERCIAL | {"category": "retail"},
    COMMERCIAL | {"to": "95588"},
    COMMERCIAL | {"to": "12"},
    COMMERCIAL | {"to": "010110"},
    COMMERCIAL | {"to": "12321"},
    COMMERCIAL | {"from_": "app:bank", "network": "internet"},
    COMMERCIAL | {"from_": "app:bank"},
    COMMERCIAL | {"from_": None},
    {"from_": "+8613800138000", "purpose": "personal", "text": "免费领取代开发票"},
    {"from_": "+8613800138000", "purpose": "personal", "sender": "ORG-BANK-1"},
    PUBLIC | {"sender": HEALTH_SENDER},
    PUBLIC | {"text": f" {CAMPAIGN_TEXT}", "region": "110105"},
    PUBLIC | {"region": "320100"},
    {"from_": "106900012101", "purpose": "emergency", "text": '"quoted"\\\n'},
    {"from_": "1069000199001", "purpose": "emergency", "campaign": "E-DEMO-FLOOD"},
    {"from_": BANK_PORT, "purpose": "emergency"},
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A registry's file, a topic with events, and the answers that the plain table gives."""

    bootstrap: str
    registry: Path
    answers: dict[str, Decision]

    @property
    def config(self) -> Config:
        return configuration.load(None, {"WURAO_KAFKA__BOOTSTRAP": self.bootstrap})


@pytest.fixture(scope="module")
def stage(kafka: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    now = time.time_ns() // 1_000_000
    people = sample(now=now, refusals_count=1_000)
    said = [words.expression(index) for words in people.expressions for index in words.who]
    registry = registry_of([*people.records(), *said])
    events = _events(people, now)
    world = World(load(None), registry)
    answers = {event.id: decide(event, world, now) for event in events}
    stage = Stage(kafka.bootstrap, _written(registry, tmp_path_factory.mktemp("peers")), answers)
    asyncio.run(_put(stage, events, now))
    yield stage
    asyncio.run(_delete(stage))


def _events(people: Sample, now: int) -> list[Sms]:
    traffic = Traffic(people, texts.own(), seed=7, prefix="peer")
    events = [event for event in traffic.events(200, now=now) if isinstance(event, Sms)]
    watched = next(people.expressions_of(people.watched)).subscriber
    for number, fields in enumerate(ODD):
        known = {"kind": "sms", "id": f"odd-{number}", "time": now, "to": watched}
        events.append(msgspec.convert(known | _named(fields), Sms))
    return events


def _named(fields: dict[str, str | None]) -> dict[str, str]:
    return {name.rstrip("_"): value for name, value in fields.items() if value is not None}


def _written(registry: Registry, folder: Path) -> Path:
    wills = registry.wills
    assert not hasattr(wills, "folded")
    path = folder / "registry.snapshot"
    meta = SnapshotMeta(cluster="test", created_ms=0, topics={})
    snapshot.write(path, meta=meta, wills=wills, records=registry.records())
    return path


async def _put(stage: Stage, events: list[Sms], now: int) -> None:
    admin = clients.admin(stage.config)
    producer = clients.producer(stage.config, client="test-peers")
    await admin.start()
    await producer.start()
    try:
        names = [EVENTS_TOPIC, *(_decisions_topic(peer) for peer in PEERS.values())]
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        placed = [
            Placed(
                TopicPartition(EVENTS_TOPIC, partition_of(event.to, PARTITIONS)),
                Keyed(event.to.encode(), encode(event)),
            )
            for event in events
        ]
        await asyncio.gather(*await send(producer, placed, timestamp=now))
    finally:
        await producer.stop()
        await admin.close()


async def _delete(stage: Stage) -> None:
    admin = clients.admin(stage.config)
    await admin.start()
    try:
        await admin.delete_topics([EVENTS_TOPIC, *(_decisions_topic(peer) for peer in PEERS.values())])
    finally:
        await admin.close()


def _decisions_topic(peer: Peer) -> str:
    return f"peers.decisions.{peer.name}"


async def _put_out(stage: Stage, peer: Peer) -> list[tuple[int, bytes, bytes]]:
    """Partition, key and value of all that a peer has put out."""
    consumer = clients.follower(stage.config, client="test-peers")
    places = clients.partitions(_decisions_topic(peer), PARTITIONS)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        found: list[tuple[int, bytes, bytes]] = []
        while len(found) < sum((await consumer.end_offsets(places)).values()):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [(place.partition, record.key, record.value) for record in records]
        return found
    finally:
        await consumer.stop()


def _run(stage: Stage, peer: Peer) -> list[str]:
    """Run a peer over the topic; the lines that it says."""
    count = len(stage.answers)
    arguments = [
        *("--bootstrap", stage.bootstrap, "--group", f"peers-{peer.name}", "--stop-at", str(count)),
        *("--events-topic", EVENTS_TOPIC, "--decisions-topic", _decisions_topic(peer)),
        *("--partitions", str(PARTITIONS), "--snapshot", str(stage.registry)),
    ]
    environment = {**os.environ, "LOADTEST_JAVA_PASSES": "1"}
    ran = subprocess.run(
        [*peer.command, *arguments], env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout.splitlines()


@pytest.mark.kafka
@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_a_peer_answers_every_event_as_the_table_does_in_its_events_partition(stage: Stage, peer: Peer) -> None:
    if peer.missing:
        pytest.skip(peer.missing)
    said = _run(stage, peer)
    assert said[0] == "ready"
    report = msgspec.json.decode(said[-1], type=Report)
    assert report.events == len(stage.answers)
    assert report.cpu_s > 0
    put_out = asyncio.run(_put_out(stage, peer))
    assert len(put_out) == len(stage.answers)
    if peer.name == "passthrough":
        return
    for partition, key, value in put_out:
        decision = decode_decision(value)
        assert decision.to.encode() == key
        assert partition == partition_of(decision.to, PARTITIONS)
        expected = stage.answers[decision.event]
        assert msgspec.structs.replace(decision, decided=0) == msgspec.structs.replace(expected, decided=0)
    assert {decode_decision(value).event for _, _, value in put_out} == stage.answers.keys()


@pytest.mark.kafka
def test_the_small_set_of_events_has_every_reason_that_an_sms_can_have(stage: Stage) -> None:
    reasons = {decision.reason for decision in stage.answers.values()}
    assert reasons >= {
        "call_for_help", "redress", "number_missing", "malformed_number", "emergency", "suspended", "personal",
        "campaign_unknown", "campaign_outside_region", "public_interest", "prohibited_content", "unlicensed",
        "number_not_assigned", "purpose_not_permitted", "service", "stopped", "short_number",
        "category_not_permitted", "refused", "no_consent", "identity_missing", "opt_out_missing", "consented",
    }  # fmt: skip


def test_a_run_is_done_after_its_events_or_when_it_is_told_and_counts_only_what_is_acknowledged() -> None:
    run = Run(stop_at=3)
    assert run.report() == Report(events=0, wall_s=0.0, cpu_s=0.0)
    run.begin()
    run.acknowledged(2)
    assert (run.done, run.wanted, run.report().events) == (False, 1, 2)
    run.acknowledged(1)
    assert (run.done, run.wanted) == (True, 0)
    endless = Run(stop_at=None)
    assert not endless.done
    endless.end()
    assert endless.done


def test_a_peer_that_is_not_set_up_names_the_make_target() -> None:
    absent = Peer("some", ("some",), "what", "tuning", "peers", lambda: False)
    assert absent.missing == "some is not set up: run `make peers`"
