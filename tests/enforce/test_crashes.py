"""What the control plane keeps when it dies: real processes, killed at random, on genuine Kafka."""

import random
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from stream.enforce.procedures import ids
from stream.enforce.procedures.complaint import Forwarded, Verified
from stream.model import topics
from stream.model.cases import Out
from stream.model.codec import decode_as
from stream.model.control import Complaint, Delivery, Finding, Notice, Party
from tests.enforce.harness import (
    NOW,
    EnforceProcess,
    Pure,
    Record,
    case_event,
    effects,
    finding_event,
    intake_record,
    views,
    wait_until,
)
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

PARTIES = 120
KILLS = 6


def _findings(letter: str) -> list[Finding]:
    return [
        Finding(
            f"{letter}{n}",
            NOW,
            Party(sender=f"ORG-{letter}-{n}"),
            "personal-as-platform",
            "early-warning",
            channel="sms",
        )
        for n in range(PARTIES)
    ]


def _complaints() -> list[Complaint]:
    return [
        Complaint(
            f"said-{n}",
            NOW,
            subscriber=f"+86138{n:08d}",
            channel="sms",
            sender=f"ORG-said-{n}",
            at=NOW,
            text="。",
            refusal=n % 2 == 0,
        )
        for n in range(PARTIES)
    ]


def _first_words() -> list[Record]:
    return [*map(intake_record, _complaints()), *map(finding_event, _findings("f"))]


def _later_words(pure: Pure) -> list[Record]:
    """Complaints are forwarded and verified, notices of measures delivered."""
    records = []
    for complaint in _complaints():
        case = ids.complaint_case(complaint)
        records.append(case_event(case, Forwarded(to="carrier"), name=f"{case}-forwarded"))
        records.append(case_event(case, Verified("confirmed", "so it was"), name=f"{case}-verified"))
    for finding in _findings("f"):
        case = ids.measure_case(finding)
        notice = next(
            out for key, out in pure.effects.items() if key.startswith(f"{case}#") and out.topic == topics.NOTICES
        )
        records.append(intake_record(Delivery(notice.key.decode(), case, NOW, "delivered", 1, "webhook")))
    return records


def _settled(broker: Broker, pure: Pure) -> bool:
    seen = {key: (view.state, view.step) for key, view in views(broker).items()}
    return seen == pure.states()


def test_a_process_killed_again_and_again_loses_no_case_and_tells_nobody_twice(broker: Broker, tmp_path: Path) -> None:
    """The state and the keys of all effects are those of a run without a crash."""
    rng = random.Random(12)
    pure = Pure(broker.config)
    first = _first_words()
    pure.take(first)
    later = _later_words(pure)
    stable = {"WURAO_ENFORCE__INSTANCE": "one"}  # it rejoins at once, as a pod of a stateful set does

    broker.write(first)
    killed_at = []
    for kill in range(KILLS):
        with EnforceProcess(broker, tmp_path, **stable) as process:
            process.wait_ready()
            wait_until(
                lambda: process.metric("wurao_enforce_arrivals_total{") > 0 or _settled(broker, pure),
                what="work",
            )
            time.sleep(rng.uniform(0.0, 0.3))
            killed_at.append(process.metric("wurao_enforce_arrivals_total{"))
            process.kill()
        if kill == KILLS // 2:
            with EnforceProcess(broker, tmp_path, **stable) as process:
                process.wait_ready()
                wait_until(lambda: _settled(broker, pure), what="the first words are dealt with")
                process.kill()
            broker.write(later)
            pure.take(later)

    with EnforceProcess(broker, tmp_path, **stable) as process:
        process.wait_ready()
        wait_until(lambda: _settled(broker, pure), what=f"all is dealt with (kills at {killed_at})")
        wait_until(lambda: {one.effect for one in effects(broker)} >= set(pure.effects), what="every effect")
        assert process.terminate() == 0

    written = effects(broker)
    assert {one.effect for one in written} == set(pure.effects)
    keys = defaultdict(set)
    for one in written:
        keys[one.effect].add((one.topic, one.record.key))
    assert all(len(places) == 1 for places in keys.values()), "an effect has one name, however often it is written"
    notices = [decode_as(Notice, one.record.value) for one in written if one.topic == topics.NOTICES]
    named = Counter(notice.case for notice in {notice.notice: notice for notice in notices}.values())
    assert named == Counter(out.key.decode().removeprefix("N-").rsplit("-", 1)[0] for out in _notices(pure))
    assert broker.read(topics.DEAD_LETTER) == []
    assert any(killed_at), "at least one process died with work done"


def test_two_share_the_cases_and_when_one_dies_the_other_goes_on_with_all(broker: Broker, tmp_path: Path) -> None:
    pure = Pure(broker.config)
    with EnforceProcess(broker, tmp_path) as one, EnforceProcess(broker, tmp_path) as other:
        for process in (one, other):
            process.wait_ready()
        wait_until(
            lambda: sorted(process.metric("wurao_enforce_partitions") for process in (one, other)) == [6, 6],
            what="they share",
        )
        first = [finding_event(finding) for finding in _findings("f")]
        broker.write(first)
        pure.take(first)
        wait_until(lambda: _settled(broker, pure), what="both deal with their share")
        assert min(process.metric("wurao_enforce_arrivals_total{") for process in (one, other)) > 0

        more = [finding_event(finding) for finding in _findings("g")]
        broker.write(more)
        pure.take(more)
        one.kill()
        wait_until(lambda: _settled(broker, pure), what="the other deals with all")
        assert other.metric("wurao_enforce_partitions") == 12
        wait_until(lambda: {w.effect for w in effects(broker)} == set(pure.effects), what="every effect")
        assert broker.read(topics.DEAD_LETTER) == []


def _notices(pure: Pure) -> list[Out]:
    return [out for out in pure.effects.values() if out.topic == topics.NOTICES]
