"""Refusals and consents in the native module: an immutable base, and a store over it that follows the fold.

The base answers with one probe what a number holds in general. It is made of the Roaring sets, kept in memory or mapped
from a file, and shared by all workers of a host (docs/base.md has its bytes). The sets stay what is written and folded,
and what an expression does stays in `wills`. So a base can always be recreated, and a damaged one is no loss.

Where some partitions are held (`partitioned`), each comes with a base of its own, in memory. When changes have grown,
or partitions were assigned or revoked, a thread makes one base of all that is held.

Promises the stances of the sets that it is made of. Must never be changed: workers share it.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from pyroaring import BitMap64

from bloom import signatures
from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.signatures import Keys, SignatureError
from bloom.wills import CHANNELS, EVERYTHING, Channel, Kind, Scope, Stance, refusals_covering

BUILT: Final = find_spec("wurao_native") is not None
"""Whether the native module is there. Without it nothing here but this name is of use."""

if TYPE_CHECKING or BUILT:
    import wurao_native

ORIGIN_BYTES: Final = 32
"""A digest of what a base is of: SHA-256."""

_NO_SCOPE: Final = 0xFFFF_FFFF
"""The number of no scope."""

_NUMBER: Final[dict[Channel, int]] = {channel: number for number, channel in enumerate(CHANNELS)}

CHANGED_MIN: Final = 100_000
CHANGED_SHARE: Final = 8
"""Changes go into a new base when they are so many, and one for so many numbers of the base: a change takes some
seventy bytes, a number of the base a few. A register that is read from its topic is so written some eight times."""

STANCES: Final[tuple[Stance, ...]] = get_args(Stance)
"""In the native module's order."""

ScopeKey = tuple[Channel, Kind, Scope]
"""A scope in one of a channel's two sets."""

_GENERAL: Final[tuple[ScopeKey, ...]] = tuple((channel, "refusal", EVERYTHING) for channel in CHANNELS)
"""The first of all bases' scopes."""


class BaseError(Exception):
    """A base that must not be used: which file, what is wrong, the mend."""


class Base:
    """What every number held at one moment."""

    def __init__(self, native: "wurao_native.Base") -> None:
        self.native: Final = native

    @classmethod
    def of(cls, wills: Wills, *, origin: bytes = bytes(ORIGIN_BYTES), places: Sequence[ScopeKey] = _GENERAL) -> "Base":
        """The base of these wills, in memory. `origin` is a digest of what they are. Some 40 ns for each number.

        Its scopes are `places`, in their order, and then what else the wills have.
        """
        held = {place: BitMap64() for place in places}
        held.update(((channel, kind, scope), bitmap) for channel, kind, scope, bitmap in wills.scopes())
        return cls(wurao_native.Base(_named(held), [bitmap.serialize() for bitmap in held.values()], origin))

    @classmethod
    def mapped(cls, path: Path, keys: Keys | None = None) -> "Base":
        """The base in a file, mapped into memory and verified; with keys it must be signed. Raises BaseError."""
        try:
            with signatures.mapped(path, keys) as (descriptor, _):
                return cls(wurao_native.Base.map(f"/dev/fd/{descriptor}"))  # the very file, whatever its name is now
        except SignatureError as error:
            raise BaseError(f"{error}, or delete it, and it is recreated from the registry's snapshot") from error
        except (OSError, ValueError) as error:
            raise BaseError(f"{path}: {error}; delete it, and it is recreated from the registry's snapshot") from error

    @classmethod
    def kept(
        cls,
        path: Path,
        wills: Wills,
        *,
        origin: bytes,
        keys: Keys | None = None,
        on_problem: Callable[[str], None] = lambda _: None,
    ) -> "Base":
        """The base in a file if it is that of this origin; else it is made of the wills, and written there.

        A file that is missing, damaged, unsigned where there are keys, or of another origin is no loss, and a disk that
        is full costs the file only. `on_problem` is told of one that is there and must not be used.
        """
        try:
            base = cls.mapped(path, keys)
        except BaseError as error:
            base = None
            if path.exists():
                on_problem(str(error))
        if base is not None and base.native.origin == origin:
            return base
        base = cls.of(wills, origin=origin)
        try:
            base.write(path, keys)
            return cls.mapped(path, keys)  # so that its pages are the file's, which the kernel may let go
        except (OSError, BaseError):
            return base

    def write(self, path: Path, keys: Keys | None = None) -> None:
        """Write it to a file, whole or not at all, and with keys its signature after it. Raises OSError."""
        self.native.write(path)
        if keys is not None:
            with signatures.mapped(path, None) as (_, written):
                keys.sign(path, written)

    @property
    def numbers_count(self) -> int:
        """How many numbers hold anything."""
        return self.native.numbers_count

    @property
    def bytes_count(self) -> int:
        """How much memory or disk it takes."""
        return self.native.bytes_count


class NativeProbe(NamedTuple):
    """The ids of the scopes that decide the stance toward one sender and category."""

    channel: int
    consent: int
    refusals: tuple[int, int, int]
    """those narrower than everything"""


class Folding:
    """All that is held, frozen in order to be folded into one base."""

    def __init__(self, native: "wurao_native.FrozenStore", places: Sequence[ScopeKey]) -> None:
        self.native: Final = native
        self._places = places

    def base(self) -> Base:
        """The base; any thread may make it. Some 0.15 µs a number, where they are not thin."""
        return Base(self.native.fold(_named(self._places)))


