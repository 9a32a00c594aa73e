"""What senders did, in windows of ten seconds: the counts that early warning looks at (DESIGN section 1).

Pure: decisions go in a batch at a time, records of `activity` come out when a window closes (`windows` makes them).
Adding only keeps references; for `ROWS_PENDING_MAX` events at once these become columns of integers.

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
for redress, which are open to everybody (`NOBODYS`).

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
from stream.policy.rules import TABLE

ROWS_PENDING_MAX: Final = 8_192
"""Decisions kept before they become columns: some 3 ms of work, and some 5 MB."""

ROWS_MAX: Final = 500_000
"""Rows of all open windows before these are closed early, in parts: 7 MB, as much while counting, and 0.05 s."""

CHUNK_ROWS_MAX: Final = 1 << 16
"""Rows for which room is made at once in a window that has as many already."""

NAMES_MAX: Final = 65_536
"""Answers and odd numbers that are remembered before all windows are closed early: senders' names are free text."""

LATE_MS: Final = 2_000
"""How long a window stays open after its end, so that what was on its way still finds it."""

NOBODYS: Final = frozenset(("call_for_help", "redress", "spoofed_number"))
"""Answers that say nothing of who sent: the way to help and to an appeal is everybody's, and a number that was forged
is its victim's."""

_BEARS_OUT: Final = "number_not_assigned"
"""The answer of the rule that asks whether the number is the sender's: it bears out what later rules answer."""

CLAIMED: Final = (
    frozenset(rule.reason for rule in takewhile(lambda rule: rule.reason != _BEARS_OUT, TABLE)) | {_BEARS_OUT}
) - NOBODYS
"""Answers in which the event's sender may be a mere claim."""

Owner = Callable[[Channel, str], str | None]
"""The sender that owns a number on a channel, if any does."""

_ANSWER: Final = attrgetter("of", "sender", "verdict", "reason")
_UNCOUNTED: Final = -1
"""An answer that early warning is not about: to a reply, or one of `NOBODYS`."""


Numbered = tuple[Decision, str, str | None]
"""A decision with its event's numbers as read: whom it concerns, and what it came from."""


