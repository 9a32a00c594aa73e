"""How far the intake is: read back from the table, per topic as it is now, never backwards."""

from stream.enforce.cases.decoding import Spot
from stream.enforce.cases.offsets import Place, Positions


def test_positions_are_read_back_from_the_rows_that_they_made() -> None:
    positions = Positions({"complaints": "id-1", "appeals": "id-2"})
    positions.pass_(Spot("complaints", 3, 41, 0))
    row = positions.pass_(Spot("appeals", 3, 7, 0))
    again = Positions({"complaints": "id-1", "appeals": "id-2"})
    again.load([row.value])
    assert [again[Place(topic, 3)] for topic in ("complaints", "appeals")] == [42, 8]
    assert again[Place("complaints", 4)] == 0


def test_a_topic_that_was_made_again_is_read_from_its_beginning() -> None:
    row = Positions({"complaints": "id-1"}).pass_(Spot("complaints", 3, 41, 0))
    again = Positions({"complaints": "id-9"})
    again.load([row.value])
    assert again[Place("complaints", 3)] == 0


def test_a_skip_never_goes_back() -> None:
    positions = Positions({"complaints": "id-1"})
    positions.pass_(Spot("complaints", 3, 41, 0))
    positions.skip_to(Place("complaints", 3), 10)
    assert positions[Place("complaints", 3)] == 42
