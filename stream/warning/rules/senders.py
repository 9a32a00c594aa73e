"""Early warning (Article 21): which activity of a sender is a sign of commercial traffic without consent.

Pure rules over activity windows of ten seconds. Per party and channel `ActivitySums` are kept: a handful of sums that
decay with a half-life, a baseline of the party's usual rate, and which rules are raised. Each rule is a row of `RULES`:
what it measures, above which limit, once there is enough to judge by. A finding carries the figures that made it.

Hysteresis: a rule that was raised is quiet until its figure has stayed within the limit for `quiet_ms` and has fallen
to `clear_share` of it, so that one violator is one finding and not one a window. While it stays up, it is raised again
after `repeat_ms`: who goes on in spite of a measure is a repeat, and repeats weigh more.

Cost: about 10 µs a record, and less than a kilobyte a party.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from stream.model.control import WINDOW_MS, Activity, Figure, Finding, Grounds, Party, party_key
from stream.policy.settings import WarningSettings

NOT_THE_SENDER: Final = frozenset(("registry_stale", "suspended", "stopped"))
"""Reasons that say nothing new about the sender: our own staleness, and measures that are in force already."""


class Raised(msgspec.Struct, frozen=True, gc=False):
    """A rule that was raised and has not cleared: when, and when its figure was last over the limit."""

    grounds: Grounds
    at: int
    over: int


class ActivitySums(msgspec.Struct, frozen=True, gc=False):
    """What is kept of one party on one channel. The sums decay; `usual` is events per window."""

    window: int
    events: float = 0.0
    blocked: float = 0.0
    delivered: float = 0.0
    service: float = 0.0
    hints: float = 0.0
    refusals: float = 0.0
    recipients: float = 0.0
    usual: float = 0.0
    windows: int = 0
    raised: tuple[Raised, ...] = ()


class Evaluated(NamedTuple):
    """The sums after a window, and what it raised."""

    sums: ActivitySums
    findings: tuple[Finding, ...]


class RuleInput(NamedTuple):
    """All that a rule may use: the sums with this window, the usual rate without it (events), and the window."""

    sums: ActivitySums
    usual: float
    events: int
    activity: Activity


@dataclass(frozen=True, slots=True)
class WarningRule:
    """One row: on these grounds, this measure, above this limit, where there is enough to judge by."""

    grounds: Grounds
    says: str
    enough: Callable[[RuleInput, WarningSettings], bool]
    value: Callable[[RuleInput], float]
    limit: Callable[[WarningSettings], float]


RULES: Final[tuple[WarningRule, ...]] = (
    WarningRule(
        "blocked-share",
        "the share of events that were blocked",
        lambda given, settings: given.sums.events >= settings.blocked_events_min,
        lambda given: given.sums.blocked / given.sums.events,
        lambda settings: settings.blocked_share_max,
    ),
    WarningRule(
        "burst",
        "this window's events against the party's usual rate",
        lambda given, settings: (
            given.events >= settings.burst_events_min and given.sums.windows > settings.baseline_windows_min
        ),
        lambda given: given.events / max(1.0, given.usual),
        lambda settings: settings.burst_factor,
    ),
    WarningRule(
        "refusals",
        "replies that refuse, per thousand delivered",
        lambda given, settings: given.sums.delivered >= settings.refusals_delivered_min,
        lambda given: 1_000 * given.sums.refusals / given.sums.delivered,
        lambda settings: settings.refusals_per_thousand_max,
    ),
    WarningRule(
        "sweep",
        "the longest run of recipients whose numbers follow one another",
        lambda given, _: given.activity.run > 0,
        lambda given: given.activity.run,
        lambda settings: settings.sweep_run_max,
    ),
    WarningRule(
        "personal-as-platform",
        "recipients of a number that nobody owns",
        lambda given, _: given.activity.party.number is not None,
        lambda given: given.sums.recipients,
        lambda settings: settings.personal_recipients_max,
    ),
    WarningRule(
        "disguised-as-service",
        "the share of service texts that tell how to refuse",
        lambda given, settings: given.sums.service >= settings.hinted_events_min,
        lambda given: given.sums.hints / given.sums.service,
        lambda settings: settings.hinted_share_max,
    ),
)


def evaluate(sums: ActivitySums | None, activity: Activity, settings: WarningSettings) -> Evaluated:
    """The sums after one window, and its findings, by the rows of `RULES` in their order.

    Windows come in order; one that comes late is added as if it were the newest, without turning time back.
    """
    before = sums or ActivitySums(window=activity.window)
    after, events = _with(before, activity, settings)
    given = RuleInput(after, before.usual, events, activity)
    raised = {one.grounds: one for one in before.raised}
    findings: list[Finding] = []
    for rule in RULES:
        limit = rule.limit(settings)
        value = rule.value(given) if rule.enough(given, settings) else 0.0
        earlier = raised.get(rule.grounds)
        if value > limit:
            again = earlier is None or after.window - earlier.at >= settings.repeat_ms
            raised[rule.grounds] = Raised(
                rule.grounds, at=after.window if earlier is None or again else earlier.at, over=after.window
            )
            if again:
                findings.append(_finding(rule, given, value, limit))
        elif (
            earlier is not None
            and value <= limit * settings.clear_share
            and after.window - earlier.over >= settings.quiet_ms
        ):
            del raised[rule.grounds]
    if raised or before.raised:
        after = msgspec.structs.replace(after, raised=tuple(raised.values()))
    return Evaluated(after, tuple(findings))


def forgettable(sums: ActivitySums, now: int, settings: WarningSettings) -> bool:
    """Whether sums have decayed so far that dropping them changes nothing that matters: ten half-lives of silence."""
    return now - sums.window > 10 * max(settings.half_life_ms, settings.baseline_half_life_ms)


def _with(before: ActivitySums, activity: Activity, settings: WarningSettings) -> tuple[ActivitySums, int]:
    """The sums with one more window, and that window's events."""
    events = blocked = delivered = service = 0
    for tally in activity.tallies:
        if tally.verdict == "allow":
            delivered += tally.count
            if tally.reason == "service":
                service += tally.count
        elif tally.reason in NOT_THE_SENDER:
            continue
        else:
            blocked += tally.count
        events += tally.count
    elapsed = max(0, activity.window - before.window)
    decay = 0.5 ** (elapsed / settings.half_life_ms)
    # Windows without traffic are not sent, so the time since the last one also stands for them: all zeros.
    slow = 0.5 ** (max(elapsed, WINDOW_MS) / settings.baseline_half_life_ms)
    weight = 1 - 0.5 ** (WINDOW_MS / settings.baseline_half_life_ms)
    # While the baseline is young it is a plain mean of what there was: fading from nothing would take days.
    young = max(weight, 1 / (before.windows + 1))
    after = ActivitySums(
        window=before.window + elapsed,
        events=before.events * decay + events,
        blocked=before.blocked * decay + blocked,
        delivered=before.delivered * decay + delivered,
        service=before.service * decay + service,
        hints=before.hints * decay + activity.opt_out_hints,
        refusals=before.refusals * decay + activity.refusals,
        recipients=before.recipients * decay + activity.recipients,
        usual=before.usual * min(slow, 1 - young) + events * young,
        windows=before.windows + 1,
        raised=before.raised,
    )
    return after, events


