"""Bulk files: every line comes out once, as a record or as a bad line that says what is wrong."""

from pathlib import Path

import pytest

from stream.model.registry import Expression, Tombstone
from stream.registry import bulk_files
from stream.registry.bulk_files import BulkFileError, Chunk, Format, Given, format_of, read

GIVEN = Given(time=5, channel="sms", will="refuse", source="letters")


def _read(path: Path, form: Format, given: Given = GIVEN) -> Chunk:
    whole = Chunk()
    for chunk in read(path, form, given):
        whole.lines += chunk.lines
        whole.records += chunk.records
        whole.bad += chunk.bad
        whole.bytes_count = chunk.bytes_count
    assert whole.bytes_count == path.stat().st_size
    return whole


def _file(tmp_path: Path, content: str | bytes, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_list_says_the_number_and_the_options_say_the_rest(tmp_path: Path) -> None:
    chunk = _read(_file(tmp_path, "138-0013-8000\n\nnobody\n+8613900139000\r\n"), "list")
    assert chunk.records == [
        Expression("+8613800138000", "sms", "refuse", 5, "letters"),
        Expression("+8613900139000", "sms", "refuse", 5, "letters"),
    ]
    assert chunk.lines == [1, 4]
    assert [(bad.number, bad.raw) for bad in chunk.bad] == [(3, b"nobody")]
    assert "`subscriber` must be + and 7 to 15 digits" in chunk.bad[0].reason


def test_a_csv_row_says_what_it_says_and_the_options_fill_what_it_leaves_open(tmp_path: Path) -> None:
    rows = (
        "\ufeffsubscriber,will,sender,category,time,evidence\r\n"
        '13800138000,consent,"ORG,1",finance,7,"say ""yes"""\r\n'
        "13800138000,,,,2026-11-25T08:00:00+08:00,\r\n"
    )
    chunk = _read(_file(tmp_path, rows), "csv")
    assert chunk.bad == []
    assert chunk.records == [
        Expression("+8613800138000", "sms", "consent", 7, "letters", "ORG,1", "finance", 'say "yes"'),
        Expression("+8613800138000", "sms", "refuse", 1_795_564_800_000, "letters"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("13800138000,consent,ORG-1,,7", "consent must name both"),
        ("13800138000,refuse,,,soon", "neither milliseconds"),
        ("13800138000,refuse,,,2026-11-25T08:00:00", "no offset"),
        ("13800138000,refuse,,,-1", "neither milliseconds"),
        ("13800138000,refuse,,,9007199254740992", "time"),
        ("13800138000,deny,,,7", "will"),
        ("13800138000,refuse,,", "4 columns where the header names 5"),
        ("138001380,refuse,,,7", "subscriber"),
        ('"13800138000,refuse,,,7', "no CSV row"),
    ],
)
def test_a_bad_row_spoils_no_other(tmp_path: Path, row: str, reason: str) -> None:
    rows = f"subscriber,will,sender,category,time\n{row}\n13900139000,lift,,,7\n"
    chunk = _read(_file(tmp_path, rows), "csv")
    assert [bad.number for bad in chunk.bad] == [2]
    assert reason in chunk.bad[0].reason
    assert chunk.lines == [3]


@pytest.mark.parametrize("header", ["number,will", "subscriber,subscriber", "will,time"])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(BulkFileError, match="the first line must name the columns"):
        _read(_file(tmp_path, f"{header}\n1,2\n"), "csv")


def test_ndjson_holds_any_record_and_tombstones(tmp_path: Path) -> None:
    lines = (
        b'{"kind":"tombstone","topic":"registry.senders","key":"ORG-1"}\n'
        b'{"kind":"tombstone","topic":"registry.expressions","key":"x"}\n'
        b"\xff\xfe\n{}\n"
    )
    chunk = _read(_file(tmp_path, lines), "ndjson")
    assert chunk.records == [Tombstone("registry.senders", "ORG-1")]
    assert [bad.number for bad in chunk.bad] == [2, 3, 4]


def test_a_line_longer_than_any_record_is_bad_and_its_end_is_no_line_of_its_own(tmp_path: Path) -> None:
    giant = b"1" * (3 * bulk_files.LINE_BYTES_MAX)
    chunk = _read(_file(tmp_path, giant + b"\n13800138000\n"), "list")
    assert [bad.number for bad in chunk.bad] == [1]
    assert len(chunk.bad[0].raw) <= bulk_files.LINE_BYTES_MAX + 1
    assert chunk.lines == [2]


def test_chunks_are_bounded(tmp_path: Path) -> None:
    path = _file(tmp_path, "13800138000\n" * (bulk_files.CHUNK_LINES + 1))
    assert [len(chunk) for chunk in read(path, "list", GIVEN)] == [bulk_files.CHUNK_LINES, 1]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "x", "csv"),
        ("a.NDJSON", "x", "ndjson"),
        ("a.txt", "{", "list"),
        ("a", '{"kind":', "ndjson"),
        ("b", "subscriber,channel", "csv"),
        ("c", "13800138000", "list"),
    ],
)
def test_the_format_is_told_by_the_name_or_else_by_the_first_line(
    tmp_path: Path, name: str, content: str, form: Format
) -> None:
    assert format_of(_file(tmp_path, content, name)) == form
