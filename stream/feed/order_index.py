"""The order index: per subscriber, channel and scope the newest moment of the topic's expressions, kept on disk.

A file that arrives late must not undo a newer expression (DESIGN section 3, *Order*). An expression counts with the
earlier of its `time` and the moment at which it was written, so that one dated ahead bars nothing that comes after it.
The importer asks here what the topic has, and is answered from one SQLite file, which is built from
`registry.expressions` and brought up to date before each import. The file knows the cluster, the topic and the offsets
that it stands for: of another topic, it is recreated.

Promises that an expression stands here only after it stands in the topic, so that whatever interrupts an import,
the next one misses nothing: what the index has not seen it reads. Must never be asked by the filter, for
which order of receipt counts. One importer at a time: `OrderLock`.
"""

import fcntl
import os
import socket
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, repeat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bloom.number import Msisdn
from bloom.wills import EVERYTHING, Channel, Scope, Verb
from stream.model.fields import TIME_MAX
from stream.model.registry import Expression, scope_name
from stream.registry.order_rule import IndexedExpression, SubscriberChannel, digest_of, rows_of

FORMAT: Final = "2"

CACHE_KIB: Final = 256 * 1024
"""The working set of an import: new expressions come for numbers all over the file."""

COMMIT_ROWS: Final = 1_000_000
"""Expressions between two commits: numbers lie all over the file, so each commit writes nearly all of its pages. Those
that a crash loses are read from the topic again."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS scopes (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, category TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS words (
    who INTEGER NOT NULL, scope INTEGER NOT NULL, time INTEGER NOT NULL,
    will INTEGER NOT NULL, source INTEGER NOT NULL, digest INTEGER NOT NULL,
    PRIMARY KEY (who, scope)
) WITHOUT ROWID;
"""
_TAKE: Final = """
INSERT INTO words VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    time = max(time, excluded.time), will = excluded.will, source = excluded.source, digest = excluded.digest
"""
_WILLS: Final[dict[Verb, int]] = {"refuse": 0, "consent": 1, "lift": 2}


class IndexInUse(Exception):
    """Another importer is at work: who, and what to do."""