class Acts(NamedTuple):
    """Decisions as columns, a row each, with what early warning wants to know of them: what `add_acts` takes.

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


def together(some: Iterable[Acts]) -> list[Acts]:
    """The same decisions in as few columns as can be: those become one whose answers are one list.

    A batch of some events of each partition brings columns of a few rows each, and one costs as much to count as a
    thousand.
    """
    groups: dict[int, list[Acts]] = {}
    for acts in some:
        groups.setdefault(id(acts.answers), []).append(acts)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _joined(group: Sequence[Acts]) -> Acts:
    odd_sources: dict[int, str] = {}
    first = 0
    for acts in group:
        for row, text in acts.odd_sources.items():
            odd_sources[first + row] = text
        first += len(acts.rows)
    return Acts(
        answers=group[0].answers,
        rows=np.concatenate([acts.rows for acts in group]),
        recipients=np.concatenate([acts.recipients for acts in group]),
        sources=np.concatenate([acts.sources for acts in group]),
        odd_sources=odd_sources,
        timestamps=np.concatenate([acts.timestamps for acts in group]),
        signs=[sign for acts in group for sign in acts.signs],
    )


class _Rows(NamedTuple):
    """Events, a row each; `sources` is 0 where the answer names a sender."""

    answers: NDArray[np.int32]
    recipients: Integers
    sources: Integers

    def where(self, these: NDArray[np.bool_]) -> "_Rows":
        """Some of the rows."""
        return _Rows(self.answers[these], self.recipients[these], self.sources[these])


@dataclass(slots=True)
class _Open:
    """A window that is still counted; `since` is when its first event was seen."""

    since: int
    chunks: list[Chunk] = field(default_factory=list)
    refusals: Counter[tuple[Channel, str]] = field(default_factory=Counter)
    hints: Counter[tuple[Channel, str]] = field(default_factory=Counter)

    def put(self, rows: "_Rows", nobodys: NDArray[np.bool_]) -> None:
        """Add rows; of answers without a sender (`nobodys`) their sources as well."""
        begin = 0
        while begin < len(rows.answers):
            if not self.chunks or not self.chunks[-1].free:
                # As much again as there is: a backlog may open a window for every few events.
                held = sum(chunk.rows for chunk in self.chunks)
                self.chunks.append(Chunk(max(len(rows.answers) - begin, min(held, CHUNK_ROWS_MAX))))
            end = begin + self.chunks[-1].free
            answers, sources = rows.answers[begin:end], rows.sources[begin:end]
            self.chunks[-1].put(answers, rows.recipients[begin:end], sources[nobodys[answers]])
            begin = end

    def over(self, window: int, now: int) -> bool:
        """Whether a window may close: in a backlog, where it was over long before, it is given its length."""
        return now >= max(window + WINDOW_MS + LATE_MS, self.since + WINDOW_MS)


class _Answers(dict[tuple[object, ...], int]):
    """Answer → its place in `names`, which grows as answers are first seen; or `_UNCOUNTED`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[AnsweredEvent] = []
        self.claims: list[bool] = []
        """of each name, whether its sender may be a mere claim"""
        self._nobodys: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def nobodys(self) -> NDArray[np.bool_]:
        """Of each name, whether it names no sender."""
        if len(self._nobodys) < len(self.names):
            new = [answer.sender is None for answer in self.names[len(self._nobodys) :]]
            self._nobodys = np.append(self._nobodys, new)
        return self._nobodys

    def __missing__(self, answer: tuple[object, ...]) -> int:
        named = AnsweredEvent(*answer)  # type: ignore[arg-type]  # `_ANSWER` gives just these
        if named.of == "reply" or named.reason in NOBODYS:
            place = _UNCOUNTED
        else:
            place = len(self.names)
            self.names.append(named)
            self.claims.append(named.sender is not None and named.reason in CLAIMED)
        self[answer] = place
        return place


class _ActsPlaces:
    """The places of acts' answers among ours, kept for as long as acts bring the same list, which grows."""

    def __init__(self) -> None:
        self._answers: Sequence[AnsweredEvent] = ()
        self._places: NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    def places_of(self, answers: Sequence[AnsweredEvent], ours: _Answers) -> NDArray[np.int32]:
        """By place in the list."""
        if answers is not self._answers:
            self._answers, self._places = answers, np.zeros(0, dtype=np.int32)
        if len(self._places) < len(answers):
            new = [ours[tuple(answer)] for answer in answers[len(self._places) :]]
            self._places = np.append(self._places, np.array(new, dtype=np.int32))
        return self._places


