"""A public-interest campaign: what its case holds, and what can happen to it. The rules are `campaign`'s and
`campaign_emergency`'s.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from stream.enforce.procedures import forms
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.fitness import CampaignRecord
from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.messages import Seconded
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served, WaitingCase
from stream.model.control import Filing
from stream.model.fields import Name, Time
from stream.model.registry import Campaign


class CampaignState(StrEnum):
    """Where a campaign stands."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    RETURNED = "returned"
    WEIGHING = "weighing"
    APPROVED = "approved"
    REFUSED = "refused"
    SENT_FIRST = "sent-first"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"
    FINISHED = "finished"
    LAPSED = "lapsed"


BEING_FILED = (CampaignState.NEW, CampaignState.INCOMPLETE, CampaignState.RETURNED)
FILED = (
    CampaignState.INCOMPLETE,
    CampaignState.RETURNED,
    CampaignState.WEIGHING,
    CampaignState.APPROVED,
    CampaignState.SENT_FIRST,
    CampaignState.SETTLED,
)
ASKED = (CampaignState.INCOMPLETE, CampaignState.RETURNED)


class Confirmed(msgspec.Struct, frozen=True, tag_field="event", tag="confirmed"):
    """The regulator confirms an emergency that was sent first; `document` is its reference, where others record it."""

    document: Name | None = None
    detail: str | None = None
    actor: Name | None = None


class Renewed(msgspec.Struct, frozen=True, tag_field="event", tag="renewed"):
    """An emergency goes on until then (milliseconds), and why."""

    until: Time
    reason: str
    actor: Name | None = None


class CampaignCase(WaitingCase, frozen=True, kw_only=True):
    """One campaign. `filing` is absent only before the first step; `filed` is when it was last complete."""

    state: CampaignState = CampaignState.NEW
    filing: Filing | None = None
    wrong: tuple[Wrong, ...] = ()
    """what was stated and is ill-formed; nothing in its place yet"""
    filed: int | None = None
    campaign: Campaign | None = None
    """as it was last written to the registry"""
    sent: int | None = None
    """when an emergency was sent, in milliseconds; absent in cases of before, which owe no confirmation"""
    sent_by: Name | None = None
    """the person who sent it"""
    flags: tuple[str, ...] = ()
    """what was wrong with an emergency that was sent all the same"""
    seconded: Seconded | None = None
    """another person's word on it"""
    confirmed: Confirmed | None = None
    """the regulator's word on it, as long as it was not renewed since"""


class Filed(msgspec.Struct, frozen=True, tag_field="event", tag="filed"):
    """A body files, completes or mends its application. What it states is added to what is known.

    `wrong` is what it states that is ill-formed, which `filing` leaves out.
    """

    filing: Filing
    wrong: tuple[Wrong, ...] = ()


class Weighed(msgspec.Struct, frozen=True, tag_field="event", tag="weighed"):
    """The regulator's desk has decided.

    `numbers` may carry the campaign, where they are not those of the filing. `exempts`: the exemption that
    the filing claims is granted. `override`: why it is approved although a figure is over its limit.
    """

    outcome: Literal["approve", "refuse"]
    reason: str
    standing: CampaignRecord
    numbers: tuple[str, ...] = ()
    exempts: bool = False
    override: str | None = None
    actor: str | None = None


class WithdrawCampaign(msgspec.Struct, frozen=True, tag_field="event", tag="withdraw"):
    """The body, or the regulator, takes the campaign back."""

    reason: str
    document: Name | None = None
    actor: str | None = None


CampaignEvent = (
    Filed
    | Weighed
    | WithdrawCampaign
    | Seconded
    | Confirmed
    | Renewed
    | Delivered
    | DeliveryFailed
    | Served
    | ClockFired
)


def still_wrong(known: tuple[Wrong, ...], more: Filed) -> tuple[Wrong, ...]:
    """What is ill-formed once a later filing is taken in."""
    return forms.still_wrong(known, more.filing, more.wrong)


def supplemented(known: Filing | None, more: Filing) -> Filing:
    """What is known, with what a later filing adds or corrects. Id and time stay those of the first; what the record of
    its sender shows is as it was last found.
    """
    if known is None:
        return more
    stated = {
        name: value
        for name in more.__struct_fields__
        if (value := getattr(more, name)) not in (None, "", (), False) and name not in ("filing", "time")
    }
    return msgspec.structs.replace(known, **{"sender_problem": None, **stated})
