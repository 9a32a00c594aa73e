"""What `wurao doctor` asks brokers: topics, registry, groups, clocks, and the filter of this machine. Read only."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from stream.cli import doctor_admitted, doctor_filter, doctor_registry
from stream.cli.check_results import CheckResult, ok, warn, wrong
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.feed import snapshots
from stream.feed.topic_reader import all_but_wills
from stream.kafka import clients, topics
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.closing import close_within
from stream.kafka.describe import ClusterDescription, describe
from stream.kafka.reason import reason
from stream.model.topics import (
    ACTIVITY,
    BULK,
    DECISIONS,
    ENFORCE_GROUP,
    EPOCHS,
    EXPRESSIONS,
    INTAKE,
    RECORD_KIND,
    REQUESTS,
)
from stream.policy.loading import load as load_policy
from stream.policy.toml import PolicyError

ASK_S_MAX: Final = 20.0
LAG_WARN_S: Final = 5.0
"""An SMS gateway decides alone after five seconds."""

AHEAD_WARN_MS: Final = 1_000
"""A record from the future by more than this: another host's clock is ahead, or ours is behind."""

PEEK_MS: Final = 200


async def checks(config: Config) -> list[CheckResult]:
    """Everything that needs a broker; one line that says why where none answers."""
    try:
        admin = clients.admin(config)
    except ConfigError:  # the configuration's own check reports it
        return [wrong("brokers", "not asked: TLS and SASL cannot be set up", "correct the configuration first")]
    try:
        async with asyncio.timeout(ASK_S_MAX):
            await admin.start()
            cluster = await describe(admin, tuple(topics.EXPECTED))
            found = [
                ok("brokers", f"cluster {cluster.id}, brokers: {cluster.brokers_count}"),
                *_topics(cluster, config),
            ]
            if not topics.EXPECTED.keys() - cluster.topics.keys():
                found += await _records(config, cluster, admin)
    except (OSError, clients.KafkaError) as error:
        why = await reason(config)
        what, mend = (why.what, why.mend) if why else (repr(error), "see the brokers' logs")
        return [wrong("brokers", f"{what}; topics, registry, groups and clocks were not looked at", mend)]
    finally:
        with suppress(Exception):
            await admin.close()
    return found


def _topics(cluster: ClusterDescription, config: Config) -> list[CheckResult]:
    differences = topics.differences(cluster, config.topics)
    if not differences:
        return [ok("topics", f"all {len(topics.EXPECTED)} are as they must be")]
    missing = [name for name in topics.EXPECTED if name not in cluster.topics]
    found = []
    if missing:
        found.append(wrong("topics", f"{len(missing)} are missing: {', '.join(missing)}", "run `wurao topics create`"))
    for difference in differences:
        name, _, rest = difference.partition(": ")
        what, _, mend = rest.rpartition("; ")
        if name not in missing:
            say = wrong if topics.breaks_guarantees(difference) else warn
            found.append(say("topics", f"{name}: {what}", mend))
    return found


async def _records(config: Config, cluster: ClusterDescription, admin: AIOKafkaAdminClient) -> list[CheckResult]:
    """What the topics hold: the registry, how far the groups are, whose clock is ahead."""
    consumer = clients.follower(config, client="wurao-doctor")
    places = [place for name, topic in cluster.topics.items() for place in clients.partitions(name, topic.partitions)]
    consumer.assign(places)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        found = [_registry(config, cluster, begins, ends), *await _senders(config)]
        found.append(await doctor_admitted.check(config, begins, ends))
        for group, names in _groups(config).items():
            mine = [place for place in places if place.topic in names]
            found.append(await _group(group, mine, begins, ends, admin=admin, consumer=consumer))
        found.append(await _ahead(consumer, places, ends))
        found.append(_registrar(await doctor_filter.members_of([config.registrar.group], admin)))
    finally:
        await close_within(consumer)
    return [*found, await doctor_filter.check(config, admin)]


def _registry(
    config: Config,
    cluster: ClusterDescription,
    begins: Mapping[AIOKafkaPartition, int],
    ends: Mapping[AIOKafkaPartition, int],
) -> CheckResult:
    mine = [place for place in ends if place.topic in RECORD_KIND]
    count = sum(ends[place] - begins[place] for place in mine)
    if count == 0:
        return warn(
            "registry",
            "empty: nobody has refused or agreed, and no sender is registered; all commercial traffic is blocked",
            "write it: `wurao registry import FILE`",
        )
    problems: list[str] = []
    now = now_ms()
    path = snapshots.newest_good(Path(config.registry.snapshots), cluster, now, snapshots.MAX_AGE_MS, problems.append)
    text = f"{count:,} records at most in {len(mine)} partitions"
    if path is None and problems:
        return warn(
            "registry",
            f"{text}; no snapshot here may be used: {problems[0]}",
            "the next start reads the topics instead",
        )
    return ok("registry", f"{text}; a start takes {path.name} and what came since" if path else text)


