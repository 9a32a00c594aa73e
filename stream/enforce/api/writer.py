"""One record to its topic, acknowledged by all replicas in sync, or a refusal within a bound.

A producer that failed is discarded, and the next request makes another: after an error an idempotent one
may not know what it has sent. A request that ran out of time may have been written all the same; whoever
repeats it under its Idempotency-Key makes the same record again, which harms nothing.
"""

from bloom.partition import partition_of
from stream import logs
from stream.config import Config
from stream.enforce.api.api_request import Write
from stream.enforce.api.responses import Problem, Refusal
from stream.kafka.clients import AIOKafkaProducer, KafkaError
from stream.kafka.durable import TOO_LARGE, DurableProducer
from stream.kafka.topics import EXPECTED
from stream.model.codec import encode
from stream.model.fields import RECORD_BYTES_MAX

log = logs.get(__name__)


class RecordWriter:
    """Writes for all requests of one process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._producer = DurableProducer(config, client="wurao-api")

    async def write(self, wanted: Write) -> None:
        """Write it; returns when all replicas that are in sync have it. Raises `Problem` 413 or 503."""
        value = encode(wanted.record)
        if len(value) > RECORD_BYTES_MAX:
            raise Problem(413, Refusal("too-large", f"its record has {len(value)} bytes, at most {RECORD_BYTES_MAX}"))
        await self._send(wanted.topic, wanted.key, wanted.partition_key, value)

    async def erase(self, topic: str, key: str) -> None:
        """Write a null value under this key, which takes what a compacted topic has of it. Raises `Problem` 503."""
        await self._send(topic, key, key, None)

    async def _send(self, topic: str, key: str, partition_key: str, value: bytes | None) -> None:
        expected = EXPECTED[topic].partitions(self._config.topics)

        async def send(producer: AIOKafkaProducer) -> None:
            partition = partition_of(partition_key, expected)
            await producer.send_and_wait(topic, value=value, key=key.encode(), partition=partition)

        try:
            await self._producer.once(send, within_s=self._config.api.write_timeout_ms / 1000)
        except TOO_LARGE as error:
            log.warning("record refused by the broker for its size", topic=topic, error=repr(error))
            raise Problem(413, Refusal("too-large", f"its record is larger than {topic} takes")) from error
        except (KafkaError, OSError) as error:  # a TimeoutError is an OSError
            log.warning("record not acknowledged by the broker", topic=topic, error=repr(error))
            raise Problem(
                503,
                Refusal(
                    "not-ready",
                    "the broker has not acknowledged the record, which may have been written or not; ask again, "
                    "under the same Idempotency-Key if there was one",
                ),
            ) from error

    async def stop(self) -> None:
        """Write no more."""
        await self._producer.close()
