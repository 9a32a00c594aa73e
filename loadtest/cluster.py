"""The cluster that a measurement stands on: one of our own, or one that somebody else runs, never in its way.

On another's cluster nothing is touched that was there before: its topics must be missing (they are made, and deleted
at the end) or hold no record, and have the partitions that were asked for. A register with records in it is somebody's
register, into which no invented subscribers may be written. Errors say what is in the way and the mend.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream import config as configuration
from stream.config import Config, ConfigError
from stream.kafka import clients, topics
from stream.kafka.describe import describe, describe_topics
from stream.testbed import jars
from stream.testbed.local import Cluster, ExistingKafka, LocalKafka

HEAP_MB: Final = 1_024
REACH_S_MAX: Final = 15.0
GONE_S_MAX: Final = 30.0
INHERITED: Final = ("WURAO_KAFKA__", "WURAO_TOPICS__")
"""Variables that hold for another's cluster: how to authenticate, how many copies of a record it keeps."""


class LoadtestError(Exception):
    """A measurement that cannot be made: what is in the way, and the mend."""


@dataclass(slots=True)
class Ground:
    """A cluster and a directory, for as long as `standing` lasts."""

    cluster: Cluster
    directory: Path
    partitions: int
    made: list[str] = field(default_factory=list)
    """topics that we made on another's cluster"""

    @property
    def ours(self) -> bool:
        """Whether the broker is one of our own, on this machine."""
        return isinstance(self.cluster, LocalKafka)

    @property
    def broker_pids(self) -> Sequence[int]:
        """The broker's processes, where they are ours to look at."""
        return tuple(self.cluster.pids.values()) if isinstance(self.cluster, LocalKafka) else ()

    @property
    def settings(self) -> dict[str, str]:
        """How to reach it, as variables: on another's cluster with what the environment says of it."""
        inherited = (
            {} if self.ours else {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
        )
        return {
            **inherited,
            "WURAO_KAFKA__BOOTSTRAP": self.cluster.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(self.partitions),
        }

    @property
    def version(self) -> str:
        """Which broker it is."""
        if not self.ours:
            return "of the given cluster"
        found = re.search(r"kafka_[0-9.]+-([0-9.]+)\.jar", jars.class_path())
        return found.group(1) if found else "unknown"

    def stored_bytes(self, topic: str) -> int | None:
        """What a topic takes on the disk of a broker of our own; None on another's."""
        if not isinstance(self.cluster, LocalKafka):
            return None
        root = self.cluster.log_directory.parent
        return sum(path.stat().st_size for path in root.glob(f"node-*/data/{topic}-*/*.log"))

    async def make(self, config: Config, extra: Sequence[str] = ()) -> None:
        """Make the topics of wurao that are missing, and others, partitioned alike. Raises `LoadtestError`."""
        names = (*topics.EXPECTED, *extra)
        admin = clients.admin(config)
        try:
            await admin.start()
            if not self.ours:
                await self._refuse_what_is_in_use(config, names)
            before = set(await admin.list_topics())
            await topics.create(admin, config.topics)
            missing = [name for name in extra if name not in before]
            if missing:
                made = [NewTopic(name, self.partitions, config.topics.replication) for name in missing]
                for name, code, message, *_ in (await admin.create_topics(made)).topic_errors:
                    if code not in (0, TopicAlreadyExistsError.errno):
                        raise for_code(code)(f"{name}: {message}")
                async with asyncio.timeout(GONE_S_MAX):
                    while set(missing) - (await describe(admin, tuple(missing))).topics.keys():  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            self.made += [name for name in names if name not in before and name not in self.made]
        finally:
            await admin.close()

    async def _refuse_what_is_in_use(self, config: Config, names: Sequence[str]) -> None:
        cluster = await describe_topics(config, tuple(names))
        found: list[str] = []
        for name, topic in cluster.topics.items():
            if name in self.made:
                continue
            expected = topics.EXPECTED.get(name)
            wanted = self.partitions if expected is None else expected.partitions(config.topics)
            if topic.partitions != wanted:
                found.append(f"{name} has {topic.partitions} partitions where {wanted} are asked for (--partitions)")
            elif count := await _records_count(config, name, topic.partitions):
                found.append(f"{name} holds {count:,} records")
        if found:
            raise LoadtestError(
                f"the cluster at {config.kafka.bootstrap} is in use:\n  " + "\n  ".join(found) + "\n"
                "A measurement writes invented events and subscribers, and touches nothing that was there before: give "
                "it a cluster for trials, or delete these topics (they are recreated)."
            )

    async def leave(self, config: Config) -> None:
        """Delete what was made on another's cluster."""
        if self.ours or not self.made:
            return
        admin = clients.admin(config)
        try:
            await admin.start()
            await admin.delete_topics(self.made)
        finally:
            await admin.close()


async def _records_count(config: Config, topic: str, partitions: int) -> int:
    consumer = clients.follower(config, client="loadtest-look")
    await consumer.start()
    try:
        places = clients.partitions(topic, partitions)
        first, last = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return sum(last[place] - first[place] for place in places)
    finally:
        await consumer.stop()


@asynccontextmanager
async def standing(bootstrap: str | None, *, partitions: int) -> AsyncIterator[Ground]:
    """The cluster at `bootstrap`, or one of our own. Raises `LoadtestError` where no broker answers."""
    directory = Path(tempfile.mkdtemp(prefix="wurao-loadtest-"))
    try:
        if bootstrap is None:
            local = LocalKafka(profile="bench", heap_mb=HEAP_MB)
            try:
                await asyncio.to_thread(local.start)
                yield Ground(local, directory, partitions)
            finally:
                await asyncio.to_thread(local.stop)
            return
        ground = Ground(ExistingKafka(bootstrap), directory, partitions)
        config = configuration.load(None, ground.settings)
        await _reach(config)
        try:
            yield ground
        finally:
            await ground.leave(config)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _reach(config: Config) -> None:
    try:
        async with asyncio.timeout(REACH_S_MAX):
            await describe_topics(config, ())
    except (OSError, TimeoutError, ConfigError, clients.KafkaError) as error:
        raise LoadtestError(
            f"no broker answers at {config.kafka.bootstrap} ({error or type(error).__name__}): name one that runs with "
            "--bootstrap HOST:PORT, or leave the option out and a broker is started on this machine"
        ) from error
