"""A full file of those who refuse everything on a channel, turned into the difference to what is
registered.

The national decline-calls platform hands over whole files. Numbers that are new in the file get a refusal
of (*,*); numbers registered with such a refusal from this source, and no longer in the file, get a lift
of (*,*), followed by those of their narrower expressions that stand, with their own time and evidence (DESIGN
section 3: taking one scope back). Numbers in both are left as they are, and so are those with an expression
about everything dated after the file was drawn up. Of a refusal the record of its key names one source, the last that
wrote it. So whoever refuses everything by another source's expression already is left as that source wrote it, and what
it wrote is never this file's to take back.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pyroaring import BitMap64

from bloom.number import Msisdn, to_text
from bloom.partition import partitions_of
from bloom.wills import EVERYTHING, Channel
from stream.config import Config
from stream.feed.bulk_files import BadLine, LineChunk
from stream.feed.order_index import OrderIndex
from stream.feed.topic_reader import read
from stream.kafka import clients
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.registry import Expression
from stream.model.topics import EXPRESSIONS
from stream.registry.order_rule import SubscriberChannel, scope_of
from stream.registry.registry import expression_row_of
from stream.registry.standing import narrower

GROUPS_AT_ONCE: Final = 5_000
"""Subscribers written between two acknowledgements."""


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


def difference(index: OrderIndex, in_file: BitMap64, *, channel: Channel, source: str, time: int) -> RegisterDifference:
    """The difference between a full file and the index, which must be up to date."""
    registered, newer = BitMap64(), BitMap64()
    for number, moment in index.refusing_everything(channel, source):
        registered.add(number)
        if moment > time:
            newer.add(number)
    by_others = BitMap64(index.refusing_everything_by_others(channel, source)) & in_file
    absent = registered - in_file
    return RegisterDifference(
        channel=channel,
        source=source,
        time=time,
        new=in_file - registered - by_others,
        leaving=absent - newer,
        staying_count=len(registered & in_file) + len(by_others),
        others_count=len(by_others),
        registered_count=len(registered),
        newer_count=len(absent & newer),
    )


def refused_everything(expressions: Iterable[Expression], channel: Channel) -> list[Msisdn]:
    """Whose expressions among these refuse everything on the channel, from whatever source."""
    return [
        expression_row_of(expression).number
        for expression in expressions
        if expression.channel == channel and expression.will == "refuse" and scope_of(expression) == EVERYTHING
    ]


def left_alone(change: RegisterDifference, refused_since: BitMap64) -> RegisterDifference:
    """The change without those who refused everything since it was planned, at whatever time and by whatever source.

    What is newer than the plan is nobody's to lift, nor to write over: another source's refusal would become this
    one's, and so the next file's to lift.
    """
    return replace(change, new=change.new - refused_since, leaving=change.leaving - refused_since)


async def lifting_groups(
    config: Config,
    index: OrderIndex,
    change: RegisterDifference,
    *,
    partitions: int,
    evidence: str | None,
    actor: str | None,
) -> AsyncIterator[list[tuple[Expression, ...]]]:
    """For each leaving number the lift of everything and then its narrower expressions that stand, some at a
    time.

    The expressions are read from the topic in one pass, and only where the index knows of any: most numbers
    have none.
    """
    asked: list[Msisdn] = []
    for numbers in _portions(change.leaving):
        whos = [SubscriberChannel(number, change.channel) for number in numbers]
        narrower = index.with_narrower(whos)
        asked += [who.number for who in whos if who.row in narrower]
    standing = await _standing(config, asked, change.channel, partitions) if asked else {}
    for numbers in _portions(change.leaving):
        yield [
            (
                Expression(
                    subscriber=to_text(number),
                    channel=change.channel,
                    will="lift",
                    time=change.time,
                    source=change.source,
                    evidence=evidence,
                    actor=actor,
                ),
                *standing.get(number, ()),
            )
            for number in numbers
        ]


async def _standing(
    config: Config, numbers: Sequence[Msisdn], channel: Channel, partitions: int
) -> dict[Msisdn, tuple[Expression, ...]]:
    texts = [to_text(number) for number in numbers]
    asked = {f"{text}|{channel}".encode(): number for text, number in zip(texts, numbers, strict=True)}
    expressions: defaultdict[Msisdn, list[Expression]] = defaultdict(list)
    here = set(partitions_of(texts, partitions).tolist())
    places = [place for place in clients.partitions(EXPRESSIONS, partitions) if place.partition in here]
    async for batch in read(config, places, client="wurao-import"):
        for raw in batch.records:
            number = asked.get(b"|".join((raw.key or b"").split(b"|", 2)[:2]))
            if number is None:
                continue
            try:
                record = decode_record(raw.topic, raw.key, raw.value)
            except Undecodable:
                continue
            if type(record) is Expression:
                expressions[number].append(record)
    return {number: narrower(received, EVERYTHING) for number, received in expressions.items()}


def _portions(numbers: BitMap64) -> Iterator[list[Msisdn]]:
    portion: list[Msisdn] = []
    for number in numbers:
        portion.append(Msisdn(number))
        if len(portion) == GROUPS_AT_ONCE:
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
