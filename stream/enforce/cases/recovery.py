"""The table after a start or rebalance: recovered from its topic, whole.

Promises that every row of our partitions is the last that was written, and that there is no other. Faust's own recovery
empties its queues when it resumes, and ends by a count of offsets; a row that it lost would be a case that fell back to
an earlier state, so Faust recovers nothing here (`faust_store`). Reading costs 1.3 s of CPU for 100,000 cases.
"""

from collections.abc import MutableMapping, Sequence
from typing import NamedTuple

from stream import logs
from stream.config import Config
from stream.enforce.cases.offsets import ROW_PREFIX
from stream.feed import topic_reader
from stream.kafka.clients import AIOKafkaPartition, KafkaError
from stream.kafka.retry import Retry
from stream.model.topics import ENFORCE_TABLE

log = logs.get(__name__)

Table = MutableMapping[bytes, bytes]
"""Entries by their keys, as bytes: 100,000 cases as objects would take five times the memory."""


class RecoveredRows(NamedTuple):
    """The rows of our partitions, as bytes: entries by key."""

    entries: dict[bytes, bytes]
    partition: dict[bytes, int]
    """partition of the table's topic, by entry key"""
    offsets: list[bytes]
    """values of the rows that `IntakeOffsets.load` reads"""


async def recover(config: Config, table: Table, ours: Sequence[int]) -> RecoveredRows:
    """Fill the table with the rows of these partitions (numbers), and empty it of all else. Waits for a broker."""
    rows, partition = await _read_until_whole(config, ours)
    table.clear()
    table.update(rows)
    offsets = [value for key, value in rows.items() if key.startswith(ROW_PREFIX)]
    entries = {key: value for key, value in rows.items() if not key.startswith(ROW_PREFIX)}
    return RecoveredRows(entries, partition, offsets)


async def _read_until_whole(config: Config, ours: Sequence[int]) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    retry = Retry(log, "the table cannot be read; reading it from the beginning again")
    while True:
        try:
            return await _read(config, ours)
        except (KafkaError, OSError) as error:
            await retry.after(error)


async def _read(config: Config, ours: Sequence[int]) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    rows: dict[bytes, bytes] = {}
    partition: dict[bytes, int] = {}
    if not ours:
        return rows, partition
    partitions = [AIOKafkaPartition(ENFORCE_TABLE, one) for one in ours]
    async for batch in topic_reader.read(config, partitions, client="wurao-enforce-table"):
        for raw in batch.records:
            assert raw.key is not None, f"{ENFORCE_TABLE}/{raw.partition}@{raw.offset}: a row has a key"
            if raw.value is None:
                rows.pop(raw.key, None)  # a tombstone: the row was removed
            else:
                rows[raw.key] = raw.value
                partition[raw.key] = raw.partition
    return rows, partition
