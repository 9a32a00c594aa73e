"""What logs, reasons and details may repeat of others' texts: nothing that may be a number or a secret.

Pure, total and linear. Numbers are found however they are written: with anything between their digits that readers of
numbers pass over, in the digits of any script, in escapes. Too much is hidden rather than too little; addresses of
hosts, dates, hashes and figures with commas (`1,000,000`) stay, for operators need them.
"""

import re
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

from stream.model.limits import REASON

HIDDEN: Final = "****"

NUMBER_DIGITS_MIN: Final = 7
"""A subscriber's number has that many at least (`bloom.number.SUBSCRIBER_PATTERN`)."""
QUOTED_DIGITS_MIN: Final = 4
"""Of a value that is quoted nothing is needed, and part of a number says something too."""

TEXT_CHARACTERS_MAX: Final = REASON.most
"""Of a text that is repeated."""
_END_CHARACTERS: Final = 200
"""Of these the last are kept: errors name the place at their end."""

_ESCAPE: Final = (
    r"\\{1,4}(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[nrt])"
    r"|%(?:25){0,4}[0-9a-fA-F]{2}|&#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});"
)
"""Of Python, JSON, C, addresses and HTML; also escaped again, as where an error quotes an error."""
_BETWEEN: Final = rf"(?:{_ESCAPE}|[\x00-\x20()./_'\"`~+-]){{0,32}}"


def _number(digits_min: int) -> str:
    return rf"(?:{_ESCAPE}){{{digits_min},}}|[0-9](?:{_BETWEEN}[0-9]){{{digits_min - 1},}}"


_DATE: Final = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_BYTE: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_KEPT: Final = (
    rf"(?<![0-9.])(?:{_BYTE}\.){{3}}{_BYTE}(?![0-9.])"
    rf"|(?<![0-9]){_DATE}(?:[T ][0-9]{{2}}:[0-9]{{2}}[0-9:.]*)?(?![0-9])"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])registry-1[7-9][0-9]{11}\.snapshot(?![0-9])"
)
"""An IPv4 address, a date with or without its time of day, a hash in hexadecimal, a snapshot's name (its milliseconds
are no number: 13 digits that begin with a country's code 1 have two too many).
"""
_NUMBERS: Final = re.compile(f"(?P<kept>{_KEPT})|{_number(NUMBER_DIGITS_MIN)}")
_QUOTED_NUMBERS: Final = re.compile(_number(QUOTED_DIGITS_MIN))

_SECRETS: Final = re.compile(
    r"(?P<name>\b(?:proxy-)?authorization\W{1,8}|\b(?:set-)?cookie2?\W{1,8})[^\r\n]+"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|(?P<field>\b[\w-]{0,64}(?:password|passwd|secret|token|api[_-]?key)['\"]?\s{0,8}[:=]\s{0,8})[^\s,;&)}\]]+"
    r"|(?P<before>://)[^\s/@]+(?=@)"
    r"|(?P<url>://[^\s?#'\"]{0,300}\?)[^\s'\"]+",
    re.IGNORECASE,
)
"""Credentials in headers, settings and addresses."""

_SIGNS: Final = ("authorization", "cookie", "bearer", "basic", "passw", "secret", "token", "key", "://")
"""One of these stands in whatever `_SECRETS` finds: to look for them takes a microsecond, and it does some hundred."""
_DIGIT: Final = re.compile("[0-9]")

_FIRST_QUOTE: Final = re.compile(r"(?<![A-Za-z0-9])[bBuUrR]{0,2}['\"]")
"""Where a quoted value begins; not an apostrophe within a word. Where it ends nobody knows, for it may hold quotes."""


def hidden(text: str) -> str:
    """The text with stars for numbers and secrets, of bounded length."""
    shortened = _shortened(text)
    return _without_secrets(_starred(_NUMBERS, shortened))


def without_quoted(text: str) -> str:
    """The text as `hidden` gives it, and without what it quotes: from the first quote to the last all goes."""
    text = _shortened(text)
    first = _FIRST_QUOTE.search(text)
    if first is not None:
        last = max(text.rfind(quote) for quote in "'\"")
        end = text[last + 1 :] if last >= first.end() else ""
        text = f"{text[: first.end()]}{HIDDEN}{text[last] if end or last >= first.end() else ''}{end}"
    return hidden(text)


def without_numbers(reason: str) -> str:
    """A decoder's reason with stars where what it quotes may be, or be part of, a number: reasons are logged."""
    reason = _shortened(reason)
    first = _FIRST_QUOTE.search(reason)
    if first is None:
        return reason
    return reason[: first.start()] + _without_secrets(_starred(_QUOTED_NUMBERS, reason[first.start() :]))


def _starred(numbers: re.Pattern[str], text: str) -> str:
    plain = text if text.isascii() else "".join(c if c.isascii() else _plain(c) for c in text)
    if _DIGIT.search(plain) is None and "\\x" not in plain:
        return text
    parts, done = [], 0
    for found in numbers.finditer(plain):
        if found.groupdict().get("kept") is None:
            parts += [text[done : found.start()], HIDDEN]
            done = found.end()
    return "".join([*parts, text[done:]]) if done else text


def _without_secrets(text: str) -> str:
    folded = text.lower()
    if not any(sign in folded for sign in _SIGNS):
        return text
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}{HIDDEN}", text)


def _shortened(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    return f"{text[: TEXT_CHARACTERS_MAX - _END_CHARACTERS]}…{text[-_END_CHARACTERS:]}"


@lru_cache(4_096)
def _plain(character: str) -> str:
    """What a character is to a reader of numbers, in ASCII: a digit, something between digits, or a letter."""
    if character.isdecimal() or any(c in "0123456789" for c in normalize("NFKC", character)):
        return "0"
    return "x" if category(character)[0] in "LS" else " "
