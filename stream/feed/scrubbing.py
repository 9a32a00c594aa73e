"""A campaign's list of numbers, each answered as `decide` would answer commercial traffic to it, by the
thousand.

Promises the reason of the rules that depend on the recipient and the sender alone: help and redress numbers (1, 2),
orders on the sender (7, 20), the licence (16), short and malformed numbers (21, 22), and the will (25, 26, 30). Rules
about the number that it is sent from, the text, the hours and staleness are not asked; so what passes here can still
be blocked, and what does not will be. Reachable are persons' numbers alone: a message to a number for help, to a
redress number or to a service is let through, and no campaign is meant for one. A number that comes again is a
`duplicate`. Pure: numbers read by the policy, bitmap algebra over whole chunks, about a microsecond a number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from bloom.bitmaps import Overlay
from bloom.sets import bitmap_of
from bloom.wills import Channel, Scope, refusals_covering
from stream.feed.numbers_read import kinds
from stream.policy.numbering import ToKind
from stream.policy.settings import Policy
from stream.registry.registry import Registry

REACHABLE: Final = ("consented", "default_allow")
UNREACHABLE: Final = (
    "short_number",
    "redress",
    "call_for_help",
    "refused",
    "no_consent",
    "malformed_number",
    "duplicate",
    "suspended",
    "unlicensed",
    "stopped",
)
REASONS: Final = (*REACHABLE, *UNREACHABLE)
"""What a number's answer can be; `duplicate` is the list's own, the others are reasons of decisions."""
CODE: Final = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one chunk of a list."""

    codes: NDArray[np.uint8]
    """for each text the place of its reason in `REASONS`"""
    numbers: list[str]
    """for each text its number as read, empty where it is none"""


class Scrubber:
    """Answers for one sender, channel and category, against a registry that does not change meanwhile.

    `now` is the moment at which orders count, in milliseconds since the epoch. Memory grows with the
    numbers that have been answered, by some bits each, so that duplicates are found.
    """

    def __init__(
        self,
        policy: Policy,
        registry: Registry,
        *,
        channel: Channel,
        sender: str,
        category: str,
        now: int,
    ) -> None:
        wills = registry.wills.folded() if isinstance(registry.wills, Overlay) else registry.wills
        self._numbering = policy.numbering
        self._silent = CODE["no_consent" if policy.silence_refuses else "default_allow"]
        self._consents = wills.sets.get(channel, "consent", Scope(sender, category)) or BitMap64()
        found = (wills.sets.get(channel, "refusal", scope) for scope in refusals_covering(sender, category))
        self._refusals = [bitmap for bitmap in found if bitmap is not None]
        self._seen = BitMap64()
        self.sender_problem = _sender_problem(registry, channel, sender, now)
        """the reason for which none of the sender's commercial traffic passes; None where it may"""
        self._of_kind: dict[ToKind, int] = {
            "help": CODE["call_for_help"],
            "redress": CODE["redress"],
            "short": CODE[self.sender_problem or "short_number"],
            "other": CODE[self.sender_problem or "malformed_number"],
            "person": 0,
        }
        """the answer to each kind of number; a person's is looked up"""

    def answer(self, texts: Sequence[bytes]) -> Answers:
        """The answers to some numbers as people write them (UTF-8, without line ends)."""
        read = kinds(texts, self._numbering)
        codes = np.array([self._of_kind[kind] for kind, _ in read], dtype=np.uint8)
        as_read = [number if kind != "other" else "" for kind, number in read]
        persons = [row for row, (kind, _) in enumerate(read) if kind == "person"]
        if persons:
            codes[persons] = self._wills(np.array([int(as_read[row]) for row in persons], dtype=np.uint64))
        return Answers(codes, as_read)

    def _wills(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """The answers to subscribers' numbers, by what they want."""
        distinct, firsts, inverse = np.unique(numbers, return_index=True, return_inverse=True)
        asked = bitmap_of(distinct)
        if self.sender_problem is not None:
            of_distinct = np.full(len(distinct), CODE[self.sender_problem], dtype=np.uint8)
        else:
            of_distinct = np.full(len(distinct), self._silent, dtype=np.uint8)
            for refusals in self._refusals:
                of_distinct[_places(distinct, asked & refusals)] = CODE["refused"]
            of_distinct[_places(distinct, asked & self._consents)] = CODE["consented"]
        of_distinct[_places(distinct, asked & self._seen)] = CODE["duplicate"]
        self._seen |= asked
        codes = of_distinct[inverse]
        again = np.ones(len(numbers), dtype=bool)
        again[firsts] = False
        codes[again] = CODE["duplicate"]
        return codes


def _places(distinct: NDArray[np.uint64], held: BitMap64) -> NDArray[np.int64]:
    """Where the numbers of a bitmap stand in the sorted array that they are taken from."""
    return np.searchsorted(distinct, np.fromiter(held, dtype=np.uint64, count=len(held)))


def _sender_problem(registry: Registry, channel: Channel, sender: str, now: int) -> str | None:
    """The first of rules 7, 16 and 20 that stops the sender whatever number it sends from."""
    in_force = {
        order.measure
        for order in registry.orders_on_sender(sender)
        if order.in_force(now) and order.channel in (None, channel)
    }
    if "suspend" in in_force:
        return "suspended"
    record = registry.senders.get(sender)
    if record is None or record.status != "active":
        return "unlicensed"
    return "stopped" if "stop" in in_force else None
