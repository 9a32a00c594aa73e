"""`wurao case`: the control plane's cases from a terminal, by way of its API.

It knows no rule of its own: what may be filed or done, and by whom, the API says, and its refusals are shown
as they come. The person at the terminal may see numbers; no log is written.
"""

import argparse
import asyncio
import sys
from typing import Final

import msgspec

from stream.cli import case_check, case_desk, case_listings
from stream.cli.case_client import Client, case_id, print_answer, time_text, with_client
from stream.cli.common import CommandError, add_config, add_json, given_or_read, read_object
from stream.cli.moments import WRITTEN, asked_moment, moment
from stream.enforce.api.responses import CaseLine, CasePage, CaseShown
from stream.enforce.procedures.case_work import CaseWork
from stream.enforce.procedures.engine import Proposal
from stream.model.cases import ClockDue
from stream.model.times import SHANGHAI

RESOURCES: Final = {
    "complaint": "complaints",
    "dispute": "disputes",
    "appeal": "appeals",
    "campaign": "filings",
    "expression": "expressions",
    "finding": "findings",
    "direction": "directions",
    "punishment": "punishments",
    "order": "orders",
}
"""What can be filed, and the resource that takes it."""

COMPLETED: Final = ("complaint", "campaign", "direction")
"""What can be filed again under its case, with what was missing."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "case",
        help="list, show, check, file and decide cases",
        description="Speaks to the control plane's API at api.url with the token of api.token or api.token_file.",
        epilog="examples:\n"
        "  wurao case list --procedure complaint --due-before 2026-10-09\n"
        "  wurao case list --mine\n"
        "  wurao case list --text 贷款 --since 2026-10-01 --ended\n"
        "  wurao case list --subscriber - < number.txt     # so that no list of processes shows it\n"
        "  wurao case show C-bcdf-ghjk-mnpq-rstv\n"
        "  wurao case file complaint --set subscriber=+8613800138000 --set channel=sms --set from=1069012345 \\\n"
        "      --set at:=1795500000000 --set text=...\n"
        "  wurao case file complaint - < complaint.json    # so that no list of processes shows its number\n"
        "  wurao case check filing.json                    # offline: what it lacks, a line for each\n"
        "  wurao case file campaign filing.json\n"
        "  wurao case file campaign emergency.json         # sent at once; the answer says what is wrong with it\n"
        "  wurao case file order --set order=O-bcdf-ghjk-mnpq-rstv --set until:=1795500000000   # ends one of before\n"
        "  wurao case decide P-bcdf-ghjk-mnpq-rstv seconded   # another officer, within the hour\n"
        "  wurao case decide C-bcdf-ghjk-mnpq-rstv forwarded --set to=ORG-1042 --step 3   # as `case show` named it\n"
        "  wurao case decide M-F-1 served --set notice=N-M-F-1-1 --set at:=1795500000000 --set how=courier \\\n"
        "      --set to='legal department'                 # by one officer, and the same by another\n"
        "  wurao case assign C-bcdf-ghjk-mnpq-rstv desk:17 --reason 'on leave from Monday'\n"
        "  wurao case note C-bcdf-ghjk-mnpq-rstv - < note.txt\n"
        "  wurao case attach C-bcdf-ghjk-mnpq-rstv receipt.pdf --reference 'shelf 12, file 9'\n"
        "  wurao case letter M-F-bcdf-ghjk-mnpq-rstv > letter.txt\n"
        "  wurao case statistics 2026-11 --csv > 2026-11.csv\n"
        "  wurao case listings --party sender\\|ORG-9 --ended  # of the bad-actor list\n"
        "  WURAO_API__TOKEN=... wurao case list --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="VERB", required=True)
    _add_list(verbs)
    show = verbs.add_parser("show", help="show one case", description="Shows one case, and what you may do to it.")
    show.add_argument("case", metavar="CASE")
    _add_check(verbs)
    case_desk.add(verbs)
    case_listings.add(verbs)
    file = verbs.add_parser("file", help="file something", description="Files what opens a case, or completes it.")
    file.add_argument("what", choices=tuple(RESOURCES))
    file.add_argument("body", metavar="FILE", nargs="?", help="a JSON object, `-` for stdin (default: only --set)")
    file.add_argument("--case", metavar="CASE", help=f"complete this case's {', '.join(COMPLETED)}")
    decide = verbs.add_parser("decide", help="act on a case", description="Raises an event on a case.")
    decide.add_argument("case", metavar="CASE")
    decide.add_argument("event", metavar="EVENT", help="such as forwarded, decided, lift; `case show` lists them")
    for verb in (file, decide):
        verb.add_argument(
            "--set",
            metavar="NAME=TEXT",
            action="append",
            default=[],
            dest="stated",
            help="state a field; NAME:=JSON for one that is no text, such as at:=1795500000000 or party:='{...}'",
        )
        verb.add_argument(
            "--key", metavar="TEXT", help="an Idempotency-Key: a request that is repeated is executed once"
        )
        verb.add_argument(
            "--step", metavar="N", type=int, help="only if the case is still at this step, as `case show` names it"
        )
    for verb, work in ((show, _show), (file, _file), (decide, _decide)):
        add_config(verb)
        add_json(verb)
        verb.set_defaults(run=with_client(work))


def _add_check(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = verbs.add_parser(
        "check",
        help="say offline what a filing or complaint lacks",
        description="Says what a filing or complaint lacks and what is wrong with it, a line for each; 1 where there "
        "is anything. Asks nobody: the checks are the control plane's own, with the configured policy, terms and "
        "calendar.",
    )
    check.add_argument("body", metavar="FILE", help="a JSON object, `-` for stdin")
    check.add_argument("--now", metavar="WHEN", type=moment, help=f"as if it were filed then: {WRITTEN}")
    add_config(check)
    add_json(check)
    check.set_defaults(run=case_check.run)


def _add_list(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    listing = verbs.add_parser("list", help="list cases, first due first", description="Lists cases, first due first.")
    listing.add_argument("--procedure", metavar="NAME", help="complaint, measure, campaign, …")
    listing.add_argument("--state", metavar="NAME")
    listing.add_argument("--party", metavar="KEY", help="sender|ORG-9 or number|+86…; `-` reads it from standard input")
    listing.add_argument(
        "--owner-of", metavar="NUMBER", help="about whoever owns this number, or about itself; `-` reads it"
    )
    listing.add_argument("--subscriber", metavar="NUMBER", help="of this user; `-` reads it")
    listing.add_argument(
        "--number", metavar="START", help="in which a number stands that begins so, such as 10690 or 138; `-` reads it"
    )
    listing.add_argument("--text", metavar="TEXT", help="in which this stands, as you are shown it; `-` reads it")
    listing.add_argument("--since", metavar="WHEN", help="received then or later, written as for --due-before")
    listing.add_argument("--before", metavar="WHEN", help="received before this moment")
    whose = listing.add_mutually_exclusive_group()
    whose.add_argument("--mine", action="store_true", help="only what is in your hands")
    whose.add_argument("--assigned", metavar="PERSON", help="only what is in this person's hands")
    whose.add_argument("--unassigned", action="store_true", help="only what is in nobody's hands of your office")
    listing.add_argument(
        "--due-before",
        metavar="WHEN",
        help="a date of Shanghai (2026-10-09), with a time of day or not, or milliseconds since the epoch",
    )
    listing.add_argument(
        "--breached", action=argparse.BooleanOptionalAction, help="only those that missed a term, or that missed none"
    )
    listing.add_argument("--ended", action="store_true", help="also those that have ended")
    listing.add_argument("--limit", metavar="N", type=int, default=50, help="lines of a page (default: 50)")
    listing.add_argument("--after", metavar="TEXT", help="the next page, as the last one named it")
    add_config(listing)
    add_json(listing)
    listing.set_defaults(run=with_client(_list))


class _Shown(msgspec.Struct, frozen=True):
    """Of a case, what is printed above it."""

    proposed: Proposal | None = None
    work: CaseWork | None = None


class _Named(msgspec.Struct, frozen=True):
    """Of an act, its name."""

    event: str


async def _list(client: Client, arguments: argparse.Namespace) -> int:
    asked = asked_of(arguments)
    body = await client.ask("/v1/cases", query={name: value for name, value in asked.items() if value})
    if arguments.json:
        print(body.decode())
        return 0
    page = msgspec.json.decode(body, type=CasePage)
    rows = [("DUE", "CASE", "PROCEDURE", "STATE", "CLOCK", "PARTY", "WITH"), *(_row(line) for line in page.cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if page.after:
        print(f"{'' if page.cases else 'none among the first; '}more: --after {page.after}", file=sys.stderr)
    return 0


def asked_of(arguments: argparse.Namespace) -> dict[str, str | None]:
    """The query, by the API's names. Raises `CommandError`."""
    return {
        "procedure": arguments.procedure,
        "state": arguments.state,
        "party": given_or_read(arguments.party or ""),
        "owner_of": given_or_read(arguments.owner_of or ""),
        "subscriber": given_or_read(arguments.subscriber or ""),
        "number": given_or_read(arguments.number or ""),
        "text": given_or_read(arguments.text or ""),
        "received_from": _moment("--since", arguments.since),
        "received_before": _moment("--before", arguments.before),
        "assigned": arguments.assigned,
        "mine": "true" if arguments.mine else None,
        "unassigned": "true" if arguments.unassigned else None,
        "due_before": _moment("--due-before", arguments.due_before),
        "breached": None if arguments.breached is None else str(arguments.breached).lower(),
        "ended": "true" if arguments.ended else None,
        "limit": str(arguments.limit),
        "after": arguments.after,
    }


