"""Snapshots of the registry: made from the topics, kept a few at a time, and the newest good one found
again.

Promises that a snapshot stands for exactly the offsets it names; that one of another cluster or of a
recreated topic, or one so old that it could have missed a tombstone, is never chosen (DESIGN section 6);
and that whatever is not chosen is named with its reason. A record that cannot be used is counted and
logged, and stops nothing. Must never change a snapshot that is there: a new one gets a name of its own, and
a worker may be reading the old one.
"""

import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from bloom import snapshot
from bloom.bitmaps import Overlay
from bloom.signatures import SUFFIX, Keys, signature_of
from bloom.snapshot import Snapshot, SnapshotError, SnapshotMeta, TopicMark
from stream import logs
from stream.clock import now_ms
from stream.config import Config, keys_of
from stream.feed.expression_reader import native_reader
from stream.feed.files import registry_from
from stream.feed.follower import Applied, Follower
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.describe import ClusterDescription, TopicDescription, describe_topics
from stream.kafka.identity import changes
from stream.kafka.topics import DELETE_RETENTION_MS
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.decoding import BadRecord
from stream.registry.registry import Registry

log = logs.get(__name__)

MAX_AGE_MS: Final = DELETE_RETENTION_MS // 2
"""Older than this, a snapshot may have missed a tombstone that is gone by now (DESIGN section 6)."""

POLL_RECORDS_MAX: Final = 20_000
"""Records folded at once: wills fold fastest in bulk, but batches of 50,000 leave the processor's cache."""

BAD_RECORDS_LOGGED_MAX: Final = 20
"""Of records that cannot be used, so many are named; the rest is counted."""

ABANDONED_AFTER_S: Final = 3_600
"""A temporary file this old has lost its writer: writing a snapshot takes seconds."""

_NAME: Final = re.compile(r"registry-([0-9]{1,16})\.snapshot")
_TEMPORARY: Final = re.compile(r"\.registry-[0-9]+\.snapshot\..*\.tmp")


class SnapshotsError(Exception):
    """Snapshots that cannot be made: what is missing, and the mend."""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build has come, and what its last poll could not use."""

    read_count: int
    """Records read so far, over all topics."""
    left_count: int
    """Offsets left to read; compaction has taken some of them, so that fewer records may come."""
    bad: Sequence[BadRecord]
    """Records of the last poll that cannot be used."""
    misplaced_count: int
    """Records of the last poll that stand in another partition than their subscriber's; they count all
    the same.
    """


def ignore(_: BuildProgress) -> None:
    """Take no note of the progress."""


async def build(
    config: Config, *, start: Snapshot | None = None, progress: Callable[[BuildProgress], None] = ignore
) -> tuple[Registry, SnapshotMeta]:
    """The registry as its topics hold it, and what it stands for.

    With `start`, only what came since is read; its wills become the result's and must not be used
    elsewhere. Raises `SnapshotsError` where topics are missing, end before the start's offsets, or are recreated
    meanwhile, `KafkaError` where the cluster cannot be reached.
    """
    created_ms = now_ms()  # before the first record is read: older than true is the safe side
    cluster = await describe_registry(config)
    registry = Registry() if start is None else registry_from(start)
    follower = Follower(
        clients.follower(config, client="wurao-snapshot"),
        registry,
        partitions=cluster.topics[EXPRESSIONS].partitions,
        poll_records_max=POLL_RECORDS_MAX,
        ends_every_ms=config.registry.ends_every_ms,
        reader=native_reader(config),
    )
    read_count = 0

    def note(applied: Applied, left: int) -> None:
        nonlocal read_count
        read_count += sum(applied.records.values())
        progress(BuildProgress(read_count, left, applied.bad, sum(applied.misplaced.values())))

    try:
        await follower.start({} if start is None else start.meta.topics)
        with collector_at_rest():
            await follower.catch_up(note)
        offsets = follower.offsets
    except OffsetOutOfRangeError as error:
        raise SnapshotsError(
            f"a registry topic has no record at {error.args[0]}: it was cut short; build from the topics alone"
        ) from error
    finally:
        await close_within(follower)
    await see_unchanged(config, cluster)
    marks = {topic: TopicMark(cluster.topics[topic].id, offsets[topic]) for topic in RECORD_KIND}
    return registry, SnapshotMeta(cluster.id, created_ms, marks)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's cycle collector from walking millions of records that are in no cycle: a quarter of
    the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def describe_registry(config: Config) -> ClusterDescription:
    """The cluster and its registry topics. Raises `SnapshotsError` where one is missing."""
    cluster = await describe_topics(config, tuple(RECORD_KIND))
    if missing := RECORD_KIND.keys() - cluster.topics.keys():
        raise SnapshotsError(f"no topic {', '.join(sorted(missing))}; run `wurao topics create`")
    return cluster


async def see_unchanged(config: Config, before: ClusterDescription) -> None:
    """Raises `SnapshotsError` where the registry topics are no longer those that were there when reading began.

    What was read of a topic that was recreated meanwhile may be of both.
    """
    if found := changes(before, await describe_registry(config), lasting=RECORD_KIND):
        raise SnapshotsError("; ".join(found) + "; all of it while they were read: read them again")


def save(directory: Path, registry: Registry, meta: SnapshotMeta, keys: Keys | None = None) -> Path:
    """Write a registry to a new snapshot in `directory`, made if need be, and with keys sign it. Returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"registry-{meta.created_ms}.snapshot"
    wills = registry.wills.folded() if isinstance(registry.wills, Overlay) else registry.wills
    snapshot.write(path, meta=meta, wills=wills, records=registry.records(), keys=keys)
    return path


