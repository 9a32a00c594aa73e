"""`wurao scrub`: each number gets the answer that `decide` gives commercial traffic to it."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.number import parse
from stream.feed.scrubbing import REACHABLE, REASONS, Scrubber
from stream.feed.table_columns import NUMBER
from stream.feed.tables import layout_of, rows
from stream.feed.text_files import BulkFileError, opened
from stream.model.codec import encode
from stream.model.events import Sms
from stream.model.registry import Expression, FileRecord, NumberEntry, Order, Sender
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.cli.command import Wurao
from tests.feed.workbook import workbook

NOW = 1_795_500_000_000
SENDER = Sender(
    sender="S",
    name="某某银行",
    contact="95588",
    status="active",
    numbers=(NumberEntry("1069", "sms", ("commercial",)),),
)
CONSENTED, REFUSED, SILENT = "+8613800138000", "+8613900139000", "+8617012345678"
WORLD: list[FileRecord] = [
    SENDER,
    Expression(CONSENTED, "sms", "consent", 1, "web", "S", "finance"),
    Expression(REFUSED, "sms", "refuse", 1, "web", "S"),
]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A sender, one who consented and one who refused."""
    path = tmp_path / "registry.ndjson"
    path.write_bytes(b"".join(encode(record) + b"\n" for record in WORLD))
    return path


SCRUB = ("scrub", "--channel", "sms", "--sender", "S", "--category", "finance")


def _scrub(wurao: Wurao, path: Path, registry: Path, *words: str, code: int = 0) -> dict[str, object]:
    return wurao.asked(
        "scrub",
        path,
        "--registry",
        registry,
        "--channel",
        "sms",
        "--sender",
        "S",
        "--category",
        "finance",
        "--out",
        wurao.folder / "out",
        *words,
        code=code,
    )