async def _show(client: Client, arguments: argparse.Namespace) -> int:
    body = await client.ask(f"/v1/cases/{case_id(arguments.case)}")
    if arguments.json:
        print(body.decode())
        return 0
    shown = msgspec.json.decode(body, type=CaseShown)
    line = shown.line
    print(f"{line.case}: {line.procedure}, {line.state}, step {line.step} of {time_text(line.updated)}")
    for clock in line.due:
        when = f"{'missed, was due' if clock.breached else 'due'} {time_text(clock.due)}"
        print(f"  {clock.clock}: {when}{_reckoned(clock)}")
    case = msgspec.json.decode(bytes(shown.body), type=_Shown)
    if (proposed := case.proposed) is not None:
        event = msgspec.json.decode(bytes(proposed.event), type=_Named).event
        print(
            f"  {proposed.person} proposed `{event}` {time_text(proposed.at)}: another person decides, by the same act"
        )
    print(f"  you may: {', '.join(shown.possible) or 'nothing'}")
    if case.work is not None:
        _print_work(case.work)
    print(msgspec.json.format(bytes(shown.body)).decode())
    return 0


def _reckoned(clock: ClockDue) -> str:
    """What a due date rests on, where that is not certain."""
    if clock.known:
        return ""
    later = "reckoned anew once they are" if clock.since is not None else "set by a version before, and stays so"
    return f" (of a year whose make-up days are not announced yet: reckoned with statutory days, {later})"


