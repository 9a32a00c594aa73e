"""Requests that wait: single ones go first, bulk waits for them among all partitions, and not for ever."""

import asyncio
from typing import NamedTuple

import pytest

from stream.registrar import lanes
from stream.registrar.lanes import BATCH_BYTES_MAX, BATCH_REQUESTS_MAX, WAITING_BYTES_MAX, Turns, Waiting


class Fetched(NamedTuple):
    """As much of a fetched record as lanes look at."""

    offset: int
    value: bytes | None


def some(count: int, size: int = 10, first: int = 0) -> list[Fetched]:
    return [Fetched(first + place, b"x" * size) for place in range(count)]


def test_single_requests_go_first_and_a_batch_is_bounded() -> None:
    waiting = Waiting(Turns())
    waiting.put("bulk", some(3, BATCH_BYTES_MAX // 2))
    waiting.put("requests", some(BATCH_REQUESTS_MAX + 5))
    batches = []
    while (batch := waiting.next_batch()) is not None:
        batches.append((batch[0], len(batch[1])))
        waiting.done(batch[0], len(batch[1]))
    assert batches == [("requests", BATCH_REQUESTS_MAX), ("requests", 5), ("bulk", 2), ("bulk", 1)]


def test_one_that_is_larger_than_a_batch_goes_alone_and_a_full_lane_says_so() -> None:
    waiting = Waiting(Turns())
    waiting.put("bulk", some(2, WAITING_BYTES_MAX // 2))
    assert waiting.is_full("bulk")
    assert not waiting.is_full("requests")
    batch = waiting.next_batch()
    assert batch is not None
    assert [one.offset for one in batch[1]] == [0]
    assert waiting.next_offsets == {"bulk": 2}
    waiting.clear()
    assert (waiting.next_batch(), waiting.is_full("bulk"), waiting.next_offsets) == (None, False, {})


async def test_bulk_of_any_partition_waits_for_single_requests_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BULK_WAITS_S_MAX", 60.0)
    turns = Turns()
    single = Waiting(turns)
    single.put("requests", some(2))
    begun: list[str] = []

    async def bulk() -> None:
        async with turns.bulk():
            begun.append("bulk")

    task = asyncio.create_task(bulk())
    for count in (1, 1):
        await asyncio.sleep(0)
        assert begun == []
        single.done("requests", count)
    await task
    assert begun == ["bulk"]


async def test_bulk_goes_on_under_single_requests_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BULK_WAITS_S_MAX", 0.01)
    turns = Turns()
    turns.single_came(1)
    async with turns.bulk():
        pass
