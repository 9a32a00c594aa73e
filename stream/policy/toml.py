"""TOML with line numbers: where in a file a setting stands that something is wrong with.

`tomllib` names the line of a syntax error only; what is wrong with a value is found later, by path. `line_of`
finds the path's line again by reading headers and keys, which is exact for the plain style of policy files.
"""

import re
import tomllib

import msgspec

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\-]+)\s*\]\]?")
_KEY = re.compile(r"^\s*([\w\-]+)\s*=")


class PolicySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What all tables of the file share: unknown names are refused, for a misspelt setting is a lost one."""


class PolicyError(Exception):
    """A policy that cannot be used: what is wrong, in which file and line, and the mend."""


def parse(text: str, *, source: str) -> dict[str, object]:
    """The file's tables. Raises `PolicyError` for what is not TOML (its text names line and column)."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PolicyError(f"{source}:1: not TOML: nested too deeply to be read") from None
    except ValueError as error:  # tomllib raises others than its own for long integers
        line = re.search(r"line (\d+)", str(error))
        raise PolicyError(f"{source}:{line.group(1) if line else 1}: not TOML: {error}") from error


def line_of(text: str, path: str) -> int:
    """The line (from 1) of the deepest part of a path such as `$.hours[1].zone` that the text has."""
    parts = re.sub(r"\[\.\.\.\]", "", path).removeprefix("$").strip(".")
    best, best_depth = 1, 0
    for number, where in _places(text):
        if (parts == where or parts.startswith((where + ".", where + "["))) and len(where) > best_depth:
            best, best_depth = number, len(where)
    return best


def _places(text: str) -> list[tuple[int, str]]:
    """Every header and key with its line and path."""
    places: list[tuple[int, str]] = []
    table, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[2]
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            places.append((number, table))
        elif key := _KEY.match(line):
            places.append((number, f"{table}.{key[1]}".strip(".")))
    return places
