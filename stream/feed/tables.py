"""Tables as people have them: their layout, and the cells of each row. For imports and for lists alike.

A table is a CSV (comma, semicolon or tab; a line `sep=;` before it, as Excel writes it, names another), a sheet of an
`.xlsx`, or plain lines with a number each. Which column is which, `table_columns` finds. A row is a line, or several
where a cell between quotation marks has line ends in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from stream.feed.csv_rows import SEPARATOR_LINE, first_rows, row_lines, span, split
from stream.feed.table_columns import NUMBER, ColumnFinder
from stream.feed.text_files import BulkFileError, TextFile
from stream.feed.workbooks import NOT_COMPUTED, UNREADABLE
from stream.model.limits import FILE_CELL, FILE_COLUMNS, FILE_LINE


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
    finder = ColumnFinder(file.name, asked, column, mapped or {})
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
    """The message where most lines have no number."""
    if not layout.has_header and len(layout.columns) == 1:
        return f"{name}: {without:,} of {of:,} lines have no number: give a list of numbers, one a line"
    listed = ", ".join(f"{place} {column.strip()[:40]!r}" for place, column in enumerate(layout.columns, start=1))
    return (
        f"{name}: {without:,} of {of:,} lines have no number in column {layout.places[NUMBER] + 1}; the columns are "
        f"{listed}: name the one with the numbers by --column, its name or its place"
    )


_NEARLY_ALL: Final = 0.9
_FEW_LINES: Final = 10
"""Of fewer lines the bad ones are named one by one."""
