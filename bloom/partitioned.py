"""Which partitions of subscribers a store holds: what it takes to hold some and to let go of others.

Promises that the store has everything about every number whose partition is held. A partition comes as a store of its
own and is merged; when it is dropped, it is held no longer from that moment, and its numbers are taken out a slice at a
time, for whoever holds it must go on with the others. Of a number whose partition is not held the store knows nothing,
and would answer "silent": whoever decides asks `require` first, which is an error there.

Why one store and not one for each partition: a hash spreads numbers that lie together over all partitions, and a
Roaring container costs some 60 bytes beside its numbers. Twelve thin stores took up to 3.6 times what the one takes
from which half of the numbers were taken out (docs/decisions/0011). In the native module a base is never changed,
so a partition has one of its own until that is folded with the others.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from pyroaring import BitMap64

from bloom.base import Base, BasedWills
from bloom.bitmaps import Wills
from bloom.partition import partitions_of_numbers
from bloom.sets import ScopedBitmap, discard_all
from bloom.wills import CHANNELS

SLICE_NUMBERS: Final = 20_000
"""Numbers looked at between two turns of others: some 5 ms."""


class NotHeldError(LookupError):
    """A question or change about a partition that is not held: a mistake of the program, not of the data."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} is not held here: nothing is known of its subscribers")


class HeldPartitions:
    """A store, and which of `partitions` it holds: none at first. What is applied to it must be of those alone."""

    __slots__ = ("_held", "_leaving", "based", "partitions", "store")

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.store: Final = Wills()
        self.based: BasedWills | None = None
        """the same in the native module, where that was asked for by `follow`"""
        self._held: set[int] = set()
        self._leaving: set[int] = set()

    def follow(self) -> BasedWills:
        """Hold the same partitions in the native module, from now on, when none is held yet. Asked again: the same."""
        if self.based is None:
            assert not self._held, "it would not know what is held already"
            self.based = BasedWills(partitions=self.partitions)
            self.store.follow(self.based)
        return self.based

    def numbers(self) -> Sequence[int]:
        """The partitions that are held, in order."""
        return sorted(self._held)

    def require(self, partition: int) -> None:
        """Raise `NotHeldError` where a partition is not held: before its events are decided."""
        if partition not in self._held:
            raise NotHeldError(partition)

    def is_leaving(self, partition: int) -> bool:
        """Whether numbers of a partition that was dropped may still be here: it cannot be held again before `sweep`."""
        return partition in self._leaving

    def hold(self, partition: int, wills: Wills, base: Base | None = None) -> None:
        """Hold a partition from now on; `wills` must be those of its subscribers alone, and are taken over.

        Costs a walk over the containers of every bitmap that both have: milliseconds for a million numbers. With
        `follow` also a base of the wills, some 40 ns a number, unless it is given (`BasedWills.places`).
        """
        assert partition not in self._held | self._leaving, "it would mix with what is here"
        if self.based is not None:
            self.based.hold(partition, base or Base.of(wills, places=self.based.places(wills)))
        self.store.merge(wills)
        self._held.add(partition)

    def drop(self, partition: int) -> None:
        """Hold a partition no longer. Its memory goes with `sweep`. Raises `NotHeldError`."""
        self.require(partition)
        self._held.discard(partition)
        self._leaving.add(partition)
        if self.based is not None:
            self.based.drop(partition)

    def sweep(self) -> Iterator[int]:
        """Take out what belongs to dropped partitions, some thousand numbers a step; yields how many were looked at.

        In between, the store may be asked and changed, and further partitions dropped or held. Some 0.25 µs for every
        number and scope that is here. Nothing to do ends at once.
        """
        while self._leaving:
            leaving = frozenset(self._leaving)
            for entry in list(self.store.scopes()):
                yield from self._sweep(entry, leaving)
            for channel in CHANNELS:
                for numbers in _slices(self.store.narrow(channel)):
                    discard_all(self.store.narrow(channel), self._of(leaving, numbers))
                    yield len(numbers)
            self._leaving -= leaving

    def _sweep(self, entry: ScopedBitmap, leaving: frozenset[int]) -> Iterator[int]:
        for numbers in _slices(entry.bitmap):
            if self.store.sets.get(entry.channel, entry.kind, entry.scope) is not entry.bitmap:
                return  # emptied meanwhile; what stands in its place came later, and is held
            doomed = self._of(leaving, numbers)
            if doomed:
                self.store.sets.discard(entry, doomed)
            yield len(numbers)

    def _of(self, partitions: frozenset[int], numbers: list[int]) -> list[int]:
        """Those of the numbers that belong to one of the partitions."""
        values = np.array(numbers, dtype=np.uint64)
        doomed: list[int] = values[np.isin(partitions_of_numbers(values, self.partitions), sorted(partitions))].tolist()
        return doomed


def _slices(bitmap: BitMap64) -> Iterator[list[int]]:
    """The numbers of a bitmap, some thousand at a time, in order; it may change between two slices."""
    start = 0
    while numbers := list(islice(bitmap.iter_equal_or_larger(start), SLICE_NUMBERS)):
        start = numbers[-1] + 1
        yield numbers
