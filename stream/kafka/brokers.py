"""Whether the brokers answer: asked every second, on a connection of its own, beside whatever a process does.

aiokafka retries for as long as it takes and reports nothing: the process stalls and looks idle. This reports it: in
`/readyz` within `AWAY_AFTER_S`, and in the log when it begins, now and then while it lasts, and when it is over. It
decides nothing: clients continue by themselves when a broker is back.
"""

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.protocol.admin import ApiVersionRequest

from stream import logs
from stream.config import Config
from stream.kafka import clients

log = logs.get(__name__)

ASK_EVERY_S: Final = 1.0
ANSWER_MS_MAX: Final = 2_000
AWAY_AFTER_S: Final = 3.5
"""Without an answer for so long, no broker counts as reachable: one question may be lost, and `/readyz` still knows
within five seconds."""

LOG_EVERY_S: Final = 30.0


class Brokers:
    """Asks as long as its block lasts: `async with Brokers(config, client=name) as brokers`."""

    def __init__(self, config: Config, *, client: str) -> None:
        """`client` is the name that the brokers' logs show."""
        self._kafka = config.kafka
        self._client = f"{client}-probe"
        self._connection: AIOKafkaConnection | None = None
        self._answered_s = time.monotonic()
        self._error: BaseException | None = None
        self._away = False
        self._throttle = logs.Throttle(LOG_EVERY_S)
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._answered_s = time.monotonic()
        self._asking = asyncio.create_task(self._keep_asking())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        self._close()

    @property
    def silent_s(self) -> float:
        """Seconds since a broker answered."""
        return time.monotonic() - self._answered_s

    def not_ready(self) -> str | None:
        """A message that no broker answers, with since when; None while one does."""
        silent_s = self.silent_s
        if silent_s < AWAY_AFTER_S:
            return None
        return f"no broker of {self._kafka.bootstrap} has answered for {silent_s:.0f} s; see that they run"

    async def _keep_asking(self) -> None:
        while True:
            due = time.monotonic() + ASK_EVERY_S
            if await self._answers():
                self._note_answer()
            elif self.silent_s >= AWAY_AFTER_S:
                self._note_silence()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _answers(self) -> bool:
        """Whether a broker answers now: the one that did last, or else any address of `kafka.bootstrap`."""
        if self._connection is not None:
            try:
                await self._connection.send(ApiVersionRequest())
            except Exception as error:  # noqa: BLE001  # any failure counts as no answer
                self._error = error
                self._close()
            else:
                return True
        hosts = collect_hosts(self._kafka.bootstrap)
        trying = [asyncio.create_task(self._connect(host, port)) for host, port, _ in hosts]
        try:
            for tried in asyncio.as_completed(trying):
                with suppress(Exception):
                    self._connection = await tried
                    return True
        finally:
            for task in trying:
                task.cancel()
            for outcome in await asyncio.gather(*trying, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    self._error = outcome
                elif outcome is not self._connection:
                    outcome.close()
        return False

    async def _connect(self, host: str, port: int) -> AIOKafkaConnection:
        """A connection that is through TLS and SASL, and over which the broker has answered already."""
        async with asyncio.timeout(ANSWER_MS_MAX / 1000):
            return await create_conn(
                host,
                port,
                client_id=self._client,
                request_timeout_ms=ANSWER_MS_MAX,
                **clients.security(self._kafka),
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note_answer(self) -> None:
        if self._away:
            log.info("brokers answer again", silent_s=round(self.silent_s, 1))
            self._away = False
        self._answered_s = time.monotonic()

    def _note_silence(self) -> None:
        if not self._away:
            self._away = True
            self._throttle = logs.Throttle(LOG_EVERY_S)
        if (held_back := self._throttle.now()) is not None:
            log.warning(
                "no broker answers: the work waits, and goes on when one does",
                bootstrap=self._kafka.bootstrap,
                why=repr(self._error),
                silent_s=round(self.silent_s, 1),
                held_back=held_back,
            )
