"""From a body or query to a struct, with the faults in it named at once: field, reason, mend.

Pure. A person who fills in a form gets all faults at once, not the first; of those that no form can have, such as
thousands of unknown fields, `FAULTS_MAX`. A value that exceeds its limit is looked at no further. So fields are read
one by one, and only a whole without faults is made into its struct. Unknown fields are faults here, though the wire
ignores them: a misspelt field of a form is a lost one. Null and a text of nothing but blanks are the same as absent.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import TypeVar

import msgspec

from stream.enforce.api.responses import FAULTS_MAX, Fault, faulty
from stream.enforce.procedures.forms import PERSON, FormContext, blank, fitted, form, within
from stream.model import limits
from stream.model.codec import decode_untyped
from stream.model.fields import CONTACT_DIGITS_MIN

T = TypeVar("T", bound=msgspec.Struct)

Fields = dict[str, object]
"""A JSON object as it came, without what is null or blank: nothing has a type yet."""

_SHOWN_MAX = 16

_WANTED = {
    "subscriber": PERSON,
    "contact": f"a phone with at least {CONTACT_DIGITS_MIN} digits",
    "volume": "how many messages, 1 or more",
}
"""What a case waits for where its type does not say enough: without it, what was stated counts as missing."""

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


def json_object(body: bytes) -> Fields:
    """The body as an object. Raises `Problem` 400."""
    try:
        parts = _of_object(body or b"{}")
        if parts is None:
            raise faulty(Fault("", "the body is no object", "send one JSON object in UTF-8"))
        if sum(map(_brackets, parts.values())) > limits.NESTED.most:
            what = f"more than {limits.NESTED.most:,} {limits.NESTED.unit}"
            raise faulty(Fault("", what, "send what the operation's form has"))
        found = {name: decode_untyped(value) for name, value in parts.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise faulty(Fault("", f"the body is no JSON: {error}", "send one JSON object in UTF-8")) from error
    return {name: value for name, value in found.items() if value is not None and not blank(value)}


def _of_object(body: bytes) -> dict[str, msgspec.Raw] | None:
    """The fields of an object as they are written, None for JSON that is none. Raises `msgspec.DecodeError`."""
    try:
        return _objects.decode(body)
    except msgspec.ValidationError:
        return None


def _brackets(value: msgspec.Raw) -> int:
    """How many lists and objects a value has at most; a text has none."""
    written = bytes(value)
    return 0 if written.startswith(b'"') else written.count(b"[") + written.count(b"{")


def record(
    stated: Fields,
    kind: type[T],
    *,
    made: Mapping[str, object],
    preset: Mapping[str, object] | None = None,
    reading: FormContext,
) -> T:
    """The struct that a request states, its numbers as read. Raises `Problem` 400 with all its faults.

    `made` are fields that the API alone sets, and that nobody may state; `preset` stand where nothing is
    stated. Names are those of the wire.
    """
    given = {**(preset or {}), **stated}
    reading = reading._replace(channel=given.get("channel"))
    faults, more_count = _unknown(stated, kind, made)
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in made:
            continue
        if blank(given.get(name)):
            del given[name]
        if name not in given:
            if field.required:
                faults.append(Fault(name, "missing", f"state {form(field.type)}"))
            continue
        found = _typed(given[name], field)
        if isinstance(found, Fault):
            faults.append(found)
        elif exceeded := limits.excess_in(kind, name, found):
            faults += _exceeding(exceeded)
        elif name in stated:
            given[name], needed = fitted(kind, field, given[name], reading)
            faults += [Fault(name, f"not {needed}", f"state {needed}")] if needed else []
    if faults:
        raise faulty(*faults, more_count=more_count)
    tag = kind.__struct_config__.tag
    tagged = {str(kind.__struct_config__.tag_field): tag} if tag is not None else {}
    try:
        whole = msgspec.convert({**given, **made, **tagged}, kind)
    except msgspec.ValidationError as error:  # what only the whole can show, such as a consent without names
        raise faulty(Fault("", str(error), "state what the sentence asks for")) from error
    if exceeded := limits.excess(whole):  # of what was made or preset
        raise faulty(*_exceeding(exceeded))
    return whole


def query(stated: Mapping[str, str], kind: type[T]) -> T:
    """The struct that a query string states. Raises `Problem` 400 with all its faults."""
    faults, more_count = _unknown(stated, kind, ())
    for field in msgspec.structs.fields(kind):
        if stated.get(field.encode_name):
            found = _typed(stated[field.encode_name], field, strict=False)
            faults += [found] if isinstance(found, Fault) else []
        elif field.required:
            faults.append(Fault(field.encode_name, "missing", f"state {form(field.type)}"))
    if faults:
        raise faulty(*faults, more_count=more_count)
    return msgspec.convert({name: value for name, value in stated.items() if value}, kind, strict=False)


def names(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a struct as the wire names them."""
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))


def missing(lacking: tuple[str, ...], kind: type[msgspec.Struct]) -> tuple[Fault, ...]:
    """What a case still waits for, with the form that each field must have.

    A procedure names a choice of fields as `one or other`, and what is ill-formed as `field: what is wrong`.
    """
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}

    def mend(name: str) -> str:
        forms = {one: _WANTED.get(one) or form(types[one]) for one in name.split(" or ") if one in types}
        return " or ".join(f"`{one}`: {needed}" for one, needed in forms.items())

    named = (lack.partition(": ") for lack in lacking)
    return tuple(
        Fault(name, wrong or "missing: the case waits for it", f"state {mend(name)}") for name, _, wrong in named
    )


def _unknown(
    stated: Mapping[str, object], kind: type[msgspec.Struct], made: Collection[str]
) -> tuple[list[Fault], int]:
    """Faults of names that nobody may state, and how many more of them there are."""
    known = [name for name in names(kind) if name not in made]
    unfit = stated.keys() - set(known)
    mend = f"leave it out, or use one of {', '.join(known)}"
    faults = []
    for name in islice((name for name in stated if name in unfit), FAULTS_MAX):
        shown = name if len(name) <= _SHOWN_MAX else f"{name[:_SHOWN_MAX]}…"
        faults.append(
            Fault(name, "not yours to state: it is set for you", "leave it out")
            if name in made
            else Fault(shown, "there is no such field", mend)
        )
    return faults, len(unfit) - len(faults)


def _exceeding(exceeded: Iterable[limits.Excess]) -> list[Fault]:
    return [Fault(one.path, f"{one.has:,} {one.limit.unit}", f"keep {within(one)}") for one in exceeded]


def _typed(value: object, field: msgspec.structs.FieldInfo, *, strict: bool = True) -> object:
    """The value as the field's type has it, or the `Fault` where it is of another."""
    try:
        return msgspec.convert(value, field.type, strict=strict)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        return Fault(
            f"{field.encode_name}{where.rstrip('`')}", reason.replace(" | null", ""), f"state {form(field.type)}"
        )
