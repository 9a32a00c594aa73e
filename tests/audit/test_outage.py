"""The audit while its broker is away: it says so in a line, waits, finds the same afterwards, and ends when asked."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from stream.testbed.local import LocalKafka
from tests.audit.test_audit import AUDIT_PORT, Audited, environment, metrics_with, running_audit
from tests.audit.test_fetches import PER_PARTITION, an_old_backlog
from tests.filter.harness import PARTITIONS, Broker

pytestmark = pytest.mark.kafka

SOON_S = 90.0
LINES_MAX = 60
DECISIONS = PARTITIONS * PER_PARTITION


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalKafka]:
    """A cluster that may go: others' tests have one that stays."""
    with LocalKafka(directory=tmp_path / "kafka") as local:
        yield local


@pytest.fixture
def broker(local: LocalKafka) -> Broker:
    broker = Broker(local.bootstrap)
    broker.create_topics()
    return broker


def _until(reached: Callable[[], bool], *, within_s: float = SOON_S) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.1)


def _ready() -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{AUDIT_PORT}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


def _agrees(count: int) -> str:
    return f'wurao_audit_decisions_total{{outcome="agrees"}} {float(count)}'


def _judged() -> float:
    """Decisions judged so far, whatever came of it; none may differ."""
    with urllib.request.urlopen(f"http://127.0.0.1:{AUDIT_PORT}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counts = dict(line.split() for line in lines if line.startswith("wurao_audit_decisions_total{"))
    assert float(counts['wurao_audit_decisions_total{outcome="differs"}']) == 0
    return sum(map(float, counts.values()))


def _see_clean(log: Path) -> None:
    text = log.read_text("utf-8")
    assert "Traceback" not in text
    assert len(text.splitlines()) <= LINES_MAX, "one line an outage, and counts"


def test_a_running_audit_outlives_its_broker_and_ends_without_it(
    local: LocalKafka, broker: Broker, tmp_path: Path
) -> None:
    an_old_backlog(broker)
    log = tmp_path / "audit.log"
    with running_audit(broker, tmp_path) as process:
        metrics_with(AUDIT_PORT, _agrees(DECISIONS))
        _until(lambda: _ready() == "ready\n")
        local.kill(1)
        _until(lambda: "no broker" in _ready())
        _until(lambda: "no broker answers" in log.read_text("utf-8"))
        local.restart(1)
        _until(lambda: _ready() == "ready\n")
        again = broker.read("decisions")[0]
        broker.write([("decisions", again.partition, again.key, again.value)])
        # An epoch of an hour ago may be forgotten by now; what counts is that decisions are judged again.
        _until(lambda: _judged() == DECISIONS + 1)
        local.kill(1)
        _until(lambda: "no broker" in _ready())
        process.send_signal(signal.SIGTERM)
        assert process.wait(SOON_S) == 0
    _see_clean(log)


def test_once_finds_the_same_where_the_broker_goes_in_the_midst_of_it(
    local: LocalKafka, broker: Broker, tmp_path: Path
) -> None:
    an_old_backlog(broker)
    log = tmp_path / "once.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli.main", "audit", "--once", "--json"],
            env=environment(broker, WURAO_AUDIT__BATCH_RECORDS_MAX="1"),
            stdout=subprocess.PIPE,
            stderr=file,
        )
    try:
        _until(lambda: "judging decisions" in log.read_text("utf-8"))
        local.kill(1)
        _until(lambda: "no broker answers" in log.read_text("utf-8"))
        local.restart(1)
        told, _ = process.communicate(timeout=SOON_S)
    finally:
        process.kill()
    found = msgspec.json.decode(told, type=Audited)
    assert (process.returncode, found.agrees, found.whys, found.violations) == (0, DECISIONS, {}, [])
    _see_clean(log)
