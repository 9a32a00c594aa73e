"""Rows of a CSV out of its lines (RFC 4180): a cell between quotation marks may have line ends in it.

Promises that what stands in an open cell is never taken for a row of its own: a number in a note is not the number of
the row. Where nothing closes the cell, every line from its mark on is bad, to the end of the file. Lines come out in
order and whole, in constant memory: of a row that exceeds the limit of a line the lines come out in portions, all bad.

A mark opens a cell at the beginning of the cell alone: elsewhere it is a character as any (`5" screen`).
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from stream.feed.text_files import BulkFileError, Lines, TextFile, without_blanks
from stream.model.limits import FILE_LINE

MARK: Final = b'"'
SEPARATORS: Final = (",", ";", "\t")
SEPARATOR_LINE: Final = re.compile(rb"(?i)sep=[!-~\t]")
"""As Excel writes it before a table."""


@dataclass(slots=True)
class RowLines:
    """Some rows in UTF-8, each with its line ends but the last, and without blank ones."""

    numbers: Sequence[int]
    """of the line in which each begins, from 1"""
    raw: Sequence[bytes]
    unclosed: dict[int, str] = field(default_factory=dict)
    """place in these lists → why what stands there is no row: a cell is never closed"""
    bytes_count: int = 0
    """the file's bytes read so far"""


def row_lines(file: TextFile, separator: str) -> Iterator[RowLines]:
    """The rows, some at a time; `separator` is empty where each row is one cell. Costs little where no mark is."""
    joiner = _Joiner(separator)
    bytes_count = 0
    for lines in file.blocks(blanks=True):
        bytes_count = lines.bytes_count
        if joiner.is_open or lines.has_mark:
            yield joiner.joined(lines)
        else:
            kept = without_blanks(lines)
            yield RowLines(kept.numbers, kept.raw, {}, bytes_count)
    if joiner.is_open:
        yield joiner.ended(bytes_count)


def first_rows(file: TextFile, separator: str | None) -> list[bytes]:
    """The line that names the separator, where there is one, and the first row, where there is one.

    Raises `BulkFileError` where a cell of it is never closed.
    """
    lines: list[bytes] = []
    bytes_count = 0
    for some in file.blocks(blanks=True):
        lines += some.raw
        bytes_count += sum(map(len, some.raw))
        if bytes_count > FILE_LINE.most:
            break
    kept = _from_text_on(lines)
    if kept and SEPARATOR_LINE.fullmatch(kept[0]):
        return [kept[0], *_first_row(_from_text_on(kept[1:]), chr(kept[0][-1]), file.name)]
    return _first_row(kept, separator, file.name)


def _first_row(lines: Sequence[bytes], separator: str | None, name: str) -> list[bytes]:
    # While the separator is not known, a cell is open if it is by any of those that there are.
    for one in (*SEPARATORS, "") if separator is None else (separator,):
        if lines and one.encode() in lines[0] and not is_closed(lines[0], one):
            rows = _Joiner(one).joined(Lines(range(1, len(lines) + 1), lines, 0))
            if not rows.raw or 0 in rows.unclosed:
                raise BulkFileError(
                    f"{name}: a quotation mark in the first line opens a cell that nothing closes: close the cell or "
                    "take the mark away"
                )
            return [rows.raw[0]]
    return list(lines[:1])


def _from_text_on(lines: list[bytes]) -> list[bytes]:
    """Without the blank ones at the beginning."""
    return lines[next((place for place, line in enumerate(lines) if line and not line.isspace()), len(lines)) :]


def is_closed(row: bytes, separator: str) -> bool:
    """Whether no cell is open at the end of what is a row, or its beginning."""
    return _patterns(separator)[0].fullmatch(row) is not None


def span(first: int, row: bytes) -> str:
    """Of a row of several lines, which they are and why they are one; empty where it is one line."""
    more = row.count(b"\n")
    if not more:
        return ""
    return (
        f" (lines {first:,} to {first + more:,} are one row: a quotation mark in line {first:,} opens a cell, which is "
        "closed in the last of them)"
    )


