"""How long a word takes to be in force in every worker: from just before an expression is handed to a producer, to the
first batch that the slowest worker decides from a registry state that holds it.

Workers say so themselves: each new state is announced in `epochs` with the offsets up to which it was applied and the
time of the first batch decided from it. Nothing is added to a worker for the measurement.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from loadtest.environment import Rig
from loadtest.latency import Delays, delays_of
from loadtest.observer import Observer
from stream.clock import now_ms
from stream.kafka import clients
from stream.model.codec import encode
from stream.model.decision import Epoch
from stream.model.registry import key_of
from stream.model.topics import EPOCHS, EXPRESSIONS
from stream.testbed.feed import Ack
from stream.testbed.sample import Indexes, RepeatedExpression

EXPRESSION_EVERY_S: Final = 0.01


class Sent(NamedTuple):
    """A word on its way: when it was handed over, and the ack that will tell its offset."""

    at_ms: float
    partition: int
    ack: Ack


class State(NamedTuple):
    """A registry state as a worker announced it: its first batch's moment (ms), and per partition what it holds."""

    time: int
    offsets: Sequence[int]


States = Mapping[str, Sequence[State]]
"""By worker (its run), in order."""


@dataclass(slots=True)
class ExpressionWriters:
    """Subscribers who refuse everything, one every ten milliseconds, while a load lasts."""

    producer: AIOKafkaProducer
    who: Indexes
    partitions: int
    seconds: float
    sent: list[Sent] = field(default_factory=list)

    async def run(self, _: Observer, begin_ns: int) -> None:
        """Send words as long as events flow; fit to run beside a load."""
        words = RepeatedExpression("sms", "refuse", None, None, self.who, now_ms(), "loadtest")
        await asyncio.sleep((begin_ns - time.monotonic_ns()) / 1e9)
        end_ns = begin_ns + int(self.seconds * 1e9)
        while time.monotonic_ns() < end_ns and len(self.sent) < len(self.who):
            self.sent.append(await self._send(words, self.who.start + len(self.sent)))
            await asyncio.sleep(EXPRESSION_EVERY_S)

    async def _send(self, words: RepeatedExpression, index: int) -> Sent:
        one = words.expression(index)
        partition = partition_of(one.subscriber, self.partitions)
        key, value = key_of(one).encode(), encode(one)
        at_ms = time.time_ns() / 1e6
        ack = await self.producer.send(EXPRESSIONS, value=value, key=key, partition=partition)
        return Sent(at_ms, partition, ack)


async def announced(rig: Rig, *, first: int) -> States:
    """The registry states that were announced from offset `first` of `epochs` on, by worker."""
    consumer = clients.follower(rig.config, client="loadtest-epochs")
    (place,) = clients.partitions(EPOCHS, 1)
    consumer.assign([place])
    await consumer.start()
    found: dict[str, list[State]] = {}
    try:
        consumer.seek(place, first)
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    epoch = msgspec.json.decode(record.value, type=Epoch)
                    worker = epoch.epoch.rpartition("-")[0]
                    found.setdefault(worker, []).append(State(epoch.time, epoch.offsets[EXPRESSIONS]))
    finally:
        await consumer.stop()
    return found


async def delay_ms(word: Sent, states: States) -> float | None:
    """From a word's sending to the first batch of the slowest worker decided with it; None where one never did."""
    offset = (await word.ack).offset
    delays: list[float] = []
    for some in states.values():
        # A state's offsets are exclusive: the first that is greater than the word's own holds it.
        place = bisect_right(some, offset, key=lambda state: state.offsets[word.partition])
        if place == len(some):
            return None
        delays.append(some[place].time - word.at_ms)
    return max(delays, default=None)


async def delays_of_expressions(sent: Sequence[Sent], states: States) -> tuple[Delays, int]:
    """The delays of all words that came into force everywhere, and how many did not."""
    found = [await delay_ms(word, states) for word in sent]
    in_force = np.array([1e6 * delay for delay in found if delay is not None], dtype=np.int64)
    return delays_of(in_force), len(found) - len(in_force)
