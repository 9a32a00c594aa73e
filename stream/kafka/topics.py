"""The topics as wurao needs them: made once, checked at every start, never changed behind an operator's back.

`EXPECTED` says why each setting is what it is. `create` makes what is missing; `differences` says what is not as it
must be, and the mend.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream.config import TopicsConfig
from stream.kafka.clients import BATCH_BYTES_MAX
from stream.kafka.describe import ClusterDescription, TopicDescription, describe
from stream.model.times import DAY_MS, HOUR_MS
from stream.model.topics import (
    ACCESSES,
    ACTIVITY,
    ANSWERS,
    APPEALS,
    BULK,
    CAMPAIGNS,
    CASE_EVENTS,
    CASES,
    COMPLAINTS,
    DEAD_LETTER,
    DECISIONS,
    DELIVERIES,
    ENFORCE_TABLE,
    EPOCHS,
    EVENTS_CALL,
    EVENTS_REPLY,
    EVENTS_SMS,
    EVENTS_URGENT,
    EXPRESSIONS,
    FILINGS,
    HELD,
    HOLDS,
    LISTINGS,
    NOTICES,
    ORDERS,
    REPORTS,
    REQUESTS,
    SENDERS,
    SHADOW_DIFFERENCES,
    WORDLISTS,
)

DELETE_RETENTION_MS: Final = 7 * DAY_MS
"""How long a tombstone stays. A snapshot older than half of it is not used: it could have missed one."""

MESSAGE_BYTES_MAX: Final = 2 << 20
"""A record is at most 1 MiB; its dead letter adds headers, its decision a few fields."""

UNCLEAN: Final = "unclean.leader.election.enable"
IN_SYNC_MIN: Final = 2
"""Of three replicas: so that a record is on two disks when it is acknowledged, and one broker may be away."""

BATCHED: Final = (DECISIONS, EXPRESSIONS, EPOCHS)
"""Topics into which a worker writes whole batches: it ends where one is refused, and so would its successor."""

REFUSED_BATCH: Final = "a worker's batches would be refused, and it would end"

LESSER: Final = (
    "max.message.bytes",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "topics.replication",
    " retention.ms is ",
)
"""What names a difference that is reported and stops nothing."""

VISIBLE_S_MAX: Final = 30.0
VISIBLE_PAUSE_S: Final = 0.05
"""How long new topics may take to be known to the brokers, and how often these are asked."""

_FLOW: Final = {"cleanup.policy": "delete", "max.message.bytes": str(MESSAGE_BYTES_MAX)}
_REGISTRY: Final = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(DELETE_RETENTION_MS),
    "min.compaction.lag.ms": str(DAY_MS),  # so that the archive sees every record
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
}

_ASKED: Final = _FLOW | {"retention.ms": str(7 * DAY_MS)}
"""As old as a request may be: whoever repeats one is answered from what the registrar keeps of the answers."""
_ANSWERED: Final = _FLOW | {"retention.ms": str(8 * DAY_MS)}
"""As long as a request may be repeated: its `time` may lie a day ahead."""

FOR_EVER: Final = "-1"
_DUTY: Final = _FLOW | {"retention.ms": FOR_EVER}
"""Complaints, notices, reports and what was done about them are evidence, and so are epochs and who was shown what: the
archive says how long they stay."""

_TABLE: Final = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
    "segment.ms": str(HOUR_MS),  # compaction only sees closed segments; a restart reads what it has not compacted
    "min.cleanable.dirty.ratio": "0.2",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """One topic: whether it is partitioned like the events or has one partition, and its settings."""

    partitioned: bool
    settings: Mapping[str, str]
    ends: bool = False
    """whether records stay as long as `topics.retention_ms` says"""

    def settings_by(self, topics: TopicsConfig) -> dict[str, str]:
        """Its settings with these."""
        return {**self.settings, "retention.ms": str(topics.retention_ms)} if self.ends else dict(self.settings)

    def partitions(self, topics: TopicsConfig) -> int:
        """Its number of partitions."""
        return topics.partitions if self.partitioned else 1


PARTITIONED: Final = (
    EVENTS_SMS,
    EVENTS_CALL,
    EVENTS_REPLY,
    EVENTS_URGENT,
    DECISIONS,
    EXPRESSIONS,
    REQUESTS,
    BULK,
    ANSWERS,
)
"""Topics in which a subscriber has the same partition: equal counts, fixed for life (DESIGN section 3).

