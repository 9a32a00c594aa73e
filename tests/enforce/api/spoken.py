"""What an answer says: all its texts, and what digits a text holds, in whatever form."""

import re
from collections.abc import Iterator
from unicodedata import normalize


def strings(value: object) -> Iterator[str]:
    """Every text of a JSON value, names of fields too."""
    match value:
        case str():
            yield value
        case dict():
            for name, inner in value.items():
                yield str(name)
                yield from strings(inner)
        case list() | tuple():
            for inner in value:
                yield from strings(inner)


def digits(text: str) -> str:
    """The digits of a text alone."""
    return re.sub(r"\D", "", normalize("NFKC", text))
