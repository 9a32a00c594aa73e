"""Lines that an import does not apply: the first of each kind printed on stderr, all of them kept beside their file.

Bad lines stand in `FILE.bad` as they were, in the file's own encoding and under its header, ready to be mended and
imported again; expressions that came too late and records that may not be written in `FILE.skipped`, with the line's
number and the reason. Both hold numbers: they are for their owner's eyes.
"""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import IO, Final, Self

from stream.cli.common import say
from stream.feed.bulk_files import BulkFile
from stream.feed.importer import Rejection

SHOWN_MAX: Final = 20
"""Of each kind of line that is not applied, so many are printed on stderr; all are in the files."""


class Rejections:
    """Takes each rejection of some files."""

    def __init__(self, files: Sequence[BulkFile]) -> None:
        self._bulk = {bulk.path: bulk for bulk in files}
        self._files: dict[Path, IO[bytes]] = {}
        self._shown: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for path in self._bulk:
            for suffix in (".bad", ".skipped"):
                _beside(path, suffix).unlink(missing_ok=True)  # of an earlier run: what it says is old
        return self

    def __exit__(self, *_: object) -> None:
        for path, file in self._files.items():
            file.close()
            say(f"kept in {path}")

    def __call__(self, rejection: Rejection) -> None:
        """Print it, and keep it."""
        self._shown[rejection.fate] += 1
        shown = self._shown[rejection.fate]
        if shown <= SHOWN_MAX:
            say(f"{rejection.path}:{rejection.line}: {rejection.fate}: {rejection.reason}")
        elif shown == SHOWN_MAX + 1:
            say(f"… more lines are {rejection.fate}")
        bulk = self._bulk[rejection.path]
        if rejection.fate == "bad":
            self._file(rejection.path, ".bad", bulk.head).write(bulk.line(rejection.raw))
        else:
            row = [str(rejection.line), rejection.fate, rejection.reason, rejection.raw.decode("utf-8", "replace")]
            self._file(rejection.path, ".skipped", b"line,fate,reason,record\n").write(_csv_row(row))

    def _file(self, path: Path, suffix: str, start: bytes) -> IO[bytes]:
        beside = _beside(path, suffix)
        file = self._files.get(beside)
        if file is None:
            made = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            file = self._files[beside] = os.fdopen(made, "wb")
            file.write(start)
        return file


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _csv_row(values: Sequence[str]) -> bytes:
    written = StringIO()
    csv.writer(written, lineterminator="\n").writerow(values)
    return written.getvalue().encode()
