"""Escalation: which measure a new finding about a party leads to, and whether it joins a case or opens one.

One record per sender, or number that nobody owns (on the wire its procedure is named `docket`). It holds the measures
that were in force (so that repeat findings cost more), and the cases that are open. Whatever raises findings (early
warning, complaints, authorities) raises them here, so that two findings about one party never run side by side as if
each were the first.
"""

from typing import Final, NamedTuple

import msgspec

from stream.enforce.procedures.effects import Effect, NotifyCase, OpenCase, keyed
from stream.enforce.procedures.ids import made_id, measure_case
from stream.enforce.procedures.messages import FindingRouted, MeasureChanged
from stream.enforce.procedures.terms import Terms
from stream.model.control import CaseId, Direction, Finding
from stream.model.fields import Channel, Measure

WEIGHT: Final[dict[Measure, int]] = {"limit": 0, "stop": 1, "suspend": 2}

PAST_MAX: Final = 16
"""Sustained measures kept: far more than a ladder has rungs."""

SEEN_MAX: Final = 64
"""Ids of findings kept so that one that is raised twice counts once."""


class PastMeasure(msgspec.Struct, frozen=True):
    """A measure that came into force, and when."""

    case: CaseId
    at: int


class OpenMeasure(msgspec.Struct, frozen=True):
    """A case that has not ended: not yet in force, or in force."""

    case: CaseId
    measure: Measure
    channel: Channel | None
    in_force: bool = False

    def covers(self, channel: Channel | None) -> bool:
        """Whether this case's measure reaches what happens on that channel."""
        return self.channel is None or self.channel == channel


class PartyRecord(msgspec.Struct, frozen=True):
    """The open cases, earlier measures and known findings of a party, newest last."""

    open: tuple[OpenMeasure, ...] = ()
    past: tuple[PastMeasure, ...] = ()
    seen: tuple[str, ...] = ()


class Routed(NamedTuple):
    """The record after a finding, and what to do."""

    record: PartyRecord
    effects: tuple[Effect, ...]


def next_measure(record: PartyRecord, finding: Finding, now: int, terms: Terms) -> Measure:
    """The measure that follows from the number of sustained findings within `memory_ms`; the last of the ladder when
    there are more.
    """
    rungs = terms.ladder(finding.grounds)
    earlier = sum(now - past.at < terms.settings.memory_ms for past in record.past)
    return rungs[min(earlier, len(rungs) - 1)]


def route(
    record: PartyRecord,
    finding: Finding,
    now: int,
    terms: Terms,
    *,
    origin: CaseId | None = None,
    direction: Direction | None = None,
) -> Routed:
    """The record after a finding, and its effects. A finding that was seen before has none.

    It joins a case on its channel that is not yet in force, or one whose measure is as heavy as it would lead
    to. Otherwise it opens a case, which takes the place of lighter ones once it is in force. What an
    authority orders, and prohibited content, always open their own.
    """
    if finding.finding in record.seen:
        return Routed(record, ())
    prohibited = finding.basis == "prohibited-content"
    measure = direction.measure if direction else next_measure(record, finding, now, terms)
    found = FindingRouted(
        finding,
        measure,
        at_once=direction.at_once if direction else prohibited,
        origin=origin,
        until=direction.until if direction else None,
    )
    key = made_id("K", finding.finding)
    after = msgspec.structs.replace(record, seen=(*record.seen, finding.finding)[-SEEN_MAX:])
    joined = None if direction or prohibited else _joined(record, measure, finding.channel)
    if joined is not None:
        return Routed(after, keyed(key, 0, (NotifyCase(joined.case, found),)))
    opened = OpenMeasure(measure_case(finding), measure, finding.channel)
    found = msgspec.structs.replace(found, replaces=_replaced(record, opened))
    after = msgspec.structs.replace(after, open=(*record.open, opened))
    return Routed(after, keyed(key, 0, (OpenCase("measure", opened.case, found),)))


def changed(record: PartyRecord, change: MeasureChanged, now: int) -> PartyRecord:
    """The record after one of its cases came into force or ended.

    An annulled measure was no repeat: forgotten. One that had ended for a heavier one's sake is open again when that
    was annulled.
    """
    case = change.measure_case
    past = tuple(past for past in record.past if past.case != case)
    others = tuple(one for one in record.open if one.case != case)
    match change.change:
        case "in-force":
            known = next((one for one in record.open if one.case == case), None)
            one = known or OpenMeasure(case, change.measure, change.channel)
            open_ = (*others, msgspec.structs.replace(one, in_force=True))
            return msgspec.structs.replace(record, open=open_, past=(*past, PastMeasure(case, now))[-PAST_MAX:])
        case "resumed":
            resumed = OpenMeasure(case, change.measure, change.channel)
            return msgspec.structs.replace(record, open=(*others, resumed))
        case "ended":
            past = record.past
        case "annulled":
            pass
    return msgspec.structs.replace(record, open=others, past=past)


def _joined(record: PartyRecord, measure: Measure, channel: Channel | None) -> OpenMeasure | None:
    candidates = (
        one
        for one in reversed(record.open)
        if one.covers(channel) and (not one.in_force or WEIGHT[one.measure] >= WEIGHT[measure])
    )
    return next(candidates, None)


def _replaced(record: PartyRecord, opened: OpenMeasure) -> tuple[CaseId, ...]:
    """Lighter measures on what the new one reaches.

    One that is as heavy stands beside it, with its own end.
    """
    return tuple(
        one.case for one in record.open if opened.covers(one.channel) and WEIGHT[one.measure] < WEIGHT[opened.measure]
    )
