"""One subscriber's expressions, read from the one partition that has them: for those who ask about a single number.

Reads the partition from its beginning: as long as that takes, seconds where it holds millions of records.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bloom.partition import partition_of
from stream.config import Config
from stream.feed.topic_reader import read
from stream.kafka import clients
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import Expression
from stream.model.topics import EXPRESSIONS
from stream.registry.order_rule import Received


class Kept(NamedTuple):
    """What the topic has of one subscriber, in order of receipt, and what of it cannot be read."""

    received: Sequence[Received]
    problems: Sequence[str]


async def kept_of(config: Config, subscriber: str, *, partitions: int, client: str) -> Kept:
    """All that the topic has of this subscriber (the number as read). `partitions` is how many it has.

    Raises `KafkaError` where no broker answers.
    """
    place = clients.partitions(EXPRESSIONS, partitions)[partition_of(subscriber, partitions)]
    start = f"{subscriber}|".encode()
    received: list[Received] = []
    problems: list[str] = []
    async for batch in read(config, [place], client=client):
        for raw in batch.records:
            if raw.key is None or raw.value is None or not raw.key.startswith(start):
                continue  # a null value means nothing here (DESIGN section 3)
            try:
                record = decode_record(raw.topic, raw.key, raw.value)
            except Undecodable as error:
                problems.append(f"{raw.topic}, partition {raw.partition}, offset {raw.offset}: {error}")
            else:
                assert isinstance(record, Expression), "the topic holds nothing else"
                received.append(Received(record, raw.timestamp))
    return Kept(received, problems)


__all__ = ["Kept", "kept_of"]
