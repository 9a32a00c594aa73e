"""What each of several workers holds of a set of numbers, beside one that holds all: `python -m loadtest.bitmaps
--partitions`.

Bytes are those that sets of numbers take of the heap, from dense to thin, since a hash thins what lies together
(docs/decisions/0011). Needs no broker.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bloom.base import BUILT, Base
from bloom.bitmaps import Wills
from bloom.partition import partitions_of_numbers
from bloom.sets import bitmap_of
from bloom.wills import EVERYTHING

PARTITIONS: Final = 12
FIRST: Final = 8_613_000_000_000
NUMBERS: Final = 2_000_000


class Bytes(msgspec.Struct, frozen=True):
    """What a set of numbers takes in memory at one density: in one store, and for a worker with its share of it."""

    density: str
    whole_bytes: float
    """a number"""
    half_share: float
    """what one of two workers takes, as a share of the whole"""
    quarter_share: float
    twelfth_share: float
    thin_half_share: float
    """what one of two would take with a store for each partition"""
    native_bytes: float | None
    """a number, in the native module's base of all; None where that is not built"""
    native_half_share: float | None
    """what the base of one of two workers takes, as a share of that"""
    native_thin_half_share: float | None
    """what it takes until its partitions' bases are folded into one"""


def bitmaps(numbers_count: int) -> Iterator[Bytes]:
    """Count bytes at some densities."""
    chance = np.random.default_rng(1)
    for one_in in (4, 16, 100, 500, 5_000, 50_000):
        numbers = FIRST + np.unique(chance.integers(0, one_in * numbers_count, numbers_count)).astype(np.uint64)
        of = partitions_of_numbers(numbers, PARTITIONS)
        whole = _taken_by([numbers])
        half, quarter, twelfth = (_taken_by([numbers[of < partitions]]) / whole for partitions in (6, 3, 1))
        thin = _taken_by([numbers[of == partition] for partition in range(6)]) / whole
        yield Bytes(f"1 in {one_in:,}", whole / len(numbers), half, quarter, twelfth, thin, *_native(numbers, of))


def _native(numbers: NDArray[np.uint64], of: NDArray[np.int64]) -> tuple[float, float, float] | tuple[None, None, None]:
    """The same of the native module's bases, of numbers that refuse everything."""
    if not BUILT:
        return None, None, None
    whole, half, *thin = (
        Base.of(Wills.of_arrays([("sms", "refusal", EVERYTHING, some)])).bytes_count
        for some in (numbers, numbers[of < 6], *(numbers[of == partition] for partition in range(6)))
    )
    return whole / len(numbers), half / whole, sum(thin) / whole


def _taken_by(sets: Sequence[NDArray[np.uint64]]) -> int:
    """Bytes that a bitmap of each set takes of the heap (mallinfo2, glibc)."""
    before = _heap_bytes()
    kept = [bitmap_of(numbers) for numbers in sets]
    taken = _heap_bytes() - before
    del kept
    return taken


_HEAP_FIGURES: Final = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _HEAP_FIGURES.split()]


def _heap_bytes() -> int:
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Heap
    heap = library.mallinfo2()
    return int(heap.uordblks + heap.hblkhd)
