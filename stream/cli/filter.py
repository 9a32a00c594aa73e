"""`wurao filter`: the data plane."""

import argparse
import asyncio
import os
import sys
from typing import get_args, get_type_hints

import msgspec

from stream import config as configuration
from stream import logs
from stream.audit.shadow import Shadow
from stream.cli.common import add_config, add_verbose, serve
from stream.config import Config, ConfigError, keys_of
from stream.filter.supervisor import Supervisor
from stream.kafka.clients import KafkaError
from stream.kafka.reach import CannotStart, reach
from stream.kafka.rights import SHADOW
from stream.policy.loading import load as load_policy
from stream.policy.toml import PolicyError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "filter",
        help="decide what comes through Kafka",
        description="Consumes events.*, answers each in decisions, and follows registry.*. A supervisor loads the\n"
        "registry once and forks the workers, which share it. SIGTERM drains; SIGHUP loads a\n"
        "changed policy file without a restart (a bad one is refused, and the present one stays in\n"
        "use); SIGUSR1 makes a new base.",
        epilog="examples:\n"
        "  wurao filter --workers 2\n"
        "  wurao filter --config /etc/wurao.toml\n"
        "  kill -HUP PID                                 the policy file has changed\n"
        "  wurao filter --shadow --policy next.toml      what would it change? see the topic shadow-differences\n"
        "  WURAO_KAFKA__BOOTSTRAP=broker:9092 wurao filter",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    command.add_argument("--workers", type=int, metavar="N", help="one per core (default: filter.workers)")
    command.add_argument(
        "--delivery",
        choices=get_args(get_type_hints(configuration.FilterConfig)["delivery"]),
        help="how decisions are delivered (default: filter.delivery)",
    )
    command.add_argument("--policy", metavar="FILE", help="decide by this policy (default: policy.file)")
    command.add_argument(
        "--shadow",
        action="store_true",
        help="decide again, beside production, every event that it decides, and publish only the differences",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the filter until a signal ends it. Returns 0, or 1 with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    try:
        config = _with_options(configuration.load(arguments.config, os.environ), arguments)
        asyncio.run(_shadow(config) if arguments.shadow else _supervise(config))
    except (ConfigError, PolicyError, CannotStart, KafkaError, OSError) as error:
        print(f"wurao filter: {error}", file=sys.stderr)
        return 1
    return 0


async def _supervise(config: Config) -> None:
    await Supervisor(config, load_policy(config.policy.file, keys_of(config))).run()


async def _shadow(config: Config) -> None:
    policy = load_policy(config.policy.file, keys_of(config))
    shadow = Shadow(config, policy, await reach(config, SHADOW.topics))
    await serve(
        "shadow", shadow, config, port=config.filter.shadow_port, setting="filter.shadow_port", policy=policy.version
    )


def _with_options(config: Config, arguments: argparse.Namespace) -> Config:
    given = {"workers": arguments.workers, "delivery": arguments.delivery}
    changed = msgspec.structs.replace(
        config.filter, **{name: value for name, value in given.items() if value is not None}
    )
    if changed.workers < 1:
        raise ConfigError(f"--workers {changed.workers}: at least one")
    if changed.delivery == "exactly-once" and config.registry.mode == "partitioned":
        raise ConfigError(
            "filter.delivery exactly-once does not go with registry.mode partitioned; use at-least-once there"
        )
    chosen = msgspec.structs.replace(config.policy, file=arguments.policy) if arguments.policy else config.policy
    return msgspec.structs.replace(config, filter=changed, policy=chosen)
