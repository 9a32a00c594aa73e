"""`python -m loadtest`: measure the filter, beside other programs, on this machine's broker or on a cluster of yours.

`run SCENARIO` measures; `list` names the scenarios; `report` writes what was measured into loadtest/README.md and
docs/capacity.md. `bench` and `soak` are what `make bench` and `make soak` run.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from rich.console import Console

from loadtest import capacity, figures, report
from loadtest.cluster import LoadtestError
from loadtest.options import RunOptions
from loadtest.running import measure
from loadtest.scenarios import SCENARIOS, Scenario
from stream.kafka.clients import KafkaError
from stream.testbed.local import LocalKafkaError
from stream.testbed.processes import ProcessError

WIDTH: Final = 160
"""Of what is printed into a file."""

FAILURES: Final = (ProcessError, LoadtestError, LocalKafkaError, KafkaError, KeyError, ValueError, OSError)
"""What a run may come to, and says in a sentence."""

BENCH: Final = ("throughput", "optout-propagation", "registry-churn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed or not in order, 2 misuse, 130 interrupted."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    parsed = _parser().parse_args(arguments)
    # A new topic has no leader for a moment, a new group no coordinator: aiokafka tries again, and would say so.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except FAILURES as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    running = commands.add_parser(
        "run",
        help="measure one scenario",
        epilog="examples:\n"
        "  python -m loadtest run throughput --quick\n"
        "  python -m loadtest run latency --rates 1000,20000 --seconds 60 --bootstrap broker:9092\n"
        "  python -m loadtest run throughput --peers passthrough,java --repeat 5",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    running.add_argument("scenario", metavar="SCENARIO", help=f"one of {', '.join(SCENARIOS)}")
    _add_options(running)
    running.set_defaults(run=lambda parsed: _run(parsed, [parsed.scenario]))
    listing = commands.add_parser("list", help="name the scenarios")
    listing.set_defaults(run=lambda _: _list())
    reporting = commands.add_parser("report", help="write the newest results into loadtest/README.md, docs/capacity.md")
    reporting.add_argument(
        "--run", action="store_true", dest="anew", help="measure everything first (an hour and a half)"
    )
    reporting.add_argument("--only", type=_names, metavar="A,B", help="of these scenarios only")
    _add_options(reporting)
    reporting.set_defaults(run=_report)
    modelling = commands.add_parser("capacity", help="write docs/capacity.md from the published results")
    modelling.set_defaults(run=lambda _: _done(capacity.write()))
    benching = commands.add_parser("bench", help=f"run {', '.join(BENCH)}")
    _add_options(benching)
    benching.set_defaults(run=lambda parsed: _run(parsed, BENCH))
    soaking = commands.add_parser("soak", help="run soak")
    _add_options(soaking)
    soaking.add_argument("--minutes", type=float, metavar="N", help="how long")
    soaking.add_argument("--rate", type=int, metavar="N", help="events a second")
    soaking.set_defaults(run=lambda parsed: _run(parsed, ["soak"]))
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that measures; what is not given stays as the scenario has it."""
    parser.add_argument("--quick", action="store_true", help="a look, within a minute or so: no figures to quote")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a cluster for trials (default: one is started here)")
    parser.add_argument("--out", type=Path, default=figures.DIRECTORY, metavar="DIR", help="where results are written")
    parser.add_argument("--repeat", type=int, metavar="N", help="turns; figures are their median")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long a load lasts")
    parser.add_argument("--events", type=int, metavar="N", help="events that wait", dest="events_count")
    parser.add_argument("--refusals", type=int, metavar="N", help="refusals in the registry", dest="refusals_count")
    parser.add_argument("--rates", type=_numbers, metavar="N,N", help="events a second; 0: half of saturation")
    parser.add_argument("--workers", type=_numbers, metavar="N,N", help="numbers of workers")
    parser.add_argument("--churn", type=int, metavar="N", help="registry records a second", dest="churn_per_s")
    parser.add_argument("--everything", type=float, metavar="X", help="of these, the part that refuses everything",
                        dest="everything_share")  # fmt: skip
    parser.add_argument("--backlog", type=int, metavar="N", help="events that wait before emergencies")
    parser.add_argument("--numbers", type=_numbers, metavar="N,N", help="sizes of registries")
    parser.add_argument("--peers", type=_names, metavar="A,B", help="programs beside the filter (default: all)")
    parser.add_argument(
        "--hostile", type=int, metavar="N", help="hostile events beside good ones", dest="hostile_count"
    )
    parser.add_argument("--alone", type=int, metavar="N", help="hostile events alone", dest="alone_count")
    parser.add_argument("--partitions", type=int, metavar="N", help="of all partitioned topics (default: 12)")
    parser.add_argument("--pin", action="store_true", default=None, help="workers and generator on cores of their own")


def run_options(scenario: Scenario, parsed: argparse.Namespace) -> RunOptions:
    """What a scenario is run with: its own options, and over them those of the command line. Raises `LoadtestError`."""
    given = {
        name: value
        for name in RunOptions.__struct_fields__
        if name != "quick" and (value := getattr(parsed, name, None)) is not None
    }
    if getattr(parsed, "minutes", None) is not None:
        given["seconds"] = 60 * parsed.minutes
    if getattr(parsed, "rate", None) is not None:
        given["rates"] = (parsed.rate,)
    options = msgspec.structs.replace(scenario.quick if parsed.quick else scenario.whole, **given)
    own = scenario.whole
    for name in ("rates", "workers"):
        few, many = len(getattr(own, name)), len(getattr(options, name))
        if few == 1 != many:
            raise LoadtestError(f"--{name}: {scenario.name} takes one, and {many} were given")
    if options.repeat < 1 or options.seconds <= 0 or options.events_count < 1 or min((1, *options.workers)) < 1:
        raise LoadtestError("--repeat, --events and --workers are at least 1, --seconds more than 0")
    return options


def _run(parsed: argparse.Namespace, names: Sequence[str]) -> int:
    sound = True
    for name in names:
        scenario = SCENARIOS.get(name)
        if scenario is None:
            print(f"loadtest: no scenario is called {name!r}: choose from {', '.join(SCENARIOS)}", file=sys.stderr)
            return 2
        options = run_options(scenario, parsed)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(measure(scenario, options, bootstrap=parsed.bootstrap))
        except FAILURES as error:
            # One of many must not lose the others' hours.
            print(f"loadtest: {name}: {error}", file=sys.stderr)
            sound = False
            continue
        paths = report.keep(result, parsed.out)
        report.show(result, Console(width=None if sys.stdout.isatty() else WIDTH), paths)
        sound = sound and result.sound
    return 0 if sound else 1


def _report(parsed: argparse.Namespace) -> int:
    names = parsed.only or tuple(SCENARIOS)
    code = _run(parsed, names) if parsed.anew else 0
    report.publish(parsed.out, names)
    capacity.write()
    return code


def _list() -> int:
    width = max(map(len, SCENARIOS))
    for scenario in SCENARIOS.values():
        print(f"{scenario.name:<{width}}  {scenario.what}")
    return 0


def _done(_: object) -> int:
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part.replace("_", "")) for part in text.split(",") if part)


if __name__ == "__main__":
    sys.exit(main())
