"""Which path a worker takes, and why: the native one where its module is built and fits, the Python one else.

The answers are the same on both. The choice is made once, before workers are forked, so that `on` can refuse to start
and the log says it once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bloom.base import BasedWills
from bloom.bitmaps import Wills
from stream.config import Config
from stream.filter.native import Compression, NativeBatches, NativeUnfit, why_unfit
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


@dataclass(frozen=True, slots=True)
class NativePath:
    """What was chosen."""

    share: Share | None
    """None: the Python path"""
    why: str


def native_path(config: Config, policy: Policy) -> NativePath:
    """Choose. Raises `CannotStart` where `on` cannot be: what is missing, and the mend."""
    wanted = config.filter.native
    if wanted == "off":
        return NativePath(None, "filter.native is off")
    share, problem = _fitting(config, policy)
    if problem is None:
        return NativePath(share, "wurao_native is built and fits")
    if wanted == "on":
        raise CannotStart(f"filter.native is on, but {problem}; with `auto` the filter runs without")
    return NativePath(None, problem)


def _fitting(config: Config, policy: Policy) -> tuple[Share | None, str | None]:
    """How the module is given a registry, or why it cannot be used."""
    compression = config.filter.compression
    if compression == "gzip":
        return None, "filter.compression is gzip, which wurao_native does not write: choose zstd, lz4 or none"
    share = _sharing(config.topics.partitions, compression)
    return share, seams.misfit() or why_unfit() or _unfit_for(policy, share)


def _sharing(partitions: int, compression: Compression) -> Share:
    def share(registry: Registry) -> MakeNative:
        wills = BasedWills.following(registry.wills)
        return lambda decider: NativeBatches(decider, wills, partitions=partitions, compression=compression)

    return share


def _unfit_for(policy: Policy, share: Share) -> str | None:
    """Why the module cannot stand for a policy: it is tried."""
    registry = Registry(Wills())
    try:
        share(registry)(Decider(policy, registry))
    except NativeUnfit as error:
        return str(error)
    return None
