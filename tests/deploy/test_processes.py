"""The compose file's services, as processes and in containers, do their work on a genuine Kafka, each with the rights
of its user in the manifests.
"""

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec
import orjson
import pytest
import yaml

from stream.clock import now_ms
from stream.enforce.procedures import ids
from stream.kafka.clients import ConsumerRecord
from stream.kafka.rights import AUDIT, ENFORCE, FILTER, NOTIFY, SHADOW, WATCH
from stream.model import topics
from stream.model.cases import CaseView, Hold
from stream.model.codec import decode_as, encode
from stream.model.control import Complaint, Finding, Party
from stream.model.registry import Order
from stream.model.times import DAY_MS
from stream.model.topics import EVENT_KINDS
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, http_get, wurao_command
from tests.audit.test_shadow import NEXT
from tests.deploy.guarded import Guarded
from tests.deploy.image import engine
from tests.deploy.manifests import COMPOSE_FILE
from tests.deploy.processes import ServiceProcess, Where
from tests.deploy.workloads import Compose
from tests.enforce.api.harness import COMPLAINT, FILING, token_of, write_tokens
from tests.enforce.harness import finding_event, intake_record, wait_until
from tests.filter import cases
from tests.filter.harness import Broker, event
from tests.patience import LONG_S
from tests.warning.harness import part
from tests.warning.harness import write as write_activity

pytestmark = pytest.mark.kafka

