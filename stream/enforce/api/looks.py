"""What is recorded of a look at cases: who was shown which, when, and what was asked for. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from stream.enforce.api import names
from stream.enforce.api.auth import Caller
from stream.enforce.api.shown import masked_text
from stream.model.accesses import Access
from stream.model.control import CaseId
from stream.model.hiding import hidden

ASKED_MAX: Final = 20
"""Parameters of a query that are recorded: there are fewer."""

OF_NOBODY: Final = frozenset(
    ("procedure", "state", "due_before", "breached", "ended", "limit", "received_from", "received_before")
)
"""Parameters that name nobody, and are recorded as they are."""


def look(
    caller: Caller,
    now: int,
    *,
    operation: str,
    asked: Mapping[str, str] | None = None,
    cases: Sequence[CaseId] = (),
    subscriber: str | None = None,
    reason: str | None = None,
) -> Access:
    """The record. A page names at most `search.PAGE_MAX` cases, which bounds it. `subscriber` comes masked."""
    stated = list((asked or {}).items())[:ASKED_MAX]
    return Access(
        access=names.fresh(),
        time=now,
        actor=caller.actor,
        role=caller.role,
        operation=operation,
        asked={hidden(name): value if name in OF_NOBODY else masked_text(value) for name, value in stated},
        cases=tuple(cases),
        cases_count=len(cases),
        subscriber=subscriber,
        reason=hidden(reason) if reason else None,
    )
