"""`wurao registry`: bulk files to topics and back, snapshots, and what a registry holds."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from bloom import snapshot
from bloom.bitmaps import WillStats
from bloom.snapshot import SnapshotMeta
from stream.cli.common import Meter, add_config, add_json, config_of, failed, print_json, private_file, run_guarded, say
from stream.cli.registry_import import add_import
from stream.cli.registry_reads import add_reads
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.feed import snapshots
from stream.feed.export import export
from stream.feed.files import registry_from
from stream.model.times import iso_time
from stream.registry.registry import Registry

BAD_SHOWN_MAX: Final = 20
"""Of records that cannot be used, so many are named; the rest is counted."""


class TopicState(msgspec.Struct, frozen=True):
    """How far a topic has gone into a registry."""

    id: str
    offsets: tuple[int, ...]


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `registry inspect --json`. Counts are of numbers, sizes in bytes, times in
    milliseconds.
    """

    source: str
    created: int
    age_ms: int
    cluster: str
    topics: dict[str, TopicState]
    file_bytes: int | None
    sms_refusing_all: int
    call_refusing_all: int
    refusals: int
    consents: int
    bitmaps: int
    bitmap_bytes: int
    senders: int
    orders: int
    orders_in_force: int
    campaigns: int
    wordlists: int


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "registry",
        help="bulk files to topics and back; snapshots",
        description="Bulk files to the registry topics and back, snapshots of them, and what they hold.",
        epilog="examples:\n"
        "  wurao registry import senders.ndjson refusals.csv\n"
        "  wurao registry export --out registry.ndjson\n"
        "  wurao registry snapshot --out /var/lib/wurao/snapshots\n"
        "  wurao registry inspect --topics\n"
        "  wurao registry owner 1069012345 --channel sms\n"
        "\nEach has its own help: wurao registry import --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="import|export|snapshot|inspect|owner|sender", required=True)
    add_import(verbs)
    add_reads(verbs)
    exporting = verbs.add_parser(
        "export",
        help="all records from the topics, as NDJSON",
        description="Writes the latest record of every key in the registry topics, as an import reads them.",
        epilog="examples:\n  wurao registry export --out registry.ndjson\n  wurao registry export | gzip > r.gz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    exporting.add_argument("--out", metavar="FILE", type=Path, help="the file to write (default: standard output)")
    add_config(exporting)
    exporting.set_defaults(run=run_export)
    keeping = verbs.add_parser(
        "snapshot",
        help="make a snapshot from the topics",
        description="Folds the registry topics into a snapshot, from which workers start in seconds.",
        epilog="examples:\n  wurao registry snapshot\n  wurao registry snapshot --out backup --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    keeping.add_argument(
        "--out", metavar="DIR", type=Path, help="where to keep it (default: registry.snapshots, which is pruned)"
    )
    add_config(keeping)
    add_json(keeping)
    keeping.set_defaults(run=run_snapshot)
    inspecting = verbs.add_parser(
        "inspect",
        help="what a snapshot or the topics hold",
        description="Counts what a snapshot holds, or what the topics hold now, and says what it stands for.",
        epilog="examples:\n  wurao registry inspect snapshots/registry-1795500000000.snapshot\n"
        "  wurao registry inspect --topics --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inspected = inspecting.add_mutually_exclusive_group(required=True)
    inspected.add_argument("file", metavar="FILE", type=Path, nargs="?", help="a snapshot")
    inspected.add_argument("--topics", action="store_true", help="read the topics as they are now")
    add_config(inspecting)
    add_json(inspecting)
    inspecting.set_defaults(run=run_inspect)


def run_export(arguments: argparse.Namespace) -> int:
    """Export the topics. Returns 0, or 1 where a record could not be used or read."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("registry export", str(error))
    return run_guarded("registry export", _export(config, arguments), config)


def run_snapshot(arguments: argparse.Namespace) -> int:
    """Make a snapshot. Returns 0 once it is on the disk."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("registry snapshot", str(error))
    return run_guarded("registry snapshot", _snapshot(config, arguments), config)


def run_inspect(arguments: argparse.Namespace) -> int:
    """Count what a snapshot or the topics hold. Returns 0, or 1 where it cannot be read."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("registry inspect", str(error))
    return run_guarded("registry inspect", _inspect(config, arguments), config)


async def _export(config: Config, arguments: argparse.Namespace) -> int:
    read_count = written_count = bad_count = 0
    with _output(arguments.out) as out, Meter("export", "records read") as meter:

        def note(count: int) -> None:
            nonlocal read_count
            read_count += count
            meter.update(0, 0, read_count)

        async with aclosing(export(config, progress=note)) as lines:
            async for exported in lines:
                out.writelines(line + b"\n" for line in exported.lines)
                written_count += len(exported.lines)
                for problem in exported.bad[: max(0, BAD_SHOWN_MAX - bad_count)]:
                    say(problem)
                bad_count += len(exported.bad)
                note(exported.read_count)
        out.flush()
    say(f"{written_count:,} records exported" + (f"; {bad_count:,} cannot be used" if bad_count else ""))
    return 1 if bad_count else 0


async def _snapshot(config: Config, arguments: argparse.Namespace) -> int:
    registry, meta, bad_count = await _built(config)
    directory = arguments.out or Path(config.registry.snapshots)
    path = snapshots.save(directory, registry, meta, keys_of(config))
    removed = [] if arguments.out else snapshots.prune(directory, keep=config.registry.snapshots_kept)
    size = path.stat().st_size
    if arguments.json:
        print_json(
            {
                "path": str(path),
                "bytes": size,
                "created": meta.created_ms,
                "bad": bad_count,
                "removed": [str(old) for old in removed],
            }
        )
    else:
        print(f"{path}: {size:,} bytes")
        for old in removed:
            print(f"removed {old}")
    return 0


async def _inspect(config: Config, arguments: argparse.Namespace) -> int:
    if arguments.topics:
        registry, meta, _ = await _built(config)
        source, size = f"topics at {config.kafka.bootstrap}", None
    else:
        kept = snapshot.read(arguments.file, keys_of(config))
        registry, meta = registry_from(kept), kept.meta
        source, size = str(arguments.file), arguments.file.stat().st_size
    inspection = _inspection(registry, meta, source=source, size=size, now=now_ms())
    if arguments.json:
        print_json(inspection)
    else:
        _print(inspection)
    return 0


async def _built(config: Config) -> tuple[Registry, SnapshotMeta, int]:
    """The registry from its topics, with bad records printed as they are met."""
    bad_count = misplaced_count = 0
    with Meter("registry", "records read") as meter:

        def note(progress: snapshots.BuildProgress) -> None:
            nonlocal bad_count, misplaced_count
            for bad in progress.bad[: max(0, BAD_SHOWN_MAX - bad_count)]:
                say(f"{bad.topic}, partition {bad.partition}, offset {bad.offset}: {bad.error}; not used")
            bad_count += len(progress.bad)
            misplaced_count += progress.misplaced_count
            done = progress.read_count
            meter.update(done, done + progress.left_count, done)

        registry, meta = await snapshots.build(config, progress=note)
    if bad_count:
        say(f"{bad_count:,} records cannot be used and are skipped")
    if misplaced_count:
        say(f"{misplaced_count:,} expressions are in another partition than their subscriber's; they count")
    return registry, meta, bad_count


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file."""
    if path is None:
        yield sys.stdout.buffer
        return
    with private_file(path) as file:
        yield file


def _inspection(registry: Registry, meta: SnapshotMeta, *, source: str, size: int | None, now: int) -> Inspection:
    stats: WillStats = registry.wills.stats()
    return Inspection(
        source=source,
        created=meta.created_ms,
        age_ms=max(0, now - meta.created_ms),
        cluster=meta.cluster,
        topics={name: TopicState(mark.id, mark.offsets) for name, mark in meta.topics.items()},
        file_bytes=size,
        sms_refusing_all=stats.sms_refusing_all_count,
        call_refusing_all=stats.call_refusing_all_count,
        refusals=stats.refusals_count,
        consents=stats.consents_count,
        bitmaps=stats.bitmaps_count,
        bitmap_bytes=stats.serialised_bytes,
        senders=len(registry.senders),
        orders=len(registry.orders),
        orders_in_force=sum(order.in_force(now) for order in registry.orders.values()),
        campaigns=len(registry.campaigns),
        wordlists=len(registry.wordlists),
    )


def _print(inspection: Inspection) -> None:
    rows: list[tuple[str, str]] = [
        ("registry", inspection.source),
        ("made", f"{iso_time(inspection.created)}, {inspection.age_ms / 60_000:,.1f} minutes ago"),
        ("cluster", inspection.cluster),
    ]
    if inspection.file_bytes is not None:
        rows.append(("file", f"{inspection.file_bytes:,} bytes"))
    rows += [
        ("refuse everything, sms", f"{inspection.sms_refusing_all:,} numbers"),
        ("refuse everything, call", f"{inspection.call_refusing_all:,} numbers"),
        ("refusals in all", f"{inspection.refusals:,}"),
        ("consents", f"{inspection.consents:,}"),
        ("bitmaps", f"{inspection.bitmaps:,}, {inspection.bitmap_bytes:,} bytes"),
        ("senders", f"{inspection.senders:,}"),
        ("orders", f"{inspection.orders:,}, {inspection.orders_in_force:,} in force"),
        ("campaigns", f"{inspection.campaigns:,}"),
        ("word lists", f"{inspection.wordlists:,}"),
    ]
    for name, topic in inspection.topics.items():
        rows.append((name, f"offsets {_joined(topic.offsets)}  id {topic.id}"))
    for title, value in rows:
        print(f"{title:<26}{value}")


def _joined(offsets: Sequence[int]) -> str:
    return " ".join(map(str, offsets))
