"""Authentication: tokens, roles, and what each may see and do.

A token is a secret of its holder; the file keeps its SHA-256 alone, so that reading the file gives nobody a
token. Digests are looked up, not compared one by one: what is hashed before nobody can bring near to a known one, so
the time of an answer says nothing of the tokens, and a file of half a million costs no more than one of ten. Pure,
but for being handed the file's text.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from bloom.number import parse as parse_number
from stream.config import ConfigError
from stream.model.control import Party, party_key

Role = Literal["desk", "regulator", "sender", "subscriber-agent", "read-only"]

SCOPED: Final[tuple[Role, ...]] = ("sender", "subscriber-agent")
"""Roles that act for somebody, and so need a scope: senders by name, or subscribers by the start of a number."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER_START: Final = re.compile(r"\+[1-9][0-9]{0,14}")

SUBSCRIBER: Final = "subscriber|"
"""How the owner of a case is written when it is a subscriber; a party is written by `party_key`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token. `scope` is empty for a role that acts in its own name."""

    role: Role
    actor: str
    scope: tuple[str, ...] = ()

    def acts_for_sender(self, sender: str | None) -> bool:
        """Whether it may act for this sender. A desk or regulator files for anybody."""
        return self.role in ("desk", "regulator") or (self.role == "sender" and sender in self.scope)

    def acts_for_subscriber(self, subscriber: str | None) -> bool:
        """Whether it may act for this subscriber."""
        if self.role != "subscriber-agent":
            return self.role in ("desk", "regulator")
        return bool(subscriber) and str(subscriber).startswith(self.scope)

    def sees(self, owner: str | None) -> bool:
        """Whether it may see a case of this owner (`party_key`, or `subscriber|` and the number)."""
        if self.role not in SCOPED:
            return True
        if owner is None:
            return False
        if self.role == "sender":
            return owner in self.owners
        return owner.startswith(SUBSCRIBER) and self.acts_for_subscriber(owner.removeprefix(SUBSCRIBER))

    @property
    def owners(self) -> tuple[str, ...]:
        """The owners whose cases it sees, where they can be named one by one; else empty."""
        if self.role == "sender":
            return tuple(party_key(Party(sender=sender)) for sender in self.scope)
        return ()


class Tokens:
    """Callers by the digests of their tokens."""

    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    def caller(self, token: str) -> Caller | None:
        """Whose token this is; however many there are, one look-up."""
        return self._callers.get(hashlib.sha256(token.encode("utf-8", "replace")).hexdigest())


def read(text: str, path: Path) -> Tokens:
    """The tokens file: `sha256-of-token role actor [scope]` a line, `#` begins a comment; scope by commas.

    Raises `ConfigError` that names the line, never its content.
    """
    callers: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            _read_line(words, f"{path}:{number}", callers)
    return Tokens(callers)


def _read_line(words: list[str], where: str, callers: dict[str, Caller]) -> None:
    if not 3 <= len(words) <= 4:
        raise ConfigError(f"{where}: {len(words)} words; write `sha256-of-token role actor [scope]`")
    digest, role, actor = words[:3]
    if not _DIGEST.fullmatch(digest):
        raise ConfigError(
            f"{where}: the first word is no SHA-256 in lower-case hexadecimal; make it by `printf %s TOKEN | sha256sum`"
        )
    if digest in callers:
        raise ConfigError(f"{where}: this token stands twice; give every actor a token of its own")
    named = next((one for one in get_args(Role) if one == role), None)
    if named is None:
        raise ConfigError(f"{where}: no such role; the roles are {', '.join(get_args(Role))}")
    scope = tuple(words[3].split(",")) if len(words) > 3 else ()
    if (named in SCOPED) != bool(scope) or not all(scope):
        raise ConfigError(f"{where}: a scope is for {' and '.join(SCOPED)}, which both need one")
    if named == "subscriber-agent" and not all(_NUMBER_START.fullmatch(start) for start in scope):
        raise ConfigError(f"{where}: a subscriber-agent's scope is numbers or their beginnings, such as +86138")
    if parse_number(actor):
        raise ConfigError(f"{where}: the actor is a phone number, and actors are logged; give a name")
    callers[digest] = Caller(named, actor, scope)
