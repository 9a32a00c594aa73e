"""The cases by their last views in `cases`, ready to be listed by due date.

Pure. For each procedure and state the cases stand in a list (those that missed a term in one of their own),
sorted by what is due next and then by case id; a page is a merge of the lists that are asked for, from a
bisected position on. So a page costs some microseconds a line, and lists of many thousands are never sorted; a
new view costs two bisections and a move of pointers (some 20 µs at 100,000 cases in one state).

What a caller may not see takes none of its request's time: who acts for somebody is answered from its own cases alone,
so a list's time does not tell a sender how many complaints stand about anybody. That costs some 0.5 µs for each of its
cases.

A case that ended is removed after `ended_kept_ms` of the settings, as its row is from the control plane's table: from
then on it takes nothing, and its last view stands in `cases` as evidence. A complaint whose dispute is still kept stays
with it, for a dispute is visible to whose complaint it is about.

Memory: each case keeps its view as the bytes that came, some 1 to 2 KiB.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import msgspec

from stream.enforce.api.auth import SUBSCRIBER, Caller
from stream.enforce.api.responses import CaseLine
from stream.enforce.api.shown import shown_party, shown_work, work_of
from stream.enforce.procedures import appeal, campaign, complaint, dispute, listing, measure, prohibited, regulator
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.retention import Retention
from stream.model.cases import CaseView, ClockDue
from stream.model.control import Party, party_key
from stream.model.fields import TIME_MAX, Time

PAGE_MAX: Final = 500
FEW_MAX: Final = 5_000
"""Cases about a party that are gone through for an office's page, in some milliseconds."""

REMOVED_MAX: Final = 1_000
"""Cases that are removed at a time, in some milliseconds."""

DISPUTED_KEPT_MS: Final = 3_600_000
"""A complaint that is kept for its dispute's sake is checked again after this time."""

NEVER_DUE: Final = TIME_MAX
"""The sort key of a case without a clock: behind all that have one."""

Key = tuple[int, str]
"""What is due next (milliseconds), and the case id: by these a case is sorted in every list."""

_BEGINNING: Final[Key] = (-1, "")
_TIME_DIGITS_MAX: Final = len(str(TIME_MAX))


class CaseQuery(msgspec.Struct, frozen=True):
    """Which cases to list: of a procedure, in a state, about a party (`sender|…`, `number|…`).

    `due_before`: what is due before this moment (milliseconds). `breached`: a term was missed, or none was.
    `ended`: also those that have ended, which are left out unless asked for. `after`: a page's own `after`.
    """

    procedure: ProcedureName | None = None
    state: str | None = None
    party: str | None = None
    due_before: Time | None = None
    breached: bool | None = None
    ended: bool = False
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 50


class CaseGroup(NamedTuple):
    """A list: its procedure, its state, whether that is an end, and whether a term was missed."""

    procedure: str
    state: str
    ended: bool
    breached: bool


@dataclass(frozen=True, slots=True)
class IndexedCase:
    """One case. `owner` is who may see it besides the offices; `about` the party's key; `ended` when it ended."""

    key: Key
    group: CaseGroup
    owner: str | None
    about: str | None
    ended: int | None
    data: bytes


