"""Whose a number is or was, and which records a sender had: asked of the registrar, which alone has their history.

These are registers of senders; whoever looks at a person's expressions is recorded (`subscribers`).
"""

from collections.abc import Mapping

import msgspec

from stream.clock import now_ms
from stream.enforce.api import names, request_parsing
from stream.enforce.api.auth import Caller
from stream.enforce.api.responses import Fault, Problem, Refusal, faulty
from stream.enforce.api.subscribers import Ask as AskRegistrar
from stream.model.fields import Channel, Time
from stream.model.requests import (
    Ask,
    AskOwner,
    AskSender,
    OwnerRecord,
    ReadResult,
    RegistryRequest,
    SenderHistory,
)
from stream.model.times import asked_problem


class OwnerQuery(msgspec.Struct, frozen=True):
    """On which channel, and when: milliseconds since the epoch; now, where nothing is stated."""

    channel: Channel
    at: Time | None = None


async def owner(ask: AskRegistrar, number: str, stated: Mapping[str, str], caller: Caller) -> OwnerRecord:
    """Whose a number is on a channel, or was. Raises `Problem`."""
    query = request_parsing.query(stated, OwnerQuery)
    if query.at is not None and (problem := asked_problem(query.at, now_ms())):
        raise faulty(Fault("at", problem, "state milliseconds since the epoch, UTC"))
    result = await _asked(ask, AskOwner(number, query.channel, query.at), caller)
    assert isinstance(result, OwnerRecord), "it was asked for"
    return result


async def sender(ask: AskRegistrar, name: str, caller: Caller) -> SenderHistory:
    """A sender's records, one after another; none of one that there never was. Raises `Problem`."""
    result = await _asked(ask, AskSender(name), caller)
    assert isinstance(result, SenderHistory), "it was asked for"
    return result


async def _asked(ask: AskRegistrar, what: Ask, caller: Caller) -> ReadResult:
    answer = await ask(RegistryRequest(names.fresh(), now_ms(), caller.actor, ask=what))
    if answer.result is None:
        raise Problem(503, Refusal("not-ready", "; ".join(one.what for one in answer.refusals)))
    return answer.result
