"""The command line: every command's parser.

Each command lives in a file of its own with `add` (its parser) and `run` (its work, returning the exit code). A
command's modules are imported when it is asked for, so that `wurao decide` does not load what only `filter` needs.
"""

import argparse
import sys
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final, Protocol

import stream.cli

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

ORDER: Final = (
    "demo",
    "filter",
    "enforce",
    "watch",
    "notify",
    "registrar",
    "audit",
    "case",
    "decide",
    "explain",
    "will",
    "subscriber",
    "scrub",
    "registry",
    "sign",
    "topics",
    "users",
    "doctor",
)
"""Commands in the order of `--help`: as a newcomer meets them."""


class Command(Protocol):
    """A command's module."""

    def add(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add the command's parser, with examples in its epilog, and `set_defaults(run=…)`."""


class _Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, whose help that cannot be written is no success."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        # The library passes over errors here.
        if message:
            (file or sys.stderr).write(message)


def parser(asked: str | None) -> argparse.ArgumentParser:
    """The command line: with the command that is asked for, or else with all of them."""
    whole: argparse.ArgumentParser = _Parser(
        prog="wurao",
        description="Filters SMS and calls by what each subscriber has refused and agreed to.",
        epilog="examples:\n"
        "  wurao demo                                  a demonstration on this machine\n"
        "  wurao decide events.ndjson --registry registry.ndjson\n"
        "  wurao filter --workers 2                    decide what comes through Kafka\n"
        "\nEvery command has its own help: wurao COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"wurao {version('wurao')}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    there = {module.name for module in iter_modules(stream.cli.__path__)}
    for name in (asked,) if asked in ORDER else ORDER:
        if name in there:
            command: Command = import_module(f"stream.cli.{name}")
            command.add(commands)
    return whole
