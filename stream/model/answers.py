"""JSON for whoever asked: what commands print with `--json`, and the API's bodies. Records of topics are `codec`'s.

By orjson: it takes dicts and lists at several times the pace of the standard library, always writes UTF-8, and refuses
what is no JSON (NaN, an integer beyond 64 bits) instead of writing something else.
"""

import msgspec
import orjson


def json_of(value: object) -> bytes:
    """Structs, mappings and sequences, with their keys in the order that they have. Raises `TypeError` for others."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Raw):
        return orjson.Fragment(bytes(value))
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=(msgspec.Raw,))
    raise TypeError(f"{type(value).__name__} has no JSON")
