"""What the registry has, as far as whoever admits requests must know it: the interface.

The registrar answers from its store, the importer from its index. Only what stands is
known: of each key the last record, as compaction keeps it, so that all answers are the same from a topic that was
compacted. Pure.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from stream.model.codec import encode
from stream.model.registry import Expression
from stream.model.requests import RegistryAnswer
from stream.model.times import counts_from
from stream.registry.known_names import KnownNames
from stream.registry.order_rule import IndexedExpression, digest_of_encoded, scope_of
from stream.registry.registry import Registry


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
