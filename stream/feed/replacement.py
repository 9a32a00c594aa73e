"""A full file of those who refuse everything on a channel, turned into the difference to what is
registered.

The national decline-calls platform hands over whole files. Numbers that are new in the file get a refusal
of (*,*); numbers registered with such a refusal from this source, and no longer in the file, get a lift
of (*,*), followed by those of their narrower expressions that stand, with their own time and evidence (DESIGN
section 3: taking one scope back). Numbers in both are left as they are, and so are those with an expression
about everything dated after the file was drawn up. Of a refusal the record of its key names one source, the last that
wrote it. So whoever refuses everything by another source's expression already is left as that source wrote it, and what
it wrote is never this file's to take back.

The register is read from the topic, once. What came about everything since is left alone: the registrar is asked with
the offsets that were read (`Statements.read_to`), and refuses where something stands behind them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from pyroaring import BitMap64

from bloom.number import Msisdn, parse, to_text
from bloom.wills import EVERYTHING, Channel
from stream.config import Config
from stream.feed.bulk_files import BadLine, LineChunk
from stream.feed.topic_reader import read
from stream.kafka import clients
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.fields import TIME_MAX
from stream.model.registry import KEY_BAR, Expression
from stream.model.times import counts_from
from stream.model.topics import EXPRESSIONS
from stream.registry.order_rule import scope_of
from stream.registry.registry import expression_row_of

LIFTS_AT_ONCE: Final = 5_000
"""Lifts that are made at a time."""


@dataclass(frozen=True, slots=True)
class RegisterDifference:
    """What a full file changes."""

    channel: Channel
    source: str
    time: int
    """when the file was drawn up, milliseconds since the epoch"""
    new: BitMap64
    """in the file, and not registered with a refusal of everything, from whatever source"""
    leaving: BitMap64
    """registered with such a refusal from this source, and not in the file"""
    staying_count: int
    """in the file, and registered with such a refusal, from whatever source"""
    others_count: int
    """of these, those whose refusal is another source's: this one never lifts it"""
    registered_count: int
    """all that are registered with such a refusal from this source"""
    newer_count: int
    """registered so after the file was drawn up, and so not in it: they are left alone"""


def doubts(change: RegisterDifference, *, bad_count: int, has_end: bool, leaving_share_max: float) -> list[str]:
    """Why what is not in a full file may be missing and not gone: for each reason a sentence; none where all is well.

    Whoever stands in a line that cannot be read, or in one that was cut off, would count as gone, and a refusal be
    lifted that nobody took back.
    """
    found = []
    if bad_count:
        found.append(f"{bad_count:,} lines cannot be read, and whoever stands in them would count as gone")
    if not has_end:
        found.append("its last line has no end: the file may have been cut off")
    if change.registered_count and len(change.leaving) > leaving_share_max * change.registered_count:
        share = len(change.leaving) / change.registered_count
        found.append(f"{share:.1%} of those registered would leave, more than {leaving_share_max:.1%}")
    return found


def numbers_of(chunk: LineChunk, channel: Channel, source: str) -> tuple[list[Msisdn], list[BadLine]]:
    """The numbers for which a chunk of a full file refuses everything, and the lines that say another
    thing.
    """
    numbers: list[Msisdn] = []
    foreign: list[BadLine] = []
    for line, record in zip(chunk.lines, chunk.records, strict=True):
        if (
            type(record) is Expression
            and (record.channel, record.will, record.source) == (channel, "refuse", source)
            and scope_of(record) == EVERYTHING
        ):
            numbers.append(expression_row_of(record).number)
        else:
            reason = f"no refusal of everything on {channel} by source {source}, as a full file must hold"
            foreign.append(BadLine(line, encode(record), reason))
    return numbers, foreign


