"""Bulk files: every line comes out once, as a record or as a bad line that says what is wrong."""

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.feed import bulk_files, text_files
from stream.feed.bulk_files import BulkFile, Format, Given, LineChunk, format_of
from stream.feed.numbers_read import persons
from stream.feed.text_files import BulkFileError, opened
from stream.model.limits import FILE_LINE
from stream.model.registry import Expression, Tombstone
from stream.model.times import iso_time
from stream.policy.loading import load
from tests.feed.workbook import workbook

NOW = 1_795_600_000_000
SAID = 1_795_500_000_000
GIVEN = Given(time=SAID, channel="sms", will="refuse", source="letters")
NUMBERING = load().numbering


def _bulk(
    path: Path,
    given: Given = GIVEN,
    *,
    form: Format | None = None,
    encoding: str | None = None,
    column: str | None = None,
    mapped: Mapping[str, str] | None = None,
) -> BulkFile:
    file = opened(path, encoding=encoding)
    return BulkFile(file, path=path, given=given, numbering=NUMBERING, now=NOW, form=form, column=column, mapped=mapped)


def _whole(bulk: BulkFile) -> LineChunk:
    whole = LineChunk()
    for chunk in bulk.chunks():
        whole.lines += chunk.lines
        whole.records += chunk.records
        whole.bad += chunk.bad
        whole.bytes_count = chunk.bytes_count
    assert whole.bytes_count == bulk.bytes_count
    return whole


def _file(tmp_path: Path, content: str | bytes, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _refusal(number: str, time: int = SAID) -> Expression:
    return Expression(number, "sms", "refuse", time, "letters")


def test_a_list_says_the_number_and_the_options_say_the_rest(tmp_path: Path) -> None:
    chunk = _whole(_bulk(_file(tmp_path, "138-0013-8000\n\nnobody\n+8613900139000\r\n")))
    assert chunk.records == [_refusal("+8613800138000"), _refusal("+8613900139000")]
    assert chunk.lines == [1, 4]
    assert [(bad.number, bad.raw) for bad in chunk.bad] == [(3, b"nobody")]
    assert "no person's number" in chunk.bad[0].reason


def test_a_csv_row_says_what_it_says_and_the_options_fill_what_it_leaves_open(tmp_path: Path) -> None:
    rows = (
        "\ufeffsubscriber,will,sender,category,time,evidence\r\n"
        f'13800138000,consent,"ORG,1",finance,{SAID + 1},"say ""yes"""\r\n'
        "13800138000,,,,2026-11-25T08:00:00+08:00,\r\n"
    )
    chunk = _whole(_bulk(_file(tmp_path, rows)))
    assert chunk.bad == []
    assert chunk.records == [
        Expression("+8613800138000", "sms", "consent", SAID + 1, "letters", "ORG,1", "finance", 'say "yes"'),
        _refusal("+8613800138000", 1_795_564_800_000),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"13800138000,consent,ORG-1,,{SAID}", "consent must name both"),
        ("13800138000,consent,S,c,soon", "neither milliseconds"),
        ("13800138000,consent,S,c,2026-11-25T08:00:00", "no offset"),
        ("13800138000,consent,S,c,2026-11-25", "no offset"),
        ("13800138000,consent,S,c,20261125", "no milliseconds"),
        ("13800138000,consent,S,c,-1", "neither milliseconds"),
        ("13800138000,consent,S,c,1793491200", "seconds"),
        ("13800138000,consent,S,c,1793491200000000", "microseconds"),
        ("13800138000,consent,S,c,9007199254740992", "more than a day from now"),
        (f"13800138000,deny,,,{SAID}", "'deny'; there are: consent, lift, refuse - at `$.will`"),
        ("13800138000,refuse,,", "4 columns where the first line has 5"),
        (f"138001380,refuse,,,{SAID}", "no person's number"),
        (f"10086,refuse,,,{SAID}", "no person's number"),
        (f"+13800138000,refuse,,,{SAID}", "no person's number"),
        (f"+8613800138004.0,refuse,,,{SAID}", "no person's number"),
        (f'"13800138000"0,refuse,,,{SAID}', "no row of a CSV"),
        (f"13800138000,refuse,{'s' * 257},,{SAID}", "`sender` has 257 characters"),
        (f"13800138000,refuse,{'s' * 40_000},,{SAID}", "a cell of more than 32,767"),
    ],
)
def test_a_bad_row_spoils_no_other(tmp_path: Path, row: str, reason: str) -> None:
    rows = f"subscriber,will,sender,category,time\n{row}\n13900139000,lift,,,{SAID}\n"
    chunk = _whole(_bulk(_file(tmp_path, rows)))
    assert [bad.number for bad in chunk.bad] == [2]
    assert reason in chunk.bad[0].reason
    assert chunk.lines == [3]


