"""A column of numbers, as people write them, read by the policy: many at once what `Numbering` says of each.

Spaces, and dashes between digits, are what most numbers have that the reader does not read the quick way. To take them
off before is the same as to let the reader do it (DESIGN section 4, steps 1 and 2): all spaces go there, and so do all
dashes, unless the last has one or two digits behind it.
"""

import re
from collections.abc import Sequence
from typing import Final

from stream.policy.numbering import Numbering, ToKind

_SPACES: Final = b" \t\r"
_DASHED: Final = re.compile(rb"(?m)^\+?[0-9][0-9-]*-[0-9]{3,}$")


def kinds(texts: Sequence[bytes], numbering: Numbering) -> list[tuple[ToKind, str]]:
    """What each text (UTF-8, without line ends) is, and its number as read; a person's is one that may be registered.

    Half a microsecond each for mobile numbers, with spaces or dashes or not; some ten for other spellings, and a
    hundred for numbers of other countries.
    """
    country, recipient = numbering.plus_country, numbering.recipient
    found: list[tuple[ToKind, str]] = []
    for text in _undressed(texts):
        kind, number = recipient(text)
        if kind == "person" and not number.startswith(country) and numbering.registrable(text) is None:
            kind = "other"
        found.append((kind, number))
    return found


def persons(texts: Sequence[bytes], numbering: Numbering) -> list[str | None]:
    """The person's number that each text means and that may be registered, or None: `Numbering.registrable` of it."""
    return [number if kind == "person" else None for kind, number in kinds(texts, numbering)]


def _undressed(texts: Sequence[bytes]) -> list[str]:
    """The texts without what reading takes off first."""
    if not texts:
        return []
    joined = b"\n".join(texts).translate(None, _SPACES)
    if b"-" in joined:
        joined = _DASHED.sub(_without_dashes, joined)
    return joined.decode().split("\n")


def _without_dashes(found: re.Match[bytes]) -> bytes:
    return found[0].replace(b"-", b"")
