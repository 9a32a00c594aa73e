"""Asking the registrar: requests to `registry.requests` or `registry.bulk`, answers from `registry.answers`.

Promises that a request is asked under one id until it is answered or the time for it is over: what is asked twice is
admitted once (DESIGN section 14). Whoever gets no answer does not know whether it was admitted, and asks again under
the same id, or reads. An answer counts for the request of which it has the checksum: under its id may stand another's,
or one to half a copy of it.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Final, Literal

from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.durable import DurableProducer
from stream.kafka.retry import Retry
from stream.model.codec import Undecodable, encode
from stream.model.registry import Expression
from stream.model.requests import (
    Ask,
    AskOwner,
    AskSubscriber,
    ReadKind,
    RegistryAnswer,
    RegistryRequest,
    decode_answer,
    digest_of_request,
)
from stream.model.topics import ANSWERS, BULK, REQUESTS

log = logs.get(__name__)

AGAIN_S: Final = 3.0
"""After so long it is asked again: what was asked may be lost with an old topic."""

BULK_ANSWER_S_MAX: Final = 600.0
"""Bulk waits for whatever single requests there are, and for the stores of a registrar that takes over."""

WINDOW: Final = 64
"""Requests of many that are under way at once: of a thousand records each some 16 MiB."""

POLL_MS: Final = 500

Lane = Literal["requests", "bulk"]
_TOPICS: Final[dict[Lane, str]] = {"requests": REQUESTS, "bulk": BULK}


class NoAnswer(Exception):
    """No registrar answered in time: whether the request was admitted is not known."""


class NotRead(Exception):
    """A registrar answered that it cannot say what was asked: why."""


def partition_for(request: RegistryRequest, partitions: int) -> int:
    """Where a request stands: with its subscriber; what is about senders and word lists in partition 0."""
    subscriber = request.erase or next((one.subscriber for one in request.records if isinstance(one, Expression)), None)
    if isinstance(request.ask, AskSubscriber):
        subscriber = request.ask.subscriber
    return 0 if subscriber is None else partition_of(subscriber, partitions)


class RegistryClient:
    """Create it on its loop; `start` it, `stop` it. Many may ask at once."""

    def __init__(self, config: Config, *, client: str) -> None:
        self._config = config
        self._client = client
        self._partitions = config.topics.partitions
        self._producer = DurableProducer(config, client=client)
        self._asked: dict[str, dict[int, asyncio.Future[RegistryAnswer]]] = {}
        """by the id of the request, and the checksums that its answer may bear"""
        self._sending = [asyncio.Lock() for _ in range(self._partitions)]
        """of bulk: what a file says of one subscriber is asked in the file's order"""
        self._reading = asyncio.Event()
        """set while answers are read that are given from now on"""
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be able to ask. Waits for a broker."""
        await self._producer.start()
        self._reader = asyncio.create_task(self._keep_reading())
        await self._reading.wait()

    async def stop(self) -> None:
        """Ask no more; whoever still waits is told `NoAnswer`."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for asked in {one for waiting in self._asked.values() for one in waiting.values()}:
            if not asked.done():
                asked.set_exception(NoAnswer("asking was ended"))
        await self._producer.close()

    async def ask(
        self, request: RegistryRequest, *, lane: Lane = "requests", within_s: float | None = None
    ) -> RegistryAnswer:
        """What came of one request. Raises `NoAnswer` where none came `within_s` (`registrar.answer_timeout_ms`)."""
        within_s = self._config.registrar.answer_timeout_ms / 1000 if within_s is None else within_s
        answered: asyncio.Future[RegistryAnswer] = asyncio.get_running_loop().create_future()
        whole = zlib.crc32(encode(request))  # which the answer bears where the request cannot be read, or only asks
        try:
            async with asyncio.timeout(within_s):
                while True:
                    # Who asks the same meanwhile waits for the same answer.
                    waiting = self._asked.setdefault(request.id, {})
                    answered = waiting.setdefault(digest_of_request(request), answered)
                    waiting[whole] = answered
                    try:
                        async with asyncio.timeout(AGAIN_S if lane == "requests" else BULK_ANSWER_S_MAX / 10):
                            await self._reading.wait()
                            await self._send(request, lane)
                            return await asyncio.shield(answered)
                    except TimeoutError:
                        continue
        except TimeoutError as error:
            yet = f"; what was asked (request {request.id}) may be admitted yet" if request.ask is None else ""
            raise NoAnswer(
                f"no registrar answered within {within_s:g} s: start `wurao registrar`, or see why those that run are "
                f"not ready (/readyz){yet}"
            ) from error
        finally:
            waiting = self._asked.get(request.id, {})
            for digest in [digest for digest, one in waiting.items() if one is answered]:
                del waiting[digest]
            if not waiting:
                self._asked.pop(request.id, None)

    async def read(self, what: Ask, kind: type[ReadKind], *, actor: str, within_s: float | None = None) -> ReadKind:
        """What the registry has, of the kind that is asked for. Raises `NotRead`, and `NoAnswer` as `ask` does."""
        name = f"{self._client}-{token_hex(8)}"
        answer = await self.ask(RegistryRequest(name, now_ms(), actor, ask=what), within_s=within_s)
        if not isinstance(answer.result, kind):
            raise NotRead("; ".join(one.what for one in answer.refusals))
        return answer.result

    async def see_somebody(self) -> None:
        """See that a registrar answers, before much is asked. Raises `NoAnswer`."""
        name = f"{self._client}-{token_hex(8)}"
        await self.ask(RegistryRequest(name, now_ms(), self._client, ask=AskOwner("10086", "call")))

    async def ask_many(
        self, requests: AsyncIterable[RegistryRequest], *, window: int = WINDOW
    ) -> AsyncIterator[tuple[RegistryRequest, RegistryAnswer]]:
        """Ask in the bulk lane, so many at once; the answers in the order of the requests.

        Raises `NoAnswer`: everything that was answered before has been handed out.
        """
        under_way: deque[tuple[RegistryRequest, asyncio.Task[RegistryAnswer]]] = deque()
        try:
            async for request in requests:
                asking = asyncio.create_task(self.ask(request, lane="bulk", within_s=BULK_ANSWER_S_MAX))
                under_way.append((request, asking))
                await asyncio.sleep(0)  # whoever makes requests may not wait for anything
                while len(under_way) >= window or (under_way and under_way[0][1].done()):
                    asked, first = under_way[0]
                    answer = await first
                    under_way.popleft()
                    yield asked, answer
            while under_way:
                asked, first = under_way[0]
                answer = await first
                under_way.popleft()
                yield asked, answer
        finally:
            for _, asking in under_way:
                asking.cancel()
            await asyncio.gather(*(asking for _, asking in under_way), return_exceptions=True)

    async def _send(self, request: RegistryRequest, lane: Lane) -> None:
        partition = partition_for(request, self._partitions)

        async def send(producer: AIOKafkaProducer) -> None:
            await producer.send_and_wait(_TOPICS[lane], encode(request), request.id.encode(), partition=partition)

        if lane == "requests":
            await self._producer.durably(send)
        else:
            async with self._sending[partition]:
                await self._producer.durably(send)

    async def _keep_reading(self) -> None:
        retry = Retry(log.bind(client=self._client), "answers cannot be read; trying again")
        while True:
            try:
                await self._read()
            except (clients.KafkaError, OSError) as error:
                self._reading.clear()
                await retry.after(error)

    async def _read(self) -> None:
        """Answers from now on, for ever. What was given in between is given again to whoever asks again."""
        places = clients.partitions(ANSWERS, self._partitions)
        consumer = clients.follower(self._config, client=self._client)
        consumer.assign(places)
        try:
            await consumer.start()
            for place, end in (await consumer.end_offsets(places)).items():
                consumer.seek(place, end)
            self._reading.set()
            while True:
                fetched = await consumer.getmany(timeout_ms=POLL_MS)
                for records in fetched.values():
                    for record in records:
                        self._take(record)
        finally:
            await close_within(consumer)

    def _take(self, record: clients.ConsumerRecord) -> None:
        waiting = self._asked.get((record.key or b"").decode("utf-8", "replace"))
        if waiting is None:
            return
        try:
            answer = decode_answer(record.value or b"")
        except Undecodable as error:  # such as a newer registrar's, in the midst of an upgrade: others are answered
            log.warning("an answer cannot be read", client=self._client, why=str(error))
            return
        asked = waiting.get(answer.digest)
        if asked is not None and not asked.done():
            asked.set_result(answer)


@asynccontextmanager
async def registry_client(config: Config, *, client: str) -> AsyncIterator[RegistryClient]:
    """A client for the time of a command. Raises `NoAnswer` where no broker does: whoever types it waits no longer."""
    asking, within_s = RegistryClient(config, client=client), config.registrar.answer_timeout_ms / 1000
    try:
        try:
            async with asyncio.timeout(within_s):
                await asking.start()
        except TimeoutError as error:
            where = config.kafka.bootstrap
            raise NoAnswer(f"no broker at {where} answered within {within_s:g} s: see `kafka.bootstrap`") from error
        yield asking
    finally:
        await asking.stop()
