"""`wurao registry owner|sender`: whose a number is or was, and which records a sender had; the registrar answers."""

import argparse
from collections.abc import Callable, Coroutine
from typing import Final

from bloom.wills import CHANNELS
from stream.cli.common import CommandError, add_config, add_json, config_of, failed, print_json, run_guarded
from stream.config import Config, ConfigError
from stream.kafka.registry_client import registry_client
from stream.model.requests import AskOwner, AskSender, OwnerRecord, SenderHistory, SenderVersion
from stream.model.times import iso_time, read_time

_ASKER: Final = "wurao registry"

_Work = Callable[[Config, argparse.Namespace], Coroutine[object, object, int]]


def add_reads(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands."""
    owner = verbs.add_parser(
        "owner",
        help="whose a number is, or was",
        description="Says which sender owns a sending number on a channel, and by which prefix: now, or at a moment,\n"
        "as far back as the topic has senders' records.",
        epilog="examples:\n"
        "  wurao registry owner 1069012345 --channel sms\n"
        "  wurao registry owner +861055550000 --channel call --at 2026-11-01T08:00:00+08:00",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    owner.add_argument("number", metavar="NUMBER")
    owner.add_argument("--channel", choices=CHANNELS, required=True)
    owner.add_argument("--at", metavar="WHEN", help="milliseconds since the epoch, or ISO 8601 with an offset")
    sender = verbs.add_parser(
        "sender",
        help="a sender's records, one after another",
        description="Shows a sender's records in order of receipt, as far back as the topic has them.",
        epilog="examples:\n  wurao registry sender ORG-1042",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sender.add_argument("sender", metavar="SENDER")
    for command, run in ((owner, run_owner), (sender, run_sender)):
        add_config(command)
        add_json(command)
        command.set_defaults(run=run)


def run_owner(arguments: argparse.Namespace) -> int:
    """Say whose a number is. Returns 0, or 1 where nobody answers."""
    return _run("registry owner", arguments, _owner)


def run_sender(arguments: argparse.Namespace) -> int:
    """Show a sender's records. Returns 0, or 1 where nobody answers."""
    return _run("registry sender", arguments, _sender)


def _run(name: str, arguments: argparse.Namespace, work: _Work) -> int:
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed(name, str(error))
    return run_guarded(name, work(config, arguments), config)


async def _owner(config: Config, arguments: argparse.Namespace) -> int:
    try:
        at = None if arguments.at is None else read_time(arguments.at)
    except ValueError as error:
        raise CommandError(f"--at: {error}") from error
    async with registry_client(config, client="wurao-registry") as client:
        found = await client.read(AskOwner(arguments.number, arguments.channel, at), OwnerRecord, actor=_ASKER)
    if arguments.json:
        print_json(found)
    else:
        print(f"{found.sender}, by its prefix {found.prefix}" if found.sender else "nobody's")
    return 0


async def _sender(config: Config, arguments: argparse.Namespace) -> int:
    async with registry_client(config, client="wurao-registry") as client:
        found = await client.read(AskSender(arguments.sender), SenderHistory, actor=_ASKER)
    if arguments.json:
        print_json(found)
        return 0
    for version in found.versions:
        print(f"{iso_time(version.written)}, offset {version.offset}: {_sentence(version)}")
    if not found.versions:
        print("there is no record of it")
    return 0


def _sentence(version: SenderVersion) -> str:
    record = version.record
    if record is None:
        return "removed"
    numbers = ", ".join(f"{entry.prefix} ({entry.channel})" for entry in record.numbers)
    return f"{record.name}, {record.status}; {numbers or 'no numbers'}"
