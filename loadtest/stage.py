"""What every scenario begins with: topics, the sample registry in them, and a filter that is ready."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from loadtest.environment import Rig
from loadtest.options import RunOptions
from loadtest.programs import native
from stream.testbed.processes import FilterProcess
from stream.testbed.sample import Sample


@dataclass(frozen=True, slots=True)
class Stage:
    """A rig with a registry written into it, and the run's options."""

    rig: Rig
    options: RunOptions
    registry: Sample


async def set_stage(rig: Rig, options: RunOptions, *, extra: Sequence[str] = ()) -> Stage:
    """Create the topics, and `extra` ones with the same settings, and write the registry."""
    await rig.make_topics(extra)
    return Stage(rig, options, await rig.write_sample(refusals_count=options.refusals_count))


@asynccontextmanager
async def filtering(
    stage: Stage, *, workers: int = 1, group: str | None = None, name: str = "filter", path: str = "auto"
) -> AsyncIterator[FilterProcess]:
    """A filter that is ready, for as long as the block lasts.

    Without `group` it is a new one that starts at the end offsets: existing events are skipped. `name` is its log's,
    `path` its setting `native`.
    """
    rig = stage.rig
    if group is None:
        group = rig.group()
        await rig.skip_to_ends(group)
    process = rig.filter(workers=workers, group=group, name=name, settings=native(path))
    process.start()
    try:
        await process.ready()
        rig.pin_workers(process.worker_pids())
        yield process
    finally:
        await asyncio.to_thread(process.stop)
