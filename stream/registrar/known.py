"""What one partition's registrar knows: its store, and senders and the like; see `stream.registry.known.Known`."""

from collections.abc import Collection, Sequence

from stream.model.requests import NO_VERSION, RegistryAnswer
from stream.model.topics import EXPRESSIONS
from stream.registrar.others import OtherRecords
from stream.registrar.store import PartitionStore
from stream.registry.known import StandingRecord, Subject
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import IndexedExpression
from stream.registry.registry import Registry


class StoredRegistry:
    """Of one batch: what was answered before is looked up once for all its requests."""

    def __init__(
        self, store: PartitionStore, others: OtherRecords, *, categories: Collection[str], requests: Collection[str]
    ) -> None:
        self._store, self._others, self._categories = store, others, categories
        self._answered = store.answered(requests)

    @property
    def registry(self) -> Registry:
        """See `Known`."""
        return self._others.registry

    def names(self) -> KnownNames:
        """See `Known`."""
        return KnownNames(self._categories, self._others.registry.senders)

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """See `Known`."""
        return self._store.indexed(rows)

    def standing(self, subscriber: str) -> Sequence[StandingRecord]:
        """See `Known`."""
        return self._store.standing(subscriber)

    def version(self, subject: Subject) -> int:
        """See `Known`."""
        if subject.topic == EXPRESSIONS:
            standing = self._store.standing(subject.name)
            return standing[-1].offset if standing else NO_VERSION
        return self._others.version(subject)

    def answered(self, request: str) -> RegistryAnswer | None:
        """See `Known`."""
        return self._answered.get(request)
