"""The native batch function: a record batch of events in, a finished record batch of decisions out.

`NativeBatches` stands for one worker's policy and registry in the native module `wurao_native`, which is optional. The
module reads events, answers predicates and writes decisions; the rules stay here: for each route that traffic takes it
asks once, and gets the rows that the table leaves open there (`route_compiler`). What it is not certain of falls back,
record by record, to `decide_batch`: of one partition what it answered and what falls back keep their order among
themselves, not with each other.

Promises the decisions of `Decider`, byte for byte. Must never be asked by two threads at once, nor between a change of
the registry and `Decider.settle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np

from bloom.base import BUILT, BasedWills
from stream.deciding.activity import Acts
from stream.deciding.character_tables import character_tables
from stream.deciding.route_compiler import RouteCompiler
from stream.deciding.windows import Integers, Sign
from stream.model.events import Call, Sms
from stream.model.topics import EVENT_KINDS
from stream.policy.decide import Decider
from stream.policy.masks import bits_of
from stream.policy.patterns import OPT_OUT
from stream.policy.settings import NumberSettings

if TYPE_CHECKING or BUILT:
    import wurao_native

BATCH_BYTES_MAX: Final = 900_000
"""A batch of decisions ends here, uncompressed: a broker takes 1 MiB by default."""

ZSTD_LEVEL: Final = 1

Compression = Literal["none", "lz4", "zstd"]

FallbackRow = tuple[int, int, bytes | None, bytes | None]
"""A record for `decide_batch`: offset, timestamp in milliseconds, key, value."""


class NativeUnfit(Exception):
    """The native module is not there, or cannot stand for this policy: why, and the mend."""


@dataclass(frozen=True, slots=True)
class NativeOutcome:
    """What came of one batch."""

    batches: Sequence[tuple[bytearray, int]]
    """finished batches of decisions for the same partition number, each with its count; the producer's fields and the
    checksum are left for `wurao_native.seal`"""
    counts: Sequence[tuple[str, str, str, int]]
    """kind, verdict, reason, and how many got it"""
    fallback: Sequence[FallbackRow]
    """for Python to decide, by offset"""
    acts: Acts
    """what activity is counted from"""
    next_offset: int
    """what may be committed once the decisions, and those of the fallback, are acknowledged"""
    misplaced: int
    """answered events found in another partition than their subscriber's"""
    misread_routes_count: int = 0
    """routes, met for the first time, that the module takes for another than Python does: they fall back"""

    @property
    def count(self) -> int:
        """How many events were answered."""
        return sum(count for _, count in self.batches)


class Setup(NamedTuple):
    """How the module's engine is set up."""

    partitions: int
    codec: Compression
    level: int
    batch_bytes_max: int
    numbers: NumberSettings
    """the policy's patterns"""


def why_unfit() -> str | None:
    """Why the native module cannot be used here, whatever the policy; None where it can."""
    if not BUILT:
        return "wurao_native is not installed: `make native` builds it where cargo is"
    try:
        bits_of(wurao_native.PREDICATES)
    except KeyError as error:
        return f"wurao_native knows a predicate {error} that the rule table does not: build both from one checkout"
    return None


class NativeBatches:
    """One worker's policy and registry in the native module.

    `wills` are those of the decider's registry, and follow them (`BasedWills.following`, or `HeldPartitions.follow`,
    and then each batch is decided on its partition's). Raises `NativeUnfit`.
    """

    def __init__(
        self,
        decider: Decider,
        wills: BasedWills,
        *,
        partitions: int,
        compression: Compression = "zstd",
        batch_bytes_max: int = BATCH_BYTES_MAX,
    ) -> None:
        if (why := why_unfit()) is not None:
            raise NativeUnfit(why)
        self._decider = decider
        self._wills = wills
        policy = decider.world.policy
        if policy.file.texts.opt_out != OPT_OUT:
            raise NativeUnfit(f"the policy's `texts.opt_out` is not {OPT_OUT!r}, the only one that wurao_native knows")
        self._compiler = RouteCompiler(decider.world, wills, bits_of(wurao_native.PREDICATES))
        setup = Setup(partitions, compression, ZSTD_LEVEL, batch_bytes_max, policy.file.numbers)
        try:
            self._engine = wurao_native.Engine(setup, wurao_native.Tables(*character_tables()))
        except ValueError as error:
            raise NativeUnfit(str(error)) from error
        self._set_world()

    def decide(
        self, raw: bytes | memoryview, *, topic: str, partition: int, base_offset_from: int, now: int
    ) -> NativeOutcome:
        """Decide the records from `base_offset_from` on of some record batches, at the moment `now` (milliseconds).

        `raw` is a data batch of version 2 of an event topic, its checksum verified, or several back to back: their
        decisions leave as one. Raises ValueError where one of them is not read here (another version, gzip, snappy,
        broken): nothing of any was decided, and all of it is Python's. Some 0.4 µs an
        event, and 0.4 more with zstd on both sides.
        """
        self._refresh()
        compiler = self._compiler
        compiler.now = now
        misread_before = compiler.misread_count
        kinds = EVENT_KINDS[topic]
        try:
            batches, outcomes, new, timestamps, recipients, sources, odd, hinted, fallback, next_offset, misplaced = (
                self._engine.decide(
                    raw,
                    sms=Sms in kinds,
                    call=Call in kinds,
                    partition=partition,
                    from_offset=base_offset_from,
                    now=now,
                    quiet=compiler.quiet(),
                    store=self._wills.native,
                    compile_route=compiler.compile,
                )
            )
        except Exception:
            self._clear_routes()  # which outcomes the module added before it failed is not known here
            raise
        compiler.add_outcomes(new)
        rows = np.frombuffer(outcomes, dtype=np.int32)
        stamps: Integers = np.frombuffer(timestamps, dtype=np.int64)
        answers = compiler.answers
        signs = [
            Sign("opt-out hint", int(stamps[row]), "sms", sender)
            for row in hinted
            if (sender := answers[rows[row]].sender) is not None
        ]
        acts = Acts(
            answers=answers,
            rows=rows,
            recipients=np.frombuffer(recipients, dtype=np.int64),
            sources=np.frombuffer(sources, dtype=np.int64),
            odd_sources=dict(odd),
            timestamps=stamps,
            signs=signs,
        )
        misread_count = compiler.misread_count - misread_before
        return NativeOutcome(batches, compiler.counts(rows), fallback, acts, next_offset, misplaced, misread_count)

    def _refresh(self) -> None:
        """Give the module what changed since the last batch."""
        world = self._decider.world
        if self._generation != world.registry.generation:
            self._set_world()
        elif self._stale != world.stale or self._engine.is_full or self._missed_made != self._wills.missed_made_count:
            self._clear_routes()
        if self._epoch != self._decider.epoch:
            self._set_epoch()

    def _set_world(self) -> None:
        self._engine.set_world(self._compiler.facts())
        self._generation = self._decider.world.registry.generation
        self._clear_routes()
        self._set_epoch()

    def _clear_routes(self) -> None:
        self._engine.clear_routes()
        self._compiler.clear_routes()
        self._wills.forget_missed()
        self._missed_made = self._wills.missed_made_count
        self._stale = self._decider.world.stale

    def _set_epoch(self) -> None:
        self._epoch = self._decider.epoch
        self._engine.set_epoch(msgspec.json.encode(self._epoch)[1:-1])


__all__ = ["BATCH_BYTES_MAX", "Acts", "BasedWills", "NativeBatches", "NativeOutcome", "NativeUnfit", "why_unfit"]
