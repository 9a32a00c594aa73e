"""What the API asks of the registrar: its silence, and what it cannot say, as a `Problem`."""

from typing import Final

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.enforce.api import names
from stream.enforce.api.auth import Caller
from stream.enforce.api.responses import Problem, Refusal
from stream.enforce.api.scopes_written import ScopesWritten
from stream.kafka.clients import KafkaError
from stream.kafka.registry_client import NoAnswer, NotRead, RegistryClient
from stream.model.registry import Expression, Sender
from stream.model.requests import (
    Ask,
    AskSubscriber,
    ReadKind,
    RegistryAnswer,
    RegistryRequest,
    SubscriberRecord,
)

log = logs.get(__name__)

ASKED_AGAIN_MAX: Final = 8
"""A request that was refused under its Idempotency-Key may be repeated under it, so often: for the registrar, which
gives a repeat the answer that it got, each is another request."""


class RegistryAccess:
    """The registry as the API reaches it, by way of the registrar. Create it on its loop; `start` it, `stop` it.

    Every question raises `Problem` 503 where nobody answers within `api.write_timeout_ms`.
    """

    def __init__(self, config: Config) -> None:
        self._client = RegistryClient(config, client="wurao-api")
        self._within_s = config.api.write_timeout_ms / 1000
        self._scopes = ScopesWritten()

    async def start(self) -> None:
        """Be able to ask. Waits for a broker."""
        await self._client.start()

    async def stop(self) -> None:
        """Ask no more; whoever still waits has a `Problem`."""
        await self._client.stop()

    async def read(self, what: Ask, kind: type[ReadKind], caller: Caller) -> ReadKind:
        """What the registry has, of this kind. Raises `Problem` 503 also where it cannot be said."""
        try:
            return await self._client.read(what, kind, actor=caller.actor, within_s=self._within_s)
        except NotRead as error:
            raise Problem(503, Refusal("not-ready", str(error))) from error
        except (NoAnswer, KafkaError, OSError) as error:
            raise _silent(error) from error

    async def record_of(self, subscriber: str, caller: Caller) -> SubscriberRecord:
        """What a subscriber said, in order of receipt, and what of it counts."""
        return await self.read(AskSubscriber(subscriber), SubscriberRecord, caller)

    async def erase(self, subscriber: str, caller: Caller) -> RegistryAnswer:
        """Erase what no duty keeps of a subscriber in the registry."""
        answer = await self._ask(RegistryRequest(names.fresh(), now_ms(), caller.actor, erase=subscriber))
        if answer.refused:
            raise Problem(503, Refusal("not-ready", _reasons(answer)))
        return answer

    async def register(self, sender: Sender, caller: Caller) -> str | None:
        """Have a sender's record admitted; why it was not, where it was not."""
        try:
            answer = await self._ask(RegistryRequest(names.fresh(), now_ms(), caller.actor, (sender,)))
        except Problem as problem:
            return problem.refusal.reason
        return _reasons(answer) or None

    async def express(self, expression: Expression, caller: Caller, *, request: str) -> RegistryAnswer:
        """Have an expression admitted; `request` is the id that the API gave the whole. Raises `Problem` 409 where this
        caller's like has written about too many scopes of one subscriber.
        """
        if refused := self._scopes.refusal(expression):
            raise Problem(409, Refusal("too-many", refused))
        began, attempt = now_ms(), 0
        while True:
            # The id is made of key and body, so that these are alike in a repeat, whatever the moment that it states.
            asked = RegistryRequest(f"{request}.{attempt}", now_ms(), caller.actor, (expression,), content=0)
            answer = await self._ask(asked)
            attempt += 1
            refused_before = answer.refused and answer.decided < began
            if not refused_before or attempt == ASKED_AGAIN_MAX:
                return answer

    async def _ask(self, asked: RegistryRequest) -> RegistryAnswer:
        try:
            return await self._client.ask(asked, within_s=self._within_s)
        except (NoAnswer, KafkaError, OSError) as error:
            raise _silent(error) from error


def _silent(error: Exception) -> Problem:
    log.warning("a request to the registrar was not answered", error=repr(error))
    mend = "ask again, under the same Idempotency-Key if there was one"
    return Problem(503, Refusal("not-ready", f"{error}; {mend}"))


def _reasons(answer: RegistryAnswer) -> str:
    return "; ".join(one.what for one in answer.refusals)
