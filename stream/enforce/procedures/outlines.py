"""Every procedure as it can be read, for whoever looks after all of them: documentation, tests, listings."""

from typing import Final

from stream.enforce.procedures import appeal, campaign, complaint, dispute, listing, measure, prohibited, regulator
from stream.enforce.procedures.engine import Outline, outline

OUTLINES: Final[tuple[Outline, ...]] = (
    outline(measure.PROCEDURE),
    outline(complaint.PROCEDURE),
    outline(appeal.PROCEDURE),
    outline(dispute.PROCEDURE),
    outline(campaign.PROCEDURE),
    outline(prohibited.PROCEDURE),
    outline(regulator.PROCEDURE),
    outline(listing.PROCEDURE),
)
