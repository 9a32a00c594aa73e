"""The audit on genuine Kafka: what a real filter decided agrees; what was forged or came too late is found."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from bloom.partition import partition_of
from stream.model.codec import decode_decision, encode
from stream.model.decision import Decision
from stream.model.fields import Verb
from stream.model.registry import Expression
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.filter import cases
from tests.filter.harness import NOW, Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka


class Audited(msgspec.Struct):
    """As much of the answer of `wurao audit --once --json` as these tests look at."""

    decisions: int
    agrees: int
    differs: int
    unknown: int
    violations: list[dict[str, object]]
    whys: dict[str, int]
    refusals_in_force: dict[str, int]


def audit(broker: Broker, **more: str) -> tuple[int, Audited]:
    done = subprocess.run(
        wurao_command("audit", "--once", "--json"),
        env=environment_with({"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, **more}),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert done.stdout, done.stderr[-2_000:]
    for number in (cases.WILLING, cases.REFUSING, cases.SILENT):
        assert number not in done.stderr + done.stdout
    return done.returncode, msgspec.json.decode(done.stdout, type=Audited)


class AuditProcess(WuraoProcess):
    """`wurao audit` as an operator runs it; what it logs stands in `audit.log`."""

    def __init__(self, broker: Broker, directory: Path, **settings: str) -> None:
        port = free_ports(1)
        variables = {"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, "WURAO_AUDIT__PORT": str(port), **settings}
        environment, log = environment_with(variables), directory / "audit.log"
        super().__init__(wurao_command("audit"), environment=environment, port=port, log=log)

    def metrics_with(self, line: str) -> str:
        """Its metrics, once that line is one of them."""
        deadline = time.monotonic() + LONG_S
        while line not in (shown := self.get("/metrics") or ""):
            self.check()
            seen = [one for one in shown.splitlines() if "audit" in one]
            assert time.monotonic() < deadline, f"{line!r} did not come: {seen}"
            time.sleep(0.1)
        return shown


def _commercial(number: int, to: str) -> dict[str, object]:
    return event("sms", number, to=to, text=cases.GOOD_TEXT, **cases.BANK)


def _forge(broker: Broker, decision: Decision) -> None:
    to = decision.to
    broker.write([("decisions", partition_of(to, broker.partitions), to.encode(), encode(decision))])


def _decisions(broker: Broker, until: int) -> dict[str, Decision]:
    found = (decode_decision(record.value) for record in broker.read("decisions", until=until))
    return {decision.event: decision for decision in found}


def test_what_a_real_filter_decides_agrees_while_the_registry_moves(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    with FilterProcess(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        broker.decisions(until=len(cases.EVENTS))
        for wave in range(6):
            will: Verb = "refuse" if wave % 2 else "lift"
            broker.write_registry(
                [Expression(subscriber=cases.WILLING, channel="sms", will=will, time=NOW + wave, source="test")]
            )
            broker.write_events([_commercial(1_000 * wave + one, cases.WILLING) for one in range(20)])
            time.sleep(0.1)
        broker.decisions(until=len(cases.EVENTS) + 120)
        time.sleep(1)
        assert filter_.terminate() == 0
    code, audited = audit(broker)
    assert (code, audited.agrees, audited.differs, audited.unknown) == (0, len(cases.EVENTS) + 120, 0, 0), audited
    assert audited.violations == []
    assert audited.refusals_in_force["count"] >= 3, "each refusal is measured at each worker that had an epoch before"


def test_what_was_forged_or_came_too_late_is_found_by_once_and_by_the_running_audit(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    broker.write_events([_commercial(1, cases.REFUSING), _commercial(2, cases.WILLING), _commercial(3, cases.SILENT)])
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        made = _decisions(broker, 3)
        assert [made[f"sms-{one}"].reason for one in (1, 2, 3)] == ["refused", "consented", "no_consent"]
        assert filter_.terminate() == 0
    allowed = msgspec.structs.replace(
        made["sms-1"], verdict="allow", reason="consented", code=msgspec.UNSET, appeal=msgspec.UNSET
    )
    _forge(broker, allowed)
    _forge(broker, msgspec.structs.replace(allowed, reason="service"))  # its own word for its purpose is not taken
    # A refusal that comes after the decision is no violation of it. But a worker whose registry has stood still since
    # decides once more by its old epoch, two seconds later: it follows from that epoch, which was too old.
    broker.write_registry([Expression(subscriber=cases.WILLING, channel="sms", will="refuse", time=NOW, source="test")])
    _forge(broker, msgspec.structs.replace(made["sms-2"], decided=int(time.time() * 1000) + 2_000))
    code, audited = audit(broker)
    assert code == 1
    assert sorted(str(found["event"]) for found in audited.violations) == ["sms-1", "sms-1", "sms-2"]
    assert (audited.agrees, audited.differs, audited.unknown) == (4, 2, 0)
    with AuditProcess(broker, tmp_path) as process:
        shown = process.metrics_with("wurao_audit_violations_total 3.0")
        assert 'wurao_audit_decisions_total{outcome="agrees"} 4.0' in shown
        assert "wurao_audit_ready 1.0" in shown
        assert process.terminate() == 0
    lines = [orjson.loads(line) for line in (tmp_path / "audit.log").read_bytes().splitlines()]
    assert sorted(line["event_id"] for line in lines if line["level"] == "error") == ["sms-1", "sms-1", "sms-2"]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not reached():
        assert time.monotonic() < deadline, f"not within {LONG_S} s"
        time.sleep(0.1)
