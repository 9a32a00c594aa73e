"""What is wrong with a file that people write, in their words: msgspec names the place, this adds what would be right.

Pure. It says of an unknown name which ones there are, and of a value that is none of a closed set what the set is.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INVALID = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_NO_FORM = re.compile(r"Expected `str` matching regex '.*'", re.DOTALL)
_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\.\.\.)\]")


FORM: Final = "form"
"""Under this name the `extra` of a text with a pattern says in words what the pattern says."""


class SchemaFault(NamedTuple):
    """What does not fit, and where."""

    path: str
    """`table.name`, without msgspec's `$.`; empty for the whole"""
    what: str
    """what is wrong with it, and what would be right"""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def schema_fault(error: msgspec.ValidationError, schema: type) -> SchemaFault:
    """The error of `msgspec.convert(…, schema)`, told."""
    what, _, where = str(error).partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    kinds = list(_kinds(schema, path))
    if (unknown := _UNKNOWN.fullmatch(what)) is not None:
        known = [field.encode_name for kind in kinds if isinstance(kind, inspect.StructType) for field in kind.fields]
        return SchemaFault(f"{path}.{unknown[1]}".removeprefix("."), f"no such name; {_among(unknown[1], known)}")
    if (invalid := _INVALID.fullmatch(what)) is not None:
        allowed = [str(value) for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values]
        return SchemaFault(path, f"{invalid[1]} is none of its values; {_among(invalid[1].strip(chr(39)), allowed)}")
    if _NO_FORM.fullmatch(what) is not None and (forms := [form for kind in kinds if (form := _form(kind))]):
        return SchemaFault(path, f"write {' or '.join(forms)}")
    return SchemaFault(path, what.replace("`object`", "a table"))


def _among(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}There are: {', '.join(known)}" if meant else f"there are: {', '.join(known)}"


def _kinds(schema: type, path: str) -> Iterator[inspect.Type]:
    """The types that may stand at the path: those of a union each."""
    kinds = _each(inspect.type_info(schema))
    for name, _ in _PART.findall(path):
        kinds = [below for kind in kinds for below in _below(kind, name)]
    return iter(kinds)


def _below(kind: inspect.Type, name: str) -> list[inspect.Type]:
    """What may stand under this name, or, without one, as an element."""
    match kind:
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
