"""Numbers by the policy's patterns: how they are read, and what kind each is.

A number may fit several patterns (10086 is a redress number and a short one); the first of help, redress, short,
person is its kind, in the order in which the rules ask. Kinds are of numbers as read (`bloom.number.NumberReader`).

`recipient` and `is_canonical` are a quick way for what nearly all events bear, which holds for the shipped patterns
alone and gives what the plain way gives.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Final, Literal

from bloom.number import SUBSCRIBER_PATTERN, Matches, NumberReader, parse
from stream.model.nfkc import nfkc
from stream.policy.patterns import compile_linear

ToKind = Literal["help", "redress", "short", "person", "other"]
FromKind = Literal["missing", "person", "subscriber", "port", "identifier", "malformed"]

_SERVICE_DIGITS_MAX: Final = 6
PORTS_MAX: Final = 4_096
"""Ports whose reading is remembered, for they come again: a MiB at most, by the limit of an event's texts."""
_PORT: Final = re.compile(r"[0-9]{3,20}")

_MOBILE: Final = r"1[3-9][0-9]{9}"
_FIXED: Final = r"(?:10|2[0-9])[2-9][0-9]{7}|(?!400|800|95[06-9]|96)[3-9][0-9]{2}[2-9][0-9]{6,7}"
# No other country's number can be one for help or a service once its plus is gone, but those that begin so.
_CANONICAL: Final = re.compile(rf"\+(?:86(?:{_MOBILE}|{_FIXED})|(?!86|10|12110)[1-9][0-9]{{6,14}})").fullmatch
_MAYBE_PORT: Final = "+86106"
"""A telephone in Beijing, or an industry port: fixed lines send no SMS."""
_NATIONAL: Final = re.compile(rf"(?:(?:\+|00)?86)?0?({_MOBILE})").fullmatch


USUAL: Final[dict[str, str]] = {
    "country": "86",
    "subscriber": SUBSCRIBER_PATTERN,
    "mobile": r"1[3-9][0-9]{9}|14[0-9]{11}|1064[0-9]{9}",
    # Without look-around: an area begins with none of 400, 800, 950, 956 to 959, 96.
    "fixed": (
        "(10|2[0-9])[2-9][0-9]{7}"
        "|(3[0-9]{2}|[48](0[1-9]|[1-9][0-9])|[567][0-9]{2}|9([0-47-9][0-9]|5[1-5]))[2-9][0-9]{6,7}"
    ),
    "hotline": "9[56][0-9]{3,6}",
    "area": "10|2[0-9]|[3-9][0-9]{2}",
    "port": "106[0-9]+",
    "short": "1[0-2][0-9]{1,4}|9[56][0-9]{3,6}|[48]00[0-9]{7}",
    "help": (
        r"((\+?86|0)(10|2[0-9]|[3-9][0-9]{2}))?(110|112|119|120|122|999)|000|08|118|911|12110[0-9]{0,6}"
        r"|urn:service:sos(\..+)?"
    ),
}
"""The patterns of the shipped policies, for which the quick way holds."""

_SHIPPED: Final = frozenset(USUAL.values())


