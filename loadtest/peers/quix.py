"""Quix Streams: `dataframe(events).apply(decide).to_topic(decisions)`.

Keys and values are bytes, so nothing is decoded twice; no state, so no changelog. Tuned as its documentation recommends
for throughput: a commit each few seconds (its default) rather than by count, larger fetches, and a linger and large
batches for librdkafka underneath. A checkpoint flushes the producer and then commits.
"""

import logging
from typing import Final

from quixstreams import Application

from loadtest.peers.arguments import POLL_S, Run, Task, run
from loadtest.peers.deciding import Answers

CONSUMING: Final = {
    "isolation.level": "read_committed",
    "queued.min.messages": 100_000,
    "fetch.min.bytes": 100_000,
    "fetch.wait.max.ms": 100,
    "max.partition.fetch.bytes": 1 << 20,
}
PRODUCING: Final = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 50,
    "batch.size": 1 << 20,
    "queue.buffering.max.messages": 500_000,
}


def decide_by_dataframe(task: Task, run: Run) -> None:
    """Decide until all is done, or until asked to end."""
    logging.disable(logging.INFO)
    answer = Answers(task).one
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        consumer_extra_config=CONSUMING,
        producer_extra_config={**PRODUCING, "compression.type": task.compression},
        consumer_poll_timeout=POLL_S,
        loglevel=None,
    )
    events = app.topic(task.events_topic, value_deserializer="bytes", key_deserializer="bytes")
    decisions = app.topic(task.decisions_topic, value_serializer="bytes", key_serializer="bytes")
    taken = 0

    def decide(event: bytes) -> bytes:
        nonlocal taken
        if not taken:
            run.begin()
        taken += 1
        return answer(event)

    app.dataframe(events).apply(decide).to_topic(decisions)
    run.ready()  # it has no word for the moment that partitions come; what it waits until then is not counted
    app.run(count=run.wanted or 0, collect=False)
    run.acknowledged(taken)


if __name__ == "__main__":
    run(decide_by_dataframe)
