"""SMS, calls, replies and emergencies together at one rate: the delay of each kind, as each would feel it."""

from collections.abc import AsyncIterator

import numpy as np

from loadtest.environment import Rig, note
from loadtest.figures import Row, Taken
from loadtest.latency import delays_of
from loadtest.load import put, settle_broker
from loadtest.options import RunOptions
from loadtest.pool import KINDS
from loadtest.scenarios.latency import noticed
from loadtest.schedule import Step
from loadtest.stage import filtering, set_stage


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """A load in each turn."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    (rate,) = options.rates
    for turn in range(1, options.repeat + 1):
        async with filtering(stage, name=f"filter-{turn}") as process:
            taken = await put(stage, process, mix="mixed", steps=(Step(rate, options.seconds),), prefix=f"m{turn}")
        numbers = taken.numbers()
        kinds = np.array([taken.events.kind(number) for number in range(len(taken.events.shots))])
        of_kind = kinds[numbers % len(kinds)]
        rows: dict[str, Row] = {}
        delays = {}
        for kind in KINDS.values():
            found, missing = taken.delays_ns(numbers[of_kind == kind])
            delays[kind] = delays_of(found)
            rows[kind] = {
                **delays[kind].figures,
                "missing_count": float(missing),
                "events_per_s": rate * float((kinds == kind).mean()),
            }
            note(f"turn {turn}: {kind:<8}" + "  ".join(f"{name} {value:,.1f}" for name, value in rows[kind].items()))
        yield Taken(rows=rows, delays=delays, notes=tuple(noticed(taken, "mixed")))
