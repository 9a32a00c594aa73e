"""NDJSON as commands read it line by line, from a file or a pipe: what the lines are in, and which kinds stand there.

Where all lines fail for one cause (another encoding, line ends that are none, a file of the other sort), the cause is
named once. Never reads further than the first line before the first line is handed on.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, Final, Literal

import msgspec

from stream.model.limits import FILE_LINE

Sort = Literal["events", "registry records"]

_KINDS: Final[dict[str, Sort]] = {
    **dict.fromkeys(("sms", "call", "reply"), "events"),
    **dict.fromkeys(("expression", "sender", "order", "campaign", "wordlist", "tombstone"), "registry records"),
}
_WHERE: Final[dict[Sort, str]] = {
    "events": "they are given as EVENTS or EVENT",
    "registry records": "they are given by --registry",
}
_ENDED_BY_CR: Final = re.compile(rb"\}[ \t]*\r\s*\{")


class UnreadableLinesError(Exception):
    """Lines that cannot be NDJSON, all for one cause: which, and the mend."""


class _Kind(msgspec.Struct):
    kind: str


def lines_of(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines, without the mark (BOM) that some programs put before UTF-8. Raises `UnreadableLinesError`."""
    first = file.readline(FILE_LINE.most)
    if problem := text_problem(first):
        raise UnreadableLinesError(f"{name}: {problem}")
    if len(first) == FILE_LINE.most:
        first += file.readline()
    if first:
        yield first.removeprefix(codecs.BOM_UTF8)
    yield from file


def text_problem(start: bytes) -> str | None:
    """Why a text that begins so is no NDJSON, or None where it may be."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16, and JSON is in UTF-8: save it as UTF-8, or `iconv -f UTF-16 -t UTF-8`"
    if b"\0" in (start[:1], start[1:2]):
        return "has zero bytes, as UTF-16 without its mark has, and JSON is in UTF-8: save it as UTF-8"
    if _ENDED_BY_CR.search(start):
        return "its lines end in CR alone: NDJSON has a record a line, which ends in LF: `tr '\\r' '\\n'` mends it"
    return None


class OtherSort:
    """Takes the lines that are no records of one sort, and finds those that are of the other."""

    def __init__(self, wanted: Sort) -> None:
        self._wanted = wanted
        self._found: Counter[Sort] = Counter()

    def problem(self, line: bytes, problem: str) -> str | None:
        """The message for a line that is no record; None where an earlier line has had it."""
        sort = sort_of(line)
        if sort is None or sort == self._wanted:
            return problem
        self._found[sort] += 1
        if self._found[sort] > 1:
            return None
        return f"one of the {sort}, and {self._wanted} are read here: {_WHERE[sort]}"

    def summary(self) -> str | None:
        """How many there were, where there were more than the one that was named."""
        (sort, count), *_ = self._found.most_common(1) or [("events", 0)]
        return f"{count:,} lines are {sort}, all of them left out" if count > 1 else None


def sort_of(line: bytes) -> Sort | None:
    """Of which sort a line is by its `kind`; None where it says none that is known."""
    try:
        return _KINDS.get(msgspec.json.decode(line, type=_Kind).kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
