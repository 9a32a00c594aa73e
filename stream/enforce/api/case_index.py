"""The cases as their last pictures show them, ready to be listed by due date.

Pure. For each procedure and state the cases stand in a list (those that missed a term in one of their own),
sorted by what is due next and then by case id; a page is a merge of the lists that are asked for, from a
bisected place on. So a page costs some microseconds a line, and lists of many thousands are never sorted; a
picture that comes costs two bisections and a move of pointers (some 20 µs at 100,000 cases in one state).

A case that ended leaves after `ended_kept_ms` of the settings, as its row leaves the control plane's table: from then
on it takes nothing, and its last picture stands in `cases` as evidence. A complaint whose dispute is still kept stays
with it, for a dispute is seen by whose complaint it is about.

Memory: each case keeps its picture as the bytes that came, some 1 to 2 KiB.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import msgspec

from stream.enforce.api.auth import SUBSCRIBER, Caller
from stream.enforce.api.responses import CaseLine
from stream.enforce.procedures import appeal, campaign, complaint, dispute, listing, measure, prohibited, regulator
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.retention import Retention
from stream.model.cases import CaseView, ClockDue
from stream.model.control import Party, party_key
from stream.model.fields import TIME_MAX, Time

PAGE_MAX: Final = 500
FEW_MAX: Final = 5_000
"""Cases that are sorted for one page, in some milliseconds."""

LEAVING_MAX: Final = 1_000
"""Cases that leave at a time, in some milliseconds."""

DISPUTED_LEAVES_MS: Final = 3_600_000
"""A complaint that stays for its dispute's sake is looked at again so much later."""

NOTHING_DUE: Final = TIME_MAX
"""Where a case without a clock stands: behind all that have one."""

Key = tuple[int, str]
"""What is due next, and the case id: the place of a case in every list."""


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
    place: CaseGroup
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

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: IndexedCase) -> None:
        """The newest picture of a case, as `indexed` reads it."""
        case = row.key[1]
        self.drop(case)
        self._rows[case] = row
        insort(self._lists.setdefault(row.place, []), row.key)
        self._index(row)
        self._retention.note(case, self._leaves_at(row))

    def load(self, rows: Iterable[IndexedCase]) -> None:
        """The pictures of many cases, one each, into an empty book: its lists are sorted once, at the end."""
        for row in rows:
            case = row.key[1]
            self._rows[case] = row
            self._lists.setdefault(row.place, []).append(row.key)
            self._index(row)
        for keys in self._lists.values():
            keys.sort()
        self._retention.fill((case, self._leaves_at(row)) for case, row in self._rows.items())

    def let_leave(self, now: int) -> int:
        """Keep no longer what ended long enough before `now` (milliseconds); how many left, of so many at a time."""
        due = self._retention.due(now, rows_max=LEAVING_MAX)
        for case in due:
            if f"{_COMPLAINT}{case}" in self._owned:
                self._retention.note(case, now + DISPUTED_LEAVES_MS)
            else:
                self.drop(case)
        return len(due)

    def drop(self, case: str) -> None:
        """The case is not kept any more."""
        row = self._rows.pop(case, None)
        if row is None:
            return
        self._retention.note(case, None)
        keys = self._lists[row.place]
        del keys[bisect_left(keys, row.key)]
        for index, name in ((self._owned, row.owner), (self._about, row.about)):
            if name is not None:
                index[name].discard(case)
                if not index[name]:
                    del index[name]

    def picture(self, case: str, caller: Caller) -> CaseView | None:
        """The case, if there is one that this caller may see."""
        row = self._rows.get(case)
        return _pictures.decode(row.data) if row is not None and self._seen(row, caller) else None

    def page(self, wanted: CaseQuery, caller: Caller) -> tuple[list[CaseLine], str | None]:
        """A page of cases in the order of their due dates, and where the next one begins."""
        start = _cursor(wanted.after)
        lines: list[CaseLine] = []
        last: Key | None = None
        for key in self._keys(wanted, caller, start):
            if wanted.due_before is not None and key[0] >= wanted.due_before:
                break
            row = self._rows[key[1]]
            if not _matches(row, wanted) or not self._seen(row, caller):
                continue
            if len(lines) == wanted.limit:
                assert last is not None, "a full page has a last line"
                return lines, f"{last[0]}.{last[1]}"
            lines.append(line_of(_pictures.decode(row.data)))
            last = key
        return lines, None

    def _keys(self, wanted: CaseQuery, caller: Caller, start: Key) -> Iterator[Key]:
        """The keys after `start`, in order: of the cases that can be meant where these are few, else of the lists."""
        few = self._few(wanted, caller)
        if few is not None:
            return iter(sorted(key for key in (self._rows[case].key for case in few) if key > start))
        return heapq.merge(*(_from(keys, start) for place, keys in self._lists.items() if _in(place, wanted)))

    def _few(self, wanted: CaseQuery, caller: Caller) -> list[str] | None:
        """The cases about a party, or of those whom the caller acts for; None where they are many.

        Where they are many, going through the lists meets enough of them soon.
        """
        if wanted.party is not None:
            groups = [self._about.get(wanted.party, set())]
        elif caller.role == "sender":
            groups = [self._owned.get(owner, set()) for owner in caller.owners]
        elif caller.role == "subscriber-agent":
            starts = (_COMPLAINT, *(f"{SUBSCRIBER}{start}" for start in caller.scope))
            groups = [cases for owner, cases in self._owned.items() if owner.startswith(starts)]
        else:
            return None
        if sum(map(len, groups)) > self._few_max:
            return None
        return [case for group in groups for case in group]

    def _leaves_at(self, row: IndexedCase) -> int | None:
        return None if row.ended is None else row.ended + self._kept_ms

    def _index(self, row: IndexedCase) -> None:
        for index, name in ((self._owned, row.owner), (self._about, row.about)):
            if name is not None:
                index.setdefault(name, set()).add(row.key[1])

    def _seen(self, row: IndexedCase, caller: Caller) -> bool:
        """A dispute belongs to whose complaint it is about."""
        owner = row.owner
        if owner is not None and owner.startswith(_COMPLAINT):
            complained = self._rows.get(owner.removeprefix(_COMPLAINT))
            owner = complained.owner if complained else None
        return caller.sees(owner)


