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
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Final, TypeVar, get_args

from stream.enforce.api.auth import OFFICES, SUBSCRIBER, Caller
from stream.enforce.api.case_facts import COMPLAINT
from stream.enforce.api.indexed_case import NEVER_DUE, CaseGroup, IndexedCase, next_due
from stream.enforce.api.number_index import NumberIndex
from stream.enforce.api.responses import CaseLine
from stream.enforce.api.search import NOTHING_FOUND, CaseQuery, Found, Key, cursor, needle, stands_in
from stream.enforce.api.shown import SUPERVISORS, shown_party, shown_work, work_of
from stream.enforce.api.statistics import MonthlyCounts, MonthStatistics
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.regions import COUNTRY
from stream.enforce.procedures.retention import Retention
from stream.model.cases import CaseView

K = TypeVar("K", bound=Hashable)

FEW_MAX: Final = 5_000
"""Cases about a party, or of a number, that are gone through for an office's page, in some milliseconds."""

LOOKED_AT_MAX: Final = 20_000
"""Cases that one page looks at, some 30 ms; where that is not all, the next page goes on from there."""

READ_MAX: Final = 500
"""Cases of which a page that looks for a text reads what the caller is shown, up to 50 ms."""

REMOVED_MAX: Final = 1_000
"""Cases that are removed at a time, in some milliseconds."""

DISPUTED_KEPT_MS: Final = 3_600_000
"""A complaint that is kept for its dispute's sake is checked again after this time."""

PROCEDURES: Final = get_args(ProcedureName)

_BEGINNING: Final[Key] = (-1, "")


