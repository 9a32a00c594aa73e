"""The assignor of partitioned mode: the same partition numbers of all topics to one member, and few that move.

aiokafka's round-robin scatters the numbers of several topics; its range assignor keeps them together, but orders
members by ids that are drawn anew at each start, so that one worker's restart can move every partition, each of which
must then be loaded somewhere. Here each member tells what it holds, and keeps as much of it as its share allows.

Promises that each partition number goes to exactly one member, that shares differ by one at most, and that no more
partitions move than these two need. What members claim is a wish: a wrong one costs a load and nothing else.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

NAME: Final = "wurao-same-partitions"
"""As the group's protocol: a group whose members know no common one refuses the newcomer."""

_VERSION: Final = 0


def share(partitions: int, claims: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """Which member gets which of the partitions from 0 to `partitions` - 1, given what each claims to hold.

    Of two that claim one partition the first by name keeps it. Deterministic.
    """
    free = set(range(partitions))
    held: dict[str, list[int]] = {}
    for member in sorted(claims):
        held[member] = sorted(free.intersection(claims[member]))
        free.difference_update(held[member])
    if not held:
        return {}
    least, more = divmod(partitions, len(held))
    # Those who hold most get the larger shares: they keep one more.
    by_holding = sorted(held, key=lambda member: (-len(held[member]), member))
    shares = {member: least + (place < more) for place, member in enumerate(by_holding)}
    for member, mine in held.items():
        free.update(mine[shares[member] :])
        del mine[shares[member] :]
    left = iter(sorted(free))
    for member, mine in held.items():
        mine += [next(left) for _ in range(shares[member] - len(mine))]
        mine.sort()
    return held


class SamePartitions:
    """One member's assignor, in the form that aiokafka asks for. It remembers what it was given last."""

    name = NAME

    def __init__(self) -> None:
        self._held: Sequence[int] = ()

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells the group: its topics, and the partitions that it holds."""
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), _packed(self._held))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As the group's leader: who gets what. A topic with fewer partitions is given as far as it goes."""
        there = {
            topic: cluster.partitions_for_topic(topic) or set() for of in members.values() for topic in of.subscription
        }
        partitions = max((max(some, default=-1) + 1 for some in there.values()), default=0)
        shares = share(partitions, {member: _unpacked(of.user_data) for member, of in members.items()})
        return {
            member: ConsumerProtocolMemberAssignment(
                _VERSION,
                [
                    (topic, [partition for partition in shares[member] if partition in there[topic]])
                    for topic in sorted(of.subscription)
                ],
                b"",
            )
            for member, of in members.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Note what this member holds from now on."""
        self._held = sorted({place.partition for place in assignment.partitions()})


def _packed(partitions: Sequence[int]) -> bytes:
    return struct.pack(f">{len(partitions)}i", *partitions)


def _unpacked(data: bytes) -> list[int]:
    whole = len(data) - len(data) % 4
    return [partition for (partition,) in struct.iter_unpack(">i", data[:whole])]
