"""Which rows may leave the table, and when: an index by time over what has ended, so that the table does not grow for
ever.

Pure but for its own memory. What leaves is the row alone: the last picture of a case stays in `cases`, and all that was
told and ordered in its topic, as evidence. When a row may leave is `store.leaves_at`'s to say; here it is remembered.

Cost: some 2 µs to note a row, whatever their number.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush


class Retention:
    """The rows that will leave."""

    def __init__(self) -> None:
        self._leaves: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        """every moment that was ever noted of a row; only the one in `_leaves` counts"""

    def __len__(self) -> int:
        return len(self._leaves)

    def fill(self, rows: Iterable[tuple[str, int | None]]) -> None:
        """Begin anew with these rows and when they may leave (milliseconds; None: not yet known). Linear."""
        self._leaves = {key: at for key, at in rows if at is not None}
        self._queue = [(at, key) for key, at in self._leaves.items()]
        heapify(self._queue)

    def note(self, key: str, at: int | None) -> None:
        """When this row may leave now; None: it stays, or has left."""
        if at is None:
            self._leaves.pop(key, None)
        elif self._leaves.get(key) != at:
            self._leaves[key] = at
            heappush(self._queue, (at, key))

    def due(self, now: int, *, rows_max: int) -> list[str]:
        """Rows that may leave by now, the longest due first. They stay due until `note` says otherwise."""
        found: list[tuple[int, str]] = []
        while self._queue and self._queue[0][0] <= now and len(found) < rows_max:
            at, key = heappop(self._queue)
            if self._leaves.get(key) == at and (at, key) not in found[-1:]:
                found.append((at, key))
        for one in found:
            heappush(self._queue, one)
        return [key for _, key in found]
