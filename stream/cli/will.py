"""`wurao will`: what one subscriber wants, every expression behind it, and a way to write one.

The number that the operator asks about is shown whole: it is the answer to a question, and no log.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final, get_args

import msgspec

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.number import Msisdn, masked, parse
from bloom.partition import partition_of
from bloom.signatures import Keys
from bloom.wills import CHANNELS, Channel, Scope, Verb
from stream.cli.common import (
    CommandError,
    add_config,
    add_json,
    config_of,
    failed,
    given_or_read,
    print_json,
    run_guarded,
    say,
)
from stream.cli.options import add_registry_files
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.kafka.registry_client import RegistryClient, registry_client
from stream.model import limits
from stream.model.codec import Undecodable, decode_file_record, encode
from stream.model.fields import EVERYTHING
from stream.model.registry import Expression, key_fault, scope_name
from stream.model.requests import AskSubscriber, RegistryRequest, Statements, SubscriberRecord
from stream.model.times import iso_time, read_time, time_problem
from stream.model.topics import EXPRESSIONS
from stream.policy.loading import load as load_policy
from stream.policy.settings import Policy
from stream.registry import order_rule
from stream.registry.order_rule import Received
from stream.registry.registry import expression_row_of

SOURCE: Final = "command"

_ASKER: Final = "wurao will"
"""Who asks, where no actor is named."""


class StandingScope(msgspec.Struct, frozen=True):
    """A refusal or consent that holds, and the expression that it comes from, where that is known."""

    sender: str
    category: str
    expression: Expression | None


class ChannelWills(msgspec.Struct, frozen=True):
    """What a subscriber wants on one channel."""

    refusals: list[StandingScope]
    consents: list[StandingScope]


class ShownWills(msgspec.Struct, frozen=True):
    """The answer of `will show --json`. Expressions stand in order of receipt, as far as they are kept."""

    subscriber: str
    sms: ChannelWills
    call: ChannelWills
    expressions: list[Expression]


@dataclass(slots=True)
class SubscriberHistory:
    """All that is known of one subscriber: a state to begin with, and expressions in order of receipt."""

    wills: Wills = field(default_factory=Wills)
    expressions: list[Expression] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, expression: Expression) -> None:
        """Take in the next expression."""
        self.wills.apply([expression_row_of(expression)])
        self.expressions.append(expression)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "will",
        help="show or write one subscriber's expressions",
        description="Shows a subscriber's refusals and consents with the expressions behind them, or writes one.",
        epilog="examples:\n"
        "  wurao will show +8613800138000\n"
        "  wurao will show 13800138000 --registry registry.ndjson --json\n"
        "  wurao will show - < number.txt\n"
        "  wurao will set +8613800138000 --channel sms --will refuse --source phone-call --actor desk:17\n"
        "  wurao will set +8613800138000 --channel sms --will consent --sender ORG-1042 --category finance \\\n"
        "      --source web-form --evidence sha256:4f1c...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="show|set", required=True)
    show = verbs.add_parser(
        "show",
        help="show one subscriber's refusals and consents",
        description="Shows one subscriber's refusals and consents, as the registrar has them or by files.",
    )
    _add_number(show)
    add_registry_files(show, says="NDJSON registry records or a snapshot, in order, instead of the topics")
    add_config(show)
    add_json(show)
    show.set_defaults(run=run_show)
    write = verbs.add_parser("set", help="write one expression", description="Has the registrar write one expression.")
    _add_number(write)
    write.add_argument("--channel", choices=CHANNELS, required=True)
    write.add_argument("--will", choices=get_args(Verb), required=True)
    write.add_argument("--sender", metavar="S", help="the sender that it concerns (default: any)")
    write.add_argument("--category", metavar="K", help="the category that it concerns (default: any)")
    write.add_argument("--source", metavar="TEXT", default=SOURCE, help=f"how it was expressed (default: {SOURCE})")
    write.add_argument("--evidence", metavar="TEXT", help="what proves it, such as sha256:…")
    write.add_argument("--actor", metavar="TEXT", help="who writes it down")
    write.add_argument(
        "--time",
        metavar="WHEN",
        help="when it was expressed: milliseconds since the epoch, or ISO 8601 with an offset (default: now)",
    )
    write.add_argument(
        "--unregistered",
        action="store_true",
        help="write a consent also to a sender that is not registered, or of a category that the policy does not have",
    )
    add_config(write)
    add_json(write)
    write.set_defaults(run=run_set)


def _add_number(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "number",
        metavar="NUMBER",
        help="the subscriber, such as +8613800138000; `-` reads it from standard input, so that no list of processes "
        "shows it",
    )


def run_show(arguments: argparse.Namespace) -> int:
    """Show one subscriber's wills. Returns 0, or 1 where something could not be read."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("will", str(error))
    return run_guarded("will", _show(config, arguments), config)


