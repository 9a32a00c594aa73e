"""`wurao audit`: shows that nothing was delivered to someone who refused."""

import argparse
import asyncio
import os
import signal
import sys

import numpy as np

from stream import config as configuration
from stream import logs
from stream.audit.auditor import Auditor, AuditReport
from stream.cli.common import add_config, add_json, add_verbose, end_on_signal, print_json, serve
from stream.config import Config, ConfigError, keys_of
from stream.kafka.clients import KafkaError
from stream.kafka.identity import TopicsChanged
from stream.kafka.reach import CannotStart, reach
from stream.kafka.rights import AUDIT
from stream.policy.loading import load as load_policy
from stream.policy.settings import Policy
from stream.policy.toml import PolicyError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "audit",
        help="show that nothing was delivered to someone who refused",
        description="Reads every decision again with its event, folds the registry topics itself, and asks two\n"
        "things: does the decision follow from the registry that it names, and was commercial traffic allowed to\n"
        "a subscriber who had refused it? Start as many as should share the partitions; SIGTERM ends it.\n"
        "It judges by the policy of its own configuration, and decisions made by another count as unknown: when the\n"
        "policy changes, send it SIGHUP like the filter, and it knows both.",
        epilog="examples:\n"
        "  wurao audit --config /etc/wurao.toml        a service beside the filter; its metrics say what it finds\n"
        "  wurao audit --once                          what the topics hold now; exit 1 where there is a violation\n"
        "  wurao audit --once --json | jq .violations",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(command)
    add_verbose(command)
    add_json(command)
    command.add_argument("--once", action="store_true", help="judge what is there now and end; exit 1 for a violation")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit until a signal, or once. Returns 0; 1 for a violation found by `--once`, or with the reason on stderr."""
    logs.configure(verbose=arguments.verbose)
    if arguments.json and not arguments.once:
        print("wurao audit: --json prints the result of --once: give both", file=sys.stderr)
        return 2
    try:
        config = configuration.load(arguments.config, os.environ)
        report = asyncio.run(_audit(config, load_policy(config.policy.file, keys_of(config)), once=arguments.once))
    except TopicsChanged as changed:
        print(f"wurao audit: {changed}\nstart it again: it then reads what is there now", file=sys.stderr)
        return 1
    except (ConfigError, PolicyError, CannotStart, KafkaError, OSError) as error:
        print(f"wurao audit: {error}", file=sys.stderr)
        return 1
    if not arguments.once:
        return 0
    if arguments.json:
        print_json(_answer(report))
    else:
        print(_describe(report))
    return 1 if report.violations_count else 0


async def _audit(config: Config, policy: Policy, *, once: bool) -> AuditReport:
    auditor = Auditor(config, policy, await reach(config, AUDIT.topics), once=once)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _adopt, auditor, config)
    if once:
        end_on_signal(auditor.stop)
        return await auditor.run()
    return await serve("audit", auditor, config, port=config.audit.port, setting="audit.port")


def _adopt(auditor: Auditor, config: Config) -> None:
    """Know the policy file as it is now, beside those known already."""
    try:
        auditor.adopt(load_policy(config.policy.file, keys_of(config)))
    except (PolicyError, ConfigError) as error:
        logs.get(__name__).warning("policy refused; those already loaded stay in use", problem=str(error))


def _answer(report: AuditReport) -> dict[str, object]:
    """The report for programs."""
    took = np.array(report.in_force_ms or [0])
    return {
        "decisions": report.outcomes.total(),
        **{outcome: report.outcomes[outcome] for outcome in ("agrees", "differs", "unknown")},
        "whys": dict(report.whys.most_common()),
        "violations_count": report.violations_count,
        "violations": [
            {
                "event": one.event,
                "partition": one.partition,
                "offset": one.offset,
                "sender": one.sender,
                "reason": one.reason,
                "epoch": one.epoch,
            }
            for one in report.violations
        ],
        "refusals_in_force": {
            "count": len(report.in_force_ms),
            "median_ms": int(np.median(took)),
            "p99_ms": int(np.quantile(took, 0.99)),
            "max_ms": int(took.max()),
        },
    }


def _describe(report: AuditReport) -> str:
    """The report for people."""
    outcomes = report.outcomes
    rest = f"{outcomes['differs']:,} do not, {outcomes['unknown']:,} cannot be judged"
    lines = [
        f"{outcomes.total():,} decisions: {outcomes['agrees']:,} follow from the registry that they name, {rest}",
    ]
    lines += [f"  {count:,} × {why}" for why, count in report.whys.most_common()]
    if report.in_force_ms:
        took = np.array(report.in_force_ms)
        lines.append(
            f"refusals applied after {int(np.median(took))} ms (median), {int(took.max())} ms at most, "
            f"{len(took):,} measured"
        )
    if not report.violations_count:
        lines.append("nothing was allowed to a subscriber who had refused it")
        return "\n".join(lines)
    lines.append(f"{report.violations_count:,} VIOLATIONS: allowed to a subscriber who had refused it")
    lines += [
        f"  event {one.event} of {one.sender or 'no sender'}: decisions[{one.partition}]@{one.offset}, {one.reason}"
        for one in report.violations
    ]
    return "\n".join(lines)
