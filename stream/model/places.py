"""Where a record stands, as evidence names it: `topic:partition:offset`, and what it was, by its digest. Pure.

A hold copies what is named so to `held`; other evidence (documents, ids of events or cases) names no record.
"""

import re
from hashlib import sha256
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"([a-z][a-z.-]{0,63}):([0-9]{1,6}):([0-9]{1,18})(?:;sha256=([0-9a-f]{64}))?")


class RecordPlace(NamedTuple):
    """A record's place; `digest` is the SHA-256 of its value, where whoever names it has seen it."""

    topic: str
    partition: int
    offset: int
    digest: str | None = None

    def __str__(self) -> str:
        where = f"{self.topic}:{self.partition}:{self.offset}"
        return where if self.digest is None else f"{where};sha256={self.digest}"


def digest_of(value: bytes | None) -> str:
    """The SHA-256 of a record's value, as places bear it; of a null value that of nothing."""
    return sha256(value or b"").hexdigest()


def place_named(text: str) -> RecordPlace | None:
    """The place that a piece of evidence names, if it names one."""
    found = _NAME.fullmatch(text)
    return None if found is None else RecordPlace(found[1], int(found[2]), int(found[3]), found[4])
