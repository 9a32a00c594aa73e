"""What the control plane's process tests share: `wurao enforce` as an operator runs it, and its world beside it.

`Pure` runs the same records through the same pure parts without a process, a broker or a crash: what the real
one comes to must be what this one comes to.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self, assert_never

import msgspec

from bloom.partition import partition_of
from stream.config import Config
from stream.enforce.cases import decoding, outbox, store
from stream.enforce.cases.decoding import Arrival, Forward, RecordPosition
from stream.enforce.cases.store import Entry, Updated
from stream.enforce.procedures import ids, settings
from stream.kafka.clients import ConsumerRecord
from stream.model import topics
from stream.model.cases import DOCKET, EFFECT_HEADER, CaseEvent, CaseView, EscalationFinding, Out, case_event_out
from stream.model.codec import decode_as, encode
from stream.model.control import Appeal, Complaint, Delivery, Filing, Finding, party_key
from stream.policy.loading import load as load_policy
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.filter.harness import PARTITIONS, Broker
from tests.patience import LONG_S

SESSION_TIMEOUT_MS = 6_000
NOW = 1_790_000_000_000

Record = tuple[str, int, bytes, bytes]
"""topic, partition, key, value"""


def intake_record(record: Complaint | Appeal | Filing | Delivery) -> Record:
    """A record of an intake topic, under its case's key."""
    match record:
        case Complaint():
            topic, key = topics.COMPLAINTS, ids.complaint_case(record)
        case Appeal():
            topic, key = topics.APPEALS, ids.appeal_case(record)
        case Filing():
            topic, key = topics.FILINGS, ids.campaign_case(record)
        case Delivery():
            topic, key = topics.DELIVERIES, record.case
        case _:
            assert_never(record)
    return topic, partition_of(key, PARTITIONS), key.encode(), encode(record)


def case_event(case: str, event: msgspec.Struct, *, name: str) -> Record:
    """An event to a case."""
    return _event(CaseEvent(name, NOW, case, decoding.procedure_of(case), msgspec.Raw(encode(event))))


def finding_event(finding: Finding) -> Record:
    """A finding to the docket of its party."""
    event = msgspec.Raw(encode(EscalationFinding(finding)))
    return _event(CaseEvent(finding.finding, NOW, party_key(finding.party), DOCKET, event))


def _event(event: CaseEvent) -> Record:
    out = case_event_out(event, PARTITIONS)
    return out.topic, out.partition, out.key, out.value


class Pure:
    """The control plane without a crash: records in, effects out, all in one order."""

    def __init__(self, config: Config, now: int = NOW) -> None:
        self.entries: dict[str, Entry] = {}
        self.effects: dict[str, Out] = {}
        self._terms = settings.terms(config, load_policy(config.policy.file))
        self._now = now
        self._offset = 0

    def take(self, records: Iterable[Record]) -> Self:
        """Deal with these, and with all that they lead to."""
        waiting = deque(records)
        while waiting:
            topic, partition, key, value = waiting.popleft()
            self._offset += 1
            arrival = decoding.read(
                RecordPosition(topic, partition, self._offset, self._now), key, value, PARTITIONS, self._terms.numbering
            )
            match arrival:
                case Arrival():
                    waiting += [out[:4] for out in self._step(arrival) if out.topic == topics.CASE_EVENTS]
                case Forward():
                    waiting.append(case_event_out(arrival.event, PARTITIONS)[:4])
        return self

    def _step(self, arrival: Arrival) -> list[Out]:
        outcome = store.apply(arrival.key, self.entries.get(arrival.key), arrival, self._now, self._terms)
        assert isinstance(outcome, Updated), outcome
        self.entries[arrival.key] = store.without_outbox(outcome.entry)
        out = outbox.records(arrival.key, outcome.entry, PARTITIONS, now=NOW)
        self.effects |= {one.effect: one for one in out if one.effect}
        return out

    def states(self) -> dict[str, tuple[str, int]]:
        """State and step of every case."""
        views = {key: store.view_of(key, entry) for key, entry in self.entries.items()}
        return {key: (seen.state, seen.step) for key, seen in views.items() if seen is not None}


class Written(NamedTuple):
    """A record that the control plane wrote as an effect."""

    effect: str
    topic: str
    record: ConsumerRecord


def effects(broker: Broker) -> list[Written]:
    """All effects in all topics."""
    names = (
        topics.ORDERS,
        topics.REQUESTS,
        topics.CAMPAIGNS,
        topics.NOTICES,
        topics.REPORTS,
        topics.HOLDS,
        topics.CASE_EVENTS,
    )
    return [
        Written(dict(record.headers)[EFFECT_HEADER].decode(), name, record)
        for name in names
        for record in broker.read(name)
        if EFFECT_HEADER in dict(record.headers)
    ]


def views(broker: Broker) -> dict[str, CaseView]:
    """Where every case stands."""
    return {record.key.decode(): decode_as(CaseView, record.value) for record in broker.read(topics.CASES)}


def wait_until(seen: Callable[[], bool], *, what: str, within_s: float = LONG_S) -> None:
    """Wait until it is seen."""
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


class EnforceProcess(WuraoProcess):
    """`wurao enforce`, steered by signals and read by its endpoints."""

    def __init__(self, broker: Broker, directory: Path, **settings: str) -> None:
        port = free_ports(1)
        variables = {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_ENFORCE__PORT": str(port),
            "WURAO_ENFORCE__SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            **settings,
        }
        environment, log = environment_with(variables), directory / f"enforce-{port}.log"
        super().__init__(wurao_command("enforce"), environment=environment, port=port, log=log)
