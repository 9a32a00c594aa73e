"""Small files that people keep: read at the start, and again when they have changed.

Tokens are withdrawn, contacts added, passwords and certificates renewed while a process runs; nobody should have to
restart it for that. What was spoilt after the start is logged, once, and what was read last stays in use: a slip of the
pen must not stop all notices.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from stream import logs
from stream.config import ConfigError

log = logs.get(__name__)

T = TypeVar("T")

FILE_BYTES_MAX = 64 << 20
"""Some 500,000 lines: a whole country's senders, and far from what memory holds."""

_Stamp = tuple[int, int, int, int] | None


class ReloadingFiles(Generic[T]):
    """What some files say together. `read` reads them, and raises `ConfigError`; so does this at the start."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._stamps = self._stamps_now()
        self._value = read()

    def value(self) -> T:
        """What they say now. Costs a look at their times, some microseconds, unless one has changed."""
        stamps = self._stamps_now()
        if stamps != self._stamps:
            changed = [path for path, was, now in zip(self._paths, self._stamps, stamps, strict=True) if was != now]
            self._stamps = stamps
            try:
                self._value = self._read()
            except ConfigError as error:
                log.warning("file has changed and is invalid; its previous content stays in use", error=str(error))
            else:
                log.info("file reloaded", file=", ".join(map(str, changed)))
        return self._value

    def _stamps_now(self) -> tuple[_Stamp, ...]:
        return tuple(map(_stamp_of, self._paths))


def reloading_file(path: str, parse: Callable[[str, Path], T]) -> ReloadingFiles[T]:
    """What one text file says. `parse` raises `ConfigError`, and gets the path for its messages."""
    file = Path(path)
    return ReloadingFiles([file], lambda: parse(_text_of(file), file))


def reloading_secret(setting: str, file: str) -> Callable[[], str]:
    """The secret of a file, which this setting names; it is not empty."""

    def parse(text: str, path: Path) -> str:
        if not (found := text.strip()):
            raise ConfigError(f"{setting}: {path}: is empty; write the secret there")
        return found

    return reloading_file(file, parse).value


def _stamp_of(path: Path) -> _Stamp:
    try:
        about = path.stat()
    except OSError:  # whoever reads it says why it cannot be
        return None
    # The last is changed by chmod and chown too: what could not be read may be readable now.
    return about.st_mtime_ns, about.st_size, about.st_ino, about.st_ctime_ns


def _text_of(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > FILE_BYTES_MAX:
            raise ConfigError(f"{path}: {size} bytes; at most {FILE_BYTES_MAX} are read")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a file that can be read") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}; give a UTF-8 text file") from error
