"""Which rows may be removed from the table, and when: an index by time over what has ended, so that the table does not
grow for ever.

Pure but for its own memory. What is removed is the row alone: the last view of a case stays in `cases`, and all
notices and orders in their topics, as evidence. `store.removable_at` decides when a row may go; here it is remembered.

Called on the owner's loop; nothing blocks. Cost: some 2 µs to set a row, whatever their number.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush


class Retention:
    """Rows that can be removed, by the moment from which they can (milliseconds)."""

    def __init__(self) -> None:
        self._removable: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        """every moment that was ever set for a row; only the one in `_removable` counts"""

    def __len__(self) -> int:
        return len(self._removable)

    def load(self, rows: Iterable[tuple[str, int | None]]) -> None:
        """Replace everything by these rows and when they may go (None: not yet known). Linear."""
        self._removable = {key: at for key, at in rows if at is not None}
        self._queue = [(at, key) for key, at in self._removable.items()]
        heapify(self._queue)

    def set(self, key: str, at: int | None) -> None:
        """From when on this row may be removed; None: it stays, or is removed already."""
        if at is None:
            self._removable.pop(key, None)
        elif self._removable.get(key) != at:
            self._removable[key] = at
            heappush(self._queue, (at, key))

    def due(self, now: int, *, rows_max: int) -> list[str]:
        """Rows that may be removed by now, the longest due first. They stay due until `set` says otherwise."""
        found: list[tuple[int, str]] = []
        while self._queue and self._queue[0][0] <= now and len(found) < rows_max:
            at, key = heappop(self._queue)
            if self._removable.get(key) == at and (at, key) not in found[-1:]:
                found.append((at, key))
        for one in found:
            heappush(self._queue, one)
        return [key for _, key in found]
