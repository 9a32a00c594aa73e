"""How far the intake has been dealt with: the table's own account, one row per partition.

Pure. Kafka's committed offsets are not asked: Faust commits records that it never handed over (decision 0010).
A row is written to the same partition of the same topic as the entries it stands for, after them; so a position
that is read back is never ahead of the state, and where it is behind, repeats are known by their ids.

Positions are kept by topic id, so that a topic that was deleted and made again is read from its beginning.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from stream.enforce.cases.decoding import RecordPosition
from stream.kafka.clients import TopicPartition
from stream.model.codec import encode

ROW_PREFIX: Final = b"position|"
"""No key of a case or docket begins like this (`decoding.read`)."""


class _Next(msgspec.Struct, frozen=True):
    topic_id: str
    offset: int


class _Row(msgspec.Struct, frozen=True):
    partition: int
    next: tuple[_Next, ...]


class TableRow(NamedTuple):
    """A row of the table."""

    key: bytes
    value: bytes


class IntakeOffsets:
    """The next offset to deal with, per place."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        self._topic_ids = topic_ids
        self._next: dict[TopicPartition, int] = {}

    def __getitem__(self, place: TopicPartition) -> int:
        return self._next.get(place, 0)

    def load(self, rows: Iterable[bytes]) -> None:
        """Begin anew from the rows of the table."""
        topics = {topic_id: topic for topic, topic_id in self._topic_ids.items()}
        found = (msgspec.json.decode(row, type=_Row) for row in rows)
        self._next = {
            TopicPartition(topics[one.topic_id], row.partition): one.offset
            for row in found
            for one in row.next
            if one.topic_id in topics
        }

    def pass_(self, spot: RecordPosition) -> TableRow:
        """A record has been dealt with; the row that says so."""
        self._next[TopicPartition(spot.topic, spot.partition)] = spot.offset + 1
        known = tuple(
            _Next(topic_id, self._next[place])
            for topic, topic_id in self._topic_ids.items()
            if (place := TopicPartition(topic, spot.partition)) in self._next
        )
        return TableRow(ROW_PREFIX + str(spot.partition).encode(), encode(_Row(spot.partition, known)))

    def skip_to(self, place: TopicPartition, offset: int) -> None:
        """The place's records before this offset are no more."""
        self._next[place] = max(offset, self[place])
