"""What has ended leaves the table of a running `wurao enforce`, for good, and its last view stays."""

import asyncio
import time
from pathlib import Path

import pytest

from stream.enforce.cases import recovery
from stream.enforce.procedures import ids
from stream.enforce.procedures.complaint import ComplaintWithdrawn
from stream.enforce.procedures.messages import Lift
from stream.enforce.procedures.terms import Settings
from stream.model import topics
from stream.model.control import Complaint, Finding, Party
from tests.enforce.harness import EnforceProcess, case_event, finding_event, intake_record, views, wait_until
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka


def _rows(broker: Broker) -> dict[str, bool]:
    """Key of every case or docket that the table's topic has held → whether it still holds it."""
    records = broker.read(topics.ENFORCE_TABLE)
    rows = {record.key.decode(): record.value is not None for record in records}
    return {key: held for key, held in rows.items() if not key.startswith("position|")}


def test_ended_cases_and_their_dockets_leave_the_table_and_stay_away_after_a_crash(
    broker: Broker, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000_000
    over, open_ = (Complaint(name, now, subscriber="+8613800138000", channel="sms") for name in ("over", "open"))
    finding = Finding("F-1", now, Party(sender="ORG-9"), "refusals", "early-warning")
    ended = {ids.complaint_case(over), ids.measure_case(finding), "sender|ORG-9"}
    clock = tmp_path / "offset-ms"
    clock.write_text("0")
    settings = {"WURAO_ENFORCE__INSTANCE": "one", "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock)}

    with EnforceProcess(broker, tmp_path, **settings) as process:
        process.wait_ready()
        broker.write([intake_record(over), intake_record(open_), finding_event(finding)])
        wait_until(lambda: len(views(broker)) == 3, what="three cases")
        broker.write([case_event(ids.complaint_case(over), ComplaintWithdrawn(), name="withdrawn")])
        broker.write([case_event(ids.measure_case(finding), Lift("an error", annul=True), name="lifted")])
        wait_until(lambda: sum(one.ended for one in views(broker).values()) == 2, what="two ended")
        assert process.metric("wurao_enforce_left_total") == 0

        clock.write_text(str(Settings().ended_kept_ms + 60_000))
        wait_until(lambda: process.metric("wurao_enforce_left_total") == 3, what="three rows left")
        assert process.metric("wurao_enforce_entries") == 1
        process.kill()
    assert {key for key, held in _rows(broker).items() if not held} == ended
    assert views(broker)[ids.complaint_case(over)].state == "withdrawn", "evidence stays"

    with EnforceProcess(broker, tmp_path, **settings) as process:
        process.wait_ready()
        assert process.metric("wurao_enforce_entries") == 1
        broker.write([case_event(ids.complaint_case(over), ComplaintWithdrawn(), name="late")])
        wait_until(lambda: len(broker.read(topics.DEAD_LETTER)) == 1, what="it takes nothing more")
        assert process.terminate() == 0
    assert {key for key, held in _rows(broker).items() if held} == {ids.complaint_case(open_)}


def test_the_table_is_brought_back_as_its_topic_has_it_and_with_nothing_else(broker: Broker) -> None:
    rows = (
        (b"C-1", b"ended"),
        (b"C-2", b"older"),
        (b"C-1", None),
        (b"C-2", b"newer"),
        (b"C-3", None),
        (b"C-3", b"anew"),
    )
    broker.write([(topics.ENFORCE_TABLE, 0, key, value) for key, value in rows])
    table: dict[bytes, bytes] = {b"C-1": b"ended", b"C-2": b"older", b"C-9": b"of a partition that was ours"}
    found = asyncio.run(recovery.recover(broker.config, table, [0]))
    assert found.entries == table == {b"C-2": b"newer", b"C-3": b"anew"}
