"""Dead letters that wait for the same stand-in of a broker as everything else does."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from stream.model.dead_letters import DeadLetter


class Acknowledges(Protocol):
    """Answers when the test says so."""

    async def send(self) -> asyncio.Future[object]:
        """What the test sets."""


class Letters:
    """In the place of `DeadLetterWriter`."""

    def __init__(self, broker: Acknowledges) -> None:
        self._broker = broker

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when the test has acknowledged them."""
        for _ in letters:
            await (await self._broker.send())
