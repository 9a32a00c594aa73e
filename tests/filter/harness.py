"""What the filter's tests share: a genuine broker's topics, `wurao filter` as a real process, and an honest reader."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Self

import orjson

from bloom.partition import partition_of
from stream import config as configuration
from stream.config import Config
from stream.kafka import clients, topics
from stream.kafka.describe import ClusterDescription, describe_topics
from stream.model.codec import encode
from stream.model.registry import FileRecord, Record, key_of
from stream.model.topics import EXPRESSIONS, TOPIC_OF
from tests.patience import LONG_S

__all__ = ["Broker", "FilterProcess", "event"]

READY_S_MAX = LONG_S
PARTITIONS = 12
NOW = 1_795_500_000_000


def event(kind: str, number: int, **fields: object) -> dict[str, object]:
    """An event with an id of its own and what a test cares about."""
    return {"kind": kind, "id": f"{kind}-{number}", "time": NOW, **fields}


_bases = count(20_000 + os.getpid() % 5_000, 16)
"""Ports below the range of outgoing connections; each process takes its own sixteen."""


def _free_ports(wanted: int) -> int:
    """A base port with `wanted` free ports from it on."""
    for base in islice(_bases, 500):
        try:
            for port in range(base, base + wanted):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


@dataclass
class Broker:
    """A cluster with wurao's topics, and simple ways to write to and read from it."""

    bootstrap: str
    partitions: int = PARTITIONS
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The configuration that points at this cluster."""
        return configuration.load(
            None,
            {
                "WURAO_KAFKA__BOOTSTRAP": self.bootstrap,
                "WURAO_TOPICS__PARTITIONS": str(self.partitions),
                **self.environment,
            },
        )

    def create_topics(self) -> None:
        """Make the topics that are missing."""

        async def create() -> None:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                await topics.create(admin, self.config.topics)
            finally:
                await admin.close()

        asyncio.run(create())

    def delete_topics(self, names: Collection[str] = tuple(topics.EXPECTED)) -> None:
        """Delete these of wurao's topics: all, so that the next test finds none of this one's records."""

        async def delete() -> None:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                there = set(await admin.list_topics()) & set(names)
                await admin.delete_topics(sorted(there))
            finally:
                await admin.close()

        asyncio.run(delete())
        self.wait_for(lambda cluster: not cluster.topics.keys() & set(names))

    def wait_for(self, seen: Callable[[ClusterDescription], bool], *, within_s: float = LONG_S) -> None:
        """Wait until the brokers show what the controller has acknowledged."""
        deadline = time.monotonic() + within_s
        while not seen(asyncio.run(describe_topics(self.config, tuple(topics.EXPECTED)))):
            assert time.monotonic() < deadline, f"the cluster does not show it after {within_s} s"
            time.sleep(0.05)

    def write(self, records: Iterable[tuple[str, int, bytes | None, bytes | None]]) -> None:
        """Write (topic, partition, key, value) records, all acknowledged."""

        async def send() -> None:
            producer = clients.producer(self.config, client="test")
            await producer.start()
            try:
                acks = [
                    await producer.send(topic, value=value, key=key, partition=partition)
                    for topic, partition, key, value in records
                ]
                await asyncio.gather(*acks)
            finally:
                await producer.stop()

        asyncio.run(send())

    def write_events(self, events: Iterable[dict[str, object]], *, topic: str | None = None) -> None:
        """Write events to the topics of their kinds, or all to one."""

        def placed() -> Iterable[tuple[str, int, bytes | None, bytes | None]]:
            for one in events:
                subscriber = str(one["from"] if one["kind"] == "reply" else one["to"])
                partition = partition_of(subscriber, self.partitions)
                yield topic or f"events.{one['kind']}", partition, subscriber.encode(), orjson.dumps(one)

        self.write(placed())

    def write_registry(self, records: Iterable[FileRecord]) -> None:
        """Write registry records to their topics."""

        def placed() -> Iterable[tuple[str, int, bytes | None, bytes | None]]:
            for record in records:
                assert isinstance(record, Record)
                topic = TOPIC_OF[type(record)]
                key = key_of(record)
                partition = partition_of(key.split("|")[0], self.partitions) if topic == EXPRESSIONS else 0
                yield topic, partition, key.encode(), encode(record)

        self.write(placed())

    def read(self, topic: str, *, until: int = 0, within_s: float = LONG_S) -> list[clients.ConsumerRecord]:
        """Every record of a topic so far; waits until there are `until` of them. Fails when they do not come."""

        async def consume() -> list[clients.ConsumerRecord]:
            consumer = clients.follower(self.config, client="test")
            places = clients.partitions(topic, topics.EXPECTED[topic].partitions(self.config.topics))
            consumer.assign(places)
            await consumer.start()
            found: list[clients.ConsumerRecord] = []
            try:
                for place in places:
                    consumer.seek(place, 0)
                ends = await consumer.end_offsets(places)
                deadline = time.monotonic() + within_s
                while time.monotonic() < deadline:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
                    read_all = [await consumer.position(place) >= ends[place] for place in places]
                    if all(read_all) and len(found) >= until:
                        return found
                raise AssertionError(f"{topic}: {len(found)} records after {within_s} s, {until} expected")
            finally:
                await consumer.stop()

        return asyncio.run(consume())

    def decisions(self, *, until: int = 0, within_s: float = LONG_S) -> list[dict[str, object]]:
        """Every decision so far, at least `until` of them."""
        return [orjson.loads(record.value) for record in self.read("decisions", until=until, within_s=within_s)]

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """What a group has committed, by topic and partition."""

        async def ask() -> dict[tuple[str, int], int]:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                offsets = await admin.list_consumer_group_offsets(group)
                return {(place.topic, place.partition): meta.offset for place, meta in offsets.items()}
            finally:
                await admin.close()

        return asyncio.run(ask())


class FilterProcess:
    """`wurao filter` as an operator runs it: a process of its own, steered by signals and read by its endpoints."""

    def __init__(
        self,
        broker: Broker,
        directory: Path,
        *,
        workers: int = 1,
        program: Sequence[str] = ("stream.cli.main", "filter"),
        **environment: str,
    ) -> None:
        self.port = _free_ports(workers + 1)
        self.workers = workers
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / f"filter-{self.port}.log"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WURAO_")}
        variables |= {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_REGISTRY__SNAPSHOTS": str(directory / "snapshots"),
            "WURAO_METRICS__PORT": str(self.port),
            "WURAO_FILTER__WORKERS": str(workers),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
            **environment,
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", *program], env=variables, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return self._log.read_text(encoding="utf-8")

    def wait_ready(self) -> "FilterProcess":
        """Wait until the supervisor says that all workers are ready."""
        deadline = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the filter ended with {self.process.returncode}:\n{self.log[-4000:]}")
            if self.get("/readyz") == "ready\n":
                return self
            time.sleep(0.05)
        raise AssertionError(f"not ready after {READY_S_MAX} s:\n{self.log[-4000:]}")

    def get(self, path: str, *, worker: int = 0) -> str | None:
        """What an endpoint answers (`worker` 0 is the supervisor), or None where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + worker}{path}", timeout=LONG_S) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return None

    def metric(self, line_start: str, *, worker: int = 1) -> float:
        """The value of the first metric line that begins so."""
        text = self.get("/metrics", worker=worker) or ""
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(line_start)]
        assert values, f"no metric {line_start!r}"
        return float(values[0])

    def worker_pids(self) -> Sequence[int]:
        """The forked workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]

    def ended(self, *, within_s: float = LONG_S) -> int:
        """The exit code of a process that ends by itself."""
        try:
            return self.process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {within_s} s:\n{self.log[-4000:]}") from None

    def terminate(self, *, within_s: float = LONG_S) -> int:
        """SIGTERM, and the exit code it ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within_s)


def verdicts(decisions: Iterable[dict[str, object]]) -> Counter[str]:
    """How many decisions there are of each reason."""
    return Counter(str(decision["reason"]) for decision in decisions)
