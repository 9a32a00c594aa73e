"""`wurao enforce`: the control plane."""

import argparse
import asyncio
import os
import sys

from stream import config as configuration
from stream import logs
from stream.cli.common import add_config, add_verbose
from stream.config import Config, ConfigError, keys_of
from stream.kafka.reach import CannotStart
from stream.policy.loading import load as load_policy
from stream.policy.toml import PolicyError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "enforce",
        help="process findings, complaints, campaigns and appeals",
        description="Reads complaints, appeals, filings, case-events and deliveries; keeps every case with its\n"
        "clocks; writes orders, campaigns, expressions, notices and reports. Start as many as should share the cases.\n"
        "Where api.tokens_file is set, the API is served as well (api.host, api.port).\n"
        "SIGTERM finishes the record in hand and ends.",
        epilog="examples:\n"
        "  wurao enforce --config /etc/wurao.toml\n"
        "  WURAO_ENFORCE__CALENDAR=/etc/wurao/calendar.toml wurao enforce",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one instance until a signal ends it. Returns 0, or 1 with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    from stream.enforce.app import EnforceProcess  # noqa: PLC0415  # Faust takes a second to import

    async def enforce(config: Config) -> None:
        await EnforceProcess(config, load_policy(config.policy.file, keys_of(config))).run()

    try:
        asyncio.run(enforce(configuration.load(arguments.config, os.environ)))
    except (ConfigError, PolicyError, CannotStart, OSError) as error:
        print(f"wurao enforce: {error}", file=sys.stderr)
        return 1
    return 0
