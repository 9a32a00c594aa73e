"""Tables as people have them: which column is which, and the cells of each row. For imports and for lists alike.

A table is a CSV (comma, semicolon or tab; a line `sep=;` before it, as Excel writes it, names another), a sheet of an
`.xlsx`, or plain lines with a number each. Nothing is guessed: a column is known by a name in its header that stands
in the list below, in Chinese or English, or because the operator says so, by name or by place. Where neither is so,
the error lists the columns. A row is a line, or several where a cell between quotation marks has line ends in it.
"""

import csv
import difflib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from stream.feed.csv_rows import SEPARATOR_LINE, SEPARATORS, first_rows, row_lines, span
from stream.feed.text_files import BulkFileError, TextFile
from stream.feed.workbooks import NOT_COMPUTED, UNREADABLE
from stream.model.limits import FILE_CELL, FILE_COLUMNS, FILE_LINE

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "subscriber": (
        "subscriber", "number", "phone", "phone number", "mobile", "mobile number", "mobile phone", "msisdn", "tel",
        "telephone", "telephone number", "cell", "cell phone", "手机", "手机号", "手机号码", "手机号码1", "电话",
        "电话号码", "联系电话", "联系方式", "联系号码", "号码", "移动电话", "用户号码", "用户手机", "用户手机号",
        "客户电话", "客户号码", "客户手机", "客户手机号",
    ),
    "channel": ("channel", "渠道", "通道"),
    "will": ("will", "意愿"),
    "time": (
        "time", "date", "datetime", "date time", "timestamp", "时间", "日期", "时间戳", "登记时间", "登记日期",
        "退订时间", "拒收时间", "同意时间", "授权时间",
    ),
    "source": ("source", "来源", "数据来源"),
    "sender": ("sender", "发送方", "发送者", "发送单位"),
    "category": ("category", "类别", "行业", "业务类别"),
    "evidence": ("evidence", "证据", "凭证"),
    "actor": ("actor", "经办人", "操作员", "操作人", "登记人"),
}  # fmt: skip
"""A column of ours → the names under which files have it. Case, spaces, `_` and `-` do not count."""

NUMBER: Final = "subscriber"
IGNORED: Final = "-"
"""In `--map`: the column is not to be read."""

_MISSPELT: Final = 0.8
"""So alike to a column of ours, and none, a name is not passed over: it may have been meant."""
_DIGITS_FEW: Final = 3
"""What has fewer digits is no number of any kind, so it may be a column's name; so may what has letters, ..."""
_DIGITS_MANY: Final = 7
"""... unless it has as many digits as a telephone."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where what stands in a table."""

    separator: str
    """empty where each line is one cell"""
    head: tuple[bytes, ...]
    """what stands before the first row, in UTF-8: what a file with some of the rows needs as well"""
    has_header: bool
    """whether the last of these names the columns"""
    columns: tuple[str, ...]
    """as the header names them, else their places"""
    places: Mapping[str, int]
    """column of ours → place from 0"""
    ignored: frozenset[int] = frozenset()
    """places from 0 of those that the operator does not want read"""

    @property
    def passed_over(self) -> list[str]:
        """The columns that are not read, but for those that the operator does not want read."""
        read = {*self.places.values(), *self.ignored}
        return [name for place, name in enumerate(self.columns) if place not in read and name]


@dataclass(slots=True)
class TableRows:
    """Some rows of a table: of each the line and the cells that were asked for."""

    numbers: Sequence[int]
    """of the line in which each begins, from 1"""
    raw: Sequence[bytes]
    """the rows in UTF-8, with the line ends in their cells"""
    cells: Sequence[Sequence[bytes]]
    """one list a column asked for; a row that is bad has empty cells"""
    bad: dict[int, str] = field(default_factory=dict)
    """place in these lists → what is wrong with the row"""
    unclosed: Sequence[int] = ()
    """of these, the places of lines that stand in a cell that is never closed"""
    bytes_count: int = 0


