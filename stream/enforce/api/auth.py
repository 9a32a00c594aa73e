"""Authentication: tokens, roles, and what each may see and do.

Three bodies have clocks of their own (Articles 29 to 31, 33), and each a role: the 12321 centre, the company's desk,
and the appeals body that the regulator entrusted. A token names a person by its actor: of acts that need two persons,
the two are told apart by it, so whoever has two tokens has one actor in both.

A token is a secret of its holder; the file keeps its SHA-256 alone, so that reading the file gives nobody a
token. Digests are looked up, not compared one by one: what is hashed before nobody can bring near to a known one, so
the time of an answer says nothing of the tokens, and a file of half a million costs no more than one of ten. Pure,
but for being handed the file's text.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from bloom.number import parse as parse_number
from stream.config import ConfigError
from stream.enforce.procedures.case_work import Office
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.fitness import DEPARTMENTS_OF, THEMSELVES
from stream.enforce.procedures.regions import COUNTRY, region
from stream.model.control import Level, Party, party_key
from stream.model.nfkc import nfkc

Role = Literal["desk", "centre", "appeals-body", "regulator", "sender", "subscriber-agent", "read-only"]
"""`centre` is 12321, `desk` the company, `appeals-body` the one of Article 33."""

OFFICES: Final[tuple[Role, ...]] = get_args(Office)
"""Roles of people who work with cases."""

SCOPED: Final[tuple[Role, ...]] = ("sender", "subscriber-agent")
"""Roles that act for somebody, and so need a scope: senders by name, or subscribers by the start of a number."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER_START: Final = re.compile(r"\+[1-9][0-9]{0,14}")

SUBSCRIBER: Final = "subscriber|"
"""How the owner of a case is written when it is a subscriber; a party is written by `party_key`."""

PROCEDURES_OF: Final[dict[Role, tuple[ProcedureName, ...]]] = {
    "centre": ("complaint",),
    "appeals-body": ("complaint", "dispute"),
}
"""The procedures whose cases a role sees, where it does not see all."""


class Jurisdiction(NamedTuple):
    """What a body governs or a telecom administration is for: its level, and the code of its region (GB/T 2260)."""

    level: Level
    region: str

    def __str__(self) -> str:
        return f"{self.level}:{self.region}"


ADMINISTRATIONS: Final[frozenset[Level]] = frozenset(("national", "province"))
"""The levels at which there are telecom administrations (Article 27)."""
_JURISDICTIONS: Final[dict[Role, frozenset[Level]]] = {
    "regulator": ADMINISTRATIONS,
    "sender": DEPARTMENTS_OF | THEMSELVES,
}
"""The roles that have one, and of which levels."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token. `scope` is empty for a role that acts in its own name; `actor` names the person."""

    role: Role
    actor: str
    scope: tuple[str, ...] = ()
    jurisdiction: Jurisdiction | None = None
    """of a regulator; of a sender that is a public body, where its token states it"""

    def acts_for_sender(self, sender: str | None) -> bool:
        """Whether it may act for this sender. A desk or regulator files for anybody."""
        return self.role in ("desk", "regulator") or (self.role == "sender" and sender in self.scope)

    def acts_for_subscriber(self, subscriber: str | None) -> bool:
        """Whether it may act for this subscriber. The three bodies take down what anybody says to them."""
        if self.role != "subscriber-agent":
            return self.role in ("desk", "centre", "appeals-body", "regulator")
        return bool(subscriber) and str(subscriber).startswith(self.scope)

    def sees_procedure(self, procedure: str) -> bool:
        """Whether cases of this procedure are its business."""
        return self.role not in PROCEDURES_OF or procedure in PROCEDURES_OF[self.role]

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
        self._people: dict[tuple[Role, Jurisdiction | None], set[str]] = {}
        for caller in callers.values():
            if caller.role in OFFICES:
                self._people.setdefault((caller.role, caller.jurisdiction), set()).add(caller.actor)

    def caller(self, token: str) -> Caller | None:
        """Whose token this is; however many there are, one look-up."""
        return self._callers.get(hashlib.sha256(token.encode("utf-8", "replace")).hexdigest())

    def colleagues(self, caller: Caller) -> frozenset[str]:
        """The people of the same office, the caller among them; nobody for who acts for somebody, or only reads."""
        return frozenset(self._people.get((caller.role, caller.jurisdiction), ()))


