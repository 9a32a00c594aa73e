"""The one door to the registry (DESIGN section 14): requests, and what is known, to records and answers. Pure.

The registrar, the offline import and the tests run this same function. Requests are taken in their order, and each
sees what those before it did. A request is no transaction: each of its records is written or refused by itself, but
where it states a version that is gone, or is no request for this door, nothing of it is.

What makes answers the same after a restart: a repeat is known by its id as far back as answers are remembered, and
beyond that by what stands: an expression that is the last of its scope, or a record equal to the one under its key, is
not written again.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from bloom.number import parse
from bloom.partition import partition_of, partitions_of
from bloom.wills import CHANNELS, Channel
from stream.model import limits
from stream.model.codec import encode
from stream.model.registry import Expression, FileRecord, Record, Tombstone, key_of
from stream.model.requests import (
    NO_VERSION,
    REFUSALS_IN_FULL_MAX,
    FurtherRefusals,
    RecordRefusal,
    RefusalCode,
    RegistryAnswer,
    RegistryRequest,
    UnknownName,
    id_of,
)
from stream.model.times import iso_time, time_problem
from stream.model.topics import EXPRESSIONS, SENDERS, TOPIC_OF, WORDLISTS
from stream.registry.admission import Admission, Refused
from stream.registry.claims import HandOver
from stream.registry.known import Known, StandingRecord, Subject
from stream.registry.numbers import NumberKinds
from stream.registry.order_rule import (
    IndexedExpression,
    SubscriberChannel,
    apply_order_rule,
    digest_of_encoded,
    rows_of,
)

REGISTRARS: Final = frozenset({EXPRESSIONS, SENDERS, WORDLISTS})
"""The topics that the registrar writes; orders and campaigns are the control plane's."""

REQUEST_AGE_MAX_MS: Final = 7 * 24 * 3_600_000
"""How long ago a request may have been made: as long as its topic keeps it."""

ERASED: Final = "erased"
"""The source of the lift that comes before an erasure."""


class AskedRequest(NamedTuple):
    """A request, and where it stood."""

    at: str
    """lane, partition, offset, such as `requests:3:1234`"""
    request: RegistryRequest


class AdmittedRecord(NamedTuple):
    """A record to be written."""

    topic: str
    key: str
    record: Record | None
    """None is a null value: a tombstone, or an erased expression"""
    value: bytes | None
    """the record encoded"""
    request: int
    """the place of its request in the batch"""


