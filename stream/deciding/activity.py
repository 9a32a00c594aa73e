"""What senders did, in windows of ten seconds: the counts that early warning looks at (DESIGN section 1).

Pure: decisions go in a batch at a time, records of `activity` come out when a window closes (`windows` makes them).
Decisions come as columns (`Acts`), from the native module as from Python (`acts_of`). Adding only keeps references; for
`ROWS_PENDING_MAX` events at once the columns are put into their windows.

Promises. An event stands in the window of its record's timestamp, and so a backlog is no burst. Counts are exact for
this worker and window, and a record says all there is to say under the name of its part: writing it twice does no
harm. What comes for a window that was closed already goes into a further part of it, which adds up with the first.
Recipients are counted in each part; a subscriber has one partition and so one worker, so over workers they add up as
well, but for those that an urgent event or a change of partitions shows to two. A worker that is killed takes what it
had counted of the open windows with it: some twelve seconds, for which no sender is blamed.

**Nobody can be blamed in another's name.** What an event says of its sender is a claim, and early warning can cost a
sender all its traffic. So an event counts against the sender it names only where the number that it came from is that
sender's; else it counts against the number. The table asks that in rule 17, so what the rules before it answer is asked
here (`CLAIMED`): `number_not_assigned` above all, and prohibited content, or a campaign that nobody knows, sent in a
stranger's name. `spoofed_number` counts against nobody, for there the number itself is a lie; nor do calls for help and
for redress, which are open to everybody (`UNATTRIBUTED`).

A number that is blamed itself is left out below a floor, or else every person would be a party.

Must never await, log or touch a metric.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bloom.number import MSISDN_END
from stream.deciding.windows import NO_NUMBER, AnsweredEvent, Chunk, Closed, Integers, Sign, numbers_of
from stream.model.control import WINDOW_MS
from stream.model.decision import Decision
from stream.model.fields import Channel
from stream.model.times import DAY_MS
from stream.policy.rules import TABLE

ROWS_PENDING_MAX: Final = 8_192
"""Decisions kept before they are put into their windows, so that small batches cost no more than large ones."""

ROWS_MAX: Final = 500_000
"""Rows of all open windows before these are closed early, in parts: 7 MB, as much while counting, and 0.05 s."""

CHUNK_ROWS_MAX: Final = 1 << 16
"""Rows for which room is made at once in a window that has as many already."""

NAMES_MAX: Final = 65_536
"""Answers and odd numbers that are remembered before all windows are closed early."""

TEXTS_CHARACTERS_MAX: Final = 1 << 20
"""Characters of odd numbers that are remembered (4 MiB at most): what comes beyond, until the windows are closed, is
nobody's number for early warning. They are free text, which anybody may write."""

OLD_MS: Final = 2 * DAY_MS
"""What is older stands in one window: a producer states its time, and could else open one for each event."""

LISTS_MAX: Final = 4
"""Lists of answers that are remembered: the native module's and Python's, and what each started again."""

LATE_MS: Final = 2_000
"""How long a window stays open after its end, so that what was on its way still finds it."""

UNATTRIBUTED: Final = frozenset(("call_for_help", "redress", "spoofed_number"))
"""Answers that say nothing of who sent: the way to help and to an appeal is everybody's, and a number that was forged
is its victim's."""

_BEARS_OUT: Final = "number_not_assigned"
"""The answer of the rule that asks whether the number is the sender's: it bears out what later rules answer."""

CLAIMED: Final = (
    frozenset(rule.reason for rule in takewhile(lambda rule: rule.reason != _BEARS_OUT, TABLE)) | {_BEARS_OUT}
) - UNATTRIBUTED
"""Answers in which the event's sender may be a mere claim."""

Owner = Callable[[Channel, str], str | None]
"""The sender that owns a number on a channel, if any does."""

_ANSWER: Final = attrgetter("of", "sender", "verdict", "reason")
_CLAIM: Final = "\0"
"""In the place of a sender in an `AnswerTable`: somebody's claim. No record names a sender so."""
_UNCOUNTED: Final = -1
"""An answer that early warning is not about: to a reply, or one of `UNATTRIBUTED`."""


