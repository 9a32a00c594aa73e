"""What of a case a caller is shown: its view as it stands, but for what is not that caller's to know.

Pure. Who only reads sees numbers masked, wherever they stand in the case, and rather too much hidden than too little.
A party sees the case against it, and of a complaint or dispute behind it the reference alone: who complained, and with
what evidence, is never told to the accused.
"""

import re
from typing import Final

import msgspec

from bloom.number import masked
from stream.enforce.api.auth import Caller
from stream.model.cases import CaseView
from stream.model.control import Grounds, Party
from stream.model.hiding import hidden

OF_USERS: Final[frozenset[Grounds]] = frozenset(("complaint", "dispute"))
"""Grounds whose evidence is a user's."""

_NUMBER: Final = re.compile(r"((?:subscriber|number)\|)?(\+?[0-9]{7,32})")
"""A text that is a number, or that names somebody by one."""


def shown(view: CaseView, caller: Caller) -> CaseView:
    """The view as this caller is shown it. Some 20 µs for a sender, 100 for who only reads."""
    if caller.role == "read-only":
        body = msgspec.json.encode(_masked(msgspec.json.decode(bytes(view.body))))
        return msgspec.structs.replace(view, body=msgspec.Raw(body), party=shown_party(view.party, caller))
    if caller.role == "sender" and view.procedure == "measure":
        return msgspec.structs.replace(view, body=_without_evidence_of_users(view.body))
    return view


def shown_party(party: Party | None, caller: Caller) -> Party | None:
    """The party as this caller is shown it."""
    if caller.role != "read-only" or party is None or party.number is None:
        return party
    return Party(number=masked(party.number))


def _masked(value: object) -> object:
    match value:
        case str():
            number = _NUMBER.fullmatch(value)
            return hidden(value) if number is None else f"{number[1] or ''}{masked(number[2])}"
        case dict():
            return {name: _masked(inner) for name, inner in value.items()}
        case list():
            return [_masked(inner) for inner in value]
        case _:
            return value


def _without_evidence_of_users(body: msgspec.Raw) -> msgspec.Raw:
    """Findings of versions before bear the user's evidence behind the reference of the complaint."""
    case = msgspec.json.decode(bytes(body))
    found = case.get("finding") or {}
    if found.get("grounds") not in OF_USERS:
        return body
    found["evidence"] = found.get("evidence", [])[:1]
    return msgspec.Raw(msgspec.json.encode(case))
