"""What the connector writes: attempts and dead letters, each until it is acknowledged; and what it reads back.

A broker that does not answer is waited for, for as long as it takes: an attempt that is not on record did not
happen for anybody but the one who got the notice.
"""

from typing import Final

from bloom.partition import partition_of
from stream import logs
from stream.config import Config
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.durable import DurableProducer
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Delivery
from stream.model.topics import DEAD_LETTER, DELIVERIES
from stream.notify.delivery_log import DeliveryLog

log = logs.get(__name__)

POLL_MS: Final = 200


class AttemptWriter:
    """The way to the broker. `stop` at the end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producer = DurableProducer(config, client="wurao-notify")

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

    async def stop(self) -> None:
        """Write no more."""
        await self._producer.close()

    async def _durably(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes]],
    ) -> None:
        async def send(producer: clients.AIOKafkaProducer) -> None:
            await producer.send_and_wait(topic, value=value, key=key, partition=partition, headers=headers)

        await self._producer.durably(send)


class DeliveryLogReader:
    """Reads `deliveries` into a `DeliveryLog`: all of it at first, and then what others have added since."""

    def __init__(self, config: Config, told: DeliveryLog) -> None:
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
                        log.warning(
                            "a record of `deliveries` cannot be decoded", offset=record.offset, error=str(error)
                        )

    async def stop(self) -> None:
        """Read no more."""
        await close_within(self._consumer)
