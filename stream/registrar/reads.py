"""Requests that only ask: what a subscriber said, who owns a number, which records a sender had.

Of one subscriber the partition's own registrar is asked, of numbers and senders any.
"""

import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from bloom.bitmaps import Wills
from bloom.partition import partition_of
from stream.config import Config
from stream.kafka.clients import AIOKafkaPartition
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.fields import Channel
from stream.model.limits import RECORD
from stream.model.registry import Expression, Sender, Tombstone, key_of
from stream.model.requests import (
    NO_VERSION,
    AskOwner,
    AskSender,
    AskSubscriber,
    KeptExpression,
    OwnerRecord,
    ReadResult,
    RecordRefusal,
    RegistryAnswer,
    SenderHistory,
    SenderVersion,
    SubscriberRecord,
)
from stream.model.topics import SENDERS
from stream.registrar.others import OtherRecords
from stream.registrar.store import PartitionStore
from stream.registrar.tail import Tail
from stream.registry.door import AskedRequest, Door
from stream.registry.known import StandingRecord
from stream.registry.order_rule import scope_of
from stream.registry.registry import Registry, expression_row_of


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers what is asked of one partition."""

    config: Config
    door: Door
    store: PartitionStore
    others: OtherRecords

    async def answer(self, asked: AskedRequest, now: int) -> RegistryAnswer:
        """The answer; of a subscriber as the store has it, which is to be at its topic's end. Raises `KafkaError`."""
        request, refusals = asked.request, tuple[RecordRefusal, ...]()
        result: ReadResult | None = None
        version = NO_VERSION
        match request.ask:
            case AskSubscriber(subscriber):
                where = partition_of(subscriber, self.door.partitions)
                if where == self.door.partition:
                    standing = self.store.standing(subscriber)
                    version = standing[-1].offset if standing else NO_VERSION
                    result = SubscriberRecord(tuple(_kept(standing)))
                else:
                    what = f"this subscriber is partition {where}'s, and the request stands in {self.door.partition}"
                    refusals = (RecordRefusal("wrong-partition", f"{what}: ask there"),)
            case AskOwner(number, channel, at):
                result = await self._owner(number, channel, at)
            case AskSender(sender):
                found = [one async for one in self._senders() if one.name == sender]
                result = SenderHistory(tuple(SenderVersion(one.offset, one.written, one.record) for one in found))
                version = found[-1].offset if found and found[-1].record is not None else NO_VERSION
            case None:
                raise AssertionError("a request that only asks")
        answer = RegistryAnswer(
            request=request.id,
            at=asked.at,
            digest=zlib.crc32(encode(request)),
            decided=now,
            refused=len(refusals),
            refusals=refusals,
            version=version,
            result=result,
        )
        if len(encode(answer)) <= RECORD.most:
            return answer
        what = "the answer is larger than a record may be: read the topic itself (`wurao registry export`)"
        return replace(answer, refused=1, refusals=(RecordRefusal("limit", what),), result=None)

    async def _owner(self, number: str, channel: Channel, at: int | None) -> OwnerRecord:
        read = self.door.numbering.read_port(number) if channel == "sms" else self.door.numbering.read(number)
        if at is None:
            await self.others.catch_up()
            registry = self.others.registry
        else:
            registry = Registry()
            async for one in self._senders():
                if one.written <= at:
                    registry.apply([one.record or Tombstone(SENDERS, one.name)])
        holding = registry.ownership[channel].owner(read)
        return OwnerRecord() if holding is None else OwnerRecord(holding.sender, holding.entry.prefix)

    async def _senders(self) -> AsyncIterator["_SenderRecord"]:
        """The records of all senders in order of receipt, as far as the topic has them."""
        place = AIOKafkaPartition(SENDERS, 0)
        tail = Tail(self.config, [place], client="wurao-registrar-history")
        try:
            await tail.start()
            beginning, end = (await tail.beginnings())[place], (await tail.ends())[place]
            async for some in tail.read(place, beginning, end):
                for raw in some.records:
                    try:
                        record = decode_record(raw.topic, raw.key, raw.value)
                    except Undecodable:
                        continue  # it was in force nowhere
                    name = record.key if isinstance(record, Tombstone) else key_of(record)
                    yield _SenderRecord(name, raw.offset, raw.timestamp, record if isinstance(record, Sender) else None)
        finally:
            await tail.stop()


@dataclass(frozen=True, slots=True)
class _SenderRecord:
    name: str
    offset: int
    written: int
    record: Sender | None


def _kept(standing: Sequence[StandingRecord]) -> list[KeptExpression]:
    """What stands of one subscriber, and which of it counts."""
    wills = Wills()
    wills.apply([expression_row_of(one.expression) for one in standing])
    held: set[tuple[str, str, object]] = set()
    for channel in {one.expression.channel for one in standing}:
        number = expression_row_of(standing[0].expression).number
        refusals, consents = wills.expressions_of(channel, number)
        held |= {(channel, "refuse", scope) for scope in refusals} | {(channel, "consent", scope) for scope in consents}
    return [KeptExpression(one.expression, one.written, one.offset, _place(one.expression) in held) for one in standing]


def _place(expression: Expression) -> tuple[str, str, object]:
    return expression.channel, expression.will, scope_of(expression)
