"""The bad-actor list (Article 36): an operator that was punished enters it, notified first, with time to object.

The article says who enters, not for how long: time to object and length are settings. An objection is an
appeal like any other; unlike a measure, a listing waits for it, because a name once published cannot be taken
back.
"""

from enum import StrEnum

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import OpenCase, SendNotice, WriteListing
from stream.enforce.procedures.engine import (
    Condition,
    Done,
    Procedure,
    RowBuilder,
    Turn,
    breach,
    fired,
)
from stream.enforce.procedures.ids import appeal_case, made_id
from stream.enforce.procedures.messages import AppealDecided, Appealed, AppealWithdrawn, Lift
from stream.enforce.procedures.telling import (
    Delivered,
    DeliveryFailed,
    Served,
    WaitingCase,
    ask,
    over,
    reached,
    waiting_rows,
)
from stream.model.control import CaseId, Listing, Notice, NoticeSubject, Punishment, party_key

BASIS = "bad-actors"


class ListingState(StrEnum):
    """Where a listing stands."""

    NEW = "new"
    TELLING = "telling"
    PROPOSED = "proposed"
    CONTESTED = "contested"
    LISTED = "listed"
    DROPPED = "dropped"
    REMOVED = "removed"
    EXPIRED = "expired"


class ListingCase(WaitingCase, frozen=True, kw_only=True):
    """One punishment on its way to the list. `punishment` is absent only before the first step."""

    state: ListingState = ListingState.NEW
    punishment: Punishment | None = None
    appeal: CaseId | None = None
    listing: Listing | None = None


class Punished(msgspec.Struct, frozen=True, tag_field="event", tag="punished"):
    """An authority has punished an operator."""

    punishment: Punishment


ListingEvent = (
    Punished | Delivered | DeliveryFailed | Served | Appealed | AppealDecided | AppealWithdrawn | Lift | ClockFired
)

MAY_APPEAL = Condition[ListingCase, Appealed](
    "the party objects, and no objection of it is pending or was decided",
    lambda turn: turn.case.appeal is None and turn.event.appeal.party == _punishment(turn.case).party,
)
PARTY_WINS = Condition[ListingCase, AppealDecided](
    "it is this case's appeal, and the party wins",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "party",
)
LISTING_STANDS = Condition[ListingCase, AppealDecided](
    "it is this case's appeal, and the listing stands",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "measure",
)
IN_TIME = Condition[ListingCase, AppealWithdrawn](
    "it is this case's appeal, and the time to object is not over",
    lambda turn: turn.event.appeal == turn.case.appeal and any(clock.clock == "object" for clock in turn.case.clocks),
)
OUR_APPEAL = Condition[ListingCase, AppealWithdrawn](
    "it is this case's appeal", lambda turn: turn.event.appeal == turn.case.appeal
)


def _propose(turn: Turn[ListingCase, Punished]) -> Done[ListingCase]:
    """The party is notified of what is to be published and where to object."""
    case = msgspec.structs.replace(turn.case, punishment=turn.event.punishment)
    notice = _notice(turn, turn.event.punishment, subject="listing", reason="punished")
    return ask(turn, case, notice)


def _may_object(turn: Turn[ListingCase, msgspec.Struct]) -> Done[ListingCase]:
    """The party was notified: the clock to object starts."""
    return reached(turn, turn.clock("object"))


def _open_appeal_unnotified(turn: Turn[ListingCase, Appealed]) -> Done[ListingCase]:
    """The appeal's own case is opened; the party evidently knows, so the clock to object starts."""
    opened, told = _open_appeal(turn), _may_object(turn)
    return Done(msgspec.structs.replace(opened.case, awaited=None), (*told.acts, *opened.acts))


def _open_appeal(turn: Turn[ListingCase, Appealed]) -> Done[ListingCase]:
    """The appeal's own case is opened; nothing is published before it is decided."""
    appeal = appeal_case(turn.event.appeal)
    case = msgspec.structs.replace(turn.case, appeal=appeal)
    return Done(case, (OpenCase("appeal", appeal, turn.event),))


def _time_over(turn: Turn[ListingCase, ClockFired]) -> Done[ListingCase]:
    """Its time to object is over; what it has objected is still to be decided."""
    return Done(turn.case)


def _object_anew(turn: Turn[ListingCase, AppealWithdrawn]) -> Done[ListingCase]:
    """The party may object anew, in what is left of its time."""
    return Done(msgspec.structs.replace(turn.case, appeal=None))


