"""The measure procedure (Article 22): from a finding, by way of a notice, to a limit, a stop or a suspension.

Promise: **no party is suspended that was not notified first.** A party *was notified* when its notice was delivered, or
served by one person and confirmed by another, when it appealed (who appeals knows), or when `attempts_min` deliveries
failed at its own end over at least `attempts_span_ms`; then it has the measure's grace to mend or object. The two
exceptions are those of DESIGN section 4: prohibited content, and an order of the regulator that says so. Then the
notice goes out in the same step as the order. Every order names its notice, and every suspension has an end, or a
review date that is set again until somebody ends it.

Only a suspension needs prior telling: where a notice cannot be delivered and waits to be served, commercial traffic is
stopped meanwhile, or as much as the measure itself would stop.

An appeal does not hold a measure up: otherwise every violator would appeal, and Articles 38 to 40 punish
delay.

No person brings a measure about alone: what one found by an inspection is told to nobody, and nothing follows from it,
before another person has seconded it, or something else was found that comes to the same.

A heavier measure takes the place of lighter ones, but for what an authority ordered; if it is annulled, they stand
again where they stood.

The actions by which it begins are `measure_found`'s, those by which it gives way and stands again
`measure_superseded`'s, what orders and notices say `measure_orders`'.

Never here: which measure follows from a finding (`escalation`), what early warning finds (`stream.warning.rules`).
"""

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Alert, OpenCase
from stream.enforce.procedures.engine import Condition, Done, Procedure, RowBuilder, Turn, breach, fired
from stream.enforce.procedures.ids import appeal_case
from stream.enforce.procedures.measure_case import (
    ENDED,
    PENDING,
    STANDING,
    MeasureCase,
    MeasureEvent,
    MeasureState,
    Reviewed,
)
from stream.enforce.procedures.measure_found import (
    AT_ONCE,
    BY_ANOTHER,
    BY_ONE_PERSON,
    FOUND_BY_ANOTHER,
    NEVER_BEGUN,
    await_second,
    drop,
    enforce_and_notify,
    join,
    never,
    notify,
    second,
    second_by_finding,
    too_late,
)
from stream.enforce.procedures.measure_orders import (
    changed,
    end,
    finding_of,
    grace,
    in_force,
    meanwhile,
    restored,
    review,
)
from stream.enforce.procedures.measure_superseded import (
    BY_AUTHORITY,
    lost_aside,
    notified_aside,
    resume_grace,
    stand_again,
    stand_fast,
    stood_as,
    supersede,
    tell_again,
    withdrawn_aside,
)
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    FindingRouted,
    Lift,
    Restored,
    Seconded,
    Superseded,
)
from stream.enforce.procedures.telling import (
    DELIVERED,
    Delivered,
    DeliveryFailed,
    Served,
    asks_to_serve,
    over,
    reached,
    waiting_rows,
)

# ---- conditions


def _at_addressee(turn: Turn[MeasureCase, DeliveryFailed]) -> bool:
    delivery = turn.event.delivery
    return delivery.notice == turn.case.waits_for and delivery.at_addressee


def _tried_enough(turn: Turn[MeasureCase, DeliveryFailed]) -> bool:
    settings, first = turn.terms.settings, turn.case.failed_first
    return (
        _at_addressee(turn)
        and first is not None
        and turn.case.failures_count + 1 >= settings.attempts_min
        and turn.now - first >= settings.attempts_span_ms
    )


AT_ADDRESSEE = Condition[MeasureCase, DeliveryFailed](
    "it is the notice that the case waits for, and failed at the addressee's end", _at_addressee
)
TRIED_ENOUGH = Condition[MeasureCase, DeliveryFailed](
    "its delivery failed at the addressee's end often enough, over long enough", _tried_enough
)
PARTY_WINS = Condition[MeasureCase, AppealDecided](
    "it is this case's appeal, and the party wins",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "party",
)
MEASURE_STANDS = Condition[MeasureCase, AppealDecided](
    "it is this case's appeal, and the measure stands",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "measure",
)
OUR_APPEAL = Condition[MeasureCase, AppealWithdrawn](
    "it is this case's appeal", lambda turn: turn.event.appeal == turn.case.appeal
)
MAY_APPEAL = Condition[MeasureCase, Appealed](
    "the party of the measure appeals, and no appeal of it is pending or was decided",
    lambda turn: turn.case.appeal is None and turn.event.appeal.party == finding_of(turn.case).party,
)
KEPT = Condition[MeasureCase, Reviewed]("the measure is kept", lambda turn: turn.event.keep)
NOT_KEPT = Condition[MeasureCase, Reviewed]("the measure is not kept", lambda turn: not turn.event.keep)


