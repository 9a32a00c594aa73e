"""For each procedure a start and a pool of events, right and wrong ones, that the tests of all tables share."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from stream.enforce.procedures import appeal, campaign, complaint, dispute, listing, measure, prohibited, regulator
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.fitness import CampaignRecord
from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    Disputed,
    FindingRouted,
    Lift,
    MeasureChanged,
    Restored,
    Seconded,
    Superseded,
)
from stream.enforce.procedures.telling import Delivered, DeliveryFailed
from stream.model.cases import BlockedContent
from stream.model.control import Appeal, Complaint, Direction, Dispute, Filing, Party, Punishment
from tests.enforce.procedures.world import HOUR, NOW, OTHER, PARTY, at, delivery, finding, served, unaddressed

SUBSCRIBER: Final = "+8613800138000"

APPEAL: Final = Appeal(appeal="1", time=NOW, against="M-1", party=PARTY, grounds="we had consent")
COMPLAINT: Final = Complaint(
    complaint="C-1", time=NOW, subscriber=SUBSCRIBER, channel="sms", sender="ORG-9", at=NOW - 60_000, text="贷款"
)
DISPUTE: Final = Dispute(dispute="1", time=NOW, complaint="C-1", party=PARTY, grounds="nothing was done")
FILING: Final = Filing(
    filing="P-1",
    time=NOW,
    sender="GOV-110000-HEALTH",
    body="北京市卫生健康委",
    body_region="110000",
    level="province",
    subject="public-good",
    reason="the season's influenza",
    text="【北京市卫生健康委】请接种流感疫苗,咨询12320",
    contact="12320",
    from_=at("2026-10-20 09:00"),
    until=at("2026-10-21 21:00"),
    regions=("110100",),
    numbers=("10690012320",),
    volume=1_000_000,
)
LIGHT: Final = CampaignRecord(people=20_000_000, planned=5_000_000, body_campaigns=1, sent=1_000_000, refusals=100)
HEAVY: Final = msgspec.structs.replace(LIGHT, people=1_000_000)
EMERGENCY: Final = msgspec.structs.replace(
    FILING,
    emergency=True,
    incident="natural-disaster",
    reason=None,
    text="【北京市卫生健康委】今夜有暴雨,请勿外出,咨询12320",
    from_=NOW,
    until=NOW + 2 * HOUR,
    subject="emergency-handling",
    actor="desk:17",
)
DIRECTION: Final = Direction(
    direction="G-1", time=NOW, party=PARTY, measure="suspend", authority="MIIT", document="2026-77"
)


def of_notice(notice: str, made: int | None) -> Sequence[msgspec.Struct]:
    """What can happen to the notice that a case waits for."""
    return (
        Delivered(delivery(notice)),
        Delivered(delivery("N-another")),
        DeliveryFailed(delivery(notice, failed=True)),
        DeliveryFailed(delivery("N-another", failed=True)),
        unaddressed(notice),
        served(notice, at=made or NOW),
    )


def of_reports(case: Case) -> Sequence[msgspec.Struct]:
    """What can happen to the first report that has not reached its office."""
    report, made = next(((one.report, one.at) for one in case.reports if one.told is None), ("R-none", NOW))
    return (Delivered(delivery(report)), unaddressed(report), served(report, at=made))


INSPECTED: Final = msgspec.structs.replace(finding("F-3", grounds="inspection"), actor="desk:17")
AGAIN: Final = msgspec.structs.replace(INSPECTED, finding="F-4")


def of_measure(case: measure.MeasureCase) -> Sequence[msgspec.Struct]:
    notice, ours = case.notice or "N-none", case.appeal or "A-none"
    return (
        FindingRouted(finding(), "suspend", replaces=("M-0",)),
        FindingRouted(finding(basis="prohibited-content"), "suspend", at_once=True, origin="X-1"),
        FindingRouted(finding(basis="regulator-order"), "stop"),
        *(FindingRouted(one, "stop") for one in (INSPECTED, AGAIN)),
        *(Seconded(actor=actor) for actor in ("desk:17", "desk:18")),
        FindingRouted(finding("F-2"), "suspend"),
        *of_notice(notice, case.sent_at),
        measure.Reviewed(keep=True, reason="still needed"),
        measure.Reviewed(keep=False, reason="mended"),
        Appealed(APPEAL),
        Appealed(msgspec.structs.replace(APPEAL, party=OTHER)),
        AppealDecided(ours, "party", "consent was shown"),
        AppealDecided(ours, "measure", "consent was not shown"),
        AppealDecided("A-another", "party", "another case"),
        AppealWithdrawn(ours),
        Lift("mended"),
        Superseded("M-2"),
        Restored("M-2"),
    )


def of_complaint(case: complaint.ComplaintCase) -> Sequence[msgspec.Struct]:
    bare = Complaint(complaint="C-1", time=NOW)
    results: tuple[Literal["confirmed", "unconfirmed"], ...] = ("confirmed", "unconfirmed")
    return (
        *of_reports(case),
        complaint.Complained(COMPLAINT),
        complaint.Complained(msgspec.structs.replace(COMPLAINT, refusal=True)),
        complaint.Complained(msgspec.structs.replace(COMPLAINT, about="prohibited-content")),
        complaint.Complained(bare),
        complaint.Complained(bare, (Wrong("at", "milliseconds"),)),
        complaint.Forwarded("ORG-9"),
        *(complaint.Verified(result, "as found") for result in results),
        complaint.Verified("confirmed", "not theirs", spoofed=True),
        complaint.ActedUpon("the list was cleaned"),
        complaint.Reported("done"),
        complaint.Answered("done"),
        complaint.ComplaintWithdrawn(),
        *of_notice(case.awaited or "N-none", case.sent_at),
        Disputed(DISPUTE),
        Disputed(msgspec.structs.replace(DISPUTE, complaint="C-2")),
    )


def of_appeal(case: appeal.AppealCase) -> Sequence[msgspec.Struct]:
    return (
        Appealed(APPEAL),
        Appealed(msgspec.structs.replace(APPEAL, grounds=None)),
        appeal.Supplemented("we had consent", ("E-1",)),
        appeal.Supplemented(""),
        appeal.Decided("party", "shown"),
        appeal.Decided("measure", "not shown"),
        appeal.WithdrawAppeal(),
        *of_notice(case.awaited or "N-none", case.sent_at),
    )


def of_dispute(case: dispute.DisputeCase) -> Sequence[msgspec.Struct]:
    return (
        *of_reports(case),
        Disputed(DISPUTE),
        Disputed(msgspec.structs.replace(DISPUTE, complaint=None, subscriber=SUBSCRIBER)),
        dispute.DisputeAccepted(),
        dispute.Declined("not of our kind"),
        dispute.CompanyAnswered("we did all we could"),
        dispute.Settled("an apology"),
        dispute.DisputeDecided("user", "the company did nothing"),
        dispute.DisputeDecided("company", "it did"),
        dispute.DisputeWithdrawn(),
    )


def of_campaign(case: campaign.CampaignCase) -> Sequence[msgspec.Struct]:
    ordinary = (  # once an emergency was sent, these would be so many versions of its owed filing
        campaign.Filed(msgspec.structs.replace(FILING, volume=None), (Wrong("volume", "an integer"),)),
        campaign.Filed(msgspec.structs.replace(FILING, reason=None)),
        campaign.Filed(msgspec.structs.replace(FILING, level="county")),
    )
    return (
        *of_reports(case),
        campaign.Filed(FILING),
        *(ordinary if case.sent is None else ()),
        campaign.Filed(EMERGENCY),
        campaign.Filed(msgspec.structs.replace(EMERGENCY, reason="a flood")),
        *(Seconded(actor=actor) for actor in ("desk:17", "desk:18")),
        *(campaign.Confirmed(actor=actor) for actor in ("desk:17", "regulator:3")),
        campaign.Renewed(NOW + 48 * HOUR, "the water still rises"),
        campaign.Weighed("approve", "fit", LIGHT),
        campaign.Weighed("approve", "fit", HEAVY),
        campaign.Weighed("refuse", "too often", LIGHT),
        campaign.Weighed("refuse", "", LIGHT),
        campaign.WithdrawCampaign("not needed"),
        *of_notice(case.awaited or "N-none", case.sent_at),
    )


PROHIBITED = finding(basis="prohibited-content", grounds="prohibited-content")


def of_prohibited(case: prohibited.ProhibitedCase) -> Sequence[msgspec.Struct]:
    return (
        *of_reports(case),
        prohibited.Discovered(PROHIBITED),
        prohibited.Discovered(finding()),
        prohibited.Discovered(PROHIBITED, BlockedContent(3, 10, 12, 2)),
        Seconded(),
        prohibited.Investigated("confirmed", "it was"),
        prohibited.Investigated("cleared", "it was not"),
        MeasureChanged("M-F-1", "suspend", "in-force"),
        MeasureChanged("M-F-1", "suspend", "ended"),
    )


def of_regulator(case: regulator.RegulatorCase) -> Sequence[msgspec.Struct]:
    return (
        *of_reports(case),
        regulator.Directed(DIRECTION),
        regulator.Directed(msgspec.structs.replace(DIRECTION, document=None)),
        regulator.Revoked("an error"),
        MeasureChanged("M-1", "suspend", "in-force"),
        MeasureChanged("M-1", "suspend", "annulled"),
    )


def of_listing(case: listing.ListingCase) -> Sequence[msgspec.Struct]:
    ours = case.appeal or "A-none"
    punishment = Punishment(punishment="B-1", time=NOW, party=PARTY, authority="MIIT", document="2026-78")
    return (
        listing.Punished(punishment),
        *of_notice(case.awaited or "N-none", case.sent_at),
        Appealed(msgspec.structs.replace(APPEAL, against="L-1")),
        Appealed(msgspec.structs.replace(APPEAL, against="L-1", party=Party(number=SUBSCRIBER))),
        AppealDecided(ours, "party", "an error"),
        AppealDecided(ours, "measure", "no error"),
        AppealWithdrawn(ours),
        Lift("an error"),
    )
