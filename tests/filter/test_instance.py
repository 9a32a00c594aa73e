"""Two hosts with one `filter.instance` (KIP-345): the one that was replaced ends, and says what to mend."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event

pytestmark = pytest.mark.kafka

MANY = 3_000


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_the_replaced_one_ends_and_says_what_to_mend_and_the_other_decides_everything(
    broker: Broker, tmp_path: Path, delivery: str
) -> None:
    broker.write_registry(cases.registry())
    same = {"WURAO_FILTER__INSTANCE": "host-a", "WURAO_FILTER__DELIVERY": delivery}
    with FilterProcess(broker, tmp_path / "first", workers=2, **same) as first:
        first.wait_ready()
        events = [event("sms", number, to=f"+86138{number:08d}", **cases.BANK) for number in range(MANY)]
        broker.write_events(events)
        broker.decisions(until=MANY)
        with FilterProcess(broker, tmp_path / "second", workers=2, **same) as second:
            second.wait_ready()
            late = [event("sms", number, to=f"+86138{number:08d}", **cases.BANK) for number in range(MANY, 2 * MANY)]
            broker.write_events(late)
            assert first.ended(within_s=60) == 1
            said = first.log.splitlines()[-1]
            assert said.startswith("wurao filter: filter.instance 'host-a' is in use by another process")
            assert "give each host a filter.instance of its own" in said
            assert second.poll() is None
            counts = Counter(one["event"] for one in broker.decisions(until=2 * MANY))
            assert counts.keys() == {one["id"] for one in [*events, *late]}
            assert max(counts.values()) <= (1 if delivery == "exactly-once" else 2)
            assert second.metric("wurao_worker_restarts_total", worker=0) == 0
            assert second.terminate() == 0


def test_a_worker_that_is_killed_takes_its_own_place_again(broker: Broker, tmp_path: Path) -> None:
    """Its predecessor still stands in the group when it joins: that is what static membership is for."""
    with FilterProcess(broker, tmp_path, WURAO_FILTER__INSTANCE="host-a") as filter_:
        filter_.wait_ready()
        (pid,) = filter_.worker_pids()
        os.kill(pid, signal.SIGKILL)
        broker.write_events([event("sms", 1, to="+8613800000001", **cases.BANK)])
        broker.decisions(until=1)
        assert filter_.poll() is None
