"""`wurao registry import`: bulk files into the registry topics, or into one NDJSON file without any broker."""

import argparse
import codecs
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

from bloom.wills import CHANNELS, Channel, Verb
from stream.cli import full_file
from stream.cli.common import (
    CommandError,
    Meter,
    add_config,
    add_json,
    config_of,
    failed,
    print_json,
    private_file,
    run_guarded,
    say,
)
from stream.cli.options import add_number_column
from stream.cli.rejections import Rejections
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.feed import tables
from stream.feed.bulk_files import COLUMNS, BulkFile, Format, Given, LineChunk
from stream.feed.importer import Fate, FileLine, Import, ImportOutcome, ImportTally, OfflineImport
from stream.feed.snapshots import collector_at_rest, describe_registry
from stream.feed.table_columns import IGNORED
from stream.feed.text_files import ENCODINGS, opened
from stream.kafka.registry_client import NoAnswer, registry_client
from stream.kafka.topics import EXPECTED
from stream.model.registry import Sender
from stream.model.requests import Statements
from stream.model.times import read_time, time_problem
from stream.model.topics import EXPRESSIONS
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.registry.known_names import KnownNames

_UNKNOWN_SHOWN_MAX: Final = 20
"""Unknown names that are shown at the end."""

_FATES: Final[dict[Fate, str]] = {"bad": "bad", "late": "too late", "refused": "refused"}


