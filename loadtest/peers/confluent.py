"""confluent-kafka (librdkafka) in batches: `consume` up to ten thousand, decide each, `produce_batch` per partition.

Tuned as its documentation recommends for throughput: many messages fetched ahead, a linger, large batches, no delivery
report but of failures. Offsets are committed after a flush, each fifty thousand events: a flush waits for every
acknowledgement, and one for each batch would leave the processor idle.
"""

from collections import defaultdict
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from loadtest.peers.arguments import POLL_S, Run, Task, run
from loadtest.peers.deciding import Answers

BATCH: Final = 10_000
COMMIT_EVERY: Final = 50_000
FLUSH_S_MAX: Final = 30.0

CONSUMING: Final = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "queued.min.messages": 100_000,
    "fetch.min.bytes": 100_000,
    "fetch.wait.max.ms": 100,
    "max.partition.fetch.bytes": 1 << 20,
    "check.crcs": True,
}
PRODUCING: Final = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 50,
    "batch.size": 1 << 20,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 500_000,
    "delivery.report.only.error": True,
}


def decide_in_batches(task: Task, run: Run) -> None:
    """Decide until all is done, or until asked to end."""
    answer = Answers(task).batch
    failures: list[KafkaError] = []

    def failed(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    servers = {"bootstrap.servers": task.bootstrap}
    producer = Producer({**servers, **PRODUCING, "compression.type": task.compression, "on_delivery": failed})
    consumer = Consumer({**servers, **CONSUMING, "group.id": task.group})
    consumer.subscribe([task.events_topic], on_assign=lambda *_: run.ready())
    waiting, offsets = 0, dict[int, int]()
    while not run.done:
        wanted = BATCH if run.wanted is None else min(BATCH, run.wanted - waiting)
        messages = consumer.consume(wanted, POLL_S) if wanted else []
        if messages:
            run.begin()
        for message in messages:
            if message.error() is not None:
                raise RuntimeError(f"events cannot be read: {message.error()}")
        decided: defaultdict[int, list[dict[str, bytes | None]]] = defaultdict(list)
        for message, value in zip(messages, answer([message.value() for message in messages]), strict=True):
            partition = message.partition()
            decided[partition].append({"value": value, "key": message.key()})
            offsets[partition] = message.offset() + 1
        for partition, batch in decided.items():
            if producer.produce_batch(task.decisions_topic, batch, partition=partition) != len(batch):
                raise RuntimeError("the producer's queue is full")
        producer.poll(0)
        waiting += len(messages)
        if waiting and (waiting >= COMMIT_EVERY or not messages or waiting == run.wanted):
            if producer.flush(FLUSH_S_MAX) or failures:
                raise RuntimeError(f"decisions were not acknowledged: {failures[:1]}")
            places = [TopicPartition(task.events_topic, partition, offset) for partition, offset in offsets.items()]
            consumer.commit(offsets=places, asynchronous=False)
            run.acknowledged(waiting)
            waiting = 0
    consumer.close()


if __name__ == "__main__":
    run(decide_in_batches)
