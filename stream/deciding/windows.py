"""Makes records of `activity` from one window's events, which are columns: the counting, in bulk.

Pure. An event is a row of three integers: which answer it got (an index into `Closed.answers`, each of which names
channel, sender, verdict and reason), which subscriber it was for, and, where it has no responsible sender, from which
number it came. Whole columns are sorted and counted; Python only sees parties and their tallies.

Cost: some 0.1 µs a row, and some 10 µs a party. Rows are counted in place, and their recipients sorted in one
column of eight bytes a row: a worker closes windows of a million rows while it fills the next.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from operator import attrgetter
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.ma  # `np.unique` asks for it: imported before workers are forked, it is shared by them
from numpy.typing import NDArray

from bloom.number import MSISDN_END, MSISDN_MIN, Msisdn, parse, to_text
from stream.model.control import BLOCK_NUMBERS, Activity, Block, Party, Tally
from stream.model.fields import Channel, EventKind, Verdict

Integers = NDArray[np.int64]

NO_NUMBER: Final = -1
"""In a column of numbers: no number, or none of a subscriber."""

DENSE_MIN: Final = 2
"""Recipients of one worker in a block to be in the record: a sweep of 50 shows each of 12 workers four of them."""

BLOCKS_MAX: Final = 64
"""Blocks in the record of a party, the fullest first: 3,200 numbers, far above any limit of a sweep."""

_BY_ANSWER: Final = attrgetter("verdict", "reason")

_NUMBER_BITS: Final = 50
"""A number below 10¹⁵ takes so many bits, which leaves thirteen for the party beside it."""
_PARTIES_AT_ONCE: Final = 1 << (63 - _NUMBER_BITS)
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1

_SORTED_AT_ONCE: Final = 1 << 17
"""Sorted rows processed at once; all rows of one party where it has more."""

_FEW: Final = 24
"""Below so many texts, parsing one by one is faster than in bulk."""

_PLUS, _ZERO = ord("+"), ord("0")
_LENGTHS: Final = frozenset(range(len(to_text(Msisdn(MSISDN_MIN))), len(to_text(Msisdn(MSISDN_END - 1))) + 1))
_POWERS: Final = 10 ** np.arange(max(_LENGTHS) - 2, -1, -1, dtype=np.int64)


class AnsweredEvent(NamedTuple):
    """The decision on an event, as far as tallies count it. `sender` is None where no sender is responsible."""

    of: EventKind
    sender: str | None
    verdict: Verdict
    reason: str


class Sign(NamedTuple):
    """Another signal about a sender, for early warning, with the timestamp of the record that gave it."""

    shows: Literal["refusal", "opt-out hint"]
    timestamp: int
    channel: Channel
    sender: str


class Columns(NamedTuple):
    """Events, a row each, but for `sources`, which has only those whose answer names no sender, in their order."""

    answers: NDArray[np.int32]
    recipients: Integers
    sources: Integers


_MAPPED_MIN: Final = 1 << 13
"""Integers from which a mapping of their own pays: a process may have some 65,000 mappings, and windows are many."""


def integers(count: int) -> Integers:
    """Room for integers; much of it in a mapping of its own, of which only what is written takes memory.

    A mapping is returned to the system when it is freed; malloc would keep most of a burst's memory, in every worker.
    """
    if count < _MAPPED_MIN:
        return np.empty(count, dtype=np.int64)
    return np.frombuffer(mmap(-1, 8 * count), dtype=np.int64, count=count)


class Chunk:
    """Room for the columns of `rows` events, filled from the front."""

    def __init__(self, rows: int) -> None:
        self._room = Columns(integers((rows + 1) // 2).view(np.int32), integers(rows), integers(rows))
        self.rows: Final = rows
        self.free = rows
        self._sources_end = 0

    def put(self, answers: NDArray[np.int32], recipients: Integers, sources: Integers) -> None:
        """Add rows, for which there must be room."""
        at = self.rows - self.free
        self._room.answers[at : at + len(answers)] = answers
        self._room.recipients[at : at + len(answers)] = recipients
        self._room.sources[self._sources_end : self._sources_end + len(sources)] = sources
        self.free -= len(answers)
        self._sources_end += len(sources)

    def columns(self) -> Columns:
        """What was added so far."""
        end = self.rows - self.free
        return Columns(self._room.answers[:end], self._room.recipients[:end], self._room.sources[: self._sources_end])


@dataclass(frozen=True, slots=True)
class Closed:
    """One worker's part of a window, closed: no events are added to it."""

    window: int
    worker: str
    """the name of the part"""
    columns: Sequence[Columns]
    answers: Sequence[AnsweredEvent]
    sources: Mapping[int, str]
    """the texts of sources that are no subscriber's numbers"""
    refusals: Counter[tuple[Channel, str]]
    hints: Counter[tuple[Channel, str]]