def test_a_number_in_a_note_of_several_lines_is_nobodys_refusal(tmp_path: Path) -> None:
    rows = (
        '手机号,"备注\n(可空)"\r\n'
        '13800130000,"见\r\n13800130009,甲"\r\n'
        '"13800130001","""是""\n\n13800130008,乙\n"\n'
        '13800130002,5" 屏\n'
        '13800130003,"丙\n13800130007,丁",多\n'
        "13800130004,ok\n"
    )
    chunk = _whole(_bulk(_file(tmp_path, rows)))
    assert chunk.records == [_refusal(f"+861380013000{n}") for n in (0, 1, 2, 4)]
    assert chunk.lines == [3, 5, 9, 12]
    (bad,) = chunk.bad
    assert (bad.number, bad.raw) == (10, '13800130003,"丙\n13800130007,丁",多'.encode())
    assert "3 columns where the first line has 2 (lines 10 to 11 are one row: a quotation mark in line 10" in bad.reason


@pytest.mark.parametrize("separator", [",", ";", "\t", "", "|"])
def test_no_line_in_a_cell_that_nothing_closes_is_a_row(tmp_path: Path, separator: str) -> None:
    rows = f'13800130000{separator}ok\n"13800130001{separator}见\n13800130009{separator}甲\n\n13800130008{separator}乙'
    named = f"sep={separator}\n" if separator == "|" else ""
    chunk = _whole(_bulk(_file(tmp_path, named + (rows if separator else rows.replace("ok", ""))), column="1"))
    assert chunk.records == [_refusal("+8613800130000")]
    (bad,) = chunk.bad
    first = 3 if named else 2
    assert (bad.number, bad.raw.count(b"\n")) == (first, 3)
    assert f"a quotation mark in line {first} opens a cell that nothing closes" in bad.reason
    assert f"all lines to the last, {first + 3}" in bad.reason