class CaseIndex:
    """All cases that are kept, by id and by what is due. `kept_ms`: how long one is kept once it has ended."""

    def __init__(self, *, kept_ms: int, few_max: int = FEW_MAX) -> None:
        self._kept_ms = kept_ms
        self._few_max = few_max
        self._retention = Retention()
        self._rows: dict[str, IndexedCase] = {}
        self._lists: dict[CaseGroup, list[Key]] = {}
        self._owned: dict[str, set[str]] = {}
        self._about: dict[str, set[str]] = {}
        self._subscribers: list[str] = []
        """the owners that are subscribers, sorted: an agent's are those that begin as its scope does"""

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: IndexedCase) -> None:
        """Replace the view of a case by its newest, as `indexed` reads it."""
        case = row.key[1]
        self.drop(case)
        self._rows[case] = row
        insort(self._lists.setdefault(row.group, []), row.key)
        if row.owner is not None and row.owner.startswith(SUBSCRIBER) and row.owner not in self._owned:
            insort(self._subscribers, row.owner)
        self._index(row)
        self._retention.set(case, self._removable_at(row))

    def load(self, rows: Iterable[IndexedCase]) -> None:
        """Put the views of many cases, one each, into an empty index: its lists are sorted once, at the end."""
        for row in rows:
            case = row.key[1]
            self._rows[case] = row
            self._lists.setdefault(row.group, []).append(row.key)
            self._index(row)
        for keys in self._lists.values():
            keys.sort()
        self._subscribers = sorted(owner for owner in self._owned if owner.startswith(SUBSCRIBER))
        self._retention.load((case, self._removable_at(row)) for case, row in self._rows.items())

    def remove_expired(self, now: int) -> int:
        """Remove what ended long enough before `now` (ms), at most `REMOVED_MAX` at a time. How many were due."""
        due = self._retention.due(now, rows_max=REMOVED_MAX)
        for case in due:
            if f"{_COMPLAINT}{case}" in self._owned:
                self._retention.set(case, now + DISPUTED_KEPT_MS)
            else:
                self.drop(case)
        return len(due)

    def drop(self, case: str) -> None:
        """The case is not kept any more."""
        row = self._rows.pop(case, None)
        if row is None:
            return
        self._retention.set(case, None)
        keys = self._lists[row.group]
        del keys[bisect_left(keys, row.key)]
        for index, name in ((self._owned, row.owner), (self._about, row.about)):
            if name is not None:
                index[name].discard(case)
                if not index[name]:
                    del index[name]
        if row.owner is not None and row.owner.startswith(SUBSCRIBER) and row.owner not in self._owned:
            del self._subscribers[bisect_left(self._subscribers, row.owner)]

    def view(self, case: str, caller: Caller) -> CaseView | None:
        """The case, if there is one that this caller may see."""
        row = self._rows.get(case)
        return _views.decode(row.data) if row is not None and self._visible(row, caller) else None

    def about(self, party: str) -> list[CaseView]:
        """All cases about a party (`party_key`) that are kept. Some 10 µs a case."""
        return [_views.decode(self._rows[case].data) for case in self._about.get(party, ())]

    def page(self, query: CaseQuery, caller: Caller) -> tuple[list[CaseLine], str | None]:
        """A page of cases in the order of their due dates, and the `after` of the next page (None on the last)."""
        start = (cursor(query.after) if query.after else None) or _BEGINNING
        lines: list[CaseLine] = []
        last: Key | None = None
        for key in self._keys(query, caller, start):
            if query.due_before is not None and key[0] >= query.due_before:
                break
            row = self._rows[key[1]]
            if not _matches(row, query) or not self._visible(row, caller):
                continue
            if len(lines) == query.limit:
                assert last is not None, "a full page has a last line"
                return lines, f"{last[0]}.{last[1]}"
            lines.append(line_of(_views.decode(row.data), caller))
            last = key
        return lines, None

    def _keys(self, query: CaseQuery, caller: Caller, start: Key) -> Iterable[Key]:
        """The keys after `start`, in order: of the caller's own cases, of those about a party, else of the lists."""
        cases: Iterable[str] | None = self._own(caller)
        if cases is None and query.party is not None:
            about = self._about.get(query.party, set())
            cases = about if len(about) <= self._few_max else None  # of more, the lists have enough soon
        if cases is None:
            seen = {group: keys for group, keys in self._lists.items() if caller.sees_procedure(group.procedure)}
            return heapq.merge(*(_from(keys, start) for group, keys in seen.items() if _in(group, query)))
        rows = (self._rows[case] for case in cases)
        wanted = (row.key for row in rows if row.key > start and _matches(row, query))
        return heapq.nsmallest(query.limit + 1, wanted)

    def _own(self, caller: Caller) -> Iterator[str] | None:
        """The cases that a caller sees who acts for somebody; None for those who see all."""
        if caller.role == "sender":
            return (case for owner in set(caller.owners) for case in self._owned.get(owner, ()))
        if caller.role == "subscriber-agent":
            return self._of_subscribers(caller.scope)
        return None

    def _of_subscribers(self, starts: Collection[str]) -> Iterator[str]:
        """The cases of the subscribers whose numbers begin so, and the disputes about them."""
        before = None
        for start in sorted(f"{SUBSCRIBER}{start}" for start in starts):
            if before is not None and start.startswith(before):
                continue  # it had those
            before = start
            for index in range(bisect_left(self._subscribers, start), len(self._subscribers)):
                owner = self._subscribers[index]
                if not owner.startswith(start):
                    break
                for case in self._owned[owner]:
                    yield case
                    yield from self._owned.get(f"{_COMPLAINT}{case}", ())

    def _removable_at(self, row: IndexedCase) -> int | None:
        return None if row.ended is None else row.ended + self._kept_ms

    def _index(self, row: IndexedCase) -> None:
        for index, name in ((self._owned, row.owner), (self._about, row.about)):
            if name is not None:
                index.setdefault(name, set()).add(row.key[1])

    def _visible(self, row: IndexedCase, caller: Caller) -> bool:
        """A dispute belongs to whose complaint it is about."""
        owner = row.owner
        if not caller.sees_procedure(row.group.procedure):
            return False
        if owner is not None and owner.startswith(_COMPLAINT):
            complained = self._rows.get(owner.removeprefix(_COMPLAINT))
            owner = complained.owner if complained else None
        return caller.sees(owner)


