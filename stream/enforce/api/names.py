"""Names for what requests make: short enough to be read out on a telephone, and never like a number.

A random name has 69 bits, so that a million a day for a century will hardly meet twice in one day's work. A
request that carries an `Idempotency-Key` gets the same name whenever it is repeated with the same body.
"""

import hashlib
import secrets
from typing import Final

_LETTERS: Final = "bcdfghjkmnpqrstvwxyz"
"""Consonants: no words, and none that look like a digit."""

_GROUPS: Final = 4
_GROUP_LETTERS: Final = 4
_SPACE: Final = len(_LETTERS) ** (_GROUPS * _GROUP_LETTERS)


def fresh() -> str:
    """A name that nobody has."""
    return _spelt(secrets.randbelow(_SPACE))


def repeatable(key: bytes, body: bytes) -> str:
    """The name of what somebody asks for under a key (`key_of`), with this digest of a body."""
    return _spelt(int.from_bytes(hashlib.sha256(key + body).digest()[:16], "big") % _SPACE)


def key_of(actor: str, operation: str, key: str) -> bytes:
    """The key of this actor's request to do this."""
    return hashlib.sha256(f"{actor}\0{operation}\0{key}".encode()).digest()


def _spelt(value: int) -> str:
    letters = []
    for _ in range(_GROUPS * _GROUP_LETTERS):
        value, place = divmod(value, len(_LETTERS))
        letters.append(_LETTERS[place])
    text = "".join(letters)
    return "-".join(text[start : start + _GROUP_LETTERS] for start in range(0, len(text), _GROUP_LETTERS))
