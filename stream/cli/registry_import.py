"""`wurao registry import`: bulk files into the registry topics, or into one NDJSON file without any
broker.

What is not applied is told on stderr, the first lines of each kind, and kept whole beside the file: bad
lines in `FILE.bad`, ready to be mended and imported again; words that came too late and records that may
not be written in `FILE.skipped`, with the line's number and the reason.
"""

import argparse
import asyncio
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, Self, get_args

from pyroaring import BitMap64

from bloom.number import masked
from bloom.wills import CHANNELS, Channel, Verb
from stream.cli.rim import CommandError, Meter, add_config, add_json, config_of, failed, print_json, run_guarded, say
from stream.config import Config, ConfigError
from stream.kafka.topics import EXPECTED
from stream.model.codec import Undecodable
from stream.model.topics import EXPRESSIONS
from stream.registry.bulk_files import (
    COLUMNS,
    Format,
    Given,
    format_of,
    header_line,
    milliseconds,
    read,
)
from stream.registry.dialling import CHINA
from stream.registry.importer import Fate, FileWriter, Importer, Rejection, Tally, topics_opened
from stream.registry.order_index import OrderIndex, OrderLock
from stream.registry.registry import Registry
from stream.registry.replacement import Difference, difference, examples, lifting_groups, numbers_of, only
from stream.registry.snapshots import collector_at_rest

TOLD_MAX: Final = 20
"""Of each kind of line that is not applied, so many are told on stderr; all are in the files."""

EXAMPLES_COUNT: Final = 3

INDEX_NAME: Final = "expressions.index"

_FATES: Final[dict[Fate, str]] = {"bad": "bad", "late": "too late", "refused": "refused"}