def _print_work(work: CaseWork) -> None:
    for office, person in work.holders.items():
        print(f"  {person} of {office} has it")
    for note in work.notes:
        print(f"  {time_text(note.at)} {note.by} noted: {note.text}")
    for one in work.attachments:
        where = f", {one.reference}" if one.reference else ""
        print(
            f"  {time_text(one.at)} {one.by} attached {one.name}: {one.size_bytes:,} bytes, sha256 {one.sha256}{where}"
        )


async def _file(client: Client, arguments: argparse.Namespace) -> int:
    path = f"/v1/{RESOURCES[arguments.what]}"
    if arguments.step is not None and not arguments.case:
        raise CommandError("--step is of a case that is completed: state --case, or leave it out")
    if arguments.case:
        if arguments.what not in COMPLETED:
            raise CommandError(f"--case completes {', '.join(COMPLETED)}; for the rest leave it out")
        path = f"{path}/{case_id(arguments.case)}"
    body = {
        **(await asyncio.to_thread(read_object, arguments.body, client.body_bytes_max)),
        **_stated(arguments.stated),
    }
    return print_answer(await client.ask(path, body=body, key=arguments.key, step=arguments.step), arguments)


async def _decide(client: Client, arguments: argparse.Namespace) -> int:
    body = {**_stated(arguments.stated), "event": arguments.event}
    path = f"/v1/cases/{case_id(arguments.case)}/events"
    return print_answer(await client.ask(path, body=body, key=arguments.key, step=arguments.step), arguments)


def _stated(pairs: list[str]) -> dict[str, object]:
    stated: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.rstrip(":"):
            raise CommandError(f"--set {pair!r}: write NAME=TEXT, or NAME:=JSON")
        try:
            stated[name.rstrip(":")] = msgspec.json.decode(value) if name.endswith(":") else value
        except msgspec.DecodeError as error:
            raise CommandError(f"--set {name}: {error}; after := comes JSON") from error
    return stated


def _moment(option: str, text: str | None) -> str | None:
    """Milliseconds, from milliseconds or from a day of Shanghai. Raises `CommandError`."""
    try:
        return str(asked_moment(text, SHANGHAI)) if text else None
    except ValueError as error:
        raise CommandError(f"{option}: {error}; write a date such as 2026-10-09, or milliseconds") from error


def _row(line: CaseLine) -> tuple[str, ...]:
    clock = next((clock for clock in line.due if clock.due == line.next_due), None)
    named = "" if clock is None else f"{clock.clock}{' (missed)' if clock.breached else ''}"
    party = "" if line.party is None else line.party.sender or line.party.number or ""
    return (
        time_text(line.next_due) if line.next_due else "-",
        line.case,
        line.procedure,
        line.state,
        named,
        party,
        ", ".join(line.assigned.values()),
    )
