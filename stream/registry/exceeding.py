"""Records of before that exceed a limit or lie outside the bounds of times: still in force, named by `topics check`.

The fold takes every record (DESIGN section 4, *Limits*), so that no word list, sender or refusal vanishes when a limit
comes; whoever wrote it should know, for it cannot be written again as it is. Pure.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from bloom.number import masked
from stream.model import limits
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import KEY_BAR, Campaign, Expression, Order, Tombstone, key_fault
from stream.model.times import AHEAD_MAX_MS, TERM_MAX_MS, time_problem
from stream.model.topics import EXPRESSIONS

_BUCKETS: Final = 1 << 22
"""Of records by subscriber and channel: 16 MiB, and for ten million subscribers two or three in each."""


_BAR: Final = KEY_BAR.encode()
_BARS: Final = 3
"""in an expression's key"""
SHOWN_MAX: Final = 160
"""Characters of a key in a sentence: any longer one is what the sentence is about."""


class _Timed(msgspec.Struct):
    time: int


_timed: Final = msgspec.json.Decoder(_Timed)


class Exceeding:
    """What one registry topic has, taken record by record in order, that could not be written now.

    Only the last record of a key counts: what was written again exceeds nothing any more.
    """

    def __init__(self, topic: str, now: int) -> None:
        self._topic = topic
        self._now = now
        self._last: dict[bytes, str] = {}
        self.scopes = Scopes()

    def take(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """The next record. Some 0.5 µs for an expression as it should be, 10 µs for anything else."""
        expressed = self._topic == EXPRESSIONS
        if expressed:
            self.scopes.glance(key)
        self._last.pop(key, None)
        usual = expressed and key.count(_BAR) == _BARS and not _may_exceed(value, self._now)
        found = [] if usual else self._problems(key, value)
        if found:
            where = f"{self._topic}, partition {partition}, offset {offset}, key {self._shown(key)}"
            self._last[key] = f"{where}: {'; '.join(found)}"

    def sentences(self) -> list[str]:
        """Each such record: its place, its key, and what exceeds what."""
        return [*self._last.values(), *(f"{self._topic}: {one}" for one in self.scopes.sentences())]

    def _problems(self, key: bytes, value: bytes | None) -> list[str]:
        """What of one record exceeds a limit or a bound. What cannot be read is in force nowhere."""
        if value is None:
            return []
        try:
            record = decode_record(self._topic, key, value)
        except Undecodable:
            return []
        found = [str(one) for one in limits.excess(record)]
        if not isinstance(record, Tombstone) and (fault := key_fault(record)):
            found.append(fault)
        moments: tuple[tuple[str, int | None, int], ...] = ()
        if isinstance(record, Expression):
            moments = (("time", record.time, AHEAD_MAX_MS),)
        elif isinstance(record, Order | Campaign):
            moments = (("from", record.from_, TERM_MAX_MS), ("until", record.until, TERM_MAX_MS))
        for name, moment, ahead_max in moments:
            problem = None if moment is None else time_problem(moment, self._now, ahead_max=ahead_max)
            if problem is not None:
                found.append(f"`{name}`: {problem}")
        return found

    def _shown(self, key: bytes) -> str:
        text = key.decode(errors="replace")
        if len(text) > SHOWN_MAX:
            text = f"{text[:SHOWN_MAX]}… ({len(text):,} characters)"
        if self._topic != EXPRESSIONS:
            return text
        subscriber, bar, rest = text.partition("|")
        return f"{masked(subscriber)}{bar}{rest}"


def _may_exceed(value: bytes | None, now: int) -> bool:
    """A glance at an expression of 0.2 µs: False where nothing can exceed anything."""
    if value is None:
        return False
    if len(value) > limits.NAME.most:
        return True
    try:
        return time_problem(_timed.decode(value).time, now) is not None
    except msgspec.MsgspecError:
        return False


class Scopes:
    """Who has more scopes on a channel than are written by now: counted roughly first, and exactly where need be.

    `glance` at every key, and if `left`, `look` at every key again.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.uint32)
        self._keys: dict[bytes, set[bytes]] = {}

    def glance(self, key: bytes) -> None:
        """Count a record."""
        self._counts[_bucket(key)] += 1

    @property
    def left(self) -> bool:
        """Whether anybody may have too many."""
        return bool((self._counts > limits.SCOPES.most).any())

    def look(self, key: bytes) -> None:
        """Count its scope, if it is one of somebody who may have too many."""
        if self._counts[_bucket(key)] > limits.SCOPES.most:
            self._keys.setdefault(_who(key), set()).add(key)

    def sentences(self) -> Iterator[str]:
        """Whoever has too many."""
        for who, keys in sorted(self._keys.items()):
            if len(keys) > limits.SCOPES.most:
                subscriber, _, channel = who.decode(errors="replace").partition("|")
                yield (
                    f"{masked(subscriber)} on {channel} has {len(keys):,} {limits.SCOPES.unit}, at most "
                    f"{limits.SCOPES.most:,}"
                )


def _who(key: bytes) -> bytes:
    """Subscriber and channel of an expression's key."""
    return key[: key.find(b"|", key.find(b"|") + 1)]


def _bucket(key: bytes) -> int:
    return hash(_who(key)) % _BUCKETS


__all__ = ["Exceeding", "Scopes"]
