"""One person's file, and its erasure (PIPL): asked of the registrar, read from the control plane's topics.

Erasing is recorded before it begins, without saying whom. A request that broke off is asked again: what is gone is
gone, and the rest goes then.
"""

from collections.abc import Awaitable, Callable

import msgspec

from bloom.number import masked
from stream.config import Config
from stream.enforce.api import looks, request_parsing
from stream.enforce.api import subscriber_file as files
from stream.enforce.api.auth import Caller
from stream.enforce.api.registry_access import RegistryAccess
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Fault, faulty, forbidden
from stream.enforce.api.subscriber_file import Erased, SubscriberFile
from stream.enforce.api.subscriber_records import orders_on, views_naming
from stream.enforce.api.writer import RecordWriter
from stream.enforce.procedures.forms import PERSON, FormContext
from stream.enforce.procedures.terms import Terms
from stream.model.accesses import Access
from stream.model.fields import Name
from stream.model.requests import SubscriberRecord
from stream.model.topics import CASES

CLIENT = "wurao-api-subscribers"

Record = Callable[[Access], Awaitable[None]]
"""Writes who was shown what; raises `Problem` 503."""


class Reasoned(msgspec.Struct, frozen=True):
    """What whoever asks for a person's records states: why."""

    reason: Name


class Subscribers:
    """What the API does with one person's records. `moment` is milliseconds since the epoch."""

    def __init__(
        self, config: Config, terms: Terms, *, registrar: RegistryAccess, record: Record, writer: RecordWriter
    ) -> None:
        self._config, self._terms = config, terms
        self._registrar, self._record, self._writer = registrar, record, writer

    async def show(self, number: str, stated: Fields, caller: Caller, moment: int) -> SubscriberRecord:
        """What the person said, and which of it counts, once it is recorded that it was asked for. Raises `Problem`."""
        subscriber = self._whom(number, caller)
        reason = self._reason(stated, moment)
        found = await self._registrar.record_of(subscriber, caller)
        hidden = masked(subscriber)
        await self._record(looks.look(caller, moment, operation="show-subscriber", subscriber=hidden, reason=reason))
        return found

    async def file(self, number: str, stated: Fields, caller: Caller, moment: int) -> SubscriberFile:
        """The person's file, once it is recorded that it was asked for. Raises `Problem`, `KafkaError`."""
        subscriber = self._whom(number, caller)
        reason = self._reason(stated, moment)
        known = await self._registrar.record_of(subscriber, caller)
        views = await views_naming(self._config, subscriber, client=CLIENT)
        orders = await orders_on(self._config, subscriber, client=CLIENT)
        file = files.file_of(
            subscriber,
            known.expressions,
            orders,
            views,
            moment,
            config=self._config,
            settings=self._terms.settings,
        )
        look = looks.look(
            caller,
            moment,
            operation="export-subscriber",
            cases=[one.case for one in file.cases],
            subscriber=masked(subscriber),
            reason=reason,
        )
        await self._record(look)
        return file

    async def erase(self, number: str, stated: Fields, caller: Caller, moment: int) -> Erased:
        """What no duty keeps is erased, in the registry and in cases. Raises `Problem`, `KafkaError`."""
        subscriber = self._whom(number, caller)
        reason = self._reason(stated, moment)
        views = await views_naming(self._config, subscriber, client=CLIENT)
        erasable = files.erasable(subscriber, views, moment, self._terms.settings)
        happened = looks.look(caller, moment, operation="erase-subscriber", reason=reason)
        await self._record(happened)
        answer = await self._registrar.erase(subscriber, caller)
        for case in erasable.gone:
            await self._writer.erase(CASES, case)
        return Erased(
            id=happened.access,
            time=moment,
            expressions_count=answer.admitted,
            cases_count=len(erasable.gone),
            kept=(*files.of_registry(answer), *erasable.kept, *files.elsewhere(moment, self._config)),
        )

    def _reason(self, stated: Fields, moment: int) -> str:
        reading = FormContext(self._terms.numbering, moment)
        return request_parsing.record(stated, Reasoned, made={}, reading=reading).reason

    def _whom(self, number: str, caller: Caller) -> str:
        """The number as it is registered, if this caller may speak for its person. Raises `Problem` 400 or 403."""
        subscriber = self._terms.numbering.read(number)
        if not self._terms.numbering.is_person(subscriber):
            raise faulty(Fault("number", f"not {PERSON}", "state it in the path, with + as %2B"))
        if not caller.acts_for_subscriber(subscriber):
            raise forbidden("a subscriber's agent speaks for the subscribers of its scope, and this number is none")
        return subscriber
