"""Emergency campaigns (Articles 25, 26): whose they can be, for how long, and what their sender's record lacks.

An emergency goes out before anybody weighs it, so these rules hold at every door by which one comes in, the API's and
the importer's. A sender is a public body's as far as its record shows it: it has an entry for public or emergency
traffic, and none for commercial traffic. Of one that nobody knows yet the filing says who it is. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from stream.model.registry import NumberEntry, Sender
from stream.model.times import iso_time
from stream.registry.ownership import Ownership

WINDOW_MS_MAX: Final = 72 * 3_600_000
"""How far ahead an emergency may end: three days, after which somebody has to say that it goes on."""

_PUBLIC: Final = frozenset(("public", "emergency"))


def sender_problem(sender: str, record: Sender | None, *, registering: bool = False) -> str | None:
    """Why an emergency may not be this sender's, by its record; None where it may, or has no record.

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
        hours = length_ms_max / 3_600_000
        return f"{iso_time(until)} is more than {hours:g} hours ahead: an emergency ends by then, and is renewed"
    return None


def lacks(
    sender: str, record: Sender | None, ownership: Ownership, *, body: str | None, numbers: Sequence[str]
) -> Iterator[str]:
    """What the record of an emergency's sender lacks for it, in sentences; `numbers` are those that may carry it.

    `ownership`: on sms. Nothing of this holds an emergency up: the numbers of its campaign carry its text all the same.
    """
    own = [entry for entry in record.numbers if entry.channel == "sms"] if record is not None else []
    carried = "the numbers of the filing alone carry it" if numbers else "no number carries it: state `numbers`"
    if record is None:
        yield f"{sender} has no record: {carried}"
    elif not own:
        yield f"the record of {sender} has no numbers for sms: {carried}"
    elif not any("emergency" in entry.purposes for entry in own):
        yield f"the record of {sender} has no entry for emergency traffic on sms: it passes under this campaign only"
    if record is not None and body and body not in (record.name, *record.signatures):
        yield f"the record of {sender} names {record.name}, not {body}"
    for number in numbers:
        holding = ownership.owner(number)
        if holding is not None and holding.sender != sender:
            yield f"{number} is {holding.sender}'s: it carries the text as filed, and no other"


def registration(
    sender: str, record: Sender | None, ownership: Ownership, *, body: str, contact: str, numbers: Sequence[str]
) -> Sender:
    """The sender's record with entries for emergency traffic on sms: for the numbers given, as far as they are its own
    or nobody's; where none is given, for all that it has.

    For a sender with which there is no `sender_problem` but that nothing shows whose it is. Its new entries are for
    nothing else: whatever states no purpose from them is an emergency.
    """
    known = record or Sender(sender, name=body, contact=contact, status="active", numbers=())
    holdings = {number: ownership.owner(number) for number in numbers}
    added = tuple(NumberEntry(number, "sms", ("emergency",)) for number, holding in holdings.items() if holding is None)
    widened = {holding.entry.prefix for holding in holdings.values() if holding and holding.sender == sender}
    entries = tuple(
        msgspec.structs.replace(entry, purposes=(*entry.purposes, "emergency"))
        if entry.channel == "sms" and "emergency" not in entry.purposes and (entry.prefix in widened or not numbers)
        else entry
        for entry in known.numbers
    )
    return msgspec.structs.replace(known, numbers=(*entries, *added))