class CaseIndex:
    """All cases that are kept, by id and by what is due. `kept_ms`: how long one is kept once it has ended."""

    def __init__(self, *, kept_ms: int, few_max: int = FEW_MAX) -> None:
        self._kept_ms = kept_ms
        self._few_max = few_max
        self._retention = Retention()
        self._rows: dict[str, IndexedCase] = {}
        self._lists: dict[CaseGroup, list[Key]] = {}
        self._owned: dict[str, set[str]] = {}
        self._about: dict[tuple[str, str], set[str]] = {}
        """by procedure, as numbers are, so that nobody's search goes through what it may not see; and by party"""
        self._held: dict[tuple[str, str], set[str]] = {}
        """by office and person"""
        self._numbers: dict[str, NumberIndex] = {}
        self._subscribers: list[str] = []
        """the owners that are subscribers, sorted: an agent's are those that begin as its scope does"""
        self._counts = MonthlyCounts()

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: IndexedCase) -> None:
        """Replace the view of a case by its newest, as `indexed` reads it."""
        case = row.key[1]
        before = self._remove(case)
        self._rows[case] = row
        insort(self._lists.setdefault(row.group, []), row.key)
        if row.owner is not None and row.owner.startswith(SUBSCRIBER) and row.owner not in self._owned:
            insort(self._subscribers, row.owner)
        self._index(row)
        if before is None or before.numbers != row.numbers:  # a case's numbers hardly ever change
            if before is not None:
                self._numbers_of(before).remove(before.numbers, case)
            self._numbers_of(row).add(row.numbers, case)
        self._retention.set(case, self._removable_at(row))

    def load(self, rows: Iterable[IndexedCase]) -> None:
        """Put the views of many cases, one each, into an empty index: its lists are sorted once, at the end."""
        for row in rows:
            case = row.key[1]
            self._rows[case] = row
            self._lists.setdefault(row.group, []).append(row.key)
            self._index(row)
            self._numbers_of(row).load(row.numbers, case)
        for keys in self._lists.values():
            keys.sort()
        for numbers in self._numbers.values():
            numbers.sort()
        self._subscribers = sorted(owner for owner in self._owned if owner.startswith(SUBSCRIBER))
        self._retention.load((case, self._removable_at(row)) for case, row in self._rows.items())

    def remove_expired(self, now: int) -> int:
        """Remove what ended long enough before `now` (ms), at most `REMOVED_MAX` at a time. How many were due."""
        due = self._retention.due(now, rows_max=REMOVED_MAX)
        for case in due:
            if f"{COMPLAINT}{case}" in self._owned:
                self._retention.set(case, now + DISPUTED_KEPT_MS)
            else:
                self.drop(case)
        return len(due)

    def drop(self, case: str) -> None:
        """The case is not kept any more."""
        row = self._remove(case)
        if row is not None:
            self._numbers_of(row).remove(row.numbers, case)

    def _remove(self, case: str) -> IndexedCase | None:
        """Take a case out of all but the index of numbers; what it was."""
        row = self._rows.pop(case, None)
        if row is None:
            return None
        self._retention.set(case, None)
        keys = self._lists[row.group]
        del keys[bisect_left(keys, row.key)]
        if row.owner is not None:
            _discard(self._owned, row.owner, case)
        if row.about is not None:
            _discard(self._about, (row.group.procedure, row.about), case)
        for holder in row.holders:
            _discard(self._held, holder, case)
        self._counts.subtract(row.counted)
        if row.owner is not None and row.owner.startswith(SUBSCRIBER) and row.owner not in self._owned:
            del self._subscribers[bisect_left(self._subscribers, row.owner)]
        return row

    def view(self, case: str, caller: Caller) -> CaseView | None:
        """The case, if there is one that this caller may see."""
        row = self._rows.get(case)
        return row.view() if row is not None and self._visible(row, caller) else None

    def about(self, party: str) -> list[CaseView]:
        """All cases about a party (`party_key`) that are kept. Some 10 µs a case."""
        return [self._rows[case].view() for one in PROCEDURES for case in self._about.get((one, party), ())]

    def page(self, query: CaseQuery, caller: Caller, found: Found = NOTHING_FOUND) -> tuple[list[CaseLine], str | None]:
        """A page of cases in the order of their due dates, and the `after` of the next page (None on the last).

        `found`: what the numbers come to that the query names.
        """
        search = _Search(query, caller, found)
        start = (cursor(query.after) if query.after else None) or _BEGINNING
        lines: list[CaseLine] = []
        last: Key | None = None
        for looked_at, key in enumerate(self._keys(search, start)):
            if query.due_before is not None and key[0] >= query.due_before:
                break
            if last is not None and (looked_at >= LOOKED_AT_MAX or search.read >= READ_MAX):
                return lines, f"{last[0]}.{last[1]}"
            row = self._rows[key[1]]
            if self._matches(row, search) and self._visible(row, caller) and search.holds(row):
                if len(lines) == query.limit:
                    assert last is not None, "a full page has a last line"
                    return lines, f"{last[0]}.{last[1]}"
                lines.append(line_of(row.view(), caller))
            last = key
        return lines, None

    def statistics(self, month: str, caller: Caller, now: int) -> MonthStatistics:
        """What is counted of a month, such as 2026-11, that is this caller's business."""
        return self._counts.statistics(month, caller, now=now, kept_ms=self._kept_ms)

    def _keys(self, search: "_Search", start: Key) -> Iterable[Key]:
        """The keys after `start`, in order: of the fewest cases that are known to hold all that are asked for."""
        query, caller = search.query, search.caller
        cases = self._candidates(search)
        if cases is None:
            seen = {group: keys for group, keys in self._lists.items() if caller.sees_procedure(group.procedure)}
            return heapq.merge(*(_from(keys, start) for group, keys in seen.items() if _in(group, query)))
        rows = (self._rows[case] for case in cases)
        wanted = (
            row.key
            for row in rows
            if row.key > start and caller.sees_procedure(row.group.procedure) and self._matches(row, search)
        )
        return heapq.nsmallest(query.limit + 1, wanted) if query.text is None else sorted(wanted)

    def _candidates(self, search: "_Search") -> Iterable[str] | None:
        """Cases among which all are that are asked for; None where the lists have enough soon, or are all there is."""
        query, caller = search.query, search.caller
        own = self._own(caller)
        if own is not None:
            return own
        if query.subscriber is not None:
            return self._of_subscriber(f"{SUBSCRIBER}{query.subscriber}")
        if query.assigned is not None:
            offices = OFFICES if caller.role in SUPERVISORS else (caller.role,)
            return {case for office in offices for case in self._held.get((office, query.assigned), ())}
        if search.parties:
            seen = [one for one in PROCEDURES if caller.sees_procedure(one)]
            about = {case for party in search.parties for one in seen for case in self._about.get((one, party), ())}
            if len(about) <= self._few_max:
                return about
        if search.prefixes:
            return self._beginning(search)
        return None

    def _beginning(self, search: "_Search") -> set[str] | None:
        """Where a number stands that begins so; None where there are many."""
        few = set[str]()
        for procedure, numbers in self._numbers.items():
            if search.caller.sees_procedure(procedure):
                for prefix in search.prefixes:
                    cases = numbers.beginning(prefix, most=self._few_max)
                    if cases is None:
                        return None
                    few |= cases
        return few

    def _matches(self, row: IndexedCase, search: "_Search") -> bool:
        """Whether a case is asked for, as far as its text is not needed."""
        query = search.query
        return (
            _in(row.group, query)
            and (not search.parties or row.about in search.parties)
            and (query.received_from is None or row.received >= query.received_from)
            and (query.received_before is None or row.received < query.received_before)
            and (query.subscriber is None or self._owner(row) == f"{SUBSCRIBER}{query.subscriber}")
            and (not search.prefixes or any(number.startswith(search.prefixes) for number in row.numbers))
            and search.is_held(row)
            and search.is_competent(row)
        )

    def _own(self, caller: Caller) -> Iterator[str] | None:
        """The cases that a caller sees who acts for somebody; None for those who see all."""
        if caller.role == "sender":
            return (case for owner in set(caller.owners) for case in self._owned.get(owner, ()))
        if caller.role == "subscriber-agent":
            return self._of_subscribers(caller.scope)
        return None

    def _of_subscriber(self, owner: str) -> Iterator[str]:
        """The cases of one subscriber, and the disputes about them."""
        for case in self._owned.get(owner, ()):
            yield case
            yield from self._owned.get(f"{COMPLAINT}{case}", ())

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
                yield from self._of_subscriber(owner)

    def _removable_at(self, row: IndexedCase) -> int | None:
        return None if row.ended is None else row.ended + self._kept_ms

    def _index(self, row: IndexedCase) -> None:
        if row.owner is not None:
            self._owned.setdefault(row.owner, set()).add(row.key[1])
        if row.about is not None:
            self._about.setdefault((row.group.procedure, row.about), set()).add(row.key[1])
        for holder in row.holders:
            self._held.setdefault(holder, set()).add(row.key[1])
        self._counts.add(row.counted)

    def _numbers_of(self, row: IndexedCase) -> NumberIndex:
        return self._numbers.setdefault(row.group.procedure, NumberIndex())

    def _owner(self, row: IndexedCase) -> str | None:
        """Whose a case is: a dispute belongs to whose complaint it is about."""
        if row.owner is None or not row.owner.startswith(COMPLAINT):
            return row.owner
        complained = self._rows.get(row.owner.removeprefix(COMPLAINT))
        return complained.owner if complained else None

    def _visible(self, row: IndexedCase, caller: Caller) -> bool:
        return caller.sees_procedure(row.group.procedure) and caller.sees(self._owner(row))


