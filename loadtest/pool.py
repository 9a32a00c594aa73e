"""Events made beforehand, so that sending one costs the generator next to nothing.

A pool is some tens of thousands of the sample's events, encoded, with a hole where the id goes. Event number n of a
load is the pool's entry `n % size` under an id of its own; so who knows the seed knows the kind of every event.
Recipients and texts repeat after `size` events; ids never do.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final, Literal, NamedTuple

from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT
from stream.testbed import texts
from stream.testbed.sample import Sample
from stream.testbed.traffic import Traffic, place

Mix = Literal["sms", "mixed", "urgent"]
"""SMS alone; SMS, calls, replies and emergencies; emergencies alone."""

SIZE: Final = 20_000
DIGITS: Final = 10
CHUNK: Final = 20_000
ENOUGH: Final = 200
"""Different shots of what is rare; the rest of them are repeated."""

SHARES: Final = ((EVENTS_SMS, 0.70), (EVENTS_CALL, 0.25), (EVENTS_REPLY, 0.04), (EVENTS_URGENT, 0.01))
"""Of a mixed load. Replies and emergencies are more than in life, where a short run would have too few to tell."""

KINDS: Final = {EVENTS_SMS: "sms", EVENTS_CALL: "call", EVENTS_REPLY: "reply", EVENTS_URGENT: "urgent"}


class Shot(NamedTuple):
    """An event with a hole for the digits of its id."""

    topic: str
    partition: int
    key: bytes
    head: bytes
    tail: bytes

    def value(self, number: int) -> bytes:
        """The event's bytes under this number."""
        return b"%b%010d%b" % (self.head, number, self.tail)


@dataclass(frozen=True, slots=True)
class Pool:
    """Shots, and the prefix that all their ids have."""

    prefix: str
    shots: Sequence[Shot]

    def shot(self, number: int) -> Shot:
        """What event `number` is made of."""
        return self.shots[number % len(self.shots)]

    def kind(self, number: int) -> str:
        """`sms`, `call`, `reply` or `urgent`."""
        return KINDS[self.shot(number).topic]


def pool(sample: Sample, mix: Mix, *, prefix: str, partitions: int, size: int = SIZE) -> Pool:
    """A pool of a sample's traffic. About 15 µs a shot, ten times that where the mix wants what is rare."""
    wanted = _wanted(mix, size)
    found: dict[str, list[Shot]] = {topic: [] for topic in wanted}
    traffic = Traffic(sample, texts.own(), seed=1, prefix="shot")
    while any(len(found[topic]) < count for topic, count in wanted.items()):
        for where, record in place(traffic.events(CHUNK, now=sample.now), partitions=partitions):
            some = found.get(where.topic)
            if some is None or len(some) >= wanted[where.topic]:
                continue
            before, _, after = record.value.partition(b'"id":"shot-')
            head = before + f'"id":"{prefix}-'.encode()
            some.append(Shot(where.topic, where.partition, record.key, head, after[after.index(b'"') :]))
        # What is rare need not be new each time: an emergency is one of few texts to many people anyway.
        for topic, some in found.items():
            if len(some) >= ENOUGH:
                some += list(islice(cycle(tuple(some)), wanted[topic] - len(some)))
    shots = [shot for some in found.values() for shot in some]
    random.Random(1).shuffle(shots)
    return Pool(prefix, shots)


def _wanted(mix: Mix, size: int) -> dict[str, int]:
    if mix == "sms":
        return {EVENTS_SMS: size}
    if mix == "urgent":
        return {EVENTS_URGENT: size}
    return {topic: int(size * share) for topic, share in SHARES}
