"""A registry from files: NDJSON of registry records, any kinds mixed, or a snapshot. For everything without a broker.

Files are applied in the order given, lines in theirs. A line that is no record is named and left out; the rest
applies. Memory: the registry itself and one chunk of lines.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bloom import snapshot
from bloom.bitmaps import Overlay
from bloom.signatures import Keys
from stream.feed.ndjson import OtherSort, UnreadableLinesError, lines_of
from stream.model.codec import Undecodable, decode_file_record, decode_record
from stream.model.registry import FileRecord
from stream.registry.registry import Registry

CHUNK_LINES = 50_000
"""Lines applied at once: wills fold fastest in bulk."""


@dataclass(slots=True)
class LoadedRegistry:
    """A registry, and what was wrong in its files: one `file:line: reason` each."""

    registry: Registry
    problems: list[str] = field(default_factory=list)
    files_count: int = 0


class RegistryFileError(Exception):
    """A registry file that cannot be read at all: which one, why, and the mend."""


def load_registry(paths: Iterable[Path], keys: Keys | None = None) -> LoadedRegistry:
    """The registry that these files state, in their order.

    Raises `RegistryFileError` for a file that cannot be read, and with keys for a snapshot that is not signed.
    """
    loaded = LoadedRegistry(Registry())
    for path in paths:
        try:
            if snapshot.is_snapshot(path):
                _take_snapshot(loaded, path, keys)
            else:
                _take_lines(loaded, path)
            loaded.files_count += 1
        except OSError as error:
            raise RegistryFileError(f"{path}: {error.strerror}; give an NDJSON file or a snapshot") from error
        except (snapshot.SnapshotError, UnreadableLinesError) as error:
            raise RegistryFileError(str(error)) from error
    return loaded


def _take_snapshot(loaded: LoadedRegistry, path: Path, keys: Keys | None) -> None:
    if loaded.files_count:
        raise RegistryFileError(f"{path}: a snapshot is a whole registry; give it first")
    loaded.registry = registry_from(snapshot.read(path, keys))


def registry_from(kept: snapshot.Snapshot, *, overlay: bool = False) -> Registry:
    """The registry that a snapshot holds; with `overlay`, its wills stay as they are under an overlay of changes."""
    registry = Registry(Overlay(kept.wills) if overlay else kept.wills)
    registry.apply(decode_record(topic, key, value) for topic, key, value in kept.records)
    return registry


def _take_lines(loaded: LoadedRegistry, path: Path) -> None:
    with path.open("rb") as file:
        records = _records(lines_of(file, str(path)), path, loaded.problems)
        while chunk := list(islice(records, CHUNK_LINES)):
            loaded.registry.apply(chunk)


def _records(lines: Iterable[bytes], path: Path, problems: list[str]) -> Iterator[FileRecord]:
    other = OtherSort("registry records")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield decode_file_record(line)
        except Undecodable as error:
            if problem := other.problem(line, str(error)):
                problems.append(f"{path}:{number}: {problem}")
    if summary := other.summary():
        problems.append(f"{path}: {summary}")
