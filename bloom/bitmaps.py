"""The stores behind the fold: a plain one, and an overlay of changes since a base that other processes share.

Promises that both give the same answers after the same expressions, that a base under an overlay is never
changed, and that a refusal of everything visits only what its subscribers hold. Has no rules of its own:
what an expression does stands in `wills`. Must never write to a base: forked workers share its pages for as
long as nobody writes them (ten thousand scattered additions made all of a 12.5 MB bitmap private).

In the overlay, number n holds the scope k if

    n ∈ added_k  or  (n ∈ base_k  and  n ∉ removed_k  and  n ∉ reset)

where `reset` has those whose state in the base is void, for good: a refusal or lift of everything came. What
they say afterwards goes into `added`. So such a refusal writes no `removed`, however many scopes the base
has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from bloom.number import Msisdn
from bloom.probes import LayeredProbe, Layers, PlainProbe
from bloom.sets import Group, ScopedBitmap, ScopedSets, add_all, bitmap_of, discard_all
from bloom.wills import (
    CHANNELS,
    EVERYTHING,
    KINDS,
    Channel,
    ExpressionColumns,
    ExpressionRow,
    Kind,
    Scope,
    Stance,
    StanceProbe,
    Store,
    fold,
)


@dataclass(frozen=True, slots=True)
class WillStats:
    """How much a store holds."""

    sms_refusing_all_count: int
    """Numbers with a refusal of (*,*) on SMS."""
    call_refusing_all_count: int
    """Numbers with a refusal of (*,*) on calls."""
    refusals_count: int
    """Pairs of number and refused scope, over both channels."""
    consents_count: int
    """Pairs of number and consented scope, over both channels."""
    bitmaps_count: int
    """Roaring bitmaps kept, those of an overlay and its base together."""
    serialised_bytes: int
    """What those bitmaps take when written; in memory somewhat more."""


class Wills:
    """The plain store: one bitmap for each channel, set and scope that anybody holds."""

    __slots__ = ("_followers", "_frozen", "_narrow", "sets")

    def __init__(self) -> None:
        self.sets: Final = ScopedSets()
        """The bitmaps of the state, to be read only."""
        # Every number that holds anything narrower than (*,*), and perhaps some that no longer do: what is
        # refused or lifted in part is not looked through again. Whoever is not in it holds (*,*) or nothing.
        self._narrow: dict[Channel, BitMap64] = {channel: BitMap64() for channel in CHANNELS}
        self._frozen = False
        self._followers: list[Store] = []

    @classmethod
    def of_bitmaps(cls, entries: Iterable[ScopedBitmap], narrow: Mapping[Channel, BitMap64] | None = None) -> "Wills":
        """A store made of whole bitmaps, which it takes over.

        `narrow`, if given, must hold for each channel at least the numbers that any narrower scope has;
        it spares the union of all of them.
        """
        wills = cls()
        for entry in entries:
            wills.sets.put(entry)
            if narrow is None and entry.scope != EVERYTHING:
                wills._narrow[entry.channel] |= entry.bitmap
        if narrow is not None:
            wills._narrow.update(narrow)
        return wills

    @classmethod
    def of_arrays(cls, entries: Iterable[tuple[Channel, Kind, Scope, NDArray[np.uint64]]]) -> "Wills":
        """A store made of arrays of numbers, best sorted: 12 ns for each number."""
        return cls.of_bitmaps(
            ScopedBitmap(channel, kind, scope, bitmap_of(numbers)) for channel, kind, scope, numbers in entries
        )

    def apply(self, expressions: Iterable[ExpressionRow]) -> None:
        """Fold the expressions, in order of receipt, into the state; the larger the batch, the cheaper."""
        self.apply_columns(ExpressionColumns.of(expressions))

    def apply_columns(self, columns: ExpressionColumns) -> None:
        """The same for expressions in columns."""
        if self._frozen:
            raise RuntimeError("these wills are the base of an overlay: apply to the overlay, then fold it")
        fold(self, columns, *self._followers)

    def follow(self, store: Store) -> None:
        """From now on do to this store, too, what expressions do to these wills. It must hold the same by then."""
        self._followers.append(store)

    def merge(self, other: "Wills") -> None:
        """Take over what another store holds of other numbers; it must not be used any more."""
        for entry in other.scopes():
            bitmap = self.sets.get(entry.channel, entry.kind, entry.scope)
            if bitmap is None:
                self.sets.put(entry)
            else:
                bitmap |= entry.bitmap  # in place: probes hold on to it
        for channel in CHANNELS:
            self._narrow[channel] |= other.narrow(channel)

    def freeze(self) -> None:
        """Refuse every further change: from now on this is a base."""
        self._frozen = True

    def stance(self, channel: Channel, number: Msisdn, sender: str | None, category: str) -> Stance:
        """The will of a number toward a sender (None: the event names none) and category."""
        return self.probe(channel, sender, category).stance(number)

    def probe(self, channel: Channel, sender: str | None, category: str) -> StanceProbe:
        """The same question, kept ready for many numbers, for as long as this store lives and changes."""
        return PlainProbe(self.sets, channel, sender, category)

    def expressions_of(self, channel: Channel, number: Msisdn) -> tuple[list[Scope], list[Scope]]:
        """The refusals and the consents that a number holds, each sorted, `*` first. Visits every bitmap."""
        held = [entry for entry in self.sets.covered(channel, EVERYTHING) if number in entry.bitmap]
        refusals = [entry.scope for entry in held if entry.kind == "refusal"]
        consents = [entry.scope for entry in held if entry.kind == "consent"]
        return sorted(refusals, key=_sort_key), sorted(consents, key=_sort_key)

    def refusing_all_count(self, channel: Channel) -> int:
        """How many numbers refuse everything on a channel. Cheap."""
        return len(self.sets.get(channel, "refusal", EVERYTHING) or ())

    def stats(self) -> WillStats:
        """Counts and sizes. Visits every bitmap: seconds at national size, so not for every batch."""
        refusals = [entry.bitmap for entry in self.sets if entry.kind == "refusal"]
        consents = [entry.bitmap for entry in self.sets if entry.kind == "consent"]
        everything = {c: self.sets.get(c, "refusal", EVERYTHING) or BitMap64() for c in CHANNELS}
        bitmaps = [*refusals, *consents, *self._narrow.values()]
        return WillStats(
            sms_refusing_all_count=len(everything["sms"]),
            call_refusing_all_count=len(everything["call"]),
            refusals_count=sum(map(len, refusals)),
            consents_count=sum(map(len, consents)),
            bitmaps_count=len(bitmaps),
            serialised_bytes=sum(bitmap.__sizeof__() for bitmap in bitmaps),
        )

    def state_equal(self, other: "Wills | Overlay") -> bool:
        """Whether every number holds the same refusals and consents in both."""
        plain = other.folded() if isinstance(other, Overlay) else other
        return _by_place(self) == _by_place(plain)

    def scopes(self) -> Iterable[ScopedBitmap]:
        """Every bitmap of the state, none of them empty, to be read only."""
        return iter(self.sets)

    def narrow(self, channel: Channel) -> BitMap64:
        """The numbers that hold anything narrower than (*,*), and perhaps some that did; to be read only."""
        return self._narrow[channel]

    # What the fold asks for (wills.Store). For `apply` and the overlay only: these look at no freeze.

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self.sets.add(channel, kind, scope, numbers)
        if scope != EVERYTHING:
            add_all(self._narrow[channel], numbers)

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        bitmap = self.sets.get(channel, kind, scope)
        if bitmap is not None:
            self.sets.discard(ScopedBitmap(channel, kind, scope, bitmap), numbers)

    def remove_within(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._remove_narrower(channel, scope, numbers)
        if scope == EVERYTHING:
            self.remove(channel, "refusal", EVERYTHING, numbers)

    def refuse(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._remove_narrower(channel, scope, numbers)
        self.add(channel, "refusal", scope, numbers)

    def _remove_narrower(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """Take from the numbers what `scope` covers, but for the refusal of everything of who holds nothing else."""
        narrow = self._narrow[channel]
        holders = Group([number for number in numbers if number in narrow] if narrow else [])
        if holders.numbers:
            for entry in self.sets.covered(channel, scope):
                self.sets.discard(entry, holders.within(entry.bitmap))
        if scope == EVERYTHING:
            discard_all(narrow, holders.numbers)


class Overlay:
    """Changes since a base, which is frozen and only read. Answers as a plain store with both would."""

    __slots__ = ("_added", "_base", "_followers", "_removed", "_reset", "_touched")

    def __init__(self, base: Wills) -> None:
        base.freeze()
        self._base = base
        self._added = Wills()
        self._removed = ScopedSets()
        self._reset: dict[Channel, BitMap64] = {channel: BitMap64() for channel in CHANNELS}
        # Whoever is in any of the sets above. For all others the base alone has the answer.
        self._touched: dict[Channel, BitMap64] = {channel: BitMap64() for channel in CHANNELS}
        self._followers: list[Store] = []

    def apply(self, expressions: Iterable[ExpressionRow]) -> None:
        """Fold the expressions, in order of receipt, into the state; the larger the batch, the cheaper."""
        self.apply_columns(ExpressionColumns.of(expressions))

    def apply_columns(self, columns: ExpressionColumns) -> None:
        """The same for expressions in columns."""
        fold(self, columns, *self._followers)

    def follow(self, store: Store) -> None:
        """From now on do to this store, too, what expressions do to these wills. It must hold the same by then."""
        self._followers.append(store)

    def stance(self, channel: Channel, number: Msisdn, sender: str | None, category: str) -> Stance:
        """The will of a number toward a sender (None: the event names none) and category."""
        return self.probe(channel, sender, category).stance(number)

    def probe(self, channel: Channel, sender: str | None, category: str) -> StanceProbe:
        """The same question, kept ready for many numbers, for as long as this store lives and changes."""
        return LayeredProbe(
            self._base.probe(channel, sender, category),
            Layers(
                base=self._base.sets,
                added=self._added.sets,
                removed=self._removed,
                reset=self._reset[channel],
                touched=self._touched[channel],
            ),
            channel,
            sender,
            category,
        )

    def expressions_of(self, channel: Channel, number: Msisdn) -> tuple[list[Scope], list[Scope]]:
        """The refusals and the consents that a number holds, each sorted, `*` first. Visits every bitmap."""
        refusals, consents = map(set, self._added.expressions_of(channel, number))
        if number not in self._reset[channel]:
            from_base = self._base.expressions_of(channel, number)
            for kind, held, scopes in zip(KINDS, (refusals, consents), from_base, strict=True):
                for scope in scopes:
                    removed = self._removed.get(channel, kind, scope)
                    if removed is None or number not in removed:
                        held.add(scope)
        return sorted(refusals, key=_sort_key), sorted(consents, key=_sort_key)

    def refusing_all_count(self, channel: Channel) -> int:
        """How many numbers refuse everything on a channel. Cheap: it counts what changed, not what stayed."""
        base = self._base.sets.get(channel, "refusal", EVERYTHING)
        hidden = self._reset[channel] | (self._removed.get(channel, "refusal", EVERYTHING) or BitMap64())
        stayed = 0 if base is None else len(base) - base.intersection_cardinality(hidden)
        return stayed + self._added.refusing_all_count(channel)

    def stats(self) -> WillStats:
        """Counts of the state, sizes of base and overlay together. As costly as `folded`."""
        state, base, added = self.folded().stats(), self._base.stats(), self._added.stats()
        own = [entry.bitmap for entry in self._removed]
        own += [*self._reset.values(), *self._touched.values()]
        return replace(
            state,
            bitmaps_count=base.bitmaps_count + added.bitmaps_count + len(own),
            serialised_bytes=base.serialised_bytes
            + added.serialised_bytes
            + sum(bitmap.__sizeof__() for bitmap in own),
        )

    def touched_count(self) -> int:
        """How many numbers changed since the base, counted per channel: cheap, tells when to fold."""
        return sum(map(len, self._touched.values()))

    def state_equal(self, other: "Wills | Overlay") -> bool:
        """Whether every number holds the same refusals and consents in both."""
        return self.folded().state_equal(other)

    def folded(self) -> Wills:
        """The same state as a plain store of its own, fit to be the next base. The base stays as it is.

        Copies every bitmap of the base, so that for a while both are in memory.
        """
        narrow: dict[Channel, BitMap64] = {}
        void: dict[Channel, BitMap64] = {}
        for channel in CHANNELS:
            # Of the reset, only these hold narrower scopes in the base: few, so that `-` has less to walk.
            void[channel] = self._reset[channel] & self._base.narrow(channel)
            narrow[channel] = (self._base.narrow(channel) - void[channel]) | self._added.narrow(channel)
        entries: list[ScopedBitmap] = []
        for entry in self._base.sets:
            channel, kind, scope, bitmap = entry
            kept = bitmap - (self._reset[channel] if scope == EVERYTHING else void[channel])
            removed = self._removed.get(channel, kind, scope)
            if removed is not None:
                kept -= removed
            added = self._added.sets.get(channel, kind, scope)
            if added is not None:
                kept |= added
            entries.append(entry._replace(bitmap=kept))
        entries += [
            entry._replace(bitmap=entry.bitmap.copy())
            for entry in self._added.sets
            if self._base.sets.get(entry.channel, entry.kind, entry.scope) is None
        ]
        return Wills.of_bitmaps(entries, narrow)

    def plain(self) -> Wills:
        """The same state as a plain store, to be read only: the base itself where nothing has changed since."""
        return self.folded() if self.touched_count() else self._base

    # What the fold asks for (wills.Store). For `apply` only.

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._added.add(channel, kind, scope, numbers)
        add_all(self._touched[channel], numbers)

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._added.remove(channel, kind, scope, numbers)
        bitmap = self._base.sets.get(channel, kind, scope)
        if bitmap is not None:
            self._hide(ScopedBitmap(channel, kind, scope, bitmap), Group(numbers))

    def remove_within(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._added.remove_within(channel, scope, numbers)
        self._void(channel, scope, numbers)

    def refuse(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._added.refuse(channel, scope, numbers)
        self._void(channel, scope, numbers)
        if scope != EVERYTHING:
            add_all(self._touched[channel], numbers)

    def _void(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """Note that what the base has within a scope holds for these numbers no longer."""
        if scope == EVERYTHING:
            self._reset[channel].update(numbers)
            self._touched[channel].update(numbers)
            return
        narrow, reset = self._base.narrow(channel), self._reset[channel]
        holders = Group([number for number in numbers if number in narrow and number not in reset])
        if holders.numbers:
            for entry in self._base.sets.covered(channel, scope):
                self._hide(entry, holders)

    def _hide(self, base_entry: ScopedBitmap, group: Group) -> None:
        """Note that of the group those whom the base has here are here no longer."""
        channel, kind, scope, bitmap = base_entry
        hidden = group.within(bitmap)
        if hidden:
            self._removed.add(channel, kind, scope, hidden)
            add_all(self._touched[channel], hidden)


def _sort_key(scope: Scope) -> tuple[bool, str, bool, str]:
    return scope.sender is not None, scope.sender or "", scope.category is not None, scope.category or ""


def _by_place(wills: Wills) -> dict[tuple[Channel, Kind, Scope], BitMap64]:
    return {(channel, kind, scope): bitmap for channel, kind, scope, bitmap in wills.scopes()}
