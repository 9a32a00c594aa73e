"""A genuine broker of our own: it answers, it survives what it should, and it never outlives its owner."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.testbed import jars
from stream.testbed.local import THROWAWAY_GRACE_S, Cluster, LocalKafka, LocalKafkaError
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka


async def make_topic(bootstrap: str, name: str, *, replicas: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=replicas)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for number, value in enumerate(values):
            await producer.send_and_wait(topic, value, partition=number % 3)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, count: int) -> set[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([AIOKafkaPartition(topic, partition) for partition in range(3)])
        seen: set[bytes] = set()
        async with asyncio.timeout(LONG_S):
            while len(seen) < count:
                batches = await consumer.getmany(timeout_ms=200)
                seen.update(record.value for batch in batches.values() for record in batch)
        return seen
    finally:
        await consumer.stop()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def test_it_takes_records_and_gives_them_back(kafka: Cluster) -> None:
    topic = f"round-trip-{os.getpid()}-{time.time_ns()}"
    values = [b"%d" % number for number in range(9)]
    await make_topic(kafka.bootstrap, topic, replicas=1)
    await produce(kafka.bootstrap, topic, values)
    assert await consume(kafka.bootstrap, topic, len(values)) == set(values)


def test_it_stops_within_its_grace_and_leaves_nothing_behind(
    capfd: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    kafka = LocalKafka()
    before = time.monotonic()
    kafka.start()
    record_property("ready_s", round(time.monotonic() - before, 2))
    directory, pids = kafka.log_directory.parent, list(kafka.pids.values())
    assert len(pids) == 1

    before = time.monotonic()
    kafka.stop()
    assert time.monotonic() - before < THROWAWAY_GRACE_S + 20, "its grace, and what a crowded machine needs"
    assert not any(alive(pid) for pid in pids)
    assert not directory.exists()
    assert capfd.readouterr().err == ""


def test_topics_outlive_the_cluster_in_a_directory_that_was_given(tmp_path: Path) -> None:
    with LocalKafka(directory=tmp_path) as kafka:
        asyncio.run(make_topic(kafka.bootstrap, "kept", replicas=1))
        asyncio.run(produce(kafka.bootstrap, "kept", [b"a", b"b"]))
    with LocalKafka(directory=tmp_path) as again:
        assert asyncio.run(consume(again.bootstrap, "kept", 2)) == {b"a", b"b"}


@pytest.mark.parametrize("forked_child_holds_the_pipe", [False, True])
def test_it_does_not_outlive_an_owner_that_is_killed(tmp_path: Path, *, forked_child_holds_the_pipe: bool) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from stream.testbed.local import LocalKafka\n"
        f"kafka = LocalKafka(directory=Path({str(tmp_path)!r}) / 'kafka')\n"
        "kafka.start()\n"
        "child = os.fork() if sys.argv[1] == 'True' else os.getpid()\n"
        "if child:\n"
        "    print(*kafka.pids.values(), child, flush=True)\n"
        "time.sleep(60)\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, str(script), str(forked_child_holds_the_pipe)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        node, child = map(int, owner.stdout.readline().split())
        try:
            assert alive(node)
            owner.kill()
            assert gone_within([node], LONG_S)
        finally:
            if child != owner.pid:
                os.kill(child, signal.SIGKILL)


async def test_of_three_nodes_two_still_serve_when_one_is_killed_and_it_may_come_back(
    record_property: Callable[[str, object], None],
) -> None:
    kafka = LocalKafka(nodes=3, heap_mb=256)
    before = time.monotonic()
    await asyncio.to_thread(kafka.start)
    record_property("ready_s", round(time.monotonic() - before, 2))
    try:
        assert len(kafka.bootstrap.split(",")) == len(kafka.pids) == 3
        await make_topic(kafka.bootstrap, "replicated", replicas=3)
        await produce(kafka.bootstrap, "replicated", [b"before-1", b"before-2", b"before-3"])

        kafka.kill(2)
        assert sorted(kafka.pids) == [1, 3]
        await produce(kafka.bootstrap, "replicated", [b"after-1", b"after-2", b"after-3"])
        assert len(await consume(kafka.bootstrap, "replicated", 6)) == 6

        await asyncio.to_thread(kafka.restart, 2)
        assert sorted(kafka.pids) == [1, 2, 3]
        assert kafka.died == ()
    finally:
        await asyncio.to_thread(kafka.stop)


def test_a_failed_start_quotes_its_log_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    kafka = LocalKafka(properties={"num.io.threads": "none at all"})
    with pytest.raises(LocalKafkaError, match="none at all") as failure:
        kafka.start()
    log = kafka.log_directory / "node-1.log"
    assert str(log) in str(failure.value)
    assert "none at all" in log.read_text(encoding="utf-8")
    assert kafka.pids == {}


def test_a_node_that_cannot_bind_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"PLAINTEXT://127.0.0.1:{taken.getsockname()[1]}"
        broken = LocalKafka(directory=tmp_path, properties={"inter.broker.listener.name": "PLAINTEXT"})
        broken._properties["listeners"] = f"{address},CONTROLLER://127.0.0.1:19999"
        broken._properties["controller.quorum.voters"] = "1@127.0.0.1:19999"
        broken._properties["advertised.listeners"] = address
        with pytest.raises(LocalKafkaError, match=r"ended with exit code 1 before it was ready[\s\S]*bind"):
            broken.start()


def test_the_logs_of_a_node_that_died_by_itself_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kafka = LocalKafka()
    kafka.start()
    pid = kafka.pids[1]
    os.kill(pid, signal.SIGKILL)
    assert gone_within([pid], LONG_S)
    deadline = time.monotonic() + LONG_S
    while not kafka.died and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kafka.died == (1,)
    logs = kafka.log_directory
    kafka.stop()
    assert (logs / "node-1.log").exists()
    assert str(logs) in capfd.readouterr().err


def test_a_fork_of_the_owner_cannot_stop_its_broker(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalKafka() as kafka:
        child = os.fork()
        if child == 0:
            kafka.stop()
            os._exit(len(kafka.bootstrap) == 0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert capfd.readouterr().err == ""
        assert kafka.died == ()
        assert kafka.log_directory.exists()


def test_a_java_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WURAO_JAVA", "no-such-java")
    with pytest.raises(LocalKafkaError, match="WURAO_JAVA is 'no-such-java'"):
        LocalKafka().start()


def test_jars_that_are_neither_here_nor_to_be_had_are_an_error_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "maven"))
    monkeypatch.setenv("JGO_OFFLINE", "true")
    with pytest.raises(LocalKafkaError, match=r"could not be fetched.*WURAO_KAFKA__BOOTSTRAP"):
        jars.class_path()


def test_a_jar_that_differs_from_the_lock_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(jars.class_path().split(os.pathsep)[0]).parent
    name = next(folder.glob("*.jar")).name
    (tmp_path / name).write_bytes(b"not that jar")
    with pytest.raises(LocalKafkaError, match=r"differ from jgo\.lock\.toml"):
        jars._check(tmp_path)
