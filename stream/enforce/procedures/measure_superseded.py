"""How a measure gives way to a heavier one, what happens to it meanwhile, and how it stands again.

The rows are `measure`'s. It stands again, where it stood, when the heavier one is annulled.
"""

from typing import Final

import msgspec

from stream.enforce.procedures.effects import WriteOrder
from stream.enforce.procedures.engine import Condition, Done, Turn
from stream.enforce.procedures.measure_case import STANDING, MeasureCase, MeasureState
from stream.enforce.procedures.measure_orders import (
    changed,
    end_or_review,
    finding_of,
    grace,
    lifted,
    notify_of_restoration,
)
from stream.enforce.procedures.messages import AppealDecided, AppealWithdrawn, Restored, Superseded
from stream.enforce.procedures.telling import Delivered

ORDERED: Final = "regulator-order"
"""The basis of what an authority ordered."""


# ---- conditions


BY_AUTHORITY = Condition[MeasureCase, Superseded](
    "an authority ordered it", lambda turn: finding_of(turn.case).basis == ORDERED
)


def stood_as(state: MeasureState) -> Condition[MeasureCase, Restored]:
    """Whether it stood in this state before that measure took its place, and its own end has not come."""

    def holds(turn: Turn[MeasureCase, Restored]) -> bool:
        case = turn.case
        runs = state not in STANDING or (case.order is not None and case.order.in_force(turn.now))
        return case.gave_way == state and case.gave_way_to == turn.event.by and runs

    standing = ", and its own end has not come" if state in STANDING else ""
    return Condition(f"it gave way to that one when it was `{state}`{standing}", holds)


# ---- actions


def supersede(turn: Turn[MeasureCase, Superseded]) -> Done[MeasureCase]:
    """The order, if there is one, gives way to the heavier one."""
    case = msgspec.structs.replace(turn.case, gave_way=turn.case.state, gave_way_to=turn.event.by, interim=None)
    return Done(case, (*lifted(turn), *changed(turn.case, "ended")))


def stand_fast(turn: Turn[MeasureCase, Superseded]) -> Done[MeasureCase]:
    """It stands beside the heavier one: what an authority ordered it alone ends."""
    return Done(turn.case)


def notified_aside(turn: Turn[MeasureCase, Delivered]) -> Done[MeasureCase]:
    """The party was notified; should the measure stand again, its grace starts."""
    stood = turn.case.gave_way
    after = MeasureState.WARNED if stood == MeasureState.TELLING else stood
    return Done(msgspec.structs.replace(turn.case, notified=turn.now, gave_way=after))


def lost_aside(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """Should the measure stand again, it takes its course."""
    return Done(_without_appeal(turn.case))


def withdrawn_aside(turn: Turn[MeasureCase, AppealWithdrawn]) -> Done[MeasureCase]:
    """Should the measure stand again, it takes its course, and the party may appeal anew."""
    return Done(msgspec.structs.replace(_without_appeal(turn.case), appeal=None))


def tell_again(turn: Turn[MeasureCase, Restored]) -> Done[MeasureCase]:
    """It is pending again: its notice is still on its way."""
    return Done(turn.case, (turn.clock("tell"), *changed(turn.case, "resumed")))


def resume_grace(turn: Turn[MeasureCase, Restored]) -> Done[MeasureCase]:
    """It is pending again: what is left of its grace runs."""
    notified = turn.case.notified
    assert notified is not None, f"{turn.case.case}: it was warned or contested"
    return Done(turn.case, (grace(turn, notified), *changed(turn.case, "resumed")))


def stand_again(turn: Turn[MeasureCase, Restored]) -> Done[MeasureCase]:
    """The order is written again, with its own end; the party is notified."""
    before = turn.case.order
    assert before is not None, "the condition of this row asks for it"
    order = msgspec.structs.replace(before, from_=turn.now)
    case = msgspec.structs.replace(turn.case, order=order)
    told = notify_of_restoration(turn, case)
    return Done(case, (WriteOrder(order), end_or_review(turn, order), *changed(case, "in-force"), told))


# ---- what the actions are made of


def _without_appeal(case: MeasureCase) -> MeasureCase:
    after = {MeasureState.CONTESTED: MeasureState.WARNED, MeasureState.APPEALED: MeasureState.IN_FORCE}
    stood = case.gave_way
    return msgspec.structs.replace(case, gave_way=after.get(stood, stood) if stood else None)
