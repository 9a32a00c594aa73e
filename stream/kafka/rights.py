"""Who may do what in Kafka: for each process and each gateway its user, topics, groups and quotas. One table.

A process looks at its start at the topics that stand here for it, and at no others; `deploy/users.py` makes the
manifests of it, `users.py` gives the rights to a cluster. So a topic that a process comes to need is added here or the
process does not start.

One that is taken over can do no more than its own work: nobody but the control plane and the operator writes orders,
nobody but the registrar senders and word lists (and beside it the filter expressions, of replies), nobody but the
connector writes `deliveries`, the proof that a party was told, nobody but gateways writes events, and the audit writes
nothing. Reading and writing imply `Describe` (Kafka's authorizer); no right here has a wildcard.

What Kafka cannot keep apart: it knows topics, not records. See docs/security.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stream.kafka.topics import EXPECTED
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
    ENFORCE_GROUP,
    ENFORCE_TABLE,
    EPOCHS,
    EVENT_KINDS,
    EVENTS_CALL,
    EVENTS_REPLY,
    EVENTS_SMS,
    EVENTS_URGENT,
    EXPRESSIONS,
    FILINGS,
    HELD,
    HOLDS,
    INTAKE,
    LISTINGS,
    NOTICES,
    ORDERS,
    RECORD_KIND,
    REPORTS,
    REQUESTS,
    SENDERS,
    SHADOW_DIFFERENCES,
    WORDLISTS,
)

ResourceKind = Literal["topic", "group", "transactionalId"]
Pattern = Literal["literal", "prefix"]
Operation = Literal["Read", "Write", "Describe", "DescribeConfigs"]


class Right(NamedTuple):
    """Operations on one resource, or on all whose names begin so."""

    resource: ResourceKind
    name: str
    pattern: Pattern
    operations: tuple[Operation, ...]


class Quotas(NamedTuple):
    """What brokers slow a user down to: each broker for itself, over all of the user's connections."""

    producer_bytes: int
    """bytes a second that it may write"""
    consumer_bytes: int
    """bytes a second that it may read"""
    request_percentage: int
    """of one thread's time: 100 is a whole one of the broker's network and request threads"""


@dataclass(frozen=True, slots=True)
class User:
    """A user of Kafka and all that it may do."""

    name: str
    why: str
    """for the manifest"""
    reads: tuple[str, ...] = ()
    """topics"""
    writes: tuple[str, ...] = ()
    """topics"""
    describes: tuple[str, ...] = ()
    """topics of which it sees partitions and offsets, and no record"""
    sees_settings: bool = True
    """of the topics that it reads or writes: a start looks at them, and refuses what would break a guarantee"""
    groups: tuple[Right, ...] = ()
    transactional_ids: tuple[Right, ...] = ()
    quotas: Quotas | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it reads or writes, each once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))

    def rights(self) -> Iterator[Right]:
        """Every right."""
        for topic in self.topics:
            operations: list[Operation] = []
            if topic in self.reads:
                operations.append("Read")
            if topic in self.writes:
                operations.append("Write")
            if self.sees_settings:
                operations.append("DescribeConfigs")
            yield Right("topic", topic, "literal", tuple(operations))
        for topic in self.describes:
            yield Right("topic", topic, "literal", ("Describe",))
        yield from self.groups
        yield from self.transactional_ids


def _group(name: str, pattern: Pattern = "literal", operation: Operation = "Read") -> tuple[Right, ...]:
    return (Right("group", name, pattern, (operation,)),)


FILTER_GROUPS: Final = "wurao-filter."
"""What the names of its groups and transactional ids begin with (`filter.group`). That of the shadow does not."""

_REGISTRY: Final = tuple(RECORD_KIND)
_DECIDED: Final = (*EVENT_KINDS, *_REGISTRY, DECISIONS, EPOCHS)
"""What a decision can be made again from."""

FILTER: Final = User(
    "wurao-filter",
    "Decides. Expressions are the wills of replies; a transactional id for each partition that a lane reads is used "
    "by `filter.delivery = exactly-once`.",
    reads=(*EVENT_KINDS, *_REGISTRY),
    writes=(DECISIONS, EXPRESSIONS, ACTIVITY, EPOCHS, DEAD_LETTER),
    groups=_group(FILTER_GROUPS, "prefix"),
    transactional_ids=(Right("transactionalId", FILTER_GROUPS, "prefix", ("Write",)),),
)

REGISTRAR: Final = User(
    "wurao-registrar",
    "The one door to the registry: admits what is asked in `registry.requests` and `registry.bulk`, and writes it with "
    "its answers in transactions, one transactional id for each partition.",
    reads=(REQUESTS, BULK, ANSWERS, *_REGISTRY),
    writes=(ANSWERS, EXPRESSIONS, SENDERS, WORDLISTS, DEAD_LETTER),
    groups=_group("wurao-registrar"),
    transactional_ids=(Right("transactionalId", "wurao-registrar.", "prefix", ("Write",)),),
)

ENFORCE: Final = User(
    "wurao-enforce",
    "The control plane and its API, which writes what people file into the topics that it is read from. It reads "
    "`deliveries` and cannot write them. What subscribers say it asks of the registrar.",
    reads=(*INTAKE, ENFORCE_TABLE, CASES, ANSWERS, SENDERS, ORDERS, LISTINGS),
    writes=(
        COMPLAINTS,
        APPEALS,
        FILINGS,
        CASE_EVENTS,
        ENFORCE_TABLE,
        CASES,
        REQUESTS,
        ORDERS,
        CAMPAIGNS,
        NOTICES,
        REPORTS,
        LISTINGS,
        HOLDS,
        ACCESSES,
        DEAD_LETTER,
    ),
    groups=_group(ENFORCE_GROUP),
)

