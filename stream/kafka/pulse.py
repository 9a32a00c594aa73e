"""Whether the broker answers: asked time and again, so that a process knows it also while it has nothing to do.

aiokafka itself waits: a fetch that brings nothing and a fetch that nobody answers look alike.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from stream import logs
from stream.kafka.clients import KafkaError

log = logs.get(__name__)

EVERY_S: Final = 1.0
ANSWER_S_MAX: Final = 3.0
"""With the pause before it less than 5 s: by then a process whose broker has gone says that it is not ready."""

TELL_EVERY_S: Final = 60.0

SILENT: Final = "the broker does not answer"


class Pulse:
    """`ask` is some question to the broker, such as for end offsets. `run` it beside the work."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._seldom = logs.Seldom(TELL_EVERY_S)
        self._silent_since: float | None = None

    @property
    def answers(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._silent_since is None

    def not_ready(self) -> str | None:
        """Why whoever needs the broker is not ready, or None."""
        return None if self.answers else SILENT

    async def run(self) -> None:
        """Ask until cancelled. Raises what `ask` raises beyond `KafkaError` and `OSError`."""
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    await self._ask()
            except (KafkaError, OSError) as error:  # a TimeoutError is an OSError
                self._fails(began, error)
            else:
                self._works()
            await asyncio.sleep(EVERY_S)

    def _fails(self, since: float, error: Exception) -> None:
        self._silent_since = since if self._silent_since is None else self._silent_since
        if (held_back := self._seldom.now()) is not None:
            log.warning(SILENT, error=repr(error), like_this_before=held_back)

    def _works(self) -> None:
        if self._silent_since is not None:
            log.info("the broker answers again", after_s=round(time.monotonic() - self._silent_since, 1))
            self._silent_since = None
            self._seldom = logs.Seldom(TELL_EVERY_S)  # the next outage is told of at once