def run_set(arguments: argparse.Namespace) -> int:
    """Write one expression. Returns 0 once all replicas have it."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("will", str(error))
    return run_guarded("will", _set(config, arguments), config)


async def _show(config: Config, arguments: argparse.Namespace) -> int:
    policy = load_policy(config.policy.file, keys_of(config))
    subscriber = policy.numbering.person(_number(arguments))
    if subscriber is None:
        raise CommandError(_no_person(arguments))
    if arguments.registry:
        history = _from_files(arguments.registry, subscriber, keys_of(config))
    else:
        history = await _from_registrar(config, subscriber)
    for problem in history.problems:
        print(problem, file=sys.stderr)
    answer = _answer(subscriber, history)
    if arguments.json:
        print_json(answer)
    else:
        _print(answer)
    return 1 if history.problems else 0


async def _set(config: Config, arguments: argparse.Namespace) -> int:
    policy = load_policy(config.policy.file, keys_of(config))
    now = now_ms()
    expression = _expression(arguments, policy, now)
    actor = arguments.actor or _ASKER
    async with registry_client(config, client="wurao-will") as client:
        if expression.will == "refuse":
            standing = _refused_already(expression, await _received(client, expression.subscriber, actor))
            if standing is not None:
                say(f"wurao will: refused already: {order_rule.sentence(standing)}")
        stated = Statements(unregistered=arguments.unregistered)
        answer = await client.ask(RegistryRequest(f"will-{token_hex(8)}", now, actor, (expression,), stated=stated))
    for refusal in answer.refusals:
        raise CommandError(f"{'too late: ' * (refusal.code == 'late')}{refusal.what}; nothing was written")
    for name in answer.unknown:
        say(f"wurao will: {name.what}")
    if arguments.json:
        print(encode(expression).decode())
    else:
        partition = partition_of(expression.subscriber, config.topics.partitions)
        if answer.already:  # under its key; what came later about a broader scope may have ended it
            print(f"stood already in {EXPRESSIONS}, partition {partition}; `wurao will show` says whether it counts:")
        else:
            print(f"stands in {EXPRESSIONS}, partition {partition}, offset {answer.version}:")
        print(_sentence(expression))
    return 0


async def _received(client: RegistryClient, subscriber: str, actor: str) -> Sequence[Received]:
    """What the registrar has of a subscriber, in order of receipt. Raises `NotRead`, `NoAnswer`."""
    record = await client.read(AskSubscriber(subscriber), SubscriberRecord, actor=actor)
    return [Received(one.expression, one.written) for one in record.expressions]


def _refused_already(expression: Expression, received: Sequence[Received]) -> Received | None:
    """The refusal that stands and covers what this one is about."""
    kept = [one for one in received if one.expression.channel == expression.channel]
    wills = Wills()
    wills.apply([expression_row_of(one.expression) for one in kept])
    scope = _about(expression)
    row = expression_row_of(expression)
    refusals, consents = wills.expressions_of(row.channel, row.number)
    covering = {
        one for one in refusals if one.sender in (None, scope.sender) and one.category in (None, scope.category)
    }
    if any(scope.sender in (None, one.sender) and scope.category in (None, one.category) for one in consents):
        return None
    last = (one for one in reversed(kept) if one.expression.will == "refuse" and _about(one.expression) in covering)
    return next(last, None)


def _expression(arguments: argparse.Namespace, policy: Policy, now: int) -> Expression:
    """What the arguments state. Raises `CommandError`."""
    subscriber = policy.numbering.registrable(_number(arguments))
    if subscriber is None:
        raise CommandError(_no_person(arguments))
    try:
        moment = now if arguments.time is None else read_time(arguments.time)
    except ValueError as error:
        raise CommandError(f"--time: {error}") from error
    problem = time_problem(moment, now)
    if problem is not None:
        raise CommandError(f"--time: {problem}")
    stated = {
        "subscriber": subscriber,
        "channel": arguments.channel,
        "will": arguments.will,
        "time": moment,
        "source": arguments.source,
        "sender": scope_name(arguments.sender),
        "category": scope_name(arguments.category),
        "evidence": arguments.evidence or None,
        "actor": arguments.actor or None,
    }
    try:
        expression = msgspec.convert(stated, Expression)
    except msgspec.ValidationError as error:
        raise CommandError(str(error)) from error
    if exceeded := limits.excess(expression):
        raise CommandError("; ".join(map(str, exceeded)))
    if fault := key_fault(expression):
        raise CommandError(fault)
    return expression


def _number(arguments: argparse.Namespace) -> str:
    arguments.number = given_or_read(arguments.number)
    return str(arguments.number)


def _no_person(arguments: argparse.Namespace) -> str:
    return (
        f"{masked(arguments.number)!r} is no person's number: give a mobile or fixed number, such as +8613800138000 or "
        "010-87654321; one of another country with its + and code"
    )


async def _from_registrar(config: Config, subscriber: str) -> SubscriberHistory:
    """The subscriber's expressions as the registrar has them."""
    async with registry_client(config, client="wurao-will") as client:
        received = await _received(client, subscriber, _ASKER)
    history = SubscriberHistory()
    for one in received:
        history.add(one.expression)
    return history


