"""A scenario run from beginning to end: the machine before, a rig, turn after turn, the machine after."""

import os
import time

from loadtest.environment import note, rigging
from loadtest.figures import Result, Taken, result_of
from loadtest.machine import describe
from loadtest.options import RunOptions
from loadtest.scenarios import Scenario


async def measure(scenario: Scenario, options: RunOptions, *, bootstrap: str | None) -> Result:
    """Run it on the cluster at `bootstrap`, or on one of our own. Raises `LoadtestError` for what is in the way."""
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    turns: list[Taken] = []
    note(f"{scenario.name}: {scenario.what}")
    async with rigging(bootstrap, partitions=options.partitions, pin=options.pin) as rig:
        machine = describe(kafka=rig.ground.version, load_average=load_before)
        note(str(machine))
        async for taken in scenario.run(rig, options):
            turns.append(taken)
            note(f"turn {len(turns)} of {options.repeat} is done after {time.monotonic() - began:.0f} s")
    return result_of(
        scenario.name,
        turns,
        machine=machine,
        options=options,
        took_s=time.monotonic() - began,
        load_after=os.getloadavg()[0],
    )
