"""From the start of the process to its first decision, with a snapshot of so many numbers that refuse everything.

The snapshot is made here, without writing each refusal to a topic: one is taken that a filter has made of a small
registry, and the numbers are put into it. Numbers lie at random in a range four times as wide, as a quarter of a
national plan would; both that and the file stand in the page cache, as after a restart and not after a reboot.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import numpy as np
from pyroaring import BitMap64

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.sets import ScopedBitmap
from bloom.wills import EVERYTHING
from loadtest.environment import Offsets, Rig, note
from loadtest.figures import Row, Taken
from loadtest.options import RunOptions
from loadtest.programs import native
from loadtest.stage import Stage, filtering, set_stage
from stream.clock import now_ms
from stream.model.topics import DECISIONS
from stream.testbed.processes import FilterProcess, ProcessError, usage

FIRST_NUMBER: Final = 86_130_0000_0000
WIDER: Final = 4
CHUNK: Final = 10_000_000
LOOK_EVERY_S: Final = 0.005
START_S_MAX: Final = 300.0
MIB: Final = 1 << 20
WAITING: Final = 20_000


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Every size in each turn."""
    stage = await set_stage(rig, options)
    await rig.write_events(stage.registry, count=WAITING)
    async with filtering(stage, name="filter-first"):
        pass  # it makes the snapshot that the others are made from
    small = rig.snapshot
    made = {count: await asyncio.to_thread(enlarged, small, count) for count in options.numbers}
    for _ in range(options.repeat):
        rows: dict[str, Row] = {}
        for count, (kept, size) in made.items():
            path = offered(kept, small.parent)
            rows[f"{count:,} numbers"] = row = await _start(stage, size)
            note(f"{count:,} numbers: " + "  ".join(f"{name} {value:,.2f}" for name, value in row.items()))
            path.unlink()
        yield Taken(rows=rows, notes=("The snapshot's file is in the page cache.",))


def enlarged(small: Path, count: int) -> tuple[Path, int]:
    """A snapshot like another, but for `count` numbers that refuse every SMS, and its size in bytes.

    It is kept where no filter looks for one; `offered` puts it there. About 50 ns a number.
    """
    kept = snapshot.read(small)
    rng = np.random.default_rng(1)
    numbers = BitMap64()
    for first in range(0, count, CHUNK):
        some = min(CHUNK, count - first)
        start = FIRST_NUMBER + first * WIDER
        # One of each four neighbours: exactly `some` different numbers, spread at random.
        numbers |= BitMap64(start + WIDER * np.arange(some) + rng.integers(0, WIDER, some))
    entries = [entry for entry in kept.wills.scopes() if (entry.channel, entry.kind, entry.scope) != _ALL_SMS]
    wills = Wills.of_bitmaps(
        [*entries, ScopedBitmap("sms", "refusal", EVERYTHING, numbers)],
        {channel: kept.wills.narrow(channel) for channel in ("sms", "call")},
    )
    path = small.parent.parent / f"{count}-numbers.snapshot"
    return path, snapshot.write(path, meta=kept.meta, wills=wills, records=kept.records)


def offered(kept: Path, directory: Path) -> Path:
    """A snapshot that was kept, where filters look for one, and by its name the newest. To be removed afterwards."""
    path = directory / f"registry-{now_ms()}.snapshot"
    path.hardlink_to(kept)
    return path


_ALL_SMS: Final = ("sms", "refusal", EVERYTHING)


async def _start(stage: Stage, snapshot_bytes: int) -> Row:
    """One start, until events that wait have a decision."""
    rig, size_mib = stage.rig, snapshot_bytes / MIB
    process = rig.filter(settings=native("auto"))
    async with Offsets(rig.config, DECISIONS) as decided:
        began = time.monotonic()
        process.start()
        try:
            first_s = await _first(process, decided, began)
            pids = (process.pid, *process.worker_pids())
            memory = sum(one.pss_mib for one in map(usage, pids) if one is not None)
        finally:
            await asyncio.to_thread(process.stop)
    return {"first_decision_s": first_s, "snapshot_mib": size_mib, "memory_mib": memory}


async def _first(process: FilterProcess, decided: Offsets, began: float) -> float:
    while not await decided.count():
        process.check()
        if time.monotonic() - began > START_S_MAX:
            raise ProcessError(f"no decision after {START_S_MAX:.0f} s. {process.last_words()}")
        await asyncio.sleep(LOOK_EVERY_S)
    return time.monotonic() - began
