"""How it ends when the broker has gone: within its bound, without having lost anything."""

import time
from pathlib import Path

import pytest

from stream.kafka.local import LocalKafka
from tests.enforce_app.harness import EnforceProcess, wait_until
from tests.filter.harness import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

BOUND_MS = 2_000


def test_where_the_broker_has_gone_it_says_so_and_ends_within_its_bound_when_asked_to(tmp_path: Path) -> None:
    with LocalKafka() as kafka:
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        process = EnforceProcess(broker, tmp_path, WURAO_ENFORCE__DRAIN_TIMEOUT_MS=str(BOUND_MS))
        process.wait_ready()
    with process:
        wait_until(lambda: process.get("/readyz") == "the broker does not answer\n", within_s=60, what="its reason")
        began = time.monotonic()
        assert process.terminate(within_s=BOUND_MS / 1000 + 3) == 0
        assert time.monotonic() - began < BOUND_MS / 1000 + 2


def test_it_waits_for_a_broker_and_ends_when_asked_to(tmp_path: Path) -> None:
    with EnforceProcess(Broker("127.0.0.1:1"), tmp_path) as process:
        wait_until(lambda: process.get("/readyz") == "no broker has answered yet\n", within_s=60, what="its reason")
        assert process.get("/healthz") == "alive\n"
        assert process.terminate(within_s=5) == 0
