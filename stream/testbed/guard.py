"""A guard that owns one process and lets it live no longer than whoever asked for it.

Run as a script, with nothing but the standard library, as `python -I -S guard.py OWNER GRACE_S LOG COMMAND…`:
COMMAND becomes the leader of a process group of its own and writes to the file LOG. The guard prints
COMMAND's process id on its first line of output, and then waits for one of three things.

* Its standard input ends: the owner closed its end of the pipe, or died and the kernel closed it.
* Its parent is no longer the process OWNER: the owner died while a forked child of it still held the pipe.
* COMMAND ends by itself.

In the first two cases it sends SIGTERM to the group, waits GRACE_S seconds, and sends SIGKILL. It exits with
COMMAND's exit code (128 + n after signal n), so the owner learns how COMMAND ended by waiting for the guard.
As COMMAND's parent it holds the process id until then, so a signal never reaches a stranger that inherited
the number.

Whoever starts it gives it a session of its own, so that no terminal's signals reach it: the owner decides
what those mean.

It must never read or change anything but that process group: it knows nothing of Kafka.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

POLL_S = 0.2
"""How long a change that has no event of its own (the parent's death, COMMAND's end) may go unseen."""


def owner_is_gone(owner: int, wait_s: float) -> bool:
    """Wait up to `wait_s` for the pipe from the owner to end; true when it did, or when the owner has
    died.
    """
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], wait_s)
    # The owner never writes, so what is readable is the end of the file.
    return bool(readable) or os.getppid() != owner


def end_group(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the process group that `process` leads: by request first, by force after `grace_s` seconds."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(arguments: list[str]) -> int:
    """Run and guard one command; see the head of the file for the arguments and the exit code."""
    owner, grace_s, log, *command = arguments
    # A guard that is asked to end takes its process along: SystemExit passes the `finally` below.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with Path(log).open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        try:
            print(process.pid, flush=True)
        except BrokenPipeError:
            # The owner went before it was told: there is nobody to guard for, nor to print to at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        while process.poll() is None and not owner_is_gone(int(owner), POLL_S):
            pass
    finally:
        if process.poll() is None:
            end_group(process, float(grace_s))
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
