"""How far the intake topics are processed: the table's own account, one row per partition number.

Kafka's committed offsets are not asked: Faust commits records that it never delivered (decision 0010). A row is written
to the same partition of the table's topic as the entries it stands for, after them; so offsets that are read back are
never ahead of the state, and where they are behind, repeats are recognised by their ids.

Offsets are kept by topic id, so that a topic that was deleted and created again is read from its beginning. A row names
the table's topic as well: offsets that came to another one, in the second before this was noticed, stand for cases that
it does not have. Nothing here blocks; the runtime and the reader call it, on one loop.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from stream.enforce.cases.decoding import RecordPosition
from stream.kafka.clients import AIOKafkaPartition
from stream.model.codec import encode

ROW_PREFIX: Final = b"position|"
"""The keys of these rows; no key of a case or escalation record begins like this (`decoding.read`)."""


class _Next(msgspec.Struct, frozen=True):
    topic_id: str
    offset: int


class _Row(msgspec.Struct, frozen=True):
    partition: int
    next: tuple[_Next, ...]
    table: str | None = None
    """the id of the table's topic; rows of versions before have none"""


class TableRow(NamedTuple):
    """A row of the table, as bytes."""

    key: bytes
    value: bytes


class IntakeOffsets:
    """Per partition of an intake topic, the next offset to process; 0 where nothing is known."""

    def __init__(self, topic_ids: Mapping[str, str], *, table_id: str) -> None:
        """`topic_ids`: the intake topics, name → the id that the cluster gave it; `table_id`: the table's topic's."""
        self._topic_ids = topic_ids
        self._table_id = table_id
        self._next: dict[AIOKafkaPartition, int] = {}

    def __getitem__(self, partition: AIOKafkaPartition) -> int:
        return self._next.get(partition, 0)

    def load(self, rows: Iterable[bytes]) -> None:
        """Replace everything by the values of the table's rows.

        Those of topics that are gone are left out, and those that were written for another table.
        """
        topics = {topic_id: topic for topic, topic_id in self._topic_ids.items()}
        found = (msgspec.json.decode(row, type=_Row) for row in rows)
        self._next = {
            AIOKafkaPartition(topics[one.topic_id], row.partition): one.offset
            for row in found
            if row.table in (None, self._table_id)
            for one in row.next
            if one.topic_id in topics
        }

    def advance(self, position: RecordPosition) -> TableRow:
        """A record is processed; the row that records it, for the same partition number of the table."""
        self._next[AIOKafkaPartition(position.topic, position.partition)] = position.offset + 1
        known = tuple(
            _Next(topic_id, self._next[partition])
            for topic, topic_id in self._topic_ids.items()
            if (partition := AIOKafkaPartition(topic, position.partition)) in self._next
        )
        row = _Row(position.partition, known, self._table_id)
        return TableRow(ROW_PREFIX + str(position.partition).encode(), encode(row))

    def renew(self, topic_ids: Mapping[str, str]) -> None:
        """The intake topics as they are now: those with another id are read from their beginning."""
        recreated = {topic for topic, topic_id in topic_ids.items() if self._topic_ids[topic] != topic_id}
        self._next = {partition: offset for partition, offset in self._next.items() if partition.topic not in recreated}
        self._topic_ids = topic_ids

    def skip_to(self, partition: AIOKafkaPartition, offset: int) -> None:
        """The partition holds no record before this offset that is still to be processed."""
        self._next[partition] = max(offset, self[partition])
