"""The native module tried on a policy before it is believed: numbers in all kinds and spellings, decided both ways.

The module reads most numbers by itself, by the policy's patterns, and its reading was made for policies like the
shipped ones. A policy may state patterns for which it reads otherwise than Python does; then Python decides. The events
here are made of the policy's own country, so that another country's policy is tried on its own numbers too.

Pure. Some 1,500 events, 0.1 s: at the start of a filter, and where a worker takes up another policy.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from stream.model.codec import decode_event, encode
from stream.model.registry import FileRecord, NumberEntry, Order, Sender
from stream.policy.decide import Decider

TRIAL_MS: Final = 1_795_500_000_000
"""The moment at which all of it is decided."""

_BODIES: Final = (
    *("13800138000", "17012345678", "1491234567890", "1064123456789"),  # mobile numbers, and things'
    *("1087654321", "21555588", "7552345678", "9558812345"),  # fixed lines, the last like a hotline
    *("1069012345", "10690123456", "106901", "106"),  # ports
    *("95588", "4001234567", "8001234567", "12580", "1095588", "75595588"),  # services, with an area and without
    *("110", "999", "000", "08", "911", "12110123456"),
    *("12300", "10086"),
    *("2125550123", "85223456789", "0123456789"),
    *(digit * count for digit in "1259" for count in (3, 5, 7, 8, 10, 12, 15)),
)
_DRESSED: Final = (
    "138 0013 8000",
    "138-0013-8000",
    "sip:110@ims.example.org",
    "urn:service:sos",
    "１３８００１３８０００",
)

_PERSON, _OTHER_PERSON, _PORT, _SENDER, _ORDERED = "+8613800138000", "+8613900139000", "1069012345", "A", "95588"

RECORDS: Final[Sequence[FileRecord]] = (
    Sender(
        _SENDER,
        name="A",
        contact="95588",
        status="active",
        numbers=tuple(
            NumberEntry(prefix, channel, ())
            for channel in ("sms", "call")
            for prefix in ("1069", "+8610", "+861380", "955", "12345", "+8612345")
        ),
    ),
    Order("O", "suspend", from_=0, basis="measures", number=_ORDERED),
)
"""A sender and an order whose numbers are among those that are tried: who owns a number is a part of its reading."""


class Trial(NamedTuple):
    """An event of the trial."""

    number: str
    """what it tries"""
    value: bytes


def trials(country: str) -> list[Trial]:
    """The events, for a policy whose country has this calling code."""
    return [
        Trial(number, msgspec.json.encode({"id": f"{place}-{kind}-{field}", "time": 1, "kind": kind, **event}))
        for place, number in enumerate(_numbers(country))
        for kind, field, event in _events(number, place)
    ]


def difference(decider: Decider, tried: Sequence[Trial], answers: Sequence[tuple[bytes, bytes] | None]) -> str | None:
    """The first number of the trial whose event Python decides otherwise, None where there is none.

    `answers` are keys and decisions, None where the module fell back to Python.
    """
    for trial, answer in zip(tried, answers, strict=True):
        if answer is None:
            continue
        event = decode_event(trial.value)
        (subscriber,) = decider.read([event]).subscribers
        if answer != (subscriber.encode(), encode(decider.decide(event, TRIAL_MS))):
            return trial.number
    return None


def _numbers(country: str) -> Iterator[str]:
    for body in _BODIES:
        for before in ("", f"+{country}", country, f"00{country}", "+", "0"):
            yield before + body
    yield from _DRESSED


def _events(number: str, place: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Kind, the field that bears the number, and the rest of each event. Recipients of both kinds are read alike."""
    yield "call" if place % 2 else "sms", "to", {"to": number, "from": _PORT}
    yield "sms", "from", {"to": _PERSON, "from": number}
    yield "call", "from", {"to": _PERSON, "from": number}
    yield "call", "presented", {"to": _PERSON, "from": _OTHER_PERSON, "presented": number}
    if place % 6 == 1:
        yield "sms", "from-internet", {"to": _PERSON, "from": number, "network": "internet"}
        yield "call", "to-internet", {"to": number, "from": _OTHER_PERSON, "network": "internet"}
