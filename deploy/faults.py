"""The faults that runbooks are followed against: how each is made in a trial deployment, and how it is corrected.

Each is the thing itself: a process is killed, the broker stopped, a file written wrongly. None touches a metric.
"""

import asyncio
import json
import os
import shutil
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bloom import snapshot
from bloom.number import Msisdn
from bloom.wills import EVERYTHING
from deploy.trial import SECOND, TOKEN, Rewrite, Trial, sampled, trial
from stream.clock import now_ms
from stream.kafka import clients
from stream.model.times import DAY_MS
from stream.model.topics import COMPLAINTS
from stream.testbed import texts
from stream.testbed.feed import Feed
from stream.testbed.sample import subscriber
from stream.testbed.traffic import Traffic

FASTEST: Final = "Waited for was the end at the burn rate 14.4; the slower ones last as long as their windows."

RATE: Final = 300
"""Events a second, so that the deployment has its processors to itself."""

TICK_S: Final = 0.1
DESK_S: Final = 1.0
"""Somebody files something as often as this."""

LEAPS_MAX: Final = 60
LEAP_S: Final = 3.0
"""How long each day of the control plane's clock lasts, when it leaps from day to day."""

STARVED_S: Final = 1.6
FED_S: Final = 0.4
"""A starved host's workers stand still for the first and run for the second, over and over."""

POLICY: Final = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
NEXT_POLICY: Final = POLICY.replace('version = "cn-2020.2"', 'version = "cn-2020.3"', 1)
BAD_POLICY: Final = POLICY.replace('silence = "refuse"', 'silence = "perhaps"', 1)


@dataclass(slots=True)
class Deployment:
    """A trial deployment with simulated gateways and desk; their rates and faults can be changed."""

    trial: Trial
    policy: Path
    rate: int = RATE
    behind_ms: int = 0
    """how old the records of events are when they come"""
    replies_only: bool = False
    receiver_fails: bool = False
    """whether the receiver of notices refuses them"""
    starving: threading.Event = field(default_factory=threading.Event)
    leapt_days: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def pids(self, name: str) -> list[int]:
        """A filter's workers."""
        supervisor = self.trial.processes[name].pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]

    def broker(self, signal_: signal.Signals) -> None:
        """Stop the broker where it stands, or let it go on."""
        for pid in self.trial.kafka.pids.values():
            os.kill(pid, signal_)

    def kill(self, name: str) -> None:
        """As a machine's failure would."""
        self.trial.processes[name].kill()

    def end(self, name: str) -> None:
        """By request."""
        self.trial.processes[name].stop()

    def restart(self, name: str) -> None:
        """End and start."""
        self.end(name)
        self.trial.start(name)

    def look_at(self, *, without: str = "", also: str = "") -> None:
        """Let Prometheus scrape all permanent processes, but for these."""
        ports = self.trial.ports
        self.trial.look_at({name: ports[name] for name in ports if name not in (SECOND, without) or name == also})

    def second_host(self, *, policy: str = POLICY, wrong: bool = False) -> None:
        """Start a filter beside the first, as on another host; `wrong`: from a snapshot that lacks half of it."""
        folder = self.trial.folder / "second"
        folder.mkdir(exist_ok=True)
        (folder / "policy.toml").write_text(policy, encoding="utf-8")
        changes = {
            "WURAO_METRICS__PORT": str(self.trial.ports[SECOND]),
            "WURAO_REGISTRY__SNAPSHOTS": str(folder / "snapshots"),
            "WURAO_POLICY__FILE": str(folder / "policy.toml"),
        }
        if wrong:
            _halve(Path(self.trial.environment["WURAO_REGISTRY__SNAPSHOTS"]), folder / "snapshots")
        self.trial.start("filter", as_=SECOND, changes=changes)
        self.look_at(also=SECOND)

    def no_second_host(self) -> None:
        """End it, and forget its snapshots."""
        self.end(SECOND)
        self.look_at()
        shutil.rmtree(self.trial.folder / "second" / "snapshots", ignore_errors=True)

    def leap(self) -> None:
        """Let a day of the control plane's clock pass."""
        self.leapt_days += 1
        self.trial.clock.write_text(str(self.leapt_days * DAY_MS), encoding="utf-8")

    def send(self, topic: str, value: bytes) -> None:
        """Write one record, acknowledged."""

        async def write() -> None:
            producer = clients.producer(self.trial.config, client="fault")
            await producer.start()
            try:
                await producer.send_and_wait(topic, value=value, partition=0)
            finally:
                await producer.stop()

        asyncio.run(write())


