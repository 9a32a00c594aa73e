"""A native module in Python, for tests: the same contract, answered by `Decider` and aiokafka's reader and builder.

As a program it is `wurao filter` with this in the place of the module: `python -m tests.filter.standin [PANIC]`. At an
event whose id begins with PANIC it does what a panic in Rust does: it raises what is no `Exception`.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from bloom.number import parse
from bloom.partition import partition_of
from bloom.snapshot import SnapshotMeta
from stream import config as configuration
from stream import logs
from stream.deciding.activity import CLAIMED, Acts, Owner
from stream.deciding.native_batch import MakeNative
from stream.deciding.native_selection import NativePath
from stream.deciding.windows import NO_NUMBER, AnsweredEvent, Sign
from stream.filter.supervisor import Supervisor
from stream.kafka.seams import layout
from stream.model.codec import Undecodable, encode, event_decoder
from stream.model.decision import Decision
from stream.model.events import Event, Reply, Sms
from stream.model.fields import Channel
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry
from tests.filter.harness import PARTITIONS

Decided = tuple[Event, Decision, str, str | None]
"""An event, its decision, and its numbers as read: whom it concerns, and what it came from."""

DECISIONS_MAX = 500
"""Decisions in one finished batch: so few that there are several."""


class Panic(BaseException):
    """As PyO3 raises it."""


@dataclass
class StandInOutcome:
    """What `Outcome` asks for."""

    batches: list[tuple[bytes, int]]
    counts: list[tuple[str, str, str, int]]
    fallback: list[tuple[int, int, bytes | None, bytes | None]]
    acts: Acts
    misplaced: int
    misread_routes_count: int = 0


@dataclass
class StandIn:
    """Answers every event but those that `leaves` names, replies, and what cannot be decoded."""

    decider: Decider
    partitions: int
    leaves: Callable[[Event, Decision], bool]
    panic: str | None = None

    def decide(self, raw: memoryview, *, topic: str, partition: int, base_offset_from: int, now: int) -> StandInOutcome:
        """As the contract has it."""
        decode = event_decoder(topic)
        fallback: list[tuple[int, int, bytes | None, bytes | None]] = []
        keyed: list[tuple[bytes, bytes]] = []
        decided: list[Decided] = []
        timestamps: list[int] = []
        misplaced = 0
        memory = MemoryRecords(bytes(raw))
        while memory.has_next():
            for record in memory.next_batch():
                if record.offset < base_offset_from:
                    continue
                try:
                    event = decode(record.value)
                except Undecodable:
                    fallback.append((record.offset, record.timestamp, record.key, record.value))
                    continue
                if self.panic and event.id.startswith(self.panic):
                    raise Panic("index out of bounds")
                decision = self.decider.decide(event, now)
                if isinstance(event, Reply) or self.leaves(event, decision) or self._claims(decision):
                    fallback.append((record.offset, record.timestamp, record.key, record.value))
                    continue
                numbers = self.decider.read([event])
                (subscriber,), (origin,) = numbers.subscribers, numbers.origins
                keyed.append((record.key or subscriber.encode(), encode(decision)))
                decided.append((event, decision, subscriber, origin))
                timestamps.append(record.timestamp)
                misplaced += partition_of(subscriber, self.partitions) != partition
        some = [keyed[first : first + DECISIONS_MAX] for first in range(0, len(keyed), DECISIONS_MAX)]
        tallies = Counter((decision.of, decision.verdict, decision.reason) for _, decision, *_ in decided)
        return StandInOutcome(
            [(_finished(batch, now), len(batch)) for batch in some],
            [(*tally, count) for tally, count in tallies.items()],
            fallback,
            self._acts(decided, timestamps),
            misplaced,
        )

    def _claims(self, decision: Decision) -> bool:
        """Whether it may name a sender in vain: that is for Python to tell."""
        if decision.sender is None or decision.reason not in CLAIMED:
            return False
        owner = owner_in(self.decider.world.registry)
        return owner("call" if decision.of == "call" else "sms", decision.from_ or "") != decision.sender

    def _acts(self, decided: list[Decided], timestamps: list[int]) -> Acts:
        decisions = [decision for _, decision, *_ in decided]
        given = [AnsweredEvent(one.of, one.sender, one.verdict, one.reason) for one in decisions]
        answers = sorted(set(given), key=repr)
        froms = ["" if one.sender else origin or "" for _, one, _, origin in decided]
        opt_out = self.decider.world.policy.opt_out
        return Acts(
            answers=answers,
            rows=np.array([answers.index(one) for one in given], dtype=np.int32),
            recipients=np.array([_number(subscriber) for _, _, subscriber, _ in decided], dtype=np.int64),
            sources=np.array([0 if d.sender else _number(f) for d, f in zip(decisions, froms, strict=True)], np.int64),
            odd_sources={row: text for row, text in enumerate(froms) if text and _number(text) == NO_NUMBER},
            timestamps=np.array(timestamps, dtype=np.int64),
            signs=[
                Sign("opt-out hint", timestamp, "sms", decision.sender)
                for (event, decision, *_), timestamp in zip(decided, timestamps, strict=True)
                if isinstance(event, Sms)
                and decision.reason == "service"
                and decision.sender
                and opt_out.search((event.text or "").lower())
            ],
        )


def owner_in(registry: Registry) -> Owner:
    """Whose numbers are, by a registry."""

    def owner(channel: Channel, number: str) -> str | None:
        holding = registry.ownership[channel].owner(number)
        return holding.sender if holding is not None else None

    return owner


def _finished(keyed: list[tuple[bytes, bytes]], now: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 4, 0, 0, 0, 0, 1 << 30)
    for number, (key, value) in enumerate(keyed):
        builder.append(number, now, key, value, [])
    data = builder.build()
    data[layout.CRC_AT : layout.CRC_AT + 4] = bytes(4)
    return bytes(data)


def _number(text: str) -> int:
    number = parse(text)
    return NO_NUMBER if number is None else number


def unsure(event: Event, _: Decision) -> bool:
    """What a native module may leave: here by chance."""
    return event.id.endswith("7")


def path(panic: str | None = None) -> NativePath:
    """The stand-in as a path that workers take."""

    def share(registry: Registry, _: SnapshotMeta) -> MakeNative:
        def make(decider: Decider) -> StandIn:
            assert decider.world.registry is registry
            return StandIn(decider, PARTITIONS, unsure, panic)

        return make

    return NativePath(share, "a stand-in for tests")


if __name__ == "__main__":
    logs.configure(verbose=False)
    asyncio.run(Supervisor(configuration.load(None, os.environ), load(), native=path(*sys.argv[1:])).run())
