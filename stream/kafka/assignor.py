"""The assignor of partitioned mode: the same partition numbers of all topics to one member, and few that move.

aiokafka's round-robin scatters the numbers of several topics; its range assignor keeps them together, but orders
members by ids that are drawn again at each start, so that one worker's restart can move every partition, each of which
must then be loaded somewhere. Here each member tells what it was given last and how many it has room for, and keeps as
much as its share allows.

Promises that each partition number goes to one member at most, and to none only when nobody has room; that shares
differ by one at most among those who have; and that no more partitions move than these need. What members claim is a
preference: a wrong one costs a load and nothing else.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from stream import logs

NAME: Final = "wurao-same-partitions"
"""As the group's protocol: a group whose members know no common one refuses the newcomer."""

_VERSION: Final = 0
_ANY: Final = -1
"""Room for any number."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member tells: the partitions that it holds, and how many it has room for (None: for all)."""

    held: Sequence[int] = ()
    room: int | None = None


def share(partitions: int, claims: Mapping[str, Claim]) -> dict[str, list[int]]:
    """Which member gets which of the partitions from 0 to `partitions` - 1.

    Of two that claim one partition the first by name keeps it. Deterministic.
    """
    free = set(range(partitions))
    kept: dict[str, list[int]] = {}
    for member in sorted(claims):
        kept[member] = sorted(free.intersection(claims[member].held))
        free.difference_update(kept[member])
    sizes = _sizes(partitions, claims, kept)
    for member, mine in kept.items():
        free.update(mine[sizes[member] :])
        del mine[sizes[member] :]
    left = iter(sorted(free))
    for member, mine in kept.items():
        mine.extend(islice(left, sizes[member] - len(mine)))
        mine.sort()
    return kept


def _sizes(partitions: int, claims: Mapping[str, Claim], kept: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """How many each member gets: as equal as their room allows; the one that is over goes to whoever holds more."""
    sizes: dict[str, int] = {}
    rooms = {member: partitions if claim.room is None else claim.room for member, claim in claims.items()}
    # Narrow ones first: what they cannot take is shared by those after them.
    for place, member in enumerate(sorted(rooms, key=lambda one: (rooms[one], len(kept[one]), one))):
        left = partitions - sum(sizes.values())
        sizes[member] = min(rooms[member], left // (len(rooms) - place))
    return sizes


class SamePartitions:
    """One member's assignor, in the form that aiokafka asks for. It remembers what it was given last."""

    name = NAME

    def __init__(self, *, room: int | None = None) -> None:
        self._claim = Claim(room=room)

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells the group: its topics, and its claim."""
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), _packed(self._claim))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As the group's leader: who gets what. A topic with fewer partitions is given as far as it goes."""
        there = {
            topic: cluster.partitions_for_topic(topic) or set() for of in members.values() for topic in of.subscription
        }
        partitions = max((max(some, default=-1) + 1 for some in there.values()), default=0)
        shares = share(partitions, {member: _unpacked(of.user_data) for member, of in members.items()})
        if unserved := partitions - sum(map(len, shares.values())):
            log.error(
                "partitions without a worker: their events wait; start more workers, or give them more room "
                "(registry.partitions_max)",
                partitions_count=unserved,
                workers_count=len(members),
            )
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
        self._claim = replace(self._claim, held=sorted({place.partition for place in assignment.partitions()}))


def _packed(claim: Claim) -> bytes:
    return struct.pack(f">i{len(claim.held)}i", _ANY if claim.room is None else claim.room, *claim.held)


def _unpacked(data: bytes) -> Claim:
    room, *held = [number for (number,) in struct.iter_unpack(">i", data[: len(data) - len(data) % 4])] or [_ANY]
    return Claim(held, None if room < 0 else room)
