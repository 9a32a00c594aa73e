"""Bytewax: `KafkaSource` → a step over whole batches → `KafkaSink`, one worker, with recovery.

The step takes a batch as a list, as its documentation recommends where Python's own work per item counts; the source's
batches are ten times the default. Bytewax keeps its place in a recovery store of its own, not in a consumer group, and
writes it each second; its sink flushes every batch, so what is written is acknowledged. A group's name has no meaning
to it.
"""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.outputs import StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

from loadtest.peers.arguments import Run, Task, run
from loadtest.peers.deciding import Answers

BATCH: Final = 10_000
EPOCH_S: Final = 1.0

CONSUMING: Final = {
    "isolation.level": "read_committed",
    "queued.min.messages": "100000",
    "fetch.min.bytes": "100000",
    "fetch.wait.max.ms": "100",
    "max.partition.fetch.bytes": str(1 << 20),
}
PRODUCING: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "linger.ms": "5",  # the sink flushes every batch, and a flush does not wait for the linger
    "batch.size": str(1 << 20),
    "queue.buffering.max.messages": "500000",
    # As Kafka's own clients place a key, so that a decision is in its event's partition.
    "partitioner": "murmur2_random",
}


class _Message(Protocol):
    """An event or a decision, as Bytewax's connectors have them."""

    key: bytes
    value: bytes


class _Done(Exception):
    """All events are decided: the only way for a sink to end its dataflow."""


class _CountingPartition(StatelessSinkPartition):  # type: ignore[misc]  # Bytewax is not where types are checked
    def __init__(self, inner: StatelessSinkPartition, run: Run) -> None:
        self._inner = inner
        self._run = run

    def write_batch(self, items: list[_Message]) -> None:
        """Write, which ends with a flush, and count."""
        self._inner.write_batch(items)
        self._run.acknowledged(len(items))
        if self._run.done:
            raise _Done

    def close(self) -> None:
        """Nothing is left to do."""
        self._inner.close()


class _CountingSink(KafkaSink):  # type: ignore[misc]  # likewise
    """Bytewax's own sink, counted."""

    def __init__(self, brokers: list[str], topic: str, add_config: dict[str, str], run: Run) -> None:
        super().__init__(brokers, topic, add_config)
        self._run = run

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _CountingPartition:
        """The one worker's part."""
        return _CountingPartition(super().build(step_id, worker_index, worker_count), self._run)


def decide_in_a_dataflow(task: Task, run: Run) -> None:
    """Decide until all is done."""
    answer = Answers(task).batch
    brokers = [task.bootstrap]

    def decide(batch: list[_Message]) -> list[_Message]:
        run.begin()
        decisions = answer([event.value for event in batch])
        return [KafkaSinkMessage(key=event.key, value=value) for event, value in zip(batch, decisions, strict=True)]

    flow = Dataflow("peer")
    events = op.input("events", flow, KafkaSource(brokers, [task.events_topic], add_config=CONSUMING, batch_size=BATCH))
    decisions = op.flat_map_batch("decide", events, decide)
    producing = {**PRODUCING, "compression.type": task.compression}
    op.output("decisions", decisions, _CountingSink(brokers, task.decisions_topic, producing, run))
    with tempfile.TemporaryDirectory(prefix="wurao-peer-bytewax-") as directory:
        init_db_dir(Path(directory), 1)
        run.ready()  # it has no word for the moment that it reads; what it waits until then is not counted
        try:
            run_main(flow, epoch_interval=timedelta(seconds=EPOCH_S), recovery_config=RecoveryConfig(directory))
        except BytewaxRuntimeError:
            if not run.done:  # else it is `_Done`, which Bytewax wraps
                raise


if __name__ == "__main__":
    run(decide_in_a_dataflow)
