"""Topics that go, and that come back as others, under the control plane, early warning and notices.

A process whose topic is gone says so where it is asked whether it is ready, and once in its log, and lives. When the
topic is back as another it reads it from its beginning; where it had kept its own state there, it processes nothing
until an operator has said how to go on. The filter's are in tests/filter/test_changed_topics.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bloom.partition import partition_of
from stream.model.codec import decode_as, encode
from stream.model.control import Complaint, Delivery, Notice, Party
from stream.model.topics import ACTIVITY, CASES, COMPLAINTS, DELIVERIES, ENFORCE_TABLE, NOTICES
from tests.enforce import harness as enforce
from tests.filter.harness import PARTITIONS, Broker
from tests.operate.processes import Process, wait_until
from tests.warning import harness as watch

pytestmark = pytest.mark.kafka

BEFORE, AFTER = 40, 15
"""Records of a topic and of the one in its place: fewer, so that the old offsets lie beyond its end."""


@contextmanager
def _running(name: str, broker: Broker, directory: Path, **settings: str) -> Iterator[Process]:
    (directory / "contacts.toml").write_text('[contacts]\n"sender|ORG-9" = "mailto:a@b.example"\n', encoding="utf-8")
    with Process(name, broker, directory, **settings) as process:
        wait_until(lambda: process.is_ready, [process])
        yield process


def _recreate(broker: Broker, topic: str, process: Process) -> None:
    """Delete a topic, see that the process says so and lives, and create it again."""
    broker.delete_topics([topic])
    wait_until(lambda: f"{topic}: not there; run `wurao topics create`" in (process.get("/readyz") or ""), [process])
    broker.create_topics()


def _told(process: Process, event: str) -> list[object]:
    return [line for line in process.lines() if str(line["event"]).startswith(event)]


def _activity(broker: Broker, first: int, count: int) -> set[str]:
    """Senders that write without consent, and the findings that each is worth."""
    parts = [
        watch.part(place, consented=20, refused=20, party=Party(sender=f"ORG-{sender}"))
        for sender in range(first, first + count)
        for place in range(50)
    ]
    watch.write(broker, parts)
    return {finding.finding for finding in watch.found_in(parts)}


def _notices(broker: Broker, first: int, count: int) -> set[str]:
    """Notices to whom no contact is known: one attempt each, which fails."""
    notices = [
        Notice(
            notice=f"n-{number}",
            time=1,
            to="sender|ORG-1",
            case=f"complaint|{number}",
            subject="measure",
            reason="r",
        )
        for number in range(first, first + count)
    ]
    broker.write((NOTICES, partition_of(one.case, PARTITIONS), one.case.encode(), encode(one)) for one in notices)
    return {one.notice for one in notices}


def _complaints(broker: Broker, first: int, count: int) -> set[str]:
    """Complaints, and their cases."""
    records = [
        enforce.intake_record(
            Complaint(
                f"c-{number}",
                enforce.NOW,
                subscriber=f"+86138{number:08d}",
                channel="sms",
                sender="ORG-9",
                at=enforce.NOW,
                text="。",
            )
        )
        for number in range(first, first + count)
    ]
    broker.write(records)
    return {key.decode() for _, _, key, _ in records}


def _found(broker: Broker) -> set[str]:
    return {finding.finding for finding in watch.raised(broker)}


def _attempted(broker: Broker) -> set[str]:
    return {decode_as(Delivery, record.value).notice for record in broker.read(DELIVERIES)}


def _cases(broker: Broker) -> set[str]:
    return {record.key.decode() for record in broker.read(CASES)}


class Subject(NamedTuple):
    """A process, what it reads, how that is written, and what it has made of it: both as names of the same things."""

    process: str
    topic: str
    write: Callable[[Broker, int, int], set[str]]
    done: Callable[[Broker], set[str]]


@pytest.mark.parametrize(
    "of",
    [
        Subject("watch", ACTIVITY, _activity, _found),
        Subject("notify", NOTICES, _notices, _attempted),
        Subject("enforce", COMPLAINTS, _complaints, _cases),
    ],
    ids=lambda of: of.process,
)
def test_a_topic_that_was_recreated_is_told_once_and_read_from_its_beginning(
    broker: Broker, tmp_path: Path, of: Subject
) -> None:
    with _running(of.process, broker, tmp_path, WURAO_CONNECTOR__ATTEMPTS_MAX="1") as process:
        before = of.write(broker, 1, BEFORE)
        wait_until(lambda: before <= of.done(broker), [process])
        _recreate(broker, of.topic, process)
        after = of.write(broker, 1_001, AFTER)
        wait_until(lambda: after <= of.done(broker), [process])
        wait_until(lambda: process.is_ready, [process])
        assert len(_told(process, "topics are missing")) == 1
        assert len(_told(process, "topics were recreated, or another cluster answers")) == 1
        assert not [line for line in process.lines() if "exception" in line]
        assert process.terminate() == 0, process.tail()


def test_without_its_table_the_control_plane_processes_nothing_and_says_what_was_lost(
    broker: Broker, tmp_path: Path
) -> None:
    with _running("enforce", broker, tmp_path) as process:
        before = _complaints(broker, 1, BEFORE)
        wait_until(lambda: before <= _cases(broker), [process])
        _recreate(broker, ENFORCE_TABLE, process)
        wait_until(lambda: f"{ENFORCE_TABLE} was recreated" in (process.get("/readyz") or ""), [process])
        assert "docs/runbooks/WuraoEnforceDown.md" in (process.get("/readyz") or "")
        after = _complaints(broker, 1_001, AFTER)
        wait_until(lambda: len(_told(process, "the table of cases is lost")) == 1, [process])
        assert not _told(process, "topics were recreated"), "it would say that it begins anew"
        assert not after & _cases(broker)
        assert process.terminate() == 0, process.tail()
    with _running("enforce", broker, tmp_path) as process:
        wait_until(
            lambda: before | after <= {record.key.decode() for record in broker.read(ENFORCE_TABLE)}, [process]
        )  # every case is built anew from the intake topics
