"""The one sheet of an `.xlsx` workbook, as lines of a CSV.

The library that reads workbooks holds a sheet as a full rectangle in memory. So before it sees one, the archive is
unpacked once without being kept: its sizes and checksums are those of the bytes that are there, and the place of every
cell is known. What would exceed a limit is refused by name.

Nothing is guessed: of several sheets with something in them none is taken. A number is told without its `.0`, a date as
ISO 8601 without an offset, which the reader of times then asks for.
"""

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from io import StringIO
from typing import BinaryIO, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from stream.model.limits import WORKBOOK_BYTES, WORKBOOK_CELLS

ROWS_AT_ONCE: Final = 20_000

_ZIP: Final = b"PK\x03\x04"
_BOOK: Final = "xl/workbook.xml"
_PIECE_BYTES: Final = 1 << 20
_ELEMENT: Final = re.compile(rb"""<(?:\w+:)?(row|c)\b([^>]*)>""")
_PLACE: Final = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]*)["']""")
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
            _look_through(file, name)
            file.seek(0)
            self._sheet = _only_sheet(CalamineWorkbook.from_filelike(file), name)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, CalamineError) as error:
            raise WorkbookError(
                f"{name}: no workbook that can be read ({error}); save it anew as .xlsx without a password, or as CSV"
            ) from error

    def lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """The rows as lines of a CSV in UTF-8, some at a time, with the number of the first; an empty row is empty."""
        first, lines = 1, list[bytes]()
        for row in self._sheet.iter_rows():
            lines.append(_line([_told(cell) for cell in row]))
            if len(lines) == ROWS_AT_ONCE:
                yield first, lines
                first, lines = first + len(lines), []
        yield first, lines


def _look_through(file: BinaryIO, name: str) -> None:
    """Raises `WorkbookError` where a limit is exceeded, `BadZipFile` where the bytes are not what the archive says."""
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
        for entry in entries:
            with archive.open(entry) as unpacked_file:
                cells = _cells_count(iter(lambda: unpacked_file.read(_PIECE_BYTES), b""))
            if cells > WORKBOOK_CELLS.most:
                raise WorkbookError(
                    f"{name}: a sheet whose last cell makes it {cells:,} cells large, at most {WORKBOOK_CELLS.most:,} "
                    "are read; delete what stands far out, or save it as CSV"
                )


def _cells_count(pieces: Iterator[bytes]) -> int:
    """The cells of the rectangle from the first to the last that a sheet names; none where it is no sheet."""
    row = column = rows = columns = 0
    rest = b""
    for piece in pieces:
        whole, end, rest = (rest + piece).rpartition(b">")
        for found in _ELEMENT.finditer(whole + end):
            place = _PLACE.search(found[2])
            if found[1] == b"row":
                row, column = (int(place[2][:9] or 0) if place else row + 1), 0
            else:
                column = _column(place[1]) if place else column + 1
                row = int(place[2][:9] or 0) if place else row
            rows, columns = max(rows, row), max(columns, column)
    return rows * columns


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper()[: _LETTERS_MAX + 1]:
        number = number * 26 + letter - ord("A") + 1
    return number


def _only_sheet(book: CalamineWorkbook, name: str) -> CalamineSheet:
    found: CalamineSheet | None = None
    for place, about in enumerate(book.sheets_metadata):
        if about.typ is not SheetTypeEnum.WorkSheet or about.visible is not SheetVisibleEnum.Visible:
            continue
        sheet = book.get_sheet_by_index(place)
        if sheet.start is None:
            continue
        if found is not None:
            raise WorkbookError(
                f"{name}: both of the sheets {found.name!r} and {sheet.name!r} have something in them; save the one "
                "that is meant as a file of its own"
            )
        found = sheet
    if found is None:
        raise WorkbookError(f"{name}: no sheet that is shown has anything in it")
    return found


def _told(cell: object) -> str:
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
