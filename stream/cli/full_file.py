"""`wurao registry import --replace-scope`: a full file, applied as the difference to what is registered.

Whoever is not in the file is lifted. So a file that cannot be read to its last line, that may have been cut off, or in
which more are missing than leave from one file to the next, changes nothing: only an option of its own overrides that,
and `--yes`, which a scheduled job always gives, does not.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pyroaring import BitMap64

from bloom.number import masked
from bloom.wills import Channel
from stream.cli.common import CommandError, Meter, say
from stream.config import Config
from stream.feed.bulk_files import BulkFile, LineChunk
from stream.feed.importer import Import
from stream.feed.replacement import (
    RegisterDifference,
    difference,
    doubts,
    examples,
    lifts,
    numbers_of,
    only,
    registered,
)
from stream.model.requests import Statements

LEAVING_PERCENT_MAX: Final = 5.0
"""Of those registered, so many may leave by one file unless the operator says more: few do from month to month."""

_EXAMPLES_COUNT: Final = 3


def add_full_file(command: argparse.ArgumentParser, channels: tuple[str, ...]) -> None:
    """The options of a full file."""
    command.add_argument(
        "--replace-scope",
        metavar="CHANNEL",
        choices=channels,
        help="the one FILE is a full list of those who refuse everything on CHANNEL, by --source: write the "
        "difference to what is registered; those who are no longer in it keep their narrower refusals, and refusals "
        "of another source are left as they are",
    )
    command.add_argument(
        "--yes", action="store_true", help="apply the difference without asking (with --replace-scope)"
    )
    command.add_argument(
        "--leaving-max",
        metavar="PERCENT",
        type=float,
        default=LEAVING_PERCENT_MAX,
        help="of those registered, how many a full file may leave out; with more nothing is changed (default: "
        f"{LEAVING_PERCENT_MAX:g})",
    )
    command.add_argument(
        "--trust-file",
        action="store_true",
        help="apply a full file even where lines of it are bad, its last line has no end, or more than --leaving-max "
        "leave: whoever is missing then counts as gone",
    )


def check(arguments: argparse.Namespace) -> None:
    """Raises `CommandError` where the options do not fit a full file."""
    if arguments.into is not None:
        raise CommandError("--replace-scope needs the topics to differ from; leave --into out")
    if len(arguments.files) != 1 or arguments.source is None:
        raise CommandError("--replace-scope takes one FILE, the full one, and --source: whose refusals these are")
    if arguments.sender or arguments.category or arguments.will not in (None, "refuse"):
        raise CommandError("--replace-scope is about refusals of everything: leave --sender, --category, --will out")
    if not 0 <= arguments.leaving_max <= 100:
        raise CommandError(f"--leaving-max {arguments.leaving_max:g}: give a share in per cent, 0 to 100")


async def replace(config: Config, arguments: argparse.Namespace, importing: Import, bulk: BulkFile) -> None:
    """Apply the file. Raises `CommandError` where nothing was changed, `NoAnswer`."""
    channel: Channel = arguments.replace_scope
    in_file, bad_count, lines_count = _look_through(bulk, importing, channel, arguments.source)
    if not in_file:
        raise CommandError(f"{bulk.path}: not one number in it: a full file cannot be empty; nothing was changed")
    with Meter("register", "records read") as meter:
        register = await registered(
            config,
            channel=channel,
            source=arguments.source,
            time=bulk.time,
            progress=lambda read, left: meter.update(read, read + left, read),
        )
    change = difference(register, in_file)
    _show(change, bad_count)
    found = doubts(change, bad_count=bad_count, has_end=bulk.has_end, leaving_share_max=arguments.leaving_max / 100)
    for doubt in found:
        say(f"{bulk.path}: {doubt}")
    if found and not arguments.trust_file:
        raise CommandError(
            f"{bulk.path}: nothing was changed: ask for the file again, or correct it; --leaving-max allows more to "
            "leave, and --trust-file applies the file as it stands"
        )
    importing.outcome.tally.read_count = lines_count
    if not change.new and not change.leaving:
        say("nothing to change")
        return
    if not arguments.yes and not await _agreed():
        raise CommandError("nothing was changed; give --yes to apply the difference without being asked")
    await _apply(arguments, importing, bulk, change, register.next_offsets)


def _look_through(bulk: BulkFile, importing: Import, channel: Channel, source: str) -> tuple[BitMap64, int, int]:
    """The numbers in the file, its bad lines, which are reported, and the count of all its lines."""
    in_file = BitMap64()
    bad_count = lines_count = 0
    for chunk in bulk.chunks():
        lines_count += len(chunk)
        numbers, foreign = numbers_of(chunk, channel, source)
        in_file.update(numbers)
        importing.outcome.bad(bulk.path, [*chunk.bad, *foreign])
        bad_count += len(chunk.bad) + len(foreign)
    return in_file, bad_count, lines_count


async def _apply(
    arguments: argparse.Namespace,
    importing: Import,
    bulk: BulkFile,
    change: RegisterDifference,
    read_to: Mapping[int, int],
) -> None:
    """Refusals first: if this is interrupted, the side that is done is the one that protects."""
    total = len(change.new) + len(change.leaving)
    importing.outcome.leaves_alone = frozenset({"changed"})
    with Meter("import", "subscribers") as meter:

        def metered(chunks: Iterable[LineChunk], done: int) -> Iterator[tuple[Path, LineChunk]]:
            for chunk in chunks:
                yield bulk.path, chunk
                done += len(chunk)
                meter.update(done, total, done)

        new = (only(chunk, change.new) for chunk in bulk.chunks())
        await importing.take(metered(new, 0), stated=lambda partition: Statements(read_to=read_to[partition]))
        leaving = lifts(change, evidence=arguments.evidence, actor=arguments.actor)
        await importing.take(
            metered(leaving, len(change.new)),
            stated=lambda partition: Statements(read_to=read_to[partition], narrower_stay=True),
        )
    if kept := importing.outcome.tally.left_alone_count:
        say(f"  {kept:>12,}  refused everything meanwhile, left alone")


def _show(change: RegisterDifference, bad_count: int) -> None:
    say(f"full file of refusals of everything on {change.channel}, source {change.source}:")
    for sentence, numbers in (
        ("new, will be refused", change.new),
        ("no longer in the file, will be lifted, narrower refusals kept", change.leaving),
    ):
        shown = ", ".join(masked(number) for number in examples(numbers, _EXAMPLES_COUNT))
        more = ", …" if len(numbers) > _EXAMPLES_COUNT else ""
        say(f"  {len(numbers):>12,}  {sentence}" + (f" ({shown}{more})" if shown else ""))
    of_others = f" ({change.others_count:,} refused by another source: not this one's to lift)"
    say(f"  {change.staying_count:>12,}  in both, unchanged" + (of_others if change.others_count else ""))
    if change.newer_count:
        say(f"  {change.newer_count:>12,}  registered after the file was drawn up, unchanged")
    if bad_count:
        say(f"  {bad_count:>12,}  bad lines: who stands in them counts as not in the file")


async def _agreed() -> bool:
    """Whether the operator says yes. Waits on the loop, so that Ctrl-C ends the wait."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("apply this? [y/N] ")
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
