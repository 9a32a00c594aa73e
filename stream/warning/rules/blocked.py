"""What the filter blocks as prohibited content, told once a party and day (Articles 15, 32).

Whose it is: the owner's of the number that it came from, by the registry, whatever the event says of its sender; else
the number's itself. The same party and day (of Shanghai, by the moment of the decision) give the same finding and the
same case, whichever instance finds it and however often.

A party's first blocked events of a partition are told one by one, as evidence; after `EVIDENCE_MAX` of them its count
is, whenever it has doubled, and at an orderly end. So one that sends by the million costs some fifty events a
partition, and the count on its case says *at least*: a process that dies takes with it what it had not told.

Pure. Cost: 20 µs a blocked event, most of it to read the decision; nothing for all others.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from stream.model.cases import BlockedContent, CaseEvent, Discovered, filter_case
from stream.model.codec import encode
from stream.model.control import Finding, Party, party_key
from stream.model.decision import Decision
from stream.model.times import day_of
from stream.policy.numbering import Numbering
from stream.registry.ownership import owned_form
from stream.registry.registry import Registry

REASON: Final = "prohibited_content"
NEEDLE: Final = f'"reason":"{REASON}"'.encode()
"""What stands in the bytes of every such decision, and hardly in any other. A test holds the encoders to it."""

BASIS: Final = "prohibited-content"
PROCEDURE: Final = "prohibited-content"

EVIDENCE_MAX: Final = 30
"""Events of a party and day that a partition tells as evidence; the case keeps as many of all partitions."""

PARTIES_MAX: Final = 100_000
"""Parties that a partition remembers, some 200 bytes each; beyond, all are told and forgotten."""


class BlockedEvent(NamedTuple):
    """A blocked event: its decision, where that stands, and its place and digest as evidence names them."""

    decision: Decision
    offset: int
    evidence: str


def party_of(decision: Decision, registry: Registry, numbering: Numbering) -> Party | None:
    """Whose blocked event it is; None where it came from no number: then nobody is blamed."""
    if not decision.from_:
        return None
    ownership = registry.ownership["sms"]  # rule 15 is about messages
    number = numbering.read_port(decision.from_)
    if not numbering.is_person(number):
        number = owned_form(ownership, number, numbering.plus_country)
    owner = ownership.owner(number) if number else None
    return Party(sender=owner.sender) if owner is not None else Party(number=number or decision.from_)


@dataclass(slots=True)
class _Tally:
    """What a partition has of a party and day: all of it, and of that what was told."""

    count: int = 0
    reported_count: int = 0
    named_count: int = 0
    """events told as evidence"""
    first: int = 0
    """the offset of the first that was not told"""
    last: int = 0
    evidence: list[str] = field(default_factory=list)
    """to be told"""
    moment: int = 0

    def add(self, event: BlockedEvent) -> None:
        if self.count == self.reported_count:
            self.first = event.offset
        self.count += 1
        self.last, self.moment = event.offset, event.decision.decided
        if self.named_count + len(self.evidence) < EVIDENCE_MAX:
            self.evidence.append(event.evidence)

    @property
    def is_due(self) -> bool:
        return bool(self.evidence) or self.count >= 2 * self.reported_count


class BlockedTallies:
    """Those of one partition of `decisions`."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._tallies: dict[tuple[Party, int], _Tally] = {}

    def add(self, found: Iterable[tuple[Party, BlockedEvent]]) -> None:
        """Take in blocked events, in the order of their offsets."""
        for party, event in found:
            self._tallies.setdefault((party, day_of(event.decision.decided)), _Tally()).add(event)

    def due(self, *, all_of_it: bool = False) -> list[CaseEvent]:
        """What is to be told now, and counts as told from now on: whoever asks writes it. `all_of_it`: at the end."""
        full = len(self._tallies) > PARTIES_MAX
        events = [
            self._event_of(party, day, tally)
            for (party, day), tally in self._tallies.items()
            if tally.count > tally.reported_count and (all_of_it or full or tally.is_due)
        ]
        if full:
            self._tallies.clear()
        return events

    def forget_before(self, now: int) -> None:
        """Forget the days before yesterday."""
        for known in [known for known in self._tallies if known[1] < day_of(now) - 1]:
            del self._tallies[known]

    def _event_of(self, party: Party, day: int, tally: _Tally) -> CaseEvent:
        finding = Finding(
            finding=finding_id(party, day),
            time=tally.moment,
            party=party,
            grounds="prohibited-content",
            basis=BASIS,
            channel="sms",
            evidence=tuple(tally.evidence),
        )
        blocked = BlockedContent(self._partition, tally.first, tally.last, tally.count - tally.reported_count)
        tally.reported_count = tally.count
        tally.named_count += len(tally.evidence)
        tally.evidence.clear()
        return CaseEvent(
            id=f"{finding.finding}#{self._partition}.{blocked.last}",
            time=finding.time,
            case=filter_case(finding.finding),
            procedure=PROCEDURE,
            event=msgspec.Raw(encode(Discovered(finding, blocked))),
            actor="early-warning",
        )


def finding_id(party: Party, day: int) -> str:
    """The same finding under the same id. A digest, for ids stand in logs and a party may be a phone number."""
    return f"B-{hashlib.sha256(f'{BASIS}|{party_key(party)}|{day}'.encode()).hexdigest()[:24]}"