class _Known(NamedTuple):
    """A party of this window: where it was seen, and who it is."""

    channel: Channel
    party: Party


class _Parties(NamedTuple):
    """The parties that get a record, and for each row the index of its party, or -1."""

    known: list[_Known]
    of_answers: NDArray[np.int32]
    """by answer; -1 also where it names no sender"""
    of_loose: Sequence[NDArray[np.int32]]
    """for each of the columns, of the rows whose answer names no sender"""

    def of_rows(self, columns: Columns, loose: NDArray[np.int32]) -> NDArray[np.int32]:
        """Of every row of some columns; `loose` is theirs of `of_loose`."""
        places: NDArray[np.int32] = self.of_answers[columns.answers]
        places[places < 0] = loose
        return places


class _Recipients(NamedTuple):
    """What there is to say of the recipients of parties, by place among them."""

    counts: Integers
    runs: Integers
    dense: Mapping[int, tuple[Block, ...]]


def records_of(closed: Closed, *, floor: int) -> Iterator[Activity]:
    """The records of a part of a window, a party at a time.

    `floor` is the least number of events of a number that gets a record. A generator, so that the
    sender can yield to the loop in between; most of the work is done before the first.
    """
    parties, tallies = _parties(closed, floor)
    for first in range(0, len(parties.known), _PARTIES_AT_ONCE):
        some = parties.known[first : first + _PARTIES_AT_ONCE]
        recipients = _recipients(_sorted(closed, parties, first, len(some)), len(some))
        for place, known in enumerate(some):
            sign = known.channel, known.party.sender or ""
            yield Activity(
                window=closed.window,
                party=known.party,
                channel=known.channel,
                # In one order, whichever path saw them first: the same counts make the same record.
                tallies=tuple(sorted(tallies[first + place], key=_BY_ANSWER)),
                recipients=int(recipients.counts[place]),
                refusals=closed.refusals[sign],
                opt_out_hints=closed.hints[sign],
                run=int(recipients.runs[place]),
                dense=recipients.dense.get(place, ()),
                worker=closed.worker,
            )


def numbers_of(texts: Sequence[str]) -> Integers:
    """The subscriber's number that each text is, or `NO_NUMBER`: `bloom.number.parse` for many, at 30 ns each."""
    if len(texts) < _FEW or not (joined := "".join(texts)).isascii():
        return np.fromiter((parse(text) or NO_NUMBER for text in texts), dtype=np.int64, count=len(texts))
    data = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    starts = np.cumsum(lengths) - lengths
    found = np.full(len(texts), NO_NUMBER, dtype=np.int64)
    for length in set(lengths.tolist()) & _LENGTHS:
        (places,) = np.nonzero(lengths == length)
        characters = data[starts[places][:, np.newaxis] + np.arange(length)]
        digits = characters[:, 1:] - np.uint8(_ZERO)  # others wrap beyond 9
        good = (characters[:, 0] == _PLUS) & (digits[:, 0] > 0) & (digits <= 9).all(axis=1)
        values = digits @ _POWERS[-(length - 1) :]
        found[places[good]] = values[good]
    return found


