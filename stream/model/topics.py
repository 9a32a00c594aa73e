"""The topics by name, and which kind of record stands in which."""

from typing import Final, NamedTuple

from stream.model.events import Call, Reply, Sms
from stream.model.registry import Campaign, Expression, Order, Record, Sender, Wordlist


class TopicPartition(NamedTuple):
    """A partition of a topic. The same tuple as `stream.kafka.clients.AIOKafkaPartition`, and so the same key of a
    mapping; that class is for whoever calls a client, this one for what is pure.
    """

    topic: str
    partition: int


EVENTS_SMS: Final = "events.sms"
EVENTS_CALL: Final = "events.call"
EVENTS_REPLY: Final = "events.reply"
EVENTS_URGENT: Final = "events.urgent"
DECISIONS: Final = "decisions"
DEAD_LETTER: Final = "dead-letter"
EPOCHS: Final = "epochs"
ACTIVITY: Final = "activity"
SHADOW_DIFFERENCES: Final = "shadow-differences"
EXPRESSIONS: Final = "registry.expressions"
SENDERS: Final = "registry.senders"
ORDERS: Final = "registry.orders"
CAMPAIGNS: Final = "registry.campaigns"
WORDLISTS: Final = "registry.wordlists"
REQUESTS: Final = "registry.requests"
BULK: Final = "registry.bulk"
ANSWERS: Final = "registry.answers"
"""What is asked of the registrar, one by one and by files, and what came of it."""
COMPLAINTS: Final = "complaints"
APPEALS: Final = "appeals"
FILINGS: Final = "filings"
CASE_EVENTS: Final = "case-events"
DELIVERIES: Final = "deliveries"
CASES: Final = "cases"
NOTICES: Final = "notices"
REPORTS: Final = "reports"
LISTINGS: Final = "listings"
HOLDS: Final = "holds"
HELD: Final = "held"
ACCESSES: Final = "accesses"
"""Who was shown what of people: lists, cases, a subscriber's record."""
ENFORCE_TABLE: Final = "wurao-enforce-cases-changelog"
"""The changelog of `wurao enforce`'s table of cases and escalation records, named by Faust: application, table,
`changelog`."""

ENFORCE_GROUP: Final = "wurao-enforce"
"""Its consumer group, after which Faust names the topic of its table."""

INTAKE: Final = (COMPLAINTS, APPEALS, FILINGS, CASE_EVENTS, DELIVERIES)
"""What the control plane reads: keyed by the case that a record is about, and partitioned by that key alike."""

EVENT_KINDS: Final[dict[str, tuple[type[Sms | Call | Reply], ...]]] = {
    EVENTS_SMS: (Sms,),
    EVENTS_CALL: (Call,),
    EVENTS_REPLY: (Reply,),
    EVENTS_URGENT: (Sms, Call, Reply),
}
"""Events by topic. All have the same number of partitions as `decisions` and `registry.expressions`."""

RECORD_KIND: Final[dict[str, type[Record]]] = {
    EXPRESSIONS: Expression,
    SENDERS: Sender,
    ORDERS: Order,
    CAMPAIGNS: Campaign,
    WORDLISTS: Wordlist,
}
"""Registry records by topic. All but expressions have one partition: their order is total."""

TOPIC_OF: Final[dict[type[Record], str]] = {kind: topic for topic, kind in RECORD_KIND.items()}
