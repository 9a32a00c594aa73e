"""The one door to the registry (DESIGN section 14): requests, and what is known, to records and answers. Pure.

The registrar, the offline import and the tests run this same function. Requests are taken in their order, and each
sees what those before it did. A request is no transaction: each of its records is written or refused by itself, but
where it states a version that is gone, or is no request for this door, nothing of it is.

What makes answers the same after a restart: a repeat is known by its id as far back as answers are remembered, and
beyond that by what stands: an expression that is the last of its scope, or a record equal to the one under its key, is
not written again.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from bloom.partition import partition_of, partitions_of
from stream.model.codec import encode
from stream.model.registry import Expression, key_of
from stream.model.requests import (
    NO_VERSION,
    REFUSALS_IN_FULL_MAX,
    FurtherRefusals,
    KeptConsent,
    RecordRefusal,
    RefusalCode,
    RegistryAnswer,
    RegistryRequest,
    UnknownName,
    digest_of_request,
    id_of,
)
from stream.model.times import DAY_MS, iso_time, time_problem
from stream.model.topics import EXPRESSIONS, SENDERS, WORDLISTS
from stream.registry import erasure
from stream.registry.admission import Refused
from stream.registry.batch_state import AdmittedRecord, BatchState
from stream.registry.known import Known, StandingRecord, Subject
from stream.registry.numbers import NumberKinds
from stream.registry.one_request import OneRequest, subject_of

REGISTRARS: Final = frozenset({EXPRESSIONS, SENDERS, WORDLISTS})
"""The topics that the registrar writes; orders and campaigns are the control plane's."""

REQUEST_AGE_MAX_MS: Final = 7 * DAY_MS
"""How long ago a request may have been made: as long as its topic keeps it."""

EXPIRED: Final = "expired"
"""The source of the lift that ends a consent which expires."""


class AskedRequest(NamedTuple):
    """A request, and where it stood."""

    at: str
    """lane, partition, offset, such as `requests:3:1234`"""
    request: RegistryRequest
    of_file: bool = False
    """Whether its expressions are a file's (the bulk lane): what was said before, so that no refusal is given now."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of a batch of requests."""

    records: list[AdmittedRecord]
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
    in_full_max: int = REFUSALS_IN_FULL_MAX
    """Refusals of a request that its answer has in full, and unknown names that it counts."""

    def admit(self, requests: Sequence[AskedRequest], known: Known, now: int) -> Admitted:
        """What is to be written of these requests, and their answers, at `now` (milliseconds since the epoch).

        Requests that only ask (`ask`) are not for this function. Some microseconds an expression.
        """
        expressions = (one for asked in requests for one in asked.request.records if type(one) is Expression)
        state = BatchState(known, now, expressions)
        admitted = Admitted(state.records)
        given: dict[str, tuple[RegistryAnswer, int | None]] = {}
        for place, (at, request, of_file) in enumerate(requests):
            digest = digest_of_request(request)
            earlier, last = given.get(request.id) or (known.answered(request.id), None)
            if earlier is not None and earlier.digest == digest:
                answer = earlier  # a repeat
            else:
                one = OneRequest(request, place, state, of_file=of_file)
                before = len(state.records)
                subject = _subject_of(request)
                if refused := self._refusal(request, subject, state) if earlier is None else _taken(request):
                    one.refuse(refused.code, refused.what)
                elif request.erase:
                    one.erase(request.erase)
                else:
                    one.write(self.numbering, self.topics)
                version, last = state.version(subject) if subject else (NO_VERSION, None)
                last = last if one.last is None else one.last
                written = len(state.records) - before
                answer = RegistryAnswer(request.id, at, digest, now, written=written, version=version)
                answer = self._answer(one, answer)
                # Under an id that is taken stands the first request's answer: a repeat of that one gets it.
                given.setdefault(request.id, (answer, last))
            admitted.answers.append(answer)
            admitted.last.append(last)
        return admitted

    def _refusal(self, request: RegistryRequest, subject: Subject | None, state: BatchState) -> Refused | None:
        """Why nothing of a request is written."""
        refused = _at_another_time(request.time, state.now) or self._misplaced(request)
        if refused or request.if_version is None:
            return refused
        if subject is None:
            return Refused("subject", "`if_version` is of one subscriber, sender or word list: ask for each by itself")
        return _version_gone(request.if_version, subject, state)

    def _misplaced(self, request: RegistryRequest) -> Refused | None:
        if self.partitions == 1:
            return None
        subscribers = [one.subscriber for one in request.records if type(one) is Expression]
        if request.erase:
            subscribers.append(request.erase)
        if len(subscribers) == 1:
            found = {partition_of(subscribers[0], self.partitions)}
        else:
            found = set(partitions_of(subscribers, self.partitions).tolist())
        if any(type(one) is not Expression for one in request.records):
            found.add(0)
        found.discard(self.partition)
        if not found:
            return None
        return Refused(
            "wrong-partition",
            f"the request stands in partition {self.partition} and is about partition {min(found)}: place requests "
            "about expressions by murmur2 of the subscriber's number, all others in partition 0, and ask for each "
            "partition by itself",
        )

    def _answer(self, one: OneRequest, answer: RegistryAnswer) -> RegistryAnswer:
        """The answer with what came of the request."""
        rest: dict[RefusalCode, list[int]] = {}
        for refusal in one.refusals[self.in_full_max :]:
            assert refusal.place is not None, "of a request as a whole there is one refusal"
            rest.setdefault(refusal.code, []).append(refusal.place)
        return msgspec.structs.replace(
            answer,
            admitted=one.admitted_count,
            already=one.already_count,
            refused=len(one.refusals),
            refusals=tuple(one.refusals[: self.in_full_max]),
            further=tuple(FurtherRefusals(code, tuple(places)) for code, places in rest.items()),
            kept=tuple(KeptConsent(kept.channel, kept.sender, kept.category) for kept in one.kept[: self.in_full_max]),
            kept_count=len(one.kept),
            kept_until=one.kept_until,
            unknown=tuple(UnknownName(*name) for name in one.unknown.most_common(self.in_full_max)),
        )


