"""How far the intake is: read back from the table, per topic as it is now, never backwards."""

from stream.enforce.cases.decoding import RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.kafka.clients import AIOKafkaPartition


def test_positions_are_read_back_from_the_rows_that_they_made() -> None:
    offsets = IntakeOffsets({"complaints": "id-1", "appeals": "id-2"}, table_id="t")
    offsets.advance(RecordPosition("complaints", 3, 41, 0))
    row = offsets.advance(RecordPosition("appeals", 3, 7, 0))
    again = IntakeOffsets({"complaints": "id-1", "appeals": "id-2"}, table_id="t")
    again.load([row.value])
    assert [again[AIOKafkaPartition(topic, 3)] for topic in ("complaints", "appeals")] == [42, 8]
    assert again[AIOKafkaPartition("complaints", 4)] == 0


def test_a_topic_that_was_made_again_is_read_from_its_beginning() -> None:
    row = IntakeOffsets({"complaints": "id-1"}, table_id="t").advance(RecordPosition("complaints", 3, 41, 0))
    again = IntakeOffsets({"complaints": "id-9"}, table_id="t")
    again.load([row.value])
    assert again[AIOKafkaPartition("complaints", 3)] == 0


def test_a_skip_never_goes_back() -> None:
    offsets = IntakeOffsets({"complaints": "id-1"}, table_id="t")
    offsets.advance(RecordPosition("complaints", 3, 41, 0))
    offsets.skip_to(AIOKafkaPartition("complaints", 3), 10)
    assert offsets[AIOKafkaPartition("complaints", 3)] == 42


def test_offsets_that_came_to_another_table_stand_for_no_case_of_it() -> None:
    """They may, in the second before a process notices; one that starts then reads everything again."""
    row = IntakeOffsets({"complaints": "id-1"}, table_id="t").advance(RecordPosition("complaints", 3, 41, 0))
    again = IntakeOffsets({"complaints": "id-1"}, table_id="u")
    again.load([row.value])
    assert again[AIOKafkaPartition("complaints", 3)] == 0


def test_a_row_of_a_version_that_named_no_table_is_read() -> None:
    offsets = IntakeOffsets({"complaints": "id-1"}, table_id="t")
    offsets.load([b'{"partition":3,"next":[{"topic_id":"id-1","offset":42}]}'])
    assert offsets[AIOKafkaPartition("complaints", 3)] == 42


def test_the_topic_that_is_recreated_while_it_runs_begins_anew_and_no_other() -> None:
    offsets = IntakeOffsets({"complaints": "id-1", "appeals": "id-2"}, table_id="t")
    offsets.advance(RecordPosition("complaints", 3, 41, 0))
    offsets.advance(RecordPosition("appeals", 3, 7, 0))
    offsets.renew({"complaints": "id-9", "appeals": "id-2"})
    assert [offsets[AIOKafkaPartition(topic, 3)] for topic in ("complaints", "appeals")] == [0, 8]
