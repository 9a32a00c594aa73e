"""The demonstration from the first broker to the last process that it ends.

In order: a broker (or the configured cluster), topics, the sample registry, `wurao filter`, `wurao registrar`, traffic
with a live view and one subscriber's opt-out, a summary. Whatever ends it, everything that it started is ended and
its temporary directory is removed. Only when the filter failed is that kept, because its log is there, and
the message says so.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

from aiokafka import AIOKafkaProducer
from rich.console import Console

from stream import config as configuration
from stream.clock import now_ms
from stream.config import Config
from stream.demo import closing, view
from stream.demo.stage import Stage
from stream.kafka import clients, topics
from stream.kafka.closing import close_within
from stream.model.topics import EXPRESSIONS, SENDERS
from stream.testbed import texts
from stream.testbed.feed import write_registry
from stream.testbed.local import Cluster, ExistingKafka, LocalKafka
from stream.testbed.processes import FilterProcess, ProcessError, WuraoProcess, free_ports, usage, wurao_command
from stream.testbed.sample import Sample, sample
from stream.testbed.traffic import Traffic

WORKERS: Final = 2
SEED: Final = 20_260_601
PLAIN_COLUMNS: Final = 120
KEPT_CHECK_S: Final = 1.0
_STEP_CELLS: Final = 10
"""Of a step's name."""


class DemoError(Exception):
    """The demonstration cannot go on: why, and the mend."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    seconds: float = 24.0
    rate: int = 5_000
    keep: bool = False
    messages: Path | None = None
    bootstrap: str | None = None
    """a cluster to use instead of a broker of our own"""
    config: Path | None = None


def run(options: Options, console: Console) -> int:
    """The whole demonstration; returns the exit code. Raises what made it impossible, with its mend."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    if view.is_plain(console):
        console = Console(file=console.file, width=PLAIN_COLUMNS, color_system=None, force_terminal=False)
    directory = Path(tempfile.mkdtemp(prefix="wurao-demo-"))
    kept = False
    try:
        return _with_broker(options, console, directory)
    except ProcessError:
        kept = True  # its log is there
        raise
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)


def _with_broker(options: Options, console: Console, directory: Path) -> int:
    corpus = texts.corpus(options.messages) if options.messages else texts.own()
    with _broker(options, console) as kafka:
        environment = _environment(options, kafka, directory)
        config = configuration.load(options.config, environment)
        process = FilterProcess(environment, workers=WORKERS, log=directory / "filter.log")
        registrar = _registrar(environment, directory)
        try:
            demo = _Demo(options, config, console, corpus=corpus, process=process, registrar=registrar, kafka=kafka)
            return asyncio.run(demo.run())
        finally:
            registrar.stop()
            process.stop()


def _registrar(environment: Mapping[str, str], directory: Path) -> WuraoProcess:
    """A registrar, which builds its store while traffic flows: at the lowest priority, so that it costs no figure."""
    port = free_ports(1)
    settings = {
        "WURAO_REGISTRAR__GROUP": f"{environment['WURAO_FILTER__GROUP']}-registrar",
        "WURAO_REGISTRAR__DIRECTORY": str(directory / "registrar"),
        "WURAO_REGISTRAR__PORT": str(port),
        "WURAO_METRICS__HOST": "127.0.0.1",
    }
    return WuraoProcess(
        ["nice", "-n", "19", *wurao_command("registrar")],
        environment={**environment, **settings},
        log=directory / "registrar.log",
        port=port,
    )


@contextmanager
def _broker(options: Options, console: Console) -> Iterator[Cluster]:
    if _existing(options, os.environ):
        yield ExistingKafka(options.bootstrap or configuration.load(options.config, os.environ).kafka.bootstrap)
        return
    kafka = LocalKafka(profile="bench")
    try:
        with step(console, "Kafka") as say:
            say("starting")
            kafka.start()
            say(f"a genuine broker of our own on {kafka.bootstrap}")
        yield kafka
    finally:
        kafka.stop()


def _existing(options: Options, environment: Mapping[str, str]) -> bool:
    return bool(options.bootstrap or options.config or environment.get("WURAO_KAFKA__BOOTSTRAP"))


def _environment(options: Options, kafka: Cluster, directory: Path) -> dict[str, str]:
    """The filter's environment: the caller's, without the settings of other clusters where the broker is our own."""
    ours = not _existing(options, os.environ)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not (ours and name.startswith(configuration.ENVIRONMENT_PREFIX))
    }
    if options.config is not None:
        environment["WURAO_CONFIG"] = str(options.config)
    return environment | {
        "WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "WURAO_REGISTRY__SNAPSHOTS": str(directory / "snapshots"),
        "WURAO_FILTER__GROUP": f"wurao-demo-{token_hex(4)}",
    }


