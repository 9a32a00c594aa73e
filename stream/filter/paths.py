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
from stream.policy.settings import Policy
from stream.registry.registry import Registry

MakeNative = Callable[[Decider], Native]
"""Puts one worker's decider into the native module's form. Its registry is the one that was shared."""

Share = Callable[[Registry], MakeNative]
"""Puts a base's wills into the native module's memory, once for all workers that are forked afterwards."""

GLUE = "stream.filter.native"
"""What knows the native module."""

MEND = "run `make native` (it needs Rust's cargo) or install the wheel of wurao_native; `auto` goes without it"


@dataclass(frozen=True, slots=True)
class NativePath:
    """What was chosen."""

    share: Share | None
    """None: the Python path"""
    why: str


class _Glue(Protocol):
    """As much of `stream.filter.native` as is asked here."""

    def misfit(self, policy: Policy, config: Config) -> str | None: ...
    def share(self, registry: Registry, config: Config) -> MakeNative: ...


def native_path(config: Config, policy: Policy) -> NativePath:
    """Choose. Raises `CannotStart` where `on` cannot be: what is missing, and the mend."""
    wanted = config.filter.native
    if wanted == "off":
        return NativePath(None, "filter.native is off")
    try:
        glue = cast("_Glue", importlib.import_module(GLUE))
    except ImportError as error:
        return _without(wanted, f"the native module is not built ({error})")
    problem = seams.misfit() or glue.misfit(policy, config)
    if problem is not None:
        return _without(wanted, problem)
    return NativePath(lambda registry: glue.share(registry, config), "wurao_native is built and fits")


def _without(wanted: Literal["on", "auto"], problem: str) -> NativePath:
    if wanted == "on":
        raise CannotStart(f"filter.native is on, but {problem}: {MEND}")
    return NativePath(None, problem)
