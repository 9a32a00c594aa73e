"""What is logged: no number and no secret, whoever logs; of libraries the first of a kind, then a count; JSON alone."""

import json
import logging
import subprocess
import sys
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.logs import FewOfAKind
from stream.model.hiding import TEXT_CHARACTERS_MAX, hidden, without_numbers, without_quoted
from tests.patience import LONG_S

FLOOD = """
import asyncio, logging, warnings
from stream import logs
logs.configure()
log = logging.getLogger("aiokafka.client")
for node in range(1000):
    log.error("Unable connect to node with id %s: %s", node, "refused")
log.error("Topic %s not found in cluster metadata", "t")
try:
    try:
        raise OSError("refused")
    except OSError as error:
        raise ValueError("no start") from error
except ValueError:
    log.exception("Unexpected error in sender routine")
    logging.getLogger("aiohttp.server").exception("Error handling request")
async def forgotten(): pass
for _ in range(50):
    forgotten()
async def main():
    async def fail(): raise ConnectionError("gone")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
asyncio.run(main())
logs.get("stream.filter").warning("ours"); logs.get("stream.filter").warning("ours")
"""


def test_a_flood_of_a_librarys_messages_is_a_line_of_each_kind_and_all_lines_are_json() -> None:
    ran = subprocess.run([sys.executable, "-c", FLOOD], capture_output=True, text=True, check=True, timeout=LONG_S)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(line["logger"], line["event"].split("\n")[0][:44]) for line in lines if "warn" not in line["logger"]] == [
        ("aiokafka.client", "Unable connect to node with id 0: refused"),
        ("aiokafka.client", "Topic t not found in cluster metadata"),
        ("aiokafka.client", "Unexpected error in sender routine"),
        ("aiohttp.server", "Error handling request"),
        ("asyncio", "Task exception was never retrieved"),
        ("stream.filter", "ours"),
        ("stream.filter", "ours"),
    ]
    by_event = {line["event"].split("\n")[0]: line for line in lines}
    assert by_event["Unexpected error in sender routine"]["error"] == "ValueError: no start from OSError: refused"
    assert "refused" not in json.dumps(by_event["Error handling request"]), "a stranger's words may stand in it"
    assert by_event["Task exception was never retrieved"]["error"] == "ConnectionError: gone"
    warned = [line for line in lines if line["logger"] == "py.warnings"]
    assert len(warned) == 1
    assert "was never awaited" in warned[0]["event"]


STRANGERS = """
import asyncio, logging, sys, threading, warnings
from aiohttp import web
from stream import logs
logs.configure(verbose="--verbose" in sys.argv)
FORMS = {forms!r}
class Unprintable(Exception):
    def __str__(self): raise ValueError("+8613777766665")
async def main():
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    for request in (
        b"GET / HTTP/1.1\\r\\nHost: a\\r\\nAuthorization : Bearer SECRET-TOKEN\\r\\n\\r\\n",
        b"GET /cases?party=number|+8613777766665 and more HTTP/1.1\\r\\n\\r\\n",
        b"G'T /+8613777766665 HTTP/1.1\\r\\n\\r\\n",
        b"+8613777766665\\r\\n\\r\\n",
    ):
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(request)
        await reader.read(1)
        writer.close()
    asyncio.get_running_loop().call_exception_handler({{"message": FORMS[0], "exception": KeyError(FORMS[0])}})
    await runner.cleanup()
asyncio.run(main())
for place, form in enumerate(FORMS):
    for name in ("stream.part", "aiokafka.part", "aiohttp.part", "somebody"):
        log = logs.get(name) if name.startswith("stream") else logging.getLogger(name)
        try:
            raise KeyError(form) from ValueError(f"{{form!r}}: no number, it's {{form}}")
        except KeyError as error:
            fields = {{"value": form, "many": [form, {{form: form.encode()}}], "error": error}}
            log.exception(f"{{place}} {{form!r}}", **(fields if name.startswith("stream") else {{}}))
            log.error(f"{{place}} {{form!r}} it's {{form}} %s %r", form, form)
            log.error(f"{{place}} too few %s %s", form)
    warnings.warn(f"{{place}} {{form}}")
for text in (
    "Authorization: Bearer SECRET-TOKEN",
    "Cookie: a=SECRET-TOKEN",
    "https://u:SECRET-TOKEN@host/",
    "https://host/hook?key=SECRET-TOKEN",
    "api.token=SECRET-TOKEN",
    "{{'password': 'SECRET-TOKEN'}}",
    "bearer SECRET-TOKEN",
):
    logs.get("stream.part").error(text, value=text)
    logging.getLogger("aiokafka.other").error("%s", text)
logs.get("stream.part").error("unprintable", value=Unprintable, exc_info=Unprintable())
thread = threading.Thread(target=lambda: {{}}[FORMS[0]])
thread.start()
thread.join()
raise KeyError(FORMS[0], "SECRET-TOKEN")
"""

FORMS = (
    "+8613777766665",
    "137 777 666 65",
    "+86-137-7776-6665",
    "0086 (137) 7776.6665",
    "１３７７７７６６６６５",
    "١٣٧٧٧٧٦٦٦٦٥",
    "①③⑦⑦⑦⑦⑥⑥⑥⑥⑤",
    "137\u200b7776\u200b6665",
    "137\u3000\u30007776—6665",
    "1'37777666'65",
    '137"7776"6665',
    "%2B861%33777766665",
    "138%2037777%206665",
    "%25EF%25BC%2591%25EF%25BC%2593%25EF%25BC%2597",
    "&#49;&#51;&#55;&#55;&#55;&#x37;&#x36;&#x36;",
    r"\061\063\067\067\067\067\066\066",
    r"\\u0031\\u0033\\u0037\\u0037\\u0037\\u0037\\u0036",
)