def lifts_of_expired(consents: Iterable[Expression]) -> Admitted:
    """The lifts of consents that have expired and are still the last of their scope.

    A lift has the consent's own time and evidence: it is no new word of the subscriber, and what was said after the
    consent must not come too late because of it. No refusal is lifted: where one came later about that very scope, the
    consent is not the last, and a lift of it takes no broader one.
    """
    lifts = [
        msgspec.structs.replace(consent, will="lift", source=EXPIRED, actor=None, expires=msgspec.UNSET)
        for consent in consents
    ]
    return Admitted([AdmittedRecord(EXPRESSIONS, key_of(lift), lift, encode(lift), None) for lift in lifts])


def evidence_over(lift: StandingRecord, standing: Iterable[StandingRecord]) -> Admitted:
    """What goes when the evidence that an erasure left is kept no longer: null values, the lift's own last."""
    keys = erasure.evidence_over(lift, list(standing))
    return Admitted([AdmittedRecord(EXPRESSIONS, key, None, None, None) for key in keys])


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
    first = subject_of(request.records[0])
    return first if all(subject_of(record) == first for record in request.records[1:]) else None


def _taken(request: RegistryRequest) -> Refused:
    what = f"another request with the id {request.id} was answered: give every request an id of its own"
    return Refused("id-taken", what)


def _at_another_time(time: int, now: int) -> Refused | None:
    if time < now - REQUEST_AGE_MAX_MS:
        what = f"the request is of {iso_time(time)}, more than seven days ago: ask again, under a new id"
        return Refused("request-time", what)
    problem = time_problem(time, now)
    return Refused("request-time", f"`time`: {problem}") if problem else None


def _version_gone(wanted: int, subject: Subject, state: BatchState) -> Refused | None:
    what = {EXPRESSIONS: "this subscriber", SENDERS: f"sender {subject.name}"}.get(
        subject.topic, f"word list {subject.name}"
    )
    if state.is_changed(subject):  # by a request before it in this batch, whose version nobody has seen
        return Refused("version", f"{what} was changed since version {wanted}: read it again, and decide anew")
    version, _ = state.version(subject)
    if version == wanted:
        return None
    there = "there is none" if version == NO_VERSION else f"there is version {version}"
    return Refused("version", f"{what} has not version {wanted}, {there}: read it again, and decide anew")


__all__ = [
    "EXPIRED",
    "REGISTRARS",
    "REQUEST_AGE_MAX_MS",
    "Admitted",
    "AdmittedRecord",
    "AskedRequest",
    "Door",
    "evidence_over",
    "lifts_of_expired",
    "unreadable",
]
