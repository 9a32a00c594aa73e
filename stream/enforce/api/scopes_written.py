"""How many scopes of one subscriber this process has written: their limit holds for refusals too.

A refusal that is given now waits for no reading of the topic (DESIGN section 3), so the order rule, which counts what
the topic has, does not count it. What is counted here is what came through this process, of those who came last. Pure.
"""

from typing import Final

from stream.model import limits
from stream.model.registry import Expression, scope_name

KEPT_MAX: Final = 200_000
"""Scopes that are remembered, some 20 MiB; those of who came first are forgotten. Their hashes are, which nobody can
choose: two names of 256 characters take 2 kB, and may be made up."""


class ScopesWritten:
    """The scopes of subscribers on channels, as far as they are remembered."""

    def __init__(self, *, most: int = limits.SCOPES.most, kept_max: int = KEPT_MAX) -> None:
        self._most, self._kept_max = most, kept_max
        self._kept: dict[tuple[str, str], set[int]] = {}
        self._count = 0

    def refusal(self, expression: Expression) -> str | None:
        """Why this may not be written, in words for whoever wanted to; None where it may, and then it counts."""
        who = (expression.subscriber, expression.channel)
        scope = (scope_name(expression.sender), scope_name(expression.category))
        if scope == (None, None):
            return None
        kept = self._kept.pop(who, set())
        self._kept[who] = kept  # the last that came
        if hash(scope) in kept:
            return None
        if len(kept) >= self._most:
            return (
                f"about {len(kept):,} {limits.SCOPES.unit} of this subscriber on {expression.channel} something was "
                "expressed here: write about a broader one, such as every sender (`*`)"
            )
        kept.add(hash(scope))
        self._count += 1
        while self._count > self._kept_max and len(self._kept) > 1:
            self._count -= len(self._kept.pop(next(iter(self._kept))))
        return None