@pytest.mark.parametrize("options", [[], ["--verbose"]])
def test_whoever_logs_no_number_and_no_token_is_written_in_whatever_form(options: list[str]) -> None:
    program = STRANGERS.format(forms=FORMS)
    ran = subprocess.run([sys.executable, "-c", program, *options], check=False, capture_output=True, timeout=LONG_S)
    assert ran.returncode == 1, "of the exception at the end"
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {line["logger"] for line in lines} >= {
        "aiohttp.server", "aiohttp.part", "aiokafka.part", "asyncio", "py.threads", "py.warnings", "somebody", "stream",
        "stream.part",
    }  # fmt: skip
    assert lines[-1]["event"] == "the process ends by a fault of the program"
    logged = [value for line in lines for name, value in line.items() if name not in ("timestamp", "logger", "level")]
    for text in map(str, logged):
        digits = "".join(c for c in normalize("NFKC", text) if c.isdecimal())
        assert not any(sign in digits for sign in ("37777", "77776", "66665", "٣٧٧٧٧")), text
        assert "SECRET" not in text


def test_what_operators_need_is_not_hidden() -> None:
    for kept in (
        "http://127.0.0.1:9600/metrics",
        "10.244.12.130:9092",
        "until 2026-11-30T12:00:00.123456",
        "1,000,000 records of 12,345,678 bytes",
        "wurao sign snapshots/registry-1796053626083.snapshot",
        "sha256:4f1c2b8813777766665d3a0f4f1c2b88a1d3a0f4",
        "C-bcdf-ghjk-mnpq-rstv",
        "k7Qf2-17 ORG-1042 cn-2020.2 events.sms-11, 95588",
        "it isn't ready; don't restart it",
    ):
        assert hidden(kept) == kept
    assert without_quoted("It isn't there: topic 'a' not found") == "It isn't there: topic '****' not found"
    assert without_quoted("no b'a' and 'b") == "no b'****'b"


@given(st.text(max_size=60), st.sampled_from(FORMS), st.text(max_size=60))
def test_a_number_is_hidden_whatever_stands_around_it(before: str, number: str, behind: str) -> None:
    for shown in (hidden(f"{before} {number} {behind}"), without_numbers(f"{before} {number!r} {behind}")):
        assert number not in shown


def test_hiding_is_linear_and_its_text_bounded() -> None:
    for piece in (
        "1 ",
        "'",
        "a-",
        "://",
        "1%20",
        "\\x31",
        "10.0.0.1.",
        "%25",
        "\\",
        "&#1",
        "2026-01-01-",
        "a1",
        "authorization ",
        "０\u0301",
    ):
        for function in (hidden, without_quoted, without_numbers):
            assert len(function(piece * 1_000_000)) <= TEXT_CHARACTERS_MAX + 2_000


@pytest.fixture
def moment_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moments = [100.0]
    monkeypatch.setattr("stream.logs.time.monotonic", lambda: moments[0])
    return moments


def _record(message: str, *args: object, name: str = "aiokafka.client") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "client.py", 1, message, args, None)


def test_after_a_while_the_next_of_a_kind_says_how_many_were_held_back(moment_s: list[float]) -> None:
    few = FewOfAKind(every_s=30)
    assert few.filter(_record("down: %s", 1))
    assert not any(few.filter(_record("down: %s", number)) for number in range(99))
    assert few.filter(_record("up: %s", 1)), "another kind"
    moment_s[0] = 131.0
    later = _record("down: %s", 7)
    assert few.filter(later)
    assert vars(later)["held_back"] == 99


def test_a_broker_that_goes_is_one_kind_however_aiokafka_says_it(moment_s: list[float]) -> None:
    few = FewOfAKind(every_s=30)
    assert few.filter(_record("Unable connect to node with id %s: %s", 1, "refused", name="aiokafka"))
    for said in (
        "Unable to update metadata from %s",
        "Heartbeat session expired - marking coordinator dead",
        "Heartbeat failed for group %s: coordinator (node %s) is either not started or not valid",
    ):
        assert not few.filter(_record(said, *["x"] * said.count("%s"), name="aiokafka.consumer.group_coordinator"))
    assert few.filter(_record("Heartbeat failed for group %s because it is rebalancing", "g", name="aiokafka"))
    moment_s[0] = 131.0
    later = _record("Unable to update metadata from %s", [1], name="aiokafka")
    assert few.filter(later)
    assert vars(later)["held_back"] == 3


def test_our_own_messages_are_limited_where_they_are_made_and_not_here() -> None:
    few = FewOfAKind()
    assert all(few.filter(_record("batch", name="stream.filter.lane")) for _ in range(5))


def test_kinds_that_never_end_do_not_fill_the_memory() -> None:
    few = FewOfAKind()
    for number in range(5_000):
        few.filter(_record(f"built by hand {number}" + "x" * 10_000))
    assert len(few._throttles) <= 500
    assert max(len(template) for *_, template in few._throttles) <= 200


def test_what_a_thread_dies_of_is_a_line_of_json() -> None:
    script = (
        "import threading\nfrom stream import logs\nlogs.configure()\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LONG_S)
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (line["logger"], line["error"]) == ("py.threads", "ZeroDivisionError: division by zero")
