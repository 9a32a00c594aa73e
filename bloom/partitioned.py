"""A store for each partition of subscribers that a process holds: what it takes to hold some and let go of others.

Promises the answers of a plain store about every number whose partition is held, and an error, never "silent", about
any other: who does not hold a subscriber's wills knows nothing of them. Each partition has a store of its own, so that
one comes and goes whole, whatever the others do. Must never look into a partition that is not the number's.

Cost. A hash spreads numbers that lie together over all partitions, so each store's containers are thinner than those
of one store would be: a sparse set takes the same (two bytes a number), a set of density d up to 16 d times as much
(docs/decisions/0008).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields

from pyroaring import BitMap64

from bloom.bitmaps import InParts, Wills, WillStats
from bloom.number import Msisdn, to_text
from bloom.partition import partition_of, partitions_of
from bloom.sets import ScopedBitmap
from bloom.wills import CHANNELS, Channel, Expression, Kind, Probe, Scope, Stance


class NotHeldError(LookupError):
    """A question or change about a partition that is not held: a mistake of the program, not of the data."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} is not held here: nothing is known of its subscribers")


class PartitionedWills:
    """The wills of the partitions that are held, out of `partitions`. Holds none at first."""

    __slots__ = ("_partition", "_stores", "here", "partitions")

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._stores: dict[int, Wills] = {}
        self._partition: int | None = None
        self.here: Wills | None = None
        """The store that `turn` named last: where probes look. None before, and once that one is dropped."""

    def held(self) -> Sequence[int]:
        """The partitions that are held, in order."""
        return sorted(self._stores)

    def hold(self, partition: int, wills: Wills) -> None:
        """Hold a partition from now on; `wills` must be those of its subscribers, and are taken over."""
        self._stores[partition] = wills
        if self._partition == partition:
            self.here = wills

    def drop(self, partition: int) -> None:
        """Hold a partition no longer. Probes that were asked about it keep its memory: make them anew."""
        del self._stores[partition]
        if self._partition == partition:
            self._partition = self.here = None

    def store(self, partition: int) -> Wills:
        """The store of one partition. Raises `NotHeldError`."""
        try:
            return self._stores[partition]
        except KeyError:
            raise NotHeldError(partition) from None

    def turn(self, partition: int) -> None:
        """Let probes answer for numbers of this partition, until the next turn. Raises `NotHeldError`.

        A batch comes by partition already: to say so once spares a hash for each of its events.
        """
        self.here = self.store(partition)
        self._partition = partition

    def apply(self, expressions: Sequence[Expression]) -> None:
        """Fold the expressions, in order of receipt. Raises `NotHeldError`, with nothing applied, for those of others.

        Some 0.3 µs an expression more than a plain store, for its partition.
        """
        parted: defaultdict[int, list[Expression]] = defaultdict(list)
        of = partitions_of([to_text(expression.number) for expression in expressions], self.partitions)
        for expression, partition in zip(expressions, of.tolist(), strict=True):
            parted[partition].append(expression)
        for store, some in [(self.store(partition), some) for partition, some in parted.items()]:
            store.apply(some)

    def stance(self, channel: Channel, number: Msisdn, sender: str | None, category: str) -> Stance:
        """The will of a number toward a sender and category, wherever probes look. Raises `NotHeldError`."""
        return self._of(number).stance(channel, number, sender, category)

    def probe(self, channel: Channel, sender: str | None, category: str) -> Probe:
        """The same question kept ready, for numbers of the partition that `turn` named last."""
        return _TurningProbe(self, channel, sender, category)

    def expressions_of(self, channel: Channel, number: Msisdn) -> tuple[list[Scope], list[Scope]]:
        """The refusals and the consents that a number holds. Raises `NotHeldError`."""
        return self._of(number).expressions_of(channel, number)

    def refusing_all_count(self, channel: Channel) -> int:
        """How many numbers of the held partitions refuse everything on a channel. Cheap."""
        return sum(store.refusing_all_count(channel) for store in self._stores.values())

    def stats(self) -> WillStats:
        """Counts and sizes over the held partitions. Visits every bitmap."""
        parts = [store.stats() for store in self._stores.values()]
        names = [field.name for field in fields(WillStats)]
        return WillStats(**{name: sum(getattr(part, name) for part in parts) for name in names})

    def state_equal(self, other: Wills | InParts) -> bool:
        """Whether every number holds the same refusals and consents in both."""
        return self.folded().state_equal(other)

    def folded(self) -> Wills:
        """The same state as one plain store of its own. Copies every bitmap."""
        merged: dict[tuple[Channel, Kind, Scope], BitMap64] = {}
        narrow: dict[Channel, BitMap64] = {channel: BitMap64() for channel in CHANNELS}
        for store in self._stores.values():
            for channel, kind, scope, bitmap in store.scopes():
                merged.setdefault((channel, kind, scope), BitMap64()).update(bitmap)
            for channel in CHANNELS:
                narrow[channel] |= store.narrow(channel)
        return Wills.of_bitmaps((ScopedBitmap(*place, bitmap) for place, bitmap in merged.items()), narrow)

    def _of(self, number: Msisdn) -> Wills:
        return self.store(partition_of(to_text(number), self.partitions))


class _TurningProbe:
    """A probe that follows `turn`: one for each store that it was asked about."""

    __slots__ = ("_at", "_channel", "_probe", "_probes", "_question", "_wills")

    def __init__(self, wills: PartitionedWills, channel: Channel, sender: str | None, category: str) -> None:
        self._wills = wills
        self._channel: Channel = channel
        self._question = sender, category
        self._probes: dict[Wills, Probe] = {}
        self._at: Wills | None = None
        self._probe: Probe | None = None

    def stance(self, number: Msisdn) -> Stance:
        """The will of `number`, which is of the partition that was turned to."""
        here = self._wills.here
        if here is not self._at or self._probe is None:
            self._probe = self._turned(here)
            self._at = here
        return self._probe.stance(number)

    def _turned(self, here: Wills | None) -> Probe:
        if here is None:
            raise LookupError("no partition was turned to, so nothing is known of any number")
        probe = self._probes.get(here)
        if probe is None:
            probe = self._probes[here] = here.probe(self._channel, *self._question)
        return probe
