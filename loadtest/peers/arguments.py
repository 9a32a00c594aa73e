"""A peer's contract: its command line, and what it prints.

A peer is a process. It reads the events of one topic in a group that has read nothing yet, decides each, puts the
decisions into another topic, each into the partition of its event, and commits what is acknowledged. It prints `ready`
once it has partitions. It ends after `--stop-at` events, or at SIGTERM, and then prints one line of JSON, `Report`.

Peers of Python make their `Task` and their `Run` here; those of Java keep the same contract (`java/Run.java`).
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec

from stream import config as configuration
from stream.config import Config

POLL_S = 0.2
"""How long a peer may wait for records before it looks whether it is asked to end."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer has to do. What else `config` says comes from the environment, as the filter's does."""

    config: Config
    group: str
    events_topic: str
    decisions_topic: str
    partitions: int
    stop_at: int | None
    """how many events; None: until it is asked to end"""
    snapshot: Path | None
    """a registry to decide from, for peers that do"""

    @property
    def bootstrap(self) -> str:
        """The brokers."""
        return self.config.kafka.bootstrap

    @property
    def compression(self) -> str:
        """Of what it produces: the filter's own, so that no peer is spared it."""
        return self.config.filter.compression

    @property
    def registry(self) -> Path:
        """The registry that it decides from. Raises SystemExit, with the mend, where none was given."""
        if self.snapshot is None:
            raise SystemExit("this peer decides: give it a registry with --snapshot FILE")
        return self.snapshot


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer says at its end: of the time from the first event it took to the last acknowledgement."""

    events: int
    wall_s: float
    cpu_s: float
    """of the whole process, with all its threads"""


class Run:
    """A peer's own count, and whether it is to go on."""

    def __init__(self, stop_at: int | None) -> None:
        self.count = 0
        self._stop_at = stop_at
        self._told_to_end = False
        self._began: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None

    @property
    def done(self) -> bool:
        """Whether it has had its events, or was asked to end."""
        return self._told_to_end or (self._stop_at is not None and self.count >= self._stop_at)

    @property
    def wanted(self) -> int | None:
        """How many events it should still take; None: as many as come."""
        return None if self._stop_at is None else max(0, self._stop_at - self.count)

    def ready(self) -> None:
        """Say that it has partitions."""
        print("ready", flush=True)

    def begin(self) -> None:
        """The first event was taken: from here on time counts. Cheap when called again."""
        if self._began is None:
            self._began = time.perf_counter(), time.process_time()

    def acknowledged(self, count: int) -> None:
        """Decisions on `count` more events are acknowledged."""
        self.count += count
        self._last = time.perf_counter(), time.process_time()

    def end(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Be asked to end; fit to be a signal handler."""
        self._told_to_end = True

    def report(self) -> Report:
        """What was measured; zeros where nothing came."""
        if self._began is None or self._last is None:
            return Report(events=0, wall_s=0.0, cpu_s=0.0)
        return Report(events=self.count, wall_s=self._last[0] - self._began[0], cpu_s=self._last[1] - self._began[1])


def task() -> Task:
    """The command line, read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", help="host:port of a broker (default: as the filter is configured)")
    parser.add_argument("--group", required=True, help="a consumer group that has read nothing yet")
    parser.add_argument("--events-topic", required=True)
    parser.add_argument("--decisions-topic", required=True)
    parser.add_argument("--partitions", type=int, required=True, help="of both topics")
    parser.add_argument("--stop-at", type=int, help="end after so many events (default: at SIGTERM)")
    parser.add_argument("--snapshot", type=Path, help="the registry to decide from")
    options = parser.parse_args()
    variables = dict(os.environ)
    if options.bootstrap:
        variables["WURAO_KAFKA__BOOTSTRAP"] = options.bootstrap
    return Task(
        config=configuration.load(None, variables),
        group=options.group,
        events_topic=options.events_topic,
        decisions_topic=options.decisions_topic,
        partitions=options.partitions,
        stop_at=options.stop_at,
        snapshot=options.snapshot,
    )


def run(work: Callable[[Task, Run], None]) -> None:
    """Run a peer that blocks: it asks `Run.done` now and then."""
    options = task()
    running = Run(options.stop_at)
    signal.signal(signal.SIGTERM, running.end)
    work(options, running)
    say(running)


def run_async(work: Callable[[Task, Run], Coroutine[object, object, None]]) -> None:
    """Run a peer of coroutines, on uvloop: SIGTERM cancels it."""
    import uvloop  # noqa: PLC0415  # peers with a virtual environment of their own need no loop

    options = task()
    running = Run(options.stop_at)

    async def until_told() -> None:
        working = asyncio.ensure_future(work(options, running))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())
    say(running)


def say(running: Run) -> None:
    """The last line of a peer."""
    print(msgspec.json.encode(running.report()).decode(), flush=True)
