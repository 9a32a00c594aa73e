"""One, two and four workers on the same events: what each more brings, by the clock and per CPU-second."""

from collections.abc import AsyncIterator

from loadtest import programs
from loadtest.environment import Rig, note
from loadtest.figures import Row, Taken
from loadtest.options import RunOptions
from loadtest.programs import FILTER
from loadtest.stage import set_stage
from loadtest.watching import watch


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Every number of workers in each turn."""
    stage = await set_stage(rig, options)
    await rig.write_events(stage.registry, count=options.events_count)
    for turn in range(1, options.repeat + 1):
        rows: dict[str, Row] = {}
        for workers in options.workers:
            name = f"{workers} worker{'s' if workers > 1 else ''}"
            program = programs.filter_program(FILTER, rig, workers=workers)
            rows[name] = await watch(rig, program, events_count=options.events_count, workers=workers)
            first = next(iter(rows.values()))
            rows[name]["speedup_ratio"] = rows[name]["events_per_s"] / first["events_per_s"]
            rows[name]["efficiency_ratio"] = rows[name]["events_per_cpu_s"] / first["events_per_cpu_s"]
            note(f"turn {turn}: {name:<10}" + "  ".join(f"{key} {value:,.2f}" for key, value in rows[name].items()))
        yield Taken(rows=rows)
