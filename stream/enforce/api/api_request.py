"""One request of the API: caller, fields, case, time; and the records to write for it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from stream.enforce.api import permissions, request_parsing
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Accepted, unknown, wrong_state
from stream.enforce.cases.store import Rejected
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.forms import FormContext
from stream.enforce.procedures.terms import Terms
from stream.model.cases import CaseView
from stream.model.control import CaseId
from stream.model.registry import Expression, Order, Sender
from stream.registry.order_rule import Received
from stream.registry.registry import Registry

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request: caller, fields, moment (ms), case. `id` names the record that it makes; a repeat has the same."""

    caller: Caller
    stated: Fields
    now: int
    id: str
    case: CaseId
    index: CaseIndex
    terms: Terms
    colleagues: frozenset[str] = frozenset()
    """the people of the caller's office"""

    @property
    def made(self) -> dict[str, object]:
        """The fields that the API alone sets in every record."""
        return {"time": self.now, "actor": self.caller.actor}

    def event_id(self, procedure: str) -> str:
        """The id of the event that it makes, of a case of this procedure."""
        return f"{self.id}@{procedure}"

    def record(
        self,
        kind: type[T],
        *,
        made: Mapping[str, object],
        preset: Mapping[str, object] | None = None,
        stated: Fields | None = None,
    ) -> T:
        """The record that the request's fields make. Raises `Problem` 400 with all its faults."""
        return request_parsing.record(
            self.stated if stated is None else stated,
            kind,
            made=made,
            preset=preset,
            reading=FormContext(self.terms.numbering, self.now),
        )

    def view(self, case: CaseId, procedure: ProcedureName | None = None) -> CaseView:
        """The case, if this caller may see it. Raises `Problem` 404, also for one of another procedure."""
        view = self.index.view(case, self.caller)
        if view is None or procedure not in (None, view.procedure):
            raise unknown(case)
        return view

    def would_take(self, view: CaseView, event: msgspec.Struct) -> CaseView:
        """The case as it will be. Raises `Problem` 409 where it does not take this event of this person now."""
        after = permissions.tried(view, event, self.now, self.terms, self.caller.actor)
        if isinstance(after, Rejected):
            raise wrong_state(after.reason, permissions.possible(view, self.caller))
        return after


class Registration(NamedTuple):
    """A sender's record that is registered beside what is written; `failed` answers where it was not, given why."""

    sender: Sender
    failed: Callable[[str], Accepted]


class Write(NamedTuple):
    """The record to write, under its key, in the partition of `partition_key`; and the answer once it is written.

    `register`: what else is asked for once it is written, and holds nothing up.
    """

    topic: str
    key: str
    partition_key: str
    record: msgspec.Struct
    answer: Accepted
    register: Registration | None = None


class Expressed(NamedTuple):
    """What a subscriber said, of which the registrar is asked; and the answer once it stands."""

    expression: Expression
    answer: Accepted


class ConditionalWrite(NamedTuple):
    """A write that depends on what a subscriber said, as the registrar has it: `resolve` gives it."""

    subscriber: str
    resolve: Callable[[Sequence[Received]], Write]


class OrderWrite(NamedTuple):
    """A write under an order's id that the request states: `resolve`, given what stands there, or raises `Problem`."""

    order: str
    resolve: Callable[[Order | None], Write]


class SendersWrite(NamedTuple):
    """A write that depends on whose the senders' numbers are now: `resolve` returns it, or raises `Problem` 400.

    `fresh`: read for this request, since what is registered takes the place of what was read.
    """

    resolve: Callable[[Registry], Write | ConditionalWrite]
    fresh: bool = False
