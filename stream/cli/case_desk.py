"""`wurao case note|attach|assign|letter|statistics`: what an office does with cases besides acting on them.

An attachment's content is read here for its digest and size, and goes nowhere.
"""

import argparse
import asyncio
import csv
import hashlib
import sys
from pathlib import Path
from typing import Final

import msgspec

from stream.cli.case_client import Client, case_id, print_answer, time_text, with_client
from stream.cli.common import CommandError, add_config, add_json, given_or_read
from stream.enforce.api.letters_shown import LetterShown
from stream.enforce.api.statistics import MonthStatistics, StatisticsRow
from stream.enforce.procedures.case_work import NOTE_CHARACTERS_MAX
from stream.enforce.procedures.regions import region

_PIECE_BYTES: Final = 1 << 20


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    note = verbs.add_parser("note", help="note something on a case", description="Notes something, for your office.")
    note.add_argument("case", metavar="CASE")
    note.add_argument("text", metavar="TEXT", help="the note; `-` reads it from standard input")
    attach = verbs.add_parser(
        "attach",
        help="attach a document to a case",
        description="Records a document's name, size and SHA-256, and where it lies; its content stays where it is.",
    )
    attach.add_argument("case", metavar="CASE")
    attach.add_argument("file", metavar="FILE", type=Path)
    attach.add_argument("--name", metavar="TEXT", help="what it is called (default: the file's name)")
    attach.add_argument("--reference", metavar="TEXT", help="where it lies, such as a shelf mark or an address")
    assign = verbs.add_parser(
        "assign", help="hand a case to a person of your office", description="Hands a case to a person of your office."
    )
    assign.add_argument("case", metavar="CASE")
    whom = assign.add_mutually_exclusive_group(required=True)
    whom.add_argument("to", metavar="PERSON", nargs="?", help="as tokens name people, such as desk:17")
    whom.add_argument("--nobody", action="store_true", help="take it out of anybody's hands")
    assign.add_argument("--reason", metavar="TEXT", help="what the next person should know; `-` reads it")
    letter = verbs.add_parser(
        "letter",
        help="what a case told somebody, as a letter in Chinese",
        description="Shows what a case told somebody last, as a letter in Chinese, such as to print and serve it.",
    )
    letter.add_argument("case", metavar="CASE")
    letter.add_argument("--notice", metavar="NOTICE", help="another than the last; the answer in JSON names them all")
    add_json(letter)
    add_config(letter)
    letter.set_defaults(run=with_client(_letter))
    counted = verbs.add_parser(
        "statistics",
        help="what is counted of a month",
        description="What is counted of a month of Shanghai: cases received and ended, clocks kept and missed, and "
        "measures in force.",
    )
    counted.add_argument("month", metavar="MONTH", help="such as 2026-11")
    written = counted.add_mutually_exclusive_group()
    written.add_argument("--csv", action="store_true", help="as a table for spreadsheets")
    written.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    add_config(counted)
    counted.set_defaults(run=with_client(_statistics))
    for verb, work in ((note, _note), (attach, _attach), (assign, _assign)):
        verb.add_argument("--key", metavar="TEXT", help="an Idempotency-Key: a request that is repeated counts once")
        add_config(verb)
        add_json(verb)
        verb.set_defaults(run=with_client(work))


async def _note(client: Client, arguments: argparse.Namespace) -> int:
    text = await asyncio.to_thread(_whole, arguments.text)
    return await _send(client, arguments, {"event": "noted", "text": text})


async def _attach(client: Client, arguments: argparse.Namespace) -> int:
    size_bytes, sha256 = await asyncio.to_thread(_digested, arguments.file)
    stated = {"name": arguments.name or arguments.file.name, "sha256": sha256, "size_bytes": size_bytes}
    return await _send(client, arguments, {"event": "attached", **stated, "reference": arguments.reference})


async def _assign(client: Client, arguments: argparse.Namespace) -> int:
    reason = await asyncio.to_thread(given_or_read, arguments.reason) if arguments.reason else None
    return await _send(client, arguments, {"event": "assigned", "to": arguments.to, "reason": reason})


async def _send(client: Client, arguments: argparse.Namespace, body: dict[str, object]) -> int:
    path = f"/v1/cases/{case_id(arguments.case)}/events"
    return print_answer(await client.ask(path, body=body, key=arguments.key), arguments)


async def _letter(client: Client, arguments: argparse.Namespace) -> int:
    query = {"notice": arguments.notice} if arguments.notice else None
    body = await client.ask(f"/v1/cases/{case_id(arguments.case)}/letter", query=query)
    print(f"{body.decode()}\n" if arguments.json else msgspec.json.decode(body, type=LetterShown).text, end="")
    return 0


async def _statistics(client: Client, arguments: argparse.Namespace) -> int:
    body = await client.ask("/v1/statistics", query={"month": arguments.month})
    if arguments.json:
        print(body.decode())
        return 0
    month = msgspec.json.decode(body, type=MonthStatistics)
    if arguments.csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(("month", *StatisticsRow.__struct_fields__))
        table.writerows((month.month, *msgspec.structs.astuple(row)) for row in month.rows)
    else:
        _print_statistics(month)
    if not month.whole:
        why = "it is not over, or cases that count for it have been removed since: the archive has them"
        print(f"{month.month} is not whole: {why}", file=sys.stderr)
    return 0


def _print_statistics(month: MonthStatistics) -> None:
    print(f"{month.month}, as counted {time_text(month.counted)} (Shanghai)")
    before: tuple[str, str] | None = None
    for row in month.rows:
        if (row.what, row.procedure) != before:
            before = row.what, row.procedure
            alike = sum(one.count for one in month.rows if (one.what, one.procedure) == before)
            print(f"{row.what} {row.procedure}: {alike:,}")
        place = region(row.region) if row.region else None
        about = ", ".join(filter(None, (row.channel, place.name if place else row.region)))
        print(f"  {row.count:>9,}  {row.name or '-'}{f' ({about})' if about else ''}")


def _whole(word: str) -> str:
    """A note itself, or for `-` all of standard input, as far as one can be long."""
    return sys.stdin.read(NOTE_CHARACTERS_MAX + 1).strip() if word == "-" else word


def _digested(path: Path) -> tuple[int, str]:
    """A file's size in bytes and its SHA-256. Raises `CommandError`."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                size_bytes += len(piece)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error
    return size_bytes, digest.hexdigest()
