"""A clock that many stories share: once all of them wait, it is moved on to the first moment that one waits for.

So weeks pass in seconds, in their order, and nobody's grace is over while he still acts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

TOGETHER_MS: Final = 900_000
"""Moments so close together (a quarter of an hour) that the clock is moved once for all of them."""


class MovedClock:
    """The control plane's clock, and who waits for which moment of it."""

    def __init__(self, file: Path, seen: Callable[[int], Awaitable[None]], *, begin_ms: int) -> None:
        self._file = file
        self._seen = seen
        self._offset = begin_ms
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self._at_work = 0
        self._changed = asyncio.Event()
        file.write_text(str(begin_ms))

    @property
    def now(self) -> int:
        """The moment, in milliseconds."""
        return time.time_ns() // 1_000_000 + self._offset

    async def until(self, moment: int) -> None:
        """Wait until it is that late."""
        if self.now >= moment:
            return
        reached = asyncio.Event()
        self._waiting.append((moment, reached))
        self._changed.set()
        await reached.wait()

    async def set_to(self, moment: int) -> None:
        """It is that moment now, later or earlier, and the processes know."""
        self._offset += moment - self.now
        self._file.write_text(str(self._offset))
        await self._seen(self._offset)

    async def run(self, *stories: Awaitable[None]) -> None:
        """Tell these stories, all at once, to their ends. Raises what went wrong, of all of them."""
        self._at_work = len(stories)
        told = [asyncio.create_task(self._told(story)) for story in stories]
        moved = asyncio.create_task(self._moved_for(told))
        ends = await asyncio.gather(*told, moved, return_exceptions=True)
        if failures := [one for one in ends if isinstance(one, Exception)]:
            raise ExceptionGroup("of the articles", failures)

    async def _told(self, story: Awaitable[None]) -> None:
        try:
            await story
        finally:
            self._at_work -= 1
            self._changed.set()

    async def _moved_for(self, told: Iterable["asyncio.Task[None]"]) -> None:
        try:
            await self._move()
        except BaseException:
            for story in told:  # or it would wait for ever
                story.cancel()
            raise

    async def _move(self) -> None:
        while self._at_work:
            self._changed.clear()
            if len(self._waiting) < self._at_work:
                await self._changed.wait()
                continue
            await self.set_to(min(moment for moment, _ in self._waiting) + TOGETHER_MS)
            over = [one for one in self._waiting if one[0] <= self.now]
            self._waiting = [one for one in self._waiting if one[0] > self.now]
            for _, reached in over:
                reached.set()