async def renew(
    config: Config, *, start: Path | None = None, on_bad: Callable[[Sequence[BadRecord]], None] | None = None
) -> Path:
    """Fold the topics into a new snapshot where the configuration keeps them, and prune the oldest.

    With `start`, that snapshot and what came since; where it can no longer be used, the topics alone,
    with a warning. `on_bad` is given the records that cannot be used.
    """
    began = time.monotonic()
    bad_count = 0
    misplaced_count = 0

    def note(progress: BuildProgress) -> None:
        nonlocal bad_count, misplaced_count
        for bad in progress.bad[: max(0, BAD_RECORDS_LOGGED_MAX - bad_count)]:
            log.warning(
                "registry record not used",
                topic=bad.topic,
                partition=bad.partition,
                offset=bad.offset,
                error=bad.error,
            )
        bad_count += len(progress.bad)
        if on_bad is not None:
            on_bad(progress.bad)
        misplaced_count += progress.misplaced_count

    kept = None if start is None else await _still_good(config, start)
    try:
        registry, meta = await build(config, start=kept, progress=note)
    except SnapshotsError as error:
        if kept is None:
            raise
        log.warning("snapshot not used", problem=f"{start}: {error}")
        bad_count = misplaced_count = 0
        registry, meta = await build(config, progress=note)
    directory = Path(config.registry.snapshots)
    path = save(directory, registry, meta, keys_of(config))
    removed = prune(directory, keep=config.registry.snapshots_kept)
    log.info(
        "snapshot made",
        snapshot=path.name,
        seconds=round(time.monotonic() - began, 3),
        bad_count=bad_count,
        misplaced_count=misplaced_count,
        removed_count=len(removed),
    )
    return path


async def _still_good(config: Config, path: Path) -> Snapshot | None:
    cluster = await describe_registry(config)
    try:
        kept = snapshot.read(path, keys_of(config))
    except SnapshotError as error:
        problem: str | None = str(error)
    else:
        problem = unfit(kept.meta, cluster=cluster, now_ms=now_ms(), max_age_ms=MAX_AGE_MS)
        if problem is None:
            return kept
    log.warning("snapshot not used", problem=f"{path}: {problem}")
    return None


def newest_good(
    directory: Path,
    cluster: ClusterDescription,
    now_ms: int,
    max_age_ms: int,
    on_problem: Callable[[str], None],
) -> Path | None:
    """The newest snapshot that may be used, by its header; `on_problem` is called with the reason for each newer one
    that may not.
    """
    return next(good(directory, cluster, now_ms, max_age_ms, on_problem), None)


