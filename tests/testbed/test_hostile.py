"""Hostile events: each kind comes to what it says, in whatever batch; the same seed makes the same."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from stream.kafka.seams.bounded import records_in
from stream.kafka.topics import MESSAGE_BYTES_MAX
from stream.model.codec import Undecodable, event_decoder
from stream.model.events import Event
from stream.testbed.hostile import HostileTraffic, Lot
from stream.testbed.hostile_kinds import KINDS

NOW = 1_795_500_000_000


def lots(count: int, *, seed: int = 1) -> Iterable[Lot]:
    return HostileTraffic(seed=seed, prefix="h", first=0, partitions=12).lots(count, now=lambda: NOW)


def outcome(decode: Callable[[bytes | None], Event], value: bytes | None) -> Event | Undecodable:
    try:
        return decode(value)
    except Undecodable as error:
        return error


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_a_kind_makes_comes_to_what_it_says_and_passes_a_broker(seed: int) -> None:
    seen: Counter[str] = Counter()
    decided = 0
    for lot in lots(4_000, seed=seed):
        batch = lot.batch()
        assert len(batch) <= MESSAGE_BYTES_MAX, lot.records[0].kind
        decode = event_decoder(lot.topic)
        read = {record.offset: record for record in records_in(bytes(batch))}
        for offset, record in lot.offsets():
            kind = record.kind
            seen[kind.name] += 1
            found = outcome(decode, read[offset].value)
            if kind.reason is not None:
                assert isinstance(found, Undecodable), (kind, found)
                assert kind.reason in str(found), kind
            else:
                assert not isinstance(found, Undecodable), (kind, found)
                assert found.id.startswith(f"h-{decided:010d}")
                decided += 1
    assert seen.keys() == {kind.name for kind in KINDS}
    assert seen.total() == 4_000


def test_the_same_seed_makes_the_same_events() -> None:
    one, same, other = (list(lots(500, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
