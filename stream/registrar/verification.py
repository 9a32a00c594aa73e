"""A store compared with its topic: a sample whenever it is opened, all of it on demand.

What the topic has at an offset, the store has at that offset, or something later of the same key. All of it says
the other direction as well: nothing stands in the store that the topic does not have.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from stream.kafka.clients import AIOKafkaPartition
from stream.model.codec import encode
from stream.registrar.decoding import logged_of
from stream.registrar.store import LoggedExpression, PartitionStore
from stream.registrar.tail import Tail
from stream.registry.order_rule import digest_of_encoded

SAMPLES: Final = 4
SAMPLE_RECORDS: Final = 100


async def fault_of_sample(store: PartitionStore, tail: Tail, place: AIOKafkaPartition, beginning: int) -> str | None:
    """What of a few hundred records is not as the topic has it; None where all are."""
    end = store.progress.expressions
    for _ in range(SAMPLES if end > beginning else 0):
        first = random.randrange(beginning, end)  # noqa: S311  # nobody gains by guessing it
        async for some in tail.read(place, first, min(end, first + SAMPLE_RECORDS)):
            if (fault := _compared(store, logged_of(some.records)).fault) is not None:
                return fault
    return None


async def fault_of_all(store: PartitionStore, tail: Tail, place: AIOKafkaPartition, beginning: int) -> str | None:
    """What is not as the topic has it, the whole store compared with the whole topic. Some 10 µs a record."""
    found = 0
    end = store.progress.expressions
    async for some in tail.read(place, beginning, end):
        compared = _compared(store, logged_of(some.records))
        if compared.fault is not None:
            return compared.fault
        found += compared.standing_count
        await asyncio.sleep(0)
    standing = 0
    for _ in store.all_rows():
        standing += 1
        if standing % SAMPLE_RECORDS == 0:
            await asyncio.sleep(0)
    if standing != found:
        return f"{standing:,} records stand in the store, and {found:,} of them in the topic"
    return None


class _Compared:
    def __init__(self, fault: str | None, standing_count: int) -> None:
        self.fault = fault
        self.standing_count = standing_count
        """records that are the last of their key"""


def _compared(store: PartitionStore, logged: Sequence[LoggedExpression]) -> _Compared:
    count = 0
    for one, there in zip(logged, store.standing_at(logged), strict=True):
        if there is None:
            if one.expression is not None and not store.erased_any:
                return _Compared(f"offset {one.offset} of the topic is not in the store", count)
        elif there[0] < one.offset or (there[0] == one.offset and one.expression is None):
            return _Compared(f"offset {one.offset} of the topic is newer than what the store has of its key", count)
        elif there[0] == one.offset and one.expression is not None:
            if there[1] != digest_of_encoded(encode(one.expression)):
                return _Compared(f"offset {one.offset} of the topic is another record in the store", count)
            count += 1
    return _Compared(None, count)
