"""A small file that people keep: read at the start, and again when it has changed.

Tokens are withdrawn and contacts added while a process runs; nobody should have to restart it for that. A file
that was spoilt after the start is logged, and what was read last stays in use: a slip of the pen must not
stop all notices.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from stream import logs
from stream.config import ConfigError

log = logs.get(__name__)

T = TypeVar("T")

FILE_BYTES_MAX = 64 << 20
"""Some 500,000 lines: a whole country's senders, and far from what memory holds."""


class ReloadingFile(Generic[T]):
    """What a file says. `parse` raises `ConfigError`, and gets the path for its messages."""

    def __init__(self, path: str, parse: Callable[[str, Path], T]) -> None:
        self._path = Path(path)
        self._parse = parse
        self._mark = self._stamp()
        self._value = self._read()

    def value(self) -> T:
        """What it says now. Costs a look at the file's time, some microseconds, unless it has changed."""
        try:
            mark = self._stamp()
            if mark != self._mark:
                self._mark = mark
                self._value = self._read()
                log.info("file reloaded", file=str(self._path))
        except ConfigError as error:
            log.warning("file has changed and is invalid; its previous content stays in use", error=str(error))
        return self._value

    def _stamp(self) -> tuple[int, int, int]:
        try:
            about = self._path.stat()
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}; give a file that can be read") from error
        return about.st_mtime_ns, about.st_size, about.st_ino

    def _read(self) -> T:
        if self._mark[1] > FILE_BYTES_MAX:
            raise ConfigError(f"{self._path}: {self._mark[1]} bytes; at most {FILE_BYTES_MAX} are read")
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._path}: {error}; give a UTF-8 text file") from error
        return self._parse(text, self._path)
