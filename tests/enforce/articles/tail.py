"""What stands in the topics, as it comes: one reader for all stories."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import orjson

from stream.config import Config
from stream.kafka import clients
from stream.kafka.topics import EXPECTED
from stream.model import topics
from stream.model.cases import CaseView
from stream.model.codec import decode_as
from tests.enforce.api.harness import Json

PATIENCE_S: Final = 120
"""Longer than any machine takes, and shorter than the whole may: so what did not come is named."""

READ: Final = (
    topics.DECISIONS,
    topics.CASES,
    topics.NOTICES,
    topics.DELIVERIES,
    topics.REPORTS,
    topics.HOLDS,
    topics.HELD,
    topics.LISTINGS,
    topics.ORDERS,
    topics.ACCESSES,
    topics.DEAD_LETTER,
)


class Tail:
    """What stands in the topics, as it comes: one reader for everybody."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._came = asyncio.Event()
        self.records: dict[str, list[clients.ConsumerRecord]] = defaultdict(list)
        self.views: dict[str, CaseView] = {}
        self.decisions: dict[str, Json] = {}

    async def run(self, ready: asyncio.Event) -> None:
        """Read until it is cancelled."""
        consumer = clients.follower(self._config, client="test-tail")
        places = [
            place for name in READ for place in clients.partitions(name, EXPECTED[name].partitions(self._config.topics))
        ]
        consumer.assign(places)
        await consumer.start()
        try:
            await consumer.seek_to_beginning(*places)
            ready.set()
            while True:
                for place, records in (await consumer.getmany(timeout_ms=50)).items():
                    for record in records:
                        self._take(place.topic, record)
                came, self._came = self._came, asyncio.Event()
                came.set()
        finally:
            await consumer.stop()

    def _take(self, topic: str, record: clients.ConsumerRecord) -> None:
        self.records[topic].append(record)
        match topic:
            case topics.CASES if record.value is not None:
                view = decode_as(CaseView, record.value)
                self.views[view.case] = view
            case topics.DECISIONS:
                made: Json = orjson.loads(record.value)
                self.decisions.setdefault(str(made["event"]), made)
            case _:
                pass

    async def seen(self, asked: Callable[[], bool], *, what: Callable[[], str]) -> None:
        """Wait until it is so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not asked():
                    await self._came.wait()
                return
        raise AssertionError(what())

    def cases(self, procedure: str, party: str) -> list[str]:
        """The cases of a procedure about a party: a sender, or a number."""
        mine = (one for one in self.views.values() if one.party and party in (one.party.sender, one.party.number))
        return [one.case for one in mine if one.procedure == procedure]

    def all(self, topic: str, **fields: object) -> list[Json]:
        """The records of a topic that have these fields."""
        found = (orjson.loads(record.value) for record in self.records[topic])
        return [one for one in found if all(one.get(name) == value for name, value in fields.items())]
