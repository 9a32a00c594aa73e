"""Forking a child that shares the parent's memory and runs one coroutine on a loop of its own.

A pipe ties them: the child writes a byte when it is ready, one whenever that changes, and one each second while its
loop turns; its end closes the pipe, whatever ended it. The child asks the kernel for a signal when its parent dies,
so that none outlives it. Linux only.
"""

import asyncio
import ctypes
import gc
import os
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NoReturn

import uvloop

from stream import logs

log = logs.get(__name__)

_READY: Final = b"\x01"
_NOT_READY: Final = b"\x00"
_TURNS: Final = b"\x02"

TURN_EVERY_S: Final = 1.0
"""How often a child's loop says that it turns."""

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal for a child whose parent has died."""

ReportReady = Callable[[bool], None]
"""Says whether the child does its work now; the first time, that it begins to."""

Job = Callable[[ReportReady], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """A forked process. `ready` is done once it was; `ended` holds its exit code (negative: by that signal)."""

    pid: int
    started: float
    ready: asyncio.Future[None]
    ended: asyncio.Future[int]
    well: asyncio.Event = field(default_factory=asyncio.Event)
    """set while it says that it is ready"""
    turns: asyncio.Event = field(default_factory=asyncio.Event)
    """set whenever it says anything; whoever watches clears it"""

    @property
    def is_ready(self) -> bool:
        """Whether it does its work now."""
        return self.well.is_set() and not self.ended.done()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended.done():
            os.kill(self.pid, number)


class ExitWith(Exception):
    """Ends a child with a code that tells its parent why, which tells the operator where it is `expected`."""

    def __init__(self, code: int, why: str, *, expected: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.expected = expected


def fork(job: Job, *, release: Callable[[], None]) -> Child:
    """Start a child that runs `job`; `release` lets go, in the child, of what only the parent should hold.

    What the parent holds is moved out of the garbage collector's sight first: otherwise the child's first
    collection would write into every page and end the sharing.
    """
    gc.collect()
    gc.freeze()
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_child(job, parent, writing, release)
    os.close(writing)
    gc.unfreeze()
    loop = asyncio.get_running_loop()
    child = Child(pid, time.monotonic(), loop.create_future(), loop.create_future())
    loop.add_reader(reading, _on_message, child, reading)
    return child


def _on_message(child: Child, reading: int) -> None:
    """The child says whether it is ready, or its end of the pipe has closed: it is gone, or as good as gone."""
    if message := os.read(reading, 1 << 10):
        child.turns.set()
        states = message.replace(_TURNS, b"")
        if states.endswith(_READY):
            child.well.set()
        elif states:
            child.well.clear()
        if states and not child.ready.done():
            child.ready.set_result(None)
        return
    asyncio.get_running_loop().remove_reader(reading)
    os.close(reading)
    _, status = os.waitpid(child.pid, 0)
    child.ended.set_result(os.waitstatus_to_exitcode(status))


def _be_child(job: Job, parent: int, writing: int, release: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGUSR1):  # meant for the parent, when a whole group is signalled
            signal.signal(number, signal.SIG_IGN)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:  # else it died before it could be watched
            release()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_turning(job(partial(_say_ready, writing)), writing))
            code = 0
    except ExitWith as ending:
        code = ending.code
        if not ending.expected:
            log.exception("process ends")
    except BaseException:  # the child's last words; nothing may escape into the parent's copied stack
        log.exception("process ends")
    finally:
        os._exit(code)


async def _turning(work: Coroutine[object, object, None], writing: int) -> None:
    """Do the work, and say meanwhile that the loop turns."""

    async def turn() -> None:
        while True:
            os.write(writing, _TURNS)
            await asyncio.sleep(TURN_EVERY_S)

    turning = asyncio.create_task(turn())
    try:
        await work
    finally:
        turning.cancel()


def _say_ready(writing: int, ready: bool) -> None:  # noqa: FBT001  # the one thing that it says
    os.write(writing, _READY if ready else _NOT_READY)
