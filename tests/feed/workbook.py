"""The smallest `.xlsx` workbook with some rows: what the format asks for, and nothing else."""

import zipfile
from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
_RELATION = '<Relationship Id="rId{0}" Type="' + _OFFICE + '/{1}" Target="{2}"/>'


def workbook(*sheets: Sequence[Sequence[str | float]], more: str = "") -> bytes:
    """A workbook with these sheets; `more` is put into the first, as it stands."""
    names = [f"sheet{place}" for place in range(1, len(sheets) + 1)]
    book = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, start=1))
    to_sheets = "".join(
        _RELATION.format(n, "worksheet", f"worksheets/{name}.xml") for n, name in enumerate(names, start=1)
    )
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELATIONS.format(_RELATION.format(1, "officeDocument", "xl/workbook.xml")))
        archive.writestr("xl/_rels/workbook.xml.rels", _RELATIONS.format(to_sheets))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{book}</sheets></workbook>'
        )
        for place, (name, rows) in enumerate(zip(names, sheets, strict=True)):
            told = "".join(
                f'<row r="{number}">{"".join(map(_cell, row))}</row>' for number, row in enumerate(rows, start=1) if row
            )
            data = f"<sheetData>{told}{more if place == 0 else ''}</sheetData>"
            archive.writestr(f"xl/worksheets/{name}.xml", f'<worksheet xmlns="{_MAIN}">{data}</worksheet>')
    return written.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"
