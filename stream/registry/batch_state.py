"""What is known while a batch of requests is admitted: what stands, led on by what the batch writes. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream.model.codec import encode
from stream.model.registry import Expression, Record, Tombstone, key_of
from stream.model.requests import NO_VERSION
from stream.model.topics import EXPRESSIONS, TOPIC_OF
from stream.registry.known import Known, StandingRecord, Subject
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import OrderRuleResult, apply_order_rule, digest_of_encoded, rows_of
from stream.registry.registry import Registry


class AdmittedRecord(NamedTuple):
    """A record to be written."""

    topic: str
    key: str
    record: Record | None
    """None is a null value: a tombstone, or an erased expression"""
    value: bytes | None
    """the record encoded"""
    request: int | None
    """the place of its request in the batch; None where nobody asked (`lifts_of_expired`)"""


class BatchState:
    """What one batch of requests has to go by."""

    def __init__(self, known: Known, now: int, expressions: Iterable[Expression]) -> None:
        """`expressions` are all that the batch may write."""
        self.known = known
        self.now = now
        self.names: KnownNames = known.names()
        self.records: list[AdmittedRecord] = []
        """what is to be written so far, in this order"""
        self._last: dict[Subject, int | None] = {}
        """the last record of each sender and word list that this batch changes; None where it is gone"""
        self._written: dict[str, list[int]] = {}
        """subscriber → its records that this batch writes and does not erase"""
        self._erased: dict[str, set[str]] = {}
        """subscriber → the keys that this batch erases"""
        occurrences = Counter(rows_of(expressions))
        self.indexed = known.indexed(occurrences.keys())
        """`SubscriberChannel.row` → what stands there, for the order rule"""
        for row, count in occurrences.items():
            if count > 1:
                self.indexed.setdefault(row, [])  # the order rule notes for the next request what it admits of this one

    @property
    def registry(self) -> Registry:
        """Senders, orders, campaigns and word lists as they are by now."""
        return self.known.registry

    def version(self, subject: Subject) -> tuple[int, int | None]:
        """A subject's version; where this batch writes it, the place of the record whose offset that will be."""
        topic, name = subject
        if written := self._written.get(name) if topic == EXPRESSIONS else None:
            return NO_VERSION, written[-1]
        if self.is_changed(subject):
            left = self.standing(name) if topic == EXPRESSIONS else ()
            return left[-1].offset if left else NO_VERSION, self._last.get(subject)
        return self.known.version(subject), None

    def is_changed(self, subject: Subject) -> bool:
        """Whether this batch changes it, so that nobody can have seen its version yet."""
        topic, name = subject
        return name in self._written or name in self._erased if topic == EXPRESSIONS else subject in self._last

    def standing(self, subscriber: str) -> list[StandingRecord]:
        """What stands of a subscriber by now, in order of receipt."""
        erased = self._erased.get(subscriber, ())
        kept = {key: one for one in self.known.standing(subscriber) if (key := key_of(one.expression)) not in erased}
        for place in self._written.get(subscriber, ()):
            _, key, record, *_ = self.records[place]
            assert isinstance(record, Expression), "null values are not noted"
            kept.pop(key, None)
            kept[key] = StandingRecord(record, self.now, NO_VERSION)
        return list(kept.values())

    def sift(self, expressions: Sequence[Expression], encoded: Sequence[bytes], *, of_file: bool) -> OrderRuleResult:
        """What the order rule says of these, one after another; what it admits is to be written."""
        digests = list(map(digest_of_encoded, encoded))
        rows = rows_of(expressions)
        return apply_order_rule(expressions, rows, digests, self.indexed, now=self.now, of_file=of_file)

    def write_expression(self, expression: Expression, encoded: bytes, request: int) -> int:
        """Write an expression; returns its place among `records`."""
        place = len(self.records)
        self._written.setdefault(expression.subscriber, []).append(place)
        self.records.append(AdmittedRecord(EXPRESSIONS, key_of(expression), expression, encoded, request))
        return place

    def write_other(self, record: Record | Tombstone, request: int) -> int | None:
        """Write any other record; returns its place, or None where it takes its subject away."""
        place = len(self.records)
        if isinstance(record, Tombstone):
            self.records.append(AdmittedRecord(record.topic, record.key, None, None, request))
            self._last[Subject(record.topic, record.key)] = None
            return None
        topic, key = TOPIC_OF[type(record)], key_of(record)
        self.records.append(AdmittedRecord(topic, key, record, encode(record), request))
        self._last[Subject(topic, key)] = place
        return place

    def erase(self, subscriber: str, keys: Iterable[str], request: int) -> None:
        """Write null values to these keys of a subscriber."""
        gone = list(keys)
        self.records += [AdmittedRecord(EXPRESSIONS, key, None, None, request) for key in gone]
        self._erased.setdefault(subscriber, set()).update(gone)
        self._written[subscriber] = [
            place for place in self._written.get(subscriber, ()) if self.records[place].key not in gone
        ]


__all__ = ["AdmittedRecord", "BatchState"]
