"""The audit on genuine Kafka: what a real filter decided agrees; what was forged or came too late is found."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import orjson
import pytest

from bloom.partition import partition_of
from stream.model.codec import decode_decision, encode
from stream.model.decision import Decision
from stream.model.fields import Verb
from stream.model.registry import Expression
from tests.filter import cases
from tests.filter.harness import NOW, Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

AUDIT_PORT = 19_000 + os.getpid() % 900
"""Of this run alone: several may be under way on one machine."""


class Audited(msgspec.Struct):
    """As much of the answer of `wurao audit --once --json` as these tests look at."""

    decisions: int
    agrees: int
    differs: int
    unknown: int
    violations: list[dict[str, object]]
    whys: dict[str, int]
    refusals_in_force: dict[str, int]


def environment(broker: Broker, **more: str) -> dict[str, str]:
    """What a command of wurao needs to find this cluster."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WURAO_")}
    return clean | {"WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, **more}


def audit(broker: Broker, **more: str) -> tuple[int, Audited]:
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli.main", "audit", "--once", "--json"],
        env=environment(broker, **more),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert done.stdout, done.stderr[-2_000:]
    for number in (cases.WILLING, cases.REFUSING, cases.SILENT):
        assert number not in done.stderr + done.stdout
    return done.returncode, msgspec.json.decode(done.stdout, type=Audited)


@contextmanager
def running_audit(broker: Broker, directory: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`wurao audit` as an operator runs it; what it logs stands in `audit.log`."""
    with (directory / "audit.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli.main", "audit"],
            env=environment(broker, WURAO_AUDIT__PORT=str(AUDIT_PORT), **more),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


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
    with running_audit(broker, tmp_path) as process:
        shown = metrics_with(AUDIT_PORT, "wurao_audit_violations_total 3.0")
        assert 'wurao_audit_decisions_total{outcome="agrees"} 4.0' in shown
        assert "wurao_audit_ready 1.0" in shown
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    lines = [orjson.loads(line) for line in (tmp_path / "audit.log").read_bytes().splitlines()]
    assert sorted(line["event_id"] for line in lines if line["level"] == "error") == ["sms-1", "sms-1", "sms-2"]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not reached():
        assert time.monotonic() < deadline, f"not within {LONG_S} s"
        time.sleep(0.1)


def ready() -> str:
    """What the running audit answers to `/readyz`."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{AUDIT_PORT}/readyz", timeout=LONG_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


def metrics_with(port: int, line: str, *, within_s: float = LONG_S) -> str:
    deadline = time.monotonic() + within_s
    shown = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LONG_S) as answer:
                shown = answer.read().decode()
        except OSError:
            shown = ""
        if line in shown:
            return shown
        time.sleep(0.1)
    raise AssertionError(f"{line!r} did not come:\n{json.dumps([one for one in shown.splitlines() if 'audit' in one])}")