def read(text: str, path: Path) -> Tokens:
    """The tokens file: `sha256-of-token role actor [scope] [level:region]` a line; scope by commas, `#` comments.

    Raises `ConfigError` that names the line, never its content; also where one person is written in two ways, who would
    otherwise be two persons.
    """
    callers: dict[str, Caller] = {}
    people: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            actor = _read_line(words, f"{path}:{number}", callers)
            written, first = people.setdefault(_folded(actor), (actor, number))
            if actor != written:
                raise ConfigError(
                    f"{path}:{number}: the actor is that of line {first} but for case, width or invisible characters, "
                    "and one person would be two: write it alike in both lines, or name another person"
                )
    return Tokens(callers)


def _folded(actor: str) -> str:
    """What an actor has in common with all that look like it: without case, width, blanks and invisible characters."""
    return "".join(one for one in nfkc(actor).casefold() if one.isprintable() and not one.isspace())


def _read_line(words: list[str], where: str, callers: dict[str, Caller]) -> str:
    """Adds the caller of a line, and returns its actor."""
    if not 3 <= len(words) <= 5:
        raise ConfigError(f"{where}: {len(words)} words; write `sha256-of-token role actor [scope] [level:region]`")
    digest, role, actor, *rest = words
    if not _DIGEST.fullmatch(digest):
        raise ConfigError(
            f"{where}: the first word is no SHA-256 in lower-case hexadecimal; make it by `printf %s TOKEN | sha256sum`"
        )
    if digest in callers:
        raise ConfigError(f"{where}: this token stands twice; give every actor a token of its own")
    named = next((one for one in get_args(Role) if one == role), None)
    if named is None:
        raise ConfigError(f"{where}: no such role; the roles are {', '.join(get_args(Role))}")
    jurisdiction = _jurisdiction(named, rest.pop(), where) if len(rest) > (named in SCOPED) else None
    if named == "regulator" and jurisdiction is None:
        raise ConfigError(f"{where}: a regulator needs its jurisdiction; {_WRITTEN}")
    scope = tuple(rest[0].split(",")) if rest else ()
    if (named in SCOPED) != bool(scope) or not all(scope):
        raise ConfigError(f"{where}: a scope is for {' and '.join(SCOPED)}, which both need one")
    if named == "subscriber-agent" and not all(_NUMBER_START.fullmatch(start) for start in scope):
        raise ConfigError(f"{where}: a subscriber-agent's scope is numbers or their beginnings, such as +86138")
    if parse_number(actor):
        raise ConfigError(f"{where}: the actor is a phone number, and actors are logged; give a name")
    callers[digest] = Caller(named, actor, scope, jurisdiction)
    return actor


_WRITTEN: Final = "write `national`, or its level and the code of its region, such as `province:110000` (GB/T 2260)"


def _jurisdiction(role: Role, word: str, where: str) -> Jurisdiction:
    """The last word of a line. Raises `ConfigError`."""
    if role not in _JURISDICTIONS:
        scoped = f"a scope is for {' and '.join(SCOPED)}, a jurisdiction for {' and '.join(_JURISDICTIONS)}"
        raise ConfigError(f"{where}: more words than a {role} takes: {scoped}")
    level, _, code = word.partition(":")
    found = region(code or (COUNTRY if level == "national" else ""))
    if found is None:
        raise ConfigError(f"{where}: there is no such jurisdiction; {_WRITTEN}")
    if found.level != level or found.level not in _JURISDICTIONS[role]:
        allowed = ", ".join(sorted(_JURISDICTIONS[role]))
        raise ConfigError(f"{where}: {found.code} is of level {found.level}; a {role}'s level fits it and is {allowed}")
    return Jurisdiction(found.level, found.code)