class ActivityCounter:
    """One worker's windows. `run` names the worker's run, which no other has; `owner` knows whose numbers are."""

    def __init__(self, run: str, owner: Owner) -> None:
        self._run = run
        self._owner = owner
        self._parts = 0
        self._decided: list[Numbered] = []
        self._timestamps: list[int] = []
        self._pending_since = 0
        self._open: dict[int, _Open] = {}
        self._rows = 0
        self._forget_names()

    def add(self, decided: Sequence[Numbered], timestamps: Sequence[int], signs: Iterable[Sign], *, now: int) -> None:
        """Count a batch's decisions, each with its record's timestamp, and what else it showed (milliseconds)."""
        if not self._decided:
            self._pending_since = now
        self._decided += decided
        self._timestamps += timestamps
        self._note(signs, now)
        if len(self._decided) >= ROWS_PENDING_MAX:
            self._take_in(now)

    def add_acts(self, acts: Acts, *, now: int) -> None:
        """Count decisions that are columns already. They must not hold replies."""
        self._note(acts.signs, now)
        if not len(acts.rows):
            return
        places = self._acts.places_of(acts.answers, self._answers)
        sources = acts.sources.copy()
        for row, text in acts.odd_sources.items():
            sources[row] = self._source(text)
        self._sort_in(_Rows(places[acts.rows], acts.recipients, sources), _windows_of(acts.timestamps, now), now)

    def _note(self, signs: Iterable[Sign], now: int) -> None:
        for sign in signs:
            opened = self._window(_window_of(sign.timestamp, now), now)
            kind = opened.refusals if sign.shows == "refusal" else opened.hints
            kind[sign.channel, sign.sender] += 1

    def close(self, now: int, *, everything: bool = False) -> list[Closed]:
        """The windows that are over by now, or all of them; they are counted here no longer."""
        self._take_in(now)
        full = self._rows >= ROWS_MAX or len(self._answers) + len(self._sources) >= NAMES_MAX
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
        self._acts = _ActsPlaces()

    def _window(self, window: int, now: int) -> _Open:
        opened = self._open.get(window)
        if opened is None:
            opened = self._open[window] = _Open(now)
        return opened

    def _take_in(self, now: int) -> None:
        """Make columns of what is pending, and put each row into its window."""
        decided, self._decided = self._decided, []
        timestamps, self._timestamps = self._timestamps, []
        if not decided:
            return
        decisions, recipients, origins = zip(*decided, strict=True)
        answers = np.fromiter(map(self._answers.__getitem__, map(_ANSWER, decisions)), np.int32, len(decided))
        self._test_claims(answers, decided)
        rows = _Rows(answers, numbers_of(recipients), self._sources_of(answers, origins))
        windows = _windows_of(np.array(timestamps, dtype=np.int64), now)
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
        for window in sorted({int(windows[0]), *changes.tolist()}):
            self._put(window, rows.where(windows == window), since)

    def _put(self, window: int, rows: _Rows, since: int) -> None:
        self._window(window, since).put(rows, self._answers.nobodys())
        self._rows += len(rows.answers)

    def _test_claims(self, answers: NDArray[np.int32], decided: Sequence[Numbered]) -> None:
        """Take the sender's name from those answers whose number does not bear it out. Some 1 µs for each claim."""
        claims = np.array([*self._answers.claims, False], dtype=np.bool_)  # the last is `_UNCOUNTED`'s
        for place in np.flatnonzero(claims[answers]).tolist():
            one, _, origin = decided[place]
            owner = self._owner("call" if one.of == "call" else "sms", origin) if origin else None
            if owner != one.sender:
                answers[place] = self._answers[one.of, None, one.verdict, one.reason]

    def _sources_of(self, answers: NDArray[np.int32], origins: Sequence[str | None]) -> Integers:
        """The numbers that those came from behind whom no sender stands."""
        places = np.flatnonzero(answers >= 0)
        places = places[self._answers.nobodys()[answers[places]]]
        texts = [origins[place] or "" for place in places.tolist()]
        numbers = numbers_of(texts)
        for odd in np.flatnonzero(numbers == NO_NUMBER).tolist():
            if texts[odd]:
                numbers[odd] = self._source(texts[odd])
        sources = np.zeros(len(origins), dtype=np.int64)
        sources[places] = numbers
        return sources

    def _source(self, text: str) -> int:
        """An integer for a number that is no subscriber's, above all that are."""
        source = self._sources.get(text)
        if source is None:
            source = self._sources[text] = MSISDN_END + len(self._sources)
            self._texts[source] = text
        return source


def _window_of(timestamp: int, now: int) -> int:
    return int(_windows_of(np.array([timestamp], dtype=np.int64), now)[0])


def _windows_of(timestamps: Integers, now: int) -> Integers:
    """The windows that moments lie in. What has no time yet, or one that is not yet, is of now."""
    moments: Integers = np.where((timestamps < 0) | (timestamps > now), now, timestamps)
    windows: Integers = moments - moments % WINDOW_MS
    return windows