def test_lines_in_an_open_cell_beyond_the_limit_of_a_row_are_all_bad_and_all_kept(tmp_path: Path) -> None:
    inside = [f"138{n:08d},x" for n in range(3 * FILE_LINE.most // 14)]
    rows = ["手机号,备注", '13800130000,"见', *inside, '"', "13800130001,ok", ""]
    chunk = _whole(_bulk(_file(tmp_path, "\n".join(rows))))
    assert chunk.records == [_refusal("+8613800130001")]
    assert b"\n".join(bad.raw for bad in chunk.bad).decode().split("\n") == rows[1:-2]
    assert max(len(bad.raw) for bad in chunk.bad) <= FILE_LINE.most
    assert all("a quotation mark in line 2 opens a cell that is not closed within" in bad.reason for bad in chunk.bad)


_CELLS = st.text(st.sampled_from('138001300,;"\n é'), max_size=12)


@given(table=st.lists(st.tuples(st.sampled_from(["13800130000", "13800130001", "x"]), _CELLS), max_size=20))
def test_what_a_writer_of_csv_wrote_is_read_row_by_row(table: list[tuple[str, str]]) -> None:
    written = StringIO()
    csv.writer(written, lineterminator="\n").writerows([("number", "evidence"), *table])
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "BLOCK_BYTES", 16)
        chunk = _whole(_bulk(_file(Path(folder), written.getvalue())))
    expected = [(f"+86{number}", cell.strip() or None) for number, cell in table if number != "x"]
    assert [(one.subscriber, one.evidence) for one in chunk.records if isinstance(one, Expression)] == expected
    assert len(chunk.bad) == len(table) - len(expected)


@pytest.mark.parametrize("time", ["1793491200", "20261101", "2026-11-01", "1793491200000000"])
def test_a_refusal_whose_time_alone_is_bad_is_told_and_counts_from_the_files_time(tmp_path: Path, time: str) -> None:
    chunk = _whole(_bulk(_file(tmp_path, f"subscriber,time\n13800138000,{time}\n13800138001,{SAID - 1}\n")))
    assert chunk.records == [_refusal("+8613800138000"), _refusal("+8613800138001", SAID - 1)]
    assert [bad.number for bad in chunk.bad] == [2]
    assert f"the refusal counts from {iso_time(SAID)}, the file's time" in chunk.bad[0].reason
    assert "too late from now on, this line once it is corrected as well" in chunk.bad[0].reason


def test_ndjson_is_read_as_a_table_is(tmp_path: Path) -> None:
    def line(number: str, will: str, time: int) -> str:
        scope = ',"sender":"S","category":"c"' if will == "consent" else ""
        return (
            f'{{"kind":"expression","subscriber":"{number}","channel":"sms","will":"{will}","time":{time},'
            f'"source":"letters"{scope}}}\n'
        )

    rows = "\ufeff" + "".join(
        (
            line("+8613800138000", "refuse", SAID),
            line("+86010 8765 4321".replace(" ", ""), "refuse", SAID),
            line("+8695588000", "refuse", SAID),
            line("+8613800138000", "consent", 1_793_491_200),
            line("+8613800138003", "refuse", 1_793_491_200),
        )
    )
    chunk = _whole(_bulk(_file(tmp_path, rows)))
    assert chunk.records == [_refusal("+8613800138000"), _refusal("+861087654321"), _refusal("+8613800138003")]
    assert [bad.number for bad in chunk.bad] == [3, 4, 5]


def test_a_subscriber_in_ndjson_is_read_as_one_in_a_table_is(tmp_path: Path) -> None:
    spellings = (
        "13800138000",
        "+86 138 0013 8000",
        "\u202a+86013800138000",
        "010-87654321",
        "+8613800138004.0",
        "13800",
    )
    rows = "".join(
        f'{{"kind":"expression","subscriber":"{text}","channel":"sms","will":"refuse","time":{SAID},'
        '"source":"letters"}\n'
        for text in spellings
    )
    read = _whole(_bulk(_file(tmp_path, rows)))
    table = _whole(_bulk(_file(tmp_path, "subscriber\n" + "".join(f"{text}\n" for text in spellings))))
    assert read.records == table.records == [_refusal("+8613800138000")] * 3 + [_refusal("+861087654321")]
    assert [bad.number for bad in read.bad] == [5, 6]
    assert all("no person's number" in bad.reason for bad in read.bad)
    # What else is wrong with a line is told as before, and no other record's number is read so.
    rows = (
        '{"kind":"expression","subscriber":"13800138000","channel":"sms","will":"refuse","source":"letters"}\n'
        f'{{"kind":"expression","subscriber":13800138000,"channel":"sms","will":"refuse","time":{SAID},"source":"x"}}\n'
        '{"kind":"wordlist","subscriber":"13800138000"}\n'
    )
    bad = [line.reason for line in _whole(_bulk(_file(tmp_path, rows))).bad]
    assert ["`time`" in bad[0], "Expected `str`" in bad[1], "`list`" in bad[2]] == [True] * 3


def test_times_without_offset_are_read_in_the_zone_that_the_operator_names(tmp_path: Path) -> None:
    times = "2026-11-25 08:00:00", "2026-11-25T08:00", "20261125", "2026/11/25 8:00", "1795564800000"
    path = _file(tmp_path, "手机号,时间\n" + "".join(f"13800138000,{time}\n" for time in times))
    given = Given(time=SAID, channel="sms", will="refuse", source="letters", zone=ZoneInfo("Asia/Shanghai"))
    chunk = _whole(_bulk(path, given))
    assert chunk.bad == []
    midnight, morning = 1_795_536_000_000, 1_795_564_800_000
    assert [record.time for record in chunk.records if isinstance(record, Expression)] == [
        *(morning, morning, midnight, morning, morning)
    ]


def test_a_clock_time_that_is_there_twice_is_not_guessed(tmp_path: Path) -> None:
    path = _file(tmp_path, "mobile,time\n13800138000,2026-10-25 02:30:00\n")
    given = Given(time=SAID, channel="sms", will="lift", source="letters", zone=ZoneInfo("Europe/Berlin"))
    assert "twice, or never" in _whole(_bulk(path, given)).bad[0].reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subscriber,mobile\n1,2\n", "both name the subscriber"),
        ("will,time\n1,2\n", "the columns 1 'will', 2 'time'"),
        ("subscriber,catgory\n1,2\n", "nearly 'category'"),
        ("order id,buyer\n15026110001,13800138000\n", "the columns 1 'order id', 2 'buyer'"),
        ("15026110001,13800138000\n", "name the one with the numbers by --column"),
        ("nobody\n13800138000\n", "name the one with the numbers by --column"),
        ("a;b,c\n1;2,3\n", "several separators"),
        ("手机号," + ",".join(map(str, range(300))) + "\n", "301 columns"),
    ],
)
def test_a_column_is_never_guessed(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(BulkFileError, match=message):
        _bulk(_file(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "column", "mapped"),
    [
        ("order id,联系电话\n15026110001,13800138000\n", None, {}),
        ("order id,buyer\n15026110001,13800138000\n", "buyer", {}),
        ("order id,buyer\n15026110001,13800138000\n", "2", {}),
        ("15026110001,13800138000\n", "2", {}),
        ("phone,mobile\n15026110001,13800138000\n", "mobile", {}),
        ("phone,mobile\n15026110001,13800138000\n", "2", {}),
        ("phone,mobile\n15026110001,13800138000\n", None, {"phone": "-"}),
        ("id,Whom\n15026110001,13800138000\n", None, {"whom": "subscriber"}),
        ("catgory,手 机 号\nx,13800138000\n", None, {"catgory": "-"}),
        ("sep=;\nname;MOBILE\nA, B;13800138000\n", None, {}),
        ("name\tmobile\nA\t13800138000\n", None, {}),
        ("a,b;mobile\nA,B;13800138000\n", None, {}),
        ("name;mobile\rA;13800138000\r", None, {}),
        ('"name","mobile"\n"A, B","13800138000"\n', None, {}),
        ("13800138000", None, {}),
    ],
)
def test_the_column_is_known_by_its_name_or_because_the_operator_says_so(
    tmp_path: Path, content: str, column: str | None, mapped: dict[str, str]
) -> None:
    chunk = _whole(_bulk(_file(tmp_path, content), column=column, mapped=mapped))
    assert (chunk.records, chunk.bad) == ([_refusal("+8613800138000")], [])


_TABLE = "姓名,手机号,来源\n王,13800138000,信件\n李,13900139000,信件\n"
_READ = [
    Expression("+8613800138000", "sms", "refuse", SAID, "信件"),
    Expression("+8613900139000", "sms", "refuse", SAID, "信件"),
]


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (_TABLE.encode(), None),
        (_TABLE.encode("utf-8-sig"), None),
        (_TABLE.replace("\n", "\r\n").encode("utf-16"), None),
        (b"\xfe\xff" + _TABLE.encode("utf-16-be"), None),
        (_TABLE.encode("utf-16-le"), "utf-16-le"),
        (_TABLE.encode("gb18030"), None),
        (_TABLE.encode("gbk"), "gbk"),
        (_TABLE.replace("\n", "\r").encode("gb18030"), None),
    ],
)
def test_a_table_is_read_in_the_encodings_that_people_have(tmp_path: Path, raw: bytes, encoding: str | None) -> None:
    path = _file(tmp_path, raw)
    bulk = _bulk(path, encoding=encoding)
    assert _whole(bulk).records == _READ
    head = bulk.head.decode("utf-16" if raw[:1] in (b"\xff", b"\xfe") else encoding or "utf-8-sig", "replace")
    assert head.endswith("\n")
    # What is kept of it stands in its own encoding, and is read again as it was.
    again = _file(
        tmp_path, bulk.head + bulk.line("王,1,信件".encode()) + bulk.line("王,13800138000,信件".encode()), "again"
    )
    kept = _whole(_bulk(again, encoding=encoding))
    assert (kept.records, [bad.number for bad in kept.bad]) == (_READ[:1], [2])


