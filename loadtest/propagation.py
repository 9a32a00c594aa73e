"""How long a word takes to be in force in a worker that is busy with events, and how many words it applies
a second.

Measured from just before an expression is handed to a producer, to the first batch that is decided from a
registry state that holds it. The worker says so itself: each new state is announced in `epochs` with the
offsets up to which it was applied and the time of the first batch decided from it. Nothing is added to the
worker for the measurement.
"""

import asyncio
import os
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from loadtest.rig import PARTITIONS, Offsets, Rig
from stream.demo.feed import Ack, now_ms, send_words
from stream.demo.processes import FilterError, FilterProcess, cpu_s
from stream.demo.sample import Indexes, Words
from stream.kafka import clients
from stream.model.codec import encode
from stream.model.decision import Epoch
from stream.model.registry import key_of
from stream.model.topics import DECISIONS, EPOCHS, EXPRESSIONS

WORD_EVERY_S: Final = 0.01
CHURN_EVERY_S: Final = 0.02
BACKLOG_SHARE: Final = 0.85
"""Words are sent until this part of the waiting events is decided: to the end there is always something to decide."""

LOOK_EVERY_WORDS: Final = 20
SETTLE_S: Final = 1.0
CHUNK: Final = 50_000

APPLIED_EVERY_S: Final = 0.1
APPLIED_S_MAX: Final = 60.0


class Propagation(msgspec.Struct, frozen=True):
    """How long words took, milliseconds, and what went on meanwhile, a second."""

    words_count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    never_count: int
    """words sent while events flowed and never in force: must be 0"""
    events_per_s: float
    churn_per_s: float
    seconds: float


class Applied(msgspec.Struct, frozen=True):
    """Refusals of everything applied by one worker that has nothing else to do."""

    records_count: int
    per_wall_s: float
    per_cpu_s: float


class Sent(NamedTuple):
    """A word on its way: when it was handed over, and the ack that will tell its offset."""

    at_ms: float
    partition: int
    ack: Ack


class State(NamedTuple):
    """A registry state as a worker announced it: its first batch's moment (ms), and per partition what it holds."""

    time: int
    offsets: Sequence[int]


async def propagation(
    rig: Rig, *, events_count: int, seconds: float, churn_per_s: int, indexes: Indexes
) -> Propagation:
    """Measure it on a worker that takes all waiting events from the first; `indexes`: subscribers not used before."""
    process = rig.filter(os.environ)
    words = Words("sms", "refuse", None, None, indexes, now_ms(), "bench")
    words_max = int(seconds / WORD_EVERY_S)
    churn = _Churn(words, range(indexes.start + words_max, indexes.stop), per_s=churn_per_s)
    sent: list[Sent] = []
    async with (
        rig.producer() as producer,
        Offsets(rig.config, DECISIONS) as decided,
        Offsets(rig.config, EPOCHS, partitions=1) as epochs,
    ):
        process.start()
        try:
            await process.wait_ready()
            began, before = time.monotonic(), await decided.count()
            churning = asyncio.create_task(churn.run(producer))
            done = before
            while len(sent) < words_max and done < BACKLOG_SHARE * events_count:
                sent.append(await _send_word(producer, words, indexes.start + len(sent)))
                await asyncio.sleep(WORD_EVERY_S)
                if len(sent) % LOOK_EVERY_WORDS == 0:
                    done = await decided.count()
                    process.check()
            took, done = time.monotonic() - began, await decided.count()
            churning.cancel()
            await asyncio.gather(churning, return_exceptions=True)
            await asyncio.sleep(SETTLE_S)
        finally:
            await asyncio.to_thread(process.stop)
        states = await _states(rig, first=epochs.before)
    delays = [await delay_ms(one, states) for one in sent]
    in_force = np.array([delay for delay in delays if delay is not None])
    if not len(in_force):
        raise FilterError(f"none of {len(sent)} words was in force; the filter's log is {process.log}")
    p50, p99, most = (float(q) for q in np.quantile(in_force, (0.5, 0.99, 1.0)))
    return Propagation(
        words_count=len(in_force),
        p50_ms=p50,
        p99_ms=p99,
        max_ms=most,
        never_count=len(delays) - len(in_force),
        events_per_s=(done - before) / took,
        churn_per_s=churn.written / took,
        seconds=took,
    )


