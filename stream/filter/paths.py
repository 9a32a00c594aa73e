"""Which path a worker takes, and why: the native one where its module is built and fits, the Python one else.

The answers are the same on both. The choice is made once, before workers are forked, so that `on` can refuse to start
and the log says it once.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from stream.config import Config
from stream.filter.raw import Native
from stream.kafka import seams
from stream.kafka.reach import CannotStart
from stream.policy.decide import Decider

MakeNative = Callable[[Decider, Config], Native]
"""Compiles one worker's policy and registry for the native module."""

GLUE = "stream.filter.native"
"""What puts a decider into the native module's form; importing it needs the module."""

MEND = "run `make native` (it needs Rust's cargo) or install the wheel of wurao_native; `auto` goes without it"


@dataclass(frozen=True, slots=True)
class NativePath:
    """What was chosen."""

    make: MakeNative | None
    """None: the Python path"""
    why: str


class _Glue(Protocol):
    """As much of `stream.filter.native` as is asked here."""

    def misfit(self) -> str | None: ...
    def make_native(self, decider: Decider, config: Config) -> Native: ...


def native_path(wanted: Literal["off", "on", "auto"]) -> NativePath:
    """Choose. Raises `CannotStart` where `on` cannot be: what is missing, and the mend."""
    if wanted == "off":
        return NativePath(None, "filter.native is off")
    try:
        glue = cast("_Glue", importlib.import_module(GLUE))
    except ImportError as error:
        return _without(wanted, f"the native module is not built ({error})")
    problem = seams.misfit() or glue.misfit()
    if problem is not None:
        return _without(wanted, problem)
    return NativePath(glue.make_native, "wurao_native is built and fits")


def _without(wanted: Literal["on", "auto"], problem: str) -> NativePath:
    if wanted == "on":
        raise CannotStart(f"filter.native is on, but {problem}: {MEND}")
    return NativePath(None, problem)
