r"""Regular expressions that run on what strangers write: linear in the text, whatever the pattern (RE2).

A policy's patterns come from whoever operates wurao, its texts and numbers from everybody. The usual engine tries one
way after another, and a text made for that keeps it busy for years: one message would stop a worker. RE2 reads each
character once. The price is its dialect (github.com/google/re2/wiki/Syntax): no look-around, no back reference, and
`\b`, `\d`, `\s`, `\w` mean ASCII. `\pL` and `\pN` are letters and numbers of every script.
"""

import re
from typing import Final

import re2

OPT_OUT: Final = r"退订|拒收|回[复覆]?[^\pL\pN]{0,2}(td|t|r|n)([^a-z0-9]|$)"
"""How texts tell to refuse, by the shipped policies (DESIGN section 5)."""

_PLAIN: Final = {OPT_OUT: re.compile(r"退订|拒收|回[复覆]?[\W_]{0,2}(?:td|t|r|n)(?![a-z0-9])")}
"""Patterns that the usual engine searches for instead, in a fifth of the time: each looks a few characters ahead at
most, whatever the text, so that it is linear too. Every commercial and service text is searched for the first."""

PROGRAM_MAX: Final = 20_000
"""Instructions that a pattern may come to. A class of all letters is some 1,000; a repeat multiplies what it repeats.
Within this the engine's tables always fit its memory, so that a search never fails."""

_LOOK_AROUND: Final = ("(?=", "(?!", "(?<=", "(?<!")
_BACK_REFERENCE: Final = re.compile(r"\\[1-9]|\(\?P=")


class PatternError(ValueError):
    """A pattern that the engine does not run: what is wrong with it, and the mend."""


class LinearPattern:
    """A compiled pattern, or several searched at once. Immutable; as fast for hostile texts as for others."""

    __slots__ = ("_anywhere", "_plain", "_whole", "patterns")

    def __init__(self, *patterns: str) -> None:
        self.patterns = patterns
        self._plain = _PLAIN.get(patterns[0]) if len(patterns) == 1 else None
        options = _options()
        self._anywhere = re2.Set.SearchSet(options)
        self._whole = re2.Set.FullMatchSet(options)
        for some in (self._anywhere, self._whole):
            for pattern in patterns:
                some.Add(pattern)
            some.Compile()

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in the text. 0.8 µs for a short text."""
        if self._plain is not None:
            return self._plain.search(text) is not None
        return self._anywhere.Match(_encoded(text)) is not None

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._whole.Match(_encoded(text)) is not None

    def first(self, text: str) -> int | None:
        """The place of the first of several patterns that matches the whole text, or None."""
        return min(self._whole.Match(_encoded(text)) or (), default=None)

    def all(self, text: str) -> list[int]:
        """The places of all patterns that match the whole text, in order."""
        return sorted(self._whole.Match(_encoded(text)) or ())

    def found(self, text: str) -> str | None:
        """What the first pattern that matches somewhere matches there, or None: for people to read."""
        for pattern in self.patterns:
            match = re2.search(pattern, _encoded(text).decode(), _options())
            if match is not None:
                return str(match[0])
        return None


def _encoded(text: str) -> bytes:
    """Half of a surrogate pair, which no event holds, is read as a question mark: UTF-8 has none."""
    return text.encode("utf-8", "replace")


def compile_linear(*patterns: str) -> LinearPattern:
    """These patterns for the linear engine. Raises `PatternError`, which says the mend."""
    for pattern in patterns:
        _check(pattern)
    return LinearPattern(*patterns)


def _check(pattern: str) -> None:
    try:
        compiled = re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as error:
        raise PatternError(_why(pattern, error)) from None
    # The reverse program is -1 where it came out too large.
    if not max(compiled.programsize, compiled.reverseprogramsize % 2**31) <= PROGRAM_MAX:
        raise PatternError(
            f"the pattern comes to more than {PROGRAM_MAX:,} instructions: repeat less, or write smaller classes"
        )


def _why(pattern: str, error: Exception) -> str:
    what = error.args[0].decode("utf-8", "replace") if isinstance(error, re2.error) else str(error)
    if any(part in what for part in _LOOK_AROUND):
        return (
            f"{what}: patterns are run by RE2, which has no look-around; write what may stand there as a part of the "
            "pattern, as in `t([^a-z0-9]|$)` for a `t` that no letter follows"
        )
    if _BACK_REFERENCE.search(pattern):
        return f"{what}: patterns are run by RE2, which has no back references; write out what repeats itself"
    return f"not a regular expression of RE2 (github.com/google/re2/wiki/Syntax): {what}"


def _options() -> "re2.Options":
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    return options