def _parties(closed: Closed, floor: int) -> tuple[_Parties, Mapping[int, list[Tally]]]:
    """The parties that get a record, and by their places how often each got which answer."""
    places: dict[tuple[Channel, str], int] = {}
    tallies: dict[int, list[Tally]] = defaultdict(list)
    of_answers = np.full(len(closed.answers), -1, dtype=np.int32)
    calls = np.zeros(len(closed.answers), dtype=np.int64)
    by_number = np.zeros(len(closed.answers), dtype=np.bool_)
    seen = np.zeros(len(closed.answers), dtype=np.int64)
    for columns in closed.columns:
        seen += np.bincount(columns.answers, minlength=len(closed.answers))
    for number, (answer, count) in enumerate(zip(closed.answers, seen.tolist(), strict=True)):
        channel: Channel = "call" if answer.of == "call" else "sms"
        calls[number] = channel == "call"
        by_number[number] = answer.sender is None
        if answer.sender is not None and count:
            of_answers[number] = place = places.setdefault((channel, answer.sender), len(places))
            tallies[place].append(Tally(answer.verdict, answer.reason, count))
    for sign in (*closed.refusals, *closed.hints):
        places.setdefault(sign, len(places))
    parties = [_Known(channel, Party(sender=sender)) for channel, sender in places]

    loose = [columns.answers[by_number[columns.answers]] for columns in closed.columns]
    numbered = [
        np.where(columns.sources == NO_NUMBER, NO_NUMBER, columns.sources * 2 + calls[answers])
        for columns, answers in zip(closed.columns, loose, strict=True)
    ]
    numbers, inverse, counts = np.unique(
        np.concatenate((np.zeros(0, np.int64), *numbered)), return_inverse=True, return_counts=True
    )
    busy = np.flatnonzero((counts >= floor) & (numbers != NO_NUMBER))
    of_number = np.full(len(numbers), -1, dtype=np.int32)
    of_number[busy] = len(parties) + np.arange(len(busy), dtype=np.int32)
    of_loose = of_number[inverse]
    for place, answer_place, count in _pairs(of_loose, np.concatenate((np.zeros(0, np.int32), *loose))):
        answer = closed.answers[answer_place]
        tallies[place].append(Tally(answer.verdict, answer.reason, count))
    for number in numbers[busy].tolist():
        text = closed.sources.get(number // 2) or to_text(number // 2)
        parties.append(_Known("call" if number % 2 else "sms", Party(number=text)))
    ends = np.cumsum([len(answers) for answers in loose[:-1]], dtype=np.int64)
    return _Parties(parties, of_answers, np.split(of_loose, ends)[: len(loose)]), tallies


def _pairs(places: NDArray[np.int32], answers: NDArray[np.int32]) -> Iterator[tuple[int, int, int]]:
    """Each combination of place and answer that rows have, in order, with its count; places below 0 are left out."""
    real = places >= 0
    pairs, counts = np.unique(places[real].astype(np.int64) << 32 | answers[real], return_counts=True)
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        yield pair >> 32, pair & 0xFFFF_FFFF, count


def _sorted(closed: Closed, parties: _Parties, first: int, count: int) -> Integers:
    """The recipients of some parties, each beside its party's place among these, in order."""
    together = integers(sum(len(columns.answers) for columns in closed.columns))
    end = 0
    for columns, loose in zip(closed.columns, parties.of_loose, strict=True):
        places = parties.of_rows(columns, loose)
        wanted = (places >= first) & (places < first + count) & (columns.recipients != NO_NUMBER)
        mixed = (places[wanted] - first).astype(np.int64) << _NUMBER_BITS | columns.recipients[wanted]
        together[end : end + len(mixed)] = mixed
        end += len(mixed)
    together = together[:end]
    together.sort()  # and not `np.unique`, which hashes: that takes five times as long here
    return together


def _recipients(together: Integers, count: int) -> _Recipients:
    """The distinct recipients of each party, counted; their longest runs; where they lie close together."""
    counts, runs = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    dense: dict[int, tuple[Block, ...]] = {}
    begin = 0
    while begin < len(together):
        last = together[min(begin + _SORTED_AT_ONCE, len(together)) - 1]
        end = int(np.searchsorted(together, last | _NUMBER_MASK, side="right"))  # a party's rows stay together
        some = together[begin:end]
        distinct = some[_starts(some[1:] != some[:-1])]
        owners = distinct >> _NUMBER_BITS
        counts += np.bincount(owners, minlength=count)
        starts = _starts(np.diff(distinct) != 1)  # two parties' numbers never follow one another
        np.maximum.at(runs, owners[starts], np.diff(starts, append=len(distinct)))
        dense |= _dense(owners, distinct & _NUMBER_MASK)
        begin = end
    return _Recipients(counts, runs, dense)


def _dense(owners: Integers, numbers: Integers) -> Mapping[int, tuple[Block, ...]]:
    """Place of a party → the fullest blocks of its recipients, in the order of their numbers."""
    found: dict[int, list[Block]] = defaultdict(list)
    if not len(numbers):
        return {}
    blocks = numbers // BLOCK_NUMBERS
    starts = _starts((np.diff(blocks) != 0) | (np.diff(owners) != 0))
    sizes = np.diff(starts, append=len(numbers))
    full = np.flatnonzero(sizes >= DENSE_MIN)
    if not len(full):
        return {}
    bits = np.bitwise_or.reduceat(np.int64(1) << (numbers % BLOCK_NUMBERS), starts)[full]
    whose, firsts = owners[starts[full]], blocks[starts[full]] * BLOCK_NUMBERS
    order = np.lexsort((firsts, -sizes[full], whose))
    ranks = np.arange(len(order)) - np.searchsorted(whose[order], whose[order])
    fullest = np.sort(order[ranks < BLOCKS_MAX])
    for place, first, bit in zip(
        whose[fullest].tolist(), firsts[fullest].tolist(), bits[fullest].tolist(), strict=True
    ):
        found[place].append(Block(first, bit))
    return {place: tuple(of_party) for place, of_party in found.items()}


def _starts(breaks: NDArray[np.bool_]) -> Integers:
    """Indexes at which runs begin, given which steps end one."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.flatnonzero(breaks) + 1))
