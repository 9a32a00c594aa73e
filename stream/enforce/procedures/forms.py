"""What people fill in, read field by field: what is well formed is kept, what is not is named beside the form it needs.

Pure. A person who writes a number without its country code has complained all the same (Article 30), and a body that
writes a date for milliseconds has filed (Article 26): such a record is not thrown away, its author is asked. So a form
is refused only where a program is at fault: bytes that are no object, or a field that no person fills in. Numbers are
kept as read (DESIGN section 4), however they were written; one that is no person's is asked for, never guessed.

What is wrong is kept as the field and the form it must have, never as what stood there: that may be a number, and goes
on into notices.
"""

from collections.abc import Collection, Mapping
from typing import Final, Generic, NamedTuple, TypeVar, get_args

import msgspec

from stream.model import limits
from stream.model.codec import Undecodable, decode_as
from stream.model.control import Complaint, Filing, Party
from stream.model.fields import Time
from stream.model.registry import KEY_BAR, scope_name
from stream.model.times import AHEAD_MAX_MS, TERM_MAX_MS, time_problem
from stream.policy.numbering import Numbering
from stream.registry import prefixes
from stream.registry.admission import number_as_written

T = TypeVar("T", bound=msgspec.Struct)

Raw = Mapping[str, msgspec.Raw]
"""An object's fields as they came."""

_KINDS: Final = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a text"}
_NOTHING: Final = (b"null", b'""')
_READ_THOUGH_MADE: Final = frozenset(("party",))
"""What a program made of a person's input: its number is read like theirs."""


class Wrong(msgspec.Struct, frozen=True):
    """A field that is not as it must be: its name on the wire, and the form it must have, in words."""

    field: str
    form: str

    def __str__(self) -> str:
        return f"{self.field}: not {self.form}"


class Filled(NamedTuple, Generic[T]):
    """A form as far as it is well formed, and what is not."""

    record: T
    wrong: tuple[Wrong, ...]


class FormContext(NamedTuple):
    """How values of a form are looked at: by whose reader of numbers, and when they were written (milliseconds)."""

    numbering: Numbering
    now: int
    channel: object = None
    """that the form states, if it does"""


class Fitted(NamedTuple):
    """A value of the right type as it is kept, and the form that it must have and has not; None where it fits."""

    value: object
    needed: str | None = None


def read(kind: type[T], data: bytes, *, made: Collection[str], reading: FormContext) -> Filled[T]:
    """A form. `made` names the fields that no person fills in. Raises `Undecodable` where those are wrong, or all is.

    As quick as any record where nothing is wrong; else some 10 µs a field.
    """
    wrong: list[Wrong] = []
    try:
        record = decode_as(kind, data)
    except Undecodable:
        given = decode_as(dict[str, msgspec.Raw], data)
        wrong = _ill_typed(kind, given, made)
        good = {name: raw for name, raw in given.items() if all(name != one.field for one in wrong)}
        record = decode_as(kind, msgspec.json.encode(good))
    reading = reading._replace(channel=getattr(record, "channel", None))
    for field in msgspec.structs.fields(kind):
        value = getattr(record, field.name)
        if blank(value) and not field.required:  # as the empty string is absent everywhere on the wire
            record = msgspec.structs.replace(record, **{field.name: field.default})
            continue
        if value == field.default or (field.encode_name in made and field.encode_name not in _READ_THOUGH_MADE):
            continue
        kept, needed = fitted(kind, field, value, reading)
        if needed is not None and field.required:
            raise Undecodable(f"`{field.encode_name}` is not {needed}")
        if needed is not None:
            wrong.append(Wrong(field.encode_name, needed))
        if kept is not value or needed is not None:
            record = msgspec.structs.replace(record, **{field.name: field.default if needed else kept})
    return Filled(*_within_limits(kind, record, wrong))


def blank(value: object) -> bool:
    """Whether somebody who had to fill it in has said nothing: a text of nothing but blanks."""
    return isinstance(value, str) and not value.strip()


def _within_limits(kind: type[T], record: T, wrong: list[Wrong]) -> tuple[T, tuple[Wrong, ...]]:
    """The record without what exceeds a limit, which is asked for again. Raises `Undecodable` for what must be."""
    for one in limits.excess(record):
        (field,) = (field for field in msgspec.structs.fields(kind) if field.encode_name == one.field)
        if field.required:
            raise Undecodable(str(one))
        wrong.append(Wrong(one.field, within(one)))
        record = msgspec.structs.replace(record, **{field.name: field.default})
    return record, tuple(dict.fromkeys(wrong))


def within(excess: limits.Excess) -> str:
    """The form of what exceeds its limit."""
    return f"within its limit of {excess.limit.most:,} {excess.limit.unit}"


