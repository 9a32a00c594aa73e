"""`wurao demo`: everything at work on this machine, in under a minute."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

from stream.config import ConfigError

RATE_MAX: Final = 50_000
"""Beyond, the one process that makes the traffic and reads the answers is what is measured."""

SECONDS_MIN, SECONDS_MAX = 3.0, 3_600.0


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "demo",
        help="a demonstration on this machine",
        description="Starts a genuine Kafka, writes a registry of a million refusals, runs `wurao filter` with\n"
        "two workers, sends SMS, calls and replies of every outcome, and shows what is decided. Ends by itself.",
        epilog="examples:\n"
        "  wurao demo\n"
        "  wurao demo --seconds 10 --rate 2000 | cat       plain lines\n"
        "  wurao demo --messages corpus.ndjson.gz          texts from a corpus: NDJSON of `text` and `label`\n"
        "  wurao demo --keep                               broker and filter stay until Ctrl-C",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--seconds", type=float, default=24.0, metavar="N", help="how long traffic flows (default: 24)"
    )
    command.add_argument("--rate", type=int, default=5_000, metavar="N", help="events a second (default: 5000)")
    command.add_argument("--keep", action="store_true", help="keep broker and filter running afterwards")
    command.add_argument("--messages", type=Path, metavar="FILE", help="take the texts from this corpus")
    command.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="use this empty cluster and start no broker (also: WURAO_KAFKA__BOOTSTRAP, --config)",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="the configuration of that cluster, a TOML file")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration. Returns 0, or 1 with the reason on stderr."""
    if not SECONDS_MIN <= arguments.seconds <= SECONDS_MAX:
        return _refuse(f"--seconds {arguments.seconds:g}: from {SECONDS_MIN:g} to {SECONDS_MAX:g}")
    if not 1 <= arguments.rate <= RATE_MAX:
        return _refuse(f"--rate {arguments.rate}: from 1 to {RATE_MAX:,}")

    from rich.console import Console  # noqa: PLC0415  # these take half a second, which `--help` need not wait for

    from stream.demo import run as demo  # noqa: PLC0415
    from stream.kafka.clients import KafkaError  # noqa: PLC0415
    from stream.testbed.local import LocalKafkaError  # noqa: PLC0415
    from stream.testbed.processes import ProcessError  # noqa: PLC0415
    from stream.testbed.texts import CorpusError  # noqa: PLC0415

    # A topic that has just been made has no leader for a moment: aiokafka tries again, and would say so on the picture.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    options = demo.Options(
        seconds=arguments.seconds,
        rate=arguments.rate,
        keep=arguments.keep,
        messages=arguments.messages,
        bootstrap=arguments.bootstrap,
        config=arguments.config,
    )
    expected = (demo.DemoError, ProcessError, CorpusError, ConfigError, LocalKafkaError, KafkaError)
    try:
        return demo.run(options, Console())
    except expected as failure:
        return _refuse(str(failure))


def _refuse(why: str) -> int:
    print(f"wurao demo: {why}", file=sys.stderr)
    return 1
