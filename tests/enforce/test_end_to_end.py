"""From traffic to `suspend` and back, and from a complaint to its breach: filter, watch and enforce as real processes.

A window of activity takes its ten seconds: the complaint takes its course meanwhile. The clock of `wurao enforce`
stands in the past at first and is moved on, as in a drill. So an order is in force for the filter, whose clock is the
machine's, from the moment when it is written.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import orjson
import pytest

from stream.enforce.procedures import ids
from stream.enforce.procedures.appeal import Decided
from stream.model import topics
from stream.model.cases import CaseView
from stream.model.codec import decode_as
from stream.model.control import Appeal, Complaint, Delivery, Notice, Party
from tests.enforce.harness import EnforceProcess, case_event, intake_record, views, wait_until
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.registrar.harness import RegistrarProcess
from tests.warning.harness import WatchProcess

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000
BEFORE_THE_HOLIDAYS = 1_790_733_600_000  # Wednesday 30 September 2026, 10:00 in Shanghai
AFTER_THE_HOLIDAYS = 1_791_421_200_000  # Thursday 8 October 2026, 09:00: the first working day after them
MAKE_UP_DAY = 1_791_594_000_000  # Saturday 10 October 2026, 09:00: worked in exchange for a day of the holidays
SUNDAY_MIDNIGHT = 1_791_648_000_000  # Sunday 11 October 2026, 00:00

TERMS = """
ordinary = ["suspend"]
"""
"""A first finding already costs all traffic."""

IGNORED = 250
"""Messages to somebody who has refused: more than early warning judges by."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Stage:
    """Filter, watch and enforce side by side on one cluster."""

    broker: Broker
    filter: FilterProcess
    enforce: EnforceProcess
    watch: WatchProcess
    clock: Path
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def move_clock(self, to: int) -> None:
        """From now on it is that moment for enforce."""
        self.clock.write_text(str(to - _now_ms()))
        time.sleep(1.1)  # the file is read once a second

    def event(self, kind: str, **fields: object) -> dict[str, object]:
        """A new event."""
        return event(kind, next(self._ids), **{"to": cases.WILLING, "text": cases.GOOD_TEXT, **fields})

    def decide(self, kind: str, **fields: object) -> dict[str, object]:
        """The filter's decision on a new event."""
        one = self.event(kind, **fields)
        self.broker.write_events([one])
        found: list[dict[str, object]] = []

        def decided() -> bool:
            decisions = (orjson.loads(record.value) for record in self.broker.read(topics.DECISIONS))
            found[:] = [decision for decision in decisions if decision["event"] == one["id"]]
            return bool(found)

        wait_until(decided, what=f"a decision on {one['id']}")
        return found[0]

    @contextmanager
    def traffic(self, kind: str, **fields: object) -> Iterator[None]:
        """Such events meanwhile, one after the other."""
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                self.broker.write_events([self.event(kind, **fields)])

        writing = threading.Thread(target=write)
        writing.start()
        try:
            yield
        finally:
            over.set()
            writing.join()

    def suspended(self) -> list[dict[str, object]]:
        """The decisions that suspend, the first first."""
        decisions = (orjson.loads(record.value) for record in self.broker.read(topics.DECISIONS))
        return sorted((one for one in decisions if one["verdict"] == "suspend"), key=lambda one: int(one["decided"]))

    def case(self, key: str, state: str) -> CaseView:
        """The view of a case, once it is in that state."""
        wait_until(
            lambda: (seen := views(self.broker).get(key)) is not None and seen.state == state,
            what=f"{key} is {state}, but {views(self.broker).get(key)}",
        )
        return views(self.broker)[key]

    def measure_against(self, sender: str) -> CaseView:
        """The case of the measure that a finding of early warning led to."""
        found: list[CaseView] = []

        def opened() -> bool:
            seen = (one for one in views(self.broker).values() if one.procedure == "measure")
            found[:] = [one for one in seen if one.party == Party(sender=sender)]
            return bool(found)

        wait_until(opened, what=f"a finding against {sender}:\n{self.watch.log[-2000:]}")
        (only,) = found
        return only

    def notices(self, case: str) -> list[Notice]:
        """What was told in a case."""
        all_ = (decode_as(Notice, record.value) for record in self.broker.read(topics.NOTICES))
        return sorted((notice for notice in all_ if notice.case == case), key=lambda notice: notice.time)


@pytest.fixture
def stage(broker: Broker, tmp_path: Path) -> Iterator[Stage]:
    clock, terms = tmp_path / "offset-ms", tmp_path / "terms.toml"
    clock.write_text(str(BEFORE_THE_HOLIDAYS - _now_ms()))
    terms.write_text(TERMS)
    broker.write_registry(cases.registry())
    with (
        FilterProcess(broker, tmp_path / "filter") as filter_,
        EnforceProcess(
            broker,
            tmp_path / "enforce",
            WURAO_ENFORCE__CLOCK_OFFSET_FILE=str(clock),
            WURAO_ENFORCE__TERMS=str(terms),
        ) as enforce,
        WatchProcess(broker, tmp_path) as watch,
        RegistrarProcess(broker, tmp_path / "registrar") as registrar,
    ):
        filter_.wait_ready()
        registrar.wait_ready()
        enforce.wait_ready()
        yield Stage(broker, filter_, enforce, watch, clock)
        assert broker.read(topics.DEAD_LETTER) == []
        assert enforce.terminate() == 0
        assert watch.terminate() == 0
        assert filter_.terminate() == 0


