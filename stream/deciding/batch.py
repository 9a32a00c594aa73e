"""One batch, as a pure function: records in, outputs out. No client, no clock, no metric; `filter.delivery` sends them.

This is the whole control flow of a batch: decode, decide, encode, count. Outputs are grouped by partition, so that each
partition's decisions are sent as one record batch. The native path is `native_batch`: it takes raw record batches, and
gives `decide_batch` the records that fall back to Python.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bloom.number import masked
from bloom.partition import partitions_of
from stream.deciding.activity import Acts, AnswerTable, DecisionColumns, acts_of
from stream.deciding.windows import Sign
from stream.model.codec import Undecodable, encode, event_decoder
from stream.model.dead_letters import DeadLetter
from stream.model.decision import Decision
from stream.model.events import Event, Reply, Sms
from stream.model.fields import Channel
from stream.model.limits import DECISION_KEY
from stream.model.registry import REPLY_SOURCE, Expression, key_of
from stream.model.times import time_problem
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider
from stream.policy.facts import USELESS, ReplyOutcome
from stream.policy.settings import ReplyExpression
from stream.registry.decoding import wrong_partition
from stream.registry.registry import Registry

_TALLY = attrgetter("of", "verdict", "reason")
SERVICE = "service"
RECORD_BYTES: Final = 256
"""What a record's own work counts for, in those of a value's bytes."""


class Record(Protocol):
    """The fields of a consumed record that deciding uses."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Keyed(NamedTuple):
    """A key and a value to be produced."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """A record batch of decisions, complete but for the fields that the producer fills in (id, epoch, sequence)."""

    partition: int
    data: bytes | bytearray
    count: int


Tally = tuple[str, str, str]
"""What decisions are counted by: kind, verdict, reason."""


class UselessReply(NamedTuple):
    """A reply whose numbers are unusable, so that no expression follows: its position, and its numbers, masked."""

    place: TopicPartition
    offset: int
    outcome: ReplyOutcome
    from_: str
    to: str


@dataclass(slots=True)
class BatchCounts:
    """What a batch tells metrics, early warning and the log. None of it is produced."""

    acts: list[Acts] = field(default_factory=list)
    """all decisions as columns, of either path: what activity is counted from"""
    verdicts: Counter[Tally] = field(default_factory=Counter)
    fallback_count: int = 0
    """records that fell back to Python on the native path"""
    misread_routes_count: int = 0
    """routes whose numbers the native module parsed differently from Python"""
    replies: Counter[ReplyOutcome] = field(default_factory=Counter)
    """replies by outcome"""
    useless_reply: UselessReply | None = None
    """the first reply with unusable numbers, to be logged"""
    misplaced: Counter[str] = field(default_factory=Counter)
    """topic → records found in another partition than their subscriber's"""

    def add(self, more: "BatchCounts") -> None:
        """Take in the counts of another part of the batch."""
        self.acts += more.acts
        self.verdicts += more.verdicts
        self.fallback_count += more.fallback_count
        self.misread_routes_count += more.misread_routes_count
        self.replies += more.replies
        self.useless_reply = self.useless_reply or more.useless_reply
        self.misplaced += more.misplaced

    def timestamps(self) -> NDArray[np.int64]:
        """The record timestamps of all decided events, milliseconds."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(acts.timestamps for acts in self.acts)])


@dataclass(slots=True)
class Outputs:
    """What a batch produces, and the offsets to commit once that is acknowledged."""

    decisions: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    """partition → decisions as (key, value), in the order of their events"""
    finished: list[Finished] = field(default_factory=list)
    """decisions of the native path, in the order of their events"""
    expressions: dict[int, list[Keyed]] = field(default_factory=dict)
    """partition → expressions that replies made"""
    epochs: list[Keyed] = field(default_factory=list)
    """the registry state that these decisions were made from, where it is a new one"""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    """offsets to commit once all of this is acknowledged"""
    counts: BatchCounts = field(default_factory=BatchCounts)
    rest: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    """records of the batch that are still to be decided, after a turn of the loop; none of it is handed over before"""

    def add(self, more: "Outputs") -> None:
        """Take in what came of the rest, or of the first of it."""
        for partition, decisions in more.decisions.items():
            self.decisions.setdefault(partition, []).extend(decisions)
        for partition, expressions in more.expressions.items():
            self.expressions.setdefault(partition, []).extend(expressions)
        self.finished += more.finished
        self.epochs += more.epochs
        self.dead_letters += more.dead_letters
        for place, offset in more.next_offsets.items():
            self.next_offsets[place] = max(offset, self.next_offsets.get(place, offset))
        self.counts.add(more.counts)
        self.rest = more.rest


def cut(
    records: Mapping[TopicPartition, Sequence[Record]], bytes_max: int
) -> tuple[dict[TopicPartition, Sequence[Record]], dict[TopicPartition, list[Record]]]:
    """The first of these, which have `bytes_max` together, and one record at least; and the rest.

    A record counts with its value and `RECORD_BYTES`: of the shortest a batch may hold a hundred thousand. Every batch
    is looked at: 40 ns a record where there is no rest.
    """
    first: dict[TopicPartition, Sequence[Record]] = {}
    rest: dict[TopicPartition, list[Record]] = {}
    room = bytes_max
    for place, those in records.items():
        sizes = [RECORD_BYTES + len(record.value or b"") for record in those]
        fitting = len(those)
        if (total := sum(sizes)) > room:
            fitting = bisect_right(list(accumulate(sizes)), room) or int(not first)
            rest[place] = list(those[fitting:])
        if fitting:
            first[place] = those[:fitting] if fitting < len(those) else those
        room = max(0, room - total)
    return first, {place: those for place, those in rest.items() if those}


def decide_batch(
    batches: Mapping[TopicPartition, Sequence[Record]],
    decider: Decider,
    *,
    now: int,
    partitions: int,
    answers: AnswerTable | None = None,
) -> Outputs:
    """Decide every record of a batch at the moment `now` (milliseconds).

    `partitions` is the partition count of all event topics; `answers` is a cache that the caller keeps between
    batches. A record that cannot be decoded becomes a dead letter, and the rest is decided; so does, in partitioned
    mode, a record in another partition than its subscriber's, whose expressions this worker does not hold. Linear;
    some 6 µs an event.
    """
    outputs = Outputs()
    held = decider.world.registry.held
    counts: dict[TopicPartition, int] = {}
    decided = DecisionColumns()
    signs: list[Sign] = []
    replied: list[Expression] = []
    for place, records in batches.items():
        taken, events = _decode_all(place, records, outputs)
        readings = decider.read(events)
        if held is not None:
            held.require(place.partition)
            of = partitions_of(readings.subscribers, partitions).tolist()
            if of.count(place.partition) < len(of):
                taken, events = _without_misplaced(place, taken, events, of, outputs)
                readings = decider.read(events)
        decisions = decider.decide_all(events, now, readings)
        subscribers = readings.subscribers
        counts[place] = len(subscribers)
        outputs.decisions.setdefault(place.partition, []).extend(
            [
                (_key(record.key, subscriber), encode(decision))
                for record, subscriber, decision in zip(taken, subscribers, decisions, strict=True)
            ]
        )
        decided.decisions += decisions
        decided.subscribers += subscribers
        decided.origins += readings.origins
        decided.timestamps += [record.timestamp for record in taken]
        for record, event, decision, subscriber in zip(taken, events, decisions, subscribers, strict=True):
            if isinstance(event, Reply):
                outcome, means = decider.world.meaning_of(event)
                _count_reply(event, place, record.offset, outcome, outputs)
                if means is not None:
                    replied.append(_expression(event, subscriber, means, now=now))
                    if means.sender and means.will == "refuse":
                        signs.append(Sign("refusal", record.timestamp, means.channel, means.sender))
            elif decision.reason == SERVICE and isinstance(event, Sms):
                _look_for_hint(event, decision, record.timestamp, decider, signs)
        if records:
            outputs.next_offsets[place] = records[-1].offset + 1
    if held is None:
        outputs.counts.misplaced += _misplaced(counts, decided.subscribers, partitions)
    _put_expressions(replied, outputs, partitions)
    outputs.counts.verdicts.update(map(_TALLY, decided.decisions))
    if decided.decisions:
        outputs.counts.acts.append(
            acts_of(
                decided,
                signs,
                owner=partial(_owner, decider.world.registry),
                table=AnswerTable() if answers is None else answers,
            )
        )
    return outputs


def _owner(registry: Registry, channel: Channel, number: str) -> str | None:
    holding = registry.ownership[channel].owner(number)
    return holding.sender if holding is not None else None


def _decode_all(place: TopicPartition, records: Sequence[Record], outputs: Outputs) -> tuple[list[Record], list[Event]]:
    """The records that hold events, and these; the others become dead letters."""
    decode = event_decoder(place.topic)
    taken: list[Record] = []
    events: list[Event] = []
    for record in records:
        try:
            events.append(decode(record.value))
            taken.append(record)
        except Undecodable as error:
            outputs.dead_letters.append(DeadLetter(place, record.offset, record.key, record.value, str(error)))
    return taken, events


def _look_for_hint(sms: Sms, decision: Decision, timestamp: int, decider: Decider, signs: list[Sign]) -> None:
    """Note a service text that tells how to refuse, as no service need do.

    It is read in lower case and not folded, which takes 0.4 µs and not 1.2: one written in traditional or full-width
    characters escapes this look, which warns and decides nothing.
    """
    if sms.text and decision.sender and decider.world.policy.opt_out.search(sms.text.lower()):
        signs.append(Sign("opt-out hint", timestamp, "sms", decision.sender))


def _key(key: bytes | None, subscriber: str) -> bytes:
    """A decision's key: its event's, or the subscriber where that is none of a number (DESIGN section 4, *Limits*)."""
    return key if key and len(key) <= DECISION_KEY.most else subscriber.encode()


def _put_expressions(expressions: Sequence[Expression], outputs: Outputs, partitions: int) -> None:
    """Add the expressions that replies made to the outputs.

    Each in its subscriber's partition, not the event's: a misplaced reply must not misplace its expression.
    """
    own = partitions_of([expression.subscriber for expression in expressions], partitions).tolist()
    for expression, partition in zip(expressions, own, strict=True):
        keyed = Keyed(key_of(expression).encode(), encode(expression))
        outputs.expressions.setdefault(partition, []).append(keyed)


def _count_reply(reply: Reply, place: TopicPartition, offset: int, outcome: ReplyOutcome, outputs: Outputs) -> None:
    """Count a reply by its outcome, and keep the first with unusable numbers for the log."""
    outputs.counts.replies[outcome] += 1
    if outcome in USELESS and outputs.counts.useless_reply is None:
        outputs.counts.useless_reply = UselessReply(place, offset, outcome, masked(reply.from_), masked(reply.to))


def _expression(reply: Reply, author: str, means: ReplyExpression, *, now: int) -> Expression:
    """What the reply's author wants, for the register (DESIGN section 3, *How subscribers speak*).

    A gateway's clock may be wrong: a reply that cannot have come then, counts from now.
    """
    return Expression(
        subscriber=author,
        channel=means.channel,
        will=means.will,
        time=reply.time if time_problem(reply.time, now) is None else now,
        source=REPLY_SOURCE,
        sender=means.sender,
        evidence=f"reply:{reply.id}",
    )


def _without_misplaced(
    place: TopicPartition, taken: list[Record], events: list[Event], partitions: Sequence[int], outputs: Outputs
) -> tuple[list[Record], list[Event]]:
    """The records and events that stand in their subscriber's partition; the others become dead letters."""
    kept: list[tuple[Record, Event]] = []
    for record, event, partition in zip(taken, events, partitions, strict=True):
        if partition == place.partition:
            kept.append((record, event))
            continue
        outputs.counts.misplaced[place.topic] += 1
        error = wrong_partition(place.partition, partition)
        outputs.dead_letters.append(DeadLetter(place, record.offset, record.key, record.value, error))
    return [record for record, _ in kept], [event for _, event in kept]


def _misplaced(counts: Mapping[TopicPartition, int], subscribers: Sequence[str], partitions: int) -> Counter[str]:
    """Topic → how many of its subscribers belong to another partition; `counts` are how many each place has, in order.

    Asked once for all: few are of each place.
    """
    each = list(counts.values())
    wrong = partitions_of(subscribers, partitions) != np.repeat([place.partition for place in counts], each)
    found: Counter[str] = Counter()
    if wrong.any():
        found.update(np.repeat([place.topic for place in counts], each)[wrong].tolist())
    return found
