"""`wurao decide`: the decision on files, without any broker. The first look takes a second.

Streams: one line in, one line out, in order, in constant memory.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from stream.cli.moments import WRITTEN, moment
from stream.cli.options import add_policy, add_registry_files, keys_here
from stream.config import ConfigError
from stream.feed.files import RegistryFileError, load_registry
from stream.feed.ndjson import OtherSort, UnreadableLinesError, lines_of
from stream.model.codec import Undecodable, decode_event, encode
from stream.model.events import Event
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.toml import PolicyError
from stream.registry.registry import Registry

CHUNK_LINES: Final = 1_000
"""Lines decided between two writes: enough to make a write cheap, few enough to follow with the eye."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "decide",
        help="decide events from a file, without a broker",
        description="Reads NDJSON events and writes one decision a line, in order, by the same rules as the filter.\n"
        "A line that is no event is reported on stderr with its number; the rest is decided; exit code 1.",
        epilog="examples:\n"
        "  wurao decide events.ndjson --registry registry.ndjson\n"
        "  wurao decide - --registry base.snapshot --registry today.ndjson < events.ndjson\n"
        "  wurao decide events.ndjson --registry registry.ndjson --policy opt-out --now 1795500000000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("events", metavar="EVENTS", help="a file of NDJSON events, or - for standard input")
    add_world(command)
    command.set_defaults(run=run)


def add_world(command: argparse.ArgumentParser) -> None:
    """The options that say what to decide by: `--registry`, `--policy`, `--now`."""
    add_registry_files(command)
    add_policy(command)
    command.add_argument(
        "--now",
        metavar="WHEN",
        type=moment,
        help=f"the moment of decision: {WRITTEN} (default: each event's own time)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Decide the file's events. Returns 0, or 1 where a line of any file was no record."""
    try:
        keys = keys_here()
        policy = load(arguments.policy, keys)
        loaded = load_registry(arguments.registry, keys)
    except (ConfigError, PolicyError, RegistryFileError) as error:
        print(error, file=sys.stderr)
        return 1
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    decider = Decider(policy, loaded.registry)
    try:
        lines = sys.stdin.buffer if arguments.events == "-" else Path(arguments.events).open("rb")  # noqa: SIM115
    except OSError as error:
        print(f"{arguments.events}: {error.strerror}; give a file of NDJSON events, or -", file=sys.stderr)
        return 1
    warn_if_no_sender_is_registered(loaded.registry, arguments.registry)
    with lines:
        name = "standard input" if arguments.events == "-" else arguments.events
        try:
            refused = _decide_lines(lines_of(lines, name), decider, arguments.now, sys.stdout.buffer)
        except UnreadableLinesError as error:
            print(error, file=sys.stderr)
            return 1
    return 1 if refused or loaded.problems else 0


def warn_if_no_sender_is_registered(registry: Registry, files: Sequence[Path]) -> None:
    """Say on stderr why hardly anything will be allowed, where that is so: it looks as if the rules were at fault."""
    if registry.senders:
        return
    what = "no sender is registered there" if files else "without --registry no sender is registered"
    print(
        f"{what}: commercial and service traffic is blocked, as `unlicensed`; give the senders' records by --registry",
        file=sys.stderr,
    )


def _decide_lines(lines: Iterable[bytes], decider: Decider, now: int | None, out: BinaryIO) -> int:
    numbered = enumerate(lines, start=1)
    refused = 0
    other = OtherSort("events")
    while chunk := list(islice(numbered, CHUNK_LINES)):
        events: list[Event] = []
        for number, line in chunk:
            try:
                events.append(decode_event(line))
            except Undecodable as error:
                if line.strip():
                    refused += 1
                    if problem := other.problem(line, str(error)):
                        print(f"line {number}: {problem}", file=sys.stderr)
        if events:
            out.write(b"\n".join(map(encode, decider.decide_all(events, now))) + b"\n")
    out.flush()
    if summary := other.summary():
        print(summary, file=sys.stderr)
    return refused
