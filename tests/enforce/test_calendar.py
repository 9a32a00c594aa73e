"""The calendar of a year arrives while cases wait for its days: at a start, and as the file is written anew."""

from pathlib import Path

import pytest

from stream.clock import now_ms
from stream.enforce.procedures import ids
from stream.model.control import Complaint
from tests.enforce.harness import EnforceProcess, intake_record, views, wait_until
from tests.enforce.procedures.world import at
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

YEAR = """
[[years]]
year = 2040
holidays = []
[[years]]
year = 2041
holidays = [{holidays}]
"""


def test_a_clock_that_runs_ends_on_the_day_that_the_calendar_has_once_it_is_announced(
    broker: Broker, tmp_path: Path
) -> None:
    complaint, other = (
        Complaint(name, now_ms(), subscriber="+8613800138000", channel="sms", sender="ORG-1", at=now_ms(), text="。")
        for name in ("one", "other")
    )
    case = ids.complaint_case(complaint)
    clock, calendar = tmp_path / "offset-ms", tmp_path / "calendar.toml"
    clock.write_text(str(at("2040-12-31 10:00") - now_ms()))
    calendar.write_text(YEAR.format(holidays="").replace("2041", "2042"))
    settings = {
        "WURAO_ENFORCE__INSTANCE": "one",
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock),
        "WURAO_ENFORCE__CALENDAR": str(calendar),
    }

    def due(case: str, *, step: int) -> tuple[int, bool]:
        wait_until(lambda: case in views(broker) and views(broker)[case].step == step, what=f"step {step}")
        (running,) = views(broker)[case].due
        return running.due, running.known

    with EnforceProcess(broker, tmp_path, **settings) as process:
        process.wait_ready()
        broker.write([intake_record(complaint)])
        assert due(case, step=1) == (at("2041-01-05 00:00"), False), "2 to 4 January; New Year's Day is off by law"
        process.kill()
    calendar.write_text(YEAR.format(holidays="2041-01-01, 2041-01-02"))
    with EnforceProcess(broker, tmp_path, **settings) as process:
        process.wait_ready()
        assert due(case, step=2) == (at("2041-01-08 00:00"), True)
        calendar.write_text(YEAR.format(holidays="2041-01-01, 2041-01-02, 2041-01-03"))
        assert due(case, step=3) == (at("2041-01-09 00:00"), True)
        calendar.write_text("years = 1")
        broker.write([intake_record(other)])
        assert due(ids.complaint_case(other), step=1) == (at("2041-01-09 00:00"), True), "what was read last stays"
        process.kill()
