"""Ids made from ids: the same cause gives the same id, whoever works it out and however often.

So a crash repeats an effect under its old name, and one case can name another before it exists.
"""

import hashlib

from stream.model.control import Appeal, CaseId, Complaint, Direction, Dispute, Filing, Finding, Punishment
from stream.model.fields import ID_CHARACTERS_MAX

_DIGEST_CHARACTERS = 32


def made_id(letter: str, name: str) -> str:
    """An id made from another by a letter before it; of one that would get too long, the end is hashed."""
    made = f"{letter}-{name}"
    if len(made) <= ID_CHARACTERS_MAX:
        return made
    digest = hashlib.sha256(made.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{made[: ID_CHARACTERS_MAX - _DIGEST_CHARACTERS - 1]}-{digest}"


def request_id(effect: str) -> str:
    """The id of the request that carries out an effect, from the effect's key."""
    return made_id("E", effect)


def measure_case(finding: Finding) -> CaseId:
    """The case that a finding opens, if it opens one."""
    return made_id("M", finding.finding)


def appeal_case(appeal: Appeal) -> CaseId:
    """The case of an appeal."""
    return made_id("A", appeal.appeal)


def dispute_case(dispute: Dispute) -> CaseId:
    """The case of a dispute."""
    return made_id("D", dispute.dispute)


def complaint_case(complaint: Complaint) -> CaseId:
    """The case of a complaint; a supplement under the same complaint id belongs to the same case."""
    return made_id("C", complaint.complaint)


def campaign_case(filing: Filing) -> CaseId:
    """The case of a filing, and the id of the campaign that it may become."""
    return made_id("P", filing.filing)


def direction_case(direction: Direction) -> CaseId:
    """The case of a regulator's order."""
    return made_id("G", direction.direction)


def listing_case(punishment: Punishment) -> CaseId:
    """The case of a punished operator's entry in the bad-actor list."""
    return made_id("L", punishment.punishment)


def prohibited_case(finding: Finding) -> CaseId:
    """The case of a discovery of prohibited content."""
    return made_id("X", finding.finding)