def test_a_line_that_the_encoding_does_not_know_is_bad_and_spoils_no_other(tmp_path: Path) -> None:
    raw = "手机号\n".encode() + b"13800138000\n\xff\xfe1\n" + "一\n".encode()
    bulk = _bulk(_file(tmp_path, raw))
    chunk = _whole(bulk)
    assert (chunk.records, [bad.number for bad in chunk.bad]) == ([_refusal("+8613800138000")], [3, 4])
    assert bulk.line(chunk.bad[0].raw) == b"\xff\xfe1\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("手机号\n13800138000\n".encode("utf-16-le"), "--encoding utf-16-le"),
        (b"\xff\xfe\0\0", "UTF-32"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "an old Excel"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\x03\x04" + b"\0" * 99, "no workbook"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(BulkFileError, match=message):
        _bulk(_file(tmp_path, raw))


def test_an_xlsx_is_read_with_the_numbers_of_its_rows(tmp_path: Path) -> None:
    path = _file(tmp_path, workbook([[], ["姓名", "手机号"], ["王", 13800138000], [], ["李", "nobody"]]), "list.xlsx")
    bulk = _bulk(path)
    chunk = _whole(bulk)
    assert (chunk.records, chunk.lines) == ([_refusal("+8613800138000")], [3])
    assert [(bad.number, bad.raw.decode()) for bad in chunk.bad] == [(5, "李,nobody")]
    assert bulk.head.decode() == "\ufeff姓名,手机号\n"


_COMPUTE = "let the program that the sheet is from compute it, and save it there"
_LOST = (
    '<row r="3"><c r="A3" t="e"><v>#N/A</v></c><c r="B3"><v>1</v></c></row>'
    '<row r="4"><c r="A4"><f>B1</f></c></row>'
    '<row r="5"><c r="A5"><v>13800138000</v></c><c r="B5"><v>1</v></c><c r="C5" t="e"><v>#REF!</v></c></row>'
    '<row r="6"><c r="A6"><v>13800138001</v></c><c r="B6" t="e"><v>#REF!</v></c></row>'
)


def test_a_cell_without_a_value_makes_its_row_bad_where_it_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path, workbook([[], ["mobile", "note", "sender"]], more=_LOST), "list.xlsx")
    chunk = _whole(_bulk(path))
    assert chunk.records == [_refusal("+8613800138001")]
    assert [(bad.number, bad.raw.decode(), bad.reason) for bad in chunk.bad] == [
        (3, "#N/A,1,", "column 1 ('mobile') has #N/A, an error of the spreadsheet, and no value"),
        (4, "#FORMULA?,,", f"column 1 ('mobile') has a formula without its value: {_COMPUTE}"),
        (5, "13800138000,1,#REF!", "column 3 ('sender') has #REF!, an error of the spreadsheet, and no value"),
    ]