def add_import(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = verbs.add_parser(
        "import",
        help="bulk files to topics",
        description="Reads bulk files and writes their records to the registry topics, but nothing twice and no word\n"
        "that is older than one the topics have about the same subscriber, channel and an overlapping scope.\n"
        "Bad lines are listed and kept in FILE.bad, skipped ones in FILE.skipped; all others are applied. An\n"
        "import that was interrupted is completed by running it again.\n\n"
        f"A CSV has a header; its columns are among: {', '.join(COLUMNS)}.\n"
        "What a CSV's rows leave empty, and all that a list of numbers cannot say, the options say.",
        epilog="examples:\n"
        "  wurao registry import senders.ndjson orders.ndjson\n"
        "  wurao registry import consents.csv --channel sms --source web-form\n"
        "  wurao registry import refusals.txt --channel call --will refuse --source letters\n"
        "  wurao registry import platform.txt --replace-scope call --source decline-calls\n"
        "  wurao registry import refusals.txt --channel sms --will refuse --source letters --into registry.ndjson",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("files", metavar="FILE", type=Path, nargs="+", help="files, imported in this order")
    command.add_argument(
        "--format",
        choices=get_args(Format),
        help="how the files are written (default: by their names, or by their first lines)",
    )
    command.add_argument("--channel", choices=CHANNELS, help="the channel, for rows and lists that do not say it")
    command.add_argument("--will", choices=get_args(Verb), help="the will, for rows and lists that do not say it")
    for name, sentence in (
        ("source", "how it was said"),
        ("sender", "the sender it is about (default: any)"),
        ("category", "the category it is about (default: any)"),
        ("evidence", "what proves it"),
        ("actor", "who writes it down"),
    ):
        command.add_argument(f"--{name}", metavar="TEXT", help=f"{sentence}, for rows that do not say it")
    command.add_argument(
        "--time",
        metavar="WHEN",
        help="when it was said, for rows that do not say it: milliseconds since the epoch, or ISO 8601 with an "
        "offset (default: when the file was last changed)",
    )
    command.add_argument(
        "--country",
        metavar="CODE",
        default=CHINA,
        help=f"the country of numbers without one (default: {CHINA})",
    )
    command.add_argument(
        "--replace-scope",
        metavar="CHANNEL",
        choices=CHANNELS,
        help="the one FILE is a full list of those who refuse everything on CHANNEL, by --source: write the "
        "difference to what is registered; those who are no longer in it keep their narrower wishes",
    )
    command.add_argument(
        "--yes", action="store_true", help="apply the difference without asking (with --replace-scope)"
    )
    command.add_argument(
        "--into", metavar="OUT", type=Path, help="write NDJSON to this new file instead of the topics; no broker"
    )
    command.add_argument(
        "--index",
        metavar="PATH",
        type=Path,
        help=f"the order index (default: {INDEX_NAME} beside the snapshots); it is built from the topics",
    )
    add_config(command)
    add_json(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import the files. Returns 0, or 1 where a line was bad, came too late or was refused."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("registry import", str(error))
    return run_guarded("registry import", _import(config, arguments), config)


async def _import(config: Config, arguments: argparse.Namespace) -> int:
    if arguments.replace_scope:
        _check_replacement(arguments)
    files = [(path, arguments.format or format_of(path), _given(arguments, path)) for path in arguments.files]
    with _Told({path: form for path, form, _ in files}) as told:
        if arguments.into is not None:
            tally = await _into_file(arguments, files, told)
        else:
            index_path = arguments.index or Path(config.registry.snapshots) / INDEX_NAME
            with OrderLock(index_path), OrderIndex(index_path) as index:
                tally = await _into_topics(config, arguments, index, files, told)
    _print(tally, as_json=arguments.json)
    return 1 if tally.rejected else 0


_Files = Sequence[tuple[Path, Format, Given]]


def _check_replacement(arguments: argparse.Namespace) -> None:
    if arguments.into is not None:
        raise CommandError("--replace-scope needs the topics to differ from; leave --into out")
    if len(arguments.files) != 1 or arguments.source is None:
        raise CommandError("--replace-scope takes one FILE, the full one, and --source: whose refusals these are")
    if arguments.sender or arguments.category or arguments.will not in (None, "refuse"):
        raise CommandError("--replace-scope is about refusals of everything: leave --sender, --category, --will out")


async def _into_file(arguments: argparse.Namespace, files: _Files, told: "_Told") -> Tally:
    with _new_file(arguments.into) as out, OrderIndex(None) as index:
        importer = Importer(index=index, writer=FileWriter(out), registry=Registry(), now=_now(), on_rejection=told)
        return await _take_all(importer, files)


async def _into_topics(
    config: Config, arguments: argparse.Namespace, index: OrderIndex, files: _Files, told: "_Told"
) -> Tally:
    with ExitStack() as stack:
        meter = stack.enter_context(Meter("order index", "records read"))
        async with topics_opened(
            config, index, note=say, progress=lambda read_, left: meter.update(read_, read_ + left, read_)
        ) as target:
            stack.close()
            importer = Importer(
                index=index, writer=target.writer, registry=target.registry, now=_now(), on_rejection=told
            )
            if arguments.replace_scope:
                partitions = target.cluster.topics[EXPRESSIONS].partitions
                return await _replace(config, arguments, importer, index, files, partitions=partitions)
            return await _take_all(importer, files)


async def _take_all(importer: Importer, files: _Files) -> Tally:
    total = sum(path.stat().st_size for path, _, _ in files)
    before = 0
    with collector_at_rest(), Meter("import", "lines") as meter:
        for path, form, given in files:
            for chunk in read(path, form, given):
                await importer.take(path, chunk)
                meter.update(before + chunk.bytes_count, total, importer.tally.read_count)
            before += path.stat().st_size
        return await importer.finish()


async def _replace(
    config: Config,
    arguments: argparse.Namespace,
    importer: Importer,
    index: OrderIndex,
    files: _Files,
    *,
    partitions: int,
) -> Tally:
    channel: Channel = arguments.replace_scope
    ((path, form, given),) = files
    in_file = BitMap64()
    bad_count = lines_count = 0
    for chunk in read(path, form, given):
        lines_count += len(chunk)
        numbers, foreign = numbers_of(chunk, channel, arguments.source)
        in_file.update(numbers)
        importer.report_bad(path, chunk.bad)
        importer.report_bad(path, foreign)
        bad_count += len(chunk.bad) + len(foreign)
    if not in_file:
        raise CommandError(f"{path}: not one number in it: a full file cannot be empty; nothing was changed")
    change = difference(index, in_file, channel=channel, source=arguments.source, time=given.time)
    _show(change, bad_count)
    if not change.new and not change.leaving:
        say("nothing to change")
        importer.tally.read_count = lines_count
        return importer.tally
    if not arguments.yes and not await asyncio.to_thread(_agreed):
        raise CommandError("nothing was changed; give --yes to apply the difference without being asked")
    done = 0
    with Meter("import", "subscribers") as meter:
        # Refusals first: if this is interrupted, the side that is done is the one that protects.
        for chunk in read(path, form, given):
            taken = only(chunk, change.new)
            await importer.take(path, taken)
            done += len(taken)
            meter.update(done, len(change.new) + len(change.leaving), done)
        async for groups in lifting_groups(
            config,
            index,
            change,
            partitions=partitions,
            evidence=arguments.evidence,
            actor=arguments.actor,
        ):
            await importer.write_together(groups)
            done += len(groups)
            meter.update(done, len(change.new) + len(change.leaving), done)
    importer.tally.read_count = lines_count
    return importer.tally


def _show(change: Difference, bad_count: int) -> None:
    say(f"full file of refusals of everything on {change.channel}, source {change.source}:")
    for sentence, numbers in (
        ("new, will be refused", change.new),
        ("no longer in the file, will be lifted, narrower wishes kept", change.leaving),
    ):
        shown = ", ".join(masked(number) for number in examples(numbers, EXAMPLES_COUNT))
        more = ", …" if len(numbers) > EXAMPLES_COUNT else ""
        say(f"  {len(numbers):>12,}  {sentence}" + (f" ({shown}{more})" if shown else ""))
    say(f"  {change.staying_count:>12,}  in both, left alone")
    if change.newer_count:
        say(f"  {change.newer_count:>12,}  registered after the file was drawn up, left alone")
    if bad_count:
        say(f"  {bad_count:>12,}  bad lines: who stands in them counts as not in the file")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("apply this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _given(arguments: argparse.Namespace, path: Path) -> Given:
    if arguments.time is not None:
        try:
            moment = milliseconds(arguments.time)
        except Undecodable as error:
            raise CommandError(f"--time: {error}") from error
    else:
        moment = path.stat().st_mtime_ns // 1_000_000
    replacing: Channel | None = arguments.replace_scope
    will: Verb | None = "refuse" if replacing else arguments.will
    return Given(
        time=moment,
        channel=replacing or arguments.channel,
        will=will,
        source=arguments.source,
        sender=arguments.sender,
        category=arguments.category,
        evidence=arguments.evidence,
        actor=arguments.actor,
        country=arguments.country,
    )


class _Told:
    """Where rejections go: the first ones to stderr, all of them beside their file."""

    def __init__(self, forms: dict[Path, Format]) -> None:
        self._forms = forms
        self._files: dict[Path, IO[bytes]] = {}
        self._told: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for path in self._forms:
            for suffix in (".bad", ".skipped"):
                _beside(path, suffix).unlink(missing_ok=True)  # of an earlier run: what it says is old
        return self

    def __exit__(self, *_: object) -> None:
        for path, file in self._files.items():
            file.close()
            say(f"kept in {path}")

    def __call__(self, rejection: Rejection) -> None:
        self._told[rejection.fate] += 1
        told = self._told[rejection.fate]
        if told <= TOLD_MAX:
            say(f"{rejection.path}:{rejection.line}: {rejection.fate}: {rejection.reason}")
        elif told == TOLD_MAX + 1:
            say(f"… more lines are {rejection.fate}")
        if rejection.fate == "bad":
            bad = self._file(rejection.path, ".bad", header_line(rejection.path, self._forms[rejection.path]))
            bad.write(rejection.raw + b"\n")
        else:
            skipped = self._file(rejection.path, ".skipped", b"line,fate,reason,record\n")
            row = [str(rejection.line), rejection.fate, rejection.reason, rejection.raw.decode("utf-8", "replace")]
            skipped.write(_csv_row(row))

    def _file(self, path: Path, suffix: str, start: bytes) -> IO[bytes]:
        beside = _beside(path, suffix)
        file = self._files.get(beside)
        if file is None:
            file = self._files[beside] = beside.open("wb")
            file.write(start)
        return file


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _csv_row(values: Sequence[str]) -> bytes:
    lines: list[str] = []
    csv.writer(_Lines(lines), lineterminator="\n").writerow(values)
    return "".join(lines).encode()


class _Lines:
    """As much of a file as `csv.writer` needs."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there when all of it is."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _print(tally: Tally, *, as_json: bool) -> None:
    fates: tuple[Fate, ...] = get_args(Fate)
    if as_json:
        answer: dict[str, object] = {
            "read": tally.read_count,
            "written": dict(tally.written),
            "already": tally.already_count,
        }
        answer |= {fate: tally.rejected[fate] for fate in fates}
        print_json(answer)
        return
    written = sum(tally.written.values())
    where = ", ".join(f"{topic} {tally.written[topic]:,}" for topic in EXPECTED if tally.written[topic])
    print(f"lines read      {tally.read_count:>14,}")
    print(f"written         {written:>14,}" + (f"  ({where})" if where else ""))
    print(f"there already   {tally.already_count:>14,}")
    for fate in fates:
        print(f"{_FATES[fate]:<16}{tally.rejected[fate]:>14,}")


def _now() -> int:
    return time.time_ns() // 1_000_000
