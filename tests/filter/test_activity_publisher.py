"""Activity on its way out: the loop, on which every event waits, counts nothing."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from aiokafka.structs import RecordMetadata

from stream.deciding import windows
from stream.deciding.activity import ActivityCounter, Acts
from stream.deciding.batch import Keyed
from stream.deciding.windows import AnsweredEvent, Closed
from stream.filter import activity_publisher
from stream.filter.activity_publisher import ActivityPublisher
from stream.model.control import WINDOW_MS, Activity

NOW = 1_795_500_000_000
ANSWERS = [AnsweredEvent("sms", f"ORG-{number}", "allow", "consented") for number in range(700)]


def _acts(answers: list[AnsweredEvent], *, at: int) -> Acts:
    rows = np.arange(len(answers), dtype=np.int32)
    numbers = 8_613_800_000_000 + rows.astype(np.int64)
    return Acts(answers, rows, numbers, np.zeros_like(numbers), {}, np.full(len(rows), at, dtype=np.int64), [])


def _counter(answers: list[AnsweredEvent]) -> ActivityCounter:
    counter = ActivityCounter("run")
    counter.add(_acts(answers, at=NOW), now=NOW)
    return counter


async def test_a_window_is_counted_in_a_thread_and_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Keyed] = []
    counted_in: set[int] = set()
    plain = windows.records_of

    def records_of(closed: Closed, *, floor: int) -> Iterator[Activity]:
        for record in plain(closed, floor=floor):
            counted_in.add(threading.get_ident())
            yield record

    async def send(
        _: object, __: str, ___: int, keyed: list[Keyed], **____: int
    ) -> list[asyncio.Future[RecordMetadata]]:
        sent.extend(keyed)
        return []

    monkeypatch.setattr(activity_publisher, "records_of", records_of)
    monkeypatch.setattr(activity_publisher, "send", send)
    await ActivityPublisher(_counter(ANSWERS), None, partitions=12, floor=lambda: 100).finish()
    assert len({one.key for one in sent}) == len(ANSWERS)
    assert threading.get_ident() not in counted_in


def test_a_closed_window_knows_no_answer_that_is_met_later() -> None:
    later = NOW + 6 * WINDOW_MS
    counter = _counter(ANSWERS[:5])
    counter.add(_acts(ANSWERS[5:9], at=later), now=later)
    (closed,) = counter.close(later)
    counter.add(_acts(ANSWERS[9:30], at=later), now=later)
    assert len(closed.answers) == 9
