"""`wurao registrar`: the one door to the registry."""

import argparse
import asyncio
import os
import sys

import uvloop

from stream import config as configuration
from stream import logs
from stream.cli.common import add_config, add_verbose, serve
from stream.config import Config, ConfigError, keys_of
from stream.kafka.clients import KafkaError
from stream.kafka.reach import CannotStart
from stream.policy.loading import load as load_policy
from stream.policy.toml import PolicyError
from stream.registrar.process import Registrar


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "registrar",
        help="admit what is written to the registry: the one door",
        description="Reads registry.requests and registry.bulk, admits or refuses what they ask, writes the registry\n"
        "topics, and answers each request in registry.answers. Keeps what stands of every subscriber on disk, in\n"
        "registrar.directory; what is lost there is built again from the topics. Start as many as should share the\n"
        "partitions, each with a directory of its own. SIGTERM finishes the transactions in hand and ends.",
        epilog="examples:\n"
        "  wurao registrar --config /etc/wurao.toml\n"
        "  wurao registrar --verify          compare the stores with all of their topics before they serve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    command.add_argument(
        "--verify", action="store_true", help="compare stores with all of their topics; build anew what differs"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one instance until a signal ends it. Returns 0, or 1 with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(configuration.load(arguments.config, os.environ), verify_all=arguments.verify))
    except (ConfigError, PolicyError, CannotStart, KafkaError, OSError) as error:
        print(f"wurao registrar: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Config, *, verify_all: bool) -> None:
    registrar = Registrar(config, load_policy(config.policy.file, keys_of(config)), verify_all=verify_all)
    await serve("registrar", registrar, config, port=config.registrar.port, setting="registrar.port")
