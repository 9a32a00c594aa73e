"""Who owns a number: the longest registered prefix decides (DESIGN section 5).

Of two senders with the same prefix the later `since` decides, then the record that came later; numbers move,
they are not shared, and the clash is counted. Look-ups cost one dict probe per prefix length in use, longest
first, so some ten probes whatever the number of senders. Pure.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from stream.model.fields import Channel
from stream.model.registry import NumberEntry, Sender


@dataclass(frozen=True, slots=True)
class OwnedPrefix:
    """A prefix as one sender holds it: the entry that counts, and when its record came."""

    sender: str
    entry: NumberEntry
    came: int

    @property
    def rank(self) -> tuple[int, int]:
        """Of two holdings of one prefix, the greater rank owns it."""
        return self.entry.since, self.came


def effective(record: Sender, channel: Channel) -> dict[str, NumberEntry]:
    """Prefix → the entry that counts of a sender's own: of two, the later `since`, then the later in the list."""
    best: dict[str, NumberEntry] = {}
    for entry in record.numbers:
        if entry.channel == channel:
            earlier = best.get(entry.prefix)
            if earlier is None or entry.since >= earlier.since:
                best[entry.prefix] = entry
    return best


def owned_form(ownership: "Ownership", number: str, plus_country: str) -> str:
    """A number as read that is no person's, or what a gateway put a plus before, where only that is somebody's
    (section 4, step 5).
    """
    if not number.startswith("+") or ownership.owner(number) is not None:
        return number
    forms = (number.removeprefix(prefix) for prefix in (plus_country, "+"))
    return next((form for form in forms if form != number and ownership.owner(form) is not None), number)


class Ownership:
    """Prefixes of one channel and their holders, kept up as sender records come and go."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._held: dict[str, dict[str, OwnedPrefix]] = {}
        """prefix → sender → what that sender holds there"""
        self._prefixes: dict[str, set[str]] = {}
        """sender → its prefixes"""
        self._owner: dict[str, OwnedPrefix] = {}
        """prefix → the holding that owns it"""
        self._lengths: tuple[int, ...] = ()
        """prefix lengths in use, longest first"""
        self._lengths_count: Counter[int] = Counter()
        self._sorted: list[str] | None = None
        """every prefix that is held, once anybody asks for `near`"""

    def put(self, record: Sender, *, came: int) -> None:
        """The sender's numbers are now these. `came` grows with every record: the order of receipt."""
        entries = effective(record, self._channel)
        self.drop(record.sender)
        self._prefixes[record.sender] = set(entries)
        for prefix, entry in entries.items():
            self._held.setdefault(prefix, {})[record.sender] = OwnedPrefix(record.sender, entry, came)
            self._settle(prefix)

    def drop(self, sender: str) -> None:
        """The sender holds nothing any more."""
        for prefix in self._prefixes.pop(sender, ()):
            del self._held[prefix][sender]
            self._settle(prefix)

    def owner(self, number: str) -> OwnedPrefix | None:
        """The owner of a number, with *the entry* of its longest prefix; None where nobody holds it."""
        for length in self._lengths:
            holding = self._owner.get(number[:length])
            if holding is not None:
                return holding
        return None

    def owners(self) -> Iterator[tuple[str, OwnedPrefix]]:
        """Every prefix, with the holding that owns it."""
        return iter(self._owner.items())

    def near(self, prefix: str) -> Iterator[OwnedPrefix]:
        """All that is held of this prefix, of one that it lies inside, and of those that lie inside it.

        Some microseconds, and 0.3 for each that lies inside; the first call sorts all prefixes.
        """
        if self._sorted is None:
            self._sorted = sorted(self._held)
        for length in reversed(self._lengths):
            if length < len(prefix):
                yield from self._held.get(prefix[:length], {}).values()
        for place in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[place].startswith(prefix):
                return
            yield from self._held[self._sorted[place]].values()

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
            self._keep_sorted(prefix, held=bool(holders))
            self._lengths_count[len(prefix)] += -1 if known else 1
            self._lengths = tuple(sorted(+self._lengths_count, reverse=True))

    def _keep_sorted(self, prefix: str, *, held: bool) -> None:
        if self._sorted is None:
            return
        if held:
            insort(self._sorted, prefix)
        else:
            del self._sorted[bisect_left(self._sorted, prefix)]
