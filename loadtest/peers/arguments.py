"""What every peer is told on its command line, and how it runs: on uvloop, until SIGTERM."""

import argparse
import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from stream import config as configuration
from stream.config import Config


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer has to do. `config` comes from the environment, as the filter's does."""

    config: Config
    group: str
    source: str
    target: str
    snapshot: Path | None
    """a registry to decide from, for peers that do"""


def run(work: Callable[[Task], Awaitable[None]]) -> None:
    """Run a peer until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--snapshot", type=Path)
    told = parser.parse_args()
    task = Task(configuration.load(None, os.environ), told.group, told.source, told.target, told.snapshot)

    async def until_told() -> None:
        working = asyncio.ensure_future(work(task))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
        with suppress(asyncio.CancelledError):
            await working

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())
