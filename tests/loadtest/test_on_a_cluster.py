"""Measured for real, on somebody else's cluster: figures come out, and nothing is left behind or in the way."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from loadtest import figures
from loadtest.__main__ import main
from stream.model.topics import EVENTS_SMS, EXPRESSIONS
from stream.testbed.local import LocalKafka

pytestmark = pytest.mark.kafka

SMALL = ["--events", "30000", "--refusals", "1000", "--repeat", "1", "--partitions", "4"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of its own: what is on it is part of the tests."""
    with LocalKafka() as kafka:
        yield kafka.bootstrap


async def topics_of(bootstrap: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {name for name in await admin.list_topics() if not name.startswith("__")}
    finally:
        await admin.close()


async def made(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def deleted(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


def test_the_filter_and_a_peer_are_measured_in_one_run_and_their_topics_are_gone_afterwards(
    cluster: str, tmp_path: Path
) -> None:
    # As many as keep the native path busy for several looks.
    events = ["--events", "300000"]
    told = [
        "run",
        "throughput",
        "--bootstrap",
        cluster,
        "--out",
        str(tmp_path),
        "--peers",
        "passthrough",
        *SMALL,
        *events,
    ]
    assert main(told) == 0
    (path,) = tmp_path.glob("throughput-*.json")
    result = figures.read(path)
    assert list(result.rows) == ["filter", "passthrough"]
    for row in result.rows:
        assert result.figure(row, "events_per_cpu_s").median > 0
    assert result.figure("passthrough", "filter_ratio").median == pytest.approx(
        result.figure("filter", "events_per_cpu_s").median / result.figure("passthrough", "events_per_cpu_s").median
    )
    assert result.figure("filter", "decision_bytes").median > 100
    assert asyncio.run(topics_of(cluster)) == set()


def test_every_event_of_an_open_loop_is_answered_and_its_delay_counts_from_when_it_was_due(
    cluster: str, tmp_path: Path
) -> None:
    told = ["run", "mixed", "--bootstrap", cluster, "--out", str(tmp_path), "--rates", "500", "--seconds", "3", *SMALL]
    assert main(told) == 0
    (path,) = tmp_path.glob("mixed-*.json")
    result = figures.read(path)
    assert list(result.rows) == ["sms", "call", "reply", "urgent"]
    assert sum(delays.count for delays in result.delays.values()) == 1_500
    for row in result.rows:
        assert result.figure(row, "missing_count").median == 0
        assert 0 < result.figure(row, "p50_ms").median <= result.figure(row, "p99_ms").median


def test_topics_with_other_partitions_are_named_and_nothing_is_written(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(made(cluster, EVENTS_SMS, 3))
    try:
        assert main(["run", "burst", "--bootstrap", cluster, "--out", str(tmp_path), *SMALL]) == 1
        said = capsys.readouterr().err
        assert f"{EVENTS_SMS} has 3 partitions where 4 are asked for (--partitions)" in said
        assert EXPRESSIONS not in asyncio.run(topics_of(cluster))
    finally:
        asyncio.run(deleted(cluster, EVENTS_SMS))


def test_what_a_decision_takes_on_disk_is_of_one_program_although_two_write_into_one_topic(tmp_path: Path) -> None:
    told = ["run", "throughput", "--out", str(tmp_path), "--peers", "filter-uncompressed", *SMALL, "--events", "300000"]
    assert main(told) == 0
    (path,) = tmp_path.glob("throughput-*.json")
    result = figures.read(path)
    whole = result.figure("filter", "decision_bytes").median
    assert result.figure("filter", "stored_decision_bytes").median < whole / 4
    assert result.figure("filter-uncompressed", "stored_decision_bytes").median > whole