class _Search:
    """A query of one caller, with what it comes to; `read` counts the cases that were read for its text."""

    def __init__(self, query: CaseQuery, caller: Caller, found: Found) -> None:
        self.query, self.caller = query, caller
        self.prefixes = found.prefixes
        self.parties = found.parties or ((query.party,) if query.party is not None else ())
        self.read = 0
        self._needle = needle(query.text) if query.text is not None else b""
        personal = query.text is not None or query.subscriber is not None or query.number is not None
        own = caller.jurisdiction.region if caller.role == "regulator" and caller.jurisdiction else COUNTRY
        self._region = own if personal and own != COUNTRY else None

    def holds(self, row: IndexedCase) -> bool:
        """Whether the text that is looked for stands in what the caller is shown.

        What an office is not shown of a case is little, so for it the bytes are looked through first, in a microsecond;
        who is shown less would learn from the time that something stands there.
        """
        if self.query.text is None:
            return True
        if self.caller.role in OFFICES and self._needle not in row.data.lower():
            return False
        self.read += 1
        return stands_in(self.query.text, row.view(), self.caller)

    def is_held(self, row: IndexedCase) -> bool:
        """Whether it is in the hands that are asked for."""
        query, role = self.query, self.caller.role
        if query.assigned is None and not query.unassigned:
            return True
        people = {person for office, person in row.holders if office == role or role in SUPERVISORS}
        return query.assigned in people if query.assigned is not None else not people

    def is_competent(self, row: IndexedCase) -> bool:
        """An administration of a province finds people in no case of another's (Article 27)."""
        return self._region is None or row.region in ("", self._region)


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


def _in(group: CaseGroup, query: CaseQuery) -> bool:
    return (
        query.procedure in (None, group.procedure)
        and query.state in (None, group.state)
        and query.breached in (None, group.breached)
        and (query.ended or not group.ended)
    )


def _discard(index: dict[K, set[str]], name: K, case: str) -> None:
    index[name].discard(case)
    if not index[name]:
        del index[name]


def _from(keys: list[Key], start: Key) -> Iterator[Key]:
    """The keys after `start`, without a copy of what may be a long list."""
    return (keys[index] for index in range(bisect_left(keys, (start[0], start[1] + "\0")), len(keys)))
