"""The supervisor of one host's workers: loads the registry once, forks workers that share it, keeps them running.

A base, once loaded, is never written, so the pages of its bitmaps stay shared by all workers; what changes since goes
into each worker's small overlay. A worker that dies, or whose loop turns no more, is replaced. From time to time a
child folds the topics into a new snapshot; the supervisor loads that as the new base and replaces the workers one by
one, each by the same drain that SIGTERM asks for. In partitioned mode there is no base: the child makes a snapshot of
each partition, for whoever gains it next.

The supervisor reads no topic and decides nothing. It runs on the standard event loop, so that forking is safe; each
child leaves that loop at once and creates its own (`child_process`).

Signals: SIGTERM and SIGINT drain and end, within a bound; SIGHUP reloads the policy file, without a restart; SIGUSR1
makes a new base now.

A policy is loaded here first. One that cannot be used, or that is another under the same version, is refused and the
old one stays. A good one is handed on by a signal: each worker loads it and decides by it from its next batch on.
"""

import asyncio
import math
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bloom import snapshot
from bloom.partitioned import HeldPartitions
from bloom.wills import CHANNELS
from stream import logs
from stream.addresses import PORT_MAX
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.deciding.native_batch import MakeNative, NativeFailed
from stream.deciding.native_selection import NativePath, native_path
from stream.feed import partition_snapshots, snapshots
from stream.feed.files import registry_from
from stream.filter import malloc
from stream.filter.child_process import TURN_EVERY_S, Child, ExitWith, Job, ReportReady, fork
from stream.filter.delivery import letter_of
from stream.filter.policy_reload import identity_of, successor
from stream.filter.topic_watch import LASTING
from stream.filter.worker import Worker
from stream.health import Health, listen
from stream.kafka import clients
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import TopicsChanged, changes, right_topics
from stream.kafka.reach import CannotStart, reach, until_answered
from stream.kafka.rights import FILTER
from stream.kafka.seams.membership import InstanceTaken
from stream.metrics import SupervisorMetrics
from stream.policy.loading import load as load_policy
from stream.policy.settings import Policy
from stream.policy.toml import PolicyError
from stream.registry.decoding import BadRecord
from stream.registry.registry import Registry

log = logs.get(__name__)

RESTART_PAUSE_S: Final = 0.5
RESTART_PAUSE_S_MAX: Final = 30.0
STEADY_AFTER_S: Final = 60.0
"""After this long a worker's earlier deaths no longer lengthen the pause before its restart."""

GOODBYE_MARGIN_S: Final = 3 * clients.GOODBYE_S_MAX
"""How much longer than its drain a worker may take to close its clients, before it is killed."""

FIRST_PARTS_AFTER_S: Final = 60.0
"""How soon partitions are folded for the first time: not at once, when workers read the same topic and need it more."""

TOPICS_CHANGED: Final = 71
"""The exit code of a worker whose topics were recreated while it ran."""

NATIVE_FAILED: Final = 70
"""The exit code of a worker whose native module has failed."""

INSTANCE_TAKEN: Final = 72
"""The exit code of a worker whose place in its group another process has taken, under the same `filter.instance`."""

NATIVE_DEATHS: Final = (
    NATIVE_FAILED,
    *(-fault for fault in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT)),
)
"""Signals by which a crash in native code ends a worker."""


RELOAD: Final = signal.SIGHUP
"""What tells a worker to load the policy file that its supervisor has found good."""


@dataclass(frozen=True, slots=True)
class InheritedRegistry:
    """What workers inherit: the registry of a snapshot, and that snapshot's metadata."""

    registry: Registry
    meta: snapshot.SnapshotMeta
    cluster: ClusterDescription
    """the topics as they were when it was loaded"""
    path: Path
    native: MakeNative | None
    """the same for the native path, where that is taken"""


