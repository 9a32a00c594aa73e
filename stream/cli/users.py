"""`wurao users`: make the users of Kafka, each with its password, rights and quotas, where no operator does."""

import argparse
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, SecurityDisabled

from stream.cli.common import CommandError, add_config, add_json, config_of, failed, print_json, run_guarded, say
from stream.config import Config, ConfigError, secret
from stream.kafka import clients, users
from stream.kafka.rights import PROCESSES, Quotas, User, gateway

PASSWORD_CHARACTERS_MIN: Final = 16
"""What a machine makes at random with hardly more effort than a shorter one."""


_REFUSALS: Final = {
    ClusterAuthorizationFailedError: "this user may not change users; log in as one of the brokers' super.users",
    SecurityDisabled: "the brokers ask nobody for rights; set authorizer.class.name there, as "
    "deploy/docker-compose.yml does",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "users",
        help="make Kafka's users: passwords, rights, quotas",
        description="Makes a user of Kafka for each process and each gateway, with the rights that it needs and no "
        "others.\nNeeds the rights of a superuser. On Kubernetes Strimzi does this instead.",
        epilog="examples:\n"
        "  wurao users create --passwords /run/secrets\n"
        "  wurao users create --gateway smsc-1=events.sms,events.reply --gateway smsc-1-urgent=events.urgent\n"
        "  wurao users create --gateway smsc-1=events.sms --quotas smsc-1=67108864,134217728,400\n"
        "  wurao users remove smsc-1 smsc-1-urgent       shut out a gateway, at once",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="create|remove", required=True)
    _add_create(verbs)
    sentence = "take every right and the password from users; their quotas stay, so that what they still ask is slow"
    verb = verbs.add_parser("remove", help=sentence, description=sentence.capitalize() + ".")
    add_config(verb)
    add_json(verb)
    verb.add_argument("names", nargs="+", metavar="NAME", help="a user of Kafka, as the brokers know it")
    verb.set_defaults(run=remove)


def _add_create(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sentence = "make the users, and take from them what they should not have"
    verb = verbs.add_parser(
        "create",
        help=sentence,
        description=sentence.capitalize()
        + ". Users that are not named are left as they are: see `wurao users remove`.",
    )
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
    verb.add_argument(
        "--quotas",
        action="append",
        default=[],
        metavar="NAME=WRITTEN,READ,PERCENT",
        help="of one of these gateways, on each broker: bytes a second that it may write and read, and how much of a "
        "thread's time (100: a whole one); the usual ones otherwise",
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the users. Returns 0, or 1 where something cannot be done."""
    try:
        config = config_of(arguments)
        wanted = (*PROCESSES, *_gateways(arguments.gateway, arguments.quotas))
        passwords = _passwords(arguments.passwords, wanted) if arguments.passwords else {}
    except (ConfigError, CommandError) as error:
        return failed("users", str(error))
    return run_guarded("users", _create(config, wanted, passwords, as_json=arguments.json), config)


def remove(arguments: argparse.Namespace) -> int:
    """Take everything from these users. Returns 0, or 1 where one had nothing, or something cannot be done."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("users", str(error))
    return run_guarded("users", _remove(config, arguments.names, as_json=arguments.json), config)


def _gateways(gateways: Sequence[str], quotas: Sequence[str]) -> list[User]:
    """The users that the options state. Raises `CommandError`."""
    limits = dict(map(_quotas, quotas))
    named = Counter(stated.partition("=")[0] for stated in gateways)
    for name, times in named.items():
        if times > 1:
            raise CommandError(f"--gateway {name}: stated {times} times; state its topics once, with commas between")
    for name in limits.keys() - named.keys():
        raise CommandError(f"--quotas {name}: no such gateway; name it by --gateway as well")
    return [_gateway(stated, limits) for stated in gateways]


def _quotas(stated: str) -> tuple[str, Quotas]:
    name, _, values = stated.partition("=")
    try:
        quotas = Quotas(*map(int, values.split(",")))
    except (TypeError, ValueError):
        quotas = Quotas(0, 0, 0)
    if min(quotas) < 1:
        raise CommandError(f"--quotas {name}: give three whole numbers above 0: bytes written, bytes read, percent")
    return name, quotas


def _gateway(stated: str, limits: Mapping[str, Quotas]) -> User:
    name, _, topics = stated.partition("=")
    try:
        return gateway(name, "a gateway", tuple(filter(None, topics.split(","))), limits.get(name))
    except ValueError as error:
        raise CommandError(f"--gateway {error}") from error


def _passwords(directory: Path, wanted: Collection[User]) -> dict[str, str]:
    """Password by user, of those that have a file. Raises `CommandError` for one that is none, `ConfigError` for a file
    that cannot be read.
    """
    try:
        files = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise CommandError(
            f"--passwords {directory}: {error.strerror}; see the path, or run deploy/passwords"
        ) from error
    for name in sorted(files - {user.name for user in wanted}):
        say(f"{directory / name}: not used, for no such user is made here; name a gateway by --gateway")
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
    async with _admin(config) as admin:
        await users.create(admin, wanted, passwords)
    if as_json:
        print_json({"users": [user.name for user in wanted], "passwords": sorted(passwords)})
    else:
        for user in wanted:
            print(f"{user.name}: {'password set, ' if user.name in passwords else ''}rights in force")
    return 0


async def _remove(config: Config, names: Sequence[str], *, as_json: bool) -> int:
    async with _admin(config) as admin:
        had = {name: await users.remove(admin, name) for name in names}
    if as_json:
        print_json({"removed": [name for name in had if had[name]], "had_nothing": [n for n in had if not had[n]]})
    else:
        for name, something in had.items():
            print(f"{name}: {'has no right and no password any more' if something else 'had neither; see its name'}")
    return 0 if all(had.values()) else 1


@asynccontextmanager
async def _admin(config: Config) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that may change users. Raises `CommandError` where the brokers know no rights or do not let us."""
    admin = clients.admin(config)
    try:
        await admin.start()
        yield admin
    except tuple(_REFUSALS) as error:
        raise CommandError(f"Kafka: {type(error).__name__}: {_REFUSALS[type(error)]}") from error
    finally:
        await admin.close()