# ---- actions


def _start_grace(turn: Turn[MeasureCase, msgspec.Struct]) -> Done[MeasureCase]:
    """The party was notified: the grace period starts."""
    done = reached(turn, grace(turn, turn.now))
    return Done(msgspec.structs.replace(done.case, notified=turn.now), done.acts)


def _note_notified(turn: Turn[MeasureCase, msgspec.Struct]) -> Done[MeasureCase]:
    """The party was notified of what is in force already."""
    done = reached(turn)
    return Done(msgspec.structs.replace(done.case, notified=turn.now), done.acts)


def _deem_notified(turn: Turn[MeasureCase, DeliveryFailed]) -> Done[MeasureCase]:
    """The party counts as notified: the grace period starts, and people should look."""
    done = _start_grace(turn)
    return Done(done.case, (*done.acts, Alert("decision", "party-not-reached")))


def _failed(turn: Turn[MeasureCase, DeliveryFailed]) -> Done[MeasureCase]:
    """The attempt is counted."""
    case = turn.case
    first = turn.now if case.failed_first is None else case.failed_first
    return Done(msgspec.structs.replace(case, failed_first=first, failures_count=case.failures_count + 1))


def _stop_meanwhile(turn: Turn[MeasureCase, DeliveryFailed]) -> Done[MeasureCase]:
    """People are asked to serve the notice; commercial traffic is stopped meanwhile, or what the measure would stop."""
    done = meanwhile(turn)
    return Done(done.case, (*asks_to_serve(turn.event.delivery), *done.acts))


