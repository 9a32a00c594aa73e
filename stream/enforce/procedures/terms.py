"""How long each duty may take, and how much is too much: the settings of the procedures, each with its
reason.

Lengths that an article sets carry its name as `basis`; all others are ours to choose, say `setting`, and
stand here as defaults that a settings file may change. What the policy file already says (appeal address,
what a link is, how long a campaign's text may be) is taken from there and stated nowhere else.
"""

from functools import cached_property
from typing import Final

import msgspec

from stream.enforce.procedures.calendar_cn import WorkingDays
from stream.enforce.procedures.clocks import Term
from stream.model.control import Grounds
from stream.model.fields import Measure
from stream.model.times import DAY_MS, HOUR_MS
from stream.policy.settings import Policy
from stream.registry.emergency import WINDOW_MS_MAX

SETTING: Final = "setting"

TERMS: Final[tuple[Term, ...]] = (
    # complaint
    Term("forward", "Art. 29-31", working_days=3, warning_days=1),
    Term("report", "Art. 29-31", working_days=15, warning_days=3),
    Term("answer", "Art. 29-31", working_days=3, warning_days=1),
    # whoever was asked for what is missing: long enough to find papers, short enough to close the case
    Term("supplement", SETTING, working_days=15, warning_days=3),
    # measure: a notice that could not be delivered within a day is for people to look at
    Term("tell", SETTING, length_ms=DAY_MS),
    # a report, likewise
    Term("tell-office", SETTING, length_ms=DAY_MS),
    # appeal and dispute: as long as a company has for a complaint
    Term("decide-appeal", SETTING, working_days=15, warning_days=3),
    Term("accept-dispute", SETTING, working_days=5, warning_days=1),
    Term("company-answer", SETTING, working_days=10, warning_days=2),
    Term("decide-dispute", SETTING, working_days=30, warning_days=5),
    # campaign: a body that files 15 working days ahead knows the answer 5 before it begins
    Term("decide-filing", SETTING, working_days=10, warning_days=2),
    Term("owed-filing", SETTING, working_days=3, warning_days=1),
    # ... and the regulator's word on an emergency that was sent first: it does not wait for working days
    Term("confirm", SETTING, length_ms=DAY_MS),
    # prohibited content: the outcome; a regulator's order: long enough to notify the party and wait for its
    # grace
    Term("investigate", SETTING, working_days=15, warning_days=3),
    # ... and a second person's word on a suspension of which nobody was told, or an emergency that one person sent
    Term("second", SETTING, length_ms=HOUR_MS),
    Term("carry-out", SETTING, working_days=3, warning_days=1),
    # listing: time to object before one's name is published, and how long it stays there
    Term("object", SETTING, working_days=10),
    Term("listed", SETTING, length_ms=3 * 365 * DAY_MS),
)


class MeasureTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measure: the time to mend or object before it, and how long it then lasts."""

    measure: Measure
    grace_ms: int
    length_ms: int


MEASURES: Final[tuple[MeasureTerms, ...]] = (
    # No new numbers: it hurts nobody's traffic, so it holds as soon as the party knows.
    MeasureTerms("limit", grace_ms=0, length_ms=90 * DAY_MS),
    # Failing to stop a known violator is itself punished (Art. 38-40): hours, not days.
    MeasureTerms("stop", grace_ms=4 * HOUR_MS, length_ms=90 * DAY_MS),
    # Service traffic and its users are hit too: a full day to object or comply.
    MeasureTerms("suspend", grace_ms=DAY_MS, length_ms=30 * DAY_MS),
)


class Ladder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which measure follows from a finding on these grounds, by how many sustained ones came before it."""

    grounds: Grounds
    rungs: tuple[Measure, ...]


ORDINARY: Final[tuple[Measure, ...]] = ("limit", "stop", "suspend")
"""A first finding costs growth, a second the commercial traffic, a third all of it."""

LADDERS: Final[tuple[Ladder, ...]] = (
    Ladder("prohibited-content", ("suspend",)),
    # Nobody assigns such a number new resources, and what it sends is not called commercial: only this one
    # bites.
    Ladder("personal-as-platform", ("suspend",)),
    # A burst alone may be a good day's trade: it never costs traffic by itself.
    Ladder("burst", ("limit",)),
)


class CampaignLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for weighing a campaign (Article 27 names what is weighed, not how much is too much)."""

    lead_working_days: int = 15
    """Article 27: applied for this long ahead"""
    window_ms_max: int = 30 * DAY_MS
    """beyond a month a message is a habit, not an occasion"""
    emergency_window_ms_max: int = WINDOW_MS_MAX
    """how far ahead an emergency ends at most; whoever renews it says so again"""
    body_campaigns_max: int = 4
    """of one body in the 90 days before: about one in three weeks"""
    messages_per_person_max: float = 2.0
    """planned and already approved messages per subscriber of the region in the 30 days before"""
    refusals_per_thousand_max: float = 2.0
    """replies that refuse, per thousand messages of the body's campaigns in the 90 days before"""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it, as a settings file may give it."""

    terms: tuple[Term, ...] = TERMS
    measures: tuple[MeasureTerms, ...] = MEASURES
    ladders: tuple[Ladder, ...] = LADDERS
    ordinary: tuple[Measure, ...] = ORDINARY
    memory_ms: int = 180 * DAY_MS
    """how long a sustained finding makes the next one heavier"""
    ended_kept_ms: int = 180 * DAY_MS
    """how long a case that has ended is kept at hand, so that an answer can be disputed and an appeal decided late: as
    long as a finding weighs. It takes nothing after that"""
    review_ms: int = 30 * DAY_MS
    """a measure without an end is reviewed this often"""
    attempts_min: int = 3
    """a party counts as notified when so many deliveries failed at its own end"""
    attempts_span_ms: int = 4 * HOUR_MS
    """... over at least this time, so that one outage does not count"""
    joined_max: int = 100
    """findings that a case remembers; it counts the rest"""
    campaign: CampaignLimits = CampaignLimits()

    def __post_init__(self) -> None:
        named = [term.clock for term in self.terms]
        known = [term.clock for term in TERMS]
        if unknown := sorted(set(named) - set(known)):
            raise ValueError(
                f"`terms` names {', '.join(unknown)}, which no procedure has; there are: {', '.join(known)}"
            )
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"`terms` gives {', '.join(twice)} more than once")
        if missing := sorted(set(known) - set(named)):
            raise ValueError(f"`terms` lacks {', '.join(missing)}: each procedure needs all its clocks")
        if sorted(one.measure for one in self.measures) != ["limit", "stop", "suspend"]:
            raise ValueError("`measures` must give `limit`, `stop` and `suspend` once each")
        if any(one.length_ms <= 0 or one.grace_ms < 0 for one in self.measures):
            raise ValueError("`measures`: a measure has an end, and its grace is not negative")
        if self.ended_kept_ms < DAY_MS:
            raise ValueError("`ended_kept_ms` is a day at least: what a crash repeats must still be known")
        if not self.ordinary or any(not ladder.rungs for ladder in self.ladders):
            raise ValueError("`ladders`: each needs at least one measure")


class Terms:
    """The settings as procedures ask for them, with the calendar and what the policy file says.

    `calendar` may be replaced by whoever owns these, between two steps.
    """

    def __init__(self, *, settings: Settings, calendar: WorkingDays, policy: Policy) -> None:
        self.settings = settings
        self.calendar = calendar
        self.appeal = policy.appeal
        self.link = policy.link
        self.opt_out = policy.opt_out
        self.numbering = policy.numbering
        self.categories = policy.file.categories
        self.campaign_characters_max = policy.file.texts.campaign_characters_max

    @cached_property
    def _by_clock(self) -> dict[str, Term]:
        return {term.clock: term for term in self.settings.terms}

    def term(self, clock: str) -> Term:
        """The term of a clock. A name without one is a programmer's error and raises KeyError."""
        return self._by_clock[clock]

    def measure(self, measure: Measure) -> MeasureTerms:
        """The terms of a measure."""
        return next(terms for terms in self.settings.measures if terms.measure == measure)

    def ladder(self, grounds: Grounds) -> tuple[Measure, ...]:
        """The measures that follow from findings on these grounds, lightest first."""
        found = (ladder.rungs for ladder in self.settings.ladders if ladder.grounds == grounds)
        return next(found, self.settings.ordinary)
