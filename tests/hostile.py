"""What strangers may put into a topic: records of any size, by a producer that sets itself no limits."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

ANY = 1 << 30


def write_compressed(
    bootstrap: str, records: Iterable[tuple[str, int, bytes | None, bytes | None]], *, compression: str = "zstd"
) -> None:
    """Write (topic, partition, key, value), each in a batch of its own: compressed, it passes its broker."""

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, compression_type=compression, max_batch_size=ANY, max_request_size=ANY
        )
        await producer.start()
        try:
            for topic, partition, key, value in records:
                batch = producer.create_batch()  # `send` refuses a record of nothing, which other clients write
                batch.append(key=key, value=value, timestamp=None)
                await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()

    asyncio.run(send())