def add_import(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = verbs.add_parser(
        "import",
        help="bulk files to topics",
        description="Reads bulk files and asks the registrar (`wurao registrar`, which must run) to write their\n"
        "records: nothing twice, and no expression that is older than one that stands about the same subscriber,\n"
        "channel and an overlapping scope. Bad lines are listed and kept in FILE.bad, skipped ones in FILE.skipped;\n"
        "all others are applied. An import that was interrupted is completed by running it again.\n\n"
        "Read are NDJSON, CSV (comma, semicolon, tab), the one sheet of an .xlsx, and plain lists of numbers, in\n"
        f"UTF-8, UTF-16 or GB 18030. A table's columns are: {', '.join(COLUMNS)},\n"
        "or the usual names for them, in Chinese or English; others are reported and not read. Nothing is guessed:\n"
        "where the header names no column that is known for its numbers, say --column. What rows leave empty, and all\n"
        "that a list of numbers cannot say, the options say.",
        epilog="examples:\n"
        "  wurao registry import senders.ndjson orders.ndjson\n"
        "  wurao registry import branch.ndjson --sub-port-of ORG-1042\n"
        "  wurao registry import consents.csv --channel sms --source web-form\n"
        "  wurao registry import refusals.txt --channel call --will refuse --source letters\n"
        "  wurao registry import crm.csv --column 2 --map 登记于=time --timezone Asia/Shanghai --channel sms \\\n"
        "      --will refuse --source crm\n"
        "  wurao registry import platform.txt --replace-scope call --source decline-calls\n"
        "  wurao registry import refusals.txt --channel sms --will refuse --source letters --into registry.ndjson",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("files", metavar="FILE", type=Path, nargs="+", help="files, imported in this order")
    command.add_argument(
        "--format",
        choices=get_args(Format),
        help="how the files are written (default: by their names, or by their first lines; a list is a table of one "
        "column)",
    )
    command.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="how the files are encoded (default: by their marks, else UTF-8 or GB 18030, whichever all of a file is)",
    )
    add_number_column(command)
    command.add_argument(
        "--map",
        metavar="THEIRS=OURS",
        action="append",
        default=[],
        help=f"which of our columns a column of theirs is, or `{IGNORED}` for none; may be given again",
    )
    command.add_argument(
        "--timezone",
        metavar="ZONE",
        help="time zone of times in the files that have no offset, such as Asia/Shanghai (default: such lines are bad)",
    )
    command.add_argument("--channel", choices=CHANNELS, help="the channel, for rows and lists that do not state it")
    command.add_argument(
        "--will",
        choices=get_args(Verb),
        help="the expression (refuse, consent, lift), for rows and lists that do not state it",
    )
    for name, sentence in (
        ("source", "how it was expressed, such as web-form"),
        ("sender", "the sender that it concerns (default: any)"),
        ("category", "the category that it concerns (default: any)"),
        ("evidence", "what proves it"),
        ("actor", "who writes it down"),
    ):
        command.add_argument(f"--{name}", metavar="TEXT", help=f"{sentence}, for rows that do not state it")
    command.add_argument(
        "--time",
        metavar="WHEN",
        help="when it was expressed, for rows that do not state it: milliseconds since the epoch, or ISO 8601 with an "
        "offset (default: when the file was last changed)",
    )
    full_file.add_full_file(command, CHANNELS)
    command.add_argument(
        "--take-over",
        metavar="FROM",
        action="append",
        default=[],
        help="senders in the files may take numbers over from FROM, whose own record gives them up; may be given again",
    )
    command.add_argument(
        "--sub-port-of",
        metavar="FROM",
        action="append",
        default=[],
        help="prefixes in the files may be a part of the range of FROM, a provider, which keeps it; may be given again",
    )
    command.add_argument(
        "--unregistered",
        action="store_true",
        help="write consents also to senders that are registered neither in the topics nor by the files, and of "
        "categories that the policy does not have",
    )
    command.add_argument(
        "--into", metavar="OUT", type=Path, help="write NDJSON to this new file instead of the topics; no broker"
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
        full_file.check(arguments)
    now = now_ms()
    with ExitStack() as stack:
        files = _files(config, arguments, stack, now)
        rejections = stack.enter_context(Rejections(files))
        if arguments.into is not None:
            tally = _into_file(config, arguments, files, rejections, now)
        else:
            tally = await _into_topics(config, arguments, files, rejections)
    _print(tally, as_json=arguments.json)
    return 1 if tally.rejected else 0


_Files = Sequence[BulkFile]


def _files(config: Config, arguments: argparse.Namespace, stack: ExitStack, now: int) -> list[BulkFile]:
    """The files, all of them looked at before anything of one is written. Raises `BulkFileError`, `CommandError`."""
    numbering = _policy(config).numbering
    mapped = dict(_mapping(pair) for pair in arguments.map)
    zone = _zone(arguments.timezone)
    files = []
    for path in arguments.files:
        file = stack.enter_context(opened(path, encoding=arguments.encoding))
        bulk = BulkFile(
            file,
            path=path,
            given=_given(arguments, path, zone, now),
            numbering=numbering,
            now=now,
            form=arguments.format,
            column=arguments.column,
            mapped=mapped,
        )
        if file.encoding != "utf-8":
            say(f"{path}: read as {file.encoding}; --encoding overrides it")
        if bulk.layout is not None and bulk.layout.passed_over:
            say(f"{path}: not read are the columns {', '.join(map(repr, bulk.layout.passed_over))}; --map names one")
        files.append(bulk)
    return files


def _mapping(pair: str) -> tuple[str, str]:
    theirs, _, ours = pair.rpartition("=")
    if not theirs or ours not in (*COLUMNS, IGNORED):
        raise CommandError(f"--map {pair!r}: write THEIRS=OURS, and OURS among {', '.join(COLUMNS)}, {IGNORED}")
    return theirs, ours


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise CommandError(f"--timezone {name!r}: no such zone; name one such as Asia/Shanghai") from error


def _into_file(
    config: Config, arguments: argparse.Namespace, files: _Files, rejections: Rejections, now: int
) -> ImportTally:
    others = list(_others(files))
    policy = _policy(config)
    senders = {line.record.sender for line in others if isinstance(line.record, Sender)}
    with private_file(arguments.into) as out:
        offline = OfflineImport(
            file=out,
            numbering=policy.numbering,
            names=KnownNames(policy.file.categories, senders or None),
            stated=_stated(arguments),
            now=now,
            on_rejection=rejections,
        )
        offline.take_others(others)
        offline.take(_chunks(files, offline.outcome))
        return offline.outcome.tally


async def _into_topics(
    config: Config, arguments: argparse.Namespace, files: _Files, rejections: Rejections
) -> ImportTally:
    cluster = await describe_registry(config)
    partitions_count = cluster.topics[EXPRESSIONS].partitions
    if partitions_count != config.topics.partitions:
        raise CommandError(
            f"{EXPRESSIONS} has {partitions_count} partitions, and topics.partitions is {config.topics.partitions}: "
            "set it to what the topics have"
        )
    async with registry_client(config, client="wurao-import") as client:
        await client.see_somebody()
        importing = Import(
            config=config,
            client=client,
            numbering=_policy(config).numbering,
            stated=_stated(arguments),
            actor=arguments.actor or "import",
            on_rejection=rejections,
        )
        try:
            if arguments.replace_scope:
                (bulk,) = files
                await full_file.replace(config, arguments, importing, bulk)
            else:
                await importing.take_others(_others(files))
                await importing.take(_chunks(files, importing.outcome))
        except NoAnswer as error:
            importing.outcome.tell()
            _print(importing.outcome.tally, as_json=arguments.json)
            raise CommandError(f"{error}; run the import again: what stands is not written twice") from error
        return importing.outcome.tally


def _policy(config: Config) -> Policy:
    return load(config.policy.file, keys_of(config))


def _others(files: _Files) -> Iterator[FileLine]:
    """What the files hold that are no expressions."""
    for bulk in files:
        for line, record in bulk.others():
            yield FileLine(bulk.path, line, record)


def _stated(arguments: argparse.Namespace) -> Statements:
    """What the operator states beside the files."""
    return Statements(
        take_over=tuple(arguments.take_over),
        sub_port_of=tuple(arguments.sub_port_of),
        unregistered=arguments.unregistered,
    )


def _chunks(files: _Files, outcome: ImportOutcome) -> Iterator[tuple[Path, LineChunk]]:
    """All lines of the files, with how far that has come."""
    total = sum(bulk.bytes_count for bulk in files)
    before = 0
    with collector_at_rest(), Meter("import", "lines") as meter:
        for bulk in files:
            lines_count = without = 0
            for chunk in bulk.chunks():
                outcome.read(bulk.path, chunk)
                yield bulk.path, chunk
                lines_count, without = lines_count + len(chunk), without + chunk.no_number_count
                meter.update(before + chunk.bytes_count, total, outcome.tally.read_count)
            before += bulk.bytes_count
            if not lines_count:
                say(f"{bulk.path}: no lines" + (" under its header" if bulk.head.strip(codecs.BOM_UTF8) else ""))
            if bulk.layout is not None and 2 * without > lines_count:
                say(tables.other_column(str(bulk.path), bulk.layout, without, lines_count))


def _given(arguments: argparse.Namespace, path: Path, zone: ZoneInfo | None, now: int) -> Given:
    if arguments.time is not None:
        try:
            moment = read_time(arguments.time)
        except ValueError as error:
            raise CommandError(f"--time: {error}") from error
    else:
        moment = path.stat().st_mtime_ns // 1_000_000
    if problem := time_problem(moment, now):
        raise CommandError(
            f"--time: {problem}"
            if arguments.time
            else f"{path}: its modification time cannot be used: {problem}; say --time"
        )
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
        zone=zone,
    )


def _print(tally: ImportTally, *, as_json: bool) -> None:
    fates: tuple[Fate, ...] = get_args(Fate)
    if as_json:
        answer: dict[str, object] = {
            "read": tally.read_count,
            "written": dict(tally.written),
            "already": tally.already_count,
        }
        answer |= {fate: tally.rejected[fate] for fate in fates}
        if tally.unknown:
            answer["unknown"] = dict(tally.unknown.most_common())
        print_json(answer)
        return
    written = sum(tally.written.values())
    where = ", ".join(f"{topic} {tally.written[topic]:,}" for topic in EXPECTED if tally.written[topic])
    print(f"lines read      {tally.read_count:>14,}")
    print(f"written         {written:>14,}" + (f"  ({where})" if where else ""))
    print(f"there already   {tally.already_count:>14,}")
    for fate in fates:
        print(f"{_FATES[fate]:<16}{tally.rejected[fate]:>14,}")
    if tally.unknown:
        print("named, and not known")
    for problem, count in tally.unknown.most_common(_UNKNOWN_SHOWN_MAX):
        print(f"  {problem}: {count:,}")
    if len(tally.unknown) > _UNKNOWN_SHOWN_MAX:
        print(f"  and {len(tally.unknown) - _UNKNOWN_SHOWN_MAX:,} more")
