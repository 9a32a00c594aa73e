"""What an offline import has written so far, as the order rule asks for it: in memory, some 60 bytes an expression."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from bloom.wills import Scope
from stream.model.registry import Expression
from stream.model.times import counts_from
from stream.registry.order_rule import IndexedExpression, rows_of, scope_of

_SCHEMA: Final = """
CREATE TABLE expressions (
    who INTEGER NOT NULL, scope INTEGER NOT NULL, time INTEGER NOT NULL, digest INTEGER NOT NULL,
    PRIMARY KEY (who, scope)
) WITHOUT ROWID;
"""


class OfflineIndex:
    """Per subscriber, channel and scope the last expression's moment and digest."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._scopes: dict[Scope, int] = {}
        self._scope_of: list[Scope] = []

    def take(self, expressions: Sequence[Expression], now: int, digests: Sequence[int]) -> None:
        """Note what was written at `now` (milliseconds since the epoch), in this order."""
        scopes = [self._scope(scope_of(expression)) for expression in expressions]
        times = [counts_from(expression.time, now) for expression in expressions]
        rows = zip(rows_of(expressions), scopes, times, digests, strict=True)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO expressions VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def indexed(self, rows: Collection[int]) -> dict[int, list[IndexedExpression]]:
        """See `Known`."""
        asked = msgspec.json.encode(sorted(rows)).decode()
        found: dict[int, list[IndexedExpression]] = {}
        query = "SELECT * FROM expressions WHERE who IN (SELECT value FROM json_each(?))"
        for row, scope, time, digest in self._database.execute(query, (asked,)):
            found.setdefault(row, []).append(IndexedExpression(self._scope_of[scope], time, digest))
        return found

    def _scope(self, scope: Scope) -> int:
        place = self._scopes.get(scope)
        if place is None:
            place = self._scopes[scope] = len(self._scopes)
            self._scope_of.append(scope)
        return place
