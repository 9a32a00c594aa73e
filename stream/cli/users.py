"""`wurao users`: make the users of Kafka, each with its password, rights and quotas, where no operator does."""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Final

from stream.cli.common import CommandError, add_config, add_json, config_of, failed, print_json, run_guarded
from stream.config import Config, ConfigError, secret
from stream.kafka import clients, users
from stream.kafka.rights import PROCESSES, User, gateway

PASSWORD_CHARACTERS_MIN: Final = 16
"""What a machine makes at random with hardly more effort than a shorter one."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "users",
        help="make Kafka's users: passwords, rights, quotas",
        description="Makes a user of Kafka for each process and each gateway, with the rights that it needs and no "
        "others.\nNeeds the rights of a superuser. On Kubernetes Strimzi does this instead.",
        epilog="examples:\n"
        "  wurao users create --passwords /run/secrets\n"
        "  wurao users create --gateway smsc-1=events.sms,events.reply --gateway smsc-1-urgent=events.urgent",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="create", required=True)
    sentence = "make the users, and take from them what they should not have"
    verb = verbs.add_parser("create", help=sentence, description=sentence.capitalize() + ".")
    add_config(verb)
    add_json(verb)
    verb.add_argument(
        "--passwords",
        type=Path,
        metavar="DIRECTORY",
        help="a file for each user, named as it, that holds its password (SCRAM-SHA-512); a user without a file keeps "
        "the password that it has",
    )
    verb.add_argument(
        "--gateway",
        action="append",
        default=[],
        metavar="NAME=TOPIC[,TOPIC…]",
        help="a gateway's user and the events that it writes; it reads decisions, in groups whose names begin NAME. "
        "(with the dot). Urgent events need a user of their own",
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the users. Returns 0, or 1 where something cannot be done."""
    try:
        config = config_of(arguments)
        wanted = (*PROCESSES, *(_gateway(stated) for stated in arguments.gateway))
        passwords = _passwords(arguments.passwords, wanted) if arguments.passwords else {}
    except (ConfigError, CommandError) as error:
        return failed("users", str(error))
    return run_guarded("users", _create(config, wanted, passwords, as_json=arguments.json), config)


def _gateway(stated: str) -> User:
    name, _, topics = stated.partition("=")
    try:
        return gateway(name, "a gateway", tuple(filter(None, topics.split(","))))
    except ValueError as error:
        raise CommandError(f"--gateway {error}") from error


def _passwords(directory: Path, wanted: Collection[User]) -> dict[str, str]:
    """Password by user, of those that have a file. Raises `CommandError` for one that is none, `ConfigError` for a file
    that cannot be read.
    """
    found = {}
    for user in wanted:
        path = directory / user.name
        if not path.exists():
            continue
        password = secret(None, str(path)) or ""
        if len(password) < PASSWORD_CHARACTERS_MIN or not (password.isascii() and password.isprintable()):
            raise CommandError(
                f"{path}: no password; give {PASSWORD_CHARACTERS_MIN} or more printable ASCII characters, at random"
            )
        found[user.name] = password
    return found


async def _create(config: Config, wanted: Collection[User], passwords: dict[str, str], *, as_json: bool) -> int:
    admin = clients.admin(config)
    try:
        await admin.start()
        await users.create(admin, wanted, passwords)
    finally:
        await admin.close()
    if as_json:
        print_json({"users": [user.name for user in wanted], "passwords": sorted(passwords)})
    else:
        for user in wanted:
            print(f"{user.name}: {'password set, ' if user.name in passwords else ''}rights in force")
    return 0
