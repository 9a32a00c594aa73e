"""`wurao topics`: make the topics that are missing, and say what differs from how they must be."""

import argparse

from stream.cli.rim import add_config, add_json, config_of, failed, print_json, run_guarded
from stream.config import Config, ConfigError
from stream.kafka import clients, topics
from stream.kafka.describe import describe


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "topics",
        help="make and check the topics",
        description="Makes the topics that wurao needs, with the partitions and the compaction that it relies on.\n"
        "Topics that are there stay as they are: `check` says what differs and the mend, and ends with 1.",
        epilog="examples:\n"
        "  wurao topics create\n"
        "  wurao topics check --json\n"
        "  WURAO_TOPICS__PARTITIONS=48 WURAO_TOPICS__REPLICATION=3 wurao topics create",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = command.add_subparsers(metavar="create|check", required=True)
    for name, sentence in (
        ("create", "make the topics that are missing"),
        ("check", "say what is not as it must be; exit 1 if anything is"),
    ):
        verb = verbs.add_parser(name, help=sentence, description=sentence.capitalize() + ".")
        add_config(verb)
        add_json(verb)
        verb.set_defaults(run=run, verb=name)


def run(arguments: argparse.Namespace) -> int:
    """Make or check the topics. Returns 0, or 1 where something differs or cannot be done."""
    try:
        config = config_of(arguments)
    except ConfigError as error:
        return failed("topics", str(error))
    work = _create if arguments.verb == "create" else _check
    return run_guarded("topics", work(config, as_json=arguments.json), config)


async def _create(config: Config, *, as_json: bool) -> int:
    admin = clients.admin(config)
    try:
        await admin.start()
        made = await topics.create(admin, config.topics)
    finally:
        await admin.close()
    # What was made just now is as it must be, and perhaps not yet known to every broker.
    differences = [told for told in await _differences(config) if told.partition(":")[0] not in made]
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


async def _check(config: Config, *, as_json: bool) -> int:
    differences = await _differences(config)
    if as_json:
        print_json({"differences": differences})
    elif differences:
        print("\n".join(differences))
    else:
        print(f"all {len(topics.EXPECTED)} topics are as they must be")
    return 1 if differences else 0


async def _differences(config: Config) -> list[str]:
    admin = clients.admin(config)
    try:
        await admin.start()
        return topics.differences(await describe(admin, tuple(topics.EXPECTED)), config.topics)
    finally:
        await admin.close()