def test_an_error_that_a_spreadsheet_wrote_into_a_csv_is_no_name(tmp_path: Path) -> None:
    chunk = _whole(_bulk(_file(tmp_path, "mobile,sender\n13800138000,#N/A\n13800138001,Err:502\n13800138002,#1\n")))
    assert [bad.number for bad in chunk.bad] == [2, 3]
    assert [record.sender for record in chunk.records if isinstance(record, Expression)] == ["#1"]


def test_ndjson_holds_any_record_and_tombstones(tmp_path: Path) -> None:
    lines = (
        b'{"kind":"tombstone","topic":"registry.senders","key":"ORG-1"}\n'
        b'{"kind":"tombstone","topic":"registry.expressions","key":"x"}\n'
        b"\xff\xfe\n{}\n"
    )
    chunk = _whole(_bulk(_file(tmp_path, lines)))
    assert chunk.records == [Tombstone("registry.senders", "ORG-1")]
    assert [bad.number for bad in chunk.bad] == [2, 3, 4]


def test_a_line_longer_than_any_record_is_bad_and_its_end_is_no_line_of_its_own(tmp_path: Path) -> None:
    giant = b"1" * (3 * FILE_LINE.most)
    chunk = _whole(_bulk(_file(tmp_path, b"13900139000\n" + giant + b"\n13800138000\n")))
    assert [bad.number for bad in chunk.bad] == [2]
    assert len(chunk.bad[0].raw) == FILE_LINE.most
    assert chunk.bad[0].reason.endswith("; only its first 1,048,576 bytes are kept")
    assert chunk.lines == [1, 3]


@pytest.mark.parametrize("name", ["list.txt", "list.ndjson"])
def test_of_a_file_that_grows_what_was_there_at_first_is_read(name: str, tmp_path: Path) -> None:
    path = _file(tmp_path, "13800138000\n" * 3, name)
    bulk = _bulk(path)
    with path.open("ab") as more:
        more.write(b"13800138001\n")
    assert len(_whole(bulk)) == 3
    assert bulk.has_end


def test_chunks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_files, "CHUNK_LINES", 1_000)
    path = _file(tmp_path, "13800138000\n" * 2_001)
    assert [len(chunk) for chunk in _bulk(path).chunks()] == [1_000, 1_000, 1]


def test_a_last_line_without_its_end_is_known(tmp_path: Path) -> None:
    for content, has_end in (("13800138000\n", True), ("13800138000", False), ("1380\r", True), ("1380\n ", True)):
        bulk = _bulk(_file(tmp_path, content))
        _whole(bulk)
        assert bulk.has_end == has_end, content


