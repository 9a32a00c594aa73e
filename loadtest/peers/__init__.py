"""Programs to be measured beside the filter, each a process of its own: `PEERS`.

All take the same arguments and say the same things (`arguments.py`). All but the pass-through do the same work: decode
an event, decide it by the policy from the same snapshot, encode the decision, produce it with `acks=all` by an
idempotent producer into the partition of its event, commit what is acknowledged. Each says at its head what it does
and how it is tuned: by what its own documentation recommends for throughput.

The peers of Python decide by the filter's own decoder, rules and encoder. Those of Java have the rules for SMS written
out by hand (`java/wurao/peers/Decider.java`); a test holds all of them to the same answers.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtest.peers import environment, java_build

SETUP: Final = "peers"
"""The make target that sets up whatever a peer needs."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that can be measured."""

    name: str
    command: tuple[str, ...]
    """what starts it, before its arguments"""
    what: str
    tuning: str
    setup: str | None = None
    """the make target that prepares it; None where the project's own environment is enough"""
    is_ready: Callable[[], bool] = lambda: True
    """whether that was done"""

    @property
    def missing(self) -> str | None:
        """Why it cannot run here, with the mend; None where it can."""
        return None if self.is_ready() else f"{self.name} is not set up: run `make {self.setup}`"


def _own(name: str, module: str, what: str, tuning: str) -> Peer:
    return Peer(name, (sys.executable, "-m", f"loadtest.peers.{module}"), what, tuning)


def _python(name: str, module: str, package: str, what: str, tuning: str) -> Peer:
    command = (str(environment.PYTHON), "-m", f"loadtest.peers.{module}")
    return Peer(name, command, what, tuning, SETUP, lambda: environment.has(package))


def _java(name: str, module: str, what: str, tuning: str) -> Peer:
    command = (sys.executable, "-m", f"loadtest.peers.{module}")
    return Peer(name, command, what, tuning, SETUP, java_build.is_built)


PEERS: Final[dict[str, Peer]] = {
    peer.name: peer
    for peer in (
        _own(
            "passthrough", "passthrough",
            "aiokafka in whole batches: the same records out, nothing looked at; the limit of this client",
            "getmany of 2,000, send_batch per partition, four batches on their way",
        ),
        _own(
            "plain", "plain",
            "aiokafka record by record: async for, decide, send",
            "linger of 10 ms, batches of 256 KiB, a flush and a commit per 1,000 events",
        ),
        _own(
            "faust-agent", "faust_agent",
            "a Faust agent that takes 1,000 events, sends their decisions and awaits them",
            "take of 1,000, buffer of 10,000, no wait for empty ones, linger of 10 ms, batches of 256 KiB, raw values",
        ),
        _python(
            "confluent", "confluent", "confluent_kafka",
            "confluent-kafka (librdkafka) in batches: consume, decide each, produce_batch",
            "consume of 10,000, 100,000 fetched ahead, linger of 50 ms, batches of 1 MiB, reports of failures only",
        ),
        _python(
            "quix", "quix", "quixstreams",
            "Quix Streams: dataframe(events).apply(decide).to_topic(decisions)",
            "bytes in and out, a checkpoint per 5 s, 100,000 fetched ahead, linger of 50 ms, batches of 1 MiB",
        ),
        _python(
            "bytewax", "bytewax_flow", "bytewax",
            "Bytewax: KafkaSource, a step over whole batches, KafkaSink; one worker, with recovery (Python up to 3.12)",
            "batches of 10,000, flat_map_batch, an epoch per second, 100,000 fetched ahead, batches of 1 MiB",
        ),
        _java(
            "kafka-streams", "kafka_streams",
            "Kafka Streams in Java: stream(events).mapValues(decide).to(decisions), one thread",
            "polls of 10,000, linger of 20 ms, batches of 256 KiB, commit per second, ParallelGC; passes until settled",
        ),
        _java(
            "java", "java_loop",
            "Kafka's own clients in Java: one thread that polls, decides, sends and commits",
            "polls of 10,000, linger of 20 ms, batches of 256 KiB, commit per 50,000, ParallelGC; passes until settled",
        ),
    )
}  # fmt: skip
"""By name, in the order in which a table shows them."""