@dataclass(slots=True)
class DecisionColumns:
    """Decisions that Python made, column by column, with what their events' numbers are as read."""

    decisions: list[Decision] = field(default_factory=list)
    subscribers: list[str] = field(default_factory=list)
    """whom they concern"""
    origins: list[str | None] = field(default_factory=list)
    """what their events came from"""
    timestamps: list[int] = field(default_factory=list)
    """of their records, milliseconds"""


class Acts(NamedTuple):
    """Decisions as columns, a row each, with what early warning wants to know of them.

    No answer of `CLAIMED` stands here whose sender is not the owner of the number that it came from.
    """

    answers: Sequence[AnsweredEvent]
    """what decisions there have been; the same list from batch to batch only grows"""
    rows: NDArray[np.int32]
    """each decision's place among the answers"""
    recipients: Integers
    sources: Integers
    """0 where the answer names a sender, else the number that it came from; `NO_NUMBER` as in `windows`"""
    odd_sources: Mapping[int, str]
    """row → what it came from, where that is no subscriber's number"""
    timestamps: Integers
    signs: Sequence[Sign]


class AnswerTable(dict[tuple[object, ...], int]):
    """Answer → its place in `names`, which grows as answers are met. Kept from batch to batch by who decides."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[AnsweredEvent] = []
        self._claims: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._by_number: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def __missing__(self, answer: tuple[object, ...]) -> int:
        of, sender, verdict, reason = answer
        if sender not in (None, _CLAIM) and reason in CLAIMED:
            # One place for all that may be a mere claim: what strangers call themselves is not kept.
            return self[of, _CLAIM, verdict, reason]
        return self._keep(answer, answer)

    def borne_out(self, answer: tuple[object, ...]) -> int:
        """The place of an answer of `CLAIMED` whose sender is the owner of the number."""
        key = (*answer, _CLAIM)
        return self[key] if key in self else self._keep(key, answer)

    def _keep(self, key: tuple[object, ...], answer: tuple[object, ...]) -> int:
        place = self[key] = len(self.names)
        self.names.append(AnsweredEvent(*answer))  # type: ignore[arg-type]  # `_ANSWER` gives just these
        return place

    @property
    def is_full(self) -> bool:
        """Whether another table should take its place: senders come and go."""
        return len(self.names) >= NAMES_MAX

    def claims(self) -> NDArray[np.bool_]:
        """Of each name, whether its sender may be a mere claim."""
        new = self.names[len(self._claims) :]
        if new:
            found = [one.sender == _CLAIM for one in new]
            self._claims = np.append(self._claims, found)
        return self._claims

    def by_number(self) -> NDArray[np.bool_]:
        """Of each name, whether early warning counts it by the number that it came from."""
        new = self.names[len(self._by_number) :]
        if new:
            self._by_number = np.append(self._by_number, [one.sender is None and _is_counted(one) for one in new])
        return self._by_number


def acts_of(decided: DecisionColumns, signs: Sequence[Sign], *, owner: Owner, table: AnswerTable) -> Acts:
    """Decisions as early warning counts them.

    An answer of `CLAIMED` loses its sender where `owner` does not bear it out: some 1 µs for each claim.
    """
    decisions, origins = decided.decisions, decided.origins
    rows = np.fromiter(map(table.__getitem__, map(_ANSWER, decisions)), np.int32, len(decisions))
    for row in np.flatnonzero(table.claims()[rows]).tolist():
        one, origin = decisions[row], origins[row]
        if (owner("call" if one.of == "call" else "sms", origin) if origin else None) != one.sender:
            rows[row] = table[one.of, None, one.verdict, one.reason]
        else:
            rows[row] = table.borne_out((one.of, one.sender, one.verdict, one.reason))
    sources: Integers = np.zeros(len(rows), dtype=np.int64)
    odd_sources: dict[int, str] = {}
    if places := np.flatnonzero(table.by_number()[rows]).tolist():
        texts = [origins[place] or "" for place in places]
        numbers = sources[places] = numbers_of(texts)
        odd = np.flatnonzero(numbers == NO_NUMBER).tolist()
        odd_sources = {places[place]: texts[place] for place in odd if texts[place]}
    stamps = np.array(decided.timestamps, dtype=np.int64)
    return Acts(table.names, rows, numbers_of(decided.subscribers), sources, odd_sources, stamps, signs)


def _is_counted(answer: AnsweredEvent) -> bool:
    """Whether early warning is about an answer."""
    return answer.of != "reply" and answer.reason not in UNATTRIBUTED


class _Rows(NamedTuple):
    """Events, a row each; `sources` is 0 where the answer names a sender."""

    answers: NDArray[np.int32]
    recipients: Integers
    sources: Integers

    def where(self, these: NDArray[np.bool_] | NDArray[np.intp]) -> "_Rows":
        """Some of the rows."""
        return _Rows(self.answers[these], self.recipients[these], self.sources[these])


@dataclass(slots=True)
class _Open:
    """A window that is still counted; `since` is when its first event was seen."""

    since: int
    chunks: list[Chunk] = field(default_factory=list)
    refusals: Counter[tuple[Channel, str]] = field(default_factory=Counter)
    hints: Counter[tuple[Channel, str]] = field(default_factory=Counter)

    def put(self, rows: "_Rows", by_number: NDArray[np.bool_]) -> None:
        """Add rows; of answers without a sender (`by_number`) their sources as well."""
        begin = 0
        while begin < len(rows.answers):
            if not self.chunks or not self.chunks[-1].free:
                # As much again as there is: a backlog may open a window for every few events.
                held = sum(chunk.rows for chunk in self.chunks)
                self.chunks.append(Chunk(max(len(rows.answers) - begin, min(held, CHUNK_ROWS_MAX))))
            end = begin + self.chunks[-1].free
            answers, sources = rows.answers[begin:end], rows.sources[begin:end]
            self.chunks[-1].put(answers, rows.recipients[begin:end], sources[by_number[answers]])
            begin = end

    def over(self, window: int, now: int) -> bool:
        """Whether a window may close: in a backlog, where it was over long before, it is given its length."""
        return now >= max(window + WINDOW_MS + LATE_MS, self.since + WINDOW_MS)


class _Answers(dict[tuple[object, ...], int]):
    """Answer → its place in `names`, which grows as answers are first seen; or `_UNCOUNTED`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[AnsweredEvent] = []
        self._by_number: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def by_number(self) -> NDArray[np.bool_]:
        """Of each name, whether it names no sender."""
        if len(self._by_number) < len(self.names):
            new = [answer.sender is None for answer in self.names[len(self._by_number) :]]
            self._by_number = np.append(self._by_number, new)
        return self._by_number

    def __missing__(self, answer: tuple[object, ...]) -> int:
        named = AnsweredEvent(*answer)  # type: ignore[arg-type]  # `_ANSWER` gives just these
        place = _UNCOUNTED
        if _is_counted(named):
            place = len(self.names)
            self.names.append(named)
        self[answer] = place
        return place


