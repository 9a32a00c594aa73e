"""An `.xlsx` workbook: its one sheet is read, and nothing in it can take the machine's memory."""

import zipfile
from io import BytesIO

import pytest

from stream.feed import workbooks
from stream.feed.workbooks import Workbook, WorkbookError
from stream.model.limits import WORKBOOK_BYTES
from tests.feed.workbook import workbook


def _lines(raw: bytes) -> list[str]:
    return [line.decode() for _, lines in Workbook(BytesIO(raw), name="x.xlsx").lines() for line in lines]


def test_cells_are_told_as_people_see_them() -> None:
    raw = workbook([["手机号", 'say "a, b"'], [13800138000, 1.5], [8613800138000, "two\nlines"]])
    assert _lines(raw) == ['手机号,"say ""a, b"""', "13800138000,1.5", "8613800138000,two lines"]


def test_a_cell_without_a_value_is_told_as_what_it_lacks() -> None:
    more = (
        '<row r="2"><c r="A2" t="e"><v>#N/A</v></c><c r="B2"><v>1</v></c></row>'
        '<row r="3"><c r="A3"><f>B1</f></c><c r="B3"><v>2</v></c></row>'
        '<row r="4"><c r="A4"><f>B1</f><v></v></c><c r="B4"><f>A1</f><v/></c></row>'
        '<row r="5"><c r="A5"><f>B1</f><v>13800138000</v></c><c r="B5" t="str"><f>A1</f><v></v></c></row>'
        '<row r="7"><c r="B7" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
    )
    assert _lines(workbook([["mobile", "n"]], more=more)) == [
        "mobile,n",
        "#N/A,1",
        "#FORMULA?,2",
        "#FORMULA?,#FORMULA?",
        "13800138000,",
        "",
        ",#DIV/0!",
    ]


def test_columns_and_sheets_of_formulas_alone_are_not_lost() -> None:
    formula = '<c r="A1"><f>1</f></c>'
    assert _lines(workbook([], more=f'<row r="1">{formula}<c r="B1"><v>5</v></c></row>')) == ["#FORMULA?,5"]
    assert _lines(workbook([], more=f'<row r="1">{formula}</row>')) == ["#FORMULA?"]
    with pytest.raises(WorkbookError, match="both of the sheets"):
        _lines(workbook([], [["13800138000"]], more=f'<row r="1">{formula}</row>'))
    # Those of a sheet that is not read mean nothing.
    assert _lines(workbook([["1"], []], more="")) == ["1"]


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 40, 1 << 20])
def test_cells_without_a_value_are_found_wherever_the_bytes_are_cut(
    piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "_PIECE_BYTES", piece_bytes)
    more = (
        '<row r="2"><c r="A2"><v>7</v></c><x:c r="B2" s="1" t="str"><x:f>A1</x:f><x:v>a>b</x:v></x:c></row>'
        "<row><c><f>A1</f><v>8</v></c><c t='e'><v>#REF!</v></c><c><f/></c><c r=\"D3\"/></row>"
    )
    sheet = f"<row r='1'><c r='A1'/></row>{more}".encode()
    pieces = (sheet[at : at + piece_bytes] for at in range(0, len(sheet), piece_bytes))
    looked = workbooks._looked_at(pieces)
    assert looked.unreadable == {(3, 2): "#REF!", (3, 3): "#FORMULA?"}
    assert looked.cells_count == 12


def test_more_cells_without_a_value_than_can_be_told_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "UNREADABLE_MAX", 2)
    more = "".join(f'<row r="{row}"><c r="AB{row}"><f>1</f></c></row>' for row in range(2, 6))
    with pytest.raises(WorkbookError, match=r"more than 2 cells without a value, the first of them AB2: correct"):
        _lines(workbook([["1"]], more=more))


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
