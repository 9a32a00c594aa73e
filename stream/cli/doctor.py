"""`wurao doctor`: what is wrong with this installation, and the mend."""

import argparse
import asyncio
import logging
import os
from typing import Final

from stream import config as configuration
from stream import logs
from stream.cli import doctor_cluster, doctor_here
from stream.cli.check_results import CheckResult, State, worst, wrong
from stream.cli.common import add_config, add_json, print_json
from stream.config import ConfigError

MARKS: Final[dict[State, str]] = {"ok": "ok   ", "warn": "warn ", "wrong": "WRONG"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "doctor",
        help="say what is wrong and how to correct it",
        description="Looks at the configuration, the policy, time zones and calendars, snapshots and the clock; then\n"
        "at brokers, topics, the registry, consumer groups and the filter of this machine. Changes nothing.\n"
        "Exit 1 where something is wrong; a warning alone is 0.",
        epilog="examples:\n"
        "  wurao doctor\n"
        "  wurao doctor --config /etc/wurao.toml\n"
        "  wurao doctor --json | jq '.checks[] | select(.state != \"ok\")'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_json(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything. Returns 0, or 1 where something is wrong."""
    logs.configure()
    for name in (None, "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the checks report it in our words
    try:
        config = configuration.load(arguments.config, os.environ)
    except ConfigError as error:
        found = [
            wrong("configuration", str(error), "correct it: nothing starts with it, and nothing else was looked at")
        ]
    else:
        found = doctor_here.checks(config) + asyncio.run(doctor_cluster.checks(config))
    if arguments.json:
        print_json({"worst": worst(found), "checks": [one._asdict() for one in found]})
    else:
        print(_describe(found))
    return 1 if worst(found) == "wrong" else 0


def _describe(found: list[CheckResult]) -> str:
    width = max(len(one.name) for one in found)
    lines: list[str] = []
    for name, state, what, mend in found:
        lines.append(f"{MARKS[state]}  {name:<{width}}  {what}")
        if mend:
            lines.append(f"{'':<{width + 7}}  → {mend}")
    counts = {state: sum(one.state == state for one in found) for state in MARKS}
    verdict = "all is well" if worst(found) == "ok" else f"{counts['wrong']} wrong, {counts['warn']} to look at"
    return "\n".join([*lines, "", f"{verdict} ({len(found)} checks)"])