def _from_files(paths: Sequence[Path], subscriber: str, keys: Keys | None) -> SubscriberHistory:
    history = SubscriberHistory()
    for path in paths:
        try:
            if snapshot.is_snapshot(path):
                _take_snapshot(history, path, keys)
            else:
                _take_lines(history, path, subscriber)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}; give an NDJSON file or a snapshot") from error
    return history


def _take_snapshot(history: SubscriberHistory, path: Path, keys: Keys | None) -> None:
    if history.expressions:
        raise CommandError(f"{path}: a snapshot is a whole registry; give it first")
    history.wills = snapshot.read(path, keys).wills


def _take_lines(history: SubscriberHistory, path: Path, subscriber: str) -> None:
    wanted = subscriber[1:].encode()  # JSON may write the plus as an escape, and digits hardly
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if wanted not in line:
                continue
            try:
                record = decode_file_record(line)
            except Undecodable as error:
                history.problems.append(f"{path}:{number}: {error}")
                continue
            if isinstance(record, Expression) and record.subscriber == subscriber:
                history.add(record)


def _answer(subscriber: str, history: SubscriberHistory) -> ShownWills:
    number = parse(subscriber)
    assert number is not None
    sms, call = (_channel(history, channel, number) for channel in CHANNELS)
    return ShownWills(subscriber, sms, call, history.expressions)


def _channel(history: SubscriberHistory, channel: Channel, number: Msisdn) -> ChannelWills:
    refusals, consents = history.wills.expressions_of(channel, number)
    last = {_about(expression): expression for expression in history.expressions if expression.channel == channel}

    def standing(scopes: list[Scope]) -> list[StandingScope]:
        return [
            StandingScope(scope.sender or EVERYTHING, scope.category or EVERYTHING, last.get(scope)) for scope in scopes
        ]

    return ChannelWills(standing(refusals), standing(consents))


def _about(expression: Expression) -> Scope:
    return Scope(scope_name(expression.sender), scope_name(expression.category))


def _print(answer: ShownWills) -> None:
    print(answer.subscriber)
    behind = {
        id(standing.expression)
        for channel in (answer.sms, answer.call)
        for standing in (*channel.refusals, *channel.consents)
    }
    for name, channel in (("sms", answer.sms), ("call", answer.call)):
        print(f"  {name}:" + ("" if channel.refusals or channel.consents else " silent"))
        for verb, standings in (("refuses", channel.refusals), ("consents to", channel.consents)):
            for standing in standings:
                print(f"    {verb} {_scope(standing.sender, standing.category)}")
                if standing.expression is None:
                    print("      (a snapshot keeps what counts, not the single expressions)")
                else:
                    print(f"      {_provenance(standing.expression)}")
    past = [expression for expression in answer.expressions if id(expression) not in behind]
    if past:
        print("  other expressions, none of which counts any more:")
        for expression in past:
            print(f"    {_sentence(expression)}")


def _sentence(expression: Expression) -> str:
    scope = _scope(scope_name(expression.sender) or EVERYTHING, scope_name(expression.category) or EVERYTHING)
    return f"{expression.subscriber} {expression.channel}: {expression.will} {scope}; {_provenance(expression)}"


def _scope(sender: str, category: str) -> str:
    if sender == category == EVERYTHING:
        return "everything (*, *)"
    return f"sender {sender}, category {category}"


def _provenance(expression: Expression) -> str:
    parts = [f"expressed {iso_time(expression.time)}", f"source {expression.source}"]
    if expression.evidence:
        parts.append(f"evidence {expression.evidence}")
    if expression.actor:
        parts.append(f"actor {expression.actor}")
    return ", ".join(parts)