class Supervisor:
    """One host's filter. Create it on its loop; `run` returns when it was asked to end and all has ended."""

    def __init__(self, config: Config, policy: Policy, *, native: NativePath | None = None) -> None:
        self._config = config
        self._policy = policy
        self._partitioned = config.registry.mode == "partitioned"
        """each worker then holds its own partitions: there is no base to share"""
        self._native = native or native_path(config, policy, on_problem=_log_base_unused)
        self._barred: set[int] = set()
        """workers that have crashed in the native module"""
        self._fold_every_s = config.registry.fold_every_ms / 1000
        self._metrics = SupervisorMetrics()
        self._base: InheritedRegistry | None = None
        self._workers: dict[int, Child] = {}
        self._stopping = asyncio.Event()
        self._fold_now = asyncio.Event()
        self._started = asyncio.Event()
        self._loading = asyncio.Lock()
        """held while a base is made and loaded"""
        self._problem: str | None = None
        """why no worker can be started, where that is so"""
        self._health = Health(
            host=config.metrics.host,
            port=config.metrics.port,
            setting="metrics.port",
            http=config.http,
            metrics=self._metrics.registry,
            not_ready=self._not_ready,
        )

    async def run(self) -> None:
        """Start, keep running, drain. Raises `CannotStart` or `ConfigError` for what needs an operator."""
        malloc.keep_little()
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_policy)
        loop.add_signal_handler(signal.SIGUSR1, self._fold_now.set)
        self._see_ports_free()
        address = await self._health.start()
        log.info("filter starts", workers_count=self._config.filter.workers, endpoint=address)
        log.info("native path in use" if self._native.share else "Python path in use", why=self._native.why)
        try:
            await self._until_stop(self._serve())
        finally:
            self._stopping.set()
            await self._drain()
            await self._health.stop()

    def _see_ports_free(self) -> None:
        """Workers listen behind us: one whose port is taken would be started again for ever. Raises `ConfigError`."""
        first = self._config.metrics.port
        for index in range(1, self._config.filter.workers + 1 if first else 1):
            setting = f"metrics.port {first} + worker {index}"
            if first + index > PORT_MAX:
                raise ConfigError(f"{setting}: no port; the last is {PORT_MAX}: let metrics.port be lower")
            listen(self._config.metrics.host, first + index, setting=setting).close()

    def _not_ready(self) -> str | None:
        if self._problem is not None:
            return self._problem
        wanted = self._config.filter.workers
        waiting = wanted - sum(child.is_ready for child in self._workers.values())
        return f"{waiting} of {wanted} workers are not ready" if waiting else None

    async def _until_stop(self, work: Coroutine[object, object, None]) -> None:
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    async def _serve(self) -> None:
        cluster = await reach(self._config, FILTER.topics)
        self._base = await self._base_for(cluster)
        workers = [self._keep(index) for index in range(1, self._config.filter.workers + 1)]
        renewal = self._renew_parts() if self._partitioned else self._renew_base()
        tasks = [asyncio.create_task(one) for one in (*workers, renewal, self._watch_policy())]
        try:
            await asyncio.gather(*tasks)
        finally:
            # Where one of them fails, the others must not go on: a keeper would start another worker during the drain.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _base_for(self, cluster: ClusterDescription) -> InheritedRegistry:
        return self._no_base(cluster) if self._partitioned else await self._load_base(cluster)

    def _no_base(self, cluster: ClusterDescription) -> InheritedRegistry:
        """What workers of partitioned mode inherit: nothing. Each loads what it is assigned."""
        registry = Registry(held=HeldPartitions(self._config.topics.partitions))
        nothing = snapshot.SnapshotMeta(cluster.id, now_ms(), {})
        native = self._native.share and self._native.share(registry, nothing)
        return InheritedRegistry(registry, nothing, cluster, Path(self._config.registry.snapshots), native)

    async def _renew_parts(self) -> None:
        """Let a child fold every partition into a new snapshot from time to time; the workers go on as they are."""
        while True:
            await self._until_fold(
                FIRST_PARTS_AFTER_S if partition_snapshots.missing(self._config) else self._fold_every_s
            )
            await self._fold_parts()

    async def _fold_parts(self) -> None:
        code = await self._fork(lambda _: until_answered(partition_snapshots.renew, self._config)).ended
        if code != 0:
            log.error("making partition snapshots failed; the older snapshots stay in use", exit_code=code)

    async def _load_base(self, cluster: ClusterDescription) -> InheritedRegistry:
        """The newest good snapshot; where there is none it is made from the topics first."""
        found = self._newest_snapshot(cluster)
        if found is None:
            await self._fold()
            found = self._newest_snapshot(cluster)
        if found is None:
            raise CannotStart(f"no snapshot could be made in {self._config.registry.snapshots!r}; see the log above")
        path, kept = found
        for channel in CHANNELS:
            self._metrics.base_numbers.labels(channel).set(kept.wills.refusing_all_count(channel))
        self._metrics.bases.inc()
        registry = registry_from(kept, overlay=True)
        native = self._native.share and self._native.share(registry, kept.meta)
        return InheritedRegistry(registry, kept.meta, cluster, path, native)

    def _newest_snapshot(self, cluster: ClusterDescription) -> tuple[Path, snapshot.Snapshot] | None:
        began = time.monotonic()
        found = snapshots.read_newest_good(
            Path(self._config.registry.snapshots),
            cluster,
            now_ms(),
            snapshots.MAX_AGE_MS,
            lambda problem: log.warning("snapshot not used", problem=problem),
            keys=keys_of(self._config),
        )
        if found is not None:
            log.info("base loaded", snapshot=found[0].name, seconds=round(time.monotonic() - began, 3))
        return found

    async def _fold(self) -> None:
        """Let a child write a new snapshot: it reads, decodes and copies as much as it needs, and then is gone."""
        start = self._base.path if self._base is not None else None

        async def renew(_: ReportReady) -> None:
            bad: list[BadRecord] = []

            async def fold() -> None:
                bad.clear()
                await snapshots.renew(self._config, start=start, on_bad=bad.extend)

            await until_answered(fold)
            letters = DeadLetterWriter(self._config, client="wurao-base")
            await letters.write([letter_of(record) for record in bad])
            await letters.stop()

        code = await self._fork(renew).ended
        if code != 0:
            log.error("making a new base failed; the current base stays in use", exit_code=code)

    async def _renew_base(self) -> None:
        """Fold the topics into a new base from time to time, and hand it to the workers one by one."""
        while True:
            await self._until_fold(self._fold_every_s)
            async with self._loading:
                assert self._base is not None, "it is renewed when it is there"
                await self._fold()
                try:
                    self._base = await self._load_base(self._base.cluster)
                except (CannotStart, ConfigError) as error:  # such as a key file that is being replaced
                    log.error("no new base can be used; the current base stays in use", problem=str(error))  # noqa: TRY400
                    continue
            for index in sorted(self._workers):
                await self._replace(index)

    async def _begin_anew(self, base: InheritedRegistry) -> None:
        """Replace a base whose topics were recreated by one of the topics as they are now. Waits until they are right.

        The first worker that ends so does it for all of them, and it is logged once.
        """
        async with self._loading:
            if self._base is not base:
                return
            cluster = await self._right_topics(base.cluster)
            if not changes(base.cluster, cluster, lasting=LASTING):
                # Then it is records that went, and what a snapshot that stands before them would continue.
                log.error("registry records were deleted before they were consumed: the whole registry is read again")
                if self._partitioned:
                    await self._fold_parts()
            if not self._partitioned:
                await self._fold()
            self._base = await self._base_for(cluster)
            log.info("recreated topics are read from their beginning", topics_count=len(cluster.topics))

    async def _right_topics(self, before: ClusterDescription) -> ClusterDescription:
        return await right_topics(self._config, before, lasting=LASTING, note=self._note_problem)

    def _note_problem(self, problem: str | None) -> None:
        self._problem = problem

    async def _until_fold(self, within_s: float) -> None:
        """Wait until a fold is asked for or due."""
        try:
            async with asyncio.timeout(within_s):
                await self._fold_now.wait()
        except TimeoutError:
            pass
        self._fold_now.clear()

    async def _replace(self, index: int) -> None:
        """End a worker and wait for its successor, so that at most one is missing."""
        child = self._workers[index]
        self._started.clear()
        child.signal(signal.SIGTERM)
        while self._workers[index] is child:  # its keeper starts the successor
            await self._started.wait()
        successor = self._workers[index]
        outcome: set[asyncio.Future[None] | asyncio.Future[int]] = {successor.ready, successor.ended}
        await asyncio.wait(outcome, return_when=asyncio.FIRST_COMPLETED)

    async def _keep(self, index: int) -> None:
        """Keep one worker running; one that dies is restarted, with growing pauses."""
        pause = RESTART_PAUSE_S

        async def work(report_ready: ReportReady) -> None:
            worker = Worker(
                self._config,
                index=index,
                policy=self._policy,
                registry=base.registry,
                meta=base.meta,
                cluster=base.cluster,
                native=None if index in self._barred else base.native,
            )
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, worker.stop)
            loop.add_signal_handler(RELOAD, _reload_into, worker, self._config)
            try:
                await worker.run(report_ready)
            except NativeFailed as error:
                raise ExitWith(NATIVE_FAILED, str(error)) from error
            except TopicsChanged as error:
                raise ExitWith(TOPICS_CHANGED, str(error), expected=True) from error
            except InstanceTaken as error:
                log.error("another process has joined the group with this instance id", worker=index, why=str(error))  # noqa: TRY400
                raise ExitWith(INSTANCE_TAKEN, str(error), expected=True) from error

        while True:
            assert self._base is not None, "workers start when the base is loaded"
            base = self._base
            child = self._workers[index] = self._fork(work)
            self._started.set()
            with self._metrics.workers.track_inprogress():
                code = await self._until_ended(child)
            if time.monotonic() - child.started > STEADY_AFTER_S:
                pause = RESTART_PAUSE_S
            if code == 0:
                continue  # it was replaced
            if code == TOPICS_CHANGED:
                await self._begin_anew(base)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            if code == INSTANCE_TAKEN:
                # Another worker in its place would only take the place back, and so on for ever.
                raise CannotStart(
                    f"filter.instance {self._config.filter.instance!r} is in use by another process, which has joined "
                    f"the groups {self._config.filter.group}.urgent and .bulk under this name (where it runs is in the "
                    "log); give each host a filter.instance of its own, or none"
                )
            self._metrics.restarts.inc()
            if self._native.share and index not in self._barred and code in NATIVE_DEATHS:
                self._barred.add(index)
                self._metrics.native_failures.inc()
                log.error("the native module failed; this worker uses the Python path from now on", worker=index)
            log.error("worker died; starting another", worker=index, exit_code=code, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RESTART_PAUSE_S_MAX)
            # Without all topics none can start: one that were tried again and again would be late when they are there.
            await self._right_topics(base.cluster)

    async def _until_ended(self, child: Child) -> int:
        """A worker's exit code. One whose loop turns no more is killed: it decides nothing, and nothing else ends it.

        Looks are counted, not seconds: where this process itself was stopped, all of that is one look.
        """
        looks_max = math.ceil(self._config.filter.hung_after_ms / 1000 / TURN_EVERY_S)
        silent = 0
        while not child.ended.done():
            await asyncio.wait({child.ended}, timeout=TURN_EVERY_S)
            silent = 0 if child.turns.is_set() else silent + 1
            child.turns.clear()
            if silent == looks_max:
                log.error("worker hangs; killed", pid=child.pid, hung_after_ms=self._config.filter.hung_after_ms)
                child.signal(signal.SIGKILL)
        return child.ended.result()

    def _reload_policy(self) -> None:
        """Take up the policy file as it is now, if it may be used, and hand it to the workers."""
        old, reloads = self._policy, self._metrics.policy_reloads
        try:
            new = successor(self._config.policy.file, old, keys_of(self._config))
        except (PolicyError, ConfigError) as error:
            reloads.labels("refused").inc()
            self._metrics.policy_refused.set(1)
            log.warning("policy refused; the current one stays in use", policy=old.version, problem=str(error))
            return
        self._metrics.policy_refused.set(0)
        if new is None:
            reloads.labels("unchanged").inc()
            log.info("policy unchanged", policy=old.version)
            return
        reloads.labels("loaded").inc()
        log.info("policy loaded", policy=new.version, policy_hash=new.digest[:12], before=old.version)
        self._policy = new  # for workers that start from now on
        for child in self._workers.values():
            # One that still starts is signalled when it is ready: before, it may not listen yet.
            child.ready.add_done_callback(partial(_signal_reload, child))

    async def _watch_policy(self) -> None:
        """Look at the policy file now and then, where that is wanted."""
        every_ms = self._config.policy.look_every_ms
        seen = identity_of(self._config.policy.file)
        while every_ms:
            await asyncio.sleep(every_ms / 1000)
            now = identity_of(self._config.policy.file)
            if now != seen:
                seen = now
                self._reload_policy()

    async def _drain(self) -> None:
        """End every worker: asked to first, killed when it takes too long."""
        ending = [child for child in self._workers.values() if not child.ended.done()]
        for child in ending:
            child.signal(signal.SIGTERM)
        if not ending:
            return
        bound = self._config.filter.drain_timeout_ms / 1000 + GOODBYE_MARGIN_S
        _, late = await asyncio.wait([child.ended for child in ending], timeout=bound)
        for child in ending:
            if child.ended in late:
                log.error("worker did not end in time; killed", pid=child.pid)
                child.signal(signal.SIGKILL)
        await asyncio.gather(*(child.ended for child in ending))
        log.info("filter ended", workers_count=len(ending))

    def _fork(self, job: Job) -> Child:
        return fork(job, release=self._health.release)


def _log_base_unused(problem: str) -> None:
    log.warning("base not used; it is made anew", problem=problem)


def _signal_reload(child: Child, _: asyncio.Future[None]) -> None:
    child.signal(RELOAD)


def _reload_into(worker: Worker, config: Config) -> None:
    """Let a worker decide by the policy file; one that went bad since the supervisor looked is left alone."""
    try:
        worker.adopt(load_policy(config.policy.file, keys_of(config)))
    except (PolicyError, ConfigError) as error:
        worker.refuse(error)