SERVICES = {
    name: service
    for name, service in msgspec.convert(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")), Compose).services.items()
    if service.is_ours and not service.network_mode
}


UNHEARD = "+8613800000019"
"""Somebody of whom nothing is known: production blocks what the shadow's candidate lets pass."""

ANSWERS_MAX = 600
"""How often a request is made again while what it is about is not shown yet."""


@dataclass
class Deployment:
    where: Where
    guarded: Guarded
    processes: dict[str, ServiceProcess]
    ports: dict[str, int]

    @property
    def broker(self) -> Broker:
        """Open to the test."""
        return self.guarded.broker


@pytest.fixture(params=["process", "container"])
def deployment(request: pytest.FixtureRequest, guarded: Guarded, tmp_path: Path) -> Iterator[Deployment]:
    """Everything that the compose file runs, ready, on topics made anew."""
    where: Where = request.param
    if where == "container":
        engine()  # skips where there is none
    ports = _ports()
    processes: dict[str, ServiceProcess] = {}
    guarded.broker.delete_topics()
    guarded.broker.create_topics()
    guarded.broker.write_registry(cases.registry())
    tokens = {"WURAO_API__TOKENS_FILE": str(write_tokens(tmp_path / "tokens"))} if where == "process" else {}
    try:
        for name, service in SERVICES.items():
            settings = guarded.login(f"wurao-{name}") | tokens
            processes[name] = ServiceProcess(name, service, tmp_path, where=where, ports=ports, settings=settings)
            processes[name].start()
        for process in processes.values():
            process.wait_ready()
        yield Deployment(where, guarded, processes, ports)
    finally:
        for process in processes.values():
            process.kill()


def _ports() -> dict[str, int]:
    """A port for each service; the filter's two workers have the next two after its own."""
    base = free_ports(9)
    others = ("registrar", "enforce", "api", "watch", "notify", "audit")
    after = {name: base + 3 + place for place, name in enumerate(others)}
    return {"filter": base, **after}


def test_every_service_does_its_work_with_the_rights_of_its_user_alone_and_ends_within_its_time(
    deployment: Deployment, tmp_path: Path
) -> None:
    _every_port_serves_what_prometheus_asks(deployment)
    _what_comes_in_is_dealt_with(deployment)
    if deployment.where == "container":
        for process in deployment.processes.values():
            process.check_health()
    else:
        _what_people_file_is_dealt_with(deployment)
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
    if deployment.where == "process":
        _a_filter_delivers_exactly_once(deployment.guarded, tmp_path)
        _a_shadow_compares(deployment.guarded, tmp_path)
        assert _unused(deployment.guarded) == [], "rights that nobody needs"


def _unused(guarded: Guarded) -> list[tuple[str, str, str]]:
    """Rights of processes that the authorizer was never asked about."""
    used = guarded.used()
    return [
        (user.name, right.name, operation)
        for user in (FILTER, ENFORCE, WATCH, NOTIFY, AUDIT, SHADOW)
        for right in user.rights()
        for operation in right.operations
        if not any(
            (one.user, one.resource, one.operation) == (user.name, right.resource, operation)
            and (one.name == right.name or (right.pattern == "prefix" and one.name.startswith(right.name)))
            for one in used
        )
    ]


def _a_filter_delivers_exactly_once(guarded: Guarded, folder: Path) -> None:
    broker = guarded.broker
    decided, letters = len(broker.decisions()), len(broker.read(topics.DEAD_LETTER))
    settings = {**guarded.login("wurao-filter"), "WURAO_FILTER__DELIVERY": "exactly-once"}
    service = SERVICES["filter"]
    with ServiceProcess("filter", service, folder, where="process", ports=_ports(), settings=settings) as filter_:
        filter_.wait_ready()
        sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
        broker.write_events([event("sms", 100 + number, **sms) for number in range(20)])
        broker.write([(topics.EVENTS_SMS, 0, None, b"{")])
        assert len(broker.decisions(until=decided + 20)) == decided + 20
        assert broker.read(topics.DEAD_LETTER, until=letters + 1)
        filter_.signal(signal.SIGTERM)
        assert filter_.ended_in_time() == 0


def _a_shadow_compares(guarded: Guarded, folder: Path) -> None:
    """With a policy under which it decides otherwise, so that it has something to write."""
    candidate = folder / "next.toml"
    candidate.write_text(NEXT, encoding="utf-8")
    port = free_ports(1)
    shadow = WuraoProcess(
        wurao_command("filter", "--shadow", "--policy", candidate),
        environment=environment_with({**guarded.login("wurao-shadow"), "WURAO_FILTER__SHADOW_PORT": str(port)}),
        port=port,
        log=folder / "shadow.log",
    )
    with shadow:
        guarded.broker.read(topics.SHADOW_DIFFERENCES, until=1)
        assert shadow.terminate() == 0


def _every_port_serves_what_prometheus_asks(deployment: Deployment) -> None:
    assert {process.get("/healthz") for process in deployment.processes.values()} == {"alive\n"}
    for port in deployment.ports.values():
        assert "# TYPE wurao_" in (http_get(f"http://127.0.0.1:{port}/metrics") or "")
    assert [deployment.processes["filter"].metric("wurao_ready", worker=worker) for worker in (1, 2)] == [1, 1]


def _what_comes_in_is_dealt_with(deployment: Deployment) -> None:
    broker, now = deployment.broker, time.time_ns() // 1_000_000
    sms = {"to": cases.WILLING, "text": cases.GOOD_TEXT, **cases.BANK}
    broker.write_events([event("sms", number, **sms) for number in range(19)])
    broker.write_events([event("sms", 19, **{**sms, "to": UNHEARD})])
    broker.write_events([event("reply", 1, **{"from": cases.SILENT, "to": cases.PORT, "text": "TD"})])
    broker.write_events([event("sms", 20, **{**sms, "text": f"{cases.GOOD_TEXT}刷单返利"})])
    # One record for each process that it cannot read; every call for help goes by the urgent lane.
    spoilt = (*EVENT_KINDS, topics.NOTICES, topics.ACTIVITY, topics.COMPLAINTS)
    broker.write([(topic, 0, b"N", b"{") for topic in spoilt])
    complaint = Complaint("C-1", now, subscriber=cases.SILENT, channel="sms", sender="ORG-BANK", at=now, text="。")
    finding = Finding("W-1", now, Party(sender="ORG-SERVICE"), "refusals", "measures", evidence=("D-1",))
    broker.write([intake_record(complaint), finding_event(finding)])

    write_activity(broker, [part(0, refused=400)])

    # The filter decides, writes down the reply's will, says what it decided from, and puts aside what it cannot read.
    assert len(broker.decisions(until=22)) == 22
    assert len(broker.read(topics.EXPRESSIONS, until=5)) == 5, "four of the registry, one of the reply"
    assert broker.read(topics.EPOCHS, until=1)
    # The control plane opens a case of each, and tells the party; the connector tries, and records that it could not.
    wanted = {ids.complaint_case(complaint), ids.measure_case(finding)}
    wait_until(lambda: wanted <= {_case_of(record) for record in broker.read(topics.CASES)}, what="a case of each")
    assert broker.read(topics.NOTICES, until=2)
    assert broker.read(topics.DELIVERIES, until=1)
    assert len(broker.read(topics.DEAD_LETTER, until=len(spoilt))) == len(spoilt)
    # Early warning finds a sender whose list is without consent.
    watch = deployment.processes["watch"]
    wait_until(lambda: watch.metric("wurao_watch_findings_total") > 0, what="a finding is raised")
    # What it holds of the events that were blocked as prohibited is copied; and of whatever else a hold names.
    evidence = tuple(f"{topic}:0:0" for topic in EVENT_KINDS)
    broker.write([(topics.HOLDS, 0, b"X-1#1.0", encode(Hold("X-1#1.0", "X-1", now, evidence, "prohibited-content")))])
    assert broker.read(topics.HELD, until=len(evidence) + 1)
    # The audit judges every decision again.
    audit = deployment.processes["audit"]
    wait_until(lambda: audit.metric("wurao_audit_decisions_total") >= 22, what="all are judged")
    assert audit.metric("wurao_audit_violations_total") == 0


def _case_of(record: ConsumerRecord) -> str:
    return decode_as(CaseView, record.value).case


def _what_people_file_is_dealt_with(deployment: Deployment) -> None:
    """Every kind of request to the API, and with it everything that the control plane writes."""

    def post(path: str, body: dict[str, object], by: str = "desk") -> dict[str, str]:
        address = f"http://127.0.0.1:{deployment.ports['api']}/v1/{path}"
        headers = {"Authorization": f"Bearer {token_of(by)}"}
        request = urllib.request.Request(address, orjson.dumps(body), headers)  # 127.0.0.1
        for _ in range(ANSWERS_MAX):
            try:
                with urllib.request.urlopen(request, timeout=LONG_S) as answer:  # noqa: S310
                    return dict(orjson.loads(answer.read()))
            except urllib.error.HTTPError as error:
                if error.code not in (404, 409):
                    raise AssertionError(f"{path}: {error.read().decode()}") from error
                time.sleep(0.1)  # the case that it is about, or what one has proposed, is not shown yet
        raise AssertionError(f"{path}: {body} is about no case")

    party = {"sender": "ORG-SERVICE"}

    def get(path: str) -> None:
        address = f"http://127.0.0.1:{deployment.ports['api']}/v1/{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token_of('desk')}"})
        with urllib.request.urlopen(request, timeout=LONG_S) as answer:  # noqa: S310
            assert answer.status == HTTPStatus.OK

    get("listings")
    get("cases")
    post("complaints", COMPLAINT)
    soon = {"from": now_ms(), "until": now_ms() + DAY_MS}
    post("filings", {**FILING, **soon, "emergency": True, "incident": "public-health", "sender": "GOV-HEALTH"})
    post("findings", {"party": party, "grounds": "prohibited-content", "evidence": ["sha256:1"]})
    before = Order("O-1", "stop", now_ms() - 1, "measures", sender="ORG-9", actor="desk:17")
    deployment.broker.write_registry([before])
    post("orders", {"order": "O-1", "until": time.time_ns() // 1_000_000 + DAY_MS})
    stated = {"subscriber": cases.SILENT, "channel": "sms", "source": "web-form"}
    consent = {**stated, "will": "consent", "sender": "ORG-BANK", "category": "finance"}
    post("expressions", {**consent, "time": time.time_ns() // 1_000_000 - DAY_MS})
    punished: dict[str, object] = {"party": {"sender": "ORG-9"}, "authority": "通信管理局", "document": "1"}
    listing = post("punishments", punished, "regulator")["case"]
    appeal = post("appeals", {"against": listing, "grounds": "not us"}, "sender")["case"]
    for officer in ("regulator", "other-regulator"):
        post(f"cases/{appeal}/events", {"event": "decided", "winner": "measure", "reason": "it was"}, officer)
    for topic in (topics.CAMPAIGNS, topics.ORDERS, topics.HOLDS, topics.REPORTS, topics.LISTINGS):
        assert deployment.broker.read(topic, until=1)
