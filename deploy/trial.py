"""A trial deployment on this machine: a genuine Kafka, the compose file's services as processes, invented traffic of
every kind, and a Prometheus that watches all of it by our rules.

For `deploy.check_panels` and `deploy.follow`; nothing of it is for production. Everything listens on 127.0.0.1 and
ends with the `with` that it was started by.
"""

import asyncio
import hashlib
import json
import secrets
import shutil
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import yaml
from aiokafka import AIOKafkaProducer

from deploy.generate import TOP
from stream import config as configuration
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients, topics
from stream.model.codec import encode
from stream.model.registry import key_of
from stream.model.times import DAY_MS
from stream.model.topics import EVENTS_SMS, EXPRESSIONS
from stream.testbed import texts
from stream.testbed.feed import Feed, write_registry
from stream.testbed.local import LocalKafka
from stream.testbed.processes import GuardedProcess, environment_with, free_ports, wurao_command
from stream.testbed.sample import Sample, sample, subscriber
from stream.testbed.traffic import Traffic

TOKEN: Final = secrets.token_urlsafe()
"""Opens the API of this run."""

REFUSALS_COUNT: Final = 200_000
READY_S_MAX: Final = 120.0
SCRAPE_S: Final = 2
LOOKBACK_S: Final = 5 * SCRAPE_S
SEEN_S: Final = 3.0 * SCRAPE_S
FILED_EVERY_S: Final = 2.0
LEAP_MS: Final = 40 * DAY_MS
"""How far the control plane's clock leaps in the middle: every term of the complaints filed before is missed then."""

SECOND: Final = "filter-2"
"""A second host of the filter, for whoever starts one."""

OFFSETS: Final = {
    "filter": 0,
    "enforce": 3,
    "api": 4,
    "watch": 5,
    "notify": 6,
    "audit": 7,
    "registrar": 8,
    "prometheus": 9,
    SECOND: 10,
}
"""Which port from the first each listens on; the filter's workers take the two after its own."""

FILTERS: Final = ("filter", SECOND)


class TrialError(Exception):
    """The trial cannot go on: why, and the mend."""


class _Service(msgspec.Struct, frozen=True):
    image: str
    command: list[str] = []


class _Compose(msgspec.Struct, frozen=True):
    services: dict[str, _Service]


Rewrite = Callable[[str], str]
"""Takes the text of a rule file and gives the one that is used."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What runs: where Prometheus answers, each process by name, and what traffic needs."""

    config: Config
    ports: Mapping[str, int]
    processes: dict[str, GuardedProcess]
    clock: Path
    folder: Path
    kafka: LocalKafka
    environment: Mapping[str, str]
    commands: Mapping[str, Sequence[str]]
    rules: Sequence[str]
    ending: ExitStack

    @property
    def prometheus(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.ports['prometheus']}"

    def start(self, name: str, *, as_: str | None = None, changes: Mapping[str, str] | None = None) -> None:
        """Start a service, again or once more beside itself. Raises `TrialError` where it does not become ready."""
        called = as_ or name
        environment = {**self.environment, **(changes or {})}
        process = GuardedProcess(self.commands[name], environment=environment, log=self.folder / f"{called}.log")
        self.ending.callback(process.stop)
        self.processes[called] = process
        process.start()
        _wait_ready(process, _ready_at(called, self.ports[called]))

    def look_at(self, ports: Mapping[str, int]) -> None:
        """Let Prometheus ask these, from now on, by the rules."""
        file = self.folder / "prometheus.yml"
        file.write_text(_settings(ports, rules=self.rules), encoding="utf-8")
        self.processes["prometheus"].signal(signal.SIGHUP)


