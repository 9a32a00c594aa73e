"""Bad records, and bad steps: named in dead-letter, and never in the way of the next one."""

from pathlib import Path

import msgspec
import pytest

from stream.enforce import ids
from stream.enforce.complaint import Answered
from stream.model import topics
from stream.model.control import Complaint
from tests.enforce_app.harness import NOW, EnforceProcess, pictures, said, told, wait_until
from tests.filter.harness import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def test_what_cannot_be_read_taken_or_stepped_is_kept_with_its_reason_and_the_stream_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    good = Complaint("good", NOW, subscriber="+8613800138000", channel="sms", sender="ORG-1", at=NOW, text="。")
    no_number = msgspec.structs.replace(good, complaint="bad", subscriber="12", refusal=True)
    early = Complaint("early", NOW)
    topic, partition, key, _ = said(good)
    broker.write(
        [
            (topic, partition, key, b"not json"),
            (topic, partition, key, None),
            (topic, partition, None, b"{}"),
            said(no_number),
            said(early),
            told(ids.complaint_case(early), Answered("。"), name="answered"),
            said(good),
        ]
    )
    with EnforceProcess(broker, tmp_path) as process:
        process.wait_ready()
        wait_until(lambda: len(broker.read(topics.DEAD_LETTER)) == 5, within_s=15, what="five dead letters")
        wait_until(lambda: pictures(broker).keys() >= {"C-good", "C-early"}, within_s=5, what="both good cases")
        letters = {record.value: dict(record.headers) for record in broker.read(topics.DEAD_LETTER)}
        assert letters[b"not json"]["topic"] == b"complaints"
        assert set(letters) >= {b"not json", None, b"{}", said(no_number)[3]}
        assert letters[said(no_number)[3]]["error"] == b"the step failed: ValueError"
        assert process.metric("wurao_enforce_step_failures_total") == 1
        assert "138001" not in process.log, "no number is logged"
        assert process.terminate() == 0