def _rows(wurao: Wurao, name: str) -> list[list[str]]:
    with (wurao.folder / "out" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_csv_is_split_and_every_row_keeps_its_columns(registry: Path, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    path = wurao.file(
        "list.csv",
        "name,手机号,city",
        "Ann,138-0013-8000,x",
        '"Bo, jr",+86 139 0013 9000,x',
        "Cy,17012345678,",
        "Di,8613800138000,x",
        "Ed,12,x",
        "Flo",
        "",
        "Guo,10086,x",
        "Hao,110,x",
        "Ida,95588,x",
    )
    answer = _scrub(wurao, path, registry)
    assert _rows(wurao, "list.reachable.csv") == [
        ["name", "手机号", "city", "wire_number", "reason"],
        ["Ann", "138-0013-8000", "x", CONSENTED, "consented"],
    ]
    assert _rows(wurao, "list.not-reachable.csv") == [
        ["name", "手机号", "city", "wire_number", "reason"],
        ["Bo, jr", "+86 139 0013 9000", "x", REFUSED, "refused"],
        ["Cy", "17012345678", "", SILENT, "no_consent"],
        ["Di", "8613800138000", "x", CONSENTED, "duplicate"],
        ["Ed", "12", "x", "", "malformed_number"],
        ["Flo", "", "malformed_number"],
        # Let through, and no campaign is meant for one.
        ["Guo", "10086", "x", "10086", "redress"],
        ["Hao", "110", "x", "110", "call_for_help"],
        ["Ida", "95588", "x", "95588", "short_number"],
    ]
    assert answer["not_reachable"]["count"] == 8  # type: ignore[index]


def test_a_row_of_several_lines_stays_one_and_one_that_is_never_closed_spoils_no_output(
    registry: Path, tmp_path: Path
) -> None:
    wurao = Wurao(tmp_path)
    path = wurao.file(
        "list.csv", "手机号,备注", f'{SILENT},"见', f'{CONSENTED},甲"', f'{REFUSED},"a"b', '17012345678,"c', CONSENTED
    )
    ran = wurao.run(*SCRUB, path, "--registry", registry, "--out", tmp_path / "out")
    assert ran.returncode == 1
    assert f"{path}:5: a quotation mark in line 5 opens a cell that nothing closes" in ran.stderr
    assert "--column" not in ran.stderr
    head = ["手机号", "备注", "wire_number", "reason"]
    assert _rows(wurao, "list.reachable.csv") == [head]
    assert _rows(wurao, "list.not-reachable.csv") == [
        head,
        [SILENT, f"见\n{CONSENTED},甲", SILENT, "no_consent"],
        [f'{REFUSED},"a"b', "", "", "malformed_number"],
        [f'17012345678,"c\n{CONSENTED}', "", "", "malformed_number"],
    ]


def test_a_list_of_lines_needs_no_header_and_is_quoted_where_need_be(registry: Path, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    path = wurao.file("list.txt", CONSENTED, "13800138001", 'no, "really"')
    _scrub(wurao, path, registry)
    assert _rows(wurao, "list.reachable.csv") == [[CONSENTED, CONSENTED, "consented"]]
    assert _rows(wurao, "list.not-reachable.csv") == [
        ["13800138001", "+8613800138001", "no_consent"],
        ['no, "really"', "", "malformed_number"],
    ]


def test_under_an_opt_out_policy_silence_is_no_refusal(registry: Path, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    _scrub(wurao, wurao.file("list", SILENT), registry, "--policy", "opt-out")
    assert _rows(wurao, "list.reachable.csv") == [[SILENT, SILENT, "default_allow"]]


def test_a_sender_that_may_not_send_is_told_once(registry: Path, tmp_path: Path) -> None:
    registry.write_bytes(registry.read_bytes() + encode(Sender("X", "x", "95588", "revoked", ())) + b"\n")
    wurao = Wurao(tmp_path)
    ran = wurao.run(
        "scrub",
        wurao.file("list", CONSENTED, REFUSED),
        *("--registry", registry, "--channel", "sms", "--sender", "X", "--category", "finance", "--out", tmp_path),
    )
    assert ran.stderr.count("sender X is unlicensed on sms: nobody can be reached") == 1
    assert "unlicensed" in ran.stdout


@pytest.mark.parametrize(
    ("sender", "category", "told"),
    [
        ("s", "finance", "sender 's': the registry knows S"),
        ("S", "finanse", "category 'finanse': the policy knows finance, general"),
    ],
)
def test_a_misspelt_name_is_an_error_that_tells_what_is_known(
    registry: Path, tmp_path: Path, sender: str, category: str, told: str
) -> None:
    wurao = Wurao(tmp_path)
    path = wurao.file("list", CONSENTED)
    words = ("--registry", registry, "--channel", "sms", "--sender", sender, "--category", category, "--out", tmp_path)
    ran = wurao.run("scrub", path, *words)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_the_two_files_are_in_the_encoding_of_the_list(registry: Path, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("sep=;\n姓名;手机号\n王;13800138000\n李;13900139000\n", encoding=encoding)
    _scrub(Wurao(tmp_path), path, registry)
    kept = (tmp_path / "out" / "list.reachable.csv").read_text(encoding=encoding)
    assert kept == f"sep=;\n姓名;手机号;wire_number;reason\n王;13800138000;{CONSENTED};consented\n"


def test_an_xlsx_is_split_into_files_that_its_program_reads(registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    path.write_bytes(workbook([["姓名", "手机号"], ["王", 13800138000], ["李", 13900139000]]))
    _scrub(Wurao(tmp_path), path, registry)
    kept = (tmp_path / "out" / "list.reachable.csv").read_text(encoding="utf-8")
    assert kept == f"\ufeff姓名,手机号,wire_number,reason\n王,13800138000,{CONSENTED},consented\n"


def test_a_row_whose_number_is_an_error_of_its_sheet_is_not_lost(registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    more = '<row r="3"><c r="A3" t="e"><v>#N/A</v></c></row><row r="4"><c r="A4"><f>A2</f></c></row>'
    path.write_bytes(workbook([["手机号"], [13800138000]], more=more))
    _scrub(Wurao(tmp_path), path, registry, code=1)
    kept = (tmp_path / "out" / "list.not-reachable.csv").read_text(encoding="utf-8")
    assert kept == "\ufeff手机号,wire_number,reason\n#N/A,,malformed_number\n#FORMULA?,,malformed_number\n"


def test_a_list_comes_by_a_pipe_as_well(registry: Path, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    words = ("--registry", registry, "--channel", "sms", "--sender", "S", "--category", "finance", "--out", tmp_path)
    assert wurao.run("scrub", "-", *words, stdin=f"{CONSENTED}\r{REFUSED}").returncode == 0
    assert (tmp_path / "list.reachable.csv").read_text() == f"{CONSENTED},{CONSENTED},consented\n"


def test_a_list_of_which_most_lines_are_no_numbers_is_an_error(registry: Path, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    words = ("--registry", registry, "--channel", "sms", "--sender", "S", "--category", "finance", "--out", tmp_path)
    rows = [f"{n:08d},{13800138000 + n}" for n in range(12)]
    ran = wurao.run("scrub", wurao.file("orders.csv", "number,buyer", *rows), *words)
    assert ran.returncode == 1
    assert "12 of 12 lines have no number in column 1; the columns are 1 'number', 2 'buyer'" in ran.stderr
    assert not list(tmp_path.glob("*reachable*"))
    # Of a few lines each is told, and the error code says that something is wrong.
    assert wurao.run("scrub", wurao.file("few.txt", CONSENTED, "138", "139"), *words).returncode == 1
    assert "consented" in (tmp_path / "few.reachable.csv").read_text()


def test_a_broken_registry_line_is_named_and_the_exit_code_says_so(registry: Path, tmp_path: Path) -> None:
    registry.write_bytes(registry.read_bytes() + b"{\n")
    wurao = Wurao(tmp_path)
    options = ("--registry", registry, "--out", tmp_path / "out")
    ran = wurao.run(*SCRUB, wurao.file("list", CONSENTED), *options)
    assert ran.returncode == 1
    assert f"{registry}:{len(WORLD) + 1}: " in ran.stderr


@pytest.mark.parametrize("column", ["nonesuch", "9"])
def test_a_column_that_is_not_there_is_refused(column: str, tmp_path: Path) -> None:
    path = Wurao(tmp_path).file("list.csv", "a,b", "1,2")
    with pytest.raises(BulkFileError, match="no column"):
        layout_of(opened(path), asked=(NUMBER,), column=column)


@pytest.mark.parametrize(
    ("lines", "column", "numbers"),
    [
        (["x;13800138000", "y;13900139000"], "2", ["13800138000", "13900139000"]),
        (["id\tphone", "1\t138"], None, ["138"]),
        (["a,b", "138,139"], "2", ["139"]),
        (["a,b", "138,139"], "B", ["139"]),
        (["138,139", "a"], "2", ["139", ""]),
        (["138"], "1", ["138"]),
        (["number", "138"], None, ["138"]),
        (['"name","tel"', '"a","138"'], None, ["138"]),
    ],
)
def test_the_column_of_the_numbers_is_found(
    lines: list[str], column: str | None, numbers: list[str], tmp_path: Path
) -> None:
    path = Wurao(tmp_path).file("list", *lines)
    file = opened(path)
    layout = layout_of(file, asked=(NUMBER,), column=column)
    found = [text.decode() for some in rows(file, layout, (NUMBER,), strict=False) for text in some.cells[0]]
    assert found == numbers


_numbers = st.sampled_from(
    ["+8613800138000", "+8613900139000", "+861087654321", "+442079460000", "10086", "95588", "110", "+8610110", "12"]
)


@st.composite
def _worlds(draw: st.DrawFn) -> list[FileRecord]:
    records: list[FileRecord] = draw(st.sampled_from([[SENDER], [], [Sender("S", "x", "95588", "revoked", ())]]))
    orders = draw(st.lists(st.sampled_from(["suspend", "stop", "limit"]), max_size=2))
    sends = draw(st.sampled_from([None, "sms", "call"]))
    until = draw(st.sampled_from([None, NOW, NOW + 1]))
    words = []
    for number in draw(st.lists(_numbers, max_size=6)):
        if parse(number) is not None:
            will, sender, category = draw(
                st.sampled_from(
                    [
                        ("refuse", None, None),
                        ("refuse", "S", None),
                        ("refuse", None, "finance"),
                        ("refuse", "T", None),
                        ("consent", "S", "finance"),
                        ("consent", "S", "travel"),
                        ("lift", None, None),
                    ]
                )
            )
            words.append(Expression(number, "sms", will, 1, "t", sender, category))  # type: ignore[arg-type]
    return [
        *records,
        *(
            Order(f"O-{place}", measure, 0, "b", sender="S", channel=sends, until=until)  # type: ignore[arg-type]
            for place, measure in enumerate(orders)
        ),
        *words,
    ]


@pytest.mark.parametrize("policy", ["cn-2020", "opt-out"])
@given(records=_worlds(), numbers=st.lists(_numbers, min_size=1, max_size=9, unique=True))
def test_each_answer_is_the_decision_on_lawful_commercial_traffic(
    policy: str, records: list[FileRecord], numbers: list[str]
) -> None:
    world = World(load(policy), registry_of(records))
    scrubber = Scrubber(world.policy, world.registry, channel="sms", sender="S", category="finance", now=NOW)
    codes = scrubber.answer([number.encode() for number in numbers]).codes
    for number, code in zip(numbers, codes.tolist(), strict=True):
        event = Sms(
            id="1",
            time=NOW,
            to=number,
            sender="S",
            from_="10691",
            purpose="commercial",
            category="finance",
            text="【某某银行】95588 拒收请回复R",
        )
        decision = decide(event, world, NOW)
        assert REASONS[code] == decision.reason
        assert (REASONS[code] in REACHABLE) == (
            decision.verdict == "allow" and world.policy.numbering.person(number) is not None
        )


def test_a_duplicate_is_found_whichever_chunk_it_is_in() -> None:
    scrubber = Scrubber(load(), registry_of(WORLD), channel="sms", sender="S", category="finance", now=NOW)
    first = scrubber.answer([b"13800138000", b"13800138000"]).codes.tolist()
    second = scrubber.answer([b"+8613800138000", b"13900139000"]).codes.tolist()
    assert [REASONS[code] for code in first + second] == ["consented", "duplicate", "duplicate", "refused"]


def test_a_cell_of_any_length_is_one_that_holds_no_number(tmp_path: Path, registry: Path) -> None:
    """One of 140,000 bytes ended the command."""
    wurao = Wurao(tmp_path)
    long = (f"{SILENT},{'x' * 140_000}", f"{'1' * 140_000},z")
    path = wurao.file("long.csv", "number,note", f"{CONSENTED},x", *long, f"{REFUSED},y", f"{REFUSED},z")
    answer = _scrub(wurao, path, registry)
    assert answer["reachable"]["count"] == 1  # type: ignore[index]
    assert answer["not_reachable"]["count"] == 4  # type: ignore[index]
    out = wurao.folder / "out" / "long.not-reachable.csv"
    assert out.stat().st_mode & 0o777 == 0o600
