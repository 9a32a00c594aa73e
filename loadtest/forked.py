"""Forked children that do a piece of work step by step, each step when it is asked for; and what a process takes.

For measurements of what is shared: the parent forks all of them before it asks any. Linux only.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


def memory_bytes() -> int:
    """What this process has, and its share of what it shares."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


Child = tuple[IO[bytes], IO[bytes]]


def fork(work: Callable[[], Iterator[str]]) -> Child:
    """A forked child that says `r` when it is there, then one line of its work each time it is asked."""
    answers, answering = os.pipe()
    asked, asking = os.pipe()
    if os.fork() == 0:
        os.close(answers)
        os.close(asking)
        try:
            os.write(answering, b"r")
            lines = work()
            while os.read(asked, 1):
                os.write(answering, next(lines).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(answering)
    os.close(asked)
    return os.fdopen(answers, "rb"), os.fdopen(asking, "wb", buffering=0)


def ask(answers: IO[bytes], go: IO[bytes]) -> bytes:
    """The child's next line; this waits for it."""
    go.write(b"?")
    return answers.readline()
