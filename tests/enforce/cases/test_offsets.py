"""How far the intake is: read back from the table, per topic as it is now, never backwards."""

from stream.enforce.cases.decoding import RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.kafka.clients import AIOKafkaPartition


def test_positions_are_read_back_from_the_rows_that_they_made() -> None:
    offsets = IntakeOffsets({"complaints": "id-1", "appeals": "id-2"})
    offsets.advance(RecordPosition("complaints", 3, 41, 0))
    row = offsets.advance(RecordPosition("appeals", 3, 7, 0))
    again = IntakeOffsets({"complaints": "id-1", "appeals": "id-2"})
    again.load([row.value])
    assert [again[AIOKafkaPartition(topic, 3)] for topic in ("complaints", "appeals")] == [42, 8]
    assert again[AIOKafkaPartition("complaints", 4)] == 0


def test_a_topic_that_was_made_again_is_read_from_its_beginning() -> None:
    row = IntakeOffsets({"complaints": "id-1"}).advance(RecordPosition("complaints", 3, 41, 0))
    again = IntakeOffsets({"complaints": "id-9"})
    again.load([row.value])
    assert again[AIOKafkaPartition("complaints", 3)] == 0


def test_a_skip_never_goes_back() -> None:
    offsets = IntakeOffsets({"complaints": "id-1"})
    offsets.advance(RecordPosition("complaints", 3, 41, 0))
    offsets.skip_to(AIOKafkaPartition("complaints", 3), 10)
    assert offsets[AIOKafkaPartition("complaints", 3)] == 42