@contextmanager
def step(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """One step of the preparation, with a spinner on a terminal. Call what it gives with the newest state as text."""
    state = "…"
    began = time.monotonic()
    status = None if view.is_plain(console) else console.status(f"{name}: {state}")

    def say(text: str) -> None:
        nonlocal state
        state = text
        if status is not None:
            status.update(f"{name}: {text}")

    if status is None:
        yield say
    else:
        with status:
            yield say
    view.say(console, f"{name:<{_STEP_CELLS}}{state} ({time.monotonic() - began:.1f} s)", hanging=_STEP_CELLS)


def topics_made(count: int, partitions: int) -> str:
    """How many topics there were to make."""
    return f"{count} made, {partitions} partitions where events, decisions and expressions are"


def registry_written(registry: Sample) -> str:
    """What the sample registry holds."""
    return (
        f"{registry.expressions_count:,} expressions ({registry.consents_count:,} consents), "
        f"{len(registry.senders)} senders, {len(registry.orders)} orders, {len(registry.campaigns)} campaigns"
    )


class _Demo:
    """What happens once there is a cluster."""

    def __init__(
        self,
        options: Options,
        config: Config,
        console: Console,
        *,
        corpus: texts.SampleTexts,
        process: FilterProcess,
        registrar: WuraoProcess,
        kafka: Cluster,
    ) -> None:
        self._options = options
        self._config = config
        self._console = console
        self._texts = corpus
        self._filter = process
        self._registrar = registrar
        self._kafka = kafka

    async def run(self) -> int:
        producer = clients.producer(self._config, client="wurao-demo")
        await producer.start()
        try:
            registry = await self._prepare(producer)
            traffic = Traffic(registry, self._texts, seed=SEED, prefix=f"demo-{token_hex(3)}")
            stage = Stage(
                self._config,
                self._console,
                producer,
                traffic,
                self._filter,
                seconds=self._options.seconds,
                rate=self._options.rate,
                brokers=tuple(self._kafka.pids.values()) if isinstance(self._kafka, LocalKafka) else (),
            )
            await stage.perform()
            in_order = closing.show(self._console, stage, registry)
            if self._options.keep:
                await self._stay()
        finally:
            await close_within(producer)
        return 0 if in_order else 1

    async def _prepare(self, producer: AIOKafkaProducer) -> Sample:
        """Topics, the registry in its topics, a filter that has read it."""
        partitions = self._config.topics.partitions
        with step(self._console, "topics") as say:
            made = await self._make_topics()
            say(topics_made(made, partitions))
        registry = sample(now=now_ms())
        count = len(registry.records()) + registry.expressions_count
        with step(self._console, "registry") as say:
            await write_registry(
                producer,
                registry,
                partitions=partitions,
                note=lambda written: say(f"{written:,} of {count:,} records"),
            )
            say(registry_written(registry))
        with step(self._console, "filter") as say:
            say("reading the registry from its topics")
            self._filter.start()
            await self._filter.ready()
            taken = usage(self._filter.pid)
            size = f"; supervisor and the registry that they share: {taken.rss_mib:,.0f} MiB" if taken else ""
            say(f"{WORKERS} workers are ready{size}")
        with step(self._console, "registrar") as say:
            self._registrar.start()
            say("builds its store beside: whoever writes the registry asks it")
        return registry

    async def _make_topics(self) -> int:
        """Make the topics that are missing. A registry that somebody uses is left alone."""
        admin = clients.admin(self._config)
        await admin.start()
        try:
            made = await topics.create(admin, self._config.topics)
        finally:
            await admin.close()
        follower = clients.follower(self._config, client="wurao-demo")
        await follower.start()
        try:
            places = [
                *clients.partitions(EXPRESSIONS, self._config.topics.partitions),
                *clients.partitions(SENDERS, 1),
            ]
            if any((await follower.end_offsets(places)).values()):
                raise DemoError(
                    f"{self._kafka.bootstrap}: its registry topics hold records, and the demonstration writes a "
                    "million invented ones; point it at an empty cluster, or leave --bootstrap out"
                )
        finally:
            await close_within(follower)
        return len(made)

    async def _stay(self) -> None:
        """Keep everything running until a signal."""
        workers = " ".join(f"{address}/metrics" for address in self._filter.addresses)
        for text in (
            "",
            "Kept running, without traffic, until Ctrl-C or `kill " + str(os.getpid()) + "`:",
            f"  bootstrap  {self._kafka.bootstrap}",
            f"  metrics    {workers}",
            f"  health     {self._filter.addresses[0]}/healthz {self._filter.addresses[0]}/readyz",
            f"  registrar  {self._registrar.addresses[0]}/readyz; once it is ready: wurao will set, registry import",
            f"  logs       {self._filter.log_file} {self._registrar.log_file}",
        ):
            view.say(self._console, text, hanging=2)
        while True:
            await asyncio.sleep(KEPT_CHECK_S)
            self._filter.check()
            self._registrar.check()
