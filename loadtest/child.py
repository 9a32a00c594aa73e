"""The protocol with a process that makes load, its job and its report: from both ends. One place for the convention.

The child reads a job, a line of JSON, from its standard input; says `ready` once it is; reads the moment at which to
begin, nanoseconds of the monotonic clock, which all processes of a machine share; and reports in one line of JSON.
Its input stays open as long as its parent lives: a child whose input ends, ends.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import msgspec
import uvloop

from loadtest.cluster import LoadtestError

NS_PER_MS: Final = 1_000_000
BEGIN_AFTER_MS: Final = 300
"""Time for the word to reach a child, so that its first event is not late."""

READY_S_MAX: Final = 120.0
LINE_BYTES_MAX: Final = 1 << 20

T = TypeVar("T")


class Lines:
    """A child's side."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def job(self, kind: type[T]) -> T:
        """What to do."""
        return msgspec.json.decode(await self._reader.readline(), type=kind)

    async def begin(self) -> int | None:
        """Say that all is ready; the moment to begin, or None where there is nobody left to say it."""
        print("ready", flush=True)
        line = await self._reader.readline()
        return int(line) if line else None

    def report(self, what: msgspec.Struct) -> None:
        """Say what was done."""
        print(msgspec.json.encode(what).decode(), flush=True)


def run(work: Callable[[Lines], Awaitable[None]]) -> None:
    """Be a child: work, on uvloop, until done or until the input ends."""

    async def until_alone() -> None:
        reader = asyncio.StreamReader(LINE_BYTES_MAX)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        working = asyncio.ensure_future(work(Lines(reader)))
        while not working.done() and not reader.at_eof():
            await asyncio.wait({working}, timeout=0.5)
        working.cancel() if not working.done() else None
        with suppress(asyncio.CancelledError):
            await working

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_alone())


def begin_soon() -> int:
    """A moment that reaches all children in time, at a whole millisecond: the loop's timers know no other."""
    return (time.monotonic_ns() // NS_PER_MS + BEGIN_AFTER_MS) * NS_PER_MS


class Child:
    """A parent's side of one child."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self._module = module
        self._process = process
        self.pid = process.pid

    async def say(self, line: bytes) -> None:
        """Tell it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def begin(self, at_ns: int) -> None:
        """Let it begin at that moment."""
        await self.say(str(at_ns).encode())

    async def report(self, kind: type[T]) -> T:
        """Wait for its report. Raises `LoadtestError` where it ended otherwise."""
        return msgspec.json.decode(await self.line(), type=kind)

    async def line(self) -> bytes:
        """Its next line."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            logged = (await self._process.stderr.read()).decode(errors="replace").strip()
            raise LoadtestError(f"{self._module} ended by itself: {logged[-800:] or 'it logged nothing'}")
        return line


@asynccontextmanager
async def child(module: str, job: msgspec.Struct, settings: Mapping[str, str]) -> AsyncIterator[Child]:
    """A child that is ready to begin; it is gone when the block ends. `settings` are its `WURAO_*` variables."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module,
        env={**os.environ, **settings},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    one = Child(module, process)
    try:
        await one.say(msgspec.json.encode(job))
        async with asyncio.timeout(READY_S_MAX):
            await one.line()
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