def _halve(source: Path, target: Path) -> None:
    """A snapshot that reads well, of which every other number's refusal of everything is lost."""
    target.mkdir(exist_ok=True)
    newest = max(source.glob("*.snapshot"), key=lambda path: path.stat().st_mtime)
    kept = snapshot.read(newest)
    for channel, kind, scope, bitmap in list(kept.wills.scopes()):
        if kind == "refusal" and scope == EVERYTHING:
            kept.wills.remove(channel, kind, scope, [Msisdn(number) for number in list(bitmap)[::2]])
    snapshot.write(target / newest.name, meta=kept.meta, wills=kept.wills, records=kept.records)


@dataclass(frozen=True, slots=True)
class Fault:
    """One alert's fault. `injected` and `mended` say in a line what is done, `note` what else is to be known."""

    alert: str
    inject: Callable[[Deployment], None]
    injected: str
    mend: Callable[[Deployment], None]
    mended: str
    note: str = ""
    outlast: tuple[str, ...] = ()
    """burn rates that are not waited for: their windows are long even when shortened"""


def _freeze_broker(deployment: Deployment) -> None:
    deployment.broker(signal.SIGSTOP)


def _thaw_broker(deployment: Deployment) -> None:
    deployment.broker(signal.SIGCONT)


def _signal_workers(deployment: Deployment, which: signal.Signals) -> None:
    for pid in deployment.pids("filter"):
        os.kill(pid, which)


def _freeze_for(seconds: float, send: Callable[[Deployment, signal.Signals], None]) -> Callable[[Deployment], None]:
    """Stand still for so long, which is the fault: nothing is waited for."""

    def freeze(deployment: Deployment) -> None:
        send(deployment, signal.SIGSTOP)
        time.sleep(seconds)
        send(deployment, signal.SIGCONT)

    return freeze


def _nothing(_: Deployment) -> None:
    return


def _kill(name: str) -> Callable[[Deployment], None]:
    return lambda deployment: deployment.kill(name)


def _start(name: str) -> Callable[[Deployment], None]:
    return lambda deployment: deployment.trial.start(name)


def _no_events(deployment: Deployment) -> None:
    deployment.rate = 0


def _events(deployment: Deployment) -> None:
    deployment.rate = RATE


def _old_events(deployment: Deployment) -> None:
    deployment.behind_ms = 10 * 60_000


def _new_events(deployment: Deployment) -> None:
    deployment.behind_ms = 0


def _replies(deployment: Deployment) -> None:
    deployment.replies_only = True


def _all_kinds(deployment: Deployment) -> None:
    deployment.replies_only = False


def _starve(deployment: Deployment) -> None:
    deployment.starving.set()


def _feed(deployment: Deployment) -> None:
    deployment.starving.clear()
    time.sleep(STARVED_S + FED_S)


def _not_seen(deployment: Deployment) -> None:
    deployment.look_at(without="enforce")


def _seen(deployment: Deployment) -> None:
    deployment.look_at()


def _refuse_notices(deployment: Deployment) -> None:
    deployment.receiver_fails = True


def _take_notices(deployment: Deployment) -> None:
    deployment.receiver_fails = False


def _leap_until(level: str) -> Callable[[Deployment], None]:
    """Day by day, until a term's warning or breach is counted: that is what these alerts read."""

    def leap(deployment: Deployment) -> None:
        before = _alerts_count(deployment, level)
        for _ in range(LEAPS_MAX):
            deployment.leap()
            time.sleep(LEAP_S)
            if _alerts_count(deployment, level) > before:
                return

    return leap


