"""What the rows of ordinary campaigns and of emergencies share: the filing as it is known, the campaign as it is
written, notices to the body.
"""

from typing import Final

import msgspec

from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign_case import CampaignCase, Filed, still_wrong, supplemented
from stream.enforce.procedures.engine import Condition, Turn
from stream.enforce.procedures.fitness import FilingFault
from stream.enforce.procedures.forms import Wrong
from stream.model.control import Figure, Filing, Notice, NoticeOutcome, NoticeSubject
from stream.model.fields import CampaignStatus
from stream.model.registry import Campaign

BASIS: Final = "public-interest"


def known(turn: Turn[CampaignCase, Filed]) -> Filing:
    """The filing with what this one adds."""
    return supplemented(turn.case.filing, turn.event.filing)


def wrong(turn: Turn[CampaignCase, Filed]) -> tuple[Wrong, ...]:
    """What of it is ill-formed still."""
    return still_wrong(turn.case.wrong, turn.event)


def missing(turn: Turn[CampaignCase, Filed]) -> tuple[str, ...]:
    """What it lacks, or states in no usable form."""
    return fitness.missing(known(turn), wrong(turn))


def faults(turn: Turn[CampaignCase, Filed]) -> tuple[FilingFault, ...]:
    """What is wrong with it and holds it up."""
    filing = known(turn)
    return fitness.held_up_by(filing, fitness.faults(filing, turn.now, turn.terms))


INCOMPLETE: Final = Condition[CampaignCase, Filed](
    "something is missing or ill-formed", lambda turn: bool(missing(turn))
)


def filing_of(case: CampaignCase) -> Filing:
    """The filing of a case that has taken its first step."""
    assert case.filing is not None, f"{case.case}: every step but the first has a filing"
    return case.filing


def is_open(case: CampaignCase, now: int) -> bool:
    """Whether the campaign may be sent, or will be."""
    return case.campaign is not None and case.campaign.status == "approved" and now < case.campaign.until


def campaign_of(turn: Turn[CampaignCase, msgspec.Struct], filing: Filing, status: CampaignStatus) -> Campaign:
    """The campaign of a filing, as it is written to the registry."""
    assert filing.from_ is not None, "what is written has a beginning"
    assert filing.until is not None, "what is written has an end"
    return Campaign(
        campaign=turn.case.case,
        status=status,
        sender=filing.sender or "",
        from_=filing.from_,
        until=filing.until,
        text=filing.text or "",
        emergency=filing.emergency,
        numbers=filing.numbers,
        contact=filing.contact,
        regions=fitness.regions_of(filing),
    )


def notice(
    turn: Turn[CampaignCase, msgspec.Struct],
    *,
    subject: NoticeSubject,
    reason: str,
    missing: tuple[str, ...] = (),
    figures: tuple[Figure, ...] = (),
    outcome: NoticeOutcome | None = None,
) -> Notice:
    """A notice to the body."""
    return Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        to=f"campaign|{turn.case.case}",
        subject=subject,
        reason=reason or subject,
        basis=BASIS,
        appeal=turn.terms.appeal,
        figures=figures,
        missing=missing,
        addressee=turn.case.filing.body if turn.case.filing is not None else None,
        outcome=outcome,
    )