@contextmanager
def trial(*, changes: Mapping[str, str] | None = None, rewrite: Rewrite = lambda text: text) -> Iterator[Trial]:
    """The deployment, all of it running. Raises `TrialError` where a tool is missing or a process does not start.

    `changes` are settings of its services, `rewrite` changes what Prometheus' rules say.
    """
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        raise TrialError("prometheus is not installed: `apt-get install prometheus` brings it")
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="wurao-trial-")))
        kafka = ending.enter_context(LocalKafka(profile="bench"))
        base = free_ports(len(OFFSETS) + 4)
        ports = {name: base + offset for name, offset in OFFSETS.items()}
        clock = folder / "clock"
        clock.write_text("0", encoding="utf-8")
        environment = _environment(folder, kafka, ports, clock) | dict(changes or {})
        config = configuration.load(
            None, {name: value for name, value in environment.items() if name.startswith("WURAO_")}
        )
        asyncio.run(_prepare(config))
        compose = msgspec.convert(
            yaml.safe_load((TOP / "deploy" / "docker-compose.yml").read_text(encoding="utf-8")), _Compose
        )
        commands: dict[str, Sequence[str]] = {
            name: wurao_command(*service.command)
            for name, service in compose.services.items()
            if service.image.startswith("wurao:") and name != "topics"
        }
        file = folder / "prometheus.yml"
        standing = {name: port for name, port in ports.items() if name != SECOND}
        file.write_text(_settings(standing, rules=[]), encoding="utf-8")
        commands["prometheus"] = [prometheus, *_prometheus_options(file, folder, ports)]
        deployment = Trial(
            config=config,
            ports=ports,
            processes={},
            clock=clock,
            folder=folder,
            kafka=kafka,
            environment=environment,
            commands=commands,
            rules=_quick_rules(folder, rewrite),
            ending=ending,
        )
        for name in commands:
            deployment.start(name)
        # Rules come when all are seen: before, they would take the deployment to be down.
        time.sleep(SEEN_S)
        deployment.look_at(standing)
        yield deployment


async def live(deployment: Trial, *, seconds: float, rate: int) -> int:
    """Send events at a rate for so long, and do what else happens in a deployment. Returns the count of events sent."""
    producer = clients.producer(deployment.config, client="trial")
    await producer.start()
    try:
        sample = sampled()
        traffic = Traffic(sample, texts.own(), seed=1, prefix="trial")
        feed = Feed(producer, traffic, rate=rate, partitions=deployment.config.topics.partitions)
        async with asyncio.TaskGroup() as group:
            happening = group.create_task(_happen(deployment, producer, sample, leap_after_s=seconds / 2))
            await feed.run(seconds)
            happening.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed  # the first: the others ended because of it
    else:
        return feed.sent
    finally:
        await producer.stop()


async def _happen(deployment: Trial, producer: AIOKafkaProducer, sample: Sample, *, leap_after_s: float) -> None:
    """What traffic alone does not bring: files and findings, faults of producers, reloads, and terms that end."""
    began = time.monotonic()
    deployment.processes["filter"].signal(signal.SIGHUP)
    number = 0
    while True:
        number += 1
        await asyncio.to_thread(_file, deployment, number, sample)
        misplaced = sample.expressions[0].expression(sample.expressions[0].who.start + number)
        key, value = key_of(misplaced).encode(), encode(misplaced)
        for partition in range(2):  # of which one at least is the wrong one
            await producer.send_and_wait(EXPRESSIONS, value=value, key=key, partition=partition)
        await producer.send_and_wait(EVENTS_SMS, value=b"{", partition=0)
        if time.monotonic() - began > leap_after_s:
            deployment.clock.write_text(str(LEAP_MS), encoding="utf-8")
        await asyncio.sleep(FILED_EVERY_S)


def _file(deployment: Trial, number: int, sample: Sample) -> None:
    """What people do at the API: a complaint, a finding, a look at the cases, and somebody with a wrong token."""
    complaint = {
        "subscriber": subscriber(sample.expressions[0].who.start + number),
        "channel": "sms",
        "sender": sample.senders[0].sender,
        "at": now_ms(),
        "text": "。",
    }
    finding = {
        "party": {"sender": sample.senders[number % len(sample.senders)].sender},
        "grounds": "inspection",
        "evidence": ["D-1"],
    }
    _ask(deployment, "/v1/complaints", complaint)
    _ask(deployment, "/v1/findings", finding)
    _ask(deployment, "/v1/cases")
    _ask(deployment, "/v1/cases", token="wrong")  # noqa: S106  # one that opens nothing


