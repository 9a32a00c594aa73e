"""`docs/admission.md`: why the one door to the registry refuses, from the table of reasons."""

from typing import Final

from stream.registry.refusals import REASONS

TARGET: Final = "docs/admission.md"

_HEAD: Final = """# Admission

<!-- Made by `make docs` from stream/registry/refusals.py and docs/generate/admission.py; change them there. -->

Who wants something written to the registry asks at its one door, `stream/registry/door.py`: through the registrar, or
with `wurao registry import --into` offline, by the same function. Each record of a request is written or refused by
itself. An answer has the first 20 refusals in full, each with its code, the place of the record in the request and a
sentence that says what is wrong, where, and the mend; of the rest it has code and places.
"""

_TABLE: Final = """
## {title}

| code | refused is | the mend |
|---|---|---|
"""

_TITLES: Final = {
    "request": "A request as a whole, of which then nothing is written",
    "record": "A record by itself",
}

_TAIL: Final = """
A repeat of a request, the same in every field and under the same id, gets the answer that it got before, and nothing is
written for it again. What stands already as a record has it counts as admitted (`already`).
"""


def render() -> str:
    """The page."""
    return _HEAD + "".join(_section(of) for of in _TITLES) + _TAIL


def _section(of: str) -> str:
    rows = [f"| `{code}` | {one.meaning} | {one.mend} |" for code, one in REASONS.items() if one.of == of]
    return _TABLE.format(title=_TITLES[of]) + "\n".join(rows) + "\n"
