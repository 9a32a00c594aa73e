"""aiokafka at its best: whole batches in, the same records out, nothing looked at. The limit of this client.

`getmany` → `create_batch` and `send_batch` per partition → commit what is acknowledged, with up to four
batches on their way, by the very clients and limits of the filter. Records keep their keys and values.
"""

import asyncio
from collections import deque

from aiokafka.structs import RecordMetadata

from loadtest.peers.arguments import Run, Task, run_async
from loadtest.peers.joining import joined
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition

Ack = asyncio.Future[RecordMetadata]
OnItsWay = tuple[list[Ack], dict[AIOKafkaPartition, int], int]


async def pass_through(task: Task, run: Run) -> None:
    """Pass on until all is done, or until cancelled."""
    limits = task.config.filter
    producer = clients.producer(task.config, client="peer-passthrough")
    consumer = clients.group_consumer(task.config, group=task.group, client="peer-passthrough", instance=None)
    consumer.subscribe([task.events_topic])
    await producer.start()
    await consumer.start()
    on_their_way: deque[OnItsWay] = deque()
    try:
        await joined(consumer)
        run.ready()
        while not run.done:
            fetched = await consumer.getmany(timeout_ms=limits.fetch_wait_ms, max_records=limits.batch_records_max)
            if fetched:
                run.begin()
            acks: list[Ack] = []
            for place, records in fetched.items():
                builder = producer.create_batch()
                for record in records:
                    if builder.append(timestamp=record.timestamp, key=record.key, value=record.value) is None:
                        acks.append(await producer.send_batch(builder, task.decisions_topic, partition=place.partition))
                        builder = producer.create_batch()
                        builder.append(timestamp=record.timestamp, key=record.key, value=record.value)
                acks.append(await producer.send_batch(builder, task.decisions_topic, partition=place.partition))
            offsets = {place: records[-1].offset + 1 for place, records in fetched.items()}
            on_their_way.append((acks, offsets, sum(map(len, fetched.values()))))
            while len(on_their_way) > limits.batches_in_flight_max or (on_their_way and not fetched):
                waited, offsets, count = on_their_way.popleft()
                await asyncio.gather(*waited)
                if offsets:
                    await consumer.commit(offsets)
                run.acknowledged(count)
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    run_async(pass_through)
