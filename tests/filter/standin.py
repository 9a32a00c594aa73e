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
from stream.config import Config
from stream.filter.paths import NativePath
from stream.filter.supervisor import Supervisor
from stream.filter.windows import NO_NUMBER
from stream.kafka.seams import layout
from stream.model.codec import Undecodable, encode, event_decoder
from stream.model.decision import Decision
from stream.model.events import Event, Reply
from stream.model.fields import EventKind, Verdict
from stream.policy.decide import Decider
from stream.policy.loading import load


class Panic(BaseException):
    """As PyO3 raises it."""


@dataclass
class StandInOutcome:
    """What `Outcome` asks for."""

    batch: bytes | None = None
    count: int = 0
    answers: list[tuple[EventKind, str | None, Verdict, str]] = field(default_factory=list)
    places: bytes = b""
    recipients: bytes = b""
    sources: bytes = b""
    timestamps: bytes = b""
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
        builder = DefaultRecordBatchBuilder(2, 4, 0, 0, 0, 0, 1 << 30)
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
                key = record.key or event.to.encode()
                builder.append(outcome.count, now, key, encode(decision), [])
                self._note(outcome, event.to, decision, record.timestamp)
                outcome.misplaced += partition_of(event.to, self.partitions) != partition
        if outcome.count:
            data = builder.build()
            data[layout.CRC_AT : layout.CRC_AT + 4] = bytes(4)
            outcome.batch = bytes(data)
        return outcome

    @staticmethod
    def _note(outcome: StandInOutcome, to: str, decision: Decision, timestamp: int) -> None:
        answer = (decision.of, decision.sender, decision.verdict, decision.reason)
        if answer not in outcome.answers:
            outcome.answers.append(answer)
        outcome.count += 1
        outcome.places += struct.pack("=i", outcome.answers.index(answer))
        outcome.recipients += struct.pack("=q", _number(to))
        outcome.sources += struct.pack("=q", 0 if decision.sender else _number(decision.from_ or ""))
        outcome.timestamps += struct.pack("=q", timestamp)


def _number(text: str) -> int:
    number = parse(text)
    return NO_NUMBER if number is None else number


def unsure(event: Event, decision: Decision) -> bool:
    """What a native module may leave: sources that are no numbers, hints that warn, and every eleventh event."""
    odd = decision.sender is None and parse(decision.from_ or "") is None
    return odd or decision.reason == "service" or event.id.endswith("7")


def path(panic: str | None = None) -> NativePath:
    """The stand-in as a path that workers take."""

    def make(decider: Decider, config: Config) -> StandIn:
        return StandIn(decider, config.topics.partitions, unsure, panic)

    return NativePath(make, "a stand-in for tests")


if __name__ == "__main__":
    logs.configure(verbose=False)
    asyncio.run(Supervisor(configuration.load(None, os.environ), load(), native=path(*sys.argv[1:])).run())