class BasedWills:
    """Bases and what has changed since; a `wills.Store`, so that the fold can drive it."""

    def __init__(self, base: Base | None = None, *, partitions: int = 1) -> None:
        """With a base it holds what that has; without one, nothing until `hold` adds one of so many `partitions`."""
        self._names: dict[str | None, int] = {None: 0}
        self._scopes: dict[ScopeKey, int] = {}
        self._new: list[tuple[int, bool, int, int]] = []
        """scopes that the module does not have yet: it must not be changed while it decides"""
        self._missed: set[ScopeKey] = set()
        """scopes that probes asked for and that nobody holds: they are not made for the asking, since events name whom
        they like"""
        self.missed_made_count = 0
        """how many of those came to be held since: probes of before do not know them"""
        self._held: set[int] = set()
        self._moved = False
        """whether bases stand side by side, or one has numbers of partitions that are held no longer"""
        self.native: Final = wurao_native.Store(partitions)
        for place in _GENERAL:
            self._scope(*place)
        if base is not None:
            for number, refusal, sender, category in base.native.scopes:
                self._scope(CHANNELS[number], "refusal" if refusal else "consent", Scope(sender, category))
            self.hold(0, base)

    @classmethod
    def following(cls, wills: Wills | Overlay, base: Base | None = None) -> "BasedWills":
        """The same wills, now and after every expression that is applied to those.

        `base`, if given, must hold what `wills` hold now; otherwise one is made of them.
        """
        based_on = base or Base.of(wills.plain() if isinstance(wills, Overlay) else wills)
        based = cls(based_on)
        wills.follow(based)
        return based

    # What is held, where that are some partitions.

    def places(self, wills: Wills) -> Sequence[ScopeKey]:
        """All scopes by id, those of `wills` among them: a base to be held must be made with them."""
        for channel, kind, scope, _ in wills.scopes():
            self._scope(channel, kind, scope)
        return list(self._scopes)

    def hold(self, partition: int, base: Base) -> None:
        """Hold a partition from now on, with what the base has, which must be made with `places`."""
        self._register_scopes()
        self.native.hold(partition, base.native)
        self._moved |= bool(self._held)
        self._held.add(partition)

    def drop(self, partition: int) -> None:
        """Hold it no longer."""
        self.native.drop(partition)
        self._held.discard(partition)
        self._moved = bool(self._held)

    def begin_fold(self, *, settled: bool) -> Folding | None:
        """Freeze what has changed, where that has grown, so that one base is made of all that is held; then `end_fold`,
        before this is called again. `settled`: also where partitions were assigned or revoked.
        """
        enough = max(CHANGED_MIN, self.native.numbers_count // CHANGED_SHARE)
        if self.changed_count < enough and not (settled and self._moved):
            return None
        self._moved = False
        return Folding(self.native.freeze(), list(self._scopes))

    def end_fold(self, folding: Folding, base: Base) -> None:
        """Replace what was frozen by the base that was made of it, except in partitions that were dropped meanwhile."""
        self.native.replace(folding.native, base.native)

    @property
    def changed_count(self) -> int:
        """How many numbers differ from their base, counted per channel."""
        return self.native.changed_count

    def probe(self, channel: Channel, sender: str | None, category: str) -> NativeProbe:
        """The probe for a sender (None: the event names none) and category.

        It holds until `missed_made_count` grows; who has dropped all probes calls `forget_missed`.
        """
        narrower = [scope for scope in refusals_covering(sender, category) if scope != EVERYTHING]
        places = [self._asked(channel, "refusal", scope) for scope in narrower]
        first, second, third = (*places, _NO_SCOPE, _NO_SCOPE)[:3]
        consent = self._asked(channel, "consent", Scope(sender, category)) if sender else _NO_SCOPE
        return NativeProbe(_NUMBER[channel], consent, (first, second, third))

    def forget_missed(self) -> None:
        """No probe is used any more that was made before."""
        self._missed.clear()

    def _asked(self, channel: Channel, kind: Kind, scope: Scope) -> int:
        place = self._scopes.get((channel, kind, scope))
        if place is None:
            self._missed.add((channel, kind, scope))
            return _NO_SCOPE
        return place

    def stance(self, channel: Channel, number: Msisdn, sender: str | None, category: str) -> Stance:
        """The stance of a number toward a sender (None: the event names none) and category. For a single look-up."""
        return STANCES[self.native.stance(*self.probe(channel, sender, category), number)]

    # What the fold asks for (wills.Store).

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        place = self._scope(channel, kind, scope)
        self._register_scopes()
        self.native.add(place, numbers)

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        place = self._scope(channel, kind, scope)
        self._register_scopes()
        self.native.remove(place, numbers)

    def refuse(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        place = self._scope(channel, "refusal", scope)
        self._register_scopes()
        self.native.refuse(place, numbers)

    def remove_within(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """See `wills.Store`."""
        self._register_scopes()
        self.native.remove_within(_NUMBER[channel], self._name(scope.sender), self._name(scope.category), numbers)

    def _scope(self, channel: Channel, kind: Kind, scope: Scope) -> int:
        place = self._scopes.get((channel, kind, scope))
        if place is None:
            place = self._scopes[channel, kind, scope] = len(self._scopes)
            if (channel, kind, scope) in self._missed:
                self._missed.discard((channel, kind, scope))
                self.missed_made_count += 1
            names = self._name(scope.sender), self._name(scope.category)
            self._new.append((_NUMBER[channel], kind == "refusal", *names))
        return place

    def _name(self, name: str | None) -> int:
        return self._names.setdefault(name, len(self._names))

    def _register_scopes(self) -> None:
        for scope in self._new:
            self.native.add_scope(*scope)
        self._new.clear()


def _named(places: Iterable[ScopeKey]) -> list[tuple[int, bool, str | None, str | None]]:
    """The scopes as the native module names them."""
    return [(_NUMBER[channel], kind == "refusal", *scope) for channel, kind, scope in places]
