"""The past as the audit keeps it: stances, the rest of the registry, the epochs, and the propagation of refusals.

Whoever reads the topics gives it each record once, in its partition's order, and says from which moment on (the
*horizon*) states of the registry will be asked about; what is older is folded away. What is asked about a state that
was folded away gets no answer, so a horizon that is set too late never makes a wrong one; and `dropped_ms` says for
which decisions everything must be read again, with an earlier horizon.

Pure: no client, no loop, no clock.
"""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from typing import Final

from stream.audit.backlog import MARGIN_MS
from stream.audit.history import ExpressionHistory, Propagation, RegistryHistory
from stream.model.codec import Undecodable, decode_as, decode_record
from stream.model.decision import Decision, Epoch
from stream.model.registry import Expression
from stream.model.topics import EXPRESSIONS, RECORD_KIND

SKEW_MS: Final = MARGIN_MS // 2
"""By how much moments may be wrong: clocks differ, and a worker goes on by an epoch for the batches in flight when the
next one is announced. Less than the margin, or what is read again for a decision could not be enough for it."""


class Histories:
    """The histories of one reader: first `begin`, then `take_registry` and `take_epoch`, `measure`, `settle` as it
    goes.
    """

    wills: ExpressionHistory
    standing: RegistryHistory

    def __init__(self, partitions: int, *, cluster: str = "", topics: Mapping[str, str] | None = None) -> None:
        """`cluster` is the id of the cluster that is read, `topics` those of its registry topics, as epochs name them.

        What is not given here, or not named by an epoch, is not compared.
        """
        self._partitions = partitions
        self._cluster = cluster
        self._topics = topics or {}
        self._in_force_ms: list[int] = []
        self._measured_to = 0
        """the offset of `epochs` up to which epochs were measured: one that is read again measures nothing"""
        self.begin(exact_since_ms=0, horizon_ms=0)

    def begin(self, *, exact_since_ms: int, horizon_ms: int) -> None:
        """Empty everything: every topic is read from its beginning.

        What was written before `exact_since_ms` may be compacted away: states of then cannot be known.
        """
        self.exact_since_ms = exact_since_ms
        self.horizon_ms = horizon_ms
        self.wills = ExpressionHistory(self._partitions)
        self.standing = RegistryHistory()
        self._propagation = Propagation(self._partitions)
        self._stand_since_ms: int | None = None
        self._epochs: dict[str, OrderedDict[str, Epoch]] = {}
        self._pending: list[Epoch] = []

    def take_registry(
        self, topic: str, partition: int, offset: int, timestamp: int, *, key: bytes | None, value: bytes | None
    ) -> None:
        """Note a record of a registry topic. One that cannot be decoded is skipped, as workers skip it."""
        try:
            record = decode_record(topic, key, value)
        except Undecodable:
            return
        if not isinstance(record, Expression):
            self.standing.take(topic, offset, timestamp, record)
            return
        self.wills.take(partition, offset, timestamp, record)
        if record.will == "refuse" and timestamp >= self.horizon_ms:
            self._propagation.take(partition, offset, timestamp)

    def take_epoch(self, offset: int, value: bytes | None) -> None:
        """Note an epoch. One of other topics or partition counts is skipped."""
        try:
            epoch = decode_as(Epoch, value or b"")
        except Undecodable:
            return
        if any(len(epoch.offsets.get(topic, ())) != self._partitions_of(topic) for topic in RECORD_KIND):
            return
        run = _run_of(epoch.epoch)
        self._epochs.setdefault(run, OrderedDict())[epoch.epoch] = epoch
        if self.is_of(epoch):
            self._note_reach(offset, run, epoch)
        self._prune(run)

    def _note_reach(self, offset: int, run: str, epoch: Epoch) -> None:
        self._stand_since_ms = min(epoch.time, self._stand_since_ms or epoch.time)
        if epoch.time < self.horizon_ms:
            self._propagation.reach(run, epoch.offsets[EXPRESSIONS], epoch.time)  # where the run stood; no measure
        elif offset >= self._measured_to:
            self._pending.append(epoch)
            self._measured_to = offset + 1

    def measure(self) -> None:
        """Everything that the epochs taken so far include is taken: measure what came into force with each."""
        for epoch in self._pending:
            self._in_force_ms += self._propagation.reach(_run_of(epoch.epoch), epoch.offsets[EXPRESSIONS], epoch.time)
        self._pending.clear()

    def take_in_force_ms(self) -> list[int]:
        """How long refusals took to be in force, of those measured since this was last asked."""
        measured, self._in_force_ms = self._in_force_ms, []
        return measured

    def epoch(self, name: str) -> Epoch | None:
        """The epoch of that name, if it is announced and not forgotten."""
        epochs = self._epochs.get(_run_of(name))
        return epochs.get(name) if epochs else None

    def stood_at(self, moment_ms: int) -> bool:
        """Whether the topics that are read here were there at a moment (ms): an epoch of then or before names them."""
        if not self._topics:
            return True  # as `is_of`
        return self._stand_since_ms is not None and self._stand_since_ms <= moment_ms

    def is_of(self, epoch: Epoch) -> bool:
        """Whether an epoch's offsets are those of the topics that are read here, and not of others of these names."""
        if self._cluster and epoch.cluster != self._cluster:
            return False
        return all(epoch.topics.get(name, made) == made for name, made in self._topics.items())

    def dropped_ms(self, decision: Decision) -> int | None:
        """The moment (ms) of the past that this decision is verified by, where that was dropped; else None.

        Such a decision came late: its worker could not write it for a while, or its registry stood still.
        """
        epoch = self.epoch(decision.epoch)
        moment = decision.decided
        if epoch is not None:
            moment = min(moment, epoch.time - (epoch.staleness_ms or 0))
        if moment - SKEW_MS >= self.horizon_ms:
            return None
        return None if epoch is not None and (not self.is_of(epoch) or self._reaches_back_to(epoch)) else moment

    def settle(self, before_ms: int) -> None:
        """Drop what only decisions older than this moment (ms) could need."""
        self.horizon_ms = max(self.horizon_ms, before_ms)
        self.wills.settle(self.horizon_ms)
        self.standing.settle(self.horizon_ms)
        self._propagation.settle(self.horizon_ms)
        for run in self._epochs:
            self._prune(run)

    def _reaches_back_to(self, epoch: Epoch) -> bool:
        return self.standing.reaches_back_to(epoch.offsets) and self.wills.reaches_back_to(epoch.offsets[EXPRESSIONS])

    def _partitions_of(self, topic: str) -> int:
        return self._partitions if topic == EXPRESSIONS else 1

    def _prune(self, run: str) -> None:
        """Keep of a run what was in force at the horizon, and everything later."""
        epochs = self._epochs[run]
        while len(epochs) > 1:
            first, second = islice(epochs.values(), 2)
            if second.time >= self.horizon_ms:
                return
            del epochs[first.epoch]


def _run_of(name: str) -> str:
    """The worker's run that an epoch's name begins with."""
    return name.rpartition("-")[0]