def test_a_complaint_and_a_violation_take_their_course_through_all_planes(stage: Stage) -> None:
    _sender_ignores_a_refusal(stage)
    _complaint_is_refusal_and_breach(stage)
    _violator_is_told_suspended_heard_and_freed(stage)


def _sender_ignores_a_refusal(stage: Stage) -> None:
    stage.broker.write_events([stage.event("reply", **{"from": cases.SILENT, "to": cases.PORT, "text": "TD"})])
    bank = {**cases.BANK, "to": cases.SILENT}
    wait_until(lambda: stage.decide("sms", **bank)["reason"] == "refused", what="the reply is a refusal")
    stage.broker.write_events([stage.event("sms", **bank) for _ in range(IGNORED)])


def _complaint_is_refusal_and_breach(stage: Stage) -> None:
    now = BEFORE_THE_HOLIDAYS
    assert stage.decide("sms", **cases.BANK)["reason"] == "consented"
    complaint = Complaint(
        "said-1",
        now,
        subscriber=cases.WILLING,
        channel="sms",
        sender="ORG-BANK",
        at=now - HOUR_MS,
        text="。",
        refusal=True,
    )
    case = ids.complaint_case(complaint)
    stage.broker.write([intake_record(complaint)])

    (forward,) = stage.case(case, "received").due
    assert (forward.clock, forward.due) == ("forward", SUNDAY_MIDNIGHT), (
        "8, 9 and the make-up Saturday 10 October: three working days"
    )
    wait_until(lambda: stage.decide("sms", **cases.BANK)["reason"] == "refused", what="the refusal")

    stage.move_clock(AFTER_THE_HOLIDAYS)
    time.sleep(0.5)
    assert stage.enforce.metric('wurao_enforce_alerts_total{about="forward"') == 0, "the holidays did not count"
    stage.move_clock(MAKE_UP_DAY)
    wait_until(
        lambda: stage.enforce.metric('wurao_enforce_alerts_total{about="forward",level="warning"') == 1,
        what="a warning on the last working day",
    )
    assert not any(clock.breached for clock in stage.case(case, "received").due)
    stage.move_clock(SUNDAY_MIDNIGHT)
    wait_until(lambda: any(clock.breached for clock in views(stage.broker)[case].due), what="the breach")
    assert views(stage.broker)[case].state == "received", "the duty is still owed"


def _violator_is_told_suspended_heard_and_freed(stage: Stage) -> None:
    service = {**cases.BANK, "purpose": "service"}
    case = stage.measure_against("ORG-BANK").case
    stage.case(case, "telling")
    (notice,) = stage.notices(case)
    assert (notice.measure, notice.grace_ms, notice.basis) == ("suspend", 24 * HOUR_MS, "early-warning")
    assert notice.figures[0].name == notice.reason == "blocked-share"
    assert notice.figures[0].value > 0.9, "the numbers that made the finding are told"
    assert notice.appeal

    stage.broker.write([intake_record(Delivery(notice.notice, case, _now_ms(), "delivered", 1, "webhook"))])
    stage.case(case, "warned")
    assert stage.decide("sms", **service)["reason"] == "service", "nobody is suspended in its grace"

    with stage.traffic("sms", **service):
        stage.move_clock(_now_ms())
        wait_until(lambda: bool(stage.suspended()), what="the suspension")
    decision = stage.suspended()[0]
    stage.case(case, "in-force")
    order = decode_order(stage.broker, case)
    assert int(str(decision["decided"])) - int(str(order["from"])) < 1_000, "the filter obeys within a second"
    assert (decision["basis"], decision["appeal"]) == ("early-warning", notice.appeal)
    assert order["notice"] == notice.notice
    call = stage.decide("call", **{"to": "12300", "from": "+861055550000", "sender": "ORG-BANK"})
    assert (call["verdict"], call["reason"]) == ("allow", "redress"), "the way to an appeal stays open"

    appeal = Appeal("said-2", _now_ms(), case, Party(sender="ORG-BANK"), grounds="。")
    stage.broker.write([intake_record(appeal)])
    stage.case(case, "appealed")
    stage.case(ids.appeal_case(appeal), "pending")
    stage.broker.write([case_event(ids.appeal_case(appeal), Decided("party", "it was another"), name="decided")])
    assert stage.case(case, "appeal-won").ended
    wait_until(lambda: stage.decide("sms", **service)["reason"] == "service", what="traffic passes again")
    assert [one.subject for one in stage.notices(case)] == ["measure", "measure-ended"]


def decode_order(broker: Broker, case: str) -> dict[str, object]:
    """The order of a case, as it stands in its topic."""
    orders = {record.key.decode(): orjson.loads(record.value) for record in broker.read(topics.ORDERS)}
    order: dict[str, object] = orders[f"O-{case}"]
    return order
