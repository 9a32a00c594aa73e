"""What of a case is looked for and counted, whatever its procedure: one row a procedure.

Pure. `region` is that of the telecom administration whose business the case is (Article 27), where the case says so:
filings, orders and penalties do, complaints and measures of ours do not.
"""

from typing import Final, NamedTuple

import msgspec

from stream.enforce.api.auth import SUBSCRIBER
from stream.enforce.cases.decoding import PROCEDURE_BY_LETTER
from stream.enforce.procedures import (
    appeal,
    campaign,
    complaint,
    dispute,
    listing,
    measure,
    prohibited,
    regulator,
)
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.regions import administration, region
from stream.model.cases import CaseView
from stream.model.control import Filing, Finding, Party, party_key

COMPLAINT: Final = "complaint|"
"""How the owner of a dispute is written where the complaint alone says whose it is."""


class CaseFacts(NamedTuple):
    """What a case says of itself. `received`: when what opened it was made (milliseconds)."""

    owner: str | None = None
    """whose it is besides the offices'"""
    received: int = 0
    kind: str = ""
    channel: str = ""
    region: str = ""
    numbers: tuple[str, ...] = ()


def case_of(view: CaseView) -> Case:
    """The case itself. Raises `msgspec.MsgspecError` for a body that is none of its procedure."""
    return _CASES[view.procedure].decode(view.body)


def facts_of(case: Case) -> CaseFacts:
    """What the case says; of one before its first step nothing.

    A complaint is its user's and never the sender's, who would learn the number of who complained.
    """
    facts = CaseFacts()
    match case:
        case measure.MeasureCase(finding=found) if found is not None:
            facts = _of_finding(found)._replace(owner=party_key(found.party))
        case prohibited.ProhibitedCase(finding=found) if found is not None:
            facts = _of_finding(found)
        case appeal.AppealCase(appeal=appealed) if appealed is not None:
            against = PROCEDURE_BY_LETTER.get(appealed.against[:1], "")
            numbers = _numbers(appealed.party.number)
            facts = CaseFacts(party_key(appealed.party), appealed.time, against, numbers=numbers)
        case listing.ListingCase(punishment=punished) if punished is not None:
            numbers, place = _numbers(punished.party.number), punished.region or ""
            facts = CaseFacts(party_key(punished.party), punished.time, region=place, numbers=numbers)
        case campaign.CampaignCase(filing=filed) if filed is not None:
            facts = _of_filing(filed)
        case complaint.ComplaintCase(complaint=by_user) if by_user is not None:
            owner = f"{SUBSCRIBER}{by_user.subscriber}" if by_user.subscriber else None
            numbers = _numbers(by_user.subscriber, by_user.from_)
            about, channel = by_user.about or "commercial", by_user.channel or ""
            facts = CaseFacts(owner, by_user.time, about, channel, numbers=numbers)
        case dispute.DisputeCase(dispute=submitted) if submitted is not None:
            by_complaint = f"{COMPLAINT}{submitted.complaint}"  # of versions before, whose it is the complaint knows
            owner = f"{SUBSCRIBER}{submitted.subscriber}" if submitted.subscriber else by_complaint
            numbers = _numbers(submitted.subscriber, submitted.party.number if submitted.party else None)
            kind = "of-complaint" if submitted.complaint else "without-complaint"
            facts = CaseFacts(owner, submitted.time, kind, numbers=numbers)
        case regulator.RegulatorCase(direction=ordered) if ordered is not None:
            numbers, channel = _numbers(ordered.party.number), ordered.channel or ""
            facts = CaseFacts(None, ordered.time, ordered.measure, channel, ordered.region or "", numbers)
        case _:
            pass
    return facts


def _of_finding(found: Finding) -> CaseFacts:
    return CaseFacts(None, found.time, found.grounds, found.channel or "", numbers=_numbers(found.party.number))


def _of_filing(filed: Filing) -> CaseFacts:
    governed = filed.body_region or ""
    return CaseFacts(
        owner=party_key(Party(sender=filed.sender)) if filed.sender else None,
        received=filed.time,
        kind="emergency" if filed.emergency else filed.subject or "",
        channel="sms",
        region=administration(governed) if region(governed) is not None else "",
        numbers=filed.numbers,
    )


def _numbers(*numbers: str | None) -> tuple[str, ...]:
    return tuple(number for number in numbers if number)


def _decoder(kind: type[Case]) -> msgspec.json.Decoder[Case]:
    return msgspec.json.Decoder(kind)


_CASES: Final[dict[str, msgspec.json.Decoder[Case]]] = {
    "measure": _decoder(measure.MeasureCase),
    "complaint": _decoder(complaint.ComplaintCase),
    "appeal": _decoder(appeal.AppealCase),
    "dispute": _decoder(dispute.DisputeCase),
    "campaign": _decoder(campaign.CampaignCase),
    "prohibited-content": _decoder(prohibited.ProhibitedCase),
    "regulator-order": _decoder(regulator.RegulatorCase),
    "listing": _decoder(listing.ListingCase),
}
