"""Bad records, and bad steps: named in dead-letter, and never in the way of the next one."""

from pathlib import Path

import msgspec
import pytest

from stream.enforce.procedures import ids
from stream.enforce.procedures.complaint import Answered, Complained
from stream.model import topics
from stream.model.codec import decode_as
from stream.model.control import Complaint, Filing, Notice
from tests.enforce.harness import NOW, EnforceProcess, case_event, intake_record, views, wait_until
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka


def test_what_cannot_be_read_taken_or_stepped_is_kept_with_its_reason_and_the_stream_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    good = Complaint("good", NOW, subscriber="+8613800138000", channel="sms", sender="ORG-1", at=NOW, text="。")
    odd = msgspec.structs.replace(good, complaint="odd", subscriber="12")
    # As only a program could put it: from the topic of complaints the number would be asked for.
    failing = msgspec.structs.replace(odd, complaint="bad", refusal=True)
    no_number = case_event(ids.complaint_case(failing), Complained(failing), name="failing")
    early = Complaint("early", NOW)
    topic, partition, key, _ = intake_record(good)
    filing = intake_record(Filing("flood", NOW, body="水利局"))
    ill_formed = (*filing[:3], b'{"kind":"filing","filing":"flood","time":1,"body":"x","from":"2026-10-20"}')
    broker.write(
        [
            (topic, partition, key, b"not json"),
            (topic, partition, key, None),
            (topic, partition, None, b"{}"),
            no_number,
            intake_record(odd),
            ill_formed,
            intake_record(early),
            case_event(ids.complaint_case(early), Answered("。"), name="answered"),
            intake_record(good),
        ]
    )
    good_cases = {"C-good", "C-early", "C-odd", "P-flood"}
    with EnforceProcess(broker, tmp_path) as process:
        process.wait_ready()
        wait_until(lambda: len(broker.read(topics.DEAD_LETTER)) == 5, what="five dead letters")
        wait_until(lambda: views(broker).keys() >= good_cases, what="all good cases")
        assert {views(broker)[case].state for case in ("C-odd", "P-flood")} == {"incomplete"}
        notices = (decode_as(Notice, record.value) for record in broker.read(topics.NOTICES))
        asked = {notice.case: notice.missing for notice in notices}
        assert "from: not milliseconds since the epoch, UTC" in asked["P-flood"]
        letters = {record.value: dict(record.headers) for record in broker.read(topics.DEAD_LETTER)}
        assert letters[b"not json"]["topic"] == b"complaints"
        assert set(letters) >= {b"not json", None, b"{}", no_number[3]}
        assert letters[no_number[3]]["error"] == b"the step failed: ValueError"
        assert process.metric("wurao_enforce_step_failures_total") == 1
        assert "138001" not in process.log, "no number is logged"
        assert process.terminate() == 0