def layout_of(
    file: TextFile,
    *,
    asked: Sequence[str],
    column: str | None = None,
    mapped: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Layout:
    """The layout of a file, from its first lines and what the operator says.

    `asked` are the columns of ours that are wanted, `column` names the one with the numbers (by name, or place from
    1), `mapped` others (theirs → ours, or `-`); `separator` is known where it is not None. Raises `BulkFileError` where
    a column would have to be guessed.
    """
    first = first_rows(file, separator)
    head: list[bytes] = []
    if first and SEPARATOR_LINE.fullmatch(first[0]):
        separator = chr(first[0][-1])
        head.append(first.pop(0))
    if not first:
        return Layout("", tuple(head), False, ("1",), {NUMBER: 0})
    line = _first_line(first[0], file)
    finder = _Finder(file.name, asked, column, mapped or {})
    if separator is None:
        separator = finder.separator(line)
    try:
        cells = split(line, separator)
    except ValueError as error:
        raise BulkFileError(f"{file.name}: the first line is {error}") from error
    if len(cells) > FILE_COLUMNS.most:
        raise BulkFileError(f"{file.name}: {len(cells)} columns, at most {FILE_COLUMNS.most} are read")
    places, has_header = finder.places(cells)
    if has_header:
        head.append(first[0])
    names = tuple(cells) if has_header else tuple(str(place + 1) for place in range(len(cells)))
    return Layout(
        separator, tuple(head), has_header, names, places, finder.ignored(cells) if has_header else frozenset()
    )


def rows(file: TextFile, layout: Layout, asked: Sequence[str], *, strict: bool = True) -> Iterator[TableRows]:
    """The rows, with the cells of these columns of ours; of a column that the table does not have there are none.

    A row with more or fewer columns than the first line is bad; unless `strict`, only if it lacks one that is asked.
    """
    places = [layout.places[name] for name in asked if name in layout.places]
    to_skip = len(layout.head)
    for lines in row_lines(file, layout.separator):
        skipped = min(to_skip, len(lines.raw))
        to_skip -= skipped
        unclosed = {place - skipped: problem for place, problem in lines.unclosed.items()}
        read = _cells(lines.raw[skipped:], layout, places, unclosed, strict=strict)
        _find_without_value(read, layout, places)
        read.numbers, read.bytes_count, read.unclosed = lines.numbers[skipped:], lines.bytes_count, list(unclosed)
        for place, problem in read.bad.items():
            if place not in unclosed:
                read.bad[place] = problem + span(read.numbers[place], read.raw[place])
        yield read


def _cells(
    raw: Sequence[bytes], layout: Layout, places: Sequence[int], unclosed: Mapping[int, str], *, strict: bool
) -> TableRows:
    bad = dict(unclosed)
    separator = layout.separator.encode()
    joined = b"".join(raw)
    quoted = b'"' in joined
    fine = _is_utf8(joined) and max(map(len, raw), default=0) <= FILE_CELL.most
    if fine and not separator and not quoted:
        return TableRows((), raw, [raw for _ in places], bad)
    width = len(layout.columns)
    split_rows: list[Sequence[bytes]] = []
    nothing = (b"",) * width
    for place, line in enumerate(raw):
        cells: Sequence[bytes] | None = None
        if place in unclosed:
            cells = nothing
        elif fine and (not quoted or b'"' not in line):
            cells = line.split(separator) if separator else (line,)
        else:
            try:
                cells = _slow_cells(line, layout.separator)
            except ValueError as error:
                bad[place] = str(error)
        if cells is None:
            cells = nothing
        elif len(cells) != width:
            if strict or len(cells) <= max(places):
                bad[place] = f"{len(cells)} columns where the first line has {width}"
            if len(cells) < width:
                cells = (*cells, *nothing)
        split_rows.append(cells)
    return TableRows((), raw, [list(map(itemgetter(place), split_rows)) for place in places], bad)


def _find_without_value(rows: TableRows, layout: Layout, places: Sequence[int]) -> None:
    """Rows are bad of which a cell that is read says that it has no value: an error of a spreadsheet is no name."""
    joined = b"\n".join(rows.raw)
    if b"#" not in joined and b"Err:" not in joined:
        return
    for place, column in zip(places, rows.cells, strict=True):
        for row, cell in enumerate(column):
            if cell[:1] not in _WITHOUT_VALUE or row in rows.bad:
                continue
            text = cell.decode("utf-8", "replace").strip()
            if UNREADABLE.fullmatch(text):
                why = (
                    "a formula without its value: let the program that the sheet is from compute it, and save it there"
                    if text == NOT_COMPUTED
                    else f"{text}, an error of the spreadsheet, and no value"
                )
                rows.bad[row] = f"column {place + 1} ({layout.columns[place].strip()[:40]!r}) has {why}"


_WITHOUT_VALUE: Final = (b"#", b"E")
"""How such cells begin."""


def _slow_cells(line: bytes, separator: str) -> list[bytes]:
    """Raises `ValueError` with what is wrong with the line."""
    if len(line) > FILE_LINE.most:
        raise ValueError(f"more than {FILE_LINE.most:,} {FILE_LINE.unit}: no line is so long")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise ValueError("not in the encoding of the file; --encoding names another") from error
    cells = split(text, separator)
    if any(len(cell) > FILE_CELL.most for cell in cells):
        raise ValueError(f"a cell of more than {FILE_CELL.most:,} {FILE_CELL.unit}")
    return [cell.encode() for cell in cells]


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


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_line(line: bytes, file: TextFile) -> str:
    """Raises `BulkFileError`."""
    if len(line) > FILE_LINE.most:
        raise BulkFileError(f"{file.name}: the first line has more than {FILE_LINE.most:,} {FILE_LINE.unit}")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BulkFileError(
            f"{file.name}: the first line is not {file.encoding}; name the file's encoding by --encoding"
        ) from error


def hardly_any(without: int, of: int) -> bool:
    """Whether so few lines have a number that the table can hardly be one of numbers, or the column is another."""
    return of >= _FEW_LINES and without >= _NEARLY_ALL * of


def other_column(name: str, layout: Layout, without: int, of: int) -> str:
    """What is told where most lines have no number."""
    if not layout.has_header and len(layout.columns) == 1:
        return f"{name}: {without:,} of {of:,} lines have no number: give a list of numbers, one a line"
    listed = ", ".join(f"{place} {column.strip()[:40]!r}" for place, column in enumerate(layout.columns, start=1))
    return (
        f"{name}: {without:,} of {of:,} lines have no number in column {layout.places[NUMBER] + 1}; the columns are "
        f"{listed}: name the one with the numbers by --column, its name or its place"
    )


_NEARLY_ALL: Final = 0.9
_FEW_LINES: Final = 10
"""Of fewer lines the bad ones are told one by one."""


_BY_COLUMN: Final = "name the one with the numbers by --column, its name or its place"


@dataclass(frozen=True, slots=True)
class _Finder:
    """What the operator says of the columns, and how they are found by it."""

    file: str
    asked: Sequence[str]
    column: str | None
    mapped: Mapping[str, str]

    def separator(self, line: str) -> str:
        there = [separator for separator in SEPARATORS if separator in line and len(_split(line, separator)) > 1]
        if len(there) > 1:
            # `id,name;mobile`: the one between whose marks a column that is known stands, if only one does so.
            there = [separator for separator in there if self._named(_split(line, separator))]
            if len(there) != 1:
                raise BulkFileError(
                    f"{self.file}: the first line has several separators, {line[:200]!r}: put a line `sep=;` (or the "
                    "one that is meant) before it"
                )
        if not there and "|" in line:
            raise BulkFileError(
                f"{self.file}: the first line has `|` and no separator that is read without being named: if it is one, "
                "put a line `sep=|` before it"
            )
        return there[0] if there else ""

    def ignored(self, cells: Sequence[str]) -> frozenset[int]:
        """The places that the operator does not want read."""
        unwanted = {_plain(theirs) for theirs, ours in self.mapped.items() if ours == IGNORED}
        return frozenset(place for place, cell in enumerate(cells) if _plain(cell) in unwanted)

    def places(self, cells: Sequence[str]) -> tuple[dict[str, int], bool]:
        """Where the columns of ours are, and whether the first line is a header."""
        place = self._place(cells)
        if place is not None:
            if not 0 <= place < len(cells):
                raise self._error(f"no column {self.column}: count from 1", cells)
            if _like_a_number(cells[place]):
                return {NUMBER: place}, False
        found = self._named(cells)
        if place is not None:
            found = {ours: other for ours, other in found.items() if other != place} | {NUMBER: place}
        elif self.column is not None and NUMBER not in found:
            raise self._error(f"no column {self.column!r}", cells)
        absent = [theirs for theirs in self.mapped if _plain(theirs) not in set(map(_plain, cells))]
        if absent:
            raise self._error(f"no column {absent[0]!r}, which --map names", cells, mend="name one of them by --map")
        if NUMBER in found:
            return found, True
        if len(cells) == 1 and _like_a_number(cells[0]):
            return {NUMBER: 0}, False
        raise self._error("no column is named as one with numbers usually is", cells)

    def _place(self, cells: Sequence[str]) -> int | None:
        """The place of the numbers from 0, where the operator counted; None where he named their column, or nothing."""
        if self.column is None or not self.column.isdecimal() or _plain(self.column) in map(_plain, cells):
            return None
        return int(self.column) - 1

    def _named(self, cells: Sequence[str]) -> dict[str, int]:
        """Column of ours → place, by the names in the first line."""
        found: dict[str, int] = {}
        wanted = {_plain(theirs): ours for theirs, ours in self.mapped.items()}
        if self.column is not None:
            wanted[_plain(self.column)] = NUMBER
        stated = {NUMBER, *wanted.values()} if self.column is not None else set(wanted.values())
        for place, cell in enumerate(cells):
            ours = wanted.get(_plain(cell))
            if ours is None and (known := _KNOWN.get(_plain(cell))) not in stated:
                ours = known
            if ours is None or ours == IGNORED or ours not in self.asked:
                self._see_to_spelling(cell, ours, cells)
                continue
            if ours in found:
                raise self._error(
                    f"the columns {cells[found[ours]]!r} and {cell!r} both name the {ours}",
                    cells,
                    mend=f"say --map {cell}={IGNORED} to leave one out",
                )
            found[ours] = place
        return found

    def _see_to_spelling(self, cell: str, ours: str | None, cells: Sequence[str]) -> None:
        if ours is not None or _plain(cell) in _KNOWN or len(self.asked) == 1:
            return
        alike = difflib.get_close_matches(_plain(cell), self.asked, n=1, cutoff=_MISSPELT)
        if alike:
            raise self._error(
                f"the column {cell!r} is none, and nearly {alike[0]!r}",
                cells,
                mend=f"say --map {cell}={alike[0]}, or --map {cell}={IGNORED} to leave it out",
            )

    def _error(self, what: str, cells: Sequence[str], *, mend: str = _BY_COLUMN) -> BulkFileError:
        listed = ", ".join(f"{place} {cell.strip()[:40]!r}" for place, cell in enumerate(cells, start=1))
        return BulkFileError(f"{self.file}: {what}; the first line has the columns {listed}: {mend}")


def _split(line: str, separator: str) -> list[str]:
    try:
        return split(line, separator)
    except ValueError:
        return [line]


def _plain(name: str) -> str:
    """A column's name as names are compared."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in folded if c.isalnum())


def _like_a_number(cell: str) -> bool:
    plain = unicodedata.normalize("NFKC", cell)
    digits = sum(c in "0123456789" for c in plain)
    return digits >= _DIGITS_FEW and (digits >= _DIGITS_MANY or not any(c.isalpha() for c in plain))


_KNOWN: Final = {_plain(theirs): ours for ours, names in NAMES.items() for theirs in names}
