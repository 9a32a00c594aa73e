"""Cases by the numbers that stand in them: found by how a number begins, without a look at any other. Pure."""

from bisect import bisect_left, insort
from typing import Final

PREFIX_DIGITS_MIN: Final = 3
"""Fewer are the beginning of every number there is."""


class NumberIndex:
    """Numbers and their cases. A new number costs a bisection and a move of pointers, a known one nothing."""

    def __init__(self) -> None:
        self._cases: dict[str, set[str]] = {}
        self._numbers: list[str] = []
        """sorted"""

    def add(self, numbers: tuple[str, ...], case: str) -> None:
        """These numbers stand in this case."""
        for number in numbers:
            if number not in self._cases:
                self._cases[number] = set()
                insort(self._numbers, number)
            self._cases[number].add(case)

    def load(self, numbers: tuple[str, ...], case: str) -> None:
        """The same for many cases, with `sort` at the end."""
        for number in numbers:
            self._cases.setdefault(number, set()).add(case)

    def sort(self) -> None:
        """After the last `load`."""
        self._numbers = sorted(self._cases)

    def remove(self, numbers: tuple[str, ...], case: str) -> None:
        """They stand there no more."""
        for number in set(numbers):
            cases = self._cases[number]
            cases.discard(case)
            if not cases:
                del self._cases[number]
                del self._numbers[bisect_left(self._numbers, number)]

    def beginning(self, prefix: str, *, most: int) -> set[str] | None:
        """The cases with a number that begins so; None where there may be more than `most`, after so many looks."""
        found: set[str] = set()
        start = bisect_left(self._numbers, prefix)
        for index in range(start, min(len(self._numbers), start + most + 1)):
            number = self._numbers[index]
            if not number.startswith(prefix):
                return found
            found |= self._cases[number]
            if len(found) > most:
                return None
        return None if len(self._numbers) - start > most else found
