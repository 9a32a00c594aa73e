"""One process's decider of batches: policy, registry and native module in, outcomes out.

It holds what lasts from batch to batch: the epoch's number, the activity that is counted, and both forms of the
decider, Python's and the native module's. Whoever calls it brings the moment and how far the registry has been read;
this module asks no clock and no client, logs nothing and counts no metric.

Theory of operation. A batch is decided on one state of the registry: `settle` compares the state with the last one
that was named, and gives a new one its own epoch. So two decisions of one epoch were made from one registry, one
staleness and one policy, and an epoch is announced once, with the first batch that was decided from it.

Must never be called by two threads, nor while the registry changes.
"""

import sys
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from stream.deciding.activity import ActivityCounter, AnswerTable
from stream.deciding.batch import Keyed, Outputs, cut, decide_batch
from stream.deciding.native import NativeUnfit
from stream.deciding.native_batch import MakeNative, Native, Taken, decide_raw
from stream.model.codec import encode
from stream.model.decision import Epoch
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider
from stream.policy.settings import Policy
from stream.registry.registry import Registry


class RegistryProgress(Protocol):
    """How far the registry topics have been applied: the follower, seen from here. Asked only; never blocks."""

    changes: int
    """counts the changes of the registry: equal numbers, equal registries"""

    @property
    def offsets(self) -> Mapping[str, tuple[int, ...]]:
        """Topic → the next offset of each partition. It is recreated when asked: not for each batch."""

    def staleness_ms(self, now: int) -> int | None:
        """Time since everything that the broker held was applied; None while that is not known yet."""


class RegistrySource(NamedTuple):
    """What an epoch tells of where its registry comes from, besides the offsets."""

    run: str
    """names the process's run, which no other has: epochs and parts of activity begin with it"""
    cluster: str
    topics: Mapping[str, str]
    """registry topic → its id"""


class _State(NamedTuple):
    """What decisions of one epoch have in common."""

    changes: int
    stale: bool
    policy_hash: str


class BatchDecider:
    """Decides batch after batch, natively where the module fits, and counts activity as it goes."""

    def __init__(
        self,
        policy: Policy,
        registry: Registry,
        *,
        progress: RegistryProgress,
        source: RegistrySource,
        partitions: int,
        make_native: MakeNative | None,
    ) -> None:
        """`partitions` is the partition count of all event topics; without `make_native` Python decides all."""
        self._progress = progress
        self._source = source
        self._partitions = partitions
        self._make_native = make_native
        self._state: _State | None = None
        self.epochs_count = 0
        """how many states of the registry have been decided from"""
        self.activity = ActivityCounter(source.run)
        self._answers = AnswerTable()
        self._take_up(Decider(policy, registry))

    @property
    def is_native(self) -> bool:
        """Whether batches are taken raw, for the native module; a policy that it does not fit changes nothing here."""
        return self._make_native is not None

    @property
    def registry(self) -> Registry:
        """The registry that it decides from."""
        return self._decider.world.registry

    @property
    def policy(self) -> Policy:
        """The policy that it decides by."""
        return self._decider.world.policy

    @property
    def epoch(self) -> str:
        """The epoch of the last batch."""
        return self._decider.epoch

    def adopt(self, policy: Policy) -> None:
        """Decide by another policy from the next batch on, whose epoch is a new one. Not within a batch.

        Where the native module does not fit it, `unfit` says why, and Python decides all.
        """
        self._take_up(Decider(policy, self.registry))

    def _take_up(self, decider: Decider) -> None:
        self._decider = decider
        self._native: Native | None = None
        self.unfit: str | None = None
        if self._make_native is not None:
            try:
                self._native = self._make_native(decider)
            except NativeUnfit as error:
                self.unfit = str(error)

    def is_stale(self, staleness_ms: int | None) -> bool:
        """Whether a registry of this staleness is beyond the policy's limit."""
        return staleness_ms is None or staleness_ms > self.policy.staleness_limit_ms

    @property
    def has_changed(self) -> bool:
        """Whether registry or policy are others than those of the last epoch. False where none was named yet."""
        epoch = self._state
        return epoch is not None and (epoch.changes, epoch.policy_hash) != (self._progress.changes, self.policy.digest)

    def settle(self, *, now: int) -> Epoch | None:
        """Take note of the registry's state; a new one is given an epoch, which the caller announces.

        Called before each batch, and by who announces changes where no batch comes. `now` in milliseconds.
        """
        policy, progress = self.policy, self._progress
        staleness_ms = progress.staleness_ms(now)
        stale = self.is_stale(staleness_ms)
        state = _State(progress.changes, stale, policy.digest)
        if state == self._state:
            return None
        self._state = state
        self.epochs_count += 1
        name = f"{self._source.run}-{self.epochs_count}"
        self._decider.settle(stale=stale, epoch=name)
        return Epoch(
            epoch=name,
            time=now,
            policy=policy.version,
            policy_hash=policy.digest,
            stale=stale,
            staleness_ms=staleness_ms,
            cluster=self._source.cluster,
            offsets=progress.offsets,
            topics=self._source.topics,
        )

    def decide(
        self, batches: Mapping[TopicPartition, Taken], *, now: int, python_bytes_max: int = sys.maxsize
    ) -> Outputs:
        """Decide a batch on the state that was settled, at the moment `now` (milliseconds), and count its activity.

        Of what Python decides, so many bytes are decided now; others are the outputs' `rest`, to be decided as a batch
        of their own, after `settle`, and added.

        Linear: some 6 µs an event by Python, 0.4 µs natively. Raises `NativeFailed` for whatever the module raises,
        and `NotHeldError` for a partition that the registry does not hold.
        """
        if self._answers.is_full:
            self._answers = AnswerTable()
        partitions, answers = self._partitions, self._answers
        if self.is_native:
            outputs = decide_raw(
                batches,
                self._native,
                self._decider,
                now=now,
                partitions=partitions,
                answers=answers,
                python_bytes_max=python_bytes_max,
            )
        else:
            first, rest = cut({place: taken.records for place, taken in batches.items()}, python_bytes_max)
            outputs = decide_batch(first, self._decider, now=now, partitions=partitions, answers=answers)
            outputs.rest = rest
        for acts in outputs.counts.acts:
            self.activity.add(acts, now=now)
        return outputs


def keyed_epoch(epoch: Epoch) -> Keyed:
    """An epoch as it is announced in `epochs`."""
    return Keyed(epoch.epoch.encode(), encode(epoch))
