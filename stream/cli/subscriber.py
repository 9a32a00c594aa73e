"""`wurao subscriber`: what is kept of one person, shown and erased (PIPL), by way of the API.

What is wrong in it is corrected by the ordinary acts: `wurao will set`, and what is added to a complaint or filing.
"""

import argparse
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec

from stream.cli.case_client import Client, time_text, with_client
from stream.cli.common import CommandError, add_config, add_json, given_or_read, private_file, say
from stream.enforce.api.subscriber_file import Erased, KeptByDuty, SubscriberFile
from stream.registry.order_rule import Received, sentence


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "subscriber",
        help="show, export or erase what is kept of one person",
        description="Shows, exports or erases what is kept of one person. Each is recorded, with its reason.",
        epilog="examples:\n"
        "  wurao subscriber show - --reason 'asked for it at the counter, 2026/17' < number.txt\n"
        "  wurao subscriber export - --reason 'asked for it by letter' --output file.json < number.txt\n"
        "  wurao subscriber erase - --reason 'asked for it by letter' --yes < number.txt",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="show|export|erase", required=True)
    show = verbs.add_parser("show", help="show it", description="Shows what is kept of one person, in short.")
    _add_common(show)
    show.set_defaults(run=with_client(_show, command="subscriber"))
    export = verbs.add_parser(
        "export", help="write it to a file", description="Writes all that is kept of one person, as JSON."
    )
    _add_common(export)
    export.add_argument("--output", type=Path, metavar="FILE", help="where to, for its owner's eyes (default: stdout)")
    export.set_defaults(run=with_client(_export, command="subscriber"))
    erase = verbs.add_parser(
        "erase", help="erase it", description="Erases what no duty keeps, and names what stays, and until when."
    )
    _add_common(erase)
    erase.add_argument("--yes", action="store_true", help="it is meant: nothing of it can be undone")
    add_json(erase)
    erase.set_defaults(run=with_client(_erase, command="subscriber"))


def _add_common(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "number", metavar="NUMBER", help="whose; `-` reads it from standard input, where no `ps` shows it"
    )
    verb.add_argument("--reason", metavar="TEXT", required=True, help="why, for the record")
    add_config(verb)


async def _file(client: Client, arguments: argparse.Namespace) -> bytes:
    return await client.ask(f"{_path(arguments)}/file", query={"reason": arguments.reason})


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    file = msgspec.json.decode(await _file(client, arguments), type=SubscriberFile)
    print(f"expressions: {len(file.expressions)}")
    for one in file.expressions:
        print(f"  {sentence(Received(one.expression, one.written))}{'' if one.counts else ' (counts no more)'}")
    print(f"orders: {len(file.orders)}")
    for order in file.orders:
        print(f"  {order.order}: {order.measure}, since {time_text(order.from_)}")
    print(f"cases: {len(file.cases)}")
    for case in file.cases:
        print(f"  {case.case}: {case.part}, {case.procedure}, {case.state}, of {time_text(case.updated)}")
    _print_kept(file.kept)
    return 0


async def _export(client: Client, arguments: argparse.Namespace) -> int:
    body = await _file(client, arguments)
    if arguments.output is None:
        sys.stdout.write(body.decode() + "\n")
        return 0
    with private_file(arguments.output) as file:
        file.write(msgspec.json.format(body) + b"\n")
    say(f"wurao subscriber: written to {arguments.output}")
    return 0


async def _erase(client: Client, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        raise CommandError("nothing of an erasure can be undone: look at it (`show`), and add --yes")
    body = await client.ask(f"{_path(arguments)}/erasure", body={"reason": arguments.reason})
    if arguments.json:
        print(body.decode())
        return 0
    erased = msgspec.json.decode(body, type=Erased)
    print(f"erased: {erased.expressions_count} keys of the registry, {erased.cases_count} cases ({erased.id})")
    _print_kept(erased.kept)
    return 0


def _print_kept(kept: tuple[KeptByDuty, ...]) -> None:
    print("kept:")
    for one in kept:
        until = f" ({time_text(one.until)})" if one.until is not None else ""
        print(f"  {one.what}: {one.why}; {one.ends}{until}")


def _path(arguments: argparse.Namespace) -> str:
    return f"/v1/subscribers/{quote(given_or_read(arguments.number), safe='')}"
