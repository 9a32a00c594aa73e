"""A campaign's list of numbers, each answered as `decide` would answer commercial traffic to it, by the
thousand.

Promises the verdict and reason of the rules that depend on the recipient and the sender alone: help and
redress numbers (1, 2), orders on the sender (7, 20), the licence (16), short and malformed numbers (21,
22), and the will (25, 26, 30). Rules about the number that it is sent from, the text, the hours and
staleness are not asked; so what passes here can still be blocked, and what does not will be. A number
that comes again is a `duplicate`. Pure: numpy and bitmap algebra over whole chunks, about a microsecond a
number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from bloom.bitmaps import Overlay
from bloom.number import Msisdn, to_text
from bloom.sets import bitmap_of
from bloom.wills import Channel, Scope, refusals_covering
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.registry.dialling import CHINA, wire_forms
from stream.registry.registry import Registry

REACHABLE: Final = ("consented", "default_allow", "short_number", "redress", "call_for_help")
UNREACHABLE: Final = (
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
    """for each text its number as it stands on the wire, empty where it is none"""


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
        country: str = CHINA,
    ) -> None:
        wills = registry.wills.folded() if isinstance(registry.wills, Overlay) else registry.wills
        self._numbering = policy.numbering
        self._country = country
        self._silent = CODE["no_consent" if policy.silence_refuses else "default_allow"]
        self._consents = wills.sets.get(channel, "consent", Scope(sender, category)) or BitMap64()
        found = (wills.sets.get(channel, "refusal", scope) for scope in refusals_covering(sender, category))
        self._refusals = [bitmap for bitmap in found if bitmap is not None]
        self._seen = BitMap64()
        # By the patterns of the shipped policy no Chinese mobile number is anything else; by others, who knows.
        self._mobile_is_subscriber = policy.file.numbers == load().file.numbers
        self.sender_problem = _sender_problem(registry, channel, sender, now)
        """the reason for which none of the sender's commercial traffic passes; None where it may"""

    def answer(self, texts: Sequence[bytes]) -> Answers:
        """The answers to some numbers as people write them (UTF-8, without line ends)."""
        forms = wire_forms(texts, self._country)
        numbers = forms.numbers
        codes = np.zeros(len(texts), dtype=np.uint8)
        wire = dict(forms.others)
        if not self._mobile_is_subscriber:
            wire |= {row: to_text(Msisdn(int(numbers[row]))) for row in np.nonzero(numbers)[0].tolist()}
        for row, text in wire.items():
            codes[row], numbers[row] = self._one(text)
        (rows,) = np.nonzero(numbers)
        if len(rows):
            codes[rows] = self._wills(numbers[rows])
        told = [f"+{number}" if number else "" for number in numbers.tolist()]
        for row, text in wire.items():
            if codes[row] != CODE["malformed_number"] and not told[row]:
                told[row] = text
        return Answers(codes, told)

    def _one(self, text: str) -> tuple[int, int]:
        """The answer to a text that is no plain mobile number; or, of a subscriber, the number to be
        looked up.
        """
        kind, number = self._numbering.recipient(text)
        if kind == "person":
            return 0, int(number)
        if kind == "help":
            return CODE["call_for_help"], 0
        if kind == "redress":
            return CODE["redress"], 0
        if self.sender_problem is not None:
            return CODE[self.sender_problem], 0
        return CODE["short_number" if kind == "short" else "malformed_number"], 0

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
