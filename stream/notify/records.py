"""What `wurao notify` writes: attempts and dead letters, each until it is acknowledged; and what it reads back.

Writing waits for a broker without a bound: an attempt that is not recorded did not happen, but for who got the notice.
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
    """Writes to `deliveries` and `dead-letter`. `stop` at the end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producer = DurableProducer(config, client="wurao-notify")

    async def attempt(self, made: Delivery) -> None:
        """Record an attempt under its case, where the control plane reads it. Waits for a broker."""
        partition = partition_of(made.case, self._config.topics.partitions)
        await self._durably(DELIVERIES, made.case.encode(), encode(made), partition, [])

    async def dead_letter(self, record: clients.ConsumerRecord, reason: str) -> None:
        """Write a record that cannot be decoded to `dead-letter`, unchanged, with the reason. Waits for a broker."""
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
    """Reads `deliveries` into a `DeliveryLog`: all of it at first, then what other instances have added since."""

    def __init__(self, config: Config, delivery_log: DeliveryLog) -> None:
        self._consumer = clients.follower(config, client="wurao-notify-memory")
        self._partitions = clients.partitions(DELIVERIES, config.topics.partitions)
        self._log = delivery_log

    async def start(self) -> None:
        """Connect, and seek to the beginning."""
        self._consumer.assign(self._partitions)
        await self._consumer.start()
        await self._consumer.seek_to_beginning(*self._partitions)

    async def catch_up(self) -> None:
        """Read to the end offsets as they are now. An attempt that cannot be decoded is skipped."""
        ends = await self._consumer.end_offsets(self._partitions)
        while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await self._consumer.getmany(*self._partitions, timeout_ms=POLL_MS)).values():
                for record in records:
                    try:
                        self._log.record(decode_as(Delivery, record.value or b""))
                    except Undecodable as error:
                        log.warning(
                            "a record of `deliveries` cannot be decoded", offset=record.offset, error=str(error)
                        )

    async def stop(self) -> None:
        """Read no more."""
        await close_within(self._consumer)