async def applied(rig: Rig, *, count: int, indexes: Indexes) -> Applied:
    """How many refusals of everything a worker applies that has no events, while they are written as fast
    as it goes.
    """
    process = rig.filter(os.environ)
    words = Words("call", "refuse", None, None, indexes, now_ms(), "bench")
    process.start()
    try:
        await process.wait_ready()
        await _idle(process, rig)
        before = await _records(process)
        pid = process.worker_pids[0]
        began, cpu_before = time.monotonic(), cpu_s(pid) or 0.0
        async with rig.producer() as producer:
            acks: list[Ack] = []
            for first in range(indexes.start, indexes.start + count, CHUNK):
                acks += await send_words(producer, words, range(first, first + CHUNK), partitions=PARTITIONS)
            await asyncio.gather(*acks)
        while (done := await _records(process) - before) < count:
            if time.monotonic() - began > APPLIED_S_MAX:
                raise FilterError(f"{done:,.0f} of {count:,} records were applied after {APPLIED_S_MAX:.0f} s")
            await asyncio.sleep(APPLIED_EVERY_S)
        took, cpu = time.monotonic() - began, (cpu_s(pid) or 0.0) - cpu_before
    finally:
        await asyncio.to_thread(process.stop)
    return Applied(count, count / took, count / cpu)


class _Churn:
    """Refusals of everything, so many a second, each of another subscriber."""

    def __init__(self, words: Words, indexes: Indexes, *, per_s: int) -> None:
        self.written = 0
        self._words = words
        self._indexes = indexes
        self._per_s = per_s

    async def run(self, producer: AIOKafkaProducer) -> None:
        """Write until cancelled."""
        began = time.monotonic()
        while self._per_s:
            await asyncio.sleep(CHURN_EVERY_S)
            due = min(int((time.monotonic() - began) * self._per_s), len(self._indexes)) - self.written
            if due > 0:
                first = self._indexes.start + self.written
                await send_words(producer, self._words, range(first, first + due), partitions=PARTITIONS)
                self.written += due


async def _send_word(producer: AIOKafkaProducer, words: Words, index: int) -> Sent:
    one = words.expression(index)
    partition = partition_of(one.subscriber, PARTITIONS)
    key, value = key_of(one).encode(), encode(one)
    at_ms = time.time_ns() / 1e6
    return Sent(at_ms, partition, await producer.send(EXPRESSIONS, value=value, key=key, partition=partition))


async def _states(rig: Rig, *, first: int) -> list[State]:
    """The registry states that were announced from offset `first` on, in order."""
    consumer = clients.follower(rig.config, client="loadtest-epochs")
    (place,) = clients.partitions(EPOCHS, 1)
    consumer.assign([place])
    await consumer.start()
    found: list[State] = []
    try:
        consumer.seek(place, first)
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    epoch = msgspec.json.decode(record.value, type=Epoch)
                    found.append(State(epoch.time, epoch.offsets[EXPRESSIONS]))
    finally:
        await consumer.stop()
    return found


async def delay_ms(word: Sent, states: Sequence[State]) -> float | None:
    """From a word's sending to the first batch decided with it; None where there was none."""
    offset = (await word.ack).offset
    # A state's offsets are exclusive: the first that is greater than the word's own holds it.
    place = bisect_right(states, offset, key=lambda state: state.offsets[word.partition])
    return states[place].time - word.at_ms if place < len(states) else None


async def _records(process: FilterProcess) -> float:
    scrape = await process.scrape(1)
    return 0.0 if scrape is None else scrape.total("wurao_registry_records_total", topic=EXPRESSIONS)


async def _idle(process: FilterProcess, rig: Rig) -> None:
    """Wait until the worker has decided all that waits: no more decisions come."""
    async with Offsets(rig.config, DECISIONS) as decided:
        last = -1
        while (now := await decided.count()) != last:
            last = now
            await asyncio.sleep(SETTLE_S)
            process.check()
