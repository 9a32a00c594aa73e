"""What the registry has, in memory: what stores and histories are compared with, and what the door asks in tests."""

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import UNSET

from stream.model.registry import KEY_BAR, Expression, Record, Tombstone
from stream.model.requests import NO_VERSION, RegistryAnswer, takes_its_id
from stream.model.topics import EXPRESSIONS
from stream.registry.erasure import EVIDENCE_KEPT_MS, is_erasing
from stream.registry.known import StandingRecord, Subject, indexed_of
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import IndexedExpression, SubscriberChannel
from stream.registry.registry import Registry, expression_row_of


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
        """Consents that are the last of their key and expire at `until` at the latest, and erasures' lifts likewise."""
        for kept in self._standing.values():
            for one in kept.values():
                expires = one.expression.expires
                due = one.written + EVIDENCE_KEPT_MS if is_erasing(one.expression) else until + 1
                if (expires if expires is not UNSET else due) <= until:
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
