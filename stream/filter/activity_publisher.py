"""What senders did, put out window by window: the worker's activity on its way to early warning.

Decisions do not wait for it: a window that cannot be sent is logged, and they go on without. It
is counted in a thread, and only sent from the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from aiokafka import AIOKafkaProducer

from bloom.partition import partitions_of
from stream import logs
from stream.clock import now_ms
from stream.deciding.activity import ActivityCounter
from stream.deciding.batch import Keyed
from stream.deciding.windows import Closed, records_of
from stream.filter.delivery import send
from stream.kafka import clients
from stream.model.codec import encode
from stream.model.control import Activity, key_of_control
from stream.model.topics import ACTIVITY

log = logs.get(__name__)

EVERY_S: Final = 1.0
RECORDS_AT_ONCE: Final = 500
"""Records that are made before they are sent: some 10 ms."""


class ActivityPublisher:
    """Puts out the windows of one worker's counter as they end.

    `floor` gives the least number of events, by the policy then in force, of a number that gets a record.
    """

    def __init__(
        self, activity: ActivityCounter, producer: AIOKafkaProducer, *, partitions: int, floor: Callable[[], int]
    ) -> None:
        self._activity = activity
        self._producer = producer
        self._partitions = partitions
        self._floor = floor
        self._at_it = asyncio.Lock()
        self._throttle = logs.Throttle()

    async def run(self) -> None:
        """Put out what is over, time and again."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self._put_out()
            except clients.KafkaError as error:
                if (held_back := self._throttle.now()) is not None:
                    log.warning("activity windows could not be sent", error=repr(error), held_back=held_back)

    async def finish(self) -> None:
        """Put out what is left at the end, within a bound."""
        try:
            async with asyncio.timeout(clients.GOODBYE_S_MAX):
                await self._put_out(everything=True)
        except (TimeoutError, clients.KafkaError) as error:
            log.warning("the last activity windows could not be sent", error=repr(error))

    async def _put_out(self, *, everything: bool = False) -> None:
        async with self._at_it:
            acks: list[Awaitable[object]] = []
            for closed in self._activity.close(now_ms(), everything=everything):
                acks += await self._send(closed)
            await asyncio.gather(*acks)

    async def _send(self, closed: Closed) -> list[Awaitable[object]]:
        """Send a window's records. Those of a party stand in one partition: its key's."""
        acks: list[Awaitable[object]] = []
        records = records_of(closed, floor=self._floor())
        # A million rows take 0.2 s to count, for which no event may wait. In a thread: numpy mostly lets go of the
        # interpreter meanwhile.
        while placed := await asyncio.to_thread(_made, records, self._partitions):
            for partition, keyed in placed.items():
                acks += await send(self._producer, ACTIVITY, partition, keyed, now=now_ms())
        return acks


def _made(records: Iterator[Activity], partitions: int) -> Mapping[int, Sequence[Keyed]]:
    """The next records by partition; nothing after the last."""
    some = list(islice(records, RECORDS_AT_ONCE))
    keys = [key_of_control(record) for record in some]
    placed: dict[int, list[Keyed]] = {}
    for record, key, partition in zip(some, keys, partitions_of(keys, partitions).tolist(), strict=True):
        placed.setdefault(partition, []).append(Keyed(key.encode(), encode(record)))
    return placed
