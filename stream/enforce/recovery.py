"""The table after a start or rebalance: what Faust brought back, compared with what its topic holds.

It promises that every row of our partitions is the last that was written. Faust's recovery empties its queues
when it resumes, and ends by a count of offsets; a row that it lost would be a case that fell back to an earlier
state. Reading the topic once more costs about a second for 100,000 cases; a difference is put right, counted
and logged.
"""

from collections.abc import MutableMapping, Sequence
from typing import NamedTuple

from stream import logs
from stream.config import Config
from stream.enforce.positions import ROW_PREFIX
from stream.kafka.clients import TopicPartition
from stream.metrics import EnforceMetrics
from stream.model.topics import ENFORCE_TABLE
from stream.registry import topic_reader

log = logs.get(__name__)

Table = MutableMapping[bytes, bytes]
"""Entries by their keys, as bytes: 100,000 cases as objects would take five times the memory."""


class Rows(NamedTuple):
    """The rows of our partitions."""

    entries: dict[bytes, bytes]
    partition: dict[bytes, int]
    """of each entry"""
    positions: list[bytes]


async def checked(config: Config, table: Table, ours: Sequence[int], *, metrics: EnforceMetrics) -> Rows:
    """The rows of these partitions, with the table put right where it differs. Waits for a broker."""
    held, partition = await _read(config, ours)
    repairs = [key for key, value in held.items() if table.get(key) != value]
    for key in repairs:
        table[key] = held[key]
    if repairs:
        metrics.repairs.inc(len(repairs))
        log.error("Faust brought rows back that are not the last ones; put right", count=len(repairs))
    positions = [value for key, value in held.items() if key.startswith(ROW_PREFIX)]
    entries = {key: value for key, value in held.items() if not key.startswith(ROW_PREFIX)}
    return Rows(entries, partition, positions)


async def _read(config: Config, ours: Sequence[int]) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    held: dict[bytes, bytes] = {}
    partition: dict[bytes, int] = {}
    if not ours:
        return held, partition
    places = [TopicPartition(ENFORCE_TABLE, one) for one in ours]
    async for batch in topic_reader.read(config, places, client="wurao-enforce-table"):
        for raw in batch.records:
            assert raw.key is not None, f"{ENFORCE_TABLE}/{raw.partition}@{raw.offset}: a row has a key"
            assert raw.value is not None, f"{ENFORCE_TABLE}/{raw.partition}@{raw.offset}: no row is ever deleted"
            held[raw.key] = raw.value
            partition[raw.key] = raw.partition
    return held, partition