def test_a_column_in_which_nearly_nothing_is_a_number_is_another(tmp_path: Path) -> None:
    rows = "".join(f"{n:08d},1380013{n:04d}\n" for n in range(30))
    with pytest.raises(BulkFileError, match="30 of 30 lines have no number in column 1; the columns are 1 'number'"):
        _bulk(_file(tmp_path, f"number,whose\n{rows}"))


def test_what_a_list_leaves_open_is_asked_for_before_any_line_is_read(tmp_path: Path) -> None:
    with pytest.raises(BulkFileError, match="--channel, --will, --source"):
        _bulk(_file(tmp_path, "13800138000\n"), Given(time=SAID, channel="sms", will="refuse"))


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "x", "csv"),
        ("a.NDJSON", "x", "ndjson"),
        ("a.txt", "{", "ndjson"),
        ("a", '{"kind":', "ndjson"),
        ("b", "subscriber,channel", "csv"),
        ("c", "13800138000", "csv"),
    ],
)
def test_the_format_is_told_by_the_name_or_else_by_the_first_line(
    tmp_path: Path, name: str, content: str, form: Format
) -> None:
    path = _file(tmp_path, content, name)
    assert format_of(opened(path), path) == form


_spelt = st.builds(
    lambda prefix, digits, dash, tail: prefix + dash.join(digits) + tail,
    st.sampled_from(["", "+", "86", "+86", "0086", "00", "0", "+86 ", "１", "tel:", "\u202a+86", "+44", "(0)"]),
    st.lists(st.sampled_from(["138", "0013", "8000", "13800138000", "1", "9", "10", "110", "86", "80"]), max_size=6),
    st.sampled_from(["", "-", " ", ".", "_", "‑", "\u00a0", "--"]),
    st.sampled_from(["", " ", "x", "０", "#", "-", "-1", "-12", ";ext=1"]),
)


@example(texts=["1380013800-0", "138001380-00", "13800138-000", "-13800138000", "+86-138-0013-8000", "010-87654326-12"])
@given(texts=st.lists(_spelt, max_size=20))
def test_a_column_of_numbers_reads_as_its_numbers_do_one_by_one(texts: list[str]) -> None:
    assert persons([text.encode() for text in texts], NUMBERING) == [NUMBERING.registrable(text) for text in texts]


def test_a_column_that_is_mapped_to_nothing_is_not_told_as_passed_over(tmp_path: Path) -> None:
    path = _file(tmp_path, "手机号,备注,城市\n13800138000,x,y\n")
    layout = _bulk(path, mapped={"备注": "-"}).layout
    assert layout is not None
    assert layout.passed_over == ["城市"]


@pytest.mark.parametrize(
    ("content", "mapped", "reason"),
    [
        ("手机号,城市\n13800138000,x\n", {"登记于": "time"}, "which --map names; .*: name one of them by --map$"),
        ("手机号,电话\n13800138000,x\n", {}, "both name the subscriber; .*: say --map 电话=- to leave one out$"),
        ("手机号,evidense\n13800138000,x\n", {}, "nearly 'evidence'; .*: say --map evidense=evidence, or --map evid"),
        ("手机号|城市\n13800138000|x\n", {}, r"put a line `sep=\|` before it"),
        ("13800138000|x\n", {}, r"put a line `sep=\|` before it"),
        ("\ufeff \n<TABLE><tr><td>手机号", {}, "a page of HTML"),
        ("<?xml version='1.0'?>", {}, "a page of HTML or XML"),
        ("13800138000\n" + "nobody\n" * 20, {}, "20 of 21 lines have no number: give a list of numbers, one a line$"),
    ],
)
def test_what_is_told_of_a_file_ends_with_its_own_mend(
    tmp_path: Path, content: str, mapped: Mapping[str, str], reason: str
) -> None:
    with pytest.raises(BulkFileError, match=reason):
        _bulk(_file(tmp_path, content), mapped=mapped)


def test_a_bad_date_is_told_with_the_forms_that_are_taken(tmp_path: Path) -> None:
    path = _file(tmp_path, "手机号,时间\n13800138000,25.11.2026\n")
    (bad,) = _whole(_bulk(path)).bad
    assert "--timezone names the zone of times without an offset" in bad.reason
    (bad,) = _whole(_bulk(path, Given(time=SAID, channel="sms", will="refuse", source="s", zone=ZoneInfo("UTC")))).bad
    assert "in the zone of --timezone also `2026-11-25 08:00`, `2026/11/25 8:00` and `20261125`" in bad.reason