def line_of(picture: CaseView) -> CaseLine:
    """A picture as a line of a list."""
    due = next_due(picture.due)
    return CaseLine(
        case=picture.case,
        procedure=picture.procedure,
        state=picture.state,
        step=picture.step,
        updated=picture.updated,
        due=picture.due,
        next_due=due if due != NOTHING_DUE else None,
        party=picture.party,
        ended=picture.ended,
    )


def next_due(clocks: tuple[ClockDue, ...]) -> int:
    """The next clock that runs; else the last that was missed, whose duty is still owed; else `NOTHING_DUE`.

    Once a case has gone on to its next clock, what it missed earlier presses nobody any more.
    """
    running = [clock.due for clock in clocks if not clock.breached]
    missed = [clock.due for clock in clocks if clock.breached]
    return min(running) if running else max(missed, default=NOTHING_DUE)


_COMPLAINT: Final = "complaint|"
_pictures: Final = msgspec.json.Decoder(CaseView)


def indexed(data: bytes) -> IndexedCase:
    """A picture as it stands in its topic. Raises `msgspec.MsgspecError` or `KeyError` for bytes that are none."""
    picture = _pictures.decode(data)
    return IndexedCase(
        key=(NOTHING_DUE if picture.ended else next_due(picture.due), picture.case),
        place=CaseGroup(
            picture.procedure, picture.state, picture.ended, breached=any(clock.breached for clock in picture.due)
        ),
        owner=_owner(picture),
        about=party_key(picture.party) if picture.party else None,
        ended=picture.updated if picture.ended else None,
        data=data,
    )


class _Expiry(msgspec.Struct, frozen=True):
    """Of a picture, what says whether it is still kept."""

    updated: int
    ended: bool = False
    state: str = ""


_expiries: Final = msgspec.json.Decoder(_Expiry)


def is_expired(data: bytes, *, by: int) -> bool:
    """Whether a picture shows a case that ended by this moment (milliseconds): a glance of 1 µs.

    Never of a disputed complaint, which `let_leave` decides about. Raises `msgspec.MsgspecError`.
    """
    seen = _expiries.decode(data)
    return seen.ended and seen.updated <= by and seen.state != complaint.ComplaintState.DISPUTED


def case_of(picture: CaseView) -> Case:
    """The case itself. Raises `msgspec.MsgspecError` for a body that is none of its procedure."""
    return _CASES[picture.procedure].decode(picture.body)


def _owner(picture: CaseView) -> str | None:
    """Whose a case is besides the offices'.

    A complaint is its user's and never the sender's, who would learn the number of who complained.
    """
    owner: str | None = None
    match case_of(picture):
        case measure.MeasureCase(finding=found) if found is not None:
            owner = party_key(found.party)
        case appeal.AppealCase(appeal=said) if said is not None:
            owner = party_key(said.party)
        case listing.ListingCase(punishment=punished) if punished is not None:
            owner = party_key(punished.party)
        case campaign.CampaignCase(filing=filed) if filed is not None and filed.sender:
            owner = party_key(Party(sender=filed.sender))
        case complaint.ComplaintCase(complaint=told) if told is not None and told.subscriber:
            owner = f"{SUBSCRIBER}{told.subscriber}"
        case dispute.DisputeCase(dispute=taken) if taken is not None:
            owner = f"{_COMPLAINT}{taken.complaint}"
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


def _in(place: CaseGroup, wanted: CaseQuery) -> bool:
    return (
        wanted.procedure in (None, place.procedure)
        and wanted.state in (None, place.state)
        and wanted.breached in (None, place.breached)
        and (wanted.ended or not place.ended)
    )


def _matches(row: IndexedCase, wanted: CaseQuery) -> bool:
    return _in(row.place, wanted) and wanted.party in (None, row.about)


def _from(keys: list[Key], start: Key) -> Iterator[Key]:
    """The keys after `start`, without a copy of what may be a long list."""
    return (keys[place] for place in range(bisect_left(keys, (start[0], start[1] + "\0")), len(keys)))


def _cursor(after: str | None) -> Key:
    """Where a page begins. A text that is no page's `after` begins at the beginning."""
    due, dot, case = (after or "").partition(".")
    return (int(due), case) if dot and due.isdecimal() else (-1, "")
