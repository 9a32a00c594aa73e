"""Which cases are asked for: the query of a list, as a request states it and as the index answers it.

Pure. Whoever may not see numbers may not search by them: neither by a subscriber, nor by how a number begins or whose
it is, nor by digits in a text; that is answered before a case is looked at. A text is looked for in what the caller is
shown of a case, so that nobody finds what is hidden from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, NamedTuple

import msgspec

from stream.enforce.api import request_parsing
from stream.enforce.api.auth import OFFICES, Caller, Role
from stream.enforce.api.number_index import PREFIX_DIGITS_MIN
from stream.enforce.api.responses import Fault, faulty, forbidden
from stream.enforce.api.shown import SUPERVISORS, shown
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.forms import PERSON
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import Terms
from stream.model.cases import CaseView
from stream.model.control import Party, party_key
from stream.model.fields import TIME_MAX, Channel, Time
from stream.model.hiding import QUOTED_DIGITS_MIN
from stream.model.nfkc import nfkc
from stream.model.times import asked_problem
from stream.policy.numbering import Numbering
from stream.registry.admission import number_as_written
from stream.registry.ownership import owned_form
from stream.registry.registry import Registry

PAGE_MAX: Final = 500
TEXT_CHARACTERS_MAX: Final = 100

SEES_NUMBERS: Final[tuple[Role, ...]] = (*OFFICES, "subscriber-agent")
"""Whoever only reads sees them masked, and a sender none but its own."""

Key = tuple[int, str]
"""What is due next (milliseconds), and the case id: by these a case is sorted in every list."""

_TIME_DIGITS_MAX: Final = len(str(TIME_MAX))
_BETWEEN: Final = re.compile(r"[\s().-]+")
_START: Final = re.compile(rf"\+?[0-9]{{{PREFIX_DIGITS_MIN},20}}")


class CaseQuery(msgspec.Struct, frozen=True):
    """Which cases to list: of a procedure, in a state, about a party (`sender|…`, `number|…`).

    `owner_of`: about whoever owns this number by the registry, or about the number itself. `subscriber`: of this user.
    `number`: in which a number stands that begins so. `text`: in which this stands, as the caller is shown the case,
    whatever the case of its letters a to z. `received_from`, `received_before`: what opened it was made then
    (milliseconds, the second exclusive). `assigned`: in this person's hands; `mine`: in the caller's own; `unassigned`:
    in nobody's of the caller's office. `due_before`: what is due before this moment (milliseconds). `breached`: a term
    was missed, or none was. `ended`: also those that have ended, which are left out unless asked for. `after`: a page's
    own `after`; a page of a search may hold few lines, or none, and have one all the same.
    """

    procedure: ProcedureName | None = None
    state: str | None = None
    party: str | None = None
    owner_of: str | None = None
    subscriber: str | None = None
    number: str | None = None
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS_MAX)] | None = None
    received_from: Time | None = None
    received_before: Time | None = None
    assigned: str | None = None
    mine: bool = False
    unassigned: bool = False
    due_before: Time | None = None
    breached: bool | None = None
    ended: bool = False
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 50


class Found(NamedTuple):
    """What was found out about a query's numbers: how they may begin as kept, and which parties are meant."""

    prefixes: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()


PARTY_NEEDED: Final = "names nobody: a party is a sender or a number"
PARTY_MEND: Final = "state it as sender|ORG-9 or number|+861055550000"

NOTHING_FOUND: Final = Found()


def asked(stated: Mapping[str, str], terms: Terms, now: int, caller: Caller) -> CaseQuery:
    """What is asked for, numbers as read. Raises `Problem`: 400 with all faults, 403 what this caller may not ask."""
    query = request_parsing.query(stated, CaseQuery)
    faults = list(_faults(query, terms, now))
    if faults:
        raise faulty(*faults)
    _check_rights(query, caller)
    read: dict[str, str | None] = {}
    if query.party is not None:
        read["party"] = party_as_kept(query.party, terms.numbering)
    if query.subscriber is not None:
        read["subscriber"] = terms.numbering.registrable(query.subscriber)
    if query.mine:
        read["assigned"] = caller.actor
    return msgspec.structs.replace(query, **read)


def found(query: CaseQuery, numbering: Numbering, registry: Registry | None = None) -> Found:
    """What a query's numbers come to. `registry` where it asks for an owner."""
    prefixes: tuple[str, ...] = ()
    if query.number is not None:
        begins = _BETWEEN.sub("", query.number)
        prefixes = (begins,) if begins.startswith("+") else (begins, f"{numbering.plus_country}{begins}")
    parties: tuple[str, ...] = ()
    if query.owner_of is not None:
        assert registry is not None, "an owner is asked of the registry"
        number = number_as_written(query.owner_of, None, numbering) or query.owner_of
        channels: tuple[Channel, ...] = ("sms", "call")
        owners = {owner for channel in channels if (owner := owner_of(numbering, registry, channel, number))}
        parties = (*(party_key(Party(sender=owner)) for owner in sorted(owners)), party_key(Party(number=number)))
    return Found(prefixes, parties)


