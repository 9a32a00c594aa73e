"""Wills in the native module: a store that follows another, driven by the same fold.

The module knows scopes by number, and whole numbers' states: which expression does what to them stays in `bloom.wills`.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.sets import ScopedBitmap
from bloom.wills import CHANNELS, EVERYTHING, Channel, Kind, Scope, refusals_covering

if TYPE_CHECKING:
    import wurao_native
else:
    try:
        import wurao_native
    except ImportError:
        wurao_native = None

_NO_SCOPE: Final = 0xFFFF_FFFF
"""The number of no scope."""

_NUMBER: Final[dict[Channel, int]] = {channel: number for number, channel in enumerate(CHANNELS)}


class Probe(NamedTuple):
    """A question of one sender and category: the numbers of the scopes that decide it."""

    channel: int
    consent: int
    refusals: tuple[int, int, int]
    """those narrower than everything"""


_Place = tuple[Channel, Kind, Scope]


class NativeWills:
    """The wills of all subscribers in the native module; a `bloom.wills.Store`.

    `base` is what the module keeps as its base, in memory, once for all workers that are forked afterwards.
    """

    def __init__(self, base: Wills) -> None:
        self._names: dict[str | None, int] = {None: 0}
        self._scopes: dict[_Place, int] = {}
        self._new: list[tuple[int, bool, int, int]] = []
        """scopes that the module has yet to learn: it must not be changed while it decides"""
        for channel in CHANNELS:
            self._scope(channel, "refusal", EVERYTHING)  # which have the numbers 0 and 1
        bitmaps = [(self._of(entry), entry.bitmap.serialize()) for entry in base.scopes()]
        self.native = wurao_native.Wills(self._new, bitmaps)
        self._new = []

    @classmethod
    def following(cls, wills: Wills | Overlay) -> "NativeWills":
        """The same wills, now and after every expression that is applied to those."""
        follower = cls(wills.folded() if isinstance(wills, Overlay) else wills)
        wills.follow(follower)
        return follower

    def probe(self, channel: Channel, sender: str | None, category: str) -> Probe:
        """The question of a sender (None: the event names none) and category."""
        narrower = [scope for scope in refusals_covering(sender, category) if scope != EVERYTHING]
        places = [self._scope(channel, "refusal", scope) for scope in narrower]
        first, second, third = (*places, _NO_SCOPE, _NO_SCOPE)[:3]
        consent = self._scope(channel, "consent", Scope(sender, category)) if sender else _NO_SCOPE
        return Probe(_NUMBER[channel], consent, (first, second, third))

    # What the fold asks for (wills.Store).

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: list[Msisdn]) -> None:
        """See `wills.Store`."""
        place = self._scope(channel, kind, scope)
        self._teach()
        self.native.add(place, numbers)

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: list[Msisdn]) -> None:
        """See `wills.Store`."""
        place = self._scope(channel, kind, scope)
        self._teach()
        self.native.remove(place, numbers)

    def remove_within(self, channel: Channel, scope: Scope, numbers: list[Msisdn]) -> None:
        """See `wills.Store`."""
        self._teach()
        self.native.remove_within(_NUMBER[channel], self._name(scope.sender), self._name(scope.category), numbers)

    def _of(self, entry: ScopedBitmap) -> int:
        return self._scope(entry.channel, entry.kind, entry.scope)

    def _scope(self, channel: Channel, kind: Kind, scope: Scope) -> int:
        place = self._scopes.get((channel, kind, scope))
        if place is None:
            place = self._scopes[channel, kind, scope] = len(self._scopes)
            names = self._name(scope.sender), self._name(scope.category)
            self._new.append((_NUMBER[channel], kind == "refusal", *names))
        return place

    def _name(self, name: str | None) -> int:
        return self._names.setdefault(name, len(self._names))

    def _teach(self) -> None:
        for scope in self._new:
            self.native.learn(*scope)
        self._new.clear()
