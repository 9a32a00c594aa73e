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

NOT_THE_SENDERS: Final = frozenset(("registry_stale", "suspended", "stopped"))
"""Reasons that say nothing new of the sender: our own staleness, and measures that are in force already."""


class Raised(msgspec.Struct, frozen=True, gc=False):
    """A rule that was raised and has not cleared: when, and when its figure was last over the limit."""

    grounds: Grounds
    at: int
    over: int


class ActivitySums(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one party on one channel. The sums fade; `usual` is events per window."""

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


class Judged(NamedTuple):
    """The watch after a window, and what it raised."""

    watch: ActivitySums
    findings: tuple[Finding, ...]


class RuleInput(NamedTuple):
    """All that a rule may ask: the sums with this window, the usual rate without it, and the window."""

    watch: ActivitySums
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
        lambda seen, settings: seen.watch.events >= settings.blocked_events_min,
        lambda seen: seen.watch.blocked / seen.watch.events,
        lambda settings: settings.blocked_share_max,
    ),
    WarningRule(
        "burst",
        "this window's events against the party's usual rate",
        lambda seen, settings: (
            seen.events >= settings.burst_events_min and seen.watch.windows > settings.baseline_windows_min
        ),
        lambda seen: seen.events / max(1.0, seen.usual),
        lambda settings: settings.burst_factor,
    ),
    WarningRule(
        "refusals",
        "replies that refuse, per thousand delivered",
        lambda seen, settings: seen.watch.delivered >= settings.refusals_delivered_min,
        lambda seen: 1_000 * seen.watch.refusals / seen.watch.delivered,
        lambda settings: settings.refusals_per_thousand_max,
    ),
    WarningRule(
        "sweep",
        "the longest run of recipients whose numbers follow one another",
        lambda seen, _: seen.activity.run > 0,
        lambda seen: seen.activity.run,
        lambda settings: settings.sweep_run_max,
    ),
    WarningRule(
        "personal-as-platform",
        "recipients of a number that nobody owns",
        lambda seen, _: seen.activity.party.number is not None,
        lambda seen: seen.watch.recipients,
        lambda settings: settings.personal_recipients_max,
    ),
    WarningRule(
        "disguised-as-service",
        "the share of service texts that tell how to refuse",
        lambda seen, settings: seen.watch.service >= settings.hinted_events_min,
        lambda seen: seen.watch.hints / seen.watch.service,
        lambda settings: settings.hinted_share_max,
    ),
)


def judge(watch: ActivitySums | None, activity: Activity, settings: WarningSettings) -> Judged:
    """The watch after one window, and its findings, by the rows of `RULES` in their order.

    Windows come in order; one that comes late is added as if it were the newest, without turning time back.
    """
    before = watch or ActivitySums(window=activity.window)
    after, events = _with(before, activity, settings)
    seen = RuleInput(after, before.usual, events, activity)
    raised = {one.grounds: one for one in before.raised}
    findings: list[Finding] = []
    for rule in RULES:
        limit = rule.limit(settings)
        value = rule.value(seen) if rule.enough(seen, settings) else 0.0
        standing = raised.get(rule.grounds)
        if value > limit:
            again = standing is None or after.window - standing.at >= settings.repeat_ms
            raised[rule.grounds] = Raised(
                rule.grounds, at=after.window if standing is None or again else standing.at, over=after.window
            )
            if again:
                findings.append(_finding(rule, seen, value, limit))
        elif (
            standing is not None
            and value <= limit * settings.clear_share
            and after.window - standing.over >= settings.quiet_ms
        ):
            del raised[rule.grounds]
    if raised or before.raised:
        after = msgspec.structs.replace(after, raised=tuple(raised.values()))
    return Judged(after, tuple(findings))


def forgettable(watch: ActivitySums, now: int, settings: WarningSettings) -> bool:
    """Whether a watch has faded so far that dropping it changes nothing that matters: ten half-lives of silence."""
    return now - watch.window > 10 * max(settings.half_life_ms, settings.baseline_half_life_ms)


def _with(before: ActivitySums, activity: Activity, settings: WarningSettings) -> tuple[ActivitySums, int]:
    """The watch with one more window, and that window's events."""
    events = blocked = delivered = service = 0
    for tally in activity.tallies:
        if tally.verdict == "allow":
            delivered += tally.count
            if tally.reason == "service":
                service += tally.count
        elif tally.reason in NOT_THE_SENDERS:
            continue
        else:
            blocked += tally.count
        events += tally.count
    elapsed = max(0, activity.window - before.window)
    fade = 0.5 ** (elapsed / settings.half_life_ms)
    # Windows without traffic are not sent, so the time since the last one also stands for them: all zeros.
    slow = 0.5 ** (max(elapsed, WINDOW_MS) / settings.baseline_half_life_ms)
    weight = 1 - 0.5 ** (WINDOW_MS / settings.baseline_half_life_ms)
    # While the baseline is young it is a plain mean of what there was: fading from nothing would take days.
    young = max(weight, 1 / (before.windows + 1))
    after = ActivitySums(
        window=before.window + elapsed,
        events=before.events * fade + events,
        blocked=before.blocked * fade + blocked,
        delivered=before.delivered * fade + delivered,
        service=before.service * fade + service,
        hints=before.hints * fade + activity.opt_out_hints,
        refusals=before.refusals * fade + activity.refusals,
        recipients=before.recipients * fade + activity.recipients,
        usual=before.usual * min(slow, 1 - young) + events * young,
        windows=before.windows + 1,
        raised=before.raised,
    )
    return after, events


def _finding(rule: WarningRule, seen: RuleInput, value: float, limit: float) -> Finding:
    activity, watch = seen.activity, seen.watch
    return Finding(
        finding=f"W-{finding_id(rule.grounds, activity.party, activity.channel, watch.window)}",
        time=watch.window,
        party=activity.party,
        grounds=rule.grounds,
        basis="early-warning",
        channel=activity.channel,
        figures=(
            Figure(rule.grounds, round(value, 4), limit),
            Figure("window_events", seen.events),
            Figure("events", round(watch.events, 1)),
            Figure("blocked", round(watch.blocked, 1)),
            Figure("delivered", round(watch.delivered, 1)),
            Figure("refusals", round(watch.refusals, 1)),
            Figure("recipients", round(watch.recipients, 1)),
            Figure("usual_window_events", round(seen.usual, 2)),
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
    "Judged",
    "Raised",
    "RuleInput",
    "WarningRule",
    "WarningSettings",
    "finding_id",
    "forgettable",
    "judge",
]
