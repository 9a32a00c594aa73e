"""What is wrong with a file that people write, in their words: msgspec names the place, this adds what would be right.

Pure. It says of an unknown name which ones there are, and of a value that is none of a closed set what the set is: the
latter for records of the wire too (`closed_sets`).
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INVALID = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_NO_FORM = re.compile(r"Expected `str` matching regex '.*'", re.DOTALL)
_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\.\.\.)\]")


FORM: Final = "form"
"""Under this name the `extra` of a text with a pattern says in words what the pattern says."""


_NAME_MAX: Final = 64
"""Characters of a name for which a close one is looked for: the search takes its time with every one."""
_WORDS: Final = {
    "`object`": "a table",
    "`array`": "a list",
    "`date`": "a date such as 2027-01-31",
    "Invalid RFC3339 encoded date": "not a date: write it as 2027-01-31",
}
"""msgspec's words for what a file of TOML has."""


class SchemaFault(NamedTuple):
    """What does not fit, and where."""

    path: str
    """`table.name`, without msgspec's `$.`; empty for the whole"""
    what: str
    """what is wrong with it, and what would be right"""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def schema_fault(error: msgspec.ValidationError, schema: type) -> SchemaFault:
    """The error of `msgspec.convert(…, schema)`, in words."""
    what, _, where = str(error).partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    kinds = list(_kinds(schema, path))
    if (unknown := _UNKNOWN.fullmatch(what)) is not None:
        structs = (kind for kind in kinds if isinstance(kind, inspect.StructType))
        known = tuple(field.encode_name for struct in structs for field in struct.fields)
        return SchemaFault(f"{path}.{unknown[1]}".removeprefix("."), f"no such name; {_among(unknown[1], known)}")
    if (invalid := _INVALID.fullmatch(what)) is not None:
        allowed = _among(invalid[1].strip(chr(39)), _allowed(kinds))
        return SchemaFault(path, f"{invalid[1]} is none of its values; {allowed}")
    if _NO_FORM.fullmatch(what) is not None and (forms := [form for kind in kinds if (form := _form(kind))]):
        return SchemaFault(path, f"write {' or '.join(forms)}")
    for name, meant in _WORDS.items():
        what = what.replace(name, meant)
    return SchemaFault(path, what)


def closed_sets(error: msgspec.ValidationError, schema: object, value: object) -> str:
    """The error's text, with what is allowed where a value is none of a closed set: msgspec's own form, else unchanged.

    `value` is what was to fit the schema: its tags say which of a union's structs is meant. Some 20 µs, a millisecond
    for the first error of a schema.
    """
    what, at, where = str(error).partition(" - at ")
    if (invalid := _INVALID.fullmatch(what)) is None:
        return str(error)
    path = where.strip("`").removeprefix("$").removeprefix(".")
    allowed = _allowed(_kinds(schema, path, value))
    return f"{what}; {_among(invalid[1].strip(chr(39)), allowed)}{at}{where}" if allowed else str(error)


def among(name: str, known: Iterable[str]) -> str:
    """What a name may be that is none of the known ones: the closest, if one is close, and all."""
    return _among(name, tuple(known))


def _allowed(kinds: Iterable[inspect.Type]) -> tuple[str, ...]:
    values = (str(value) for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values)
    return tuple(dict.fromkeys(values))


def _among(name: str, known: tuple[str, ...]) -> str:
    # A value may be as long as its record, and what is remembered must not: to such a one nothing is close.
    return _among_short(name if len(name) <= _NAME_MAX else "", known)


@lru_cache(256)  # one program that writes a wrong value writes it in every record
def _among_short(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}There are: {', '.join(known)}" if meant else f"there are: {', '.join(known)}"


_type_info = lru_cache(64)(inspect.type_info)
"""Of the schemas that records have, a dozen: a flood of bad ones must not cost a millisecond each."""


def _kinds(schema: object, path: str, value: object = None) -> Iterator[inspect.Type]:
    """The types that may stand at the path: those of a union each, as far as the value's tags leave them open."""
    kinds = _each(_type_info(schema))
    for name, index in _PART.findall(path):
        kinds = [below for kind in kinds if _fits(kind, name, value) for below in _below(kind, name)]
        value = _value_below(value, name, index)
    return iter(kinds)


def _fits(kind: inspect.Type, name: str, value: object) -> bool:
    """Whether a value may be of the kind, by its tag; a tag that is asked for may be any."""
    if not isinstance(kind, inspect.StructType) or kind.tag_field is None or name == kind.tag_field:
        return True
    tag = value.get(kind.tag_field) if isinstance(value, dict) else None
    return tag is None or tag == kind.tag


def _value_below(value: object, name: str, index: str) -> object:
    match value:
        case dict() if name:
            return value.get(name)
        case list() if index.isdigit() and int(index) < len(value):
            return value[int(index)]
        case _:
            return None


def _below(kind: inspect.Type, name: str) -> list[inspect.Type]:
    """What may stand under this name, or, without one, as an element."""
    match kind:
        case inspect.StructType(tag_field=tag_field, tag=tag) if name and name == tag_field:
            return [inspect.LiteralType((tag,))]
        case inspect.StructType(fields=fields) if name:
            return [one for field in fields if field.encode_name == name for one in _each(field.type)]
        case inspect.DictType(value_type=value):
            return _each(value)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if not name:
            return _each(item)
        case inspect.TupleType(item_types=items) if not name:
            return [one for item in items for one in _each(item)]
        case _:
            return []


def _form(kind: inspect.Type) -> str | None:
    extra = kind.extra if isinstance(kind, inspect.Metadata) else None
    return str(extra[FORM]) if extra and FORM in extra else None


def _each(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.UnionType(types=types):
            return [one for each in types for one in _each(each)]
        case inspect.Metadata(type=inner):
            return [kind, *_each(inner)]
        case _:
            return [kind]