def _untold(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """The breach is recorded and people are alerted; commercial traffic is stopped meanwhile, or what it would stop."""
    done = meanwhile(turn)
    return Done(done.case, (*breach(turn).acts, *done.acts))


def _enforce(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """The order is written, and the lighter measures that it replaces are ended."""
    return in_force(turn, turn.case)


def _open_appeal(turn: Turn[MeasureCase, Appealed]) -> Done[MeasureCase]:
    """The appeal's own case is opened."""
    appeal, notified = appeal_case(turn.event.appeal), turn.case.notified
    case = msgspec.structs.replace(turn.case, appeal=appeal, notified=turn.now if notified is None else notified)
    return Done(case, (OpenCase("appeal", appeal, turn.event), *over(turn, "tell")))


def _open_appeal_unnotified(turn: Turn[MeasureCase, Appealed]) -> Done[MeasureCase]:
    """The appeal's own case is opened; the party evidently knows, so the grace period starts."""
    opened = _open_appeal(turn)
    return Done(opened.case, (*opened.acts, grace(turn, turn.now)))


def _appeal_lost(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """The measure takes its course."""
    return Done(turn.case)


def _appeal_withdrawn(turn: Turn[MeasureCase, AppealWithdrawn]) -> Done[MeasureCase]:
    """The measure takes its course; the party may appeal anew."""
    return Done(msgspec.structs.replace(turn.case, appeal=None))


def _won(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """The measure ends, or never begins; its finding counts for nothing; lighter ones stand again; it is notified."""
    return end(turn, change="annulled", reason=turn.event.reason)


def _won_late(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """The measure has ended already; the finding counts for nothing from now on; lighter ones stand again."""
    return Done(turn.case, (*changed(turn.case, "annulled"), *restored(turn)))


def _expire(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """The order has come to its end; the party is notified."""
    return end(turn, change="ended", reason="the measure has come to its end")


def _lift(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """The order is lifted; the party is notified. If the finding was wrong, lighter measures stand again."""
    return end(turn, change="annulled" if turn.event.annul else "ended", reason=turn.event.reason)


def _withdraw(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """The measure never begins; the party is notified."""
    return end(turn, change="annulled", reason=turn.event.reason)


def _lift_on_review(turn: Turn[MeasureCase, Reviewed]) -> Done[MeasureCase]:
    """The order is lifted; the party is notified."""
    return end(turn, change="ended", reason=turn.event.reason)


def _keep(turn: Turn[MeasureCase, Reviewed]) -> Done[MeasureCase]:
    """The next review is set, if the order has no end of its own."""
    order = turn.case.order
    return Done(turn.case, (review(turn),) if order is not None and order.until is None else ())


def _ask_review(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """People are asked whether the measure is still needed; the next review is set, whatever they do."""
    return Done(turn.case, (Alert("decision", "review"), review(turn)))


def _nothing(turn: Turn[MeasureCase, msgspec.Struct]) -> Done[MeasureCase]:
    """Nothing is to be done."""
    return Done(turn.case)


# ---- the table

S = MeasureState
row = RowBuilder(MeasureCase)

# fmt: off
TABLE = (
    row(S.NEW,       FindingRouted,   S.IN_FORCE,   enforce_and_notify, AT_ONCE),
    row(S.NEW,       FindingRouted,   S.FOUND,      await_second, BY_ONE_PERSON),
    row(S.NEW,       FindingRouted,   S.TELLING,    notify),
    # One person found it.
    row(S.FOUND,     Seconded,        S.TELLING,    second, BY_ANOTHER),
    row(S.FOUND,     FindingRouted,   S.TELLING,    second_by_finding, FOUND_BY_ANOTHER),
    row(S.FOUND,     FindingRouted,   None,         join),
    row(S.FOUND,     Lift,            S.WITHDRAWN,  drop),
    row(S.FOUND,     Superseded,      None,         _nothing),
    # Taken back before it came: messages of different cases may overtake each other.
    row(S.NEW,       Lift,            S.WITHDRAWN,  never),
    row(S.WITHDRAWN, FindingRouted,   None,         too_late, NEVER_BEGUN),
    # The party is notified, and has its grace.
    row(S.TELLING,   DeliveryFailed,  S.WARNED,     _deem_notified, TRIED_ENOUGH),
    row(S.TELLING,   DeliveryFailed,  None,         _failed, AT_ADDRESSEE),
    *waiting_rows(row, S.TELLING, S.WARNED, _start_grace, no_address=_stop_meanwhile),
    row(S.TELLING,   ClockFired,      None,         _untold, fired("tell")),
    row(S.TELLING,   Appealed,        S.CONTESTED,  _open_appeal_unnotified, MAY_APPEAL),
    row(S.WARNED,    Appealed,        S.CONTESTED,  _open_appeal, MAY_APPEAL),
    row(S.WARNED,    ClockFired,      S.IN_FORCE,   _enforce, fired("grace")),
    row(S.CONTESTED, ClockFired,      S.APPEALED,   _enforce, fired("grace")),
    row(PENDING,     Lift,            S.WITHDRAWN,  _withdraw),
    # In force.
    *waiting_rows(row, STANDING, None, _note_notified),
    row(STANDING,    ClockFired,      None,         breach, fired("tell")),
    row(S.IN_FORCE,  Appealed,        S.APPEALED,   _open_appeal, MAY_APPEAL),
    row(STANDING,    ClockFired,      S.EXPIRED,    _expire, fired("end")),
    row(STANDING,    ClockFired,      None,         _ask_review, fired("review")),
    row(STANDING,    Reviewed,        None,         _keep, KEPT),
    row(STANDING,    Reviewed,        S.LIFTED,     _lift_on_review, NOT_KEPT),
    row(STANDING,    Lift,            S.LIFTED,     _lift),
    # An appeal comes to its end.
    row((S.CONTESTED, S.APPEALED), AppealDecided, S.APPEAL_WON, _won, PARTY_WINS),
    row(S.CONTESTED, AppealDecided,   S.WARNED,     _appeal_lost, MEASURE_STANDS),
    row(S.APPEALED,  AppealDecided,   S.IN_FORCE,   _appeal_lost, MEASURE_STANDS),
    row(S.CONTESTED, AppealWithdrawn, S.WARNED,     _appeal_withdrawn, OUR_APPEAL),
    row(S.APPEALED,  AppealWithdrawn, S.IN_FORCE,   _appeal_withdrawn, OUR_APPEAL),
    # What comes later, or beside.
    row((*PENDING, *STANDING), FindingRouted, None, join),
    row((*PENDING, *STANDING), Superseded, None,    stand_fast, BY_AUTHORITY),
    row((*PENDING, *STANDING), Superseded, S.SUPERSEDED, supersede),
    row(ENDED,       Superseded,      None,         _nothing),
    # A heavier measure stands in its place, until it is annulled.
    row(S.SUPERSEDED, Restored,       S.TELLING,    tell_again, stood_as(S.TELLING)),
    row(S.SUPERSEDED, Restored,       S.WARNED,     resume_grace, stood_as(S.WARNED)),
    row(S.SUPERSEDED, Restored,       S.CONTESTED,  resume_grace, stood_as(S.CONTESTED)),
    row(S.SUPERSEDED, Restored,       S.IN_FORCE,   stand_again, stood_as(S.IN_FORCE)),
    row(S.SUPERSEDED, Restored,       S.APPEALED,   stand_again, stood_as(S.APPEALED)),
    row((S.FOUND, *PENDING, *STANDING, *ENDED), Restored, None, _nothing),
    row(S.SUPERSEDED, Delivered,      None,         notified_aside, DELIVERED),
    row(S.SUPERSEDED, AppealDecided,  S.APPEAL_WON, _won_late, PARTY_WINS),
    row(S.SUPERSEDED, AppealDecided,  None,         lost_aside, MEASURE_STANDS),
    row(S.SUPERSEDED, AppealWithdrawn, None,        withdrawn_aside, OUR_APPEAL),
    # It has ended.
    row(ENDED,       AppealDecided,   None,         _won_late, PARTY_WINS),
    row(ENDED,       AppealDecided,   None,         _appeal_lost, MEASURE_STANDS),
    row(ENDED,       AppealWithdrawn, None,         _appeal_withdrawn, OUR_APPEAL),
)
# fmt: on

PROCEDURE = Procedure[MeasureCase](
    name="measure",
    title="Measures against a violator",
    articles="Article 22; what Articles 15, 32 and 37 lead to comes here too",
    theory=(
        "No party is suspended that was not notified first: a measure comes into force when the grace of its "
        "notice has passed. The exceptions, prohibited content and an order of the regulator that says so, "
        "notify the party in the same step (our reading of Article 22). Notified is whom the connector reached, whom "
        "one person served and another confirmed it, who appeals, and who does not take at its own end what is "
        "delivered; nobody for want of an address. Only a suspension needs prior telling: where a notice waits to be "
        "served, commercial traffic is stopped meanwhile. An appeal does not hold the measure up; one that was "
        "withdrawn may be made anew. What one person found by an inspection begins nothing before another has "
        "seconded it. Lighter measures give way to a heavier one, but for what an authority ordered, "
        "and stand again when it is annulled."
    ),
    states={
        S.NEW: "nothing has happened",
        S.FOUND: "one person found it; another is to second it, and until then nothing follows",
        S.TELLING: "the notice is on its way",
        S.WARNED: "the party was notified; its grace runs",
        S.CONTESTED: "its grace runs, and it has appealed",
        S.IN_FORCE: "the order is in force",
        S.APPEALED: "the order is in force, and the party has appealed",
        S.APPEAL_WON: "the party won its appeal: the order is lifted, or was never written",
        S.EXPIRED: "the order came to its end",
        S.LIFTED: "whoever ordered it, or a review, ended it early",
        S.WITHDRAWN: "the measure never began",
        S.SUPERSEDED: "a heavier measure took its place",
    },
    ended=frozenset(ENDED),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Served, Reviewed, Lift),
)


__all__ = [
    "ENDED",
    "PENDING",
    "PROCEDURE",
    "STANDING",
    "TABLE",
    "MeasureCase",
    "MeasureEvent",
    "MeasureState",
    "Reviewed",
]
