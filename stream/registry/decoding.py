"""Consumed records of one registry partition, decoded: those that can be used, and those that cannot, with why.

Shared by all who read the registry's topics, so that they agree on what counts: an expression found in the wrong
partition does in replicated mode, with a warning, and does not in partitioned mode, where the worker that holds its
subscriber's partition never sees it (DESIGN section 3, *Partitioning*). Pure; stops at nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from bloom.number import Msisdn
from bloom.partition import partitions_of
from bloom.wills import ExpressionContent
from stream.model.codec import Undecodable, decode_expression, decode_record
from stream.model.registry import FileRecord
from stream.model.topics import EXPRESSIONS


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A registry record that cannot be used: where it stands, its bytes, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    error: str


class ConsumedRecord(Protocol):
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
    """Consumed records of one partition."""

    records: list[FileRecord]
    bad: list[BadRecord]


def decode_all(topic: str, partition: int, found: Sequence[ConsumedRecord]) -> Decoded:
    """Decode records of one partition of any topic but `registry.expressions`."""
    records: list[FileRecord] = []
    bad: list[BadRecord] = []
    for one in found:
        try:
            records.append(decode_record(topic, one.key, one.value))
        except Undecodable as error:
            bad.append(BadRecord(topic, partition, one.offset, one.key, one.value, str(error)))
    return Decoded(records, bad)


class Misplaced(Enum):
    """What becomes of an expression that stands in another partition than its subscriber's."""

    APPLY = "apply"
    """It counts as any other, and is counted (replicated mode)."""
    REJECT = "reject"
    """It is a bad record: the worker that holds its subscriber's partition never sees it (partitioned mode)."""


@dataclass(frozen=True, slots=True)
class DecodedRows:
    """What expressions of one partition say, row by row."""

    numbers: list[Msisdn]
    contents: list[ExpressionContent]
    places: list[int]
    """of each row the place of its record among those that were given"""
    bad: list[BadRecord]
    misplaced_count: int
    """expressions that stand in another partition than their subscriber's"""


def decode_expressions(
    partition: int, found: Sequence[ConsumedRecord], *, partitions: int, misplaced: Misplaced
) -> DecodedRows:
    """Decode expressions of one partition of so many; `misplaced` says what becomes of those of another."""
    subscribers: list[str] = []
    numbers: list[Msisdn] = []
    contents: list[ExpressionContent] = []
    places: list[int] = []
    bad: list[BadRecord] = []
    for place, one in enumerate(found):
        try:
            subscriber, number, content = decode_expression(one.key, one.value)
        except Undecodable as error:
            bad.append(_bad(partition, one, str(error)))
            continue
        subscribers.append(subscriber)
        numbers.append(number)
        contents.append(content)
        places.append(place)
    right = partitions_of(subscribers, partitions)
    wrong = right != partition
    misplaced_count = int(wrong.sum())
    if misplaced_count and misplaced is Misplaced.REJECT:
        bad += [
            _bad(partition, found[places[row]], wrong_partition(partition, int(right[row])))
            for row in np.flatnonzero(wrong).tolist()
        ]
        good = np.flatnonzero(~wrong).tolist()
        numbers, contents, places = (
            [numbers[row] for row in good],
            [contents[row] for row in good],
            [places[row] for row in good],
        )
    return DecodedRows(numbers, contents, places, bad, misplaced_count)


def _bad(partition: int, one: ConsumedRecord, error: str) -> BadRecord:
    return BadRecord(EXPRESSIONS, partition, one.offset, one.key, one.value, error)


def wrong_partition(partition: int, right: int) -> str:
    """Why a misplaced record is a dead letter in partitioned mode, and the mend."""
    return (
        f"stands in partition {partition}, its subscriber belongs to {right}: let the producer partition by murmur2 of "
        "the number"
    )
