"""What an event costs as events grow and as the registry grows: the filter on events that wait, one thing changed at a
time.

Longer events have their text repeated; larger registries have more numbers that refuse every SMS (`cold_start` says how
such a snapshot is made). Recipients stay those of the sample, some three million, so a registry that no cache holds
shows here only as far as such recipients meet it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from loadtest.environment import Rig, note
from loadtest.figures import Row, Taken
from loadtest.options import RunOptions
from loadtest.programs import FILTER, filter_program
from loadtest.scenarios.cold_start import enlarged, offered
from loadtest.stage import filtering, set_stage
from loadtest.watching import watch

TEXT_TIMES: Final = (1, 2, 4)


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Sizes of events first, each written by itself and read by a group that has consumed everything before."""
    stage = await set_stage(rig, options)
    async with filtering(stage, name="filter-first"):
        pass  # it makes the snapshot that larger ones are made from
    small = rig.snapshot
    made = {count: await asyncio.to_thread(enlarged, small, count) for count in options.numbers}
    for turn in range(1, options.repeat + 1):
        rows: dict[str, Row] = {}
        for times in TEXT_TIMES:
            group = rig.group()
            await rig.skip_to_ends(group)
            event_bytes = await rig.write_events(stage.registry, count=options.events_count, text_times=times)
            name = f"text × {times}"
            rows[name] = await _measure(rig, options, group)
            rows[name]["event_bytes"] = event_bytes
            note(f"turn {turn}: {name}: {rows[name]['cpu_us']:.2f} µs an event of {event_bytes:.0f} bytes")
        for count, (kept, size) in made.items():
            group = rig.group()
            await rig.skip_to_ends(group)
            await rig.write_events(stage.registry, count=options.events_count)
            path = offered(kept, small.parent)
            name = f"{count:,} numbers"
            rows[name] = await _measure(rig, options, group)
            rows[name]["snapshot_bytes"] = float(size)
            path.unlink()
            note(f"turn {turn}: {name}: {rows[name]['cpu_us']:.2f} µs an event")
        yield Taken(rows=rows)


async def _measure(rig: Rig, options: RunOptions, group: str) -> Row:
    return await watch(rig, filter_program(FILTER, rig, group=group), events_count=options.events_count)
