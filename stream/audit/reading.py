"""The registry topics and the epochs, read into histories: the audit's own reading, which shares nothing with a filter.

Promises that after `read_on` everything that stood in those topics when it was called is in the histories, in each
partition's order. A record that cannot be decoded is passed over, as workers pass it over.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from stream.audit.history import Propagation, StandingHistory, WillHistory
from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import TopicPartition
from stream.model.codec import Undecodable, decode_as, decode_record
from stream.model.decision import Epoch
from stream.model.registry import Expression
from stream.model.topics import EPOCHS, EXPRESSIONS, RECORD_KIND

POLL_RECORDS_MAX: Final = 20_000
POLL_WAIT_MS: Final = 500


class Histories:
    """What the audit knows: wills, the rest of the registry, the epochs, and how long refusals took."""

    def __init__(self, config: Config) -> None:
        partitions = config.topics.partitions
        self.wills = WillHistory(partitions)
        self.standing = StandingHistory()
        self._in_force_ms: list[int] = []
        self._horizon_ms = 0
        self._propagation = Propagation(partitions)
        self._epochs: dict[str, OrderedDict[str, Epoch]] = {}
        self._pending: list[Epoch] = []
        self._consumer = clients.follower(config, client="wurao-audit-registry")
        self._places = [
            place
            for topic in (*RECORD_KIND, EPOCHS)
            for place in clients.partitions(topic, partitions if topic == EXPRESSIONS else 1)
        ]
        self._next: dict[TopicPartition, int] = {}

    async def start(self, horizon_ms: int) -> None:
        """Connect, and stand at the beginning of every topic. States before the horizon will not be asked about."""
        self._horizon_ms = horizon_ms
        self._consumer.assign(self._places)
        await self._consumer.start()
        self._next = dict(await self._consumer.beginning_offsets(self._places))
        for place, offset in self._next.items():
            self._consumer.seek(place, offset)

    async def stop(self) -> None:
        """Read no more."""
        await self._consumer.stop()

    def epoch(self, name: str) -> Epoch | None:
        """The epoch of that name, if it is announced and not forgotten."""
        epochs = self._epochs.get(_run_of(name))
        return epochs.get(name) if epochs else None

    def take_in_force_ms(self) -> list[int]:
        """How long refusals took to be in force, of those measured since this was last asked."""
        measured, self._in_force_ms = self._in_force_ms, []
        return measured

    async def read_on(self, note: Callable[[int], None] = lambda _: None) -> None:
        """Read up to the ends as they are now; `note` is told what is left."""
        ends = await self._consumer.end_offsets(self._places)
        while left := sum(max(0, end - self._next[place]) for place, end in ends.items()):
            note(left)
            behind = [place for place, end in ends.items() if self._next[place] < end]
            fetched = await self._consumer.getmany(*behind, timeout_ms=POLL_WAIT_MS, max_records=POLL_RECORDS_MAX)
            self._take(fetched)
            for place in behind:
                self._next[place] = await self._consumer.position(place)
            self.wills.settle(self._horizon_ms)  # a start reads years of expressions: they must not all be kept apart
        # An epoch may be read before the expressions that it includes: it measures when all are read.
        for epoch in self._pending:
            self._in_force_ms += self._propagation.reach(_run_of(epoch.epoch), epoch.offsets[EXPRESSIONS], epoch.time)
        self._pending.clear()

    def settle(self, before_ms: int) -> None:
        """Let go of what only decisions older than this moment could ask about."""
        self._horizon_ms = max(self._horizon_ms, before_ms)
        self.wills.settle(self._horizon_ms)
        self.standing.settle(self._horizon_ms)
        self._propagation.settle(self._horizon_ms)
        for run in self._epochs:
            self._prune(run)

    def _take(self, fetched: Mapping[TopicPartition, Sequence[clients.ConsumerRecord]]) -> None:
        for place, records in fetched.items():
            for record in records:
                if place.topic == EPOCHS:
                    self._take_epoch(record)
                else:
                    self._take_registry(place, record)

    def _take_registry(self, place: TopicPartition, raw: clients.ConsumerRecord) -> None:
        try:
            record = decode_record(place.topic, raw.key, raw.value)
        except Undecodable:
            return
        if not isinstance(record, Expression):
            self.standing.take(place.topic, raw.offset, raw.timestamp, record)
            return
        self.wills.take(place.partition, raw.offset, raw.timestamp, record)
        if record.will == "refuse" and raw.timestamp >= self._horizon_ms:
            self._propagation.take(place.partition, raw.offset, raw.timestamp)

    def _take_epoch(self, raw: clients.ConsumerRecord) -> None:
        try:
            epoch = decode_as(Epoch, raw.value or b"")
        except Undecodable:
            return
        run = _run_of(epoch.epoch)
        self._epochs.setdefault(run, OrderedDict())[epoch.epoch] = epoch
        if epoch.time < self._horizon_ms:
            self._propagation.reach(run, epoch.offsets[EXPRESSIONS], epoch.time)  # where the run stood; no measure
        else:
            self._pending.append(epoch)
        self._prune(run)

    def _prune(self, run: str) -> None:
        """Keep of a run what was in force at the horizon, and everything later."""
        epochs = self._epochs[run]
        while len(epochs) > 1:
            first, second = islice(epochs.values(), 2)
            if second.time >= self._horizon_ms:
                return
            del epochs[first.epoch]


def _run_of(name: str) -> str:
    """The worker's run that an epoch's name begins with."""
    return name.rpartition("-")[0]
