"""The audit while its broker is away: it says so in a line, waits, finds the same afterwards, and ends when asked."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stream.testbed.local import LocalKafka
from tests.audit.test_audit import AUDIT_PORT, Audited, environment, metrics_with, ready, running_audit, until
from tests.audit.test_fetches import PER_PARTITION, an_old_backlog
from tests.filter.harness import PARTITIONS, Broker
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

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


def _agrees(count: int) -> str:
    return f'wurao_audit_decisions_total{{outcome="agrees"}} {float(count)}'


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
        until(lambda: ready() == "ready\n")
        local.kill(1)
        until(lambda: "no broker" in ready())
        until(lambda: "no broker answers" in log.read_text("utf-8"))
        local.restart(1)
        until(lambda: ready() == "ready\n")
        again = broker.read("decisions")[0]
        broker.write([("decisions", again.partition, again.key, again.value)])
        metrics_with(AUDIT_PORT, _agrees(DECISIONS + 1))
        local.kill(1)
        until(lambda: "no broker" in ready())
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG_S) == 0
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
        until(lambda: "judging decisions" in log.read_text("utf-8"))
        local.kill(1)
        until(lambda: "no broker answers" in log.read_text("utf-8"))
        local.restart(1)
        told, _ = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
    found = msgspec.json.decode(told, type=Audited)
    assert (process.returncode, found.agrees, found.whys, found.violations) == (0, DECISIONS, {}, [])
    _see_clean(log)
