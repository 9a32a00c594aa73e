"""What early warning's tests share: activity to write, `wurao watch` as an operator runs it, and a run without it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from bloom.partition import partition_of
from stream.model.cases import CaseEvent, EscalationFinding
from stream.model.codec import decode_as, encode
from stream.model.control import Activity, Block, Finding, Party, Tally, key_of_control, party_key
from stream.model.fields import Channel
from stream.model.topics import ACTIVITY, CASE_EVENTS
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from stream.warning.rules.parts import PartyTracker
from stream.warning.rules.senders import WINDOW_MS, WarningSettings
from tests.filter.harness import PARTITIONS, Broker
from tests.patience import LONG_S

SETTINGS = WarningSettings()
START = 1_795_500_000_000
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


class WatchProcess(WuraoProcess):
    """`wurao watch` as a process of its own."""

    def __init__(self, broker: Broker, directory: Path, **settings: str) -> None:
        port = free_ports(1)
        variables = {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_WATCH__PORT": str(port),
            "WURAO_WATCH__COMMIT_EVERY_MS": "50",
            "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
            **settings,
        }
        environment, log = environment_with(variables), directory / f"watch-{port}.log"
        super().__init__(wurao_command("watch"), environment=environment, port=port, log=log)

    def wait_judged(self, records: int) -> Self:
        """Wait until it has judged so many records."""
        self.wait_ready()
        deadline = time.monotonic() + LONG_S
        while self.metric("wurao_watch_records_total") < records:
            self.check()
            assert time.monotonic() < deadline, f"{records} records not judged in time:\n{self.last_words()}"
            time.sleep(EVERY_S)
        return self
