"""`wurao scrub`: a campaign's number list, split into whom it may reach and whom not, each with the
reason.

Two files, each line as it stood in the list with two columns more: the number as it stands on the wire,
and the reason, which is that of `wurao decide`. Nothing else of the list is looked at, and nothing is
logged.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from bloom.wills import CHANNELS
from stream.cli.rim import CommandError, Meter, add_json, failed, print_json, say
from stream.policy.loading import load
from stream.policy.scrubbing import REACHABLE, REASONS, Answers, Scrubber
from stream.policy.toml import PolicyError
from stream.registry.dialling import CHINA
from stream.registry.files import RegistryFileError, load_registry
from stream.registry.number_lists import Lines, ListError, NumberList

_ENCODED: Final = [reason.encode() for reason in REASONS]
_QUOTED: Final = (b",", b'"')


class Outputs(NamedTuple):
    """The two files."""

    reachable: Path
    unreachable: Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "scrub",
        help="split a campaign's number list into reachable and not",
        description="Splits a number list (plain lines, or a CSV with or without a header) into two CSV files,\n"
        "LIST.reachable.csv and LIST.not-reachable.csv, each line with its number and the reason, as `decide`\n"
        "answers commercial traffic from this sender. Numbers may be written with or without +86, with spaces or\n"
        "dashes. Checked: help, redress, short and malformed numbers, duplicates, the sender's licence, orders to\n"
        "suspend or stop the sender, and what each subscriber wants. Not checked: the number that it will be sent\n"
        "from (its owner, purposes and categories, and orders on it), the text, permitted hours, staleness.",
        epilog="examples:\n"
        "  wurao scrub list.csv --registry registry.ndjson --channel sms --sender ORG-1042 --category finance\n"
        "  wurao scrub list.txt --registry r.snapshot --channel call --sender ORG-7 --category education --out o\n"
        "  wurao scrub crm.csv --column mobile --registry r.snapshot --channel sms --sender S --category retail",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("list", metavar="LIST", help="the list, a file, or - for standard input")
    command.add_argument(
        "--registry",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="NDJSON registry records or a snapshot; several are applied in order",
    )
    command.add_argument("--channel", choices=CHANNELS, required=True)
    command.add_argument("--sender", metavar="S", required=True, help="who will send")
    command.add_argument("--category", metavar="K", required=True, help="what it will be about")
    command.add_argument(
        "--policy", metavar="FILE", help="a policy file, or the name of a shipped one (default: cn-2020)"
    )
    command.add_argument(
        "--column",
        metavar="NAME",
        help="the column that has the numbers, by its name or its place from 1 (default: found by name or look)",
    )
    command.add_argument(
        "--country", metavar="CODE", default=CHINA, help=f"the country of numbers without one (default: {CHINA})"
    )
    command.add_argument("--now", metavar="MS", type=int, help="the moment at which orders count (default: now)")
    command.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="where to write (default: here)")
    add_json(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Split the list. Returns 0, or 1 where a file could not be read, or a registry line was no record."""
    try:
        return _scrub(arguments)
    except (PolicyError, RegistryFileError, ListError, CommandError) as error:
        return failed("scrub", str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return failed("scrub", f"{error.filename}: {error.strerror}; check the path")


def _scrub(arguments: argparse.Namespace) -> int:
    if not arguments.country.isdigit():
        raise CommandError(f"--country {arguments.country!r}: give a calling code, such as {CHINA}")
    policy = load(arguments.policy)
    loaded = load_registry(arguments.registry)
    for problem in loaded.problems:
        say(problem)
    scrubber = Scrubber(
        policy,
        loaded.registry,
        channel=arguments.channel,
        sender=arguments.sender,
        category=arguments.category,
        now=time.time_ns() // 1_000_000 if arguments.now is None else arguments.now,
        country=arguments.country,
    )
    if scrubber.sender_problem is not None:
        say(f"sender {arguments.sender} is {scrubber.sender_problem} on {arguments.channel}: nobody can be reached")
    if arguments.category not in policy.file.categories:
        say(f"category {arguments.category!r} is not among the policy's: {', '.join(policy.file.categories)}")
    with _opened(arguments.list) as (file, size):
        numbers = NumberList(file, column=arguments.column)
        outputs = _outputs(arguments)
        counts = _split(numbers, scrubber, outputs, size)
    _print(counts, outputs, as_json=arguments.json)
    return 1 if loaded.problems else 0


def _split(numbers: NumberList, scrubber: Scrubber, outputs: Outputs, size: int) -> dict[str, int]:
    counts = np.zeros(len(REASONS), dtype=np.int64)
    with (
        _written(outputs.reachable) as reachable,
        _written(outputs.unreachable) as unreachable,
        Meter("scrub", "numbers") as meter,
    ):
        header = _header(numbers)
        reachable.write(header)
        unreachable.write(header)
        for lines in numbers.chunks():
            answers = scrubber.answer(lines.numbers)
            rows = _rows(lines, answers, numbers.separator)
            is_reachable = answers.codes < len(REACHABLE)
            reachable.writelines(rows[row] for row in np.nonzero(is_reachable)[0].tolist())
            unreachable.writelines(rows[row] for row in np.nonzero(~is_reachable)[0].tolist())
            counts += np.bincount(answers.codes, minlength=len(REASONS))
            meter.update(lines.bytes_count, size, int(counts.sum()))
    return {reason: count for reason, count in zip(REASONS, counts.tolist(), strict=True) if count}


def _header(numbers: NumberList) -> bytes:
    separator = numbers.separator or b","
    if numbers.header is not None:
        return separator.join((numbers.header, b"wire_number", b"reason")) + b"\n"
    # A list without a header gets none: whoever reads it counts its columns.
    return b""


def _rows(lines: Lines, answers: Answers, separator: bytes) -> list[bytes]:
    raw = lines.raw
    if not separator:
        separator = b","
        raw = [_quoted(line) for line in raw]
    told = [_ENCODED[code] for code in answers.codes.tolist()]
    return [
        b"%b%b%b%b%b\n" % (line, separator, number.encode(), separator, reason)
        for line, number, reason in zip(raw, answers.numbers, told, strict=True)
    ]


def _quoted(line: bytes) -> bytes:
    if not any(mark in line for mark in _QUOTED):
        return line
    return b'"' + line.replace(b'"', b'""') + b'"'


def _outputs(arguments: argparse.Namespace) -> Outputs:
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = "list" if arguments.list == "-" else Path(arguments.list).stem
    return Outputs(arguments.out / f"{name}.reachable.csv", arguments.out / f"{name}.not-reachable.csv")


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    if path == "-":
        yield sys.stdin.buffer, 0
        return
    with Path(path).open("rb") as file:
        yield file, Path(path).stat().st_size


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that is there when all of it is, for its owner's eyes."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.touch(0o600)
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _print(counts: dict[str, int], outputs: Outputs, *, as_json: bool) -> None:
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
