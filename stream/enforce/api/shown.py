"""What of a case a caller is shown: its view as it stands, but for what is not that caller's to know.

Pure. Who only reads sees numbers masked, wherever they stand in the case, and rather too much hidden than too little.
A party sees the case against it, and of a complaint or dispute behind it the reference alone: who complained, and with
what evidence, is never told to the accused. What an office notes, attaches and assigns is its own: parties and users
see nothing of it, of the offices each its own; the regulator, and who only reads, sees all. What one officer has
proposed and none decided is no party's or user's to know.
"""

import re
from typing import Final

import msgspec

from bloom.number import masked
from stream.enforce.api.auth import OFFICES, SCOPED, Caller, Role
from stream.enforce.procedures.case_work import CaseWork
from stream.model.cases import CaseView
from stream.model.control import Grounds, Party
from stream.model.hiding import hidden

OF_USERS: Final[frozenset[Grounds]] = frozenset(("complaint", "dispute"))
"""Grounds whose evidence is a user's."""

SUPERVISORS: Final[tuple[Role, ...]] = ("regulator", "read-only")
"""Who sees what every office did with a case."""

_NUMBER: Final = re.compile(r"((?:subscriber|number)\|)?(\+?[0-9]{7,32})")
"""A text that is a number, or that names somebody by one."""


def shown(view: CaseView, caller: Caller) -> CaseView:
    """The view as this caller is shown it. Some 20 µs for a sender, 100 for who only reads."""
    view = _with_own_work(view, caller)
    if caller.role == "read-only":
        body = msgspec.json.encode(_masked(msgspec.json.decode(bytes(view.body))))
        return msgspec.structs.replace(view, body=msgspec.Raw(body), party=shown_party(view.party, caller))
    if caller.role in SCOPED:
        return msgspec.structs.replace(view, body=_for_whom_it_concerns(view.body, accused=caller.role == "sender"))
    return view


def shown_party(party: Party | None, caller: Caller) -> Party | None:
    """The party as this caller is shown it."""
    if caller.role != "read-only" or party is None or party.number is None:
        return party
    return Party(number=masked(party.number))


def work_of(body: msgspec.Raw) -> CaseWork | None:
    """What offices did with a case, by its body."""
    return _worked.decode(body).work


def shown_work(work: CaseWork | None, caller: Caller) -> CaseWork | None:
    """What of it is this caller's business."""
    if work is None or caller.role in SUPERVISORS:
        return work
    return work.of(caller.role) if caller.role in OFFICES else None


def _with_own_work(view: CaseView, caller: Caller) -> CaseView:
    work = work_of(view.body)
    own = shown_work(work, caller)
    if own == work:
        return view
    case = {**msgspec.json.decode(bytes(view.body)), "work": own}
    return msgspec.structs.replace(view, body=msgspec.Raw(msgspec.json.encode(case)))


class _Worked(msgspec.Struct, frozen=True):
    work: CaseWork | None = None


_worked: Final = msgspec.json.Decoder(_Worked)


def masked_text(text: str) -> str:
    """A text with its numbers masked; with stars for them where they stand among other words."""
    number = _NUMBER.fullmatch(text)
    return hidden(text) if number is None else f"{number[1] or ''}{masked(number[2])}"


def _masked(value: object, *, but: str | None = None) -> object:
    match value:
        case str():
            return value if but is not None and value.rpartition("|")[2] == but else masked_text(value)
        case dict():
            return {name: _masked(inner, but=but) for name, inner in value.items()}
        case list():
            return [_masked(inner, but=but) for inner in value]
        case _:
            return value


def for_the_person(body: msgspec.Raw, subscriber: str, *, accused: bool) -> msgspec.Raw:
    """The case's body for the person whose it is, or against whose number: nothing of what offices noted, and in a case
    against it of no number but its own.
    """
    case = {**msgspec.json.decode(bytes(_for_whom_it_concerns(body, accused=accused))), "work": None}
    return msgspec.Raw(msgspec.json.encode(_masked(case, but=subscriber) if accused else case))


def _for_whom_it_concerns(body: msgspec.Raw, *, accused: bool) -> msgspec.Raw:
    """Without what one officer proposes and none has decided; for the accused without users' numbers and evidence.

    Findings of versions before bear the user's evidence behind the reference of the complaint; what an officer names as
    evidence, or writes, may hold a number.
    """
    case = {**msgspec.json.decode(bytes(body)), "proposed": None}
    found = case.get("finding")
    if accused and found:
        evidence = found.get("evidence", [])
        shown_evidence = evidence[:1] if found.get("grounds") in OF_USERS else evidence
        case["finding"] = {**found, "evidence": [masked_text(one) for one in shown_evidence]}
    return msgspec.Raw(msgspec.json.encode(case))
