"""`wurao doctor` as an operator meets it: every line says how it is and, where need be, the mend."""

import asyncio
import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from stream.cli import doctor_registry
from stream.cli.check_results import ok, warn, worst, wrong
from stream.kafka import clients
from stream.model.registry import NumberEntry, Sender
from stream.policy.loading import load as load_policy
from stream.registry.registry import registry_of
from tests.cli.command import Wurao
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event


class Check(msgspec.Struct):
    """A check of the answer of `--json`."""

    name: str
    state: str
    found: str
    mend: str


class Answer(msgspec.Struct):
    """The answer of `--json`."""

    worst: str
    checks: list[Check]

    def of(self, name: str) -> Check:
        """The first check of that name."""
        return next(check for check in self.checks if check.name == name)


def _asked(wurao: Wurao, *words: str | Path, code: int) -> Answer:
    ran = wurao.run("doctor", "--json", *words)
    assert (ran.returncode, ran.stderr) == (code, "")
    return msgspec.json.decode(ran.stdout, type=Answer)


def test_without_a_broker_it_says_so_and_what_was_not_looked_at_and_tells_all_the_rest(tmp_path: Path) -> None:
    ran = Wurao(tmp_path).run("doctor")
    assert (ran.returncode, ran.stderr) == (1, "")
    lines = ran.stdout.splitlines()
    (broken,) = (line for line in lines if line.startswith("WRONG"))
    assert "127.0.0.1:1 does not answer by PLAINTEXT: ConnectionRefusedError" in broken
    assert "were not looked at" in broken
    assert "kafka.bootstrap" in lines[lines.index(broken) + 1]
    for name in ("configuration", "policy", "time zones", "calendar", "snapshots", "native module", "clock"):
        assert any(line[7:].startswith(name) for line in lines), name
    assert "IANA" in ran.stdout or "tzdata 20" in ran.stdout
    assert lines[-1].startswith("1 wrong, ")


def test_a_configuration_that_cannot_be_read_is_the_one_thing_said(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    config = wurao.file("wurao.toml", "[filter]", "wrokers = 2")
    answer = _asked(wurao, "--config", config, code=1)
    assert [check.name for check in answer.checks] == ["configuration"]
    assert "wrokers" in answer.checks[0].found


def test_what_is_wrong_on_this_machine_is_told_with_its_mend(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    wurao.file("snapshots", "a file where a folder should be")
    calendar = wurao.file("calendar.toml", "[[years]]", "year = 1999", "holidays = []")
    answer = _asked(wurao, "--config", wurao.file("a.toml", "[enforce]", f'calendar = "{calendar}"'), code=1)
    assert (answer.of("snapshots").state, answer.of("calendar").state) == ("wrong", "wrong")
    assert "registry.snapshots" in answer.of("snapshots").mend
    assert "only 2004 to 2060" in answer.of("calendar").found
    answer = _asked(wurao, "--config", wurao.file("b.toml", "[policy]", 'file = "nowhere.toml"'), code=1)
    assert "nowhere.toml" in answer.of("policy").found


def test_the_worst_state_is_the_answers() -> None:
    fine, look, bad = ok("a", "x"), warn("b", "y", "z"), wrong("c", "y", "z")
    assert [worst(some) for some in ([], [fine], [fine, look], [bad, fine, look])] == ["ok", "ok", "warn", "wrong"]


def _sender(name: str, *prefixes: str) -> Sender:
    return Sender(name, name, "95588", "active", tuple(NumberEntry(one, "sms", ("service",)) for one in prefixes))


def test_numbers_that_two_senders_claim_and_prefixes_that_own_nothing_are_listed() -> None:
    policy = load_policy(None)
    (fine,) = doctor_registry.checks(registry_of([_sender("A", "1069"), _sender("B", "95588")]), policy)
    assert fine == ok("senders", "2 registered, none claims another's numbers")
    clashing = [_sender("A", "1069", "+8695588"), _sender("B", "10690123")]
    (clash, unfit) = doctor_registry.checks(registry_of(clashing), policy)
    assert (clash.state, unfit.state) == ("warn", "warn")
    assert "B: 10690123 (sms) lies inside 1069 of A" in clash.found
    assert "write 95588" in unfit.found


@pytest.mark.kafka
def test_a_healthy_installation_is_well_and_each_fault_is_found(broker: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, broker)
    empty = _asked(wurao, code=0)
    assert (empty.of("topics").state, empty.of("registry").state) == ("ok", "warn")
    assert "registry import" in empty.of("registry").mend
    nowhere = wurao.file("nowhere.toml", "[metrics]", "port = 1")
    none = _asked(wurao, "--config", nowhere, code=0).of("filter")
    assert none.state == "warn"
    assert "its groups have no member: nothing is decided" in none.found
    assert none.mend == "start it: `wurao filter`"
    assert (empty.of("registrar").state, empty.of("registrar").mend) == ("warn", "start it: `wurao registrar`")

    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        broker.decisions(until=len(cases.EVENTS))
        config = wurao.file("here.toml", "[metrics]", f"port = {filter_.port}")
        well = _asked(wurao, "--config", config, code=0)
        assert "ready at" in well.of("filter").found
        assert "s old at most" in well.of("filter").found
        assert "a start takes registry-" in well.of("registry").found
        assert (well.of("clocks").state, well.of("filter").state) == ("ok", "ok")
        elsewhere = _asked(wurao, "--config", nowhere, code=0).of("filter")
        assert elsewhere.state == "warn"
        assert "none answers at http://127.0.0.1:1, though its groups have members on this machine" in elsewhere.found
        assert "metrics.port" in elsewhere.mend
        more = wurao.file("more.toml", "[metrics]", f"port = {filter_.port}", "[filter]", "workers = 2")
        fewer = _asked(wurao, "--config", more, code=1).of("filter")
        assert (fewer.state, "worker 2 of filter.workers = 2" in fewer.found) == ("wrong", True)
        for stopped in (filter_.pid, *filter_.worker_pids()):
            os.kill(stopped, signal.SIGSTOP)
            try:
                hung = _asked(wurao, "--config", config, code=1).of("filter")
            finally:
                os.kill(stopped, signal.SIGCONT)
            assert (hung.state, "does not answer: not within 2 s" in hung.found) == ("wrong", True), hung
            assert "restart it" in hung.mend
        assert filter_.terminate() == 0
    assert _asked(wurao, code=0).of("group wurao-filter.bulk").found == "has taken everything"

    _write_an_hour_ago(broker)
    behind = _asked(wurao, code=0).of("group wurao-filter.bulk")
    assert behind.state == "warn"
    assert behind.found.startswith("records that wait: 1, the oldest for 36")

    broker.delete_topics()
    gone = _asked(wurao, code=1)
    assert [check.mend for check in gone.checks if check.name == "topics"] == ["run `wurao topics create`"]


@pytest.mark.kafka
def test_clashes_in_the_topics_are_found(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry([_sender("A", "1069"), _sender("B", "10690123")])
    senders = _asked(Wurao(tmp_path, broker), code=0).of("senders")
    assert (senders.state, "lies inside 1069 of A" in senders.found) == ("warn", True)


def _write_an_hour_ago(broker: Broker) -> None:
    async def send() -> None:
        producer = clients.producer(broker.config, client="test")
        await producer.start()
        value = msgspec.json.encode(event("call", 99, to="110"))
        then = int((time.time() - 3_600) * 1000)
        await producer.send_and_wait("events.call", value, key=b"110", partition=0, timestamp_ms=then)
        await producer.stop()

    asyncio.run(send())
