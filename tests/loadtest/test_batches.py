"""A load as ready record batches: every event once, as its pool has it, stamped with the moment it was due."""

import numpy as np
import pytest
from aiokafka.record.memory_records import MemoryRecords

from loadtest.batches import NS_PER_MS, lots
from loadtest.generator import Magazine
from loadtest.pool import Mix, Pool, pool
from loadtest.schedule import Schedule, Step
from stream.testbed.sample import sample

BEGIN_MS = 1_795_500_000_000
PHASE_NS = 700_000
TICK_NS = 2 * NS_PER_MS
SIZE = 500


def _pool(mix: Mix) -> Pool:
    return pool(sample(now=BEGIN_MS, refusals_count=1_000), mix, prefix="t", partitions=12, size=SIZE)


@pytest.mark.parametrize("mix", ["sms", "mixed"])
def test_every_event_leaves_once_where_it_belongs_stamped_with_the_moment_it_was_due(mix: Mix) -> None:
    events, schedule = _pool(mix), Schedule((Step(700, 0.5), Step(300_000, 0.01), Step(700, 0.5)))
    seen: set[int] = set()
    for lot in lots(events, schedule, tick_ns=TICK_NS, phase_ns=PHASE_NS):
        assert lot.bytes_count == sum(len(batch.data) for batch in lot.batches)
        assert len({(batch.topic, batch.partition) for batch in lot.batches}) == len(lot.batches)
        for batch in lot.batches:
            records = MemoryRecords(bytes(batch.stamped(BEGIN_MS))).next_batch()
            assert records.validate_crc()
            for offset, record in enumerate(records):
                number = int(record.value.split(b'"id":"t-')[1][:10])
                shot = events.shot(number)
                assert (shot.topic, shot.partition) == (batch.topic, batch.partition)
                assert (record.key, record.value, record.offset) == (shot.key, shot.value(number), offset)
                due_ns = int(schedule.at_ns(np.array([number]))[0])
                assert record.timestamp == BEGIN_MS + (due_ns + PHASE_NS) // NS_PER_MS
                assert lot.first <= number < lot.stop
                assert due_ns <= lot.at_ns <= due_ns + TICK_NS
                assert number not in seen
                seen.add(number)
    assert seen == set(range(schedule.count))


def test_a_magazine_gives_all_lots_in_order_also_those_that_it_had_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    events, schedule = _pool("sms"), Schedule((Step(5_000, 0.2),))
    monkeypatch.setattr("loadtest.generator.READY_BYTES_MAX", 20_000)
    magazine = Magazine(lots(events, schedule, tick_ns=TICK_NS))
    assert not magazine.make_one()
    taken = list(iter(magazine.take, None))
    assert [lot.first for lot in taken[1:]] == [lot.stop for lot in taken[:-1]]
    assert (taken[0].first, taken[-1].stop) == (0, schedule.count)
