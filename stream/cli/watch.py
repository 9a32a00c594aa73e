"""`wurao watch`: early warning."""

import argparse
import asyncio
import os
import sys

from stream import config as configuration
from stream import logs
from stream.cli.common import add_config, add_verbose, serve
from stream.config import Config, ConfigError, keys_of
from stream.kafka.clients import KafkaError
from stream.kafka.reach import CannotStart
from stream.policy.loading import load as load_policy
from stream.policy.toml import PolicyError
from stream.warning.watch import Watcher


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "watch",
        help="find senders that work without consent",
        description="Reads the activity that filters count per sender and window, judges it by the policy's table\n"
        "[warning], and hands findings to `wurao enforce`. Start as many as should share the senders.\n"
        "SIGTERM finishes the batch in hand and ends.",
        epilog="examples:\n"
        "  wurao watch --config /etc/wurao.toml\n"
        "  WURAO_POLICY__FILE=/etc/wurao/policy.toml wurao watch",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one instance until a signal ends it. Returns 0, or 1 with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    try:
        asyncio.run(_watch(configuration.load(arguments.config, os.environ)))
    except (ConfigError, PolicyError, CannotStart, KafkaError, OSError) as error:
        print(f"wurao watch: {error}", file=sys.stderr)
        return 1
    return 0


async def _watch(config: Config) -> None:
    watch = Watcher(config, load_policy(config.policy.file, keys_of(config)))
    await serve("watch", watch, config, port=config.watch.port, setting="watch.port")
