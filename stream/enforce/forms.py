"""What people fill in, read field by field: what is well formed is kept, what is not is named beside the form it needs.

Pure. A person who writes a number without its country code has complained all the same (Article 30), and a body that
writes a date for milliseconds has filed (Article 26): such a record is not thrown away, its author is asked. So a form
is refused only where a program is at fault: bytes that are no object, or a field that no person fills in.

What is wrong is kept as the field and the form it must have, never as what stood there: that may be a number, and goes
on into notices.
"""

from collections.abc import Collection, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from bloom.number import parse as parse_number
from stream.model.codec import Undecodable, decode_as
from stream.model.control import Complaint
from stream.model.fields import SubscriberNumber
from stream.model.registry import scope_name

T = TypeVar("T", bound=msgspec.Struct)

Raw = Mapping[str, msgspec.Raw]
"""An object's fields as they came."""

_KINDS: Final = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a text"}
_NOTHING: Final = (b"null", b'""')


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


def read(kind: type[T], data: bytes, *, made: Collection[str]) -> Filled[T]:
    """A form. `made` names the fields that no person fills in. Raises `Undecodable` where those are wrong, or all is.

    As quick as any record where nothing is wrong; else some 10 µs a field.
    """
    wrong: list[Wrong] = []
    try:
        record = decode_as(kind, data)
    except Undecodable:
        given = decode_as(dict[str, msgspec.Raw], data)
        wrong = _ill_typed(kind, given, made)
        kept = {name: raw for name, raw in given.items() if all(name != one.field for one in wrong)}
        record = decode_as(kind, msgspec.json.encode(kept))
    for field in msgspec.structs.fields(kind):
        value = getattr(record, field.name)
        needed = misfit(kind, field.encode_name, value) if value else None
        if needed is not None:
            wrong.append(Wrong(field.encode_name, needed))
            record = msgspec.structs.replace(record, **{field.name: field.default})
    return Filled(record, tuple(wrong))


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


def misfit(kind: type[msgspec.Struct], name: str, value: object) -> str | None:
    """The form that a value of the right type still must have, and has not; None where nothing speaks against it."""
    if name == "subscriber" and parse_number(str(value)) is None:
        return form(SubscriberNumber)
    if kind is Complaint and name == "sender" and scope_name(str(value)) is None:
        return "one sender"  # a refusal of `*` is one of everybody, which nobody says by complaining of a message
    return None


def form(kind: object) -> str:
    """The form of a field's value, in words."""
    schema, parts = msgspec.json.schema_components((kind,), ref_template="{name}")
    return _words(schema[0], parts)


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


def _words(schema: Mapping[str, object], parts: Mapping[str, Mapping[str, object]]) -> str:
    match schema:
        case {"anyOf": [*choices]}:
            kinds = [one for one in choices if isinstance(one, dict) and one.get("type") != "null"]
            words = " or ".join(_words(one, parts) for one in kinds)
        case {"enum": [*values]}:
            words = f"one of {', '.join(str(value) for value in values if value is not None)}"
        case {"$ref": str(name)}:
            words = _words(parts[name], parts)
        case {"type": "object", "properties": dict(properties)}:
            words = f"an object with {', '.join(f'`{name}`' for name in properties)}"
        case {"type": "array", "items": dict(items)}:
            words = f"a list, each {_words(items, parts)}"
        case {"type": "integer" | "string", "description": str(meaning)}:
            words = meaning
        case {"type": str(kind)}:
            words = _KINDS.get(kind, kind)
        case _:
            words = "a value"
    return words