def still_wrong(known: tuple[Wrong, ...], more: msgspec.Struct, wrong: tuple[Wrong, ...]) -> tuple[Wrong, ...]:
    """What is ill-formed once a later form is taken in: what it states well takes the place of what was not.

    A box is stated by every form: one that is not ticked says no.
    """
    again = {one.field for one in wrong}
    mended = {
        field.encode_name
        for field in msgspec.structs.fields(type(more))
        if (value := getattr(more, field.name)) or value is False or field.encode_name in again
    }
    return (*(one for one in known if one.field not in mended), *wrong)


def fitted(kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo, value: object, reading: FormContext) -> Fitted:
    """A value of the right type, as it is kept, or the form that it still must have."""
    name = field.encode_name
    if name == "subscriber":
        return _or_needed(reading.numbering.registrable(str(value)), value, PERSON)
    if name == "number" or (kind is Complaint and name == "from"):
        return _or_needed(number_as_written(str(value), reading.channel, reading.numbering), value, NUMBER)
    if name == "party":
        return _fitted_party(value, reading)
    return Fitted(value, _misfit(kind, field, value, reading))


def _or_needed(kept: object | None, value: object, needed: str) -> Fitted:
    return Fitted(value, needed) if kept is None else Fitted(kept)


def _misfit(
    kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo, value: object, reading: FormContext
) -> str | None:
    """The form that a value must have and has not, of those that are kept as they came."""
    name = field.encode_name
    if kind is Complaint and name == "sender" and (scope_name(str(value)) is None or KEY_BAR in str(value)):
        return SENDER  # a refusal of `*` is one of everybody, which nobody says by complaining of a message
    if kind is Filing and name == "numbers" and isinstance(value, list | tuple):
        unfit = any(prefixes.campaign_problem(str(one), reading.numbering) for one in value)
        return PREFIXES if unfit else None
    if isinstance(value, int) and _is_time(field.type):
        ahead_max, ahead = (TERM_MAX_MS, "ten years") if name in ("from", "until") else (AHEAD_MAX_MS, "a day")
        if time_problem(value, reading.now, ahead_max=ahead_max) is not None:
            return f"{form(field.type)}, from 2000-01-01 to {ahead} from now"
    return None


PERSON: Final = "a person's number, such as +8613800138000; one of another country with its + and code"
SENDER: Final = f"one sender, whose name has no {KEY_BAR}"
NUMBER: Final = "a number that is sent from: a person's, or 3 to 20 digits"
PREFIXES: Final = "a list of prefixes with which numbers begin, such as 106900"


def _fitted_party(value: object, reading: FormContext) -> Fitted:
    """A party in which the number, if it has one, is as read."""
    party = value if isinstance(value, dict) else msgspec.structs.asdict(value) if isinstance(value, Party) else {}
    given, sender = party.get("number"), party.get("sender")
    if isinstance(sender, str) and KEY_BAR in sender:
        return Fitted(value, f"a party whose `sender` is {SENDER}")
    if not given:
        return Fitted(value)
    number = number_as_written(str(given), reading.channel, reading.numbering)
    if number is None:
        return Fitted(value, f"a party whose `number` is {NUMBER}")
    return Fitted({**value, "number": number} if isinstance(value, dict) else Party(number=number))


def _is_time(kind: object) -> bool:
    return kind == Time or Time in get_args(kind)


def form(kind: object) -> str:
    """The form of a field's value, in words."""
    schema, parts = msgspec.json.schema_components((kind,), ref_template="{name}")
    return _described(schema[0], parts)


def _ill_typed(kind: type[msgspec.Struct], given: Raw, made: Collection[str]) -> list[Wrong]:
    wrong = []
    for field in msgspec.structs.fields(kind):
        raw = bytes(given.get(field.encode_name, b"null"))
        if field.encode_name in made or raw in _NOTHING:
            continue
        try:
            decode_as(msgspec.json.Decoder(field.type), raw)
        except Undecodable:
            wrong.append(Wrong(field.encode_name, form(field.type)))
    return wrong


def _described(schema: Mapping[str, object], parts: Mapping[str, Mapping[str, object]]) -> str:
    match schema:
        case {"anyOf": [*choices]}:
            kinds = [one for one in choices if isinstance(one, dict) and one.get("type") != "null"]
            text = " or ".join(_described(one, parts) for one in kinds)
        case {"enum": [*values]}:
            text = f"one of {', '.join(str(value) for value in values if value is not None)}"
        case {"$ref": str(name)}:
            text = _described(parts[name], parts)
        case {"type": "object", "properties": dict(properties)}:
            text = f"an object with {', '.join(f'`{name}`' for name in properties)}"
        case {"type": "array", "items": dict(items)}:
            text = f"a list, each {_described(items, parts)}"
        case {"type": "integer" | "string", "description": str(meaning)}:
            text = meaning
        case {"type": str(kind)}:
            text = _KINDS.get(kind, kind)
        case _:
            text = "a value"
    return text
