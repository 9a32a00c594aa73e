"""How a measure begins: what was found, by whom, and who has seconded it.

The rows are `measure`'s, which also says why no person brings a measure about alone.
"""

import msgspec

from stream.enforce.procedures.effects import Alert, KeepRecord
from stream.enforce.procedures.engine import Condition, Done, Turn
from stream.enforce.procedures.measure_case import MeasureCase
from stream.enforce.procedures.measure_orders import changed, finding_of, first_acts, in_force
from stream.enforce.procedures.messages import FindingRouted, Lift, Seconded
from stream.model.control import AT_ONCE_BASES, Finding

# ---- conditions


AT_ONCE = Condition[MeasureCase, FindingRouted](
    "it is prohibited content, or a regulator's order to act at once",
    lambda turn: turn.event.at_once and turn.event.finding.basis in AT_ONCE_BASES,
)
NEVER_BEGUN = Condition[MeasureCase, FindingRouted](
    "it was taken back before it came", lambda turn: turn.case.finding is None
)
BY_ONE_PERSON = Condition[MeasureCase, FindingRouted](
    "one person found it, by an inspection", lambda turn: _is_one_persons(turn.event.finding)
)
BY_ANOTHER = Condition[MeasureCase, Seconded](
    "it is another person than whoever found it",
    lambda turn: turn.event.actor is None or turn.event.actor != finding_of(turn.case).actor,
)
FOUND_BY_ANOTHER = Condition[MeasureCase, FindingRouted](
    "another person, or something else than an inspection, found it too",
    lambda turn: not _is_one_persons(turn.event.finding) or turn.event.finding.actor != finding_of(turn.case).actor,
)


def _is_one_persons(finding: Finding) -> bool:
    """Whether nobody but one person says so; what machines find has no finder, and other cases decide by two."""
    return finding.grounds == "inspection" and finding.actor is not None


# ---- actions


def notify(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The party is notified of measure, reason, evidence, grace and where to appeal; the record is kept."""
    case = _opened(turn)
    return Done(case, (*first_acts(turn, case, at_once=False), turn.clock("tell")))


def await_second(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """Nobody is told, and nothing follows, before another person has looked at it; people are asked to."""
    return Done(_opened(turn), (Alert("decision", "second"),))


def second(turn: Turn[MeasureCase, Seconded]) -> Done[MeasureCase]:
    """The party is notified of measure, reason, evidence, grace and where to appeal; the record is kept."""
    case = msgspec.structs.replace(turn.case, seconded=turn.event, sent_at=turn.now)
    return Done(case, (*first_acts(turn, case, at_once=False), turn.clock("tell")))


def second_by_finding(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The finding joins the case, and the party is notified; the records are kept."""
    joined = join(turn)
    case = msgspec.structs.replace(joined.case, sent_at=turn.now)
    return Done(case, (*joined.acts, *first_acts(turn, case, at_once=False), turn.clock("tell")))


def join(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The finding joins the case; its record is kept."""
    case, finding = turn.case, turn.event.finding
    if finding.finding in case.joined or finding == case.finding:
        return Done(case)
    joined = (*case.joined, finding.finding)[: turn.terms.settings.joined_max]
    kept = KeepRecord(finding.evidence or (finding.finding,), finding.basis)
    return Done(msgspec.structs.replace(case, joined=joined, joined_count=case.joined_count + 1), (kept,))


def drop(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """The finding comes to nothing; nobody was told of it."""
    return Done(turn.case, changed(turn.case, "annulled"))


def enforce_and_notify(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The order is written and the party notified, in one step; the record is kept."""
    case = _opened(turn)
    done = in_force(turn, case)
    return Done(done.case, (*first_acts(turn, case, at_once=True), *done.acts, turn.clock("tell")))


def never(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """Nothing was done, so nothing is to be undone."""
    return Done(turn.case)


def too_late(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The finding comes to nothing."""
    case = _opened(turn)
    return Done(case, changed(case, "annulled"))


# ---- what the actions are made of


def _opened(turn: Turn[MeasureCase, FindingRouted]) -> MeasureCase:
    found = turn.event
    return msgspec.structs.replace(
        turn.case,
        finding=found.finding,
        measure=found.measure,
        origin=found.origin,
        replaces=found.replaces,
        until=found.until,
        notice=turn.name("N"),
        sent_at=turn.now,
    )
