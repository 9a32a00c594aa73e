"""A country's numbers, invented: which blocks are in use, where, and what they have refused and agreed to.

Mobile numbers of a national plan have a prefix of three digits (13x to 19x) and eight more. Operators get them in
blocks of ten thousand, neighbouring blocks for one city; some blocks nobody has yet. So numbers in use are runs of
blocks with gaps, and a local sender's customers lie in its city's blocks. Seeded: two runs draw the same.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

SEED: Final = 20_261_125
COUNTRY: Final = 86 * 10**11
CODES: Final = (131, 133, 135, 147, 151, 153, 155, 159, 167, 169, 172, 175, 178, 181, 184, 187, 190, 193, 196, 199)
PREFIXES: Final = tuple(COUNTRY + code * 10**8 for code in CODES)
"""Twenty of the seventy: two billion numbers."""

BLOCK: Final = 10_000
BLOCKS_PER_PREFIX: Final = 10**8 // BLOCK
RUN: Final = 10
"""Blocks that lie together belong to the same city."""

IN_USE: Final = 0.8
"""The share of blocks that somebody has."""

CITIES_COUNT: Final = 300
NATIONAL_SENDERS: Final = 100
"""The largest have customers everywhere; all others in one city, but for a tenth."""

AT_HOME: Final = 0.9

Numbers = NDArray[np.uint64]


class NumberPlan:
    """Twenty prefixes, or as many of them as `scale` (0 to 1) leaves."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self._rng = np.random.default_rng(SEED)
        prefixes = PREFIXES[: max(1, round(len(PREFIXES) * scale))]
        starts = np.concatenate([prefix + np.arange(BLOCKS_PER_PREFIX, dtype=np.int64) * BLOCK for prefix in prefixes])
        runs = len(starts) // RUN
        city_weights = 1 / np.arange(1, CITIES_COUNT + 1)
        cities = self._rng.choice(CITIES_COUNT, runs, p=city_weights / city_weights.sum())
        used = self._rng.random(runs) < IN_USE
        self.blocks: NDArray[np.int64] = starts[np.repeat(used, RUN)]
        """the first number of each block in use, ascending"""
        self._city = np.repeat(cities[used], RUN)
        self.range_size = len(starts) * BLOCK
        self.in_use_count = len(self.blocks) * BLOCK

    def refusing(self, count: int) -> Iterator[Numbers]:
        """About `count` numbers in use, each with the same chance, ascending, some ten million at a time."""
        share = count / self.in_use_count
        for blocks in np.array_split(self.blocks, max(1, len(self.blocks) // 1_000)):
            chosen = np.flatnonzero(self._rng.random(len(blocks) * BLOCK, dtype=np.float32) < share)
            yield (blocks[chosen // BLOCK] + chosen % BLOCK).astype(np.uint64)

    def consenting(self, pairs: int, senders: int) -> Iterator[Numbers]:
        """For each sender, the largest first, the numbers that consented to it, ascending.

        Sizes follow Zipf's law; of the pairs a few are lost, where the same number is drawn twice.
        """
        sizes = pairs / np.arange(1, senders + 1) / np.sum(1 / np.arange(1, senders + 1))
        for rank, size in enumerate(np.ceil(sizes).astype(int)):
            if rank < NATIONAL_SENDERS:
                yield self.anybody(int(size))
                continue
            home = int(self._city[self._rng.integers(len(self._city))])
            near = round(size * AT_HOME)
            yield _each_once(np.concatenate([self.anybody(near, among=home), self.anybody(int(size) - near)]))

    def anybody(self, count: int, *, among: int | None = None) -> Numbers:
        """Numbers in use at random, of one city or of all, ascending and each once."""
        blocks = self.blocks if among is None else self.blocks[self._city == among]
        drawn = blocks[self._rng.integers(len(blocks), size=count)] + self._rng.integers(BLOCK, size=count)
        return _each_once(drawn.astype(np.uint64))

    def asked(self, count: int) -> list[int]:
        """Numbers of the whole range at random, in use or not, in no order: whom events are for."""
        prefixes = self._rng.integers(self.range_size // 10**8, size=count)
        numbers = np.array(PREFIXES, dtype=np.int64)[prefixes] + self._rng.integers(10**8, size=count)
        return [int(number) for number in numbers]


def _each_once(numbers: Numbers) -> Numbers:
    """Sorted, without repetitions: a tenth of what `np.unique` takes of many integers, which it hashes."""
    numbers.sort()
    once: Numbers = numbers[np.concatenate([[True], numbers[1:] != numbers[:-1]])]
    return once
