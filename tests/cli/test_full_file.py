"""`wurao registry import --replace-scope`: a full file becomes a difference, and lifts nothing that is not its own."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from stream.model.registry import Expression
from stream.registry.registry import registry_of
from stream.testbed.processes import wurao_command
from tests.cli.command import Wurao, a_source, persons
from tests.feed.workbook import workbook
from tests.filter.harness import Broker
from tests.patience import LONG_S

T = 1_790_000_000_000
"""A moment of this year; tests count from it."""

pytestmark = pytest.mark.kafka


@contextmanager
def _asked(wurao: Wurao, *words: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """An import that an operator runs at a terminal, once its question stands; and the terminal's other side."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        wurao_command(*words), env=wurao.environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    told = b""
    try:
        while b"[y/N]" not in told:
            told += os.read(ours, 4096)
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _rest(terminal: int) -> bytes:
    """What is told from here to the end."""
    told = b""
    with suppress(OSError):  # at the end of a terminal
        while some := os.read(terminal, 4096):
            told += some
    return told


def test_a_full_file_becomes_the_difference_and_narrower_wishes_stay(registry: Broker, tmp_path: Path) -> None:
    a, b, c, d = persons(4)  # whom the story is about
    platform = a_source()
    wurao = Wurao(tmp_path, registry)
    replace = ("--replace-scope", "call", "--source", platform, "--leaving-max", "100")
    first = wurao.file("first.txt", a, b, c)
    assert wurao.asked("registry", "import", first, *replace, "--time", str(T + 10), "--yes")["written"] == {
        "registry.expressions": 3
    }
    kept = [
        Expression(b, "call", "refuse", T + 20, "web-form", "S"),
        Expression(b, "call", "consent", T + 21, "web-form", "S", "c", "sha256:1"),
        Expression(b, "call", "consent", T + 22, "web-form", "T", "c"),
        Expression(b, "call", "lift", T + 23, "web-form", "T", "c"),
    ]
    own = Expression(d, "call", "refuse", 20, "reply")
    registry.write_registry([*kept, own])
    second = wurao.file("second.txt", a, "+8613900139000")
    shown = wurao.run("registry", "import", second, *replace, "--time", str(T + 30))
    assert shown.returncode == 1
    assert "           1  new, will be refused (+86139****9000)" in shown.stderr
    assert "           2  no longer in the file, will be lifted" in shown.stderr
    assert "give --yes" in shown.stderr
    assert len(wurao.expressions()) == 8

    assert wurao.asked("registry", "import", second, *replace, "--time", str(T + 30), "--yes")["written"] == {
        "registry.expressions": 5  # a refusal, two lifts, and the two narrower wishes that stand
    }
    words = wurao.expressions()
    said_by_b = [word for word in words if word.subscriber == b][-3:]
    assert [word.will for word in said_by_b] == ["lift", "refuse", "consent"]
    assert said_by_b[1:] == kept[:2], "with their own time and evidence"
    wills = registry_of(list(words)).wills

    def stance(number: str, sender: str) -> str:
        return wills.stance("call", int(number[1:]), sender, "c")  # type: ignore[arg-type]

    assert [stance(number, "X") for number in (a, b, c, d)] == ["refused", "silent", "silent", "refused"]
    assert stance(b, "S") == "consented"
    assert stance("+8613900139000", "X") == "refused"
    assert wurao.asked("registry", "import", second, *replace, "--time", str(T + 30), "--yes")["written"] == {}
    # An older file that is imported after a newer one does not take back what came since.
    assert wurao.asked("registry", "import", first, *replace, "--time", str(T + 10), "--yes", code=1)["written"] == {}


def test_a_full_file_never_lifts_what_it_cannot_read(registry: Broker, tmp_path: Path) -> None:
    platform = a_source()
    wurao = Wurao(tmp_path, registry)
    replace = ("--replace-scope", "call", "--source", platform, "--yes", "--time")
    numbers = persons(40)
    assert wurao.run("registry", "import", wurao.file("oct.txt", *numbers), *replace, str(T)).returncode == 0
    # Characters that nobody sees are no part of a number; a line that is none changes everything.
    seen = wurao.file("nov.txt", *(f"\u202a{number}\u202c" for number in numbers))
    assert wurao.asked("registry", "import", seen, *replace, str(T + 1))["written"] == {}

    def refused(content: str, *words: str) -> str:
        path = tmp_path / "dec.txt"
        path.write_text(content)
        ran = wurao.run("registry", "import", path, *replace, str(T + 2), *words)
        assert ran.returncode == 1
        assert len(wurao.expressions()) == len(numbers), "nothing is changed"
        return ran.stderr

    lines = "".join(f"{number}\n" for number in numbers)
    assert "1 lines cannot be read" in refused(lines.replace(numbers[7], "1380013 800?"))
    assert (tmp_path / "dec.txt.bad").read_text() == "1380013 800?\n"
    assert "its last line has no end" in refused(lines.removesuffix("\n"))
    assert "7.5% of those registered would leave, more than 5.0%" in refused("".join(lines.splitlines(True)[3:]))
    assert "nothing was changed" in refused(lines[:-4])

    sheet = tmp_path / "dec.xlsx"
    lost = '<row r="40"><c r="A40" t="e"><v>#N/A</v></c></row><row r="41"><c r="A41"><f>A1</f></c></row>'
    sheet.write_bytes(workbook([["mobile"], *([number] for number in numbers[2:])], more=lost))
    ran = wurao.run("registry", "import", sheet, *replace, str(T + 2))
    assert ran.returncode == 1
    assert "2 lines cannot be read" in ran.stderr
    assert len(wurao.expressions()) == len(numbers), "nothing is changed"

    few = wurao.file("few.txt", *numbers[2:])
    assert wurao.asked("registry", "import", few, *replace, str(T + 2))["written"] == {"registry.expressions": 2}
    trusted = (*replace, str(T + 3), "--trust-file")
    cut = wurao.file("cut.txt", *numbers[2:30], "1380")
    assert wurao.asked("registry", "import", cut, *trusted, code=1)["written"] == {"registry.expressions": 10}