def _ask(deployment: Trial, path: str, body: Mapping[str, object] | None = None, *, token: str = TOKEN) -> None:
    request = urllib.request.Request(  # 127.0.0.1
        f"http://127.0.0.1:{deployment.ports['api']}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # 127.0.0.1
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise TrialError(f"{path}: {error.code} {error.read().decode()}") from error


def sampled() -> Sample:
    """The registry that the deployment has."""
    return sample(now=now_ms(), refusals_count=REFUSALS_COUNT, silent_count=REFUSALS_COUNT)


async def _prepare(config: Config) -> None:
    admin = clients.admin(config)
    await admin.start()
    try:
        await topics.create(admin, config.topics)
    finally:
        await admin.close()
    producer = clients.producer(config, client="trial")
    await producer.start()
    try:
        await write_registry(producer, sampled(), partitions=config.topics.partitions, note=lambda _: None)
    finally:
        await producer.stop()


def _environment(folder: Path, kafka: LocalKafka, ports: Mapping[str, int], clock: Path) -> dict[str, str]:
    tokens = folder / "tokens"
    tokens.write_text(f"{hashlib.sha256(TOKEN.encode()).hexdigest()} desk trial\n", encoding="utf-8")
    settings = {
        "WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "WURAO_REGISTRY__SNAPSHOTS": str(folder / "snapshots"),
        "WURAO_REGISTRAR__DIRECTORY": str(folder / "registrar"),
        "WURAO_REGISTRAR__PORT": str(ports["registrar"]),
        "WURAO_METRICS__PORT": str(ports["filter"]),
        "WURAO_ENFORCE__PORT": str(ports["enforce"]),
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock),
        "WURAO_API__PORT": str(ports["api"]),
        "WURAO_API__URL": f"http://127.0.0.1:{ports['api']}",
        "WURAO_API__TOKENS_FILE": str(tokens),
        "WURAO_WATCH__PORT": str(ports["watch"]),
        "WURAO_CONNECTOR__CONTACTS_FILE": str(TOP / "deploy" / "own" / "contacts.toml"),
        "WURAO_CONNECTOR__PORT": str(ports["notify"]),
        "WURAO_AUDIT__PORT": str(ports["audit"]),
    }
    return environment_with(settings)


def _settings(ports: Mapping[str, int], *, rules: Sequence[str]) -> str:
    """Whom Prometheus asks, by which rules, as often as a short run needs."""
    jobs = [
        {"job_name": f"wurao-{name}", "static_configs": [{"targets": [f"127.0.0.1:{ports[name] + after}"]}]}
        for name, after in (("registrar", 0), ("enforce", 0), ("api", 0), ("watch", 0), ("notify", 0), ("audit", 0))
        if name in ports
    ]
    workers = [f"127.0.0.1:{ports[name] + index}" for name in FILTERS if name in ports for index in range(3)]
    jobs.append({"job_name": "wurao-filter", "static_configs": [{"targets": workers}]})
    settings = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
        "rule_files": list(rules),
        "scrape_configs": jobs,
    }
    return yaml.safe_dump(settings)


def _prometheus_options(file: Path, folder: Path, ports: Mapping[str, int]) -> Sequence[str]:
    return (
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        # Usually five minutes, for which a series without a scrape still counts: too long for a run of minutes.
        f"--query.lookback-delta={LOOKBACK_S}s",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
    )


def _quick_rules(folder: Path, rewrite: Rewrite) -> list[str]:
    """Copies of the rule files whose groups are evaluated with every scrape."""
    made = []
    for path in sorted((TOP / "deploy" / "prometheus").glob("*.rules.yml")):
        rules = yaml.safe_load(rewrite(path.read_text(encoding="utf-8")))
        for group in rules["groups"]:
            group["interval"] = f"{SCRAPE_S}s"
        copy = folder / path.name
        copy.write_text(yaml.safe_dump(rules), encoding="utf-8")
        made.append(str(copy))
    return made


def _ready_at(name: str, port: int) -> str:
    return f"http://127.0.0.1:{port}/{'-/ready' if name == 'prometheus' else 'readyz'}"


def _wait_ready(process: GuardedProcess, address: str) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310  # 127.0.0.1
                return
        except OSError:
            time.sleep(0.2)
    what = "ended" if process.poll() is not None else f"was not ready within {READY_S_MAX:.0f} s"
    raise TrialError(f"{process.name} {what}. {process.last_words()}")
