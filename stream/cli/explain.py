"""`wurao explain`: why one event is decided as it is.

A table on a terminal, plain lines in a pipe, JSON for programs.
"""

import argparse
import codecs
import sys
from pathlib import Path

from stream.cli.common import add_json, failed, print_json
from stream.cli.decide import add_world, warn_if_no_sender_is_registered
from stream.cli.options import keys_here
from stream.config import ConfigError
from stream.feed.files import RegistryFileError, load_registry
from stream.feed.ndjson import sort_of, text_problem
from stream.model.codec import Undecodable, decode_event
from stream.policy.explain import Explanation, explain
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.toml import PolicyError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "explain",
        help="every rule tried for one event, and which one decided",
        description="Decides one event and tells why: each rule tried in order, what it needed, what was seen.\n"
        "The answer may hold numbers and words of the message: treat it as you would the message.",
        epilog="examples:\n"
        "  wurao explain event.json --registry registry.ndjson\n"
        "  grep 01JD7 events.ndjson | wurao explain - --registry base.snapshot --json\n"
        '  wurao explain \'{"kind":"call","id":"1","time":1795500000000,"to":"110"}\' --policy opt-out',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "event", metavar="EVENT", help="an event in JSON, a file that holds one, or - for standard input"
    )
    add_world(command)
    add_json(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain the event. Returns 0, or 1 where something given could not be used."""
    try:
        event = decode_event(_one(_given(arguments.event)))
        keys = keys_here()
        policy = load(arguments.policy, keys)
        loaded = load_registry(arguments.registry, keys)
    except (ConfigError, PolicyError, RegistryFileError) as error:
        return failed("explain", str(error))
    except Undecodable as error:
        return failed("explain", f"EVENT: {error}")
    except (OSError, ValueError) as error:
        return failed("explain", f"{error}; give an event in JSON, a file that holds one, or -")
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    warn_if_no_sender_is_registered(loaded.registry, arguments.registry)
    now = event.time if arguments.now is None else arguments.now
    explanation = explain(event, World(policy, loaded.registry), now)
    if arguments.json:
        print_json(explanation)
    elif sys.stdout.isatty():
        _show_table(explanation)
    else:
        print("\n".join(_lines(explanation)))
    return 1 if loaded.problems else 0


def _given(word: str) -> bytes:
    if word == "-":
        return sys.stdin.buffer.read()
    if word.lstrip().startswith("{"):
        return word.encode()
    return Path(word).read_bytes()


def _one(given: bytes) -> bytes:
    """The one event. Raises `ValueError` where it is several, or what every event in it would fail for."""
    if problem := text_problem(given):
        raise ValueError(problem)
    lines = [line for line in given.removeprefix(codecs.BOM_UTF8).split(b"\n") if not line.isspace() and line]
    if len(lines) > 1 and sort_of(lines[0]) == "events":
        raise ValueError(f"EVENT holds {len(lines):,} lines, and one event is explained: take one out, as by `grep ID`")
    if lines and sort_of(lines[0]) == "registry records":
        raise ValueError("EVENT holds registry records, which are given by --registry")
    return b"\n".join(lines).strip()


def _outcome(explanation: Explanation) -> str:
    decision = explanation.decision
    basis = f", basis {decision.basis}" if decision.basis else ""
    appeal = f", appeal {decision.appeal}" if isinstance(decision.appeal, str) else ""
    return f"{decision.verdict}: {decision.reason}{basis}{appeal} (rule {explanation.tried[-1].rule})"


def _lines(explanation: Explanation) -> list[str]:
    lines = [
        f"{tried.rule if first else '':<4} {'yes' if asked.met else 'no ':<3}  {asked.need}  [{asked.saw}]"
        for tried in explanation.tried
        for first, asked in ((place == 0, asked) for place, asked in enumerate(tried.asked))
    ]
    return [*lines, _outcome(explanation)]


def _show_table(explanation: Explanation) -> None:
    from rich.console import Console  # noqa: PLC0415  # takes a tenth of a second, for terminals only
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("rule", "needs", "", "seen", box=None, pad_edge=False)
    for tried in explanation.tried:
        for place, asked in enumerate(tried.asked):
            answer = Text("yes", "green") if asked.met else Text("no", "red")
            rule = Text(tried.rule if place == 0 else "")
            table.add_row(rule, Text(asked.need), answer, Text(asked.saw), style="bold" if tried.decided else "dim")
    console = Console()
    console.print(table)
    colour = {"allow": "green", "block": "red", "suspend": "yellow"}[explanation.decision.verdict]
    console.print(Text(_outcome(explanation), f"bold {colour}"))
