"""`docs/limits.md`: how much of everything, from the table that the code obeys."""

from typing import Final

from stream.model.limits import TABLE

TARGET: Final = "docs/limits.md"

_HEAD: Final = """# Limits

<!-- Made by `make docs` from stream/model/limits.py and docs/generate/limits.py; change them there. -->

An event beyond a limit goes to `dead-letter`. Whoever writes a record to the registry or to the control plane is
refused beyond one. Records that were written before a limit was set are still applied, up to the size of a record:
`wurao topics check` names them.

| what | at most | why |
|---|---|---|
"""


def render() -> str:
    """The page."""
    rows = [f"| {limit.of} | {limit.most:,} {limit.unit} | {limit.why} |" for limit in TABLE]
    return _HEAD + "\n".join(rows) + "\n"
