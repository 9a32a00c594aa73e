"""How much of everything: one table of limits, each with what it binds and its reason (DESIGN section 4, *Limits*).

An event beyond them is undecodable, and a writer refuses a record beyond them. The fold takes every record up to
`RECORD` all the same, so that what was written before a limit was set stays in force: `excess` names it, for
writers and for `wurao topics check`. `docs/limits.md` is made from this table. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec


class Limit(NamedTuple):
    """The most of something, and why no more."""

    most: int
    unit: str
    of: str
    why: str


RECORD: Final = Limit(1 << 20, "bytes", "a record of any topic", "what a broker takes by default")
BATCH: Final = Limit(
    32 << 20, "bytes", "a record batch once decompressed", "a broker takes 2 MiB of it, and JSON shrinks to a tenth"
)
BATCH_RECORDS: Final = Limit(
    1 << 17, "records", "a record batch", "a full one of events has as many; each takes memory of its own"
)
EVENT_ID: Final = Limit(128, "characters", "an event's `id`, and a case's", "it serves as a key and in a log line")
TEXT: Final = Limit(40_000, "characters", "a `text`", "the 255 parts that an SMS can have, and some")
EVENT_FIELD: Final = Limit(256, "characters", "every other text of an event", "numbers, ids and names are far shorter")
NAME: Final = Limit(256, "characters", "a name, id or reference that is written", "it becomes a key, and its event's")
CONTACT: Final = Limit(320, "characters", "a contact or address", "the longest mail address (RFC 5321) is 320")
REASON: Final = Limit(
    4_000, "characters", "a reason, or one piece of evidence", "two pages: more belongs in a document"
)
ENTRIES: Final = Limit(1_000, "entries", "a list, unless another line names it", "nobody reads more")
TERM: Final = Limit(64, "characters", "a term of a word list", "a sentence; every text is searched for it")
TERMS: Final = Limit(10_000, "terms", "a word list", "longer ones are several lists, and all of them count")
NUMBERS: Final = Limit(1_000, "prefixes", "a sender's numbers", "whoever holds more holds a shorter prefix")
SCOPES: Final = Limit(
    1_000, "scopes", "what one subscriber says on one channel", "each is a key that is kept for ever, and looked at"
)
MARKS: Final = Limit(
    30, "characters", "a run of marks (category M) in any text; the rest is left out", "UAX #15, stream-safe text"
)
DEAD_LETTER: Final = Limit(
    64 << 10, "bytes", "what a dead letter keeps of bytes that do not fit", "enough to find the fault"
)
DEAD_LETTER_KEY: Final = Limit(256, "bytes", "what a dead letter keeps of such a record's key", "keys are ids")
DECISION_KEY: Final = Limit(256, "bytes", "an event's key that its decision bears", "a longer one is nobody's number")
NESTED: Final = Limit(
    10_000, "lists and objects", "a request to the API", "a form has some thousand; each is work for Python's collector"
)
FILE_LINE: Final = Limit(1 << 20, "bytes", "a line of a bulk file or list", "a record, and no more")
FILE_CELL: Final = Limit(32_767, "characters", "a cell of a table", "what a cell of a spreadsheet can hold")
FILE_COLUMNS: Final = Limit(
    256, "columns", "a table", "a list of numbers has a few, an export of everything some dozens"
)
WORKBOOK_BYTES: Final = Limit(512 << 20, "bytes", "an `.xlsx` once unpacked", "a full sheet has half of that")
WORKBOOK_CELLS: Final = Limit(
    20_000_000, "cells", "the sheet that is read, empty ones counted", "it is held in memory: a gigabyte"
)

TABLE: Final = (
    RECORD, BATCH, BATCH_RECORDS, EVENT_ID, TEXT, EVENT_FIELD, NAME, CONTACT, REASON, ENTRIES, TERM, TERMS, NUMBERS,
    SCOPES, MARKS, DEAD_LETTER, DEAD_LETTER_KEY, DECISION_KEY, NESTED, FILE_LINE, FILE_CELL, FILE_COLUMNS,
    WORKBOOK_BYTES, WORKBOOK_CELLS,
)  # fmt: skip

_OF_TEXTS: Final = {
    "text": TEXT,
    "contact": CONTACT,
    "appeal": CONTACT,
    "to": CONTACT,
    "about": REASON,
    "detail": REASON,
    "evidence": REASON,
    "grounds": REASON,
    "missing": REASON,
    "outcome": REASON,
    "reason": REASON,
    "terms": TERM,
}
"""Field → the limit of its text, or of each text of its list; any other is a name."""

_BOUNDLESS: Final = frozenset({type(None), int, bool, msgspec.UnsetType})
"""What has no length."""

_SHORT: Final = min(limit.most for limit in (NAME, *_OF_TEXTS.values()) if limit is not TERM)
"""No field has a lower limit but those that are lists."""

_OF_LISTS: Final = {
    ("wordlist", "terms"): TERMS,
    ("sender", "numbers"): NUMBERS,
}
"""(kind, field) → the limit of its entries, where it has one of its own."""


class Excess(NamedTuple):
    """Something in a record that exceeds its limit. Holds nothing of the record but names of fields."""

    path: str
    """of the field, as the wire names it, such as `numbers[1].prefix`"""
    has: int
    limit: Limit

    @property
    def field(self) -> str:
        """The record's own field that it is in."""
        return self.path.partition("[")[0].partition(".")[0]

    def __str__(self) -> str:
        return f"`{self.path}` has {self.has:,} {self.limit.unit}, at most {self.limit.most:,}"


def shortened(reason: str) -> str:
    """A sentence within the limit of reasons. What it quotes may be as long as a record: the middle goes."""
    half = REASON.most // 2
    return reason if len(reason) <= REASON.most else f"{reason[: half - 1]}…{reason[-half:]}"


def excess(record: msgspec.Struct) -> list[Excess]:
    """What in a record that is written exceeds a limit; empty where nothing does.

    Half a microsecond where all is short, else some, and 0.1 µs a text of a list.
    """
    for value in msgspec.structs.astuple(record):
        kind = type(value)
        if not (kind in _BOUNDLESS or (kind is str and len(value) <= _SHORT)):
            return list(_excess(record, ""))
    return []


def excess_in(kind: type[msgspec.Struct], name: str, value: object) -> list[Excess]:
    """What in the value of one field, named as on the wire, exceeds a limit: before there is a whole record."""
    return list(_among(kind, ((name, value),), ""))


def _excess(record: msgspec.Struct, path: str) -> Iterator[Excess]:
    fields = zip(record.__struct_encode_fields__, msgspec.structs.astuple(record), strict=True)
    return _among(type(record), fields, path)


def _among(of: type[msgspec.Struct], fields: Iterable[tuple[str, object]], path: str) -> Iterator[Excess]:
    kind = str(of.__struct_config__.tag)
    for name, value in fields:
        place, limit = path + name, _OF_TEXTS.get(name, NAME)
        if isinstance(value, str):
            if len(value) > limit.most:
                yield Excess(place, len(value), limit)
        elif isinstance(value, msgspec.Struct):
            yield from _excess(value, f"{place}.")
        elif isinstance(value, tuple):
            entries = _OF_LISTS.get((kind, name), ENTRIES)
            if len(value) > entries.most:
                yield Excess(place, len(value), entries)
                continue  # nobody reads all that is wrong in it
            for index, entry in enumerate(value):
                if isinstance(entry, str):
                    if len(entry) > limit.most:
                        yield Excess(f"{place}[{index}]", len(entry), limit)
                elif isinstance(entry, msgspec.Struct):
                    yield from _excess(entry, f"{place}[{index}].")
