"""What early warning's tests share: activity to write, `wurao watch` as an operator runs it, and a run without it."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from bloom.partition import partition_of
from stream.model.cases import CaseEvent, EscalationFinding
from stream.model.codec import decode_as, encode
from stream.model.control import Activity, Block, Finding, Party, Tally, key_of_control, party_key
from stream.model.fields import Channel
from stream.model.topics import ACTIVITY, CASE_EVENTS
from stream.warning.rules.parts import PartyTracker
from stream.warning.rules.senders import WINDOW_MS, WarningSettings
from tests.filter.harness import PARTITIONS, Broker, _free_ports
from tests.patience import LONG_S

SETTINGS = WarningSettings()
START = 1_795_500_000_000
READY_S_MAX = LONG_S
EVERY_S = 0.05


def part(
    place: int,
    *,
    consented: int = 0,
    refused: int = 0,
    refusals: int = 0,
    party: Party | None = None,
    worker: str = "w-1",
    recipients: int = 0,
    run: int = 0,
    dense: tuple[Block, ...] = (),
) -> Activity:
    """What a worker tells of the window at a place."""
    told = (Tally("allow", "consented", consented), Tally("block", "refused", refused))
    return Activity(
        window=START + place * WINDOW_MS,
        party=party or Party(sender="ORG-9"),
        channel="sms",
        tallies=tuple(tally for tally in told if tally.count),
        recipients=recipients,
        refusals=refusals,
        run=run,
        dense=dense,
        worker=f"{worker}-{place}",
    )


def found_in(parts: Iterable[Activity]) -> list[Finding]:
    """What these parts come to in this order, without a process or a broker."""
    standings: dict[tuple[Party, Channel], PartyTracker] = {}
    findings: list[Finding] = []
    for one in parts:
        standing = standings.setdefault((one.party, one.channel), PartyTracker(one.window))
        findings += standing.take(one, SETTINGS)
    return findings


def write(broker: Broker, parts: Iterable[Activity]) -> None:
    """Write activity as filters do."""
    broker.write(
        (ACTIVITY, partition_of(key, PARTITIONS), key.encode(), encode(one))
        for one in parts
        for key in [key_of_control(one)]
    )


def raised(broker: Broker, *, until: int = 0) -> list[Finding]:
    """The findings in `case-events`, at least so many of them; checks that each stands where its docket reads it."""
    findings: list[Finding] = []
    for record in broker.read(CASE_EVENTS, until=until):
        event = decode_as(CaseEvent, record.value)
        finding = decode_as(EscalationFinding, bytes(event.event)).finding
        assert (event.id, event.procedure, event.actor) == (finding.finding, "docket", "early-warning")
        assert event.case == party_key(finding.party) == record.key.decode()
        assert record.partition == partition_of(event.case, PARTITIONS)
        findings.append(finding)
    return findings


class WatchProcess:
    """`wurao watch` as a process of its own."""

    def __init__(self, broker: Broker, directory: Path, **environment: str) -> None:
        self.port = _free_ports(1)
        self._log = directory / f"watch-{self.port}.log"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WURAO_")}
        variables |= {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_WATCH__PORT": str(self.port),
            "WURAO_WATCH__COMMIT_EVERY_MS": "50",
            "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
            **environment,
        }
        with self._log.open("ab") as log:
            command: Sequence[str] = [sys.executable, "-m", "stream.cli.main", "watch"]
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return self._log.read_text(encoding="utf-8")

    def metric(self, line_start: str) -> float:
        """The sum of the metric lines that begin so; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=LONG_S) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, urllib.error.URLError):
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(line_start))

    def wait_judged(self, records: int) -> Self:
        """Wait until it has judged so many records."""
        deadline = time.monotonic() + READY_S_MAX
        while self.metric("wurao_watch_records_total") < records:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log[-4000:]}"
            assert time.monotonic() < deadline, f"{records} records not judged in time:\n{self.log[-4000:]}"
            time.sleep(EVERY_S)
        return self

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM, and the exit code it ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=LONG_S)
