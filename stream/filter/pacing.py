"""How much a lane takes at a time, and how long the broker may hold its fetches.

How much is bound by the time that it takes to decide: on the native path what falls back to Python counts for what it
costs there. Urgent events never wait for others to be gathered; bulk is gathered while batches follow each other, and
takes less while urgent events come.
"""

import time
from collections.abc import Sized
from math import inf
from typing import Final

from aiokafka import AIOKafkaConsumer

from stream.deciding.batch import Outputs
from stream.kafka import clients
from stream.kafka.seams.incoming import gather

GATHER_MS: Final = 2
GATHER_BYTES: Final = 1 << 16
"""While events come, the broker holds a fetch of bulk for so long, or until it has so much. A round of fetch, decision
and delivery costs a worker and its broker as much for a few events as for hundreds, and a broker that answers at the
first event gives out in pieces what a producer sends at a time."""

QUIET_MS: Final = 5
"""When nothing has come for so long, it is answered at the first event again: to gather what comes seldom would be to
ask in vain."""

LATELY_S: Final = 5.0
URGENT_TIMES: Final = 4
"""While urgent events come, a batch of bulk is smaller by so much: one of them waits for a batch."""

NATIVE_PACE: Final = 8
"""How many events the native path answers, at least, in the time that Python takes for one."""


class Pacing:
    """The pace of one lane; `urgent` is that of the lane that it stands back for, if there is one. Never blocks."""

    def __init__(
        self, consumer: AIOKafkaConsumer, *, batch_records_max: int, fetch_wait_ms: int, urgent: "Pacing | None"
    ) -> None:
        self._consumer = consumer
        self._batch_records_max = batch_records_max
        self._fetch_wait_ms = fetch_wait_ms
        self._urgent = urgent
        self._is_gathering = False
        self._taken_at_s = -inf
        """the monotonic moment at which something was last taken"""
        self._cost = 1.0
        """the work of a record of the last batch, in those that Python decides"""

    def taken(self, batches: Sized) -> None:
        """A fetch has brought these, or nothing: fetches of bulk are held while one batch follows the other."""
        moment_s = time.monotonic()
        follows = bool(batches) and moment_s - self._taken_at_s < QUIET_MS / 1000
        if batches:
            self._taken_at_s = moment_s
        if self._urgent is None or follows == self._is_gathering:
            return
        self._is_gathering = follows
        if follows:
            gather(self._consumer, wait_ms=GATHER_MS, bytes_min=GATHER_BYTES)
        else:
            gather(self._consumer, wait_ms=clients.FETCH_WAIT_MS, bytes_min=1)

    def decided(self, outputs: Outputs) -> None:
        """How much work a record is, by these: what fell back to Python counts whole."""
        answered = sum(batch.count for batch in outputs.finished)
        if total := outputs.counts.fallback_count + answered:
            self._cost = (outputs.counts.fallback_count + answered / NATIVE_PACE) / total

    @property
    def is_busy(self) -> bool:
        """Whether something was taken lately."""
        return time.monotonic() - self._taken_at_s < LATELY_S

    @property
    def wait_ms(self) -> int:
        """How long a fetch may wait for the first record."""
        return QUIET_MS if self._is_gathering else self._fetch_wait_ms

    @property
    def records_max(self) -> int:
        """The most records of a batch, as many as Python decides."""
        stands_back = self._urgent is not None and self._urgent.is_busy
        return max(1, self._batch_records_max // (URGENT_TIMES if stands_back else 1))

    @property
    def raw_records_max(self) -> float:
        """The most records of a batch that goes through the native module, by what the last one cost."""
        return self.records_max / self._cost