def read_newest_good(
    directory: Path,
    cluster: ClusterDescription,
    now_ms: int,
    max_age_ms: int,
    on_problem: Callable[[str], None],
    *,
    keys: Keys | None = None,
) -> tuple[Path, Snapshot] | None:
    """The same, read whole: a snapshot with a good header and a damaged body, or with keys one that is not signed,
    gives way to an older one.
    """
    for path in good(directory, cluster, now_ms, max_age_ms, on_problem):
        try:
            found = snapshot.read(path, keys)
        except SnapshotError as error:
            on_problem(str(error))
            continue
        problem = unfit(found.meta, cluster=cluster, now_ms=now_ms, max_age_ms=max_age_ms)
        if problem is None:  # what was verified is what counts, whatever the header was when it was looked at
            return path, found
        on_problem(f"{path}: {problem}")
    return None


def good(
    directory: Path,
    cluster: ClusterDescription,
    now_ms: int,
    max_age_ms: int,
    on_problem: Callable[[str], None],
) -> Iterator[Path]:
    """Every snapshot that may be used, by its header, newest first."""
    for path in reversed(kept(directory)):
        try:
            problem = unfit(snapshot.read_meta(path), cluster=cluster, now_ms=now_ms, max_age_ms=max_age_ms)
        except SnapshotError as error:
            on_problem(str(error))
            continue
        if problem is None:
            yield path
        else:
            on_problem(f"{path}: {problem}")


def unfit(meta: SnapshotMeta, *, cluster: ClusterDescription, now_ms: int, max_age_ms: int) -> str | None:
    """Why a snapshot must not be used with this cluster at this moment; None where it may."""
    if meta.cluster != cluster.id:
        return f"is of cluster {meta.cluster}, this is {cluster.id}; keep the snapshots of clusters apart"
    age_ms = now_ms - meta.created_ms
    if age_ms > max_age_ms:
        return (
            f"is {age_ms / 3_600_000:.1f} h old; beyond {max_age_ms / 3_600_000:.1f} h it may have missed a "
            "tombstone; make one more often"
        )
    problems = (_unfit_mark(name, meta.topics.get(name), cluster.topics.get(name)) for name in RECORD_KIND)
    return next((problem for problem in problems if problem is not None), None)


def _unfit_mark(name: str, mark: TopicMark | None, topic: TopicDescription | None) -> str | None:
    if topic is None:
        return f"stands for {name}, which is not there; run `wurao topics create`"
    if mark is None:
        return f"does not cover {name}"
    if mark.id != topic.id:
        return f"is of another topic {name} (id {mark.id}, now {topic.id}): it was recreated since"
    if len(mark.offsets) != topic.partitions:
        return f"has {len(mark.offsets)} partitions of {name}, which has {topic.partitions}"
    return None


def kept(directory: Path) -> list[Path]:
    """The snapshots of a directory by their names, oldest first; none where there is no directory."""
    found = ((match, path) for path in directory.glob("registry-*") if (match := _NAME.fullmatch(path.name)))
    return [path for _, path in sorted((int(match[1]), path) for match, path in found)]


def prune(directory: Path, *, keep: int) -> list[Path]:
    """Delete all but the `keep` newest snapshots, signatures without a snapshot, and temporary files whose writer is
    gone. Returns the deleted, without signatures.
    """
    doomed = kept(directory)[:-keep]
    abandoned = time.time() - ABANDONED_AFTER_S
    doomed += [
        path
        for path in directory.glob(".registry-*.tmp")
        if _TEMPORARY.fullmatch(path.name) and path.stat().st_mtime < abandoned
    ]
    for path in doomed:
        path.unlink(missing_ok=True)
        signature_of(path).unlink(missing_ok=True)
    for signature in directory.glob(f"*registry-*.snapshot{SUFFIX}*"):
        signs = signature.with_name(signature.name.removesuffix(SUFFIX))
        if (not signs.exists() or signs == signature) and signature.stat().st_mtime < abandoned:
            signature.unlink(missing_ok=True)
    return doomed
