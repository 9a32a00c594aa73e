"""Ids made from ids: the same cause gives the same id, whoever works it out and however often.

So a crash repeats an effect under its old name, and one case can name another before having heard of it.
"""

import hashlib

from stream.model.control import Appeal, CaseId, Dispute, Finding
from stream.model.fields import ID_CHARACTERS_MAX

_DIGEST_CHARACTERS = 32


def made_id(letter: str, name: str) -> str:
    """An id made from another by a letter before it; of one that would get too long, the end is hashed."""
    made = f"{letter}-{name}"
    if len(made) <= ID_CHARACTERS_MAX:
        return made
    digest = hashlib.sha256(made.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{made[: ID_CHARACTERS_MAX - _DIGEST_CHARACTERS - 1]}-{digest}"


def measure_case(finding: Finding) -> CaseId:
    """The case that a finding opens, if it opens one."""
    return made_id("M", finding.finding)


def appeal_case(appeal: Appeal) -> CaseId:
    """The case of an appeal."""
    return made_id("A", appeal.appeal)


def dispute_case(dispute: Dispute) -> CaseId:
    """The case of a dispute."""
    return made_id("D", dispute.dispute)
