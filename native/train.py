"""The run that the compiler is profiled on: the sample traffic, through an instrumented build of the module.

`maturin build --pgo` runs this between its two builds (`pgo-command` in pyproject.toml), in an environment that holds
the instrumented module and nothing else. The interpreter is one that has what wurao needs, and PYTHONPATH gives it the
module from there. The traffic is the demo's; `loadtest.native` measures on another.
"""

# ruff: noqa: INP001  # a program beside the crate, not a package

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import wurao_native
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bloom.base import Base, BasedWills
from bloom.bitmaps import Overlay, Wills
from stream.deciding.native import Compression, NativeBatches
from stream.model.codec import encode
from stream.model.events import Event, Reply
from stream.model.registry import key_of
from stream.model.topics import EVENTS_URGENT
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import registry_of
from stream.testbed.sample import REFUSALS_COUNT, sample
from stream.testbed.texts import own
from stream.testbed.traffic import Traffic

NOW: Final = 1_795_500_000_000
EVENTS_COUNT: Final = 60_000
BATCHES_COUNT: Final = (3_000, 100)
"""Events in a batch: of a MiB, and of a worker that keeps up."""
PARTITIONS: Final = 12
CODECS: Final[dict[Compression, int]] = {"none": 0, "lz4": 3, "zstd": 4}


def main() -> None:
    """Decide the sample traffic in every codec, and read the registry's own records."""
    ours = Path(wurao_native.__file__ or "").is_relative_to(os.environ["VIRTUAL_ENV"])
    assert ours, "this trains the instrumented build that maturin has just made"
    few = sample(now=NOW, refusals_count=REFUSALS_COUNT // 10, silent_count=100_000)
    expressions = [repeated.expression(index) for repeated in few.expressions for index in repeated.who]
    registry = registry_of([*few.records(), *expressions])
    assert isinstance(registry.wills, Wills)
    base, registry.wills = Base.of(registry.wills), Overlay(registry.wills)
    records = [(_key(event), encode(event)) for event in Traffic(few, own(), seed=7).events(EVENTS_COUNT, now=NOW)]
    for compression, codec in CODECS.items():
        decider = Decider(load(), registry)
        decider.settle(stale=False, epoch="k7Qf2-17")
        wills = BasedWills.following(registry.wills, base)
        native = NativeBatches(decider, wills, partitions=PARTITIONS, compression=compression)
        for count in BATCHES_COUNT:
            for at in range(0, len(records), count):
                raw = _batch(records[at : at + count], codec)
                outcome = native.decide(raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=NOW)
                for batch, _ in outcome.batches:
                    wurao_native.seal(batch, 7, 1, at, transactional=False)
    keyed = [(key_of(record).encode(), encode(record)) for record in expressions[:EVENTS_COUNT]]
    for at in range(0, len(keyed), BATCHES_COUNT[0]):
        raw = _batch(keyed[at : at + BATCHES_COUNT[0]], CODECS["zstd"])
        wurao_native.ExpressionReader().read(
            raw, from_offset=0, partition=0, partitions=PARTITIONS, reject_misplaced=False
        )


def _key(event: Event) -> bytes:
    return (event.from_ if isinstance(event, Reply) else event.to).encode()


def _batch(records: Sequence[tuple[bytes, bytes]], codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for offset, (key, value) in enumerate(records):
        builder.append(offset, NOW, key, value, [])
    return bytes(builder.build())


if __name__ == "__main__":
    main()