def _alerts_count(deployment: Deployment, level: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.trial.ports['enforce']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("wurao_enforce_alerts_total") and level in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _freeze_broker_over_terms(deployment: Deployment) -> None:
    deployment.broker(signal.SIGSTOP)
    deployment.leap()


def _write_bad_complaints(deployment: Deployment) -> None:
    for _ in range(3):
        deployment.send(COMPLAINTS, b'{"kind":"complaint"')


def _policy(text: str) -> Callable[[Deployment], None]:
    def reload(deployment: Deployment) -> None:
        deployment.policy.write_text(text, encoding="utf-8")
        deployment.trial.processes["filter"].signal(signal.SIGHUP)

    return reload


def _crash_native(deployment: Deployment) -> None:
    os.kill(deployment.pids("filter")[0], signal.SIGSEGV)


FAULTS: Final = (
    Fault(
        "WuraoDecisionsStopped",
        _no_events,
        "gateways send nothing any more",
        _events,
        "gateways send again",
    ),
    Fault(
        "WuraoWatchDown",
        _kill("watch"),
        "wurao watch killed with SIGKILL",
        _start("watch"),
        "wurao watch started",
    ),
    Fault(
        "WuraoEnforceDown",
        _kill("enforce"),
        "wurao enforce killed with SIGKILL",
        _start("enforce"),
        "wurao enforce started",
    ),
    Fault(
        "WuraoViolatorStopBudgetBurns",
        _kill("enforce"),
        "wurao enforce killed with SIGKILL: nobody deals with clocks",
        _start("enforce"),
        "wurao enforce started",
        note=FASTEST,
        outlast=("6", "1"),
    ),
    Fault(
        "WuraoMetricsAbsent",
        _not_seen,
        "the job wurao-enforce taken out of Prometheus' scrape configuration",
        _seen,
        "put back",
    ),
    Fault(
        "WuraoEnforceRefusesRecords",
        _write_bad_complaints,
        "three records that are no JSON written to complaints",
        _nothing,
        "nothing to mend: they stand in dead-letter",
        note="A step that fails by a fault of the program was not provoked.",
    ),
    Fault(
        "WuraoNoticesFail",
        _refuse_notices,
        "the receiver of notices, a webhook, answers 503",
        _take_notices,
        "it answers 204 again",
        note="`connector.pause_ms` was half a second and `attempts_max` 1000, so that attempts came often.",
    ),
    Fault(
        "WuraoPolicyRefused",
        _policy(BAD_POLICY),
        "a policy with a value that there is not written over the file, and SIGHUP",
        _policy(POLICY),
        "the right one written, and SIGHUP",
    ),
    Fault(
        "WuraoPoliciesDiffer",
        lambda deployment: deployment.second_host(policy=NEXT_POLICY),
        "a second host of the filter started with a policy cn-2020.3",
        Deployment.no_second_host,
        "it is ended",
    ),
    Fault(
        "WuraoRegistriesDiffer",
        lambda deployment: deployment.second_host(wrong=True),
        "a second host of the filter started from a snapshot that lacks every other refusal",
        Deployment.no_second_host,
        "it is ended, its snapshots are deleted",
        note="The snapshot bore the right cluster, topics and offsets, so nothing but its content was wrong.",
    ),
    Fault(
        "WuraoNativePathLost",
        _crash_native,
        "a worker killed with SIGSEGV, as a fault of native code ends it",
        lambda deployment: deployment.restart("filter"),
        "wurao filter restarted",
    ),
    Fault(
        "WuraoNativeShareLeft",
        _replies,
        "nothing but replies comes, which the native module leaves to Python",
        _all_kinds,
        "events of all kinds come again",
    ),
    Fault(
        "WuraoUrgentLag",
        _starve,
        f"the workers' host is starved: they stand still for {STARVED_S} s, run for {FED_S} s, over and over",
        _feed,
        "they run",
        note="Stopped and continued with SIGSTOP and SIGCONT.",
    ),
    Fault(
        "WuraoApiUnavailable",
        _freeze_broker,
        "the broker stopped with SIGSTOP",
        _thaw_broker,
        "the broker goes on",
        note="`api.write_timeout_ms` was 2 s.",
    ),
    Fault(
        "WuraoLatencyBudgetBurns",
        _freeze_for(3, _signal_workers),
        "the workers stood still for three seconds, as events came",
        _nothing,
        "nothing to mend any more",
        note=FASTEST,
        outlast=("6", "1"),
    ),
    Fault(
        "WuraoAvailabilityBudgetBurns",
        _kill("filter"),
        "wurao filter killed with SIGKILL, the only host",
        _start("filter"),
        "wurao filter started",
        note=FASTEST,
        outlast=("6", "1"),
    ),
    Fault(
        "WuraoRefusalInForceBudgetBurns",
        _freeze_for(6, Deployment.broker),
        "the broker stood still for six seconds",
        _nothing,
        "nothing to mend any more",
        note=FASTEST,
        outlast=("6", "1"),
    ),
    Fault(
        "WuraoWatchLag",
        _old_events,
        "events come whose records are ten minutes old, as from a gateway or a filter that was away so long",
        _new_events,
        "new events come",
    ),
    Fault(
        "WuraoTermEndsSoon",
        _leap_until("warning"),
        "nobody acts on complaints, and the control plane's clock leaps from day to day until a term is near",
        _nothing,
        "nothing done: the alert is about the last hour",
        note="The clock was moved by `enforce.clock_offset_file`.",
    ),
    Fault(
        "WuraoTermMissed",
        _leap_until("breach"),
        "nobody acts on complaints, and the control plane's clock leaps from day to day until a term is over",
        _nothing,
        "nothing done: the alert is about the last hour",
        note="The clock was moved by `enforce.clock_offset_file`.",
    ),
    Fault(
        "WuraoClocksOverdue",
        _freeze_broker_over_terms,
        "the broker stopped with SIGSTOP, and the clock leapt a day, so that terms end meanwhile",
        _thaw_broker,
        "the broker goes on",
        note="The clock was moved by `enforce.clock_offset_file`.",
    ),
)
"""In the order in which they do least harm to those that follow: the clock does not leap back."""


@contextmanager
def deployment(rewrite: Rewrite) -> Iterator[Deployment]:
    """A running deployment whose alert rules are rewritten. Raises `TrialError` where it does not come up."""
    with ExitStack() as ending:
        receiver = ending.enter_context(_receiver())
        port = receiver.server_address[1]
        folder = Path(ending.enter_context(_folder()))
        policy = folder / "policy.toml"
        policy.write_text(POLICY, encoding="utf-8")
        contacts = folder / "contacts.toml"
        contacts.write_text(
            "[contacts]\n" + "".join(f'"{kind}|*" = "http://127.0.0.1:{port}/"\n' for kind in ("sender", "number")),
            encoding="utf-8",
        )
        changes = {
            "WURAO_POLICY__FILE": str(policy),
            "WURAO_CONNECTOR__CONTACTS_FILE": str(contacts),
            "WURAO_CONNECTOR__PAUSE_MS": "500",
            "WURAO_CONNECTOR__PAUSE_MS_MAX": "2000",
            "WURAO_CONNECTOR__ATTEMPTS_MAX": "1000",
            "WURAO_API__WRITE_TIMEOUT_MS": "2000",
            "WURAO_API__TOKEN": TOKEN,
        }
        there = Deployment(ending.enter_context(trial(changes=changes, rewrite=rewrite)), policy)
        receiver.deployment = there
        for work in (_gateways, _desk, _starving):
            thread = threading.Thread(target=work, args=(there,), daemon=True)
            thread.start()
            ending.callback(thread.join, 30)
        ending.callback(there.ended.set)
        yield there


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="wurao-follow-") as folder:
        yield folder


