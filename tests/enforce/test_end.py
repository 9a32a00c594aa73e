"""How it ends when the broker has gone: within its bound, without having lost anything."""

import re
import time
from pathlib import Path

import pytest

from stream.model.control import Complaint
from stream.testbed.local import LocalKafka
from tests.enforce.harness import NOW, SESSION_TIMEOUT_MS, EnforceProcess, intake_record, views, wait_until
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

BOUND_MS = 2_000


def says(process: EnforceProcess, pattern: str) -> bool:
    """Whether it says this where it is asked whether it is ready."""
    return re.match(pattern, process.get("/readyz") or "") is not None


@pytest.mark.parametrize("when", ["during its start", "once it is ready"])
def test_where_the_broker_has_gone_it_says_so_and_ends_within_its_bound_when_asked_to(
    tmp_path: Path, when: str
) -> None:
    with LocalKafka() as kafka:
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        process = EnforceProcess(broker, tmp_path, WURAO_ENFORCE__DRAIN_TIMEOUT_MS=str(BOUND_MS))
        process.start()
        if when == "once it is ready":
            process.wait_ready()
        else:
            wait_until(lambda: "partitions assigned, table recovered" in process.log, what="its partitions")
    with process:
        wait_until(lambda: says(process, "no broker of .* has answered"), what="its reason")
        assert process.get("/healthz") == "alive\n"
        began = time.monotonic()
        assert process.terminate() == 0
        took_s = time.monotonic() - began
        assert took_s < 10 * BOUND_MS / 1000, "its bound, and what a busy machine adds"


def test_after_an_outage_that_outlasts_its_session_it_deals_with_what_comes(tmp_path: Path) -> None:
    def complaint(name: str) -> Complaint:
        said_by = "+8613800138000"
        return Complaint(name, NOW, subscriber=said_by, channel="sms", sender=f"ORG-{name}", at=NOW, text="。")

    with LocalKafka(directory=tmp_path / "kafka") as kafka:
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        with EnforceProcess(broker, tmp_path) as process:
            process.wait_ready()
            broker.write([intake_record(complaint("before"))])
            wait_until(lambda: len(views(broker)) == 1, what="a case")
            kafka.kill(1)
            wait_until(lambda: says(process, "no broker of .* has answered"), what="its reason")
            time.sleep(1.5 * SESSION_TIMEOUT_MS / 1000)
            kafka.restart(1)
            process.wait_ready()
            broker.write([intake_record(complaint("after"))])
            wait_until(lambda: len(views(broker)) == 2, what="a second case")
            assert process.terminate() == 0
            assert "Traceback" not in process.log
            assert "never awaited" not in process.log
            lines = process.log.splitlines()
            assert all(line.startswith("{") for line in lines)
            assert len(lines) < 200, "one line of a kind, and then counts"


def test_it_waits_for_a_broker_and_ends_when_asked_to(tmp_path: Path) -> None:
    with EnforceProcess(Broker("127.0.0.1:1"), tmp_path) as process:
        wait_until(lambda: says(process, "no broker "), what="its reason")
        assert process.get("/healthz") == "alive\n"
        assert process.terminate() == 0
