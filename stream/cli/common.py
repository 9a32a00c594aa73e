"""What commands share: the configuration's option, errors in one line, progress that people
can read.

Progress goes to stderr: a bar on a terminal, a plain line every few seconds elsewhere; stdout is the
command's answer.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, Self, TypeVar

import msgspec
from prometheus_client import CollectorRegistry

from bloom.snapshot import SnapshotError
from stream import config as configuration
from stream import logs
from stream.cli.main import FULL
from stream.config import Config, ConfigError
from stream.feed.files import RegistryFileError
from stream.feed.snapshots import SnapshotsError
from stream.feed.text_files import BulkFileError
from stream.health import Health
from stream.kafka.clients import KafkaError
from stream.kafka.reason import reason
from stream.kafka.registry_client import NoAnswer, NotRead
from stream.model.answers import json_of
from stream.policy.toml import PolicyError

if TYPE_CHECKING:
    from rich.progress import Progress

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

INPUT_CHARACTERS_MAX: Final = 512
"""Of an argument that is read from standard input: longer than any number or addressee may be."""

PLAIN_LINE_EVERY_S: Final = 5.0

_SHOWN: Final = (
    ConfigError,
    PolicyError,
    SnapshotError,
    SnapshotsError,
    RegistryFileError,
    BulkFileError,
    NoAnswer,
    NotRead,
)
"""Errors whose text says what, where and the mend."""


class CommandError(Exception):
    """A command that cannot go on: what, where, and the mend."""


def add_config(command: argparse.ArgumentParser) -> None:
    """The option that names the configuration file."""
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=os.environ.get("WURAO_CONFIG"),
        help="the configuration, a TOML file (default: WURAO_CONFIG, or none); WURAO_<TABLE>__<NAME> overrides it",
    )


def add_verbose(command: argparse.ArgumentParser) -> None:
    """The option of processes that log."""
    command.add_argument("--verbose", action="store_true", help="also log what only a developer needs")


def add_json(command: argparse.ArgumentParser) -> None:
    """The option that asks for an answer that programs read."""
    command.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def given_or_read(word: str) -> str:
    """What an argument states: itself, or for `-` the first line of standard input, which no `ps` shows."""
    return sys.stdin.readline(INPUT_CHARACTERS_MAX).strip() if word == "-" else word


def print_json(value: object) -> None:
    """Give a program its answer: one line of JSON on stdout."""
    print(json_of(value).decode())


def config_of(arguments: argparse.Namespace) -> Config:
    """The configuration that the command was given. Raises `ConfigError`."""
    config = configuration.load(arguments.config, os.environ)
    logs.configure()
    # A command says itself what went wrong; the client's own account of it would come in between.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return config


def read_object(path: str | None, bytes_max: int) -> dict[str, object]:
    """What a file of one JSON object states, or standard input (`-`); nothing without one. Raises `CommandError`.

    More than `bytes_max`, the API's limit, is not read.
    """
    if path is None:
        return {}
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            data = file.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise CommandError(f"{path}: more than {bytes_max:,} bytes, which the API does not take: shorten its texts")
        return msgspec.json.decode(data.decode(), type=dict[str, object])
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; see the path and this user's rights") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: byte {error.start + 1} is no UTF-8; write the file in UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise CommandError(f"{path}: {error}; give one JSON object") from error


class HasRegistry(Protocol):
    """A process's metrics."""

    registry: CollectorRegistry


class Serving(Protocol[R_co]):
    """A process with one endpoint for its metrics and health."""

    @property
    def metrics(self) -> HasRegistry:
        """What `/metrics` shows."""

    def not_ready(self) -> str | None:
        """Why it is not ready, or None."""

    def stop(self) -> None:
        """Ask it to end."""

    async def run(self) -> R_co:
        """Run until it is asked to end."""


def end_on_signal(stop: Callable[[], None]) -> None:
    """Let SIGTERM and SIGINT call this, on the running loop."""
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stop)


async def serve(name: str, process: Serving[R], config: Config, *, port: int, setting: str, **facts: object) -> R:
    """Run a process until a signal ends it, with its endpoint at this port, which `setting` gave; `facts` are logged.

    Raises `ConfigError` where the port is taken, and what the process raises.
    """
    end_on_signal(process.stop)
    health = Health(
        host=config.metrics.host,
        port=port,
        setting=setting,
        http=config.http,
        metrics=process.metrics.registry,
        not_ready=process.not_ready,
    )
    logs.get(__name__).info(f"{name} starts", endpoint=await health.start(), **facts)
    try:
        return await process.run()
    finally:
        await health.stop()


def run_guarded(name: str, work: Coroutine[object, object, int], config: Config | None = None) -> int:
    """Run a command's work; what an operator can mend is printed on stderr, and 1 returned.

    `config` is that of a command that uses Kafka.
    """
    try:
        return asyncio.run(work)
    except (*_SHOWN, CommandError) as error:
        return failed(name, str(error))
    except KafkaError as error:
        why = asyncio.run(reason(config)) if config is not None else None
        return failed(name, f"Kafka: {why or repr(error)}")
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise
        return failed(name, f"{error.filename or 'input or output'}: {error.strerror or error}")


def failed(name: str, problem: str) -> int:
    """Tell what went wrong; the exit code for it."""
    print(f"wurao {name}: {problem}", file=sys.stderr)
    return 1


def say(line: str) -> None:
    """Tell the operator something beside the answer."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there when all of it is, for its owner's eyes: it holds subscribers' numbers.

    A device or a pipe is written as it stands. Where the disk is full, the error names the file.
    """
    regular = not path.exists() or path.is_file()
    path = path.resolve() if path.is_file() else path  # what a link names is renewed, not the link
    written = path.with_name(f".{path.name}.tmp") if regular else path
    try:
        if regular:
            written.unlink(missing_ok=True)  # an interrupted run's may be open to others' eyes
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            yield file
        if regular:
            written.replace(path)
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            error.filename = str(path)
        raise
    finally:
        if regular:
            written.unlink(missing_ok=True)


class Meter:
    """How far a long work has come: share, count, rate, and the time left."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._items = 0
        self._began = self._shown = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bar(self._unit)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=None, items=0, rate=0.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None and self._items:
            seconds = max(1e-9, time.monotonic() - self._began)
            say(f"{self._what}: {self._items:,} {self._unit} in {seconds:.1f} s, {self._items / seconds:,.0f}/s")

    def update(self, done: int, total: int, items: int) -> None:
        """`done` of `total` in any measure (bytes, offsets) tells the share; `items` is what is counted
        aloud.
        """
        self._items = items
        now = time.monotonic()
        rate = items / max(1e-9, now - self._began)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total or None, items=items, rate=rate)
        elif now - self._shown >= PLAIN_LINE_EVERY_S:
            self._shown = now
            share = min(1.0, done / total) if total else 0.0
            left = f", {(now - self._began) * (1 - share) / share:,.0f} s left" if share else ""
            percent = f"{share:.0%}, " if total else ""
            say(f"{self._what}: {percent}{items:,} {self._unit}, {rate:,.0f}/s{left}")


def _bar(unit: str) -> "Progress":
    from rich import progress  # noqa: PLC0415  # takes a tenth of a second, for terminals only
    from rich.console import Console  # noqa: PLC0415

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn(f"{{task.fields[items]:,}} {unit}, {{task.fields[rate]:,.0f}}/s"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