def test_a_full_file_leaves_alone_who_refused_by_letter(registry: Broker, tmp_path: Path) -> None:
    a, b, c, d = persons(4)  # whom the story is about
    platform = a_source()
    wurao = Wurao(tmp_path, registry)
    words = ("--channel", "call", "--will", "refuse", "--source", "letters", "--time", str(T))
    assert wurao.run("registry", "import", wurao.file("let.txt", a, b), *words).returncode == 0
    replace = ("--replace-scope", "call", "--source", platform, "--leaving-max", "100", "--yes", "--time")
    ran = wurao.run("registry", "import", wurao.file("pl1.txt", a, b, c), *replace, str(T + 1))
    assert "           1  new, will be refused" in ran.stderr
    assert "           2  in both, unchanged (2 refused by another source: not this one's to lift)" in ran.stderr
    assert wurao.run("registry", "import", wurao.file("pl2.txt", c), *replace, str(T + 2)).returncode == 0
    assert wurao.run("registry", "import", wurao.file("pl3.txt", d), *replace, str(T + 3)).returncode == 0
    said = {(word.subscriber, word.will, word.source) for word in wurao.expressions()}
    assert said == {
        (a, "refuse", "letters"),
        (b, "refuse", "letters"),
        (c, "refuse", platform),
        (c, "lift", platform),
        (d, "refuse", platform),
    }


def test_who_refuses_while_the_question_stands_is_neither_lifted_nor_written_over(
    registry: Broker, tmp_path: Path
) -> None:
    a, b, c, d, e = persons(5)  # whom the story is about
    platform = a_source()
    wurao = Wurao(tmp_path, registry)
    words = ("registry", "import", "--replace-scope", "call", "--source", platform, "--leaving-max", "100")
    first = wurao.file("first.txt", a, b, c)
    assert wurao.run(*words, first, "--time", str(T), "--yes").returncode == 0
    second = wurao.file("second.txt", d, e)
    with _asked(wurao, *words, second, "--time", str(T + 10)) as (process, terminal):
        meanwhile = [
            Expression(a, "call", "refuse", T + 5, "letters"),
            Expression(b, "call", "refuse", T + 5, platform),  # its own source, and dated before the file
            Expression(c, "call", "refuse", T + 5, "letters", "S"),
            Expression(d, "call", "refuse", T + 5, "letters"),
        ]
        registry.write_registry(meanwhile)
        os.write(terminal, b"y\n")
        told = _rest(terminal)
        assert process.wait(LONG_S) == 0, told
    assert b"3  refused everything meanwhile, left alone" in told
    after = [(word.subscriber, word.will, word.source, word.sender) for word in wurao.expressions() if word.time != T]
    assert sorted(after, key=str) == sorted(
        [
            *((word.subscriber, word.will, word.source, word.sender) for word in meanwhile),
            (c, "lift", platform, None),
            (c, "refuse", "letters", "S"),  # again, behind the lift
            (e, "refuse", platform, None),
        ],
        key=str,
    )
    # Nor by a later file: the refusals that letters wrote stayed theirs.
    assert wurao.run(*words, wurao.file("third.txt", e), "--time", str(T + 20), "--yes").returncode == 0
    wills = registry_of(list(wurao.expressions())).wills
    stances = {number: wills.stance("call", int(number[1:]), "X", "c") for number in (a, b, c, d)}  # type: ignore[arg-type]
    assert stances == {a: "refused", b: "silent", c: "silent", d: "refused"}


def test_a_letter_that_arrives_after_a_newer_refusal_of_the_platform_is_late_listed_and_goes_with_it(
    registry: Broker, tmp_path: Path
) -> None:
    """By *Order* the newest about a scope counts, whoever wrote it: docs/decisions/0019 says why that is right."""
    a, b, c = persons(3)  # whom the story is about
    platform = a_source()
    wurao = Wurao(tmp_path, registry)
    replace = ("--replace-scope", "call", "--source", platform, "--leaving-max", "100", "--yes", "--time")
    letters = ("--channel", "call", "--will", "refuse", "--source", "letters", "--time", str(T + 5))
    assert wurao.run("registry", "import", wurao.file("early.txt", a), *letters).returncode == 0
    assert wurao.run("registry", "import", wurao.file("oct.txt", a, b), *replace, str(T + 10)).returncode == 0
    late = wurao.asked("registry", "import", wurao.file("late.txt", b), *letters, code=1)
    assert (late["late"], late["written"]) == (1, {})
    assert b in (tmp_path / "late.txt.skipped").read_text(), "so that it can be given anew"
    assert wurao.run("registry", "import", wurao.file("nov.txt", c), *replace, str(T + 20)).returncode == 0
    wills = registry_of(list(wurao.expressions())).wills
    stances = {number: wills.stance("call", int(number[1:]), "X", "c") for number in (a, b, c)}  # type: ignore[arg-type]
    assert stances == {a: "refused", b: "silent", c: "refused"}


def test_ctrl_c_ends_the_question_and_the_import(registry: Broker, tmp_path: Path) -> None:
    (a,) = persons(1)  # whom the story is about
    wurao = Wurao(tmp_path, registry)
    words = ("registry", "import", wurao.file("r.txt", a), "--replace-scope", "call", "--source", "s")
    with _asked(wurao, *words) as (process, terminal):
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG_S) == 130
        assert b"Traceback" not in _rest(terminal)
    assert wurao.expressions() == []
