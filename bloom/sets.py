"""Roaring bitmaps by channel, kind and scope: the shelves that the stores in `bitmaps` are made of.

Promises that no shelf holds an empty bitmap, that a bitmap stays the same object for as long as it is there
(so that probes may hold on to it), and that `generation` changes whenever one appears or vanishes. Knows
nothing of what an expression does.

Costs that shaped this file (pyroaring 1.2.0, bitmaps of 10 million numbers in 3,000 containers): membership
52 ns; adding or discarding one number 70–90 ns; but `-=` and `|=` walk all containers of their left side: 25
µs with one number on the right, 5 ms with 5,000 scattered ones. `&` skips along its smaller side: 0.5 µs and
0.8 ms. Hence sets are changed number by number, once `&` has found which numbers there are to change.
"""

import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from bloom.wills import CHANNELS, KINDS, Channel, Kind, Scope

_FEW: Final = 16
"""Up to so many numbers are sought one by one; making a bitmap of them for `&` would cost more."""

_FEW_TO_ADD: Final = 4
"""Up to so many numbers are added one by one: 80 ns each, against 270 and 90 more for each by `update`."""


def bitmap_of(numbers: NDArray[np.uint64]) -> BitMap64:
    """A bitmap of many numbers, best sorted: 12 ns each, a quarter of what it takes from numpy directly."""
    values = array.array("Q")
    values.frombytes(np.ascontiguousarray(numbers, dtype=np.uint64).data.cast("B"))
    return BitMap64(values)


def add_all(bitmap: BitMap64, numbers: Sequence[int]) -> None:
    """Put the numbers in, an `array` of them in one stroke. Most steps of a fold concern one or two."""
    if len(numbers) > _FEW_TO_ADD:
        bitmap.update(numbers)
    else:
        for number in numbers:
            bitmap.add(number)


def discard_all(bitmap: BitMap64, numbers: Iterable[int]) -> None:
    """Take the numbers out, one by one, without a Python loop around it."""
    deque(map(bitmap.discard, numbers), maxlen=0)


class Group:
    """The numbers that one step concerns, sought in many bitmaps one after another."""

    __slots__ = ("_bitmap", "numbers")

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self._bitmap = BitMap64(numbers) if len(numbers) > _FEW else None

    def within(self, bitmap: BitMap64) -> list[int]:
        """Those of the numbers that are in the bitmap."""
        if self._bitmap is None:
            return [number for number in self.numbers if number in bitmap]
        return list(self._bitmap & bitmap)


class ScopedBitmap(NamedTuple):
    """The numbers that hold one scope in one set of one channel."""

    channel: Channel
    kind: Kind
    scope: Scope
    bitmap: BitMap64


class ScopedSets:
    """Bitmaps by channel, kind and scope, none of them empty."""

    __slots__ = ("_shelves", "generation")

    def __init__(self) -> None:
        # Sender first, then category: all that (s,*) covers lies together, which is what replies refuse.
        self._shelves: dict[tuple[Channel, Kind], dict[str | None, dict[str | None, BitMap64]]] = {
            (channel, kind): {} for channel in CHANNELS for kind in KINDS
        }
        self.generation = 0

    def get(self, channel: Channel, kind: Kind, scope: Scope) -> BitMap64 | None:
        """The bitmap of exactly this scope, if any number holds it."""
        by_category = self._shelves[channel, kind].get(scope.sender)
        return None if by_category is None else by_category.get(scope.category)

    def covered(self, channel: Channel, scope: Scope) -> list[ScopedBitmap]:
        """All bitmaps of the channel, of both kinds, whose scope `scope` covers.

        For (s,*) costs what the sender holds; for (*,c) and (*,*) a visit to every sender.
        """
        found: list[ScopedBitmap] = []
        for kind in KINDS:
            shelf = self._shelves[channel, kind]
            for sender in shelf if scope.sender is None else (scope.sender,):
                by_category = shelf.get(sender, {})
                found.extend(
                    ScopedBitmap(channel, kind, Scope(sender, category), bitmap)
                    for category, bitmap in by_category.items()
                    if scope.category in (None, category)
                )
        return found

    def put(self, entry: ScopedBitmap) -> None:
        """Take over the bitmap, in place of the one that may be there; whoever gives it must let go of it."""
        if entry.bitmap:
            sender, category = entry.scope
            self._shelves[entry.channel, entry.kind].setdefault(sender, {})[category] = entry.bitmap
            self.generation += 1

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """Put the numbers, at least one, into the bitmap of that scope."""
        bitmap = self.get(channel, kind, scope)
        if bitmap is not None:
            add_all(bitmap, numbers)
            return
        bitmap = BitMap64()
        add_all(bitmap, numbers)
        self.put(ScopedBitmap(channel, kind, scope, bitmap))

    def discard(self, entry: ScopedBitmap, numbers: Iterable[int]) -> None:
        """Take the numbers out of a bitmap that is here, and the bitmap away if none is left."""
        discard_all(entry.bitmap, numbers)
        if not entry.bitmap:
            shelf = self._shelves[entry.channel, entry.kind]
            del shelf[entry.scope.sender][entry.scope.category]
            if not shelf[entry.scope.sender]:
                del shelf[entry.scope.sender]
            self.generation += 1

    def __iter__(self) -> Iterator[ScopedBitmap]:
        for (channel, kind), shelf in self._shelves.items():
            for sender, by_category in shelf.items():
                for category, bitmap in by_category.items():
                    yield ScopedBitmap(channel, kind, Scope(sender, category), bitmap)