So have, for cases, the control plane's topics and its table: Faust refuses a table whose count differs from its
sources'.
"""

EXPECTED: Final[dict[str, Expected]] = {
    EVENTS_SMS: Expected(True, _FLOW, ends=True),
    EVENTS_CALL: Expected(True, _FLOW, ends=True),
    EVENTS_REPLY: Expected(True, _FLOW, ends=True),
    EVENTS_URGENT: Expected(True, _FLOW, ends=True),
    DECISIONS: Expected(True, _FLOW, ends=True),
    DEAD_LETTER: Expected(False, _FLOW, ends=True),
    EPOCHS: Expected(False, _DUTY),
    ACTIVITY: Expected(True, _FLOW | {"retention.ms": str(2 * DAY_MS)}),  # more than `wurao watch` reads back
    SHADOW_DIFFERENCES: Expected(True, _FLOW, ends=True),
    EXPRESSIONS: Expected(True, _REGISTRY),
    SENDERS: Expected(False, _REGISTRY),
    ORDERS: Expected(False, _REGISTRY),
    CAMPAIGNS: Expected(False, _REGISTRY),
    WORDLISTS: Expected(False, _REGISTRY),
    REQUESTS: Expected(True, _ASKED),
    BULK: Expected(True, _ASKED),
    ANSWERS: Expected(True, _ANSWERED),
    COMPLAINTS: Expected(True, _DUTY),
    APPEALS: Expected(True, _DUTY),
    FILINGS: Expected(True, _DUTY),
    CASE_EVENTS: Expected(True, _DUTY),
    DELIVERIES: Expected(True, _DUTY),
    NOTICES: Expected(True, _DUTY),
    REPORTS: Expected(True, _DUTY),
    HOLDS: Expected(True, _DUTY),
    HELD: Expected(True, _DUTY),
    ACCESSES: Expected(True, _DUTY),
    CASES: Expected(True, _REGISTRY),
    LISTINGS: Expected(False, _REGISTRY),
    ENFORCE_TABLE: Expected(True, _TABLE),
}


async def create(admin: AIOKafkaAdminClient, topics: TopicsConfig) -> list[str]:
    """Make the topics that are missing; those that are there stay as they are. Returns the names made.

    Returns when every broker's answer shows them, so that whoever starts next finds them: a controller acknowledges
    earlier than brokers know. Raises `KafkaError` where the cluster refuses.
    """
    wanted = [
        NewTopic(name, expected.partitions(topics), topics.replication, topic_configs=expected.settings_by(topics))
        for name, expected in EXPECTED.items()
    ]
    made = []
    answer = await admin.create_topics(wanted)
    for name, code, message, *_ in answer.topic_errors:
        if code == 0:
            made.append(name)
        elif code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"{name}: {message}")
    async with asyncio.timeout(VISIBLE_S_MAX):
        while EXPECTED.keys() - (await describe(admin, tuple(EXPECTED))).topics.keys():  # noqa: ASYNC110
            await asyncio.sleep(VISIBLE_PAUSE_S)  # nothing tells when a broker learns of a topic
    return made


def differences(
    cluster: ClusterDescription, topics: TopicsConfig, names: Collection[str] = tuple(EXPECTED)
) -> list[str]:
    """What of these topics is not as it must be, one sentence each with its mend; empty where all is well."""
    found: list[str] = []
    for name in names:
        expected = EXPECTED[name]
        topic = cluster.topics.get(name)
        if topic is None:
            found.append(
                f"{name}: missing; run `wurao topics create`; "
                "if it is there, let this user describe it: Kafka hides what a user has no right to"
            )
            continue
        partitions = expected.partitions(topics)
        if topic.partitions != partitions:
            found.append(
                f"{name}: {topic.partitions} partitions where {partitions} are configured (topics.partitions); "
                + (
                    f"all of {', '.join(PARTITIONED)} must have the same number, fixed for life: "
                    "set topics.partitions to it, or recreate the topic"
                    if expected.partitioned
                    else "its order must be total: recreate the topic with one"
                )
            )
        wanted = expected.settings["cleanup.policy"]
        if topic.settings.get("cleanup.policy") != wanted:
            found.append(
                f"{name}: cleanup.policy is {topic.settings.get('cleanup.policy')!r} and must be {wanted!r}; "
                + _alter(name, "cleanup.policy", wanted)
            )
        found += _unsafe(name, topic, expected, topics)
    return found


def _unsafe(name: str, topic: TopicDescription, expected: Expected, topics: TopicsConfig) -> list[str]:
    """What a topic's settings would let happen to records that were acknowledged, or would refuse."""
    found: list[str] = []

    def too_low(setting: str, least: int, why: str) -> None:
        if int(topic.settings.get(setting, least)) < least:
            found.append(
                f"{name}: {setting} is {topic.settings[setting]}, below {least}: {why}; {_alter(name, setting, least)}"
            )

    if topic.settings.get(UNCLEAN) == "true":
        found.append(
            f"{name}: {UNCLEAN} is true: a broker that lags may come to lead, and acknowledged records are gone; "
            + _alter(name, UNCLEAN, "false")
        )
    if "delete.retention.ms" in expected.settings and topic.settings.get("cleanup.policy") == "compact":
        too_low("delete.retention.ms", DELETE_RETENTION_MS, "a snapshot could miss a tombstone that is gone by then")
        too_low("min.compaction.lag.ms", DAY_MS, "archive and audit could miss records")
    wanted = expected.settings_by(topics).get("retention.ms")
    if wanted is not None and (kept := topic.settings.get("retention.ms", wanted)) != wanted:
        why = (
            "evidence of the duties would be gone before the archive has it"
            if wanted == FOR_EVER
            else f"it must be {wanted} (topics.retention_ms): records of people stay as long as is said, and no longer"
        )
        found.append(f"{name}: retention.ms is {kept}: {why}; {_alter(name, 'retention.ms', wanted)}")
    whole = name not in BATCHED or int(topic.settings.get("max.message.bytes", BATCH_BYTES_MAX)) >= BATCH_BYTES_MAX
    too_low("max.message.bytes", MESSAGE_BYTES_MAX, "the largest records would be refused" if whole else REFUSED_BATCH)
    if topic.replicas < topics.replication:
        found.append(
            f"{name}: {topic.replicas} replicas where {topics.replication} are configured (topics.replication); "
            "run `kafka-reassign-partitions.sh` to add them"
        )
    if topics.replication > IN_SYNC_MIN:
        too_low("min.insync.replicas", IN_SYNC_MIN, "a record may be acknowledged by one broker alone and lost with it")
    return found


def _alter(name: str, setting: str, value: object) -> str:
    return f"run `kafka-configs.sh --alter --topic {name} --add-config {setting}={value}`"


def breaks_guarantees(difference: str) -> bool:
    """Whether a difference stops a process: all do but those that only make a loss likelier or refuse giants."""
    return REFUSED_BATCH in difference or not any(lesser in difference for lesser in LESSER)
