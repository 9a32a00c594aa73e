"""Whose numbers a sender's record claims: what is held already is its holder's, until the hand-over is stated.

The fold gives a prefix to the longest, then the later `since`, then the later record (`ownership`): so a record that
merely came later took another sender's numbers, also that of a revoked sender, which was written again to revoke it.
Whoever writes a sender is therefore refused a prefix that equals, lies inside or lies around one of another sender on
the same channel, unless it states from whom it takes numbers over, or of whose range they are a part. Pure.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from stream.model.fields import Channel
from stream.model.registry import Sender
from stream.registry.registry import Registry

SHOWN_MAX: Final = 5
"""So many clashes are named of one record."""


class HandOver(NamedTuple):
    """What whoever writes a sender states of other senders' numbers."""

    take_over: frozenset[str] = frozenset()
    """their numbers become this one's: their own records give them up"""
    sub_port_of: frozenset[str] = frozenset()
    """this one's numbers are a part of their ranges, which stay theirs"""

    def covers(self, clash: "Clash") -> bool:
        """Whether a clash is stated."""
        inside = clash.prefix != clash.other_prefix and clash.prefix.startswith(clash.other_prefix)
        return clash.other in self.take_over or (inside and clash.other in self.sub_port_of)


NOTHING_STATED: Final = HandOver()


class Clash(NamedTuple):
    """Two senders' prefixes on one channel, of which one is the other or lies inside it."""

    channel: Channel
    sender: str
    prefix: str
    other: str
    other_prefix: str

    def __str__(self) -> str:
        how = "is" if self.prefix == self.other_prefix else "lies inside"
        if self.other_prefix.startswith(self.prefix) and self.prefix != self.other_prefix:
            how = "lies around"
        return f"{self.prefix} ({self.channel}) {how} {self.other_prefix} of {self.other}"


def refusal(record: Sender, registry: Registry, stated: HandOver) -> str | None:
    """Why a sender's record may not be written as to whose numbers it claims; None where it may."""
    found = [clash for clash in claimed(record, registry) if record.status == "revoked" or not stated.covers(clash)]
    if not found:
        return None
    shown = "; ".join(map(str, found[:SHOWN_MAX])) + ("; …" if len(found) > SHOWN_MAX else "")
    if record.status == "revoked":
        return (
            f"sender {record.sender} is revoked and would stand before who holds its numbers: {shown}; leave them out"
        )
    others = sorted({clash.other for clash in found})
    return (
        f"sender {record.sender} claims numbers of others: {shown}; leave them out, or state the hand-over: "
        f"--take-over {others[0]}, or --sub-port-of {others[0]} for a part of its range"
    )


def claimed(record: Sender, registry: Registry) -> Iterator[Clash]:
    """What of others a record claims: by prefixes that are new, or that another one owns by now."""
    before = registry.senders.get(record.sender)
    held = {(entry.channel, entry.prefix) for entry in before.numbers} if before else set()
    for channel, prefix in sorted({(entry.channel, entry.prefix) for entry in record.numbers}):
        ownership = registry.ownership[channel]
        owner = ownership.owner(prefix)
        kept = (channel, prefix) in held
        if kept and (owner is None or owner.sender == record.sender):
            continue
        for holding in ownership.near(prefix):
            if holding.sender != record.sender and not (kept and holding.entry.prefix != prefix):
                yield Clash(channel, record.sender, prefix, holding.sender, holding.entry.prefix)


def giving_up(record: Sender, registry: Registry, stated: HandOver) -> list[Sender]:
    """The records of those from whom numbers are taken over, without these numbers.

    So nobody holds them twice, and no longer prefix of a sender that was revoked stands before the new owner.
    """
    taken: dict[str, set[tuple[Channel, str]]] = {}
    for clash in claimed(record, registry):
        if clash.other in stated.take_over and clash.other_prefix.startswith(clash.prefix):
            taken.setdefault(clash.other, set()).add((clash.channel, clash.other_prefix))
    return [
        msgspec.structs.replace(
            other, numbers=tuple(entry for entry in other.numbers if (entry.channel, entry.prefix) not in gone)
        )
        for name, gone in taken.items()
        if (other := registry.senders.get(name)) is not None
    ]


def clashes(registry: Registry) -> Iterator[Clash]:
    """Every two senders' prefixes that clash, each pair once, the later holder's prefix against the one before it."""
    for channel, ownership in registry.ownership.items():
        for name, record in registry.senders.items():
            for prefix in sorted({entry.prefix for entry in record.numbers if entry.channel == channel}):
                for holding in ownership.near(prefix):
                    equal = holding.entry.prefix == prefix
                    # Of two that differ, the longer is named; of two that are equal, the one whose name comes later.
                    once = holding.sender < name if equal else len(holding.entry.prefix) < len(prefix)
                    if holding.sender != name and once:
                        yield Clash(channel, name, prefix, holding.sender, holding.entry.prefix)


__all__ = ["NOTHING_STATED", "Clash", "HandOver", "claimed", "clashes", "giving_up", "refusal"]
