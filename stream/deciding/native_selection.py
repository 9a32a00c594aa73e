"""Which path a worker uses, and why: the native one where its module is built and compatible, else the Python one.

The answers are the same on both. The choice is made once, before workers are forked, so that `on` can refuse to start
and the log says it once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from bloom.base import Base, BasedWills
from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.snapshot import SnapshotMeta
from bloom.wills import ExpressionRow
from stream.config import Config, keys_of
from stream.deciding.native import Compression, NativeBatches, NativeUnfit, why_unfit
from stream.deciding.native_batch import MakeNative, Native
from stream.deciding.native_trial import RECORDS, TRIAL_MS, difference, trials
from stream.kafka import seams
from stream.kafka.reach import CannotStart
from stream.kafka.seams.outgoing import batch_of, records_of
from stream.model.codec import decode_event, encode
from stream.model.topics import EVENTS_URGENT
from stream.policy.decide import Decider
from stream.policy.settings import Policy
from stream.registry.registry import Registry

Share = Callable[[Registry, SnapshotMeta], MakeNative]
"""Converts a snapshot's refusals and consents to the native module's form, once for all workers that are forked
afterwards. In partitioned mode nothing is shared, and each worker begins with none."""

BASE_FILE: Final = "native.base"
"""Where the native module's form of the newest snapshot is kept, beside the snapshots: it is mapped, not loaded."""

_TRIAL: Final = b'{"kind":"call","id":"trial","time":1,"to":"110"}'
"""An event that every policy decides alike: a module built from another version is detected by it."""

_TRIAL_NUMBER: Final = Msisdn(8613800138000)


@dataclass(frozen=True, slots=True)
class NativePath:
    """What was chosen."""

    share: Share | None
    """None: the Python path"""
    why: str


def native_path(config: Config, policy: Policy, *, on_problem: Callable[[str], None] = lambda _: None) -> NativePath:
    """Choose. `on_problem` is told of a base that is there and must not be used.

    Raises `CannotStart` where `on` is not possible: what is missing, and how to correct it.
    """
    wanted = config.filter.native
    if wanted == "off":
        return NativePath(None, "filter.native is off")
    share, problem = _fitting(config, policy, on_problem)
    if problem is None:
        return NativePath(share, "wurao_native is built and compatible")
    if wanted == "on":
        raise CannotStart(f"filter.native is on, but {problem}; with `auto` the filter runs without it")
    return NativePath(None, problem)


def _fitting(config: Config, policy: Policy, on_problem: Callable[[str], None]) -> tuple[Share | None, str | None]:
    """How the module gets a registry, or why it cannot be used."""
    compression = config.filter.compression
    if compression == "gzip":
        return None, "filter.compression is gzip, which wurao_native does not write: choose zstd, lz4 or none"
    make = _maker(config.topics.partitions, compression)
    problem = seams.misfit() or why_unfit() or _unfit_for(policy, make)
    file = Path(config.registry.snapshots) / BASE_FILE

    def tried(native: MakeNative) -> MakeNative:
        """Tries a reloaded policy as well, before it is used."""

        def made(decider: Decider) -> Native:
            other = decider.world.policy
            if other.digest != policy.digest and (why := _unfit_for(other, make)) is not None:
                raise NativeUnfit(why)
            return native(decider)

        return made

    if config.registry.mode == "partitioned":
        own = tried(_own_partitions(config.topics.partitions, compression))
        return (lambda _registry, _meta: own), problem

    def share(registry: Registry, meta: SnapshotMeta) -> MakeNative:
        wills = registry.wills
        plain = wills.plain() if isinstance(wills, Overlay) else wills
        origin = sha256(msgspec.json.encode(meta)).digest()
        base = Base.kept(file, plain, origin=origin, keys=keys_of(config), on_problem=on_problem)
        return tried(make(registry, base))

    return share, problem


_Make = Callable[[Registry, Base | None], MakeNative]


def _maker(partitions: int, compression: Compression) -> _Make:
    def make(registry: Registry, base: Base | None) -> MakeNative:
        wills = BasedWills.following(registry.wills, base)
        return lambda decider: NativeBatches(decider, wills, partitions=partitions, compression=compression)

    return make


def _own_partitions(partitions: int, compression: Compression) -> MakeNative:
    """For partitioned mode: a worker on the native path holds its partitions in both forms."""

    def make(decider: Decider) -> Native:
        held = decider.world.registry.held
        assert held is not None, "registry.mode is partitioned"
        return NativeBatches(decider, held.follow(), partitions=partitions, compression=compression)

    return make


def _unfit_for(policy: Policy, make: _Make) -> str | None:
    """Why the module cannot decide by a policy, or was built from another version, found by trying it."""
    try:
        return _misanswers(policy, make) or _misreads(policy, make)
    except NativeUnfit as error:
        return str(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic in Rust is no `Exception`; a module of this checkout has none
        return f"wurao_native does not answer ({error!r}): rebuild it with `make native`"


def _misanswers(policy: Policy, make: _Make) -> str | None:
    registry = Registry(Wills())
    decider = Decider(policy, registry)
    raw = memoryview(batch_of([(b"", _TRIAL)], timestamp=TRIAL_MS))
    path = make(registry, None)
    registry.wills.apply([ExpressionRow(_TRIAL_NUMBER, "sms", "refuse", None, None)])
    outcome = path(decider).decide(raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=TRIAL_MS)
    ((decisions, _),) = outcome.batches
    expected = encode(decider.decide(decode_event(_TRIAL), TRIAL_MS))
    if [value for _, value in records_of(decisions)] != [expected]:
        return "wurao_native decides differently from the policy: rebuild it with `make native`"
    return None


def _misreads(policy: Policy, make: _Make) -> str | None:
    """Why the module cannot decide by a policy: it parses some numbers differently from Python."""
    registry = Registry(Wills())
    registry.apply(RECORDS)
    decider = Decider(policy, registry)
    tried = trials(policy.file.numbers.country)
    raw = memoryview(batch_of([(b"", trial.value) for trial in tried], timestamp=TRIAL_MS))
    outcome = make(registry, None)(decider).decide(
        raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=TRIAL_MS
    )
    fallback = {offset for offset, *_ in outcome.fallback}
    answered = iter([record for decisions, _ in outcome.batches for record in records_of(decisions)])
    answers = [None if offset in fallback else next(answered) for offset in range(len(tried))]
    number = difference(decider, tried, answers)
    if number is None and not outcome.misread_routes_count:
        return None
    return (
        f"wurao_native parses numbers differently from the policy's patterns{f', such as {number}' if number else ''}: "
        "bring the patterns closer to the shipped policies'; if they are equal, rebuild it with `make native`"
    )
