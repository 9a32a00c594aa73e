"""What the API reads from topics when it is asked: registered senders, orders, the bad-actor list.

Each within `READING_S_MAX`, or `Problem` 503. Senders and the list are kept for as long as is said here, and read once
for all who ask meanwhile.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from stream import logs
from stream.config import Config
from stream.enforce.api.responses import Problem, Refusal
from stream.feed import topic_reader
from stream.kafka.clients import KafkaError
from stream.model.control import Listing
from stream.model.registry import Order
from stream.registry.registry import Registry

log = logs.get(__name__)

CLIENT: Final = "wurao-api"

READING_S_MAX: Final = 20.0
"""How long a topic may take to read."""

SENDERS_AGE_S_MAX: Final = 10.0
"""How long ago they may have been read where it is asked whose a number is."""

LISTINGS_AGE_S_MAX: Final = 1.0
"""How long ago the bad-actor list may have been read: whoever asks again sooner is answered as before."""


class TopicReads:
    """Create it on its loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._senders = Registry()
        """those registered when last read"""
        self._senders_read = -math.inf
        """when that began"""
        self._listings: Sequence[Listing] = ()
        self._listings_read = -math.inf
        self._reading_senders, self._reading_listings = asyncio.Lock(), asyncio.Lock()

    async def senders(self, *, age_s_max: float = SENDERS_AGE_S_MAX) -> Registry:
        """Whose numbers are whose, as of so many seconds ago at most."""
        asked = time.monotonic()
        if self._senders_read < asked - age_s_max:
            async with reading("the registered senders"), self._reading_senders:
                if self._senders_read < asked - age_s_max:
                    began = time.monotonic()
                    self._senders = await topic_reader.registered_senders(self._config, client=CLIENT)
                    self._senders_read = began
        return self._senders

    def forget_senders(self) -> None:
        """One was registered: whoever asks next is told of it."""
        self._senders_read = -math.inf

    async def listings(self) -> Sequence[Listing]:
        """The entries of the bad-actor list, as of `LISTINGS_AGE_S_MAX` ago at most."""
        async with reading("the bad-actor list"), self._reading_listings:
            if self._listings_read < time.monotonic() - LISTINGS_AGE_S_MAX:
                self._listings = await topic_reader.listings(self._config, client=CLIENT)
                self._listings_read = time.monotonic()
        return self._listings

    async def order(self, order: str) -> Order | None:
        """What stands under an order's id now."""
        async with reading("the orders"):
            return await topic_reader.order_named(self._config, order, client=CLIENT)


@asynccontextmanager
async def reading(what: str) -> AsyncIterator[None]:
    """Raise `Problem` 503 where what is read within cannot be, within a bound."""
    try:
        async with asyncio.timeout(READING_S_MAX):
            yield
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("what a request depends on could not be read", what=what, error=repr(error))
        reason = f"{what} cannot be read now, and nothing was written; ask again"
        raise Problem(503, Refusal("not-ready", reason)) from error
