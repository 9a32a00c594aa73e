"""The program that one writes first: `async for` a record, decide, `send` the decision. The same rules, one
by one.

Tuned as aiokafka's documentation recommends for throughput: a linger, large batches, the same compression and
acknowledgements as the filter, and a commit per thousand records after a flush.
"""

from typing import Final

from aiokafka import AIOKafkaProducer

from loadtest.peers.arguments import Run, Task, run_async
from loadtest.peers.deciding import Answers
from loadtest.peers.joining import joined
from stream.kafka import clients

COMMIT_EVERY: Final = 1_000
LINGER_MS: Final = 10
BATCH_BYTES: Final = 256 * 1024


async def decide_one_by_one(task: Task, run: Run) -> None:
    """Decide until all is done, or until cancelled."""
    answer = Answers(task).one
    producer = AIOKafkaProducer(
        bootstrap_servers=task.bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type=None if task.compression == "none" else task.compression,
        linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES,
    )
    consumer = clients.group_consumer(task.config, group=task.group, client="peer-plain", instance=None)
    consumer.subscribe([task.events_topic])
    await producer.start()
    await consumer.start()
    try:
        await joined(consumer)
        run.ready()
        sent = 0
        async for record in consumer:
            run.begin()
            await producer.send(
                task.decisions_topic, value=answer(record.value), key=record.key, partition=record.partition
            )
            sent += 1
            if sent % COMMIT_EVERY == 0 or sent == run.wanted:
                await producer.flush()
                await consumer.commit()
                run.acknowledged(sent)
                sent = 0
                if run.done:
                    return
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    run_async(decide_one_by_one)
