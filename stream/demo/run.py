"""The demonstration from the first broker to the last word.

In order: a broker (or the cluster that is configured), topics, the sample registry, `wurao filter`, traffic with a
live view, one subscriber's word, a summary. Whatever ends it, everything that it started is ended and its temporary
directory is removed; only when the filter failed is that kept, because its log stands there, and the message says so.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.live import Live

from stream.config import Config
from stream.demo import texts, view
from stream.demo.feed import Feed, now_ms, write_registry
from stream.demo.optout import AFTERWARDS_COUNT, PROBE_EVERY_S, OptOut
from stream.demo.processes import FilterError, FilterProcess, Usage, quantile_of, usage
from stream.demo.sample import Sample, sample, subscriber
from stream.demo.tally import Tally
from stream.demo.traffic import SCENARIOS, Traffic
from stream.demo.view import Frame, Held, Process
from stream.demo.words import in_words
from stream.kafka import clients, topics
from stream.kafka.local import Cluster, ExistingKafka, LocalKafka
from stream.model.codec import decode_decision
from stream.model.decision import Decision
from stream.model.events import Event
from stream.model.registry import Expression
from stream.model.topics import DECISIONS, EXPRESSIONS, SENDERS
from stream.policy.facts import World
from stream.policy.loading import load as load_policy
from stream.registry.registry import registry_of

WORKERS: Final = 2
SEED: Final = 20_260_601
PICTURES_PER_S: Final = 4
LINE_EVERY_S: Final = 2.0
LOOK_EVERY_S: Final = 1.0
"""How often the workers' metrics and the processes are looked at."""

STORY_AFTER: Final = 0.2
"""The part of the traffic after which the subscriber's story begins."""

ANSWER_S_MAX: Final = 15.0
"""How long answers may be waited for once nothing more is sent."""

PLAIN_COLUMNS: Final = 110
SAMPLE_WRITERS_LINGER_S: Final = 5.0
TOLD_REASONS: Final = ("prohibited_content", "suspended")
"""Two of the opening's decisions that are explained; the third is the subscriber's."""


class DemoError(Exception):
    """The demonstration cannot go on: why, and the mend."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    seconds: float = 24.0
    rate: int = 5_000
    keep: bool = False
    messages: Path | None = None
    existing: bool = False
    """use the configured cluster and start no broker"""


def run(options: Options, config: Config, console: Console) -> int:
    """The whole demonstration; returns the exit code. Raises what made it impossible, with its mend."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if view.plain_console(console):
        console = Console(file=console.file, width=PLAIN_COLUMNS, color_system=None, force_terminal=False)
    directory = Path(tempfile.mkdtemp(prefix="wurao-demo-"))
    steps = Steps(console)
    kept = False
    try:
        said = texts.corpus(options.messages) if options.messages else texts.own()
        with _broker(options, config, steps) as kafka:
            demo = Demo(options, _pointed(config, kafka, directory), console, steps, directory, said, kafka)
            try:
                return asyncio.run(demo.run())
            except FilterError:
                kept = True  # its log is there
                raise
            finally:
                demo.filter.stop()
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)


class Steps:
    """Says what is being prepared and how long it took: a line per step, and a spinner on a terminal meanwhile."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """One step; call what it gives with the outcome, last."""
        said = ""

        def say(text: str) -> None:
            nonlocal said
            said = text
            if status is not None:
                status.update(f"{name}: {text}")

        began = time.monotonic()
        plain = view.plain_console(self._console)
        with nullcontext() if plain else self._console.status(f"{name} …") as status:
            yield say
        self._console.print(
            f"{name:<9} {said} [dim]({time.monotonic() - began:.1f} s)[/dim]", highlight=False, soft_wrap=True
        )


@contextmanager
def _broker(options: Options, config: Config, steps: Steps) -> Iterator[Cluster]:
    if options.existing:
        yield ExistingKafka(config.kafka.bootstrap)
        return
    kafka = LocalKafka(profile="bench")
    try:
        with steps.step("Kafka") as say:
            say("starting a broker on this machine")
            kafka.start()
            say(f"a genuine broker on {kafka.bootstrap}")
        yield kafka
    finally:
        kafka.stop()


def _pointed(config: Config, kafka: Cluster, directory: Path) -> "Pointed":
    """The configuration, and the same as a filter's environment, with the demonstration's own places."""
    environment = dict(os.environ)
    environment |= {
        "WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "WURAO_REGISTRY__SNAPSHOTS": str(directory / "snapshots"),
        "WURAO_FILTER__GROUP": f"wurao-demo-{token_hex(4)}",
    }
    changed = _with_bootstrap(config, kafka.bootstrap)
    return Pointed(changed, environment)
