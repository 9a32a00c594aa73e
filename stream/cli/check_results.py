"""A check of `wurao doctor`: its state, what was found, and how to correct it where that is needed."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

State = Literal["ok", "warn", "wrong"]

SEVERITY: Final[dict[State, int]] = {"ok": 0, "warn": 1, "wrong": 2}


class CheckResult(NamedTuple):
    """One line. `wrong` means that something will not work or that a guarantee is lost; `warn`, that it may."""

    name: str
    state: State
    found: str
    mend: str = ""


def ok(name: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, "ok", found)


def warn(name: str, found: str, mend: str) -> CheckResult:
    """It works, and should be looked at."""
    return CheckResult(name, "warn", found, mend)


def wrong(name: str, found: str, mend: str) -> CheckResult:
    """It does not work, or loses what is promised."""
    return CheckResult(name, "wrong", found, mend)


def worst(results: Sequence[CheckResult]) -> State:
    """The worst state among them."""
    return max((result.state for result in results), key=SEVERITY.__getitem__, default="ok")
