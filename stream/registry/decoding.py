"""What a stretch of one registry partition says: the records that can be used, and those that cannot, with why.

Shared by all who read the registry's topics, so that they agree on what counts: an expression found in the wrong
partition does in replicated mode, with a warning, and does not in partitioned mode, where whoever holds its
subscriber's partition never sees it (DESIGN section 3, *Partitioning*). Pure; stops at nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bloom.partition import partitions_of
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import Expression, FileRecord


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A registry record that cannot be used: where it stands, its bytes, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    error: str


class Found(Protocol):
    """As much of a consumed record as is looked at."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def key(self) -> bytes | None:
        """Its key's bytes."""

    @property
    def value(self) -> bytes | None:
        """Its value's bytes; None deletes."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A stretch of one partition."""

    records: list[FileRecord]
    bad: list[BadRecord]
    misplaced_count: int
    """Expressions that stand in another partition than their subscriber's."""


def decode_all(topic: str, partition: int, found: Sequence[Found], *, partitions: int, apart: bool) -> Decoded:
    """Decode records of one partition, out of `partitions`; with `apart` (partitioned mode) the misplaced are bad."""
    records: list[FileRecord] = []
    whence: list[Found] = []
    bad: list[BadRecord] = []
    for one in found:
        try:
            records.append(decode_record(topic, one.key, one.value))
            whence.append(one)
        except Undecodable as error:
            bad.append(BadRecord(topic, partition, one.offset, one.key, one.value, str(error)))
    subscribers = [record.subscriber for record in records if type(record) is Expression]
    if not subscribers:
        return Decoded(records, bad, 0)
    places = partitions_of(subscribers, partitions)
    wrong = places != partition
    misplaced_count = int(wrong.sum())
    if misplaced_count and apart:
        # A topic holds one kind of record, so all of these are expressions and stand beside their places.
        for one, place in zip(whence, places.tolist(), strict=True):
            if place != partition:
                bad.append(
                    BadRecord(topic, partition, one.offset, one.key, one.value, wrong_partition(partition, place))
                )
        records = [record for record, is_wrong in zip(records, wrong.tolist(), strict=True) if not is_wrong]
    return Decoded(records, bad, misplaced_count)


def wrong_partition(partition: int, right: int) -> str:
    """Why a misplaced record is a dead letter in partitioned mode, and the mend."""
    return (
        f"stands in partition {partition}, its subscriber belongs to {right}: let the producer partition by murmur2 of "
        "the number"
    )
