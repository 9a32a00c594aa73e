"""A native module in Python, for tests: the same contract, answered by `Decider` and aiokafka's reader and builder.

As a program it is `wurao filter` with this in the place of the module: `python -m tests.filter.standin [PANIC]`. At an
event whose id begins with PANIC it does what a panic in Rust does: it raises what is no `Exception`.
"""

import asyncio
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from bloom.number import parse
from bloom.partition import partition_of
from stream import config as configuration
from stream import logs
from stream.filter.paths import MakeNative, NativePath
from stream.filter.supervisor import Supervisor
from stream.filter.windows import NO_NUMBER
from stream.kafka.seams import layout
from stream.model.codec import Undecodable, encode, event_decoder
from stream.model.decision import Decision
from stream.model.events import Event, Reply, Sms
from stream.model.fields import EventKind, Verdict
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry
from tests.filter.harness import PARTITIONS

DECISIONS_MAX = 500
"""Decisions in one finished batch: so few that there are several."""


class Panic(BaseException):
    """As PyO3 raises it."""


@dataclass
class StandInOutcome:
    """What `Outcome` asks for."""

    batches: list[tuple[bytes, int]] = field(default_factory=list)
    answers: list[tuple[EventKind, str | None, Verdict, str]] = field(default_factory=list)
    places: bytes = b""
    recipients: bytes = b""
    sources: bytes = b""
    timestamps: bytes = b""
    odd_sources: list[tuple[int, str]] = field(default_factory=list)
    hinted: list[int] = field(default_factory=list)
    left: list[tuple[int, int, bytes | None, bytes | None]] = field(default_factory=list)
    misplaced: int = 0


@dataclass
class StandIn:
    """Answers every event but those that `leaves` names, replies, and what cannot be decoded."""

    decider: Decider
    partitions: int
    leaves: Callable[[Event, Decision], bool]
    panic: str | None = None

    def settle(self, *, stale: bool, epoch: str) -> None:
        """The decider is the worker's own, which has settled."""

    def decide(self, raw: memoryview, *, topic: str, partition: int, base_offset_from: int, now: int) -> StandInOutcome:
        """As the contract has it."""
        outcome = StandInOutcome()
        decode = event_decoder(topic)
        decisions: list[tuple[bytes, bytes]] = []
        memory = MemoryRecords(bytes(raw))
        while memory.has_next():
            for record in memory.next_batch():
                if record.offset < base_offset_from:
                    continue
                try:
                    event = decode(record.value)
                except Undecodable:
                    outcome.left.append((record.offset, record.timestamp, record.key, record.value))
                    continue
                if self.panic and event.id.startswith(self.panic):
                    raise Panic("index out of bounds")
                decision = self.decider.decide(event, now)
                if isinstance(event, Reply) or self.leaves(event, decision):
                    outcome.left.append((record.offset, record.timestamp, record.key, record.value))
                    continue
                self._note(outcome, len(decisions), event, decision, record.timestamp)
                decisions.append((record.key or event.to.encode(), encode(decision)))
                outcome.misplaced += partition_of(event.to, self.partitions) != partition
        outcome.batches = [
            (_finished(decisions[first : first + DECISIONS_MAX], now), len(decisions[first : first + DECISIONS_MAX]))
            for first in range(0, len(decisions), DECISIONS_MAX)
        ]
        return outcome

    def _note(self, outcome: StandInOutcome, row: int, event: Event, decision: Decision, timestamp: int) -> None:
        answer = (decision.of, decision.sender, decision.verdict, decision.reason)
        if answer not in outcome.answers:
            outcome.answers.append(answer)
        outcome.places += struct.pack("=i", outcome.answers.index(answer))
        outcome.recipients += struct.pack("=q", _number(decision.to))
        source = 0 if decision.sender else _number(decision.from_ or "")
        outcome.sources += struct.pack("=q", source)
        outcome.timestamps += struct.pack("=q", timestamp)
        if source == NO_NUMBER and decision.from_:
            outcome.odd_sources.append((row, decision.from_))
        opt_out = self.decider.world.policy.opt_out
        if decision.reason == "service" and isinstance(event, Sms) and opt_out.search((event.text or "").lower()):
            outcome.hinted.append(row)


def _finished(decisions: list[tuple[bytes, bytes]], now: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 4, 0, 0, 0, 0, 1 << 30)
    for number, (key, value) in enumerate(decisions):
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

    def share(registry: Registry) -> MakeNative:
        def make(decider: Decider) -> StandIn:
            assert decider.world.registry is registry
            return StandIn(decider, PARTITIONS, unsure, panic)

        return make

    return NativePath(share, "a stand-in for tests")


if __name__ == "__main__":
    logs.configure(verbose=False)
    asyncio.run(Supervisor(configuration.load(None, os.environ), load(), native=path(*sys.argv[1:])).run())