@dataclass(slots=True)
class Admitted:
    """What came of a batch of requests."""

    records: list[AdmittedRecord] = field(default_factory=list)
    """in the order in which they must be written"""
    answers: list[RegistryAnswer] = field(default_factory=list)
    """one a request, in their order; without the versions of what is written only now"""
    last: list[int | None] = field(default_factory=list)
    """of each answer the place among `records` of the one whose offset is its version; None where it has it already"""

    def answered(self, offsets: Sequence[int]) -> list[RegistryAnswer]:
        """The answers, when the records' offsets are known."""
        return [
            answer if place is None else msgspec.structs.replace(answer, version=offsets[place])
            for answer, place in zip(self.answers, self.last, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Door:
    """One door: how numbers are read, and which topics and partition it writes."""

    numbering: NumberKinds
    topics: frozenset[str] = REGISTRARS
    partition: int = 0
    partitions: int = 1

    def admit(self, requests: Sequence[AskedRequest], known: Known, now: int) -> Admitted:
        """What is to be written of these requests, and their answers, at `now` (milliseconds since the epoch).

        Requests that only ask are not for this function. Some microseconds an expression.
        """
        batch = _AdmittingBatch(self, known, now, requests)
        for place, asked in enumerate(requests):
            batch.take(place, asked)
        return batch.admitted


class _Outcome:
    """What comes of one request, while it is looked at."""

    def __init__(self) -> None:
        self.admitted_count = self.already_count = 0
        self.refusals: list[RecordRefusal] = []
        self.unknown: Counter[str] = Counter()
        self.last: int | None = None

    def refuse(self, code: RefusalCode, what: str, place: int | None = None) -> None:
        self.refusals.append(RecordRefusal(code, what, place))


class _AdmittingBatch:
    """One batch: what is known, led on by what was admitted so far."""

    def __init__(self, door: Door, known: Known, now: int, requests: Sequence[AskedRequest]) -> None:
        self.admitted = Admitted()
        self._door, self._known, self._now = door, known, now
        self._names = known.names()
        self._answered: dict[str, int] = {}
        """id → the place of its answer in this batch"""
        self._last: dict[Subject, int | None] = {}
        """the last record of each subject that this batch changes; None where nothing of it stands any more"""
        self._written: dict[str, list[int]] = {}
        """subscriber → its records that this batch writes"""
        self._erased: set[str] = set()
        self._indexed = self._look_up(requests)

    def _look_up(self, requests: Sequence[AskedRequest]) -> dict[int, list[IndexedExpression]]:
        """What the order rule needs of everybody who occurs, and a place to note what is written of them."""
        expressions = [one for asked in requests for one in asked.request.records if type(one) is Expression]
        occurrences = Counter(rows_of(expressions))
        indexed = self._known.indexed(occurrences.keys())
        for row, count in occurrences.items():
            if count > 1:
                indexed.setdefault(row, [])
        return indexed

    def take(self, place: int, asked: AskedRequest) -> None:
        """The next request."""
        request = asked.request
        digest = zlib.crc32(encode(request))
        repeated = self._repeated(request.id, digest)
        if repeated is not None:
            answer, last = repeated
            self.admitted.answers.append(answer)
            self.admitted.last.append(last)
            return
        outcome = _Outcome()
        subject = _subject_of(request)
        if refused := self._refusal(request, subject):
            outcome.refuse(refused.code, refused.what)
        elif request.erase:
            self._erase(place, request.erase, outcome)
        else:
            self._take_records(place, request, outcome)
        self._answer(asked, digest, subject, outcome)

    def _repeated(self, name: str, digest: int) -> tuple[RegistryAnswer, int | None] | None:
        """The answer that the same request got before."""
        place = self._answered.get(name)
        if place is not None:
            answer, last = self.admitted.answers[place], self.admitted.last[place]
        else:
            remembered = self._known.answered(name)
            if remembered is None:
                return None
            answer, last = remembered, None
        return (answer, last) if answer.digest == digest else None

    def _refusal(self, request: RegistryRequest, subject: Subject | None) -> Refused | None:
        """Why nothing of a request is written."""
        if request.id in self._answered or self._known.answered(request.id) is not None:
            return Refused(
                "id-taken",
                f"another request with the id {request.id} was answered: give every request an id of its own",
            )
        refused = self._at_another_time(request.time) or self._misplaced(request)
        if refused or request.if_version is None:
            return refused
        if subject is None:
            return Refused("subject", "`if_version` is of one subscriber, sender or word list: ask for each by itself")
        return self._version_gone(request.if_version, subject)

    def _at_another_time(self, time: int) -> Refused | None:
        if time < self._now - REQUEST_AGE_MAX_MS:
            what = f"the request is of {iso_time(time)}, more than seven days ago: ask again, under a new id"
            return Refused("request-time", what)
        problem = time_problem(time, self._now)
        return Refused("request-time", f"`time`: {problem}") if problem else None

    def _misplaced(self, request: RegistryRequest) -> Refused | None:
        door = self._door
        if door.partitions == 1:
            return None
        subscribers = [one.subscriber for one in request.records if type(one) is Expression]
        if request.erase:
            subscribers.append(request.erase)
        if len(subscribers) == 1:
            found = {partition_of(subscribers[0], door.partitions)}
        else:
            found = set(partitions_of(subscribers, door.partitions).tolist())
        if any(type(one) is not Expression for one in request.records):
            found.add(0)
        found.discard(door.partition)
        if not found:
            return None
        return Refused(
            "wrong-partition",
            f"the request stands in partition {door.partition} and is about partition {min(found)}: place requests "
            "about expressions by murmur2 of the subscriber's number, all others in partition 0, and ask for each "
            "partition by itself",
        )

    def _version_gone(self, wanted: int, subject: Subject) -> Refused | None:
        what = {EXPRESSIONS: "this subscriber", SENDERS: f"sender {subject.name}"}.get(
            subject.topic, f"word list {subject.name}"
        )
        if subject in self._last:
            return Refused("version", f"{what} was changed since version {wanted}: read it again, and decide anew")
        version = self._known.version(subject)
        if version == wanted:
            return None
        there = "there is none" if version == NO_VERSION else f"there is version {version}"
        return Refused("version", f"{what}: not version {wanted}, {there}: read it again, and decide anew")

    def _answer(self, asked: AskedRequest, digest: int, subject: Subject | None, outcome: _Outcome) -> None:
        version, last = NO_VERSION, outcome.last
        if last is None and subject is not None:
            last = self._last.get(subject)
            if subject not in self._last:
                version = self._known.version(subject)
        rest: dict[RefusalCode, list[int]] = {}
        for refusal in outcome.refusals[REFUSALS_IN_FULL_MAX:]:
            assert refusal.place is not None, "of a request as a whole there is one refusal"
            rest.setdefault(refusal.code, []).append(refusal.place)
        answer = RegistryAnswer(
            request=asked.request.id,
            at=asked.at,
            digest=digest,
            decided=self._now,
            admitted=outcome.admitted_count,
            already=outcome.already_count,
            refused=len(outcome.refusals),
            refusals=tuple(outcome.refusals[:REFUSALS_IN_FULL_MAX]),
            further=tuple(FurtherRefusals(code, tuple(places)) for code, places in rest.items()),
            unknown=tuple(UnknownName(*one) for one in outcome.unknown.most_common(REFUSALS_IN_FULL_MAX)),
            version=version,
        )
        # Under an id that is taken stands the first request's answer: a repeat of that one gets it.
        self._answered.setdefault(asked.request.id, len(self.admitted.answers))
        self.admitted.answers.append(answer)
        self.admitted.last.append(last)

    # ---- records

    def _take_records(self, place: int, request: RegistryRequest, outcome: _Outcome) -> None:
        """Senders and the like first: a consent may name a sender that is registered along with it."""
        stated = HandOver(frozenset(request.stated.take_over), frozenset(request.stated.sub_port_of))
        admission = Admission(self._door.numbering, stated)
        others: list[tuple[int, FileRecord]] = []
        expressions: list[tuple[int, Expression]] = []
        for index, record in enumerate(request.records):
            if type(record) is Expression:
                expressions.append((index, record))
            elif (topic := _place_of(record).topic) not in self._door.topics - {EXPRESSIONS}:
                outcome.refuse("topic", f"records of {topic} are not written here: {_elsewhere(topic)}", index)
            else:
                others.append((index, admission.as_written(record)))
        if others:
            self._take_others(place, admission, others, outcome)
        if expressions:
            self._take_expressions(place, request, admission, expressions, outcome)

    def _take_others(
        self, place: int, admission: Admission, others: list[tuple[int, FileRecord]], outcome: _Outcome
    ) -> None:
        """Records of which the last of each key counts."""
        registry = self._known.registry
        last = {_place_of(record): record for _, record in others}
        # What stands already as the request leaves it was written before: what it has on the way there must not be
        # done again.
        settled = {subject for subject, record in last.items() if _stands(record, self._known)}
        pending: dict[Subject, FileRecord] = {}
        for index, record in others:
            subject = _place_of(record)
            if subject in settled or _stands(record, self._known):
                outcome.admitted_count += 1
                outcome.already_count += 1
            elif refused := admission.refused(record, registry, self._now):
                outcome.refuse(refused.code, refused.what, index)
            else:
                # Before the record that takes their numbers over.
                for handing_over in admission.giving_up(record, registry):
                    registry.apply([handing_over])
                    pending.pop(_place_of(handing_over), None)
                    pending[_place_of(handing_over)] = handing_over
                registry.apply([record])
                outcome.admitted_count += 1
                if pending.pop(subject, None) is not None:
                    outcome.already_count += 1  # repeated: the last record of a key is the one that stands
                pending[subject] = record
        for (topic, key), record in pending.items():
            if isinstance(record, Tombstone):
                self._write(AdmittedRecord(topic, key, None, None, place), outcome)
            else:
                self._write(AdmittedRecord(topic, key, record, encode(record), place), outcome)
        if pending:
            self._names = self._known.names()

    def _take_expressions(
        self,
        place: int,
        request: RegistryRequest,
        admission: Admission,
        expressions: list[tuple[int, Expression]],
        outcome: _Outcome,
    ) -> None:
        places: list[int] = []
        fit: list[Expression] = []
        for index, expression in expressions:
            refused = admission.refused(expression, self._known.registry, self._now)
            if refused := refused or self._unknown(expression, request, outcome):
                outcome.refuse(refused.code, refused.what, index)
            else:
                places.append(index)
                fit.append(expression)
        encoded = list(map(encode, fit))
        digests = list(map(digest_of_encoded, encoded))
        sifted = apply_order_rule(fit, rows_of(fit), digests, self._indexed, now=self._now)
        outcome.admitted_count += sifted.already_count + len(sifted.write)
        outcome.already_count += sifted.already_count
        for at, newer in sifted.late:
            what = f"older than this subscriber's expression of {iso_time(newer)} about an overlapping scope"
            outcome.refuse("late", what, places[at])
        for at in sifted.too_many:
            what = f"this subscriber has expressions about {limits.SCOPES.most:,} scopes on that channel: no more"
            outcome.refuse("scopes", what, places[at])
        for at in sifted.write:
            self._write_expression(place, fit[at], encoded[at], outcome)

    def _unknown(self, expression: Expression, request: RegistryRequest, outcome: _Outcome) -> Refused | None:
        """Count what the expression names and nobody knows; a consent with such a name is refused."""
        if not (expression.sender or expression.category):
            return None
        problems = self._names.problems(expression)
        if not problems:
            return None
        outcome.unknown.update(problems)
        if expression.will != "consent" or request.stated.unregistered:
            return None
        return Refused("unknown-name", f"{'; '.join(problems)}: correct it, or state that it is meant (--unregistered)")

    def _erase(self, place: int, subscriber: str, outcome: _Outcome) -> None:
        """A lift of everything on each channel of which anything stands, then null values, the lift's own last."""
        number = parse(subscriber)
        if number is None:
            outcome.refuse("number", "`erase` is no subscriber's number: + and 7 to 15 digits, the first not 0")
            return
        by_channel: dict[Channel, list[str]] = {}
        for one in self._standing(subscriber):
            by_channel.setdefault(one.expression.channel, []).append(key_of(one.expression))
        for channel in CHANNELS:
            keys = by_channel.get(channel)
            if not keys:
                continue
            lift = Expression(subscriber, channel, "lift", self._now, ERASED)
            own = key_of(lift)
            self._write_expression(place, lift, encode(lift), outcome)
            for key in (*(key for key in keys if key != own), own):
                self._write(AdmittedRecord(EXPRESSIONS, key, None, None, place), outcome)
            outcome.admitted_count += len(keys)
            self._indexed[SubscriberChannel(number, channel).row] = []
        self._erased.add(subscriber)
        self._written[subscriber] = []
        self._last[Subject(EXPRESSIONS, subscriber)] = outcome.last = None

    def _standing(self, subscriber: str) -> list[StandingRecord]:
        """What stands of a subscriber by now, in order of receipt."""
        before = () if subscriber in self._erased else self._known.standing(subscriber)
        kept = {key_of(one.expression): one for one in before}
        for place in self._written.get(subscriber, ()):
            _, key, record, *_ = self.admitted.records[place]
            assert isinstance(record, Expression), "null values are not noted"
            kept.pop(key, None)
            kept[key] = StandingRecord(record, self._now, NO_VERSION)
        return list(kept.values())

    def _write_expression(self, place: int, expression: Expression, encoded: bytes, outcome: _Outcome) -> None:
        self._written.setdefault(expression.subscriber, []).append(len(self.admitted.records))
        self._last[Subject(EXPRESSIONS, expression.subscriber)] = len(self.admitted.records)
        outcome.last = len(self.admitted.records)
        self.admitted.records.append(AdmittedRecord(EXPRESSIONS, key_of(expression), expression, encoded, place))

    def _write(self, record: AdmittedRecord, outcome: _Outcome) -> None:
        if record.topic != EXPRESSIONS:
            outcome.last = None if record.record is None else len(self.admitted.records)
            self._last[Subject(record.topic, record.key)] = outcome.last
        self.admitted.records.append(record)


def unreadable(data: bytes, at: str, reason: str, now: int) -> RegistryAnswer | None:
    """The answer to a request that cannot be decoded, for this reason; None where its id cannot be read either."""
    name = id_of(data)
    if name is None:
        return None
    refusals = (RecordRefusal("unreadable", reason),)
    return RegistryAnswer(request=name, at=at, digest=zlib.crc32(data), decided=now, refused=1, refusals=refusals)


def _subject_of(request: RegistryRequest) -> Subject | None:
    """The one subscriber, sender or word list that a request is about."""
    if request.erase:
        return Subject(EXPRESSIONS, request.erase)
    subjects = {_place_of(record) for record in request.records}
    return subjects.pop() if len(subjects) == 1 else None


def _place_of(record: FileRecord) -> Subject:
    if isinstance(record, Tombstone):
        return Subject(record.topic, record.key)
    if isinstance(record, Expression):
        return Subject(EXPRESSIONS, record.subscriber)
    return Subject(TOPIC_OF[type(record)], key_of(record))


def _stands(record: FileRecord, known: Known) -> bool:
    """Whether the registry has just this under its key."""
    topic, key = _place_of(record)
    registry = known.registry
    kept = registry.kept(topic, key)
    return kept is None if isinstance(record, Tombstone) else kept == record


def _elsewhere(topic: str) -> str:
    if topic == EXPRESSIONS:
        return "an expression cannot be withdrawn; write a `lift` of its scope instead"
    return "orders and campaigns are written by the control plane; ask its API"


__all__ = ["REGISTRARS", "REQUEST_AGE_MAX_MS", "Admitted", "AdmittedRecord", "AskedRequest", "Door", "unreadable"]
