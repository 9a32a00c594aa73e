"""A case as the index keeps it: its last view as the bytes that came, and what it is found by. Pure."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from stream.enforce.api.case_facts import case_of, facts_of
from stream.enforce.api.search import Key
from stream.enforce.api.statistics import Counted, counted_of
from stream.enforce.procedures.complaint import ComplaintState
from stream.model.cases import CaseView, ClockDue
from stream.model.control import party_key
from stream.model.fields import TIME_MAX

NEVER_DUE: Final = TIME_MAX
"""The sort key of a case without a clock: behind all that have one."""


class CaseGroup(NamedTuple):
    """A list: its procedure, its state, whether that is an end, and whether a term was missed."""

    procedure: str
    state: str
    ended: bool
    breached: bool


@dataclass(frozen=True, slots=True)
class IndexedCase:
    """One case. `owner` is who may see it besides the offices; `about` the party's key; `ended` when it ended.

    `holders`: offices, and in whose hands the case is there. `counted`: what it counts for. `taken`: the event that was
    taken last.
    """

    key: Key
    group: CaseGroup
    owner: str | None
    about: str | None
    ended: int | None
    received: int
    region: str
    numbers: tuple[str, ...]
    holders: tuple[tuple[str, str], ...]
    counted: tuple[Counted, ...]
    taken: str | None
    data: bytes

    def view(self) -> CaseView:
        """The view, decoded: some 5 µs."""
        return _views.decode(self.data)


_views: Final = msgspec.json.Decoder(CaseView)


def indexed(data: bytes) -> IndexedCase:
    """A view as it stands in its topic. Raises `msgspec.MsgspecError` or `KeyError` for bytes that are none."""
    view = _views.decode(data)
    case = case_of(view)
    facts = facts_of(case)
    return IndexedCase(
        key=(NEVER_DUE if view.ended else next_due(view.due), view.case),
        group=CaseGroup(view.procedure, view.state, view.ended, breached=any(clock.breached for clock in view.due)),
        owner=facts.owner,
        about=party_key(view.party) if view.party else None,
        ended=view.updated if view.ended else None,
        received=facts.received,
        region=facts.region,
        numbers=facts.numbers,
        holders=tuple(case.work.holders.items()) if case.work is not None else (),
        counted=counted_of(view, case, facts),
        taken=view.taken,
        data=data,
    )


def next_due(clocks: tuple[ClockDue, ...]) -> int:
    """The next clock that runs; else the last that was missed, whose duty is still owed; else `NEVER_DUE`.

    Once a case has gone on to its next clock, what it missed earlier presses nobody any more.
    """
    running = [clock.due for clock in clocks if not clock.breached]
    missed = [clock.due for clock in clocks if clock.breached]
    return min(running) if running else max(missed, default=NEVER_DUE)


class _Expiry(msgspec.Struct, frozen=True):
    """Of a view, what says whether it is still kept."""

    updated: int
    ended: bool = False
    state: str = ""


_expiries: Final = msgspec.json.Decoder(_Expiry)


def is_expired(data: bytes, *, by: int) -> bool:
    """Whether a view shows a case that ended by this moment (milliseconds), decoding only that: 1 µs.

    Never of a disputed complaint, which `remove_expired` decides about. Raises `msgspec.MsgspecError`.
    """
    seen = _expiries.decode(data)
    return seen.ended and seen.updated <= by and seen.state != ComplaintState.DISPUTED
