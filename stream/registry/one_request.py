"""What one request asks to be written, record by record: written, or refused with a reason (see `door`). Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bloom.number import parse
from bloom.wills import CHANNELS, Channel, Scope
from stream.model import limits
from stream.model.codec import encode
from stream.model.registry import Expression, FileRecord, Tombstone, key_of
from stream.model.requests import RecordRefusal, RefusalCode, RegistryRequest
from stream.model.times import counts_from, iso_time
from stream.model.topics import EXPRESSIONS, TOPIC_OF
from stream.registry import erasure
from stream.registry.admission import Admission
from stream.registry.batch_state import BatchState
from stream.registry.claims import HandOver
from stream.registry.known import StandingRecord, Subject, indexed_of
from stream.registry.numbers import NumberKinds
from stream.registry.order_rule import (
    OrderRuleResult,
    Received,
    SubscriberChannel,
    newer,
    rows_of,
    scope_of,
    sentence,
)
from stream.registry.standing import narrower


class OneRequest:
    """One request while its records are looked at: `write`, or `erase`, and then what came of it."""

    def __init__(self, request: RegistryRequest, place: int, state: BatchState, *, of_file: bool) -> None:
        """`place` is the request's in its batch."""
        self.admitted_count = self.already_count = 0
        self.refusals: list[RecordRefusal] = []
        self.unknown: Counter[str] = Counter()
        """names that nobody knows → how many expressions give them"""
        self.last: int | None = None
        """the place of the last record written for it"""
        self.kept: list[Expression] = []
        self.kept_until: int | None = None
        """consents that an erasure leaves, and until when"""
        self._request, self._place, self._state, self._of_file = request, place, state, of_file

    def refuse(self, code: RefusalCode, what: str, place: int | None = None) -> None:
        """Refuse the record at this place of the request, or the whole of it. An answer has room for 20 sentences."""
        self.refusals.append(RecordRefusal(code, limits.shortened(what), place))

    def write(self, numbering: NumberKinds, topics: frozenset[str]) -> None:
        """Write what may be written of its records, those of other topics excepted.

        Senders and the like come first: a consent may name a sender that is registered along with it.
        """
        stated = HandOver(frozenset(self._request.stated.take_over), frozenset(self._request.stated.sub_port_of))
        admission = Admission(numbering, stated)
        others: list[tuple[int, FileRecord]] = []
        expressions: list[tuple[int, Expression]] = []
        for index, record in enumerate(self._request.records):
            if type(record) is Expression:
                expressions.append((index, record))
            elif (topic := subject_of(record).topic) == EXPRESSIONS or topic not in topics:
                self.refuse("topic", f"no record of {topic} is written by this request: {_elsewhere(topic)}", index)
            else:
                others.append((index, admission.as_written(record)))
        if others:
            self._write_others(admission, others)
        if expressions:
            self._write_expressions(admission, expressions)

    def erase(self, subscriber: str) -> None:
        """A lift of everything on each channel of which anything stands, then null values, the lift's own last.

        Where consents are kept as evidence, these and the lift stay.
        """
        number = parse(subscriber)
        if number is None:
            self.refuse("number", "`erase` is no subscriber's number: + and 7 to 15 digits, the first not 0")
            return
        by_channel: dict[Channel, list[StandingRecord]] = {}
        for one in self._state.standing(subscriber):
            by_channel.setdefault(one.expression.channel, []).append(one)
        for channel in CHANNELS:
            if standing := by_channel.get(channel):
                self._erase(subscriber, channel, standing)
                left = [one for one in self._state.standing(subscriber) if one.expression.channel == channel]
                self._state.indexed[SubscriberChannel(number, channel).row] = list(map(indexed_of, left))

    def _erase(self, subscriber: str, channel: Channel, standing: Sequence[StandingRecord]) -> None:
        state, keys = self._state, [key_of(one.expression) for one in standing]
        kept = erasure.kept_as_evidence(standing, state.now)
        lift = Expression(subscriber, channel, "lift", state.now, erasure.ERASED)
        own = key_of(lift)
        if kept is None:
            state.write_expression(lift, encode(lift), self._place)
            state.erase(subscriber, [*(key for key in keys if key != own), own], self._place)
            self.admitted_count += len(keys)
            return
        if not erasure.has_erased(standing):
            self.last = state.write_expression(lift, encode(lift), self._place)
            self.admitted_count += own in keys  # what stood there gives way to the lift
        staying = {*map(key_of, kept.consents), own}
        gone = [key for key in keys if key not in staying]
        state.erase(subscriber, gone, self._place)
        self.admitted_count += len(gone)
        self.kept += kept.consents
        self.kept_until = max(self.kept_until or 0, kept.until)

    # ---- senders, word lists and the like

    def _write_others(self, admission: Admission, others: list[tuple[int, FileRecord]]) -> None:
        """Of each key the last record counts: it alone is written, before it whatever it needs."""
        state, registry = self._state, self._state.registry
        last = {subject_of(record): record for _, record in others}
        # What stands already as the request leaves it was written before: what it has on the way there must not be
        # done again.
        settled = {subject for subject, record in last.items() if self._stands(record)}
        pending: dict[Subject, FileRecord] = {}
        for index, record in others:
            subject = subject_of(record)
            if subject in settled or self._stands(record):
                self.admitted_count += 1
                self.already_count += 1
            elif refused := admission.refused(record, registry, state.now):
                self.refuse(refused.code, refused.what, index)
            else:
                # Before the record that takes their numbers over.
                for handing_over in admission.giving_up(record, registry):
                    registry.apply([handing_over])
                    _put_last(pending, handing_over)
                registry.apply([record])
                self.admitted_count += 1
                # A repeated key: its earlier record is not written at all.
                self.already_count += _put_last(pending, record)
        for one in pending.values():
            assert not isinstance(one, Expression), "they are apart"
            self.last = state.write_other(one, self._place)
        if pending:
            state.names = state.known.names()

    def _stands(self, record: FileRecord) -> bool:
        """Whether the registry has just this under its key."""
        kept = self._state.registry.kept(*subject_of(record))
        return kept is None if isinstance(record, Tombstone) else kept == record

    # ---- expressions

    def _write_expressions(self, admission: Admission, expressions: Iterable[tuple[int, Expression]]) -> None:
        places: list[int] = []
        fit: list[Expression] = []
        encoded: list[bytes] = []
        now = self._state.now
        for index, expression in expressions:
            refused = admission.expression_refused(expression, now)
            if refused is not None:
                self.refuse(refused.code, refused.what, index)
            elif not (expression.sender or expression.category) or self._has_known_names(index, expression):
                places.append(index)
                fit.append(expression)
                encoded.append(encode(expression))
        stated = self._request.stated
        if not stated.narrower_stay and stated.read_to is None:
            self._write_sifted(places, fit, encoded, self._state.sift(fit, encoded, of_file=self._of_file))
            return
        for one in zip(places, fit, encoded, strict=True):
            self._write_one(*one)

    def _has_known_names(self, place: int, expression: Expression) -> bool:
        """Count what the expression names and nobody knows; a consent with such a name is refused."""
        problems = self._state.names.problems(expression)
        if not problems:
            return True
        self.unknown.update(problems)
        if expression.will != "consent" or self._request.stated.unregistered:
            return True
        self.refuse("unknown-name", f"{'; '.join(problems)}: correct it, or give --unregistered", place)
        return False

    def _write_sifted(
        self, places: list[int], expressions: list[Expression], encoded: list[bytes], sifted: OrderRuleResult
    ) -> None:
        self.admitted_count += sifted.already_count + len(sifted.write)
        self.already_count += sifted.already_count
        for at, moment in sifted.late:
            self.refuse("late", self._why_late(expressions[at], moment), places[at])
        for at in sifted.too_many:
            what = f"this subscriber has expressions about {limits.SCOPES.most:,} scopes on that channel: no more"
            self.refuse("scopes", what, places[at])
        for at in sifted.write:
            self.last = self._state.write_expression(expressions[at], encoded[at], self._place)

    def _why_late(self, expression: Expression, moment: int) -> str:
        """Of a single request with what stands, of a file's thousands with its moment."""
        if not self._of_file:
            standing = self._state.standing(expression.subscriber)
            received = [Received(one.expression, one.written) for one in standing]
            later = newer(expression, received, self._state.now)
            if later is not None:
                return f"older than the expression that stands, {sentence(later)}"
        return f"older than this subscriber's expression of {iso_time(moment)} about an overlapping scope"

    def _write_one(self, place: int, expression: Expression, encoded: bytes) -> None:
        """An expression by itself: after a lift, what holds of narrower scopes is written again.

        So these do not bar such a lift, however new they are; one that holds no more, because a broader refusal came
        after it, is not written again, and bars it as any other.
        """
        state, channel, scope = self._state, expression.channel, scope_of(expression)
        stated = self._request.stated
        takes_back = stated.narrower_stay and expression.will == "lift"
        before = state.standing(expression.subscriber) if takes_back or stated.read_to is not None else ()
        if stated.read_to is not None and _changed(expression, before, stated.read_to):
            what = "another expression about this very scope came after what was read (`read_to`): read again"
            self.refuse("changed", what, place)
            return
        narrow = [one.expression for one in before if one.expression.channel == channel] if takes_back else []
        again = narrower(narrow, scope)
        staying = {scope_of(one) for one in again}
        (row,) = rows_of([expression])
        indexed = state.indexed.get(row, [])
        state.indexed[row] = [one for one in indexed if one.scope not in staying]
        sifted = state.sift([expression], [encoded], of_file=self._of_file)
        self._write_sifted([place], [expression], [encoded], sifted)
        written: dict[Scope, int] = {}
        if sifted.write:
            for one in again:
                self.last = state.write_expression(one, encode(one), self._place)
                written[scope_of(one)] = counts_from(one.time, state.now)  # one dated ahead counts from now on
        stays = (one for one in indexed if one.scope in staying)
        state.indexed[row] += [one._replace(time=written.get(one.scope, one.time)) for one in stays]


def _changed(expression: Expression, standing: Iterable[StandingRecord], read_to: int) -> bool:
    """Whether another expression about its scope stands from this offset on, or is written along with it."""
    key = key_of(expression)
    last = next((one for one in standing if key_of(one.expression) == key), None)
    return last is not None and last.expression != expression and not 0 <= last.offset < read_to


def subject_of(record: FileRecord) -> Subject:
    """What a record is about."""
    if isinstance(record, Tombstone):
        return Subject(record.topic, record.key)
    if isinstance(record, Expression):
        return Subject(EXPRESSIONS, record.subscriber)
    return Subject(TOPIC_OF[type(record)], key_of(record))


def _put_last(pending: dict[Subject, FileRecord], record: FileRecord) -> bool:
    """Put it at the end; whether another of its key stood there."""
    subject = subject_of(record)
    replaced = pending.pop(subject, None) is not None
    pending[subject] = record
    return replaced


def _elsewhere(topic: str) -> str:
    if topic == EXPRESSIONS:
        return "an expression cannot be withdrawn; write a `lift` of its scope instead"
    return "orders and campaigns are written by the control plane; ask its API"


__all__ = ["OneRequest", "subject_of"]