def line_of(view: CaseView, caller: Caller) -> CaseLine:
    """A view as a line of this caller's list."""
    work = shown_work(work_of(view.body), caller)
    due = next_due(view.due)
    return CaseLine(
        case=view.case,
        procedure=view.procedure,
        state=view.state,
        step=view.step,
        updated=view.updated,
        due=view.due,
        next_due=due if due != NEVER_DUE else None,
        party=shown_party(view.party, caller),
        ended=view.ended,
        assigned=dict(work.holders) if work is not None else {},
    )


def next_due(clocks: tuple[ClockDue, ...]) -> int:
    """The next clock that runs; else the last that was missed, whose duty is still owed; else `NEVER_DUE`.

    Once a case has gone on to its next clock, what it missed earlier presses nobody any more.
    """
    running = [clock.due for clock in clocks if not clock.breached]
    missed = [clock.due for clock in clocks if clock.breached]
    return min(running) if running else max(missed, default=NEVER_DUE)


_COMPLAINT: Final = "complaint|"
_views: Final = msgspec.json.Decoder(CaseView)


def indexed(data: bytes) -> IndexedCase:
    """A view as it stands in its topic. Raises `msgspec.MsgspecError` or `KeyError` for bytes that are none."""
    view = _views.decode(data)
    return IndexedCase(
        key=(NEVER_DUE if view.ended else next_due(view.due), view.case),
        group=CaseGroup(view.procedure, view.state, view.ended, breached=any(clock.breached for clock in view.due)),
        owner=_owner(view),
        about=party_key(view.party) if view.party else None,
        ended=view.updated if view.ended else None,
        data=data,
    )


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
    return seen.ended and seen.updated <= by and seen.state != complaint.ComplaintState.DISPUTED


def case_of(view: CaseView) -> Case:
    """The case itself. Raises `msgspec.MsgspecError` for a body that is none of its procedure."""
    return _CASES[view.procedure].decode(view.body)


def _owner(view: CaseView) -> str | None:
    """Whose a case is besides the offices'.

    A complaint is its user's and never the sender's, who would learn the number of who complained.
    """
    owner: str | None = None
    match case_of(view):
        case measure.MeasureCase(finding=found) if found is not None:
            owner = party_key(found.party)
        case appeal.AppealCase(appeal=appealed) if appealed is not None:
            owner = party_key(appealed.party)
        case listing.ListingCase(punishment=punished) if punished is not None:
            owner = party_key(punished.party)
        case campaign.CampaignCase(filing=filed) if filed is not None and filed.sender:
            owner = party_key(Party(sender=filed.sender))
        case complaint.ComplaintCase(complaint=by_user) if by_user is not None and by_user.subscriber:
            owner = f"{SUBSCRIBER}{by_user.subscriber}"
        case dispute.DisputeCase(dispute=submitted) if submitted is not None:
            by_complaint = (
                f"{_COMPLAINT}{submitted.complaint}"  # of versions before, whose it is the complaint alone knows
            )
            owner = f"{SUBSCRIBER}{submitted.subscriber}" if submitted.subscriber else by_complaint
        case _:
            pass
    return owner


def _decoder(kind: type[Case]) -> msgspec.json.Decoder[Case]:
    return msgspec.json.Decoder(kind)


_CASES: Final[dict[str, msgspec.json.Decoder[Case]]] = {
    "measure": _decoder(measure.MeasureCase),
    "complaint": _decoder(complaint.ComplaintCase),
    "appeal": _decoder(appeal.AppealCase),
    "dispute": _decoder(dispute.DisputeCase),
    "campaign": _decoder(campaign.CampaignCase),
    "prohibited-content": _decoder(prohibited.ProhibitedCase),
    "regulator-order": _decoder(regulator.RegulatorCase),
    "listing": _decoder(listing.ListingCase),
}


def _in(group: CaseGroup, query: CaseQuery) -> bool:
    return (
        query.procedure in (None, group.procedure)
        and query.state in (None, group.state)
        and query.breached in (None, group.breached)
        and (query.ended or not group.ended)
    )


def _matches(row: IndexedCase, query: CaseQuery) -> bool:
    return _in(row.group, query) and query.party in (None, row.about)


def _from(keys: list[Key], start: Key) -> Iterator[Key]:
    """The keys after `start`, without a copy of what may be a long list."""
    return (keys[index] for index in range(bisect_left(keys, (start[0], start[1] + "\0")), len(keys)))


def cursor(after: str) -> Key | None:
    """Where the next page begins, by a page's own `after`; None for a text that is none."""
    due, dot, case = after.partition(".")
    is_time = due.isascii() and due.isdecimal() and len(due) <= _TIME_DIGITS_MAX
    return (int(due), case) if dot and is_time else None
