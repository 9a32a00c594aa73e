"""What texts were found to say, remembered for as long as word lists and senders stay as they are.

A text is read when a rule asks, or ahead with the other texts of its batch, which takes a quarter of the time: they
are joined, folded and stripped by one look into the table of `characters`, and searched for prohibited terms at once.
Both ways find the same. Must never be given the text of personal traffic (secrecy of correspondence).
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from stream.model.nfkc import is_bounded
from stream.policy.characters import END, PLANE, Codes, characters, codes_of, ends_of, text_of
from stream.policy.patterns import LinearPattern
from stream.policy.text import ProhibitedTerms, SenderIdentity, fold

READINGS_MAX: Final = 4_096
"""Texts whose reading is remembered; beyond, all are forgotten. More than a batch holds; what repeats itself does so
much sooner."""

READINGS_CHARACTERS_MAX: Final = 1 << 20
"""Characters of these texts and of what they were folded to, which may be eighteen times as many: 4 MiB at most."""

REMEMBERED_CHARACTERS_MAX: Final = 1_024
"""Longer texts are read again each time, so that huge ones cannot fill the memory. Fifteen SMS fit."""

TOGETHER_MIN: Final = 8
"""Fewer texts than this are not worth the calls that joining them takes."""


class TextReading:
    """What one text was found to say. What few rules ask is worked out when it is first asked for."""

    __slots__ = ("_identified_as", "_identity", "_opt_out", "_opt_out_pattern", "folded", "prohibited")

    def __init__(self, folded: str, *, prohibited: bool, opt_out: LinearPattern) -> None:
        self.folded = folded
        self.prohibited = prohibited
        """whether a prohibited term stands in the text: asked of every text that is read at all"""
        self._opt_out_pattern = opt_out
        self._opt_out: bool | None = None
        self._identity: SenderIdentity | None = None
        self._identified_as = False

    @property
    def opt_out(self) -> bool:
        """Whether the text tells how to refuse."""
        if self._opt_out is None:
            self._opt_out = self._opt_out_pattern.search(self.folded)
        return self._opt_out

    def identifies(self, identity: SenderIdentity) -> bool:
        """Whether the text names this sender and its contact."""
        if identity is not self._identity:  # one answer is kept: a text is rarely another sender's as well
            self._identified_as = identity.named_in(self.folded) and identity.contact_in(self.folded)
            self._identity = identity
        return self._identified_as


class TextReader:
    """Reads texts, one by one or a batch ahead, and remembers what they say."""

    def __init__(self, *, prohibited: ProhibitedTerms, opt_out: LinearPattern) -> None:
        self._prohibited = prohibited
        self._opt_out = opt_out
        self._readings: dict[str, TextReading] = {}
        self._characters_kept = 0
        self._characters = characters()

    def read(self, text: str) -> TextReading:
        """The reading of a text."""
        reading = self._readings.get(text)
        if reading is not None:
            return reading
        folded = fold(text)
        reading = TextReading(folded, prohibited=self._prohibited.found(folded) is not None, opt_out=self._opt_out)
        if len(text) <= REMEMBERED_CHARACTERS_MAX:
            if len(self._readings) >= READINGS_MAX or self._characters_kept >= READINGS_CHARACTERS_MAX:
                self._forget()
            self._keep(text, reading)
        return reading

    def _keep(self, text: str, reading: TextReading) -> None:
        self._readings[text] = reading
        self._characters_kept += len(text) + len(reading.folded)

    def _forget(self) -> None:
        self._readings.clear()
        self._characters_kept = 0

    def read_ahead(self, texts: Iterable[str]) -> None:
        """Read those of a batch's texts that are new, together, so that `read` has them. Linear; 0.8 µs a text.

        Left to `read`: texts that hold characters which are folded by what stands around them, or the separator, and
        those that may hold too many marks.
        """
        known = self._readings
        new = [
            text
            for text in dict.fromkeys(texts)
            if text not in known and len(text) <= REMEMBERED_CHARACTERS_MAX and is_bounded(text)
        ]
        if len(new) < TOGETHER_MIN:
            return
        if len(known) + len(new) > READINGS_MAX or self._characters_kept >= READINGS_CHARACTERS_MAX:
            self._forget()
        table = self._characters
        codes = np.minimum(codes_of(END.join(new) + END), PLANE)
        ends = ends_of(codes)
        if len(ends) != len(new):
            return  # some text holds the separator itself: too odd to be worth more
        folded = table.folded[codes]
        left = set(np.searchsorted(ends, np.flatnonzero(~table.lone[codes])).tolist())
        stripped = folded[table.kept[folded]]
        terms, joined = self._prohibited, text_of(stripped)
        prohibited, suspect = (_texts_at(places, stripped) for places in (terms.others(joined), terms.suspects(joined)))
        opt_out = self._opt_out
        for place, (text, reads) in enumerate(zip(new, text_of(folded).split(END), strict=False)):
            if place not in left:
                found = place in prohibited or (place in suspect and terms.word_in(reads) is not None)
                self._keep(text, TextReading(reads, prohibited=found, opt_out=opt_out))


def _texts_at(places: list[int], joined: Codes) -> set[int]:
    """Which of several joined texts these places are in."""
    return set(np.searchsorted(ends_of(joined), places).tolist()) if places else set()