class _Receiver(ThreadingHTTPServer):
    """Where notices go."""

    deployment: Deployment | None = None


class _Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the library's name
        assert isinstance(self.server, _Receiver)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if self.server.deployment is not None and self.server.deployment.receiver_fails else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _receiver() -> Iterator[_Receiver]:
    with _Receiver(("127.0.0.1", 0), _Take) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _gateways(deployment: Deployment) -> None:
    """Send events for as long as the deployment runs; a broker that does not answer is waited for."""
    asyncio.run(_send_events(deployment))


async def _send_events(deployment: Deployment) -> None:
    traffic = Traffic(sampled(), texts.own(), seed=1, prefix="follow")
    partitions = deployment.trial.config.topics.partitions
    while not deployment.ended.is_set():
        producer = clients.producer(deployment.trial.config, client="gateways")
        with suppress(KafkaError, OSError):
            await producer.start()
            await _until_fails(deployment, Feed(producer, traffic, rate=0, partitions=partitions), traffic)
        await _close(producer)
        await asyncio.sleep(TICK_S)


async def _until_fails(deployment: Deployment, feed: Feed, traffic: Traffic) -> None:
    while not deployment.ended.is_set():
        await asyncio.sleep(TICK_S)
        now = now_ms() - deployment.behind_ms
        count = int(deployment.rate * TICK_S)
        if deployment.replies_only:
            await feed.send_events([traffic.reply() for _ in range(count)], now=now)
        else:
            await feed.send_events(traffic.events(count, now=now), now=now)


async def _close(producer: AIOKafkaProducer) -> None:
    with suppress(Exception):
        async with asyncio.timeout(clients.GOODBYE_S_MAX):
            await producer.stop()


def _desk(deployment: Deployment) -> None:
    """A complaint and a finding every second or so, whatever becomes of them."""
    number = 0
    sample = sampled()
    while not deployment.ended.wait(DESK_S):
        number += 1
        complaint = {
            "subscriber": subscriber(sample.expressions[0].who.start + number),
            "channel": "sms",
            "sender": sample.senders[number % len(sample.senders)].sender,
            "at": now_ms(),
            "text": "。",
        }
        finding = {"party": {"number": subscriber(number)}, "grounds": "inspection", "evidence": ["D-1"]}
        for path, body in (("/v1/complaints", complaint), ("/v1/findings", finding)):
            request = urllib.request.Request(  # 127.0.0.1
                f"http://127.0.0.1:{deployment.trial.ports['api']}{path}",
                data=json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            )
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                answer.read()


def _starving(deployment: Deployment) -> None:
    """Stop and continue the workers, while that is asked for."""
    while not deployment.ended.is_set():
        if not deployment.starving.wait(TICK_S):
            continue
        pids = deployment.pids("filter")
        for signal_, seconds in ((signal.SIGSTOP, STARVED_S), (signal.SIGCONT, FED_S)):
            for pid in pids:
                os.kill(pid, signal_)
            time.sleep(seconds)
