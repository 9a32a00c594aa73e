"""Every process through an outage: it says so once and then seldom, is not ready, lives, and ends when asked to.

The broker is killed for longer than every bound of a client (`kafka.request_timeout_ms`, sessions, transactions), comes
back on its port and data, and is then stopped (SIGSTOP), which is silence without a closed connection: for longer than
sessions and transactions last, and once more while all end.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream.testbed.local import LocalKafka
from tests.filter import cases
from tests.filter.harness import Broker, event
from tests.operate.processes import Process, wait_until

pytestmark = pytest.mark.kafka

AWAY_S = 40.0
SILENCE_S = 20.0
"""Longer than sessions in groups and transactions last."""
SILENT_S_MAX = 5.0
"""So long after a broker has gone a process may still say that it is ready (DESIGN section 6)."""
END_S_MAX = {"filter": 26.0, "exactly": 26.0, "apart": 26.0}
"""Its drain, what its clients take to close (`GOODBYE_MARGIN_S`), and a moment."""
END_S_MAX_OTHERS = 15.0
BESIDE = ("stream.feed.partition_snapshots", "stream.feed.snapshots")
"""What these log comes by the clock."""
LOG_EVERY_S = 10.0
"""The shortest pause between two lines of a kind: how far reading has come."""
KINDS_MAX = 9
"""Of lines: that no broker answers, and that one does again; one of each client that waits. Without a limit a process
writes 100,000 lines."""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker that comes back with what it had."""
    with LocalKafka(directory=tmp_path / "kafka") as kafka:
        yield kafka


def test_all_processes_live_through_an_outage_and_say_so_once(local: LocalKafka, tmp_path: Path) -> None:
    broker = Broker(local.bootstrap)
    broker.create_topics()
    broker.write_registry(cases.registry())
    (tmp_path / "contacts.toml").write_text('[contacts]\n"sender|ORG-9" = "mailto:a@b.example"\n', encoding="utf-8")
    with ExitStack() as ends:
        all_of_them = [
            Process("filter", broker, tmp_path),
            Process("exactly", broker, tmp_path, command=["filter", "--delivery", "exactly-once"]),
            Process("apart", broker, tmp_path, command=["filter"], WURAO_REGISTRY__MODE="partitioned"),
            *(Process(name, broker, tmp_path) for name in ("enforce", "watch", "audit", "notify")),
        ]
        for one in all_of_them:
            ends.enter_context(one)
        wait_until(lambda: all(one.is_ready for one in all_of_them), all_of_them)
        write(broker, first=0)
        wait_until(lambda: len(decided(broker, 0)) == FILTERS * EVENTS, all_of_them)
        before = {one.name: one.workers_started() for one in all_of_them}
        logged = {one.name: len(one.lines()) for one in all_of_them}

        local.kill(1)
        gone = time.monotonic()
        wait_until(lambda: not any(one.is_ready for one in all_of_them), all_of_them)
        assert time.monotonic() - gone < SILENT_S_MAX + 1, "a process that does nothing said that it is ready"
        while time.monotonic() < gone + AWAY_S:
            assert not any(one.is_ready for one in all_of_them)
            time.sleep(1)
        local.restart(1)
        wait_until(lambda: all(one.is_ready for one in all_of_them), all_of_them)
        write(broker, first=1_000)
        wait_until(lambda: len(decided(broker, 1_000)) == FILTERS * EVENTS, all_of_them)
        assert {one.name: one.workers_started() for one in all_of_them} == before, "somebody died"
        for one in all_of_them:
            said = [line for line in one.lines()[logged[one.name] :] if line["logger"] not in BESIDE]
            told = Counter(f"{line['logger']}: {str(line['event'])[:60]}" for line in said)
            # Each kind of line as it begins and ends, and counted now and then, however long this machine took.
            each_max = (2 + (time.monotonic() - gone) // LOG_EVERY_S) * processes_count(one)
            assert len(told) <= KINDS_MAX, told.most_common(20)
            assert max(told.values()) <= each_max, told.most_common(20)
            assert not [line for line in said if "exception" in line], "a traceback"

        write(broker, first=2_000)  # so that transactions are under way
        os.kill(local.pids[1], signal.SIGSTOP)
        ends.callback(os.kill, local.pids[1], signal.SIGCONT)
        gone = time.monotonic()
        wait_until(lambda: not any(one.is_ready for one in all_of_them), all_of_them)
        assert time.monotonic() - gone < SILENT_S_MAX + 1
        time.sleep(SILENCE_S)
        os.kill(local.pids[1], signal.SIGCONT)
        wait_until(lambda: all(one.is_ready for one in all_of_them), all_of_them)
        write(broker, first=3_000)
        wait_until(lambda: len(decided(broker, 3_000)) >= FILTERS * EVENTS, all_of_them)
        assert {one.name: one.workers_started() for one in all_of_them} == before, "somebody died"

        os.kill(local.pids[1], signal.SIGSTOP)
        gone = time.monotonic()
        wait_until(lambda: not any(one.is_ready for one in all_of_them), all_of_them)
        asked = time.monotonic()
        for one in all_of_them:
            one.signal(signal.SIGTERM)
        took = _ends_of(all_of_them, asked)
        late = {name: s for name, s in took.items() if s > END_S_MAX.get(name, END_S_MAX_OTHERS)}
        assert not late, "\n".join(
            f"--- {one.name} {took[one.name]}:\n{one.tail()}" for one in all_of_them if one.name in late
        )
        for one in all_of_them:
            assert not [line for line in one.lines() if "exception" in line], f"{one.name}: a traceback"
            assert one.poll() == 0, f"{one.name} ended with {one.poll()}:\n{one.tail()}"


def processes_count(of: Process) -> int:
    """How many processes log there: a filter's workers do."""
    return max(1, len({worker for worker, _ in of.workers_started()}))


EVENTS = 200
FILTERS = 3


def write(broker: Broker, *, first: int) -> None:
    """Events to numbers in every partition, for all filters."""
    broker.write_events(
        event("sms", number, to=f"+86138{number:08d}", text=cases.GOOD_TEXT, **cases.BANK)
        for number in range(first, first + EVENTS)
    )


def decided(broker: Broker, first: int) -> list[object]:
    """The decisions of these events, by whichever filter."""
    return [
        one["event"]
        for one in broker.decisions()
        if int(str(one["event"]).split("-")[1]) in range(first, first + EVENTS)
    ]


def _ends_of(processes: Sequence[Process], asked: float) -> dict[str, float]:
    """How long each took to end."""
    took: dict[str, float] = {}
    while len(took) < len(processes):
        for one in processes:
            if one.name not in took and one.poll() is not None:
                took[one.name] = time.monotonic() - asked
        assert time.monotonic() < asked + 90, "\n".join(one.tail() for one in processes if one.name not in took)
        time.sleep(0.05)
    return took
