"""Thousands of hostile events of every kind: each becomes what it must, good ones are decided, and no worker ends."""

import asyncio
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from loadtest.hostile_load import HostileAccount, HostileJob, HostileSender, Letters, connected, prepared, send
from stream.testbed.hostile_kinds import KINDS
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess

pytestmark = pytest.mark.kafka

COUNT = 2_000
FAULTS = ("missing", "unexplained", "needless")


async def sent(broker: Broker, job: HostileJob) -> HostileAccount:
    async with connected(broker.config) as (producer, consumer):
        sender, begin_ns = HostileSender(producer, timeout_ms=30_000), time.monotonic_ns()
        return await send(prepared(job), sender, Letters(consumer), rate=job.rate, begin_ns=begin_ns)


@pytest.mark.parametrize("native", ["auto", "off"])
def test_every_hostile_event_becomes_what_it_must_and_ends_no_worker(
    broker: Broker, tmp_path: Path, native: str
) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, workers=2, WURAO_FILTER__NATIVE=native) as filter_:
        filter_.wait_ready()
        workers = filter_.worker_pids()
        job = HostileJob(prefix="h", seed=1, first=0, count=COUNT, rate=0, partitions=broker.partitions)
        account = asyncio.run(sent(broker, job))
        broker.write_events(cases.EVENTS)
        wanted = account.decided_count + len(cases.EVENTS)
        decided = broker.decisions(until=wanted)
        assert filter_.worker_pids() == workers
        assert filter_.terminate() == 0
        assert "worker died" not in filter_.log
    assert account.kinds.keys() == {kind.name for kind in KINDS}
    assert {name: kind for name, kind in account.kinds.items() if any(getattr(kind, fault) for fault in FAULTS)} == {}
    assert account.strangers_count == 0
    assert sum(kind.sent for kind in account.kinds.values()) == COUNT
    numbers = Counter(found[1] for one in decided if (found := re.match(r"h-([0-9]{10})", str(one["event"]))))
    assert sorted(map(int, numbers)) == list(range(account.decided_count))
    answers = {str(one["event"]): one["reason"] for one in decided if one["event"] in cases.EXPECTED}
    assert answers == cases.EXPECTED
