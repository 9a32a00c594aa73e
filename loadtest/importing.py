"""How many lines a second `wurao registry import` takes: `python -m loadtest.importing`.

A file of mobile numbers in random order, no two alike, goes into empty topics, `wurao registry import` being a process
of its own that asks one registrar; then the same file again, of which nothing is written. Of each are printed the lines
a second from the process's start to its end, and the CPU time that the kernel charged it and the registrar, user and
system, a line. The broker shares the machine unless `--bootstrap` names another. Lines a second are those of a quiet
machine only: the load average is printed as well.
"""

import argparse
import asyncio
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, get_args

from loadtest import machine
from loadtest.environment import Rig, note, rigging
from loadtest.scenarios.registrar import registrar
from stream.testbed.processes import cpu_s, environment_with, wurao_command

LINES: Final = 2_000_000
NUMBERS: Final = 10**8
"""Of one prefix, from which the lines are drawn."""
TIME_MS: Final = 1_790_000_000_000

Form = Literal["list", "csv", "ndjson"]
"""A number a line; a table in which each row has its own time; expressions."""


def lines_of(form: Form, count: int) -> Iterator[str]:
    """The lines of a file."""
    numbers = random.Random(1).sample(range(NUMBERS), count)
    if form == "csv":
        yield "mobile,time\n"
    for place, number in enumerate(numbers):
        if form == "list":
            yield f"135{number:08d}\n"
        elif form == "csv":
            yield f"135{number:08d},{TIME_MS + place}\n"
        else:
            yield (
                f'{{"kind":"expression","subscriber":"+86135{number:08d}","channel":"call","will":"refuse",'
                f'"time":{TIME_MS + place},"source":"letters"}}\n'
            )


async def _run(arguments: argparse.Namespace) -> None:
    async with rigging(arguments.bootstrap) as rig:
        print(machine.describe(kafka="this machine's" if arguments.bootstrap is None else "another's"))
        await rig.make_topics()
        path = rig.directory / f"numbers.{'txt' if arguments.form == 'list' else arguments.form}"
        with path.open("w", encoding="ascii") as file:
            file.writelines(lines_of(arguments.form, arguments.lines))
        with registrar(rig, "registrar") as door:
            await door.ready()
            for what in ("into empty topics", "the same again"):
                before = cpu_s(door.pid) or 0.0
                wall_s, own_s = _imported(rig, path)
                doors_s = (cpu_s(door.pid) or 0.0) - before
                note(
                    f"{what}: {arguments.lines:,} lines, {arguments.lines / wall_s:,.0f} a second; "
                    f"{1e6 * own_s / arguments.lines:.2f} µs of CPU a line, {1e6 * doors_s / arguments.lines:.2f} of "
                    f"the registrar's, {1e6 * wall_s / arguments.lines:.2f} by the clock; load average "
                    f"{os.getloadavg()[0]:.1f}"
                )


def _imported(rig: Rig, path: Path) -> tuple[float, float]:
    """Seconds by the clock and of CPU that an import of the file takes."""
    command = wurao_command("registry", "import", path, "--channel", "call", "--will", "refuse", "--source", "letters")
    started = time.monotonic()
    with (rig.directory / "import.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment_with(rig.settings), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((rig.directory / "import.log").read_text(encoding="utf-8"))
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=LINES, help=f"of the file (default: {LINES:,})")
    parser.add_argument("--form", choices=get_args(Form), default="list", help="of the file (default: list)")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a cluster of yours, its topics empty")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
