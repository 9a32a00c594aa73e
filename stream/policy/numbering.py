"""What kind of number a text is, by the policy's patterns: they decide who can be asked, warned or helped.

A number may fit several patterns (10086 is a redress number and a short one); the first of help, redress,
short, subscriber is its kind, in the order in which the rules ask.
"""

import re
from typing import Literal

from bloom.number import SUBSCRIBER_PATTERN, Msisdn, parse

ToKind = Literal["help", "redress", "short", "subscriber", "other"]
FromKind = Literal["missing", "subscriber", "port", "identifier", "malformed"]

_PORT = re.compile(r"[0-9]{3,20}")


class Numbering:
    """The policy's patterns, compiled into one look per number."""

    def __init__(self, *, subscriber: str, short: str, help_: str, redress: tuple[str, ...]) -> None:
        self._kinds = re.compile(
            f"(?P<help>{help_})|(?P<redress>{'|'.join(map(re.escape, redress)) or '(?!)'})"
            f"|(?P<short>{short})|(?P<subscriber>{subscriber})"
        )
        self._subscriber = re.compile(subscriber)
        self._usual = subscriber == SUBSCRIBER_PATTERN
        """what matches the usual pattern is a number for certain, and needs no second look"""

    def kind(self, to: str) -> ToKind:
        """The kind of a recipient. A subscriber's is a number that `bloom.number.parse` reads. About 0.3 µs."""
        found = self._kinds.fullmatch(to)
        if found is None:
            return "other"
        kind: ToKind = found.lastgroup  # type: ignore[assignment]  # the pattern's four groups
        return "other" if kind == "subscriber" and not self._usual and parse(to) is None else kind

    def recipient(self, to: str) -> tuple[ToKind, Msisdn | None]:
        """The kind of a recipient, and its number as an integer if it is a subscriber's."""
        kind = self.kind(to)
        return kind, Msisdn(int(to)) if kind == "subscriber" else None

    def is_subscriber(self, number: str) -> bool:
        """Whether this is a subscriber's number: only those have wills."""
        return self._subscriber.fullmatch(number) is not None and (self._usual or parse(number) is not None)

    def source(self, from_: str | None, *, internet: bool) -> FromKind:
        """The kind of the number that an event comes from. On the internet its form is not checked."""
        if not from_:
            return "missing"
        if self.is_subscriber(from_):
            return "subscriber"
        if internet:
            return "identifier"
        return "port" if _PORT.fullmatch(from_) else "malformed"
