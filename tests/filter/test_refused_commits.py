"""A group that the filter may no longer commit to, on a broker that asks for rights: the worker ends, and says why."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from aiokafka.protocol.api import Request

from stream.kafka import clients
from stream.testbed.local import LocalKafka
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event

pytestmark = pytest.mark.kafka

_GROUP, _LITERAL, _READ, _DENY = 3, 3, 3, 2
"""As the protocol numbers them (org.apache.kafka.common.acl and .resource)."""
WITHIN_S = 120.0


@pytest.fixture
def asking() -> Iterator[Broker]:
    """A broker that asks for rights, and grants everything of which nothing is said."""
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with LocalKafka(properties=properties) as local:
        broker = Broker(local.bootstrap)
        broker.create_topics()
        yield broker


def ask(broker: Broker, request: Request[object]) -> None:
    """Let the broker take this."""

    async def send() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        try:
            await admin._send_request(request)
        finally:
            await admin.close()

    asyncio.run(send())


def wait_until(reached: Callable[[], bool], filter_: FilterProcess) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not reached():
        assert filter_.poll() is None, filter_.log[-4_000:]
        assert time.monotonic() < deadline, filter_.log[-4_000:]
        time.sleep(0.1)


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_worker_that_may_not_commit_ends_and_goes_on_when_it_may(
    asking: Broker, tmp_path: Path, delivery: str
) -> None:
    asking.write_registry(cases.registry())
    rule = (_GROUP, "wurao-filter.bulk", _LITERAL, "User:ANONYMOUS", "*", _READ, _DENY)

    def events(first: int) -> list[dict[str, object]]:
        return [event("sms", first + one, to=f"+86138{one:08d}", **cases.BANK) for one in range(100)]

    with FilterProcess(asking, tmp_path, WURAO_FILTER__DELIVERY=delivery) as filter_:
        filter_.wait_ready()
        asking.write_events(events(0))
        asking.decisions(until=100)
        ask(asking, CreateAclsRequest(*rule))
        asking.write_events(events(100))
        wait_until(lambda: filter_.metric("wurao_worker_restarts_total", worker=0) >= 1, filter_)
        assert "GroupAuthorizationFailed" in filter_.log
        ask(asking, DeleteAclsRequest(*rule))
        wait_until(lambda: filter_.get("/readyz") == "ready\n", filter_)
        decided = {one["event"] for one in asking.decisions(until=200, within_s=WITHIN_S)}
        assert {f"sms-{number}" for number in range(200)} <= decided
        wait_until(lambda: sum(asking.committed("wurao-filter.bulk").values()) == 200, filter_)
        assert filter_.terminate() == 0
