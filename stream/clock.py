"""The time: the machine's, and for the control plane's tests and drills moved by what a file says.

Whatever is pure is given the moment by whoever calls it; this is where those take it from. A drill moves days on in a
moment (the clocks of cases run for weeks) without touching the machine's time. The file holds a number of milliseconds;
it is read at most once a second, so a change is seen within that.
"""

import time
from pathlib import Path
from typing import Final

from stream import logs
from stream.config import ConfigError

log = logs.get(__name__)

READ_EVERY_S: Final = 1.0


def now_ms() -> int:
    """The wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class WallClock:
    """Now, in milliseconds since the epoch."""

    def __init__(self, offset_file: str | None) -> None:
        self._file = Path(offset_file) if offset_file else None
        self._offset_ms = 0
        self._next_read = 0.0

    def now(self) -> int:
        """The moment. Raises `ConfigError` for an offset file that holds no number."""
        return now_ms() + self.offset()

    def at(self, timestamp: int) -> int:
        """When something came in, by this clock: its record's timestamp, which cannot lie in the future."""
        return min(timestamp, now_ms()) + self.offset()

    def offset(self) -> int:
        """By how many milliseconds this clock is ahead of the machine's."""
        if self._file is None or time.monotonic() < self._next_read:
            return self._offset_ms
        self._next_read = time.monotonic() + READ_EVERY_S
        try:
            # Empty for the moment between the two steps of whoever rewrites it.
            offset = int(self._file.read_text(encoding="ascii").strip() or self._offset_ms)
        except (OSError, ValueError) as error:
            raise ConfigError(f"enforce.clock_offset_file {self._file}: {error}; write milliseconds into it") from error
        if offset != self._offset_ms:
            log.warning("the clock is offset, as for a drill", offset_ms=offset)
        self._offset_ms = offset
        return offset
