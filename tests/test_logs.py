"""What libraries log: the first of a kind, then a count; no traceback and no plain line among the JSON."""

import json
import logging
import subprocess
import sys

import pytest

from stream.logs import FewOfAKind
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
    assert by_event["Unexpected error in sender routine"]["error"] == ("ValueError('no start') from OSError('refused')")
    assert "refused" not in json.dumps(by_event["Error handling request"]), "a stranger's words may stand in it"
    assert by_event["Task exception was never retrieved"]["error"] == "ConnectionError('gone')"
    warned = [line for line in lines if line["logger"] == "py.warnings"]
    assert len(warned) == 1
    assert "was never awaited" in warned[0]["event"]


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
        few.filter(_record(f"built by hand {number}"))
    assert len(few._throttles) <= 500


def test_what_a_thread_dies_of_is_a_line_of_json() -> None:
    script = (
        "import threading\nfrom stream import logs\nlogs.configure()\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LONG_S)
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (line["logger"], line["error"]) == ("py.threads", "ZeroDivisionError('division by zero')")
