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
    held, partition, left = await _read(config, ours)
    wrong = [key for key, value in held.items() if table.get(key) != value]
    table.update((key, held[key]) for key in wrong)
    undead = [key for key in left if table.pop(key, None) is not None]
    repairs = wrong + undead
    if repairs:
        metrics.repairs.inc(len(repairs))
        log.error("Faust brought rows back that are not the last ones; put right", count=len(repairs))
    positions = [value for key, value in held.items() if key.startswith(ROW_PREFIX)]
    entries = {key: value for key, value in held.items() if not key.startswith(ROW_PREFIX)}
    return Rows(entries, partition, positions)


class _Topic(NamedTuple):
    """What the topic holds of our partitions."""

    rows: dict[bytes, bytes]
    partition: dict[bytes, int]
    left: set[bytes]
    """rows that have left the table, as far as the topic still shows it"""


async def _read(config: Config, ours: Sequence[int]) -> _Topic:
    found = _Topic({}, {}, set())
    if not ours:
        return found
    places = [TopicPartition(ENFORCE_TABLE, one) for one in ours]
    async for batch in topic_reader.read(config, places, client="wurao-enforce-table"):
        for raw in batch.records:
            assert raw.key is not None, f"{ENFORCE_TABLE}/{raw.partition}@{raw.offset}: a row has a key"
            if raw.value is None:
                found.rows.pop(raw.key, None)
                found.left.add(raw.key)
            else:
                found.rows[raw.key] = raw.value
                found.partition[raw.key] = raw.partition
                found.left.discard(raw.key)
    return found
