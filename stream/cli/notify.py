"""`wurao notify`: the connector that delivers notices."""

import argparse
import asyncio
import os
import sys

from stream import config as configuration
from stream import logs
from stream.cli.common import add_config, add_verbose, end_on_signal
from stream.config import Config, ConfigError
from stream.kafka.reach import CannotStart
from stream.notify import NoticeConnector


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "notify",
        help="deliver notices by mail or webhook",
        description="Reads notices, delivers each by SMTP or to an HTTPS address (docs/notices.md), and records every\n"
        "attempt in deliveries. Start as many as should share them. SIGTERM finishes the attempts under way.",
        epilog="examples:\n"
        "  wurao notify --config /etc/wurao.toml\n"
        "  WURAO_CONNECTOR__CONTACTS_FILE=/etc/wurao/contacts.toml wurao notify",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one instance until a signal ends it. Returns 0, or 1 with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    try:
        asyncio.run(_notify(configuration.load(arguments.config, os.environ)))
    except (ConfigError, CannotStart, OSError) as error:
        print(f"wurao notify: {error}", file=sys.stderr)
        return 1
    return 0


async def _notify(config: Config) -> None:
    connector = NoticeConnector(config)
    end_on_signal(connector.stop)
    await connector.run()
