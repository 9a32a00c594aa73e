"""The audit while its broker is away: it says so in a line, waits, finds the same afterwards, and ends when asked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stream.testbed.local import LocalKafka
from stream.testbed.processes import environment_with, wurao_command
from tests.audit.test_audit import Audited, AuditProcess, until
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


def _without_a_broker(process: AuditProcess) -> bool:
    return "no broker" in (process.get("/readyz") or "")


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
    with AuditProcess(broker, tmp_path) as process:
        process.metrics_with(_agrees(DECISIONS))
        until(lambda: process.is_ready)
        local.kill(1)
        until(lambda: _without_a_broker(process))
        until(lambda: "no broker answers" in log.read_text("utf-8"))
        local.restart(1)
        until(lambda: process.is_ready)
        again = broker.read("decisions")[0]
        broker.write([("decisions", again.partition, again.key, again.value)])
        process.metrics_with(_agrees(DECISIONS + 1))
        local.kill(1)
        until(lambda: _without_a_broker(process))
        assert process.terminate() == 0
    _see_clean(log)


def test_once_finds_the_same_where_the_broker_goes_in_the_midst_of_it(
    local: LocalKafka, broker: Broker, tmp_path: Path
) -> None:
    an_old_backlog(broker)
    log = tmp_path / "once.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            wurao_command("audit", "--once", "--json"),
            env=environment_with({"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, "WURAO_AUDIT__BATCH_RECORDS_MAX": "1"}),
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
