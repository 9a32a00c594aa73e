"""A record that cannot be used, as it goes to `dead-letter`: made to fit whatever stood in its topic. Pure.

A record may come that is larger than what any topic of ours takes: compressed it passed its broker. So a dead letter
bears the original key and value where these fit, else the first of each, with their sizes and digests, by which the
record is found where it stands (DESIGN section 4, *Limits*).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from stream.model.limits import DEAD_LETTER, DEAD_LETTER_KEY, RECORD
from stream.model.topics import TopicPartition

WHOLE_BYTES_MAX: Final = RECORD.most + (64 << 10)
"""Key and value of a letter that bears all of both: a record as large as one may be, and a key beside it."""

NO_OFFSET: Final = -1
"""The offset of an output, which stands nowhere: its place is where it would have gone."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be used: its bytes, where it stood, and why."""

    place: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    error: str


@dataclass(frozen=True, slots=True)
class LetterRecord:
    """What is written for a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def forms_of(letter: DeadLetter) -> Iterator[LetterRecord]:
    """A dead letter as records, the fullest first: whoever writes it goes on to the next where one is refused.

    The last holds nothing but headers: some hundred bytes, and the reason.
    """
    headers = [
        ("error", letter.error.encode()),
        ("topic", letter.place.topic.encode()),
        ("partition", str(letter.place.partition).encode()),
        ("offset", str(letter.offset).encode()),
    ]
    key, value = letter.key, letter.value
    if key is None and value is None:
        key = b""  # a producer asks for one of the two
    if len(key or b"") + len(value or b"") <= WHOLE_BYTES_MAX:
        yield LetterRecord(key, value, headers)
    headers = headers + _measures("key", key, DEAD_LETTER_KEY.most) + _measures("value", value, 0)
    yield LetterRecord(key and key[: DEAD_LETTER_KEY.most], value and value[: DEAD_LETTER.most], headers)
    yield LetterRecord(b"", None, headers)


def _measures(name: str, data: bytes | None, kept: int) -> list[tuple[str, bytes]]:
    """Size and digest of what may not be there whole."""
    if data is None or len(data) <= kept:
        return []
    return [(f"{name}-bytes", str(len(data)).encode()), (f"{name}-sha256", sha256(data).hexdigest().encode())]