class OrderLock:
    """Held by the one importer that may write; the error that others get names its holder."""

    def __init__(self, index: Path) -> None:
        self._path = index.with_name(f"{index.name}.lock")
        self._file = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 1_000).decode("utf-8", "replace").strip()
            os.close(self._file)
            raise IndexInUse(
                f"{self._path}: held by {holder or 'another importer'}; one import at a time: wait for it, or end it"
            ) from None
        os.ftruncate(self._file, 0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.write(self._file, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: another may have it open. What is written in it counts only while it is locked.
        os.close(self._file)


class OrderIndex:
    """An index in a file, or in memory where `path` is None. For one user at a time."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)  # it holds subscribers' numbers
        self._database = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last expressions, and with them their offsets: they are read again.
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._uncommitted_count = 0
        self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commit()  # also after a failure: what was taken stands in the topic
        self._database.close()

    def _load(self) -> None:
        self._database.executescript(_SCHEMA)
        self._scopes: dict[Scope, int] = {
            Scope(scope_name(sender), scope_name(category)): place
            for place, sender, category in self._database.execute("SELECT * FROM scopes")
        }
        self._scope_of = {place: scope for scope, place in self._scopes.items()}
        self._sources: dict[str, int] = {name: place for place, name in self._database.execute("SELECT * FROM sources")}
        self.next_offsets: dict[int, int] = dict(self._database.execute("SELECT * FROM progress"))
        """partition → the offset up to which (exclusive) the index knows the topic"""

    def belong_to(self, *, cluster: str, topic: str) -> str | None:
        """Make this the index of that topic. Where it was another's it is emptied, and the reason
        returned.
        """
        wanted = {"cluster": cluster, "topic": topic, "format": FORMAT}
        found: dict[str, str] = dict(self._database.execute("SELECT name, value FROM identity"))
        if found == wanted:
            return None
        for table in ("identity", "progress", "scopes", "sources", "words"):
            self._database.execute(f"DROP TABLE {table}")  # the names stand above
        self._load()
        self._database.executemany("INSERT INTO identity VALUES (?, ?)", wanted.items())
        changed = [
            f"{name} {found[name]} is now {value}" for name, value in wanted.items() if found.get(name, value) != value
        ]
        return ", ".join(changed) or None

    def take(
        self,
        expressions: Sequence[Expression],
        next_offsets: Mapping[int, int],
        *,
        written: Iterable[int] | None = None,
        digests: Sequence[int] | None = None,
    ) -> None:
        """Note expressions that stand in the topic, in the order in which they stand there; all of it or nothing.

        `written` has the moment at which each was written (milliseconds since the epoch), where that is known;
        `digests` has their digests, where they were made already. Where this fails, all is forgotten that was taken
        since the last commit, to be read from the topic again: a savepoint before each batch would keep a copy of
        nearly every page.
        """
        if not expressions and not next_offsets:
            return
        if not self._database.in_transaction:
            self._database.execute("BEGIN")
        try:
            moments = repeat(TIME_MAX) if written is None else written
            whos = np.array(rows_of(expressions), dtype=np.int64)
            made = list(map(digest_of, expressions)) if digests is None else digests
            order = np.argsort(whos, kind="stable")  # neighbours in the file are written together
            columns = (whos, *self._columns(expressions, moments), np.array(made, dtype=np.int64))
            self._database.executemany(_TAKE, zip(*(column[order].tolist() for column in columns), strict=True))
            self._database.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", next_offsets.items())
        except BaseException:
            self._database.execute("ROLLBACK")
            self._uncommitted_count = 0
            self._load()
            raise
        self.next_offsets.update(next_offsets)
        self._uncommitted_count += len(whos)
        if self._uncommitted_count >= COMMIT_ROWS:
            self._commit()

    def _commit(self) -> None:
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        self._uncommitted_count = 0

    def indexed(self, whos: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """`SubscriberChannel.row` → what the topic has of it, where it has any. Best for thousands at once."""
        if not whos:
            return {}
        asked = msgspec.json.encode(sorted(whos)).decode()  # neighbours in the file are read together
        found: dict[int, list[IndexedExpression]] = {}
        query = "SELECT who, scope, time, digest FROM words WHERE who IN (SELECT value FROM json_each(?))"
        for row, scope, time, digest in self._database.execute(query, (asked,)):
            found.setdefault(row, []).append(IndexedExpression(self._scope_of[scope], time, digest))
        return found

    def refusing_everything(self, channel: Channel, source: str) -> Sequence[tuple[Msisdn, int]]:
        """Numbers whose last expression about (*,*) on the channel is this source's refusal, with its newest moment."""
        scope, origin = self._scopes.get(EVERYTHING), self._sources.get(source)
        if scope is None or origin is None:
            return []
        query = "SELECT who, time FROM words WHERE scope = ? AND source = ? AND will = ? AND who % 2 = ?"
        found = self._database.execute(query, (scope, origin, _WILLS["refuse"], int(channel == "call")))
        return [(Msisdn(row // 2), time) for row, time in found]

    def refusing_everything_by_others(self, channel: Channel, source: str) -> Iterator[int]:
        """Numbers whose last expression about (*,*) on the channel is a refusal from any source but this one."""
        query = "SELECT who FROM words WHERE scope = ? AND source != ? AND will = ? AND who % 2 = ?"
        asked = (self._scopes.get(EVERYTHING), self._sources.get(source, -1), _WILLS["refuse"], int(channel == "call"))
        return (row // 2 for (row,) in self._database.execute(query, asked))

    def with_narrower(self, whos: Iterable[SubscriberChannel]) -> set[int]:
        """Of these, `SubscriberChannel.row` of those with any expression narrower than (*,*)."""
        indexed = self.indexed([who.row for who in whos])
        return {row for row, indexed_there in indexed.items() if any(one.scope != EVERYTHING for one in indexed_there)}

    def _columns(self, expressions: Sequence[Expression], written: Iterable[int]) -> Iterator[NDArray[np.int64]]:
        """Scope, moment, will and source of each."""
        abouts = [(expression.sender, expression.category) for expression in expressions]
        scopes = {about: self._scope(Scope(*map(scope_name, about))) for about in set(abouts)}
        yield np.array([scopes[about] for about in abouts], dtype=np.int64)
        times = np.array([expression.time for expression in expressions], dtype=np.int64)
        yield np.minimum(times, np.fromiter(islice(written, len(times)), dtype=np.int64, count=len(times)))
        yield np.array([_WILLS[expression.will] for expression in expressions], dtype=np.int64)
        names = [expression.source for expression in expressions]
        sources = {name: self._source(name) for name in set(names)}
        yield np.array([sources[name] for name in names], dtype=np.int64)

    def _scope(self, scope: Scope) -> int:
        place = self._scopes.get(scope)
        if place is None:
            place = self._scopes[scope] = len(self._scopes)
            self._scope_of[place] = scope
            self._database.execute(
                "INSERT INTO scopes VALUES (?, ?, ?)", (place, scope.sender or "*", scope.category or "*")
            )
        return place

    def _source(self, name: str) -> int:
        place = self._sources.get(name)
        if place is None:
            place = self._sources[name] = len(self._sources)
            self._database.execute("INSERT INTO sources VALUES (?, ?)", (place, name))
        return place