class _ActsPlaces:
    """The places of acts' answers among ours, kept for the lists that acts bring, which grow."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Sequence[AnsweredEvent], NDArray[np.int32]]] = {}
        """by the list's identity; the list is held, so that no other can have it"""

    def places_of(self, answers: Sequence[AnsweredEvent], ours: _Answers) -> NDArray[np.int32]:
        """By place in the list."""
        known = self._known.get(id(answers))
        places = known[1] if known is not None else np.zeros(0, dtype=np.int32)
        if len(places) < len(answers):
            new = [ours[tuple(answer)] for answer in answers[len(places) :]]
            places = np.append(places, np.array(new, dtype=np.int32))
            if known is None and len(self._known) >= LISTS_MAX:
                del self._known[next(iter(self._known))]
            self._known[id(answers)] = answers, places
        return places


class ActivityCounter:
    """One worker's windows. `run` names the worker's run, which no other has."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._parts = 0
        self._pending: list[Acts] = []
        self._pending_rows = 0
        self._pending_since = 0
        self._open: dict[int, _Open] = {}
        self._rows = 0
        self._forget_names()

    def add(self, acts: Acts, *, now: int) -> None:
        """Count a batch's decisions, and what else it showed; its columns are kept awhile. `now` in milliseconds."""
        self._note(acts.signs, now)
        if not len(acts.rows):
            return
        if not self._pending:
            self._pending_since = now
        self._pending.append(acts)
        self._pending_rows += len(acts.rows)
        if self._pending_rows >= ROWS_PENDING_MAX:
            self._take_in(now)

    def _note(self, signs: Iterable[Sign], now: int) -> None:
        for sign in signs:
            opened = self._window(_window_of(sign.timestamp, now), now)
            kind = opened.refusals if sign.shows == "refusal" else opened.hints
            kind[sign.channel, sign.sender] += 1

    def close(self, now: int, *, everything: bool = False) -> list[Closed]:
        """The windows that are over by now, or all of them; they are counted here no longer."""
        self._take_in(now)
        full = (
            self._rows >= ROWS_MAX
            or len(self._answers) + len(self._sources) >= NAMES_MAX
            or self._texts_characters >= TEXTS_CHARACTERS_MAX
        )
        closed = [
            self._closed(window)
            for window in sorted(self._open)
            if everything or full or self._open[window].over(window, now)
        ]
        if not self._open:
            self._forget_names()
        return closed

    def _closed(self, window: int) -> Closed:
        opened = self._open.pop(window)
        columns = [chunk.columns() for chunk in opened.chunks]
        self._rows -= sum(len(some.answers) for some in columns)
        self._parts += 1
        name = f"{self._run}-{self._parts}"
        # A copy of the names, which grow: it is read in another thread.
        names = tuple(self._answers.names)
        return Closed(window, name, columns, names, self._texts, opened.refusals, opened.hints)

    def _forget_names(self) -> None:
        # New ones, and not the old ones emptied: windows that were closed still read those.
        self._answers = _Answers()
        self._sources: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._texts_characters = 0
        self._acts = _ActsPlaces()

    def _window(self, window: int, now: int) -> _Open:
        opened = self._open.get(window)
        if opened is None:
            opened = self._open[window] = _Open(now)
        return opened

    def _take_in(self, now: int) -> None:
        """Put each row that is pending into its window."""
        pending, self._pending, self._pending_rows = self._pending, [], 0
        if not pending:
            return
        sources = np.concatenate([acts.sources for acts in pending])
        first = 0
        for acts in pending:
            for row, text in acts.odd_sources.items():
                sources[first + row] = self._source(text)
            first += len(acts.rows)
        places = [self._acts.places_of(acts.answers, self._answers)[acts.rows] for acts in pending]
        rows = _Rows(np.concatenate(places), np.concatenate([acts.recipients for acts in pending]), sources)
        windows = _windows_of(np.concatenate([acts.timestamps for acts in pending]), now)
        self._sort_in(rows, windows, self._pending_since)

    def _sort_in(self, rows: _Rows, windows: Integers, since: int) -> None:
        """Put each row into its window; rows that are not counted are left out."""
        counted = rows.answers != _UNCOUNTED
        if not counted.all():
            rows, windows = rows.where(counted), windows[counted]
        if not len(windows):
            return
        # Records come about in the order of their time: so windows change seldom, and nothing need be sorted.
        changes = windows[1:][windows[1:] != windows[:-1]]
        if not len(changes):
            self._put(int(windows[0]), rows, since)
            return
        order = np.argsort(windows, kind="stable")
        ends = [*(np.flatnonzero(np.diff(windows[order])) + 1).tolist(), len(order)]
        begin = 0
        for end in ends:
            these = order[begin:end]
            self._put(int(windows[these[0]]), rows.where(these), since)
            begin = end

    def _put(self, window: int, rows: _Rows, since: int) -> None:
        self._window(window, since).put(rows, self._answers.by_number())
        self._rows += len(rows.answers)

    def _source(self, text: str) -> int:
        """An integer for a number that is no subscriber's, above all that are; `NO_NUMBER` where there is no room."""
        source = self._sources.get(text)
        if source is None:
            if self._texts_characters >= TEXTS_CHARACTERS_MAX:
                return NO_NUMBER
            self._texts_characters += len(text)
            source = self._sources[text] = MSISDN_END + len(self._sources)
            self._texts[source] = text
        return source


def _window_of(timestamp: int, now: int) -> int:
    return int(_windows_of(np.array([timestamp], dtype=np.int64), now)[0])


def _windows_of(timestamps: Integers, now: int) -> Integers:
    """The windows that moments lie in. What has no time yet, or one that is not yet, is of now; all that is too old for
    early warning is of the first window of a day.
    """
    oldest = now - OLD_MS
    moments: Integers = np.where((timestamps < 0) | (timestamps > now), now, timestamps)
    moments = np.where(moments < oldest, oldest - oldest % DAY_MS, moments)
    windows: Integers = moments - moments % WINDOW_MS
    return windows
