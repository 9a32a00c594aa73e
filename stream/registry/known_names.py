"""Names of senders and categories that an expression gives and nobody knows: a consent to a misspelt one helps nobody.

Whoever writes consents asks here, and refuses those with such a name unless the operator says that it is meant
(`--unregistered`): the sender may be registered later. A refusal is written all the same. Pure.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from stream.model.registry import Expression, scope_name

NEAR_MAX: Final = 3
"""Names that are shown where one is unknown."""

NEIGHBOURS: Final = 100
"""Names before and behind the place where an unknown one would stand, by its beginning and by its end, that are
compared with it: a misspelt name mostly keeps one of the two. To compare 5,000 takes 70 ms, and each request may bring
one."""

COMPARED_CHARACTERS: Final = 64
"""Of a name: what two names have in common is found in the square of their length."""

LOOKED_UP_MAX: Final = 1_000
"""Unknown names for which near ones are looked up in one file."""


class KnownNames:
    """The policy's categories and the registered senders, as far as these are known."""

    def __init__(
        self,
        categories: Collection[str],
        senders: Collection[str] | None,
        more_senders: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`senders` is None where no registry is known.

        `more_senders` are those that are registered along with what is written; they are asked for once, where one is
        missing.
        """
        self._categories, self._more_senders = frozenset(categories), more_senders
        self._senders = None if senders is None else frozenset(senders)
        self._is_complete = False
        self._problems: dict[tuple[str | None, str | None], tuple[str, ...]] = {}
        self._looked_up_count = 0

    def problems(self, expression: Expression) -> tuple[str, ...]:
        """What an expression names and nobody knows, each with the names that are like it. Some 0.2 µs."""
        named = expression.sender, expression.category
        found = self._problems.get(named)
        if found is None:
            if len(self._problems) > LOOKED_UP_MAX:
                self._problems.clear()
            found = self._problems[named] = tuple(self._found(scope_name(named[0]), scope_name(named[1])))
        return found

    def _found(self, sender: str | None, category: str | None) -> Iterable[str]:
        if category is not None and category not in self._categories:
            yield f"category {category!r} is none of the policy's{self._like(category, self._categories)}"
        if sender is not None and not self._is_registered(sender):
            yield f"sender {sender!r} is not registered{self._like(sender, self._senders or frozenset())}"

    def _is_registered(self, sender: str) -> bool:
        if self._senders is not None and sender in self._senders:
            return True
        if not self._is_complete:
            self._is_complete = True
            more = self._more_senders()
            if more:
                self._senders = frozenset((*(self._senders or ()), *more))
        return self._senders is None or sender in self._senders

    def _like(self, name: str, known: frozenset[str]) -> str:
        """The known names that somebody may have meant."""
        self._looked_up_count += 1
        if self._looked_up_count > LOOKED_UP_MAX:
            return ""
        like = near(name, known)
        return f" (did you mean {', '.join(like)}?)" if like else ""


def near(name: str, known: frozenset[str]) -> list[str]:
    """The known names that are most like this one. Some milliseconds, once the known ones are sorted."""
    folded = _compared(name)
    by_beginning, by_end = _sorted(known)
    candidates = dict(_neighbours(by_end, folded[::-1]) + _neighbours(by_beginning, folded))
    return [candidates[one] for one in get_close_matches(folded, candidates, n=NEAR_MAX)]


def _neighbours(names: list[tuple[str, str, str]], place: str) -> list[tuple[str, str]]:
    at = bisect_left(names, (place,))
    return [(compared, name) for _, compared, name in names[max(0, at - NEIGHBOURS) : at + NEIGHBOURS]]


@lru_cache(maxsize=2)
def _sorted(known: frozenset[str]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """(what it is sorted by, what is compared, the name), by the beginning and by the end. The set knows its hash."""
    names = [(_compared(name), name) for name in known]
    return sorted((one, one, name) for one, name in names), sorted((one[::-1], one, name) for one, name in names)


def _compared(name: str) -> str:
    return name.casefold()[:COMPARED_CHARACTERS]