class Numbering:
    """One reader of numbers, and the kinds of what it reads, for everybody who meets numbers."""

    def __init__(self, patterns: Mapping[str, str], redress: Collection[str]) -> None:
        """`patterns` are those that `USUAL` names, as the policy has them; `redress` its numbers for complaints."""
        whole = {name: _whole(pattern) for name, pattern in patterns.items() if name != "country"}
        redress, country = frozenset(redress), patterns["country"]
        self.plus_country = f"+{country}"
        """what the numbers of this country begin with"""
        self._subscriber = whole["subscriber"]
        self._reader = NumberReader(
            country=country,
            mobile=whole["mobile"],
            fixed=whole["fixed"],
            hotline_behind_area=_hotline(whole["hotline"], whole["area"]),
            port=whole["port"],
            short=whole["short"],
            help=whole["help"],
            redress=redress,
            nfkc=nfkc,
        )
        usual = patterns == USUAL and all(number.isdigit() and len(number) <= _SERVICE_DIGITS_MAX for number in redress)
        self.canonical: Callable[[str], object] = _CANONICAL if usual else _NEVER
        """Matches only what is a person's number and read as it stands; what it does not match may be one all the same.
        On the sender's side of an SMS see `is_canonical`."""
        self._national_form = _NATIONAL if usual else _NEVER
        self.read: Callable[[str], str] = self._reader.read
        """The number that a text means (DESIGN section 4, steps 1 to 4). Never fails; some 8 µs. Not for its result."""
        self.read_port: Callable[[str], str] = lru_cache(PORTS_MAX)(self._reader.read_port)
        """The same on the sender's side of an SMS, where an industry port is one whatever stands before it."""

    def recipient(self, text: str) -> tuple[ToKind, str]:
        """The kind of a recipient, and its number as read (as it came, where nothing is left). 0.3 µs as a rule."""
        if self.canonical(text):
            return "person", text
        if (national := self._national_form(text)) is not None:
            return "person", f"{self.plus_country}{national[1]}"
        number = self.read(text) or text
        return self.kind(number), number

    def is_canonical(self, text: str, *, of_sms: bool) -> bool:
        """Whether a text that an event comes from is a person's number and read as it stands; the quick way to know.

        False says nothing. On the sender's side of an SMS (`of_sms`) a telephone in Beijing may be an industry port.
        """
        return self.canonical(text) is not None and not (of_sms and text.startswith(_MAYBE_PORT))

    def kind(self, number: str) -> ToKind:
        """The kind of a recipient by its number as read."""
        reader = self._reader
        if reader.help(number):
            return "help"
        if number in reader.redress:
            return "redress"
        if reader.short(number):
            return "short"
        return "person" if self.is_person(number) else "other"

    def is_subscriber(self, number: str) -> bool:
        """Whether a number as read has a subscriber's form, whoever may have it. Always one that `parse` reads."""
        return bool(self._subscriber(number)) and parse(number) is not None

    def is_person(self, number: str) -> bool:
        """Whether a number as read is a person's: a subscriber's that, within the country, can be somebody's.

        Only those have wills and are registered (section 4).
        """
        if self.canonical(number):
            return True
        if not self.is_subscriber(number):
            return False
        if not number.startswith(self.plus_country):
            return True
        national = number[len(self.plus_country) :]
        return bool(self._reader.mobile(national) or self._reader.fixed(national))

    def person(self, text: str) -> str | None:
        """The person's number that a text means, or None: for what people write. Never another number by guessing."""
        kind, number = self.recipient(text)
        return number if kind == "person" else None

    def registrable(self, text: str) -> str | None:
        """The same for what is to be registered: another country's number counts only where its plan has it."""
        number = self.person(text)
        return number if number is None or number.startswith(self.plus_country) or _is_valid(number) else None

    def source(self, number: str | None, *, internet: bool) -> FromKind:
        """The kind of the number that an event comes from, as read. On the internet its form is not checked."""
        if not number:
            return "missing"
        if self.is_person(number):
            return "person"
        if self.is_subscriber(number):
            return "subscriber"
        if internet:
            return "identifier"
        return "port" if _PORT.fullmatch(number) else "malformed"


def _never(_: str) -> None:
    return None


_NEVER: Final = _never


def _whole(pattern: str) -> Matches:
    """Whether a pattern matches a whole text. The shipped ones never try a second way through digits, and so are linear
    in the usual engine as well, which takes a fifth of the time; any other is for RE2. Raises `PatternError`.
    """
    return re.compile(pattern).fullmatch if pattern in _SHIPPED else compile_linear(pattern).fullmatch


def _hotline(hotline: Matches, area: Matches) -> Callable[[str], str | None]:
    """The hotline of an area and a hotline. Areas have two or three digits."""

    def find(text: str) -> str | None:
        for digits in (2, 3):
            if area(text[:digits]) and hotline(text[digits:]):
                return text[digits:]
        return None

    return find


def _is_valid(number: str) -> bool:
    """Whether another country's numbering plan has this number (libphonenumber)."""
    import phonenumbers  # noqa: PLC0415  # 32 ms and its tables, which the hot path never needs

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