class _Joiner:
    """Joins lines to rows. What is open at the end of a block waits for the next."""

    def __init__(self, separator: str) -> None:
        self._whole, self._rest = _patterns(separator)
        self._opened_in = 0
        """the line whose mark is open, from 1"""
        self._first = 0
        """the first of the lines that wait"""
        self._waiting: list[bytes] = []
        self._bytes_count = 0
        self._exceeded = False

    @property
    def is_open(self) -> bool:
        return self._opened_in > 0

    def joined(self, lines: Lines) -> RowLines:
        """The rows that end in these lines, which stand without a gap."""
        numbers: list[int] = []
        raw: list[bytes] = []
        found = RowLines(numbers, raw, {}, lines.bytes_count)
        for number, line in zip(lines.numbers, lines.raw, strict=True):
            if self._opened_in:
                if self._bytes_count + len(line) >= FILE_LINE.most:
                    self._exceeded = True
                    self._put(found, numbers, raw)
                    self._first = number
                self._wait(line)
                if MARK in line and self._rest.fullmatch(line):
                    self._put(found, numbers, raw)
                    self._opened_in, self._exceeded = 0, False
            elif MARK not in line or self._whole.fullmatch(line):
                if line and not line.isspace():
                    numbers.append(number)
                    raw.append(line)
            else:
                self._opened_in = self._first = number
                self._wait(line)
        return found

    def ended(self, bytes_count: int) -> RowLines:
        """What waits at the end of the file: no row."""
        numbers: list[int] = []
        raw: list[bytes] = []
        found = RowLines(numbers, raw, {}, bytes_count)
        last = self._first + len(self._waiting) - 1
        reason = (
            f"a quotation mark in line {self._opened_in:,} opens a cell that nothing closes, so that all lines to the "
            f"last, {last:,}, stand in it: close the cell or take the mark away"
        )
        self._put(found, numbers, raw, reason)
        return found

    def _wait(self, line: bytes) -> None:
        self._waiting.append(line)
        self._bytes_count += len(line) + 1

    def _put(self, found: RowLines, numbers: list[int], raw: list[bytes], reason: str | None = None) -> None:
        """What waits, as a row or a part of one."""
        if reason is None and self._exceeded:
            reason = (
                f"a quotation mark in line {self._opened_in:,} opens a cell that is not closed within "
                f"{FILE_LINE.most:,} {FILE_LINE.unit}; all lines that stand in it are bad: close the cell or take the "
                "mark away"
            )
        if not self._waiting:
            return
        if reason is not None:
            found.unclosed[len(raw)] = reason
        numbers.append(self._first)
        raw.append(b"\n".join(self._waiting))
        self._waiting.clear()
        self._bytes_count = 0


@lru_cache
def _patterns(separator: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What matches a line that begins a row, and one that begins within an open cell, where no cell is open at its end.

    What follows a closed cell belongs to it: such a row is bad, and is found so when it is split. Possessive, so
    that a line is gone through once.
    """
    end = re.escape(separator.encode())
    if not separator:
        return re.compile(rb'(?s)(?:"(?:[^"]++|"")*+".*+|[^"].*+)?'), re.compile(rb'(?s)(?:[^"]++|"")*+".*+')
    rest = rb'(?:[^"]++|"")*+"[^%b]*+' % end
    cell = rb'(?:"%b|[^"%b][^%b]*+|)' % (rest, end, end)
    whole = rb"%b(?:%b%b)*+" % (cell, end, cell)
    return re.compile(whole), re.compile(rb"%b(?:%b%b)*+" % (rest, end, cell))


def split(line: str, separator: str) -> list[str]:
    """The cells of a line. Raises `ValueError` where its quotation marks make no sense."""
    if '"' not in line:
        return line.split(separator) if separator else [line]
    if not separator and not line.startswith('"'):
        return [line]
    try:
        # A tab is in no number and, unlike a comma, in no number's punctuation.
        found = list(csv.reader([line], delimiter=separator or "\t", strict=True))
    except csv.Error as error:
        raise ValueError(f"no row of a CSV: {error}") from error
    return found[0] if found else [""]


def is_sound(row: bytes, separator: str) -> bool:
    """Whether the quotation marks of a row make sense, so that cells may be put behind it."""
    try:
        split(row.decode("utf-8", "replace"), separator)
    except ValueError:
        return False
    return True
