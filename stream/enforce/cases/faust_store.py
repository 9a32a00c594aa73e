"""The store behind Faust's table: rows in memory, which it reports to Faust as complete.

Faust's own recovery delivers every row as an event, 70 µs each; reading the topic takes us 10, and had to be done
anyway, because a row that its recovery loses would be a case that fell back to an earlier state (decision 0010). So
Faust keeps what it does well: it says which partitions of the table are ours, and when.
"""

from typing import Final

from faust.stores import STORES
from faust.stores.memory import Store
from faust.types import TP

URL: Final = "wurao://"
"""By which Faust finds this store."""

ALL: Final = 1 << 62
"""An offset beyond all that a topic holds: nothing is left for Faust to recover."""


class RecoveredStore(Store[bytes, bytes]):
    """Keeps rows, and reports all of them as recovered; `recovery` reads them before a case is touched."""

    def persisted_offset(self, tp: TP) -> int:  # noqa: ARG002  # as Faust calls it
        """The offset up to which the table's topic is applied: Faust recovers what comes after."""
        return ALL


STORES.aliases["wurao"] = f"{__name__}:{RecoveredStore.__name__}"
