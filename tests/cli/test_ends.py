"""How commands end: a reader that has gone, a full disk and Ctrl-C at any moment leave no traceback."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bloom.number import Msisdn, to_text
from stream.cli.decide import CHUNK_LINES
from stream.model.codec import encode
from stream.model.events import Call
from stream.model.registry import Expression, Sender
from stream.testbed.processes import wurao_command
from tests.cli.command import Wurao
from tests.filter.harness import Broker

NOW = 1_795_500_000_000
FULL = Path("/dev/full")
SENDER = Sender("S", "S", "95588", "active", ())
SCRUB = (
    *("scrub", "LIST", "--registry", "SENDERS", "--channel", "sms", "--sender", "S", "--category", "finance"),
    *("--json", "--out", "OUT"),
)
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


def _calls(path: Path, count: int) -> Path:
    path.write_bytes(b"".join(encode(Call(id=str(n), time=NOW, to="110")) + b"\n" for n in range(count)))
    return path


@needs_full
@pytest.mark.parametrize("words", [("decide", "EVENTS"), ("explain", "EVENT")])
def test_a_full_disk_is_told_in_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    files = {"EVENTS": _calls(tmp_path / "events.ndjson", 3_000), "EVENT": _calls(tmp_path / "event.ndjson", 1)}
    senders = tmp_path / "senders.ndjson"
    senders.write_bytes(encode(SENDER))
    with FULL.open("wb") as full:
        ran = subprocess.run(
            wurao_command(*(files.get(word, word) for word in words), "--registry", senders),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr == "wurao: standard output: No space left on device\n"


@needs_full
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("scrub", "--help")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_that_cannot_be_written_is_no_success(words: tuple[str, ...], unbuffered: str) -> None:
    with FULL.open("wb") as full:
        ran = subprocess.run(
            wurao_command(*words),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (ran.returncode, ran.stderr) == (1, "wurao: standard output: No space left on device\n")


CLOSED = "wurao: standard output: Bad file descriptor\n"


@pytest.mark.parametrize(
    ("words", "streams", "code", "says"),
    [
        (("decide", "EVENTS", "--registry", "SENDERS"), ">&-", 1, CLOSED),
        (("explain", "EVENTS", "--registry", "SENDERS"), ">&-", 1, CLOSED),
        (SCRUB, ">&-", 1, CLOSED),
        (SCRUB, "2>&-", 0, ""),
        (SCRUB, "<&- 2>&-", 0, ""),
        (("decide", "-", "--registry", "SENDERS"), "<&-", 0, ""),
        (("--help",), ">&-", 1, CLOSED),
    ],
)
def test_a_stream_that_is_closed_is_told_in_one_line(
    words: tuple[str, ...], streams: str, code: int, says: str, tmp_path: Path
) -> None:
    senders, numbers = tmp_path / "senders.ndjson", tmp_path / "list.txt"
    senders.write_bytes(encode(SENDER))
    numbers.write_text("13800138000\n")
    files = {"EVENTS": _calls(tmp_path / "events.ndjson", 1), "SENDERS": senders, "LIST": numbers, "OUT": tmp_path}
    line = shlex.join(wurao_command(*(files.get(word, word) for word in words)))
    ran = subprocess.run(["sh", "-c", f"{line} {streams}"], capture_output=True, encoding="utf-8", check=False)
    told = [said for said in ran.stderr.splitlines(keepends=True) if not said.startswith("scrub: ")]
    assert (ran.returncode, "".join(told)) == (code, says)
    if words == SCRUB:
        assert (tmp_path / "list.not-reachable.csv").read_text().startswith("13800138000,")


@needs_full
def test_an_output_that_does_not_fit_is_named_and_the_device_stays(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    numbers = wurao.file("r.txt", *(to_text(Msisdn(8613800000000 + n)) for n in range(2_000)))
    words = ("--channel", "sms", "--will", "refuse", "--source", "letters", "--into", FULL)
    ran = wurao.run("registry", "import", numbers, *words)
    assert ran.returncode == 1
    assert "wurao: /dev/full: No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert FULL.is_char_device()


def test_a_reader_that_has_gone_ends_the_command_quietly(tmp_path: Path) -> None:
    senders = tmp_path / "senders.ndjson"
    senders.write_bytes(encode(SENDER))
    process = subprocess.Popen(
        wurao_command("decide", _calls(tmp_path / "events.ndjson", 20_000), "--registry", senders),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"kind":"decision"')
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1
    process.stderr.close()


_STEPS = """
import signal, sys
seen = 0
def step(event, arguments):
    global seen
    seen += event == "import"
    if event == "import" and seen == {at}:
        signal.raise_signal(signal.SIGINT)
sys.addaudithook(step)
from stream.cli.main import main
sys.argv = ["wurao", "decide", {events!r}]
sys.exit(main())
"""


@pytest.mark.parametrize("at", [12, 30, 60, 120])
def test_ctrl_c_in_the_first_second_ends_it_quietly(at: int, tmp_path: Path) -> None:
    # Whatever is being imported at that moment.
    program = _STEPS.format(at=at, events=str(_calls(tmp_path / "events.ndjson", 10)))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, encoding="utf-8")
    assert (ran.returncode, ran.stderr) == (130, "")


def test_ctrl_c_while_it_waits_for_events_ends_it_quietly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        wurao_command("decide", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_calls(tmp_path / "events.ndjson", CHUNK_LINES).read_bytes())
    process.stdin.flush()
    assert process.stdout.readline().startswith(b'{"kind":"decision"')
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.startswith(b"without --registry no sender is registered"), "nothing of how it ended"
    assert errors.count(b"\n") == 1


def _registered(broker: Broker) -> None:
    broker.write_registry([Expression(f"+86138{n:08d}", "sms", "refuse", NOW, "t") for n in range(30_000)])


@pytest.mark.kafka
def test_an_export_to_a_reader_that_has_gone_ends_quietly(broker: Broker, tmp_path: Path) -> None:
    _registered(broker)
    wurao = Wurao(tmp_path, broker)
    process = subprocess.Popen(
        wurao_command("registry", "export"), env=wurao.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"kind":"expression"')
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1
    process.stderr.close()


@pytest.mark.kafka
def test_ctrl_c_ends_an_export_and_leaves_no_half_file(broker: Broker, tmp_path: Path) -> None:
    _registered(broker)
    wurao = Wurao(tmp_path, broker)
    out = tmp_path / "out.ndjson"
    process = subprocess.Popen(
        wurao_command("registry", "export", "--out", out), env=wurao.environment, stderr=subprocess.PIPE
    )
    while not list(tmp_path.glob(".out.ndjson.tmp")):
        assert process.poll() is None, "it ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == b""
    assert list(tmp_path.glob("*out.ndjson*")) == []
