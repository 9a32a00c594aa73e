"""What the connector writes: attempts and dead letters, each until it is acknowledged; and what it reads back.

A broker that does not answer is waited for, for as long as it takes: an attempt that is not on record did not
happen for anybody but the one who got the notice.
"""

import asyncio
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from stream import logs
from stream.config import Config
from stream.enforce.connector.told import Told
from stream.kafka import clients
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Delivery
from stream.model.topics import DEAD_LETTER, DELIVERIES

log = logs.get(__name__)

BROKER_PAUSE_S: Final = 0.5
BROKER_PAUSE_S_MAX: Final = 10.0
POLL_MS: Final = 200


class Records:
    """The way to the broker. `close` at the end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()

    async def attempt(self, made: Delivery) -> None:
        """Write an attempt down, under its case: where the control plane reads it."""
        partition = partition_of(made.case, self._config.topics.partitions)
        await self._durably(DELIVERIES, made.case.encode(), encode(made), partition, [])

    async def bury(self, record: clients.ConsumerRecord, reason: str) -> None:
        """Put a record that cannot be read where such records go, as it came, with the reason."""
        headers = [
            ("error", reason.encode()),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
        ]
        await self._durably(DEAD_LETTER, record.key, record.value, 0, headers)

    async def close(self) -> None:
        """Write no more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await closed(producer)

    async def _durably(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes]],
    ) -> None:
        pause = BROKER_PAUSE_S
        while True:
            try:
                producer = await self._ready()
                await producer.send_and_wait(topic, value=value, key=key, partition=partition, headers=headers)
            except (clients.KafkaError, OSError) as error:
                log.warning("no acknowledgement; trying again", topic=topic, error=repr(error), pause_s=pause)
                await self.close()
                await asyncio.sleep(pause)
                pause = min(2 * pause, BROKER_PAUSE_S_MAX)
            else:
                return

    async def _ready(self) -> AIOKafkaProducer:
        async with self._making:
            if self._producer is None:
                producer = clients.producer(self._config, client="wurao-notify")
                try:
                    await producer.start()
                except BaseException:
                    await closed(producer)
                    raise
                self._producer = producer
            return self._producer


class Memory:
    """Reads `deliveries` into a `Told`: all of it at first, and then what others have added since."""

    def __init__(self, config: Config, told: Told) -> None:
        self._consumer = clients.follower(config, client="wurao-notify-memory")
        self._places = clients.partitions(DELIVERIES, config.topics.partitions)
        self._told = told

    async def start(self) -> None:
        """Begin at the beginning."""
        self._consumer.assign(self._places)
        await self._consumer.start()
        await self._consumer.seek_to_beginning(*self._places)

    async def catch_up(self) -> None:
        """Read to the end as it is now. An attempt that cannot be read is none of ours, and passed over."""
        ends = await self._consumer.end_offsets(self._places)
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for records in (await self._consumer.getmany(*self._places, timeout_ms=POLL_MS)).values():
                for record in records:
                    try:
                        self._told.record(decode_as(Delivery, record.value or b""))
                    except Undecodable as error:
                        log.warning("a delivery cannot be read", offset=record.offset, error=str(error))

    async def close(self) -> None:
        """Read no more."""
        await closed(self._consumer)


class _Client(Protocol):
    async def stop(self) -> None: ...


async def closed(client: _Client) -> None:
    """Close a client within a bound (aiokafka's `stop` can hang)."""
    try:
        async with asyncio.timeout(clients.GOODBYE_S_MAX):
            await client.stop()
    except (TimeoutError, clients.KafkaError, OSError) as error:
        log.warning("a client did not close well", error=repr(error))
