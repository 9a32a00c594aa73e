"""What peers of Python do with an event: the filter's own decoder, rules and encoder, called one by one or in batches.

They are faster than what one would write first, which is in the peers' favour: what differs is the way through Kafka.
The registry is a snapshot; no peer follows the registry's topics.
"""

import time
from collections.abc import Sequence

from bloom import snapshot
from loadtest.peers.arguments import Task
from stream.feed.files import registry_from
from stream.model.codec import decode_event, encode
from stream.policy.decide import Decider
from stream.policy.loading import load


class Answers:
    """The answers that a task's registry and the configured policy give. Raises `SnapshotError` when made."""

    def __init__(self, task: Task) -> None:
        registry = registry_from(snapshot.read(task.registry))
        self._decider = Decider(load(task.config.policy.file), registry)

    def one(self, event: bytes) -> bytes:
        """An event's bytes → its decision's, at this moment."""
        return encode(self._decider.decide(decode_event(event), _now_ms()))

    def batch(self, events: Sequence[bytes]) -> list[bytes]:
        """The same for many at once, in order: quicker, and what a peer takes whose records come in batches."""
        return list(map(encode, self._decider.decide_all(list(map(decode_event, events)), _now_ms())))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
