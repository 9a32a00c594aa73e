"""`wurao scrub`: a campaign's number list, split into numbers that it may reach and those it may not, with the reason.

Writes two files in the list's own encoding: each line as in the list, with two more columns: the number as parsed, and
the reason, as `wurao decide` gives it. Other columns are not read, and nothing is logged.
"""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bloom.wills import CHANNELS
from stream.cli.common import CommandError, Meter, add_json, failed, print_json, private_file, say
from stream.cli.moments import WRITTEN, moment
from stream.cli.options import add_number_column, add_policy, add_registry_files, keys_here
from stream.clock import now_ms
from stream.config import ConfigError
from stream.feed import csv_rows, tables
from stream.feed.files import RegistryFileError, load_registry
from stream.feed.scrubbing import REACHABLE, REASONS, Answers, Scrubber
from stream.feed.table_columns import NUMBER
from stream.feed.tables import Layout, TableRows
from stream.feed.text_files import ENCODINGS, BulkFileError, TextFile, opened
from stream.model.limits import FILE_LINE
from stream.policy.loading import load
from stream.policy.toml import PolicyError

_ENCODED: Final = [reason.encode() for reason in REASONS]
_QUOTED: Final = (b",", b'"')

KNOWN_SHOWN_MAX: Final = 20
"""Where a sender is unknown, so many known ones are suggested."""


