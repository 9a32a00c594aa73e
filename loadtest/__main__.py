"""`python -m loadtest`: `bench` measures, `soak` runs long and counts what is lost."""

import argparse
import logging
import signal
import sys

from loadtest import bench, soak
from stream.demo.processes import FilterError
from stream.kafka.local import LocalKafkaError


def main() -> int:
    """Run one of them. Exit codes: 0 done, 1 failed or lost something, 130 interrupted."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    benching = commands.add_parser("bench", help="throughput beside peers, propagation of words, registry rate")
    benching.add_argument(
        "--quick", action="store_true", help="a smaller run, within 90 s: a look, no figures to quote"
    )
    soaking = commands.add_parser("soak", help="steady traffic, workers killed now and then, nothing lost")
    soaking.add_argument("--minutes", type=float, default=15.0, metavar="N", help="how long (default: 15)")
    soaking.add_argument("--rate", type=int, default=2_000, metavar="N", help="events a second (default: 2000)")
    benching.set_defaults(run=lambda told: _done(bench.run(bench.QUICK if told.quick else bench.WHOLE)))
    soaking.set_defaults(run=lambda told: soak.run(minutes=told.minutes, rate=told.rate))
    told = parser.parse_args()
    # A topic that has just been made has no leader for a moment: aiokafka tries again, and would say so.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    try:
        code: int = told.run(told)
    except (FilterError, LocalKafkaError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _done(_: object) -> int:
    return 0


if __name__ == "__main__":
    sys.exit(main())
