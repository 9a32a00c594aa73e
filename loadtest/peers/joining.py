"""Waiting until an aiokafka consumer has partitions: what `ready` means."""

import asyncio
from typing import Final

from stream.kafka.clients import AIOKafkaConsumer

JOIN_S_MAX: Final = 60.0
LOOK_EVERY_S: Final = 0.02


async def joined(consumer: AIOKafkaConsumer) -> None:
    """Return once it has partitions. Raises `TimeoutError` after a minute."""
    async with asyncio.timeout(JOIN_S_MAX):
        while not consumer.assignment():  # noqa: ASYNC110  # aiokafka has no event for it
            await asyncio.sleep(LOOK_EVERY_S)
