"""`wurao topics`: create the topics that are missing, and report configuration that differs from what wurao requires.

`check` also names the records of the registry that exceed a limit or lie outside the bounds of times: they were written
before that limit existed, and stay in force.
"""

import argparse
from contextlib import nullcontext
from typing import Final, Literal, get_args

from stream.cli.common import Meter, add_config, add_json, config_of, failed, print_json, run_guarded
from stream.clock import now_ms
from stream.config import Config, ConfigError
from stream.feed.topic_reader import read
from stream.kafka import clients, topics
from stream.kafka.describe import ClusterDescription, describe
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.exceeding import Exceeding

Records = Literal["all", "all-but-expressions", "none"]

SHOWN_MAX: Final = 50
"""So many records are printed one by one for people."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "topics",
        help="create and check the topics",
        description="Creates the topics that wurao needs, with the partitions and the compaction that it relies on.\n"
        "Existing topics are not altered: `check` says what differs and how to correct it, and exits with 1.",
        epilog="examples:\n"
        "  wurao topics create\n"
        "  wurao topics check --json\n"
        "  wurao topics check --records all-but-expressions\n"
        "  WURAO_TOPICS__PARTITIONS=48 WURAO_TOPICS__REPLICATION=3 wurao topics create",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="create|check", required=True)
    for name, sentence in (
        ("create", "create the topics that are missing"),
        ("check", "say what is not configured as it must be; exit 1 if anything is"),
    ):
        verb = verbs.add_parser(name, help=sentence, description=sentence.capitalize() + ".")
        add_config(verb)
        add_json(verb)
        verb.set_defaults(run=run, verb=name)
        if name == "check":
            verb.add_argument(
                "--records",
                choices=get_args(Records),
                default="all",
                help="which records of the registry are looked at for what exceeds a limit: all, which reads every "
                "expression, all but the expressions, or none (default: all). What is found is still applied, and the "
                "exit code the same",
            )


def run(arguments: argparse.Namespace) -> int:
    """Create or check the topics. Returns 0, or 1 where something differs or cannot be done."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("topics", str(error))
    work = (
        _create(config, as_json=arguments.json)
        if arguments.verb == "create"
        else _check(config, as_json=arguments.json, records=arguments.records)
    )
    return run_guarded("topics", work, config)


async def _create(config: Config, *, as_json: bool) -> int:
    admin = clients.admin(config)
    try:
        await admin.start()
        made = await topics.create(admin, config.topics)
    finally:
        await admin.close()
    # A topic created just now is right, and perhaps not yet known to every broker.
    differences = [difference for difference in await _differences(config) if difference.partition(":")[0] not in made]
    kept = [name for name in topics.EXPECTED if name not in made]
    if as_json:
        print_json({"made": made, "kept": kept, "differences": differences})
    else:
        for name in made:
            print(f"made {name}, partitions: {topics.EXPECTED[name].partitions(config.topics)}")
        if kept:
            print(f"there already: {', '.join(kept)}")
        for difference in differences:
            print(f"differs: {difference}")
    return 1 if differences else 0


async def _check(config: Config, *, as_json: bool, records: Records) -> int:
    cluster = await _cluster(config)
    differences = topics.differences(cluster, config.topics)
    wanted = [name for name in RECORD_KIND if name in cluster.topics and _is_wanted(name, records)]
    found = [one for name in wanted for one in await _exceeding(config, name, cluster.topics[name].partitions)]
    if as_json:
        print_json({"differences": differences, "exceeding": found})
    else:
        print("\n".join(differences) or f"all {len(topics.EXPECTED)} topics are as they must be")
        for one in found[:SHOWN_MAX]:
            print(f"still applied, and above a limit for new records: {one}")
        if len(found) > SHOWN_MAX:
            print(f"… and {len(found) - SHOWN_MAX:,} more; --json names them all")
    return 1 if differences else 0


def _is_wanted(topic: str, records: Records) -> bool:
    return records == "all" or (records == "all-but-expressions" and topic != EXPRESSIONS)


async def _exceeding(config: Config, topic: str, partitions: int) -> list[str]:
    """Every record of a registry topic that would be rejected if written now: its offset and key, and why."""
    places = clients.partitions(topic, partitions)
    found = Exceeding(topic, now_ms())
    done = 0
    with Meter(topic, "records read") if topic == EXPRESSIONS else nullcontext() as meter:
        async for batch in read(config, places, client="wurao-topics"):
            for raw in batch.records:
                if raw.key is not None:
                    found.take(raw.partition, raw.offset, raw.key, raw.value)
            done += len(batch.records)
            if meter is not None:
                meter.update(done, done + batch.left_count, done)
    if found.scopes.left:
        async for batch in read(config, places, client="wurao-topics"):
            for raw in batch.records:
                if raw.key is not None:
                    found.scopes.look(raw.key)
    return found.sentences()


async def _cluster(config: Config) -> ClusterDescription:
    admin = clients.admin(config)
    try:
        await admin.start()
        return await describe(admin, tuple(topics.EXPECTED))
    finally:
        await admin.close()


async def _differences(config: Config) -> list[str]:
    return topics.differences(await _cluster(config), config.topics)
