"""The partition of a subscriber's records: the one that Kafka's Java client chooses for that text as a key.

Promises that one text and a batch of texts give the same partitions, and that these are the Java client's for a
record keyed by the text alone (`BuiltInPartitioner.partitionForKey` of Apache Kafka: murmur2 with Kafka's
seed, sign bit cleared, modulo; DESIGN section 3). Must never change: producers and consumers of all versions
have to agree, and the partition count of a cluster's topics is fixed for life.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_SIGNLESS: Final = 0x7FFFFFFF
_TENS: Final = np.array([10**power for power in range(16)], dtype=np.uint64)


def partition_of(text: str, partitions: int) -> int:
    """The partition of one text, from 0 to `partitions` - 1.

    A lone surrogate counts as a question mark, as it does in Java. About 2 µs: for whole batches
    `partitions_of` is some twenty times faster.
    """
    _check(partitions)
    return (_murmur2(_encode(text)) & _SIGNLESS) % partitions


def partitions_of(texts: Sequence[str], partitions: int) -> NDArray[np.int64]:
    """The partition of each text, in the order given; the same answers as `partition_of`.

    Texts of one length in bytes are hashed together, a column of words at a time. Meant for batches of
    thousands of numbers, which have few lengths; each further length costs a pass of its own.
    """
    _check(partitions)
    if not texts:
        return np.zeros(0, dtype=np.int64)
    joined = "".join(texts)
    if joined.isascii():
        data = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    else:
        encoded = [_encode(text) for text in texts]
        data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))

    length = int(lengths[0])
    if bool((lengths == length).all()):
        hashes = _murmur2_rows(data.reshape(len(texts), length))
    else:
        hashes = np.empty(len(texts), dtype=np.uint32)
        starts = np.cumsum(lengths) - lengths
        for length in np.unique(lengths).tolist():
            (places,) = np.nonzero(lengths == length)
            rows = data[starts[places, np.newaxis] + np.arange(length)]
            hashes[places] = _murmur2_rows(rows)
    return (hashes & np.uint32(_SIGNLESS)).astype(np.int64) % partitions


def partitions_of_numbers(numbers: NDArray[np.uint64], partitions: int) -> NDArray[np.int64]:
    """The same for subscribers' numbers kept as integers (`bloom.number`): the partitions of their texts.

    A third of what it takes to make the texts first; each count of digits costs a pass of its own.
    """
    _check(partitions)
    found = np.empty(len(numbers), dtype=np.int64)
    digits = np.searchsorted(_TENS, numbers, side="right")
    for length in np.unique(digits).tolist():
        (places,) = np.nonzero(digits == length)
        rows = np.empty((len(places), length + 1), dtype=np.uint8)
        rows[:, 0] = ord("+")
        left = numbers[places]
        for column in range(length, 0, -1):
            left, digit = np.divmod(left, np.uint64(10))
            rows[:, column] = digit + np.uint64(ord("0"))
        found[places] = (_murmur2_rows(rows) & np.uint32(_SIGNLESS)).astype(np.int64) % partitions
    return found


def _check(partitions: int) -> None:
    if partitions < 1:
        raise ValueError(f"partitions is {partitions}: a topic has at least one partition")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _murmur2(data: bytes) -> int:
    whole = len(data) & ~3
    mixed = (_SEED ^ len(data)) & _WORD
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _WORD
        word = (word ^ (word >> 24)) * _MULTIPLIER & _WORD
        mixed = (mixed * _MULTIPLIER & _WORD) ^ word
    if whole < len(data):
        mixed = (mixed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    mixed = (mixed ^ (mixed >> 13)) * _MULTIPLIER & _WORD
    return mixed ^ (mixed >> 15)


def _murmur2_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """murmur2 of each row of a matrix of bytes (count, length). Arrays of uint32 wrap silently."""
    count, length = rows.shape
    whole = length & ~3
    multiplier = np.uint32(_MULTIPLIER)
    mixed = np.full(count, (_SEED ^ length) & _WORD, dtype=np.uint32)
    words = np.ascontiguousarray(rows[:, :whole]).view("<u4")
    for column in range(whole // 4):
        word = words[:, column] * multiplier
        word ^= word >> np.uint32(24)
        word *= multiplier
        mixed *= multiplier
        mixed ^= word
    if whole < length:
        for place in range(whole, length):
            mixed ^= rows[:, place].astype(np.uint32) << np.uint32(8 * (place - whole))
        mixed *= multiplier
    mixed ^= mixed >> np.uint32(13)
    mixed *= multiplier
    mixed ^= mixed >> np.uint32(15)
    return mixed