def _list(turn: Turn[ListingCase, msgspec.Struct]) -> Done[ListingCase]:
    """The entry is published, with its end."""
    punishment, listed = _punishment(turn.case), turn.clock("listed")
    listing = Listing(
        listing=made_id("B", turn.case.case),
        party=punishment.party,
        from_=turn.now,
        until=listed.clock.due,
        punishment=punishment.punishment,
        document=punishment.document,
    )
    return Done(
        msgspec.structs.replace(turn.case, listing=listing), (*over(turn, "object"), WriteListing(listing), listed)
    )


def _drop(turn: Turn[ListingCase, AppealDecided | Lift]) -> Done[ListingCase]:
    """Nothing is published; the party is notified."""
    notice = _notice(turn, _punishment(turn.case), subject="listing", reason=turn.event.reason)
    return Done(turn.case, (SendNotice(notice),))


def _remove(turn: Turn[ListingCase, Lift]) -> Done[ListingCase]:
    """The entry ends now; the party is notified."""
    listing = turn.case.listing
    assert listing is not None, f"{turn.case.case}: what is listed has an entry"
    ended = msgspec.structs.replace(listing, until=turn.now)
    notice = _notice(turn, _punishment(turn.case), subject="listing", reason=turn.event.reason)
    return Done(msgspec.structs.replace(turn.case, listing=ended), (WriteListing(ended), SendNotice(notice)))


def _expire(turn: Turn[ListingCase, ClockFired]) -> Done[ListingCase]:
    """The entry has come to its end; the party is notified."""
    notice = _notice(turn, _punishment(turn.case), subject="listing", reason="the entry has come to its end")
    return Done(turn.case, (SendNotice(notice),))


def _punishment(case: ListingCase) -> Punishment:
    assert case.punishment is not None, f"{case.case}: every step but the first has a punishment"
    return case.punishment


def _notice(
    turn: Turn[ListingCase, msgspec.Struct], punishment: Punishment, *, subject: NoticeSubject, reason: str
) -> Notice:
    return Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        to=party_key(punishment.party),
        subject=subject,
        reason=reason,
        basis=BASIS,
        appeal=turn.terms.appeal,
        evidence=(punishment.document,),
    )


# ---- the table

S = ListingState
row = RowBuilder(ListingCase)

# fmt: off
TABLE = (
    row(S.NEW,       Punished,        S.TELLING,   _propose),
    *waiting_rows(row, S.TELLING, S.PROPOSED, _may_object),
    row(S.TELLING,   ClockFired,      None,        breach, fired("tell")),
    row(S.TELLING,   Appealed,        S.CONTESTED, _open_appeal_unnotified, MAY_APPEAL),
    row(S.PROPOSED,  Appealed,        S.CONTESTED, _open_appeal, MAY_APPEAL),
    row(S.PROPOSED,  ClockFired,      S.LISTED,    _list, fired("object")),
    row(S.CONTESTED, ClockFired,      None,        _time_over, fired("object")),
    row(S.CONTESTED, AppealDecided,   S.DROPPED,   _drop, PARTY_WINS),
    row(S.CONTESTED, AppealDecided,   S.LISTED,    _list, LISTING_STANDS),
    row(S.CONTESTED, AppealWithdrawn, S.PROPOSED,  _object_anew, IN_TIME),
    row(S.CONTESTED, AppealWithdrawn, S.LISTED,    _list, OUR_APPEAL),
    row((S.TELLING, S.PROPOSED, S.CONTESTED), Lift, S.DROPPED, _drop),
    row(S.LISTED,    Lift,            S.REMOVED,   _remove),
    row(S.LISTED,    ClockFired,      S.EXPIRED,   _expire, fired("listed")),
)
# fmt: on

PROCEDURE = Procedure[ListingCase](
    name="listing",
    title="The bad-actor list",
    articles="Article 36 (time to object and length are settings)",
    theory=(
        "Notified first, with time to object from when the party was reached, then listed for a time. Nothing is "
        "published while it is contested; an objection that was withdrawn may be made anew in that time."
    ),
    states={
        S.NEW: "nothing has happened",
        S.TELLING: "the notice is on its way",
        S.PROPOSED: "the party was notified, and may object",
        S.CONTESTED: "the party has objected",
        S.LISTED: "published",
        S.DROPPED: "never published",
        S.REMOVED: "ended early",
        S.EXPIRED: "came to its end",
    },
    ended=frozenset((S.DROPPED, S.REMOVED, S.EXPIRED)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Lift, Served),
)