@dataclass(slots=True)
class Register:
    """Who refuses everything on a channel, by this source's expression or by another's, as the topic has it."""

    channel: Channel
    source: str
    time: int
    """when the file was drawn up"""
    own: BitMap64 = field(default_factory=BitMap64)
    newer: BitMap64 = field(default_factory=BitMap64)
    """of these, those whose expression counts from after that"""
    others: BitMap64 = field(default_factory=BitMap64)
    next_offsets: dict[int, int] = field(default_factory=dict)
    """partition → the offset up to which (exclusive) it was read"""

    def take(self, expression: Expression, written: int) -> None:
        """The next expression about everything on the channel, and when it was written: only the last one counts."""
        number = expression_row_of(expression).number
        for numbers in (self.own, self.newer, self.others):
            numbers.discard(number)
        if expression.will != "refuse":
            return
        if expression.source != self.source:
            self.others.add(number)
            return
        self.own.add(number)
        if counts_from(expression.time, written) > self.time:
            self.newer.add(number)

    def erase(self, number: Msisdn) -> None:
        """Its key has a null value: nothing stands there."""
        for numbers in (self.own, self.newer, self.others):
            numbers.discard(number)


async def registered(
    config: Config, *, channel: Channel, source: str, time: int, progress: Callable[[int, int], None]
) -> Register:
    """The register as the topic has it now. Reads all of it; `progress` has how many records are read, and are left.

    Raises `KafkaError`.
    """
    register = Register(channel, source, time)
    about_everything = f"{KEY_BAR}{channel}{KEY_BAR}*{KEY_BAR}*".encode()
    read_count = 0
    async for batch in read(config, clients.partitions(EXPRESSIONS, config.topics.partitions), client="wurao-import"):
        for raw in batch.records:
            if raw.key is None or not raw.key.endswith(about_everything):
                continue
            if raw.value is None:
                number = parse(raw.key.removesuffix(about_everything).decode("utf-8", "replace"))
                if number is not None:
                    register.erase(number)
                continue
            try:
                record = decode_record(raw.topic, raw.key, raw.value)
            except Undecodable:
                continue  # it is in force nowhere
            assert isinstance(record, Expression), "the topic holds nothing else"
            register.take(record, raw.timestamp if raw.timestamp >= 0 else TIME_MAX)
        register.next_offsets.update((place.partition, offset) for place, offset in batch.next_offsets.items())
        read_count += len(batch.records)
        progress(read_count, batch.left_count)
    return register


def difference(register: Register, in_file: BitMap64) -> RegisterDifference:
    """The difference between a full file and the register."""
    by_others = register.others & in_file
    absent = register.own - in_file
    return RegisterDifference(
        channel=register.channel,
        source=register.source,
        time=register.time,
        new=in_file - register.own - by_others,
        leaving=absent - register.newer,
        staying_count=len(register.own & in_file) + len(by_others),
        others_count=len(by_others),
        registered_count=len(register.own),
        newer_count=len(absent & register.newer),
    )


def lifts(change: RegisterDifference, *, evidence: str | None, actor: str | None) -> Iterator[LineChunk]:
    """The lift of everything for each leaving number, some at a time."""
    for numbers in _portions(change.leaving):
        chunk = LineChunk()
        for number in numbers:
            lift = Expression(to_text(number), change.channel, "lift", change.time, change.source)
            chunk.lines.append(0)
            chunk.records.append(msgspec.structs.replace(lift, evidence=evidence, actor=actor))
        yield chunk


def _portions(numbers: BitMap64) -> Iterator[list[Msisdn]]:
    portion: list[Msisdn] = []
    for number in numbers:
        portion.append(Msisdn(number))
        if len(portion) == LIFTS_AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion


def only(chunk: LineChunk, numbers: BitMap64) -> LineChunk:
    """The chunk with those records alone whose subscriber is among the numbers; bad lines are left out."""
    kept = LineChunk(bytes_count=chunk.bytes_count)
    for line, record in zip(chunk.lines, chunk.records, strict=True):
        if type(record) is Expression and expression_row_of(record).number in numbers:
            kept.lines.append(line)
            kept.records.append(record)
    return kept


def examples(numbers: Iterable[int], count: int) -> list[str]:
    """Some of the numbers, as text."""
    return [to_text(Msisdn(number)) for _, number in zip(range(count), numbers, strict=False)]
