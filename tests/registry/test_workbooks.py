"""An `.xlsx` workbook: its one sheet is read, and nothing in it can take the machine's memory."""

import zipfile
from io import BytesIO

import pytest

from stream.feed import workbooks
from stream.feed.workbooks import Workbook, WorkbookError
from stream.model.limits import WORKBOOK_BYTES
from tests.registry.workbook import workbook


def _lines(raw: bytes) -> list[str]:
    return [line.decode() for _, lines in Workbook(BytesIO(raw), name="x.xlsx").lines() for line in lines]


def test_cells_are_told_as_people_see_them() -> None:
    raw = workbook([["手机号", 'say "a, b"'], [13800138000, 1.5], [8613800138000, "two\nlines"]])
    assert _lines(raw) == ['手机号,"say ""a, b"""', "13800138000,1.5", "8613800138000,two lines"]


def test_empty_sheets_do_not_count_and_of_two_others_none_is_taken() -> None:
    assert _lines(workbook([], [["13800138000"]], [])) == ["13800138000"]
    with pytest.raises(WorkbookError, match="both of the sheets 'sheet1' and 'sheet2'"):
        _lines(workbook([["1"]], [["2"]]))
    with pytest.raises(WorkbookError, match="no sheet"):
        _lines(workbook([]))


@pytest.mark.parametrize(
    "more",
    [
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        "<row r='1048576'><c r='xfd1048576'><v>1</v></c></row>",
        '<x:row r="99999999"><c r="AAAA1"><v>1</v></c></x:row>',
        "<row>" + "<c/>" * 30 + '</row><row r="1048576"><c/></row>',
    ],
)
def test_a_cell_that_stands_far_out_is_refused_before_the_sheet_is_made(more: str) -> None:
    with pytest.raises(WorkbookError, match="cells large, at most 20,000,000"):
        _lines(workbook([["1"]], more=more))


def test_an_archive_that_unpacks_to_too_much_or_lies_about_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = workbook([["13800138000"]], more=" " * 200_000)
    monkeypatch.setattr(workbooks, "WORKBOOK_BYTES", WORKBOOK_BYTES._replace(most=100_000))
    with pytest.raises(WorkbookError, match="once unpacked, at most 100,000"):
        _lines(raw)
    # A size that is not that of the bytes is found by the checksum, before anything else reads the archive.
    (size,) = (entry.file_size for entry in zipfile.ZipFile(BytesIO(raw)).infolist() if "sheet1" in entry.filename)
    lying = raw.replace(size.to_bytes(4, "little"), (1_000).to_bytes(4, "little"))
    with pytest.raises(WorkbookError, match="no workbook that can be read"):
        _lines(lying)


def test_another_archive_is_named() -> None:
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("numbers.txt", "13800138000")
    with pytest.raises(WorkbookError, match=r"no \.xlsx workbook; unpack it"):
        _lines(written.getvalue())
