"""Prefixes of senders, which are not read as numbers are, only checked: can a number as read begin with this one?

A prefix that no number begins with owns nothing: its sender's traffic is blocked, and nobody sees why. `+8695588` is
such a one, for gateways' `+8695588` is read as 95588; so are `138…` and `010…` without the country, and `+86106…` on
sms. Whoever writes a sender is refused one, and `doctor` names those that there are. Pure.
"""

import re
from collections.abc import Iterator
from typing import Final

from stream.model.fields import Channel
from stream.registry.numbers import NumberKinds

DIGITS_MIN: Final = 3
"""Fewer are half a country's numbers."""

_DIGITS_MAX: Final = 20
_WHOLE_DIGITS_MAX: Final = 15
"""No number that is read as another one is longer than an E.164 number."""

_TELEPHONE_DIGITS: Final = (11, 10)
"""Of a mobile number and most fixed ones in China, without the country's code: looked at first, since most are."""

_FILLERS: Final = "38"
"""Digits that may follow an area, a mobile number's first digit and a service's alike."""

_DIGITS: Final = re.compile(r"\+?[0-9]+")
_IDENTIFIER: Final = re.compile(r"(?!(?:tel|sips?|urn):)[a-z][^\s]*", re.IGNORECASE)
"""The identifier of a service on the internet, such as `app:bank`, which is not read."""

_HOTLINE: Final = re.compile(r"9[56][0-9]{3,6}")
_IN_A_CITY: Final = re.compile(r"(?:10|2[0-9])[0-9]{8}").fullmatch
"""As many digits as a number of a large city has: one that is not given to anybody stays as it came."""


def problem(prefix: str, channel: Channel, numbering: NumberKinds) -> str | None:
    """Why no sender can hold this prefix on this channel, with the mend; None where one can. Some 0.06 ms."""
    if not _DIGITS.fullmatch(prefix):
        if channel == "sms" and is_identifier(prefix):
            return None
        return f"the prefix {prefix!r} is neither digits, with a + or without, nor the identifier of a service on sms"
    digits = prefix.removeprefix("+")
    if not DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        return f"the prefix {prefix} has {len(digits)} digits: {DIGITS_MIN} to {_DIGITS_MAX} are a prefix"
    read = numbering.read_port if channel == "sms" else numbering.read
    meant = read(prefix)
    country = numbering.plus_country
    if prefix.startswith(country) and _HOTLINE.fullmatch(prefix[len(country) :]):
        return _describe(prefix, channel, f"a hotline behind the country's code is read without it: write {meant}")
    whole: list[str] = []
    for number in (number for number in map(read, _filled(prefix)) if _is_known(number, numbering)):
        whole.append(number)
        if number.startswith(prefix):
            break  # no other need be looked at
    if (whole and whole[-1].startswith(prefix)) or (not whole and meant == prefix):
        return None
    return _describe(prefix, channel, f"{_example(prefix, meant, whole)}: write the prefix as such numbers are read")


def is_identifier(text: str) -> bool:
    """Whether this is the identifier of a service on the internet, whose form is nobody's to check."""
    return _IDENTIFIER.fullmatch(text) is not None


def campaign_problem(prefix: str, numbering: NumberKinds) -> str | None:
    """The same of a campaign's, which may also match the number without its country code (DESIGN section 5).

    Whoever files states a thousand, and all of them in one request: 0.03 ms each.
    """
    could_be = len(prefix) >= DIGITS_MIN and prefix.isdecimal() and prefix.isascii()
    behind = f"{numbering.plus_country}{prefix}"
    lengths = [len(numbering.plus_country) + digits for digits in _TELEPHONE_DIGITS]
    telephones = (behind.ljust(length, filler) for length in lengths for filler in _FILLERS)
    if could_be and _begins(telephones, behind, numbering):
        return None  # as most telephones of China are: what is left is seldom one
    found = problem(prefix, "sms", numbering)
    return None if found and could_be and _begins(_filled(behind), behind, numbering) else found


def _begins(numbers: Iterator[str], prefix: str, numbering: NumberKinds) -> bool:
    """Whether one of these is read on sms as a number that somebody can have, and begins with the prefix."""
    read = map(numbering.read_port, numbers)
    return any(number.startswith(prefix) and _is_known(number, numbering) for number in read)


def _filled(prefix: str) -> Iterator[str]:
    """Numbers that begin with the prefix, of every length that a whole one may have."""
    missing = range(max(1, _WHOLE_DIGITS_MAX + 1 - len(prefix)))
    return (prefix + filler * count for filler in _FILLERS for count in missing)


def _is_known(number: str, numbering: NumberKinds) -> bool:
    """Whether a number as read is one that somebody can have: a person, or a service."""
    return numbering.kind(number) != "other" or (
        number.startswith(numbering.plus_country) and _IN_A_CITY(number, len(numbering.plus_country)) is not None
    )


def _example(prefix: str, meant: str, whole: list[str]) -> str:
    if whole:
        return f"one that is written so is read as {max(whole, key=len)[: len(prefix) + 3]}…"
    return f"it is read as {meant}"


def _describe(prefix: str, channel: Channel, why: str) -> str:
    return f"no number as read begins with the prefix {prefix} on {channel}; {why}"


__all__ = ["DIGITS_MIN", "campaign_problem", "is_identifier", "problem"]
