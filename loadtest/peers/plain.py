"""The program that one writes first: `async for` a record, decide, `send` the decision. The same rules, one
by one.

Its decoder, decider and encoder are the filter's own (faster than the usual JSON modules, which is in this
program's favour), so that what differs is the way through Kafka. Tuned as aiokafka's documentation
recommends for throughput: a linger, large batches, the same compression and acknowledgements, and a commit
per thousand records after a flush. It follows no registry topic: it decides from a snapshot.
"""

import time
from itertools import count
from typing import Final

from aiokafka import AIOKafkaProducer

from bloom import snapshot
from loadtest.peers.arguments import Task, run
from stream.kafka import clients
from stream.model.codec import decode_event, encode
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.files import registry_from

COMMIT_EVERY: Final = 1_000
LINGER_MS: Final = 10
BATCH_BYTES: Final = 256 * 1024


async def decide_one_by_one(task: Task) -> None:
    """Decide until cancelled."""
    assert task.snapshot is not None, "this peer decides: give it --snapshot"
    decider = Decider(load(task.config.policy.file), registry_from(snapshot.read(task.snapshot)))
    compression = task.config.filter.compression
    producer = AIOKafkaProducer(
        bootstrap_servers=task.config.kafka.bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type=None if compression == "none" else compression,
        linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES,
    )
    consumer = clients.group_consumer(task.config, group=task.group, client="bench-plain", instance=None)
    consumer.subscribe([task.source])
    await producer.start()
    await consumer.start()
    numbered = count(1)
    try:
        async for record in consumer:
            event = decode_event(record.value)
            decision = decider.decide(event, time.time_ns() // 1_000_000)
            await producer.send(task.target, value=encode(decision), key=record.key, partition=record.partition)
            if next(numbered) % COMMIT_EVERY == 0:
                await producer.flush()
                await consumer.commit()
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    run(decide_one_by_one)