async def _senders(config: Config) -> list[CheckResult]:
    """What is to be looked at in the senders' records, by the policy that is configured."""
    try:
        policy = load_policy(config.policy.file, keys_of(config))
    except (PolicyError, OSError):  # the policy's own check reports it
        return []
    return doctor_registry.checks(await all_but_wills(config, client="wurao-doctor"), policy)


def _groups(config: Config) -> dict[str, Sequence[str]]:
    """Group → the topics that it reads."""
    urgent, bulk = doctor_filter.groups(config)
    return {
        urgent: ("events.urgent",),
        bulk: ("events.sms", "events.call", "events.reply"),
        config.registrar.group: (REQUESTS, BULK),
        config.watch.group: (ACTIVITY,),
        config.connector.group: ("notices",),
        config.audit.group: (DECISIONS,),
        ENFORCE_GROUP: INTAKE,
    }


async def _group(
    group: str,
    places: Sequence[AIOKafkaPartition],
    begins: Mapping[AIOKafkaPartition, int],
    ends: Mapping[AIOKafkaPartition, int],
    *,
    admin: AIOKafkaAdminClient,
    consumer: clients.AIOKafkaConsumer,
) -> CheckResult:
    """How far a group is: records that wait, and since when the oldest of them does."""
    try:
        committed = await admin.list_consumer_group_offsets(group, partitions=list(places))
    except GroupCoordinatorNotAvailableError:  # of a new cluster, in which no group has ever committed
        committed = {}
    except clients.KafkaError as error:
        return warn(f"group {group}", f"may not be looked at: {type(error).__name__}", "let this user describe groups")
    known = {place: meta.offset for place, meta in committed.items() if meta.offset >= 0}
    if not known:
        return ok(f"group {group}", "has never committed: it begins with the oldest record")
    waiting = {
        place: known.get(place, begins[place]) for place in places if known.get(place, begins[place]) < ends[place]
    }
    count = sum(ends[place] - offset for place, offset in waiting.items())
    if not waiting:
        return ok(f"group {group}", "has taken everything")
    oldest = await _oldest(consumer, waiting)
    age_s = 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)
    text = f"records that wait: {count:,}, the oldest for {age_s:.1f} s"
    if age_s > LAG_WARN_S:
        return warn(
            f"group {group}", text, "see that its processes run and are ready; start more, up to one per partition"
        )
    return ok(f"group {group}", text)


def _registrar(members: Sequence[str] | None) -> CheckResult:
    """Whether somebody admits what is asked of the registry. Whoever asks finds out, a reply or a case only waits."""
    if members is None:
        return warn("registrar", "its group may not be looked at", "let this user describe groups")
    if not members:
        what = "its group has no member: nothing is written to the registry but replies, and nothing read by number"
        return warn("registrar", what, "start it: `wurao registrar`")
    return ok("registrar", f"members of its group: {len(members)}")


async def _oldest(consumer: clients.AIOKafkaConsumer, waiting: Mapping[AIOKafkaPartition, int]) -> int | None:
    """The timestamp of the oldest record at these offsets; None where none comes in time."""
    for place, offset in waiting.items():
        consumer.seek(place, offset)
    left = set(waiting)
    found: list[int] = []
    deadline = time.monotonic() + 5 * PEEK_MS / 1000
    while left and time.monotonic() < deadline:
        fetched = await consumer.getmany(*left, timeout_ms=PEEK_MS, max_records=1)
        found += [records[0].timestamp for records in fetched.values()]
        left -= fetched.keys()
    return min(found, default=None)


async def _ahead(
    consumer: clients.AIOKafkaConsumer, places: Sequence[AIOKafkaPartition], ends: Mapping[AIOKafkaPartition, int]
) -> CheckResult:
    """Whether the newest records that other hosts wrote come from our future."""
    looked = {
        place: ends[place] - 1
        for place in places
        if place.topic in (DECISIONS, EPOCHS, EXPRESSIONS) and ends[place] > 0
    }
    for place, offset in looked.items():
        consumer.seek(place, offset)
    newest = 0
    left = set(looked)
    deadline = time.monotonic() + 5 * PEEK_MS / 1000
    while left and time.monotonic() < deadline:
        fetched = await consumer.getmany(*left, timeout_ms=PEEK_MS, max_records=100)
        newest = max([newest, *(record.timestamp for records in fetched.values() for record in records)])
        left -= fetched.keys()
    ahead_ms = newest - now_ms()
    if ahead_ms > AHEAD_WARN_MS:
        return warn(
            "clocks",
            f"a record stands {ahead_ms / 1000:.1f} s in the future: this clock is behind, or its writer's is ahead",
            "run an NTP client on every host",
        )
    return ok("clocks", "no record comes from the future" if newest else "no record to compare with")
