"""What the API answers: one struct per shape, and the refusal that every failure is.

Pure. `docs/openapi.yaml` is made from these structs, and a test holds every answer to it.
"""

from typing import Final, Literal

import msgspec

from stream.enforce.procedures.case_work import Office
from stream.model.cases import ClockDue
from stream.model.control import CaseId, Count, Listing, Party
from stream.model.fields import ID_CHARACTERS_MAX, Name, Time

RefusalName = Literal[
    "bad-request",
    "unauthorised",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "wrong-state",
    "key-reused",
    "too-late",
    "too-large",
    "too-slow",
    "too-many",
    "not-ready",
    "failed",
]


FAULTS_MAX: Final = 20
"""Faults that one answer names: a form has fewer fields, and whoever sends more sends no form."""

REASON_CHARACTERS_MAX: Final = 500
"""Of a fault's reason: a sentence, and some names that are like the one stated."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is missing or wrong in a body or query: where, why, and the mend."""

    field: str
    reason: str
    mend: str


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused.

    `faults` lists what is wrong with a `bad-request`, at most twenty of it; `possible` says what the case would take of
    this caller in a `wrong-state`. `too-late`: a later expression stands, and `reason` says which.
    """

    error: RefusalName
    reason: str
    faults: tuple[Fault, ...] = ()
    possible: tuple[str, ...] = ()


class Accepted(msgspec.Struct, frozen=True):
    """All replicas have the record.

    `id` is the record's; `case` the case that it opens or is about, where there is one. `missing` is what a
    complaint, filing or order must still state: its case waits for that. `faults` is what is wrong with a filing,
    which is returned for it (Article 27); nothing of that holds up an emergency. `note` says what came of it otherwise
    than one would think.
    """

    id: Name
    case: CaseId | None = None
    missing: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    note: Name | None = None


class CaseLine(msgspec.Struct, frozen=True):
    """A case in a list. `due` as in its view: the clocks that run, then those that ran out.

    `next_due` is what the list is sorted by: the next clock that runs, else the last one that was missed. `assigned`:
    in whose hands the case is, of the caller's office; who supervises sees all of them.
    """

    case: CaseId
    procedure: Name
    state: Name
    step: Count
    updated: Time
    due: tuple[ClockDue, ...]
    next_due: Time | None = None
    party: Party | None = None
    ended: bool = False
    assigned: dict[Office, Name] = {}


class CasePage(msgspec.Struct, frozen=True):
    """A page of cases, the first due first; `after` asks for the next page, and is absent on the last."""

    cases: tuple[CaseLine, ...]
    after: str | None = None


class ListingPage(msgspec.Struct, frozen=True):
    """A page of the bad-actor list, by the entries' ids; `after` asks for the next page, and is absent on the last."""

    listings: tuple[Listing, ...]
    after: str | None = None


class CaseShown(msgspec.Struct, frozen=True):
    """A case whole. `body` is the case of its procedure; `possible` the acts of it that this caller may do now.

    Whoever works with cases may besides always note, attach and assign.
    """

    line: CaseLine
    body: msgspec.Raw
    possible: tuple[str, ...]


class Problem(Exception):
    """A request that is refused, with its HTTP status."""

    def __init__(self, status: int, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.status = status
        self.refusal = refusal


def faulty(*faults: Fault, more_count: int = 0) -> Problem:
    """400: these things are missing or wrong, and `more_count` others. The first `FAULTS_MAX` are named."""
    shown, count = tuple(map(_short, faults[:FAULTS_MAX])), len(faults) + more_count
    listed = "them all" if count == len(shown) else f"the first {len(shown)} of {count:,}"
    return Problem(400, Refusal("bad-request", f"the request has faults; `faults` lists {listed}", faults=shown))


def _short(fault: Fault) -> Fault:
    """A fault may quote what was stated, of any length."""
    if len(fault.reason) <= REASON_CHARACTERS_MAX:
        return fault
    return msgspec.structs.replace(fault, reason=f"{fault.reason[:REASON_CHARACTERS_MAX]}…")


def forbidden(reason: str) -> Problem:
    """403: the token is good, and may not do this."""
    return Problem(403, Refusal("forbidden", reason))


def unknown(case: str) -> Problem:
    """404: no such case, none that this caller may know of, or none any more, which are all answered alike."""
    removed = (
        "one that ended longer ago than `ended_kept_ms` of the settings is shown no more: its last view stands, "
        "as evidence, in the topic `cases`"
    )
    shown = case if len(case) <= ID_CHARACTERS_MAX else f"{case[:ID_CHARACTERS_MAX]}…"
    return Problem(404, Refusal("not-found", f"there is no case {shown!r} that you may see; {removed}"))


def wrong_state(reason: str, possible: tuple[str, ...]) -> Problem:
    """409: the case does not take this now."""
    return Problem(409, Refusal("wrong-state", reason, possible=possible))
