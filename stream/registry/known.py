"""What the registry has, as far as whoever admits requests must know it: the interface, and its form in memory.

The registrar answers from its store, the importer from its index, tests and `--into` from memory. Only what stands is
known: of each key the last record, as compaction keeps it, so that all answers are the same from a topic that was
compacted. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from msgspec import UNSET

from stream.model.codec import encode
from stream.model.registry import KEY_BAR, Expression, Record, Tombstone
from stream.model.requests import NO_VERSION, RegistryAnswer, takes_its_id
from stream.model.times import counts_from
from stream.model.topics import EXPRESSIONS
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import IndexedExpression, SubscriberChannel, digest_of_encoded, scope_of
from stream.registry.registry import Registry, expression_row_of


class Subject(NamedTuple):
    """What has a version: a subscriber, a sender or a word list."""

    topic: str
    name: str


class StandingRecord(NamedTuple):
    """An expression that is the last of its key, where it stands, and when it was written."""

    expression: Expression
    written: int
    """milliseconds since the epoch: its record's timestamp"""
    offset: int


class Known(Protocol):
    """What is known when requests are admitted.

    One batch of requests sees one state, and leads it on by itself; the state is led on here when the batch's records
    have been written. The exception is `registry`, to which a batch applies senders and word lists at once: whoever
    then does not write them takes a new one.
    """

    @property
    def registry(self) -> Registry:
        """Senders, orders, campaigns and word lists; its wills are not asked."""

    def names(self) -> KnownNames:
        """The senders and categories that consents may name now."""

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """What stands of these subscribers on these channels (`SubscriberChannel.row`), the caller's own to change.

        Of whom nothing stands is not in it.
        """

    def standing(self, subscriber: str) -> Sequence[StandingRecord]:
        """All that stands of one subscriber, in order of receipt."""

    def version(self, subject: Subject) -> int:
        """The offset of the last record of a subject that stands, or `NO_VERSION`."""

    def answered(self, request: str) -> RegistryAnswer | None:
        """The answer that a request got before, as far back as is remembered, and only one that `takes_its_id`."""


def indexed_of(one: StandingRecord) -> IndexedExpression:
    """What the order rule needs of it."""
    expression = one.expression
    digest = digest_of_encoded(encode(expression))
    return IndexedExpression(scope_of(expression), counts_from(expression.time, one.written), digest)


class InMemory:
    """A whole registry in memory, led on by `take`."""

    def __init__(
        self,
        *,
        categories: Collection[str],
        registry: Registry | None = None,
        more_senders: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.registry = registry or Registry()
        self._categories, self._more_senders = categories, more_senders
        self._standing: dict[str, dict[str, StandingRecord]] = {}
        self._versions: dict[Subject, int] = {}
        self._answers: dict[str, RegistryAnswer] = {}

    def names(self) -> KnownNames:
        """See `Known`."""
        return KnownNames(self._categories, self.registry.senders, self._more_senders)

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """See `Known`."""
        found: dict[int, list[IndexedExpression]] = {}
        for number in {row // 2 for row in rows}:
            for one in self._standing.get(f"+{number}", {}).values():
                row = SubscriberChannel(expression_row_of(one.expression).number, one.expression.channel).row
                if row in rows:
                    found.setdefault(row, []).append(indexed_of(one))
        return found

    def standing(self, subscriber: str) -> Sequence[StandingRecord]:
        """See `Known`."""
        return tuple(self._standing.get(subscriber, {}).values())

    def version(self, subject: Subject) -> int:
        """See `Known`."""
        return self._versions.get(subject, NO_VERSION)

    def answered(self, request: str) -> RegistryAnswer | None:
        """See `Known`."""
        return self._answers.get(request)

    def expiring(self, until: int) -> Iterable[StandingRecord]:
        """Consents that are the last of their key and expire at `until` at the latest."""
        for kept in self._standing.values():
            for one in kept.values():
                expires = one.expression.expires
                if expires is not UNSET and one.expression.will == "consent" and expires <= until:
                    yield one

    def take(self, topic: str, key: str, record: Record | None, *, written: int, offset: int) -> None:
        """The next record of a topic; None is a null value."""
        if topic != EXPRESSIONS:
            self.registry.apply([Tombstone(topic, key) if record is None else record])
            self._set_version(Subject(topic, key), None if record is None else offset)
            return
        subscriber = key.partition(KEY_BAR)[0]
        kept = self._standing.setdefault(subscriber, {})
        kept.pop(key, None)  # what is written again stands at the end
        if record is not None:
            assert isinstance(record, Expression), "the topic holds no other kind"
            kept[key] = StandingRecord(record, written, offset)
        self._set_version(Subject(EXPRESSIONS, subscriber), max((one.offset for one in kept.values()), default=None))

    def remember(self, answers: Iterable[RegistryAnswer]) -> None:
        """Answers that were given."""
        self._answers |= {answer.request: answer for answer in answers if takes_its_id(answer)}

    def _set_version(self, subject: Subject, offset: int | None) -> None:
        if offset is None:
            self._versions.pop(subject, None)
        else:
            self._versions[subject] = offset
