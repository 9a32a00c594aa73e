"""Emergency campaigns (Articles 25, 26): whose they can be, for how long, and what their sender's record lacks.

An emergency goes out before anybody weighs it, so these rules hold at every door by which one comes in, the API's and
the importer's. A sender is a public body's as far as its record shows it: it has an entry for public or emergency
traffic, and none for commercial traffic. Of one that nobody knows yet the filing says who it is. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from stream.model.registry import NumberEntry, Sender
from stream.model.times import HOUR_MS, iso_time
from stream.registry.ownership import Ownership

WINDOW_MS_MAX: Final = 72 * HOUR_MS
"""How far ahead an emergency may end: three days, after which somebody has to say that it goes on."""

_PUBLIC: Final = frozenset(("public", "emergency"))


def sender_problem(sender: str, record: Sender | None, *, registering: bool = False) -> str | None:
    """Why a campaign may not be this sender's, emergency or not, by its record; None where it may, or has none.

    `registering`: somebody states that it is a public body's, and has its record say so.
    """
    if record is None:
        return None
    if record.status == "revoked":
        return f"{sender} is revoked, and the filter lets nothing of it pass"
    commercial = next((entry for entry in record.numbers if "commercial" in entry.purposes), None)
    if commercial is not None:
        return f"{sender} is a commercial sender, by its entry {commercial.prefix} on {commercial.channel}"
    shown = registering or any(_PUBLIC & set(entry.purposes) for entry in record.numbers)
    if record.numbers and not shown:
        return f"nothing shows that {sender} is a public body's: no entry of it is for public or emergency traffic"
    return None


def window_problem(begin: int, until: int, now: int, *, length_ms_max: int = WINDOW_MS_MAX) -> str | None:
    """Why an emergency may not last from `begin` to `until` (milliseconds), looked at `now`; None where it may."""
    if until <= max(begin, now):
        return f"{iso_time(until)} is over, or not after `from`"
    if until > now + length_ms_max:
        hours = length_ms_max / HOUR_MS
        return f"{iso_time(until)} is more than {hours:g} hours ahead: an emergency ends by then, and is renewed"
    return None


def lacks(
    sender: str, record: Sender | None, ownership: Ownership, *, body: str | None, numbers: Sequence[str]
) -> Iterator[str]:
    """What the record of an emergency's sender lacks for it, in sentences; `numbers` are those that may carry it.

    `ownership`: on sms. Nothing of this holds an emergency up: the numbers of its campaign carry its text all the same.
    """
    carried = "the numbers of the filing alone carry it" if numbers else "no number carries it: state `numbers`"
    if record is None:
        yield f"{sender} has no record: {carried}"
    elif all(entry.channel != "sms" for entry in record.numbers):
        yield f"the record of {sender} has no numbers for sms: {carried}"
    if record is not None and body and body not in (record.name, *record.signatures):
        yield f"the record of {sender} names {record.name}, not {body}"
    for number in numbers:
        holding = ownership.owner(number)
        if holding is not None and holding.sender != sender:
            yield f"{number} is {holding.sender}'s: it carries the text as filed, and no other"


def unowned(numbers: Sequence[str], ownership: Ownership) -> tuple[str, ...]:
    """Those of the numbers that nobody has on this channel."""
    return tuple(dict.fromkeys(one for one in numbers if ownership.owner(one) is None))


def registration(
    sender: str, record: Sender | None, ownership: Ownership, *, body: str, contact: str, numbers: Sequence[str]
) -> Sender:
    """The sender's record with those of the numbers that nobody has on sms, for public traffic.

    For public traffic alone, which passes only under a campaign: an entry for emergencies would let any text of it pass
    for ever (rule 6), on one person's word. Entries that are there stay as they are.
    """
    known = record or Sender(sender, name=body, contact=contact, status="active", numbers=())
    added = tuple(NumberEntry(number, "sms", ("public",)) for number in unowned(numbers, ownership))
    return msgspec.structs.replace(known, numbers=(*known.numbers, *added))
