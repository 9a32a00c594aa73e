"""Between attempts at a broker: a failure is logged once and then counted, and pauses grow while it lasts."""

import asyncio
from typing import Final

from stream import logs

PAUSE_S: Final = 0.05
PAUSE_S_MAX: Final = 1.0
"""So much later than the broker a process may be back; an attempt a second costs a broker nothing."""

LOG_EVERY_S: Final = 30.0


class Retry:
    """One thing that is tried until it succeeds. `what` says in the log what failed, and what happens now."""

    def __init__(self, log: logs.Log, what: str) -> None:
        self._log = log
        self._what = what
        self.begin_anew()

    def begin_anew(self) -> None:
        """It succeeded: the next failure is a new one, logged at once and followed by a short pause."""
        self._pause_s = PAUSE_S
        self._throttle = logs.Throttle(LOG_EVERY_S)

    async def after(self, error: Exception) -> None:
        """Log it, unless one like it was logged a moment ago, and pause."""
        if (held_back := self._throttle.now()) is not None:
            self._log.warning(self._what, error=repr(error), pause_s=self._pause_s, held_back=held_back)
        await self.pause()

    async def pause(self) -> None:
        """Pause, where somebody else tells of it."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, PAUSE_S_MAX)
        await asyncio.sleep(pause_s)
