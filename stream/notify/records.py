"""What `wurao notify` writes: attempts and dead letters, each until it is acknowledged; and what it reads back.

Writing waits for a broker without a bound: an attempt that is not recorded did not happen, but for who got the notice.
"""

from typing import Final

from bloom.partition import partition_of
from stream import logs
from stream.config import Config
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.durable import DurableProducer, Produced
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Delivery
from stream.model.dead_letters import DeadLetter
from stream.model.topics import DELIVERIES, TopicPartition
from stream.notify.delivery_log import DeliveryLog

log = logs.get(__name__)

POLL_MS: Final = 200


class AttemptWriter:
    """Writes to `deliveries` and `dead-letter`. `stop` at the end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producer = DurableProducer(config, client="wurao-notify")
        self._letters = DeadLetterWriter(config, client="wurao-notify")

    async def attempt(self, made: Delivery) -> None:
        """Record an attempt under its case, where the control plane reads it. Waits for a broker."""
        partition = partition_of(made.case, self._config.topics.partitions)
        record = Produced(DELIVERIES, made.case.encode(), encode(made), partition)
        if await self._producer.write([record]):
            log.error("an attempt is larger than `deliveries` takes, and not recorded", notice=made.notice)

    async def dead_letter(self, record: clients.ConsumerRecord, reason: str) -> None:
        """Write a record that cannot be decoded to `dead-letter`, with the reason. Waits for a broker."""
        place = TopicPartition(record.topic, record.partition)
        await self._letters.write([DeadLetter(place, record.offset, record.key, record.value, reason)])

    async def stop(self) -> None:
        """Write no more."""
        await self._producer.close()
        await self._letters.stop()


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
