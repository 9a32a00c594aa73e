"""Look-ups on the hot path: one question of a sender and category, asked of many numbers.

A probe holds the few bitmaps that can answer (one of consents, at most four of refusals) and nothing for
those that do not exist; it looks again when a bitmap has appeared or vanished, which the shelves'
`generation` tells. Promises the same answer as the state has, at every moment. Must never change a bitmap.
"""

from typing import Final, NamedTuple

from pyroaring import BitMap64

from bloom.number import Msisdn
from bloom.sets import ScopedSets
from bloom.wills import Channel, Kind, Scope, Stance, StanceProbe, refusals_covering

_NEVER: Final = -1
"""A generation that no shelf has: whoever saw it has yet to look."""


class PlainProbe:
    """A probe of one set of shelves."""

    __slots__ = ("_channel", "_consent", "_consents", "_refusals", "_refusals_scopes", "_seen", "_sets")

    def __init__(self, sets: ScopedSets, channel: Channel, sender: str | None, category: str) -> None:
        self._sets = sets
        self._channel: Channel = channel
        self._consent = Scope(sender, category)
        self._refusals_scopes = refusals_covering(sender, category)
        self._consents: BitMap64 | None = None
        self._refusals: list[BitMap64] = []
        self._seen = _NEVER

    def stance(self, number: Msisdn) -> Stance:
        """The will of `number` as the store holds it now."""
        if self._seen != self._sets.generation:
            self._look()
        if self._consents is not None and number in self._consents:
            return "consented"
        for refusals in self._refusals:
            if number in refusals:
                return "refused"
        return "silent"

    def _look(self) -> None:
        self._seen = self._sets.generation
        # An event without a sender asks for a scope that no consent has: a consent names both.
        self._consents = self._sets.get(self._channel, "consent", self._consent)
        found = (self._sets.get(self._channel, "refusal", scope) for scope in self._refusals_scopes)
        self._refusals = [bitmap for bitmap in found if bitmap is not None]


class Layers(NamedTuple):
    """What an overlay keeps for one channel, over its base; `bitmaps` says how the parts make a state."""

    base: ScopedSets
    added: ScopedSets
    removed: ScopedSets
    reset: BitMap64
    touched: BitMap64


class _Layer(NamedTuple):
    """One scope in an overlay: those it added, those the base has, and those of the base that it removed."""

    added: BitMap64
    base: BitMap64
    removed: BitMap64

    def has(self, number: Msisdn) -> bool:
        """Whether the number, which is not reset, holds the scope."""
        return number in self.added or (number in self.base and number not in self.removed)


class LayeredProbe:
    """A probe of a base under an overlay.

    For a number that the overlay has not touched the base answers; for one that is reset, what was added; for
    the few others both have to be asked.
    """

    __slots__ = (
        "_added",
        "_base",
        "_channel",
        "_consent",
        "_consents",
        "_layers",
        "_refusals",
        "_refusals_scopes",
        "_reset",
        "_seen",
        "_touched",
    )

    def __init__(self, base: StanceProbe, layers: Layers, channel: Channel, sender: str | None, category: str) -> None:
        self._base = base
        self._layers = layers
        self._touched = layers.touched
        self._reset = layers.reset
        self._added = PlainProbe(layers.added, channel, sender, category)
        self._channel: Channel = channel
        self._consent = Scope(sender, category)
        self._refusals_scopes = refusals_covering(sender, category)
        self._consents: _Layer | None = None
        self._refusals: list[_Layer] = []
        self._seen = (_NEVER, _NEVER)

    def stance(self, number: Msisdn) -> Stance:
        """The will of `number` as the store holds it now."""
        if number not in self._touched:
            return self._base.stance(number)
        if number in self._reset:
            return self._added.stance(number)
        if self._seen != (self._layers.added.generation, self._layers.removed.generation):
            self._look()
        if self._consents is not None and self._consents.has(number):
            return "consented"
        for refusals in self._refusals:
            if refusals.has(number):
                return "refused"
        return "silent"

    def _look(self) -> None:
        self._seen = (self._layers.added.generation, self._layers.removed.generation)
        # An event without a sender asks for a scope that no consent has: a consent names both.
        self._consents = self._layer("consent", self._consent)
        found = (self._layer("refusal", scope) for scope in self._refusals_scopes)
        self._refusals = [layer for layer in found if layer is not None]

    def _layer(self, kind: Kind, scope: Scope) -> _Layer | None:
        added = self._layers.added.get(self._channel, kind, scope)
        base = self._layers.base.get(self._channel, kind, scope)
        if added is None and base is None:
            return None
        removed = self._layers.removed.get(self._channel, kind, scope)
        return _Layer(added or BitMap64(), base or BitMap64(), removed or BitMap64())
