"""The compose file's services, as processes and in containers, do their work on a genuine Kafka, each with the rights
of its user in the manifests.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import yaml

from stream.enforce.procedures import ids
from stream.model import topics
from stream.model.cases import CaseView
from stream.model.codec import decode_as
from stream.model.control import Complaint, Finding, Party
from stream.testbed.processes import free_ports, http_get
from tests.deploy.guarded import guarded_kafka, login
from tests.deploy.image import engine
from tests.deploy.manifests import COMPOSE_FILE
from tests.deploy.processes import ServiceProcess, Where
from tests.deploy.workloads import Compose
from tests.enforce.harness import finding_event, intake_record, wait_until
from tests.filter import cases
from tests.filter.harness import Broker, event

pytestmark = pytest.mark.kafka

SERVICES = {
    name: service
    for name, service in msgspec.convert(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")), Compose).services.items()
    if service.is_ours and name != "topics"
}


@dataclass
class Deployment:
    where: Where
    broker: Broker
    processes: dict[str, ServiceProcess]
    ports: dict[str, int]


@pytest.fixture(params=["process", "container"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """Everything that the compose file runs, ready."""
    where: Where = request.param
    if where == "container":
        engine()  # skips where there is none
    ports = _ports()
    processes: dict[str, ServiceProcess] = {}
    with guarded_kafka() as (broker, guarded_port):
        broker.write_registry(cases.registry())
        try:
            for name, service in SERVICES.items():
                as_user = login(guarded_port, f"wurao-{name}")
                processes[name] = ServiceProcess(name, service, tmp_path, where=where, ports=ports, login=as_user)
                processes[name].start()
            for process in processes.values():
                process.wait_ready()
            yield Deployment(where, broker, processes, ports)
        finally:
            for process in processes.values():
                process.kill()


def _ports() -> dict[str, int]:
    """A port for each service; the filter's two workers have the next two after its own."""
    base = free_ports(8)
    after = {name: base + 3 + place for place, name in enumerate(("enforce", "api", "watch", "notify", "audit"))}
    return {"filter": base, **after}


def test_every_service_does_its_work_with_the_rights_of_its_user_alone_and_ends_within_its_time(
    deployment: Deployment,
) -> None:
    _every_port_serves_what_prometheus_asks(deployment)
    _what_comes_in_is_dealt_with(deployment)
    if deployment.where == "container":
        for process in deployment.processes.values():
            process.check_health()
    # A filter that ends puts out the activity of its last windows, and early warning judges it.
    deployment.processes["filter"].signal(signal.SIGTERM)
    assert deployment.processes["filter"].ended_in_time() == 0
    watch = deployment.processes["watch"]
    wait_until(lambda: watch.metric("wurao_watch_records_total") > 0, what="activity is judged")

    for process in deployment.processes.values():
        process.signal(signal.SIGTERM)
    assert {name: process.ended_in_time() for name, process in deployment.processes.items()} == dict.fromkeys(
        SERVICES, 0
    )
    for name, process in deployment.processes.items():
        assert "uthorization" not in process.log, f"{name} lacks a right:\n{process.log}"


def test_a_filter_that_delivers_exactly_once_does_so_with_the_rights_of_its_user_alone(tmp_path: Path) -> None:
    with guarded_kafka() as (broker, guarded_port):
        broker.write_registry(cases.registry())
        settings = {**login(guarded_port, "wurao-filter"), "WURAO_FILTER__DELIVERY": "exactly-once"}
        service = SERVICES["filter"]
        with ServiceProcess("filter", service, tmp_path, where="process", ports=_ports(), login=settings) as filter_:
            filter_.wait_ready()
            sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
            broker.write_events([event("sms", number, **sms) for number in range(20)])
            broker.write([(topics.EVENTS_SMS, 0, None, b"{")])
            assert len(broker.decisions(until=20)) == 20
            assert broker.read(topics.DEAD_LETTER, until=1)
            filter_.signal(signal.SIGTERM)
            assert filter_.ended_in_time() == 0


def _every_port_serves_what_prometheus_asks(deployment: Deployment) -> None:
    assert {process.get("/healthz") for process in deployment.processes.values()} == {"alive\n"}
    for port in deployment.ports.values():
        assert "# TYPE wurao_" in (http_get(f"http://127.0.0.1:{port}/metrics") or "")
    assert [deployment.processes["filter"].metric("wurao_ready", worker=worker) for worker in (1, 2)] == [1, 1]


def _what_comes_in_is_dealt_with(deployment: Deployment) -> None:
    broker, now = deployment.broker, time.time_ns() // 1_000_000
    sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
    broker.write_events([event("sms", number, **sms) for number in range(20)])
    broker.write_events([event("reply", 1, **{"from": cases.SILENT, "to": cases.PORT, "text": "TD"})])
    broker.write([(topics.EVENTS_SMS, 0, None, b"{"), (topics.NOTICES, 0, b"N", b"{")])
    complaint = Complaint("C-1", now, subscriber=cases.SILENT, channel="sms", sender="ORG-BANK", at=now, text="。")
    finding = Finding("W-1", now, Party(sender="ORG-SERVICE"), "refusals", "measures", evidence=("D-1",))
    broker.write([intake_record(complaint), finding_event(finding)])

    # The filter decides, writes down the reply's will, says what it decided from, and puts aside what it cannot read.
    assert len(broker.decisions(until=21)) == 21
    assert len(broker.read(topics.EXPRESSIONS, until=5)) == 5, "four of the registry, one of the reply"
    assert broker.read(topics.EPOCHS, until=1)
    # The control plane opens a case of each, and tells the party; the connector tries, and records that it could not.
    pictures = [decode_as(CaseView, record.value) for record in broker.read(topics.CASES, until=2)]
    assert {picture.case for picture in pictures} >= {ids.complaint_case(complaint), ids.measure_case(finding)}
    assert broker.read(topics.NOTICES, until=2)
    assert broker.read(topics.DELIVERIES, until=1)
    assert len(broker.read(topics.DEAD_LETTER, until=2)) == 2
    # The audit judges every decision again.
    audit = deployment.processes["audit"]
    wait_until(lambda: audit.metric("wurao_audit_decisions_total") >= 21, what="all are judged")
    assert audit.metric("wurao_audit_violations_total") == 0
