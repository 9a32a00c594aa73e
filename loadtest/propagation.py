"""How long a word takes to be in force in a worker that is busy with events, and how many words it applies a second.

Measured from just before an expression is handed to a producer, to the first batch that is decided from a registry
state that holds it. The worker says so itself: each new state is announced in `epochs` with the offsets up to which
it was applied and the time of the first batch decided from it. Nothing is added to the worker for the measurement.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from loadtest.rig import PARTITIONS, Offsets, Rig, note
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


class _Sent(NamedTuple):
    at_ms: float
    partition: int
    ack: Ack


class _State(NamedTuple):
    time: int
    offsets: Sequence[int]


async def propagation(
    rig: Rig, *, events_count: int, seconds: float, churn_per_s: int, indexes: Indexes
) -> Propagation:
    """Measure it on a worker that takes all waiting events from the first; `indexes`: subscribers not used before."""
    process = rig.filter(os.environ)
    async with (
        rig.producer() as producer,
        Offsets(rig.config, DECISIONS) as decided,
        Offsets(rig.config, EPOCHS, partitions=1) as epochs,
    ):
        first_epoch = epochs.before
        process.start()
        try:
            await process.wait_ready()
            began, before = time.monotonic(), await decided.count()
            words = Words("sms", "refuse", None, None, indexes, now_ms(), "bench")
            middle = indexes.start + int(seconds / WORD_EVERY_S) + 1
            churning = asyncio.create_task(
                _churn(producer, words, range(middle, indexes.stop), per_s=churn_per_s)
            )
            sent: list[_Sent] = []
            counted = before
            while time.monotonic() - began < seconds and counted < BACKLOG_SHARE * events_count:
                for _ in range(20):
                    sent.append(await _send_word(producer, words, indexes.start + len(sent)))
                    await asyncio.sleep(WORD_EVERY_S)
                counted = await decided.count()
                process.check()
            took = time.monotonic() - began
            churning.cancel()
            written = (await asyncio.gather(churning, return_exceptions=True), _churned)[1]
            await asyncio.sleep(1.0)
        finally:
            await asyncio.to_thread(process.stop)
    raise NotImplementedError
