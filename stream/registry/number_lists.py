"""Lists of numbers as campaigns have them: plain lines, or a CSV with the numbers in one of its columns.

Promises each line once, in order, as it stands in the file (its encoding is its owner's business; Excel's
GB 18030 passes as well as UTF-8), with the text in which its number stands; in chunks, so that a list of
any length takes the same memory. A row that spans several lines is not understood: its lines come out as
they are, without numbers.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

BLOCK_BYTES: Final = 4 << 20
"""Read at once; also the longest line: no list has one."""

COLUMN_NAMES: Final = (
    "number",
    "phone",
    "mobile",
    "msisdn",
    "subscriber",
    "tel",
    "telephone",
    "手机",
    "手机号",
    "手机号码",
    "电话",
    "电话号码",
    "号码",
)
"""Names under which numbers stand, when nobody says which column it is."""

_SEPARATORS: Final = (b",", b";", b"\t")
_BOM: Final = b"\xef\xbb\xbf"
_DIGITS_MIN: Final = 3
"""A first row whose number has fewer digits than any number is a header."""


class ListError(Exception):
    """A list that cannot be read as such: where, why, and the mend."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of a list, without their ends and without blank ones."""

    raw: Sequence[bytes]
    numbers: Sequence[bytes]
    """for each line the text of its number; empty where the line has too few columns"""
    bytes_count: int
    """the list's bytes read so far"""


class NumberList:
    """An open list. `header` and `separator` are as the file has them; a plain list has neither."""

    def __init__(self, file: BinaryIO, *, column: str | None) -> None:
        self._file = file
        self._first = file.readline(BLOCK_BYTES)
        self._read_count = len(self._first)
        first = self._first.removeprefix(_BOM).rstrip(b"\r\n")
        counted = [(first.count(separator), separator) for separator in _SEPARATORS]
        most, separator = max(counted, key=lambda pair: pair[0])
        self.separator = separator if most else b"" if column is None else b","
        self.header: bytes | None = None
        self._column = 0
        if self.separator:
            self._find(first, column)
        elif _digits_count(first) < _DIGITS_MIN and _is_name(first):
            self.header = first

    def _find(self, first: bytes, column: str | None) -> None:
        cells = self._cells(first)
        names = [_text(cell).strip().lower() for cell in cells]
        if column is not None and not column.isdigit():
            if column.strip().lower() not in names:
                raise ListError(f"no column {column!r} in the header: it has {', '.join(names)}; name one of them")
            self._column = names.index(column.strip().lower())
        elif column is not None:
            self._column = int(column) - 1
            if not 0 <= self._column < len(cells):
                raise ListError(f"no column {column}: the first line has {len(cells)}; count from 1")
        else:
            known = [place for place, name in enumerate(names) if name in COLUMN_NAMES]
            likely = [place for place, cell in enumerate(cells) if _digits_count(cell) >= 11]
            self._column = (known or likely or [0])[0]
        if _digits_count(cells[self._column]) < _DIGITS_MIN:
            self.header = first

    def chunks(self) -> Iterator[Lines]:
        """The lines of the list, some at a time. Raises `ListError` for a line that no list has."""
        rest = b"" if self.header is not None else self._first.removeprefix(_BOM)
        while data := self._file.read(BLOCK_BYTES):
            self._read_count += len(data)
            block, end, after = (rest + data).rpartition(b"\n")
            if not end and len(after) > BLOCK_BYTES:
                raise ListError(f"a line of more than {BLOCK_BYTES} bytes: give a list with a number on each line")
            rest = after
            if end:
                yield self._lines(block)
        if rest:
            yield self._lines(rest)

    def _lines(self, block: bytes) -> Lines:
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
        raw = [line for line in block.split(b"\n") if line and not line.isspace()]
        separator, column = self.separator, self._column
        if not separator:
            return Lines(raw, raw, self._read_count)
        numbers: list[bytes]
        if b'"' in block:
            numbers = [_cell(self._cells(line), column) for line in raw]
        else:
            numbers = [_cell(line.split(separator, column + 1), column) for line in raw]
        return Lines(raw, numbers, self._read_count)

    def _cells(self, line: bytes) -> list[bytes]:
        if b'"' not in line:
            return line.split(self.separator)
        # Latin-1 maps every byte to a character and back, so that no encoding is lost on the way.
        row = next(csv.reader([line.decode("latin-1")], delimiter=self.separator.decode()))
        return [cell.encode("latin-1").replace(b"\n", b" ") for cell in row]


def _cell(cells: Sequence[bytes], column: int) -> bytes:
    return cells[column] if column < len(cells) else b""


def _text(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("gb18030", "replace")


def _digits_count(cell: bytes) -> int:
    return sum(byte in b"0123456789" for byte in cell)


def _is_name(line: bytes) -> bool:
    return _text(line).strip().lower() in COLUMN_NAMES