def owner_of(numbering: Numbering, registry: Registry, channel: Channel, number: str) -> str | None:
    """Whose number it is, as read; nobody's name where nobody owns it."""
    ownership = registry.ownership[channel]
    if not numbering.is_person(number):
        number = owned_form(ownership, number, numbering.plus_country)
    holding = ownership.owner(number)
    return holding.sender if holding is not None else None


def cursor(after: str) -> Key | None:
    """Where the next page begins, by a page's own `after`; None for a text that is none."""
    due, dot, case = after.partition(".")
    is_time = due.isascii() and due.isdecimal() and len(due) <= _TIME_DIGITS_MAX
    return (int(due), case) if dot and is_time else None


def needle(text: str) -> bytes:
    """A text as it stands in a view's bytes, small letters for capitals."""
    return msgspec.json.encode(text)[1:-1].lower()


def stands_in(text: str, view: CaseView, caller: Caller) -> bool:
    """Whether a text stands in what this caller is shown of a case. 20 to 100 µs."""
    body = msgspec.json.decode(bytes(shown(view, caller).body))
    wanted = _small(text)
    return any(wanted in _small(one) for one in _texts(body))


def _small(text: str) -> str:
    return text.encode().lower().decode()  # a to z alone, as `needle` has it


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def _faults(query: CaseQuery, terms: Terms, now: int) -> Iterator[Fault]:
    for name in ("due_before", "received_from", "received_before"):
        moment = getattr(query, name)
        if moment is not None and (problem := asked_problem(moment, now)):
            yield Fault(name, problem, "state milliseconds since the epoch, UTC")
    if query.after and cursor(query.after) is None:
        yield Fault("after", "it is no page's `after`", "state it as the page before gave it, or leave it out")
    if query.subscriber is not None and terms.numbering.registrable(query.subscriber) is None:
        yield Fault("subscriber", f"not {PERSON}", f"state {PERSON}")
    if query.number is not None and not _START.fullmatch(_BETWEEN.sub("", query.number)):
        what = f"the beginning of a number: {PREFIX_DIGITS_MIN} to 20 digits, with a + before or not"
        yield Fault("number", f"not {what}", f"state {what}")
    if query.state and not any(query.state in states for states in _states(query.procedure)):
        known = ", ".join(sorted({one for states in _states(query.procedure) for one in states}))
        yield Fault("state", "no case is ever in it", f"state one of {known}")
    if query.party and not is_party(query.party):
        yield Fault("party", PARTY_NEEDED, PARTY_MEND)
    if query.party and query.owner_of:
        yield Fault("owner_of", "`party` is stated, too", "state one of them")
    if sum((query.assigned is not None, query.mine, query.unassigned)) > 1:
        yield Fault("assigned", "more than one of `assigned`, `mine` and `unassigned` is stated", "state one of them")


def is_party(text: str) -> bool:
    """Whether a question names a party as it must."""
    kind, _, name = text.partition("|")
    return kind in ("sender", "number") and bool(name)


def party_as_kept(text: str, numbering: Numbering) -> str:
    """A party that a question names, its number as parties are kept: of both channels, since a question names none."""
    kind, _, number = text.partition("|")
    if kind != "number":
        return text
    return party_key(Party(number=number_as_written(number, None, numbering) or number))


def _states(procedure: ProcedureName | None) -> Iterator[tuple[str, ...]]:
    """The states of a procedure, or of each."""
    for outline in OUTLINES:
        if procedure in (None, outline.name):
            yield tuple(state.value for state in outline.states)


def _check_rights(query: CaseQuery, caller: Caller) -> None:
    """Raises `Problem` 403."""
    if caller.role not in SEES_NUMBERS:
        numbers = ("subscriber", "number", "owner_of")
        stated = [name for name in numbers if getattr(query, name) is not None]
        stated += ["party"] if (query.party or "").startswith("number|") else []
        digits = sum(character.isdigit() for character in nfkc(query.text or ""))
        stated += ["text"] if digits >= QUOTED_DIGITS_MIN else []
        if stated:
            raise forbidden(f"a {caller.role} sees no numbers whole, and searches by none: leave out {stated[0]}")
    if (query.assigned is not None or query.mine or query.unassigned) and caller.role not in (*OFFICES, *SUPERVISORS):
        raise forbidden("in whose hands cases are is the offices' own business")
