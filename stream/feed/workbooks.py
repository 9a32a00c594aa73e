"""The one sheet of an `.xlsx` workbook, as lines of a CSV.

The library that reads workbooks holds a sheet as a full rectangle in memory. So before it sees one, the archive is
unpacked once without being kept: its sizes and checksums are those of the bytes that are there, and the place of every
cell is known. What would exceed a limit is refused by name.

Nothing is guessed: of several sheets with something in them none is taken. A number is written without its `.0`, a date
as ISO 8601 without an offset, which the reader of times then asks for. A cell that has no value because it holds an
error, or a formula that nobody has computed, is empty to the library: it is written as its error (`UNREADABLE`), so
that whoever reads the column finds the row bad, and nobody stands in a file unseen.
"""

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from typing import BinaryIO, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from stream.model.limits import WORKBOOK_BYTES, WORKBOOK_CELLS

ROWS_AT_ONCE: Final = 20_000

NOT_COMPUTED: Final = "#FORMULA?"
"""How a formula without its value is written: whoever wrote the workbook computes nothing."""

UNREADABLE: Final = re.compile(
    r"#(?:N/A|NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|GETTING_DATA|SPILL!|CALC!|FIELD!|BLOCKED!|UNKNOWN!|CONNECT!|BUSY!"
    r"|FORMULA\?)|Err:[0-9]{3}"
)
"""A cell that says that there is no value, also in what spreadsheets write as CSV (ECMA-376, part 1, 18.17.3)."""

UNREADABLE_MAX: Final = 100_000
"""Cells without a value that are named one by one; a sheet with more is refused."""

_ZIP: Final = b"PK\x03\x04"
_BOOK: Final = "xl/workbook.xml"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"
_PIECE_BYTES: Final = 1 << 20
_ELEMENT: Final = re.compile(rb"""<(?:\w+:)?(row|c)\b([^>]*)>""")
_CELL_ELEMENT: Final = re.compile(rb"""<(/?)(?:\w+:)?(row|c|f|v)\b([^>]*)>""")
_PLACE: Final = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]*)["']""")
_TYPE: Final = re.compile(rb"""(?<![\w:])t\s*=\s*["'](\w*)["']""")
_WITHOUT_VALUE: Final = re.compile(rb"""<(?:\w+:)?f\b|(?<![\w:])t\s*=\s*["']e["']""")
"""What a piece of a sheet has where a cell in it may have no value."""
_SHEET: Final = re.compile(rb"""<(?:\w+:)?sheet\b[^>]*?\w+:id\s*=\s*["']([^"']*)["']""")
_RELATION: Final = re.compile(rb"""<(?:\w+:)?Relationship\b([^>]*)>""")
_ATTRIBUTE: Final = re.compile(rb"""\b(Id|Target)\s*=\s*["']([^"']*)["']""")
_LETTERS_MAX: Final = 3
"""Of a column: XFD is the last."""


class WorkbookError(Exception):
    """A workbook that cannot be read: which, why, and the mend."""


def is_zip(start: bytes) -> bool:
    """Whether a file that begins so is an archive, as every `.xlsx` is."""
    return start.startswith(_ZIP)