class ScrubOutputs(NamedTuple):
    """The two files."""

    reachable: Path
    unreachable: Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "scrub",
        help="split a campaign's number list into reachable and not",
        description="Splits a number list (plain lines, a CSV or an .xlsx, in UTF-8, UTF-16 or GB 18030) into two CSV\n"
        "files, LIST.reachable.csv and LIST.not-reachable.csv, each line with its number and the reason, as `decide`\n"
        "answers commercial traffic from this sender. Numbers may be written with or without +86, with spaces or\n"
        "dashes. Reachable are persons' numbers alone. Checked: help, redress, short and malformed numbers,\n"
        "duplicates, the sender's licence, orders to suspend or stop the sender, and what each subscriber wants. Not\n"
        "checked: the number that it will be sent from (its owner, purposes and categories, and orders on it), the\n"
        "text, permitted hours, staleness. Nothing is guessed: where the header names no column that is known, say\n"
        "--column. Exit code 1 where most lines have no number, or stand in a cell that nothing\n"
        "closes.",
        epilog="examples:\n"
        "  wurao scrub list.csv --registry registry.ndjson --channel sms --sender ORG-1042 --category finance\n"
        "  wurao scrub list.txt --registry r.snapshot --channel call --sender ORG-7 --category education --out o\n"
        "  wurao scrub crm.csv --column mobile --registry r.snapshot --channel sms --sender S --category retail",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("list", metavar="LIST", help="the list, a file, or - for standard input")
    add_registry_files(command, required=True)
    command.add_argument("--channel", choices=CHANNELS, required=True)
    command.add_argument("--sender", metavar="S", required=True, help="who will send")
    command.add_argument("--category", metavar="K", required=True, help="the category of what will be sent")
    add_policy(command)
    add_number_column(command)
    command.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="how the list is encoded (default: by its mark, else UTF-8 or GB 18030, whichever all of it is)",
    )
    command.add_argument(
        "--now", metavar="WHEN", type=moment, help=f"the moment at which orders count: {WRITTEN} (default: now)"
    )
    command.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="where to write (default: here)")
    add_json(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Split the list.

    Returns 0, or 1 where a file could not be read, a registry line was no record, most lines have no number, or a cell
    is never closed.
    """
    try:
        return _scrub(arguments)
    except (ConfigError, PolicyError, RegistryFileError, BulkFileError, CommandError) as error:
        return failed("scrub", str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return failed("scrub", f"{error.filename}: {error.strerror}; check the path")


def _scrub(arguments: argparse.Namespace) -> int:
    keys = keys_here()
    policy = load(arguments.policy, keys)
    _known("category", arguments.category, policy.file.categories, where="the policy")
    loaded = load_registry(arguments.registry, keys)
    for problem in loaded.problems:
        say(problem)
    _known("sender", arguments.sender, list(loaded.registry.senders), where="the registry")
    scrubber = Scrubber(
        policy,
        loaded.registry,
        channel=arguments.channel,
        sender=arguments.sender,
        category=arguments.category,
        now=now_ms() if arguments.now is None else arguments.now,
    )
    if scrubber.sender_problem is not None:
        say(f"sender {arguments.sender} is {scrubber.sender_problem} on {arguments.channel}: nobody can be reached")
    with opened(arguments.list, encoding=arguments.encoding) as file:
        layout = tables.layout_of(file, asked=(NUMBER,), column=arguments.column)
        if file.encoding != "utf-8":
            say(f"{file.name}: read as {file.encoding}; --encoding overrides it")
        outputs = _outputs(arguments)
        counts, without, unclosed = _split(file, layout, scrubber, outputs)
    _print(counts, outputs, as_json=arguments.json)
    of = sum(counts.values())
    mostly_none = 2 * without > of
    if not of:
        say(f"{file.name}: no lines" + (" under its header" if layout.head else ""))
    if mostly_none and not unclosed:
        say(tables.other_column(file.name, layout, without, of))
    return 1 if loaded.problems or mostly_none or unclosed else 0


def _known(what: str, name: str, known: Sequence[str], *, where: str) -> None:
    """Raises `CommandError` for a name that is not known: it is misspelt, or the wrong files were given."""
    if name in known:
        return
    near = get_close_matches(name.casefold(), [one.casefold() for one in known], n=1)
    shown = [*(one for one in known if one.casefold() in near), *(one for one in known if one.casefold() not in near)]
    more = f" and {len(shown) - KNOWN_SHOWN_MAX:,} more" if len(shown) > KNOWN_SHOWN_MAX else ""
    raise CommandError(f"{what} {name!r}: {where} knows {', '.join(shown[:KNOWN_SHOWN_MAX]) or 'none'}{more}")


def _split(
    file: TextFile, layout: Layout, scrubber: Scrubber, outputs: ScrubOutputs
) -> tuple[dict[str, int], int, int]:
    """Write the two files. Returns the rows by reason, those without a number, and those in a cell never closed."""
    counts = np.zeros(len(REASONS), dtype=np.int64)
    without = unclosed = 0
    with (
        private_file(outputs.reachable) as reachable,
        private_file(outputs.unreachable) as unreachable,
        Meter("scrub", "numbers") as meter,
    ):
        header = file.mark + file.encoded(_header(layout))
        reachable.write(header)
        unreachable.write(header)
        for rows in tables.rows(file, layout, (NUMBER,), strict=False):
            (numbers,) = rows.cells
            if any(len(line) > FILE_LINE.most for line in rows.raw):
                raise CommandError(f"{file.name}: a line of more than {FILE_LINE.most:,} bytes: this is no list")
            answers = scrubber.answer(numbers)
            some_without = answers.numbers.count("")
            if tables.hardly_any(some_without, len(numbers)) and not counts.any():
                raise CommandError(tables.other_column(file.name, layout, some_without, len(numbers)))
            written = _rows(rows, answers, layout)
            is_reachable = answers.codes < len(REACHABLE)
            reachable.writelines(file.encoded(written[row]) for row in np.nonzero(is_reachable)[0].tolist())
            unreachable.writelines(file.encoded(written[row]) for row in np.nonzero(~is_reachable)[0].tolist())
            counts += np.bincount(answers.codes, minlength=len(REASONS))
            without += some_without
            for place in rows.unclosed:
                if not unclosed:
                    say(f"{file.name}:{rows.numbers[place]}: {rows.bad[place]}")
                unclosed += 1
            meter.update(rows.bytes_count, file.bytes_count, int(counts.sum()))
    return {reason: count for reason, count in zip(REASONS, counts.tolist(), strict=True) if count}, without, unclosed


def _header(layout: Layout) -> bytes:
    # A list without a header gets none: whoever reads it counts its columns.
    *before, last = layout.head or (b"",)
    if not last:
        return b""
    if not layout.has_header:
        return last + b"\n"
    separator = layout.separator.encode() or b","
    return b"".join(line + b"\n" for line in before) + separator.join((last, b"wire_number", b"reason")) + b"\n"


def _rows(rows: TableRows, answers: Answers, layout: Layout) -> list[bytes]:
    raw = list(rows.raw)
    separator = layout.separator.encode()
    if not separator:
        separator = b","
        raw = [_quoted(line) for line in raw]
    else:
        for place in rows.bad:
            if not csv_rows.is_sound(raw[place], layout.separator):
                # Else the added columns, and all lines after them, would be part of its unclosed cell.
                raw[place] = _quoted(raw[place]) + separator * (len(layout.columns) - 1)
    shown = [_ENCODED[code] for code in answers.codes.tolist()]
    return [
        b"%b%b%b%b%b\n" % (line, separator, number.encode(), separator, reason)
        for line, number, reason in zip(raw, answers.numbers, shown, strict=True)
    ]


def _quoted(line: bytes) -> bytes:
    if not any(mark in line for mark in _QUOTED):
        return line
    return b'"' + line.replace(b'"', b'""') + b'"'


def _outputs(arguments: argparse.Namespace) -> ScrubOutputs:
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = "list" if arguments.list == "-" else Path(arguments.list).stem
    return ScrubOutputs(arguments.out / f"{name}.reachable.csv", arguments.out / f"{name}.not-reachable.csv")


def _print(counts: dict[str, int], outputs: ScrubOutputs, *, as_json: bool) -> None:
    reachable = {reason: count for reason, count in counts.items() if reason in REACHABLE}
    unreachable = {reason: count for reason, count in counts.items() if reason not in REACHABLE}
    if as_json:
        answer = {
            "reachable": {"file": str(outputs.reachable), "count": sum(reachable.values()), "reasons": reachable},
            "not_reachable": {
                "file": str(outputs.unreachable),
                "count": sum(unreachable.values()),
                "reasons": unreachable,
            },
        }
        print_json(answer)
        return
    for title, path, part in (
        ("reachable", outputs.reachable, reachable),
        ("not reachable", outputs.unreachable, unreachable),
    ):
        print(f"{title:<20}{sum(part.values()):>14,}  {path}")
        for reason, count in part.items():
            print(f"  {reason:<18}{count:>14,}")
