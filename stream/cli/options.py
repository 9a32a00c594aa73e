"""Options that several commands have, each in one place. Light: `decide` and `explain` start without a client."""

import argparse
import os
from pathlib import Path

from bloom.signatures import Keys
from stream import config as configuration


def add_registry_files(
    command: argparse.ArgumentParser,
    *,
    required: bool = False,
    says: str = "NDJSON registry records or a snapshot; several are applied in order",
) -> None:
    """The option that names the files of the registry: a list, empty where none is given."""
    command.add_argument(
        "--registry", metavar="FILE", type=Path, nargs="+", action="extend", required=required, default=[], help=says
    )


def add_policy(command: argparse.ArgumentParser) -> None:
    """The option that names the policy."""
    command.add_argument(
        "--policy", metavar="FILE", help="a policy file, or the name of a shipped one (default: cn-2020)"
    )


def add_number_column(command: argparse.ArgumentParser) -> None:
    """The option that names the column of a table that has the numbers."""
    command.add_argument(
        "--column",
        metavar="NAME",
        help="the column that has the numbers, by its name or its place from 1 (default: by a name that is known)",
    )


def keys_here() -> Keys | None:
    """The keys by which files are signed, for commands that need nothing else of a configuration: of that which the
    environment names. Raises `ConfigError`.
    """
    path = os.environ.get("WURAO_CONFIG")
    return configuration.keys_of(configuration.load(Path(path) if path else None, os.environ))
