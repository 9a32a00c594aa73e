"""Whose a number is or was, and which records a sender had: asked of the registrar, which alone has their history.

These are registers of senders; whoever looks at a person's expressions is recorded (`subscribers`).
"""

from collections.abc import Mapping

import msgspec

from stream.clock import now_ms
from stream.enforce.api import request_parsing
from stream.enforce.api.auth import Caller
from stream.enforce.api.registry_access import RegistryAccess
from stream.enforce.api.responses import Fault, faulty
from stream.model.fields import Channel, Time
from stream.model.requests import AskOwner, AskSender, OwnerRecord, SenderHistory
from stream.model.times import asked_problem


class OwnerQuery(msgspec.Struct, frozen=True):
    """On which channel, and when: milliseconds since the epoch; now, where nothing is stated."""

    channel: Channel
    at: Time | None = None


async def owner(registrar: RegistryAccess, number: str, stated: Mapping[str, str], caller: Caller) -> OwnerRecord:
    """Whose a number is on a channel, or was. Raises `Problem`."""
    query = request_parsing.query(stated, OwnerQuery)
    if query.at is not None and (problem := asked_problem(query.at, now_ms())):
        raise faulty(Fault("at", problem, "state milliseconds since the epoch, UTC"))
    return await registrar.read(AskOwner(number, query.channel, query.at), OwnerRecord, caller)


async def sender(registrar: RegistryAccess, name: str, caller: Caller) -> SenderHistory:
    """A sender's records, one after another; none of one that there never was. Raises `Problem`."""
    return await registrar.read(AskSender(name), SenderHistory, caller)
