"""Who owns a number: the longest registered prefix decides (DESIGN section 5).

Of two senders with the same prefix the later `since` decides, then the record that came later; numbers move,
they are not shared, and the clash is counted. Look-ups cost one dict probe per prefix length in use, longest
first, so some ten probes whatever the number of senders. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from stream.model.fields import Channel
from stream.model.registry import NumberEntry, Sender


@dataclass(frozen=True, slots=True)
class Holding:
    """A prefix as one sender holds it: the entry that counts, and when its record came."""

    sender: str
    entry: NumberEntry
    came: int

    @property
    def rank(self) -> tuple[int, int]:
        """Of two holdings of one prefix, the greater rank owns it."""
        return self.entry.since, self.came


class Ownership:
    """Prefixes of one channel and their holders, kept up as sender records come and go."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._held: dict[str, dict[str, Holding]] = {}
        """prefix → sender → what that sender holds there"""
        self._prefixes: dict[str, set[str]] = {}
        """sender → its prefixes"""
        self._owner: dict[str, Holding] = {}
        """prefix → the holding that owns it"""
        self._lengths: tuple[int, ...] = ()
        """prefix lengths in use, longest first"""
        self._lengths_count: Counter[int] = Counter()

    def put(self, record: Sender, *, came: int) -> None:
        """The sender's numbers are now these. `came` grows with every record: the order of receipt."""
        best: dict[str, Holding] = {}
        for entry in record.numbers:
            if entry.channel == self._channel:
                holding = Holding(record.sender, entry, came)
                earlier = best.get(entry.prefix)
                if earlier is None or holding.rank >= earlier.rank:  # equal since: the later in the list counts
                    best[entry.prefix] = holding
        self.drop(record.sender)
        self._prefixes[record.sender] = set(best)
        for prefix, holding in best.items():
            self._held.setdefault(prefix, {})[record.sender] = holding
            self._settle(prefix)

    def drop(self, sender: str) -> None:
        """The sender holds nothing any more."""
        for prefix in self._prefixes.pop(sender, ()):
            del self._held[prefix][sender]
            self._settle(prefix)

    def owner(self, number: str) -> Holding | None:
        """The owner of a number, with *the entry* of its longest prefix; None where nobody holds it."""
        for length in self._lengths:
            holding = self._owner.get(number[:length])
            if holding is not None:
                return holding
        return None

    def owners(self) -> Iterator[tuple[str, Holding]]:
        """Every prefix, with the holding that owns it."""
        return iter(self._owner.items())

    @property
    def clashes(self) -> int:
        """How many prefixes more than one sender claims."""
        return sum(len(holders) > 1 for holders in self._held.values())

    def _settle(self, prefix: str) -> None:
        holders = self._held[prefix]
        known = prefix in self._owner
        if holders:
            self._owner[prefix] = max(holders.values(), key=lambda holding: holding.rank)
        else:
            del self._held[prefix]
            self._owner.pop(prefix, None)
        if known != bool(holders):
            self._lengths_count[len(prefix)] += -1 if known else 1
            self._lengths = tuple(sorted(+self._lengths_count, reverse=True))