def _finding(rule: WarningRule, given: RuleInput, value: float, limit: float) -> Finding:
    activity, sums = given.activity, given.sums
    return Finding(
        finding=f"W-{finding_id(rule.grounds, activity.party, activity.channel, sums.window)}",
        time=sums.window,
        party=activity.party,
        grounds=rule.grounds,
        basis="early-warning",
        channel=activity.channel,
        figures=(
            Figure(rule.grounds, round(value, 4), limit),
            Figure("window_events", given.events),
            Figure("events", round(sums.events, 1)),
            Figure("blocked", round(sums.blocked, 1)),
            Figure("delivered", round(sums.delivered, 1)),
            Figure("refusals", round(sums.refusals, 1)),
            Figure("recipients", round(sums.recipients, 1)),
            Figure("usual_window_events", round(given.usual, 2)),
        ),
    )


def finding_id(grounds: Grounds, party: Party, channel: str, window: int) -> str:
    """The same finding under the same id, however often a window is replayed.

    A digest, because ids stand in logs and a party may be a phone number. It hides the number from readers of logs,
    not from somebody who tries all numbers.
    """
    named = f"{grounds}|{party_key(party)}|{channel}|{window}"
    return hashlib.sha256(named.encode()).hexdigest()[:24]


__all__ = [
    "RULES",
    "WINDOW_MS",
    "ActivitySums",
    "Evaluated",
    "Raised",
    "RuleInput",
    "WarningRule",
    "WarningSettings",
    "evaluate",
    "finding_id",
    "forgettable",
]