class Workbook:
    """A workbook of which one sheet is read."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self._name = name
        try:
            sheets = _look_through(file, name)
            file.seek(0)
            self._sheet, self._unreadable = _only_sheet(CalamineWorkbook.from_filelike(file), sheets, name)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, CalamineError) as error:
            raise WorkbookError(
                f"{name}: no workbook that can be read ({error}); save it again as .xlsx without a password, or as CSV"
            ) from error

    def lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """The rows as lines of a CSV in UTF-8, some at a time, with the number of the first; an empty row is empty."""
        first, lines = 1, list[bytes]()
        for row in self._rows():
            lines.append(_line(row))
            if len(lines) == ROWS_AT_ONCE:
                yield first, lines
                first, lines = first + len(lines), []
        yield first, lines

    def _rows(self) -> Iterator[list[str]]:
        """The rows from the first of the sheet on, with what stands for cells without a value at their places."""
        of_row: dict[int, list[tuple[int, str]]] = {}
        for (row, column), shown in self._unreadable.items():
            of_row.setdefault(row, []).append((column, shown))
        begin = self._sheet.start[1] + 1 if self._sheet.start else _COLUMNS_MAX
        # The library leaves out what is empty before the first column that has something, and behind the last row.
        to_left = max(0, begin - min((column for _, column in self._unreadable), default=begin))
        begin -= to_left
        rows_count = 0
        for found in self._sheet.iter_rows() if self._sheet.start else ():
            rows_count += 1
            cells = [""] * to_left + [_describe(cell) for cell in found]
            yield _with(cells, of_row.pop(rows_count, ()), begin)
        for number in range(rows_count + 1, max(of_row, default=0) + 1):
            yield _with([], of_row.get(number, ()), begin)


def _with(cells: list[str], unreadable: Sequence[tuple[int, str]], begin: int) -> list[str]:
    """A row, whose first cell is of column `begin`, with cells that the library finds empty."""
    for column, shown in unreadable:
        place = column - begin
        cells += [""] * (place + 1 - len(cells))
        cells[place] = shown
    return cells


@dataclass(slots=True)
class _Entry:
    """What an entry of the archive holds of a sheet; nothing where it is none."""

    cells_count: int = 0
    """of the rectangle from the first to the last cell that it names"""
    unreadable: dict[tuple[int, int], str] = field(default_factory=dict)
    """(row, column) of cells without a value, from 1 → what stands for them"""


def _look_through(file: BinaryIO, name: str) -> list[_Entry]:
    """The sheets in the order of the workbook.

    Raises `WorkbookError` where a limit is exceeded, `BadZipFile` where the bytes are not what the archive says.
    """
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if _BOOK not in archive.namelist():
            raise WorkbookError(f"{name}: an archive that is no .xlsx workbook; unpack it, or save it as .xlsx or CSV")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > WORKBOOK_BYTES.most:
            raise WorkbookError(
                f"{name}: {unpacked:,} bytes once unpacked, at most {WORKBOOK_BYTES.most:,} are read; save it as CSV"
            )
        found = dict[str, _Entry]()
        for entry in entries:
            with archive.open(entry) as unpacked_file:
                looked = _looked_at(iter(lambda: unpacked_file.read(_PIECE_BYTES), b""))
            if looked.cells_count > WORKBOOK_CELLS.most:
                raise WorkbookError(
                    f"{name}: a sheet whose last cell makes it {looked.cells_count:,} cells large, at most "
                    f"{WORKBOOK_CELLS.most:,} are read; delete what stands far out, or save it as CSV"
                )
            if len(looked.unreadable) > UNREADABLE_MAX:
                raise WorkbookError(
                    f"{name}: more than {UNREADABLE_MAX:,} cells without a value, the first of them "
                    f"{_cell_name(*next(iter(looked.unreadable)))}: {_MEND}"
                )
            found[entry.filename] = looked
        return _in_order(archive, found, name)


def _in_order(archive: zipfile.ZipFile, found: dict[str, _Entry], name: str) -> list[_Entry]:
    """The entries of the sheets, in the order of the workbook."""
    targets = dict[bytes, str]()
    if _RELATIONS in archive.namelist():
        for relation in _RELATION.finditer(archive.read(_RELATIONS)):
            stated = {attribute[1]: attribute[2] for attribute in _ATTRIBUTE.finditer(relation[1])}
            target = stated.get(b"Target", b"").decode("utf-8", "replace")
            targets[stated.get(b"Id", b"")] = target[1:] if target.startswith("/") else f"xl/{target}"
    sheets = [found.get(targets.get(sheet[1], "")) for sheet in _SHEET.finditer(archive.read(_BOOK))]
    if None in sheets and (cell := next((cell for one in found.values() for cell in one.unreadable), None)):
        raise WorkbookError(f"{name}: the cell {_cell_name(*cell)} of a sheet has no value: {_MEND}")
    return [sheet or _Entry() for sheet in sheets]


_MEND: Final = (
    "correct the errors, and let the program that the sheet is from compute its formulas; then save it again, or as CSV"
)
_COLUMNS_MAX: Final = 1 << 14
"""Of a sheet: XFD is the last."""


@dataclass(slots=True)
class _Looker:
    """Goes through the bytes of a sheet, and knows where it stands."""

    entry: _Entry = field(default_factory=_Entry)
    row: int = 0
    column: int = 0
    rows: int = 0
    columns: int = 0
    kind: bytes = b""
    """the type of the cell"""
    is_open: bool = False
    """whether a cell with an error or a formula has not ended yet"""
    value: bytes | None = None
    """of the cell, as far as it has been seen; None where it has none"""
    in_value: bool = False

    def quickly(self, piece: bytes) -> None:
        """Look at a piece in which every cell has what it shows."""
        attributes = None
        for found in _ELEMENT.finditer(piece):
            attributes = found[2]
            self._place(found[1], attributes)
        if attributes is not None:
            self._begin(attributes)  # the last cell may be open

    def slowly(self, piece: bytes) -> None:
        """Look at a piece in which cells may have no value."""
        value_at = 0
        for found in _CELL_ELEMENT.finditer(piece):
            end, name, attributes = found[1], found[2], found[3]
            if self.in_value:
                self.value = (self.value or b"") + piece[value_at : found.start()]
                self.in_value = False
            if name in (b"row", b"c") and not end:
                self._place(name, attributes)
                self._begin(attributes)
            elif name == b"f":
                self.is_open = True
            elif name == b"v" and not end:
                self.value, self.in_value = b"", not attributes.endswith(b"/")
                value_at = found.end()
            if name == b"c" and (end or attributes.endswith(b"/")):
                self._end()
        if self.in_value:
            self.value = (self.value or b"") + piece[value_at:]

    def _place(self, name: bytes, attributes: bytes) -> None:
        place = _PLACE.search(attributes)
        if name == b"row":
            self.row, self.column = (int(place[2][:9] or 0) if place else self.row + 1), 0
        else:
            self.column = _column(place[1]) if place else self.column + 1
            self.row = int(place[2][:9] or 0) if place else self.row
        self.rows, self.columns = max(self.rows, self.row), max(self.columns, self.column)

    def _begin(self, attributes: bytes) -> None:
        kind = _TYPE.search(attributes)
        self.kind = kind[1] if kind else b""
        self.is_open = self.kind == b"e"
        self.value, self.in_value = None, False

    def _end(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        shown = self.value.decode("utf-8", "replace").strip() if self.value else ""
        if self.kind == b"e":
            shown = shown if UNREADABLE.fullmatch(shown) else "#VALUE!"
        elif shown or (self.kind == b"str" and self.value is not None):  # computed, and be it to an empty text
            return
        else:
            shown = NOT_COMPUTED
        if len(self.entry.unreadable) <= UNREADABLE_MAX:
            self.entry.unreadable[self.row, self.column] = shown


def _looked_at(pieces: Iterator[bytes]) -> _Entry:
    looker = _Looker()
    rest = b""
    for piece in pieces:
        whole, end, rest = (rest + piece).rpartition(b">")
        whole += end
        if looker.is_open or looker.in_value or _WITHOUT_VALUE.search(whole):
            looker.slowly(whole)
        else:
            looker.quickly(whole)
    looker.entry.cells_count = looker.rows * looker.columns
    return looker.entry


def _cell_name(row: int, column: int) -> str:
    letters = ""
    while column > 0:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row}"


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper()[: _LETTERS_MAX + 1]:
        number = number * 26 + letter - ord("A") + 1
    return number


def _only_sheet(
    book: CalamineWorkbook, sheets: Sequence[_Entry], name: str
) -> tuple[CalamineSheet, dict[tuple[int, int], str]]:
    """The one sheet with something in it, and its cells without a value."""
    found: CalamineSheet | None = None
    unreadable = dict[tuple[int, int], str]()
    for place, about in enumerate(book.sheets_metadata):
        if about.typ is not SheetTypeEnum.WorkSheet or about.visible is not SheetVisibleEnum.Visible:
            continue
        sheet = book.get_sheet_by_index(place)
        without_value = sheets[place].unreadable if place < len(sheets) else {}
        if sheet.start is None and not without_value:
            continue
        if found is not None:
            raise WorkbookError(
                f"{name}: both of the sheets {found.name!r} and {sheet.name!r} have something in them; save the one "
                "that is meant as a file of its own"
            )
        found, unreadable = sheet, without_value
    if found is None:
        raise WorkbookError(f"{name}: no sheet that is shown has anything in it")
    return found, unreadable


def _describe(cell: object) -> str:
    match cell:
        case str():
            return " ".join(cell.splitlines()) if "\n" in cell or "\r" in cell else cell
        case bool():
            return str(cell).upper()
        case float():
            return str(int(cell)) if cell.is_integer() else repr(cell)
        case date():  # and `datetime`, which is one
            return cell.isoformat()
        case _:
            return str(cell)


def _line(cells: Sequence[str]) -> bytes:
    if not any(cells):
        return b""
    written = StringIO()
    csv.writer(written, lineterminator="").writerow(cells)
    return written.getvalue().encode("utf-8", "surrogatepass")