WATCH: Final = User(
    "wurao-watch",
    "Early warning: its findings are case events. It looks through `decisions` for prohibited content that was "
    "blocked, and in `registry.senders` for whose it is; and copies what holds name, events and decisions, to `held`.",
    reads=(ACTIVITY, DECISIONS, SENDERS, HOLDS, *EVENT_KINDS),
    writes=(CASE_EVENTS, HELD, DEAD_LETTER),
    groups=_group("wurao-watch", "prefix"),
)

NOTIFY: Final = User(
    "wurao-notify",
    "The connector of notices and reports, alone with the right to write `deliveries`.",
    reads=(NOTICES, REPORTS, DELIVERIES),
    writes=(DELIVERIES, DEAD_LETTER),
    groups=_group("wurao-notify"),
)

AUDIT: Final = User(
    "wurao-audit",
    "Judges decisions again, and writes nothing.",
    reads=_DECIDED,
    groups=_group("wurao-audit"),
)

SHADOW: Final = User(
    "wurao-shadow",
    "`wurao filter --shadow`: decides beside production, and writes down nothing but where it would decide otherwise.",
    reads=_DECIDED,
    writes=(SHADOW_DIFFERENCES,),
    groups=_group("wurao-filter-shadow"),
)

SCALER: Final = User(
    "wurao-scaler",
    "KEDA: sees how far the filter's groups are behind, and nothing of what stands in the topics.",
    describes=(EVENTS_SMS, EVENTS_CALL, EVENTS_URGENT),
    groups=_group(FILTER_GROUPS, "prefix", "Describe"),
)

OPERATOR: Final = User(
    "wurao-operator",
    "The operator at the desk: `wurao registry`, `will`, `topics check`, `doctor`, `audit --once`. Not for processes. "
    "`doctor` looks at the newest record of every topic. What is for the registrar it asks of the registrar; files of "
    "orders and campaigns it writes.",
    reads=tuple(EXPECTED),
    writes=(REQUESTS, BULK, ORDERS, CAMPAIGNS),
    groups=_group("wurao-", "prefix", "Describe"),
)

BULK_QUOTAS: Final = Quotas(producer_bytes=32 << 20, consumer_bytes=64 << 20, request_percentage=200)
"""Of a gateway's bulk: on each broker some 60,000 events a second of 500 bytes, and decisions twice as fast."""

URGENT_QUOTAS: Final = Quotas(producer_bytes=1 << 20, consumer_bytes=64 << 20, request_percentage=100)
"""Of its urgent user: some 2,000 events a second on each broker. Bulk that is sent this way comes to no more."""


_GATEWAY_NAME: Final = re.compile(r"(?!wurao-|ANONYMOUS$)[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""To Kafka `*` is everybody, and `ANONYMOUS` whoever has not logged in. A dot would put one gateway's groups among
those of another, and `wurao-` is ours."""


def gateway(name: str, why: str, writes: tuple[str, ...], quotas: Quotas | None = None) -> User:
    """A gateway's user: it writes events of these topics, and reads decisions in groups whose names begin `NAME.`.

    `quotas` in place of the usual ones. Raises `ValueError`, with the mend, for a name that would give others its
    rights, for other topics, and for urgent events beside others: quotas count by user, so these need a user of their
    own.
    """
    if not _GATEWAY_NAME.fullmatch(name):
        raise ValueError(
            f"{name}: not a gateway's name; give ASCII letters, digits, - and _ (128 at most), none that begins with "
            "wurao-, and not ANONYMOUS"
        )
    if not writes or any(topic not in EVENT_KINDS for topic in writes):
        raise ValueError(f"{name}: a gateway writes events; give some of {', '.join(EVENT_KINDS)}")
    if EVENTS_URGENT in writes and len(writes) > 1:
        raise ValueError(f"{name}: give {EVENTS_URGENT} to a user of its own: quotas count by user")
    return User(
        name,
        why,
        reads=(DECISIONS,),
        writes=writes,
        sees_settings=False,
        groups=_group(f"{name}.", "prefix"),
        quotas=quotas or (URGENT_QUOTAS if EVENTS_URGENT in writes else BULK_QUOTAS),
    )


GATEWAYS: Final = (
    gateway(
        "gateway-sms",
        "A gateway's bulk. Make one for each gateway: `events.sms` or `events.call` as it carries them, `events.reply` "
        "only where it takes messages from subscribers (MO).",
        (EVENTS_SMS, EVENTS_REPLY),
    ),
    gateway(
        "gateway-sms-urgent",
        "What the same gateway must not let wait: only for one that carries emergency messages. Quotas count by user, "
        "so a user of its own keeps the lane that goes first from being filled.",
        (EVENTS_URGENT,),
    ),
)
"""Two to copy."""

PROCESSES: Final = (FILTER, REGISTRAR, ENFORCE, WATCH, NOTIFY, AUDIT, SHADOW, SCALER, OPERATOR)

USERS: Final[dict[str, User]] = {user.name: user for user in (*PROCESSES, *GATEWAYS)}
