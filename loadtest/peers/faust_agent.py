"""A Faust agent: take a thousand events of the stream, decide each, send the decisions, await them all.

`take` is what Faust's guide has for batches: the events of one are acknowledged together, after the agent's body has
seen every decision acknowledged. Tuned by the settings that its documentation names for throughput: no wait for empty
streams, a larger buffer, a linger and large batches for the producer, raw values instead of models.
"""

import asyncio
import logging
import tempfile
from contextlib import suppress
from typing import Final

import faust
from faust.types import StreamT

from loadtest.peers.arguments import Run, Task, run_async
from loadtest.peers.deciding import Answers

TAKE: Final = 1_000
TAKE_S_MAX: Final = 0.1
BUFFER_RECORDS: Final = 10_000


async def serve(task: Task, run: Run) -> None:
    """Run the application until all is done, or until cancelled."""
    logging.disable(logging.INFO)
    answer = Answers(task).batch
    app = faust.App(
        task.group,
        broker=f"aiokafka://{task.bootstrap}",
        datadir=tempfile.mkdtemp(prefix="wurao-peer-faust-"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=task.partitions,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=BUFFER_RECORDS,
        stream_wait_empty=False,
        broker_commit_interval=1.0,
        broker_commit_every=50_000,
        producer_acks=-1,
        producer_linger=0.01,
        producer_max_batch_size=256 * 1024,
        producer_compression_type=task.compression,
    )
    events = app.topic(task.events_topic, value_serializer="raw", key_serializer="raw")
    decisions = app.topic(task.decisions_topic, value_serializer="raw", key_serializer="raw")
    done = asyncio.Event()

    @app.agent(events)
    async def decide(stream: StreamT[bytes]) -> None:
        assert isinstance(stream, faust.Stream)
        async for batch in stream.take_events(TAKE, TAKE_S_MAX):
            run.begin()
            sent = [
                await decisions.send(key=event.key, value=value, partition=event.message.partition)
                for event, value in zip(batch, answer([event.value for event in batch]), strict=True)
            ]
            await asyncio.gather(*sent)
            run.acknowledged(len(batch))
            if run.done:
                done.set()

    @app.on_partitions_assigned.connect
    async def assigned(*_: object, **__: object) -> None:
        run.ready()

    try:
        await app.start()
        await done.wait()
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), 20)


if __name__ == "__main__":
    run_async(serve)
