"""The policy file: every figure, pattern and phrase that the rules use, each with its basis.

The structs here are the tables of the TOML file (`loading` reads and checks it). A policy does not change
once it is loaded; its `version` stands on every decision, and its `digest`, over the file and the table of
simplified characters, in every epoch.
"""

import hashlib
from datetime import UTC, datetime, time
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from stream.model.fields import Channel, Name, Verb
from stream.model.schema_fault import FORM
from stream.policy.numbering import USUAL, Numbering
from stream.policy.patterns import compile_linear
from stream.policy.replies import OWNER, Replies, ReplyRule, ReplyText
from stream.policy.text import simplified_table
from stream.policy.toml import PolicySection

_CALENDAR_CYCLE_S = 146_097 * 86_400
"""The Gregorian calendar repeats itself after 400 years, days of the week included."""
_CALENDAR_END_S = 253_402_214_400
"""9999-12-31T00:00:00Z: a day before the last moment of `datetime`, so that all zones find their clock."""

Pattern = Annotated[str, msgspec.Meta(min_length=1)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]


class ConsentSettings(PolicySection, frozen=True):
    """What silence means: `refuse` (opt-in) or `allow` (an opt-out register)."""

    silence: Literal["refuse", "allow"]
    basis: Name


class StalenessSettings(PolicySection, frozen=True):
    """How old the registry's picture may be, and what happens to commercial traffic beyond that."""

    fail: Literal["closed", "open"]
    limit_ms: Annotated[int, msgspec.Meta(ge=1_000)]
    basis: Name


class AppealSettings(PolicySection, frozen=True):
    """Where the party can turn (Article 22; for calls the redress address of RFC 8688)."""

    address: Name
    basis: Name


class NumberSettings(PolicySection, frozen=True):
    """Patterns that a whole number must match, as read, and the numbers that always pass.

    `mobile`, `fixed` and `hotline` are of numbers within the country, without any prefix; `area` stands before the
    latter two; `port` is an industry port, from which SMS are sent.
    """

    subscriber: Pattern
    short: Pattern
    help: Pattern
    redress: tuple[Name, ...]
    mvno: tuple[Name, ...]
    basis: Name
    country: Annotated[
        str,
        msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}$", extra={FORM: "a calling code without its plus, as `86`"}),
    ] = USUAL["country"]
    mobile: Pattern = USUAL["mobile"]
    fixed: Pattern = USUAL["fixed"]
    hotline: Pattern = USUAL["hotline"]
    area: Pattern = USUAL["area"]
    port: Pattern = USUAL["port"]


class TextSettings(PolicySection, frozen=True):
    """What is looked for in texts: the way to refuse; length of campaign filings, and what counts as a link in them
    besides addresses and domains, which do anyway (Article 27).
    """

    opt_out: Pattern
    campaign_characters_max: Annotated[int, msgspec.Meta(ge=1)]
    basis: Name
    link: Pattern | None = None


class Hours(PolicySection, frozen=True):
    """When commercial traffic may arrive: from `from_` until before `to`, on the clock of `zone`.

    A window whose end is not after its beginning runs over midnight. Several windows for the same channel and
    category add up; a channel and category without any is not limited.
    """

    channel: Channel
    from_: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
            extra={FORM: "a time of day from 00:00 to 23:59, as `08:00`"},
        ),
    ]
    to: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            extra={FORM: "a time of day from 00:00 to 24:00, as `21:00`"},
        ),
    ]
    zone: Name
    basis: Name
    categories: tuple[Name, ...] = ()


class ProtocolAnswer(PolicySection, frozen=True):
    """The answer per protocol for one reason: SIP and Q.850 for calls, SMPP and CMPP for SMS."""

    smpp: Annotated[int, msgspec.Meta(ge=0x0400, le=0x04FF)] | None = None
    cmpp: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    sip: Annotated[int, msgspec.Meta(ge=400, le=699)] | None = None
    q850: Annotated[int, msgspec.Meta(ge=1, le=127)] | None = None

    def on(self, channel: Channel) -> dict[str, int]:
        """The codes that a channel's gateways understand."""
        if channel == "sms":
            return _given(smpp=self.smpp, cmpp=self.cmpp)
        return _given(sip=self.sip, q850=self.q850)


class WarningSettings(PolicySection, frozen=True):
    """Early warning over windows of activity (`stream.warning.rules.senders`). All are settings: Article 21 asks for
    judgement, and sets no figure.
    """

    unowned_events_min: Positive = 20
    """in one window, for a number that nobody owns to be counted at all: no person sends two messages a second"""
    half_life_ms: Positive = 1_800_000
    """how fast the sums fade: half an hour sees through pauses, and forgets an accident by evening"""
    baseline_half_life_ms: Positive = 86_400_000
    """how slowly the usual rate follows: a day, so that a burst does not become usual while it lasts"""
    baseline_windows_min: Positive = 60
    """windows with traffic before a rate counts as usual: ten minutes of sending"""
    blocked_share_max: Share = 0.3
    """clean lists go stale by a few per cent; a third blocked is a list without consent"""
    blocked_events_min: Positive = 200
    burst_factor: Rate = 10.0
    """times the usual rate"""
    burst_events_min: Positive = 500
    """in one window: 50 a second"""
    refusals_per_thousand_max: Rate = 5.0
    """of delivered messages: consenting recipients refuse at well under one in a thousand"""
    refusals_delivered_min: Positive = 1_000
    sweep_run_max: Positive = 50
    """recipients whose numbers follow one another: chance makes runs of two or three"""
    personal_recipients_max: Positive = 200
    """distinct recipients of one personal number while the sums remember: no person has so much to say"""
    hinted_share_max: Share = 0.02
    """service texts that tell how to refuse: service needs no such hint, so it is advertising"""
    hinted_events_min: Positive = 200
    clear_share: Share = 0.5
    """of the limit, at which a raised rule may be raised again"""
    quiet_ms: Positive = 1_800_000
    """within the limit for this long, too: a sweep or a burst comes and goes from one window to the next"""
    repeat_ms: Positive = 86_400_000
    """a rule that stays up is a repeat after a day, longer than the longest grace"""


class PolicyFile(PolicySection, frozen=True):
    """The file as it is written."""

    version: Name
    title: Name
    categories: tuple[Name, ...]
    consent: ConsentSettings
    staleness: StalenessSettings
    appeal: AppealSettings
    numbers: NumberSettings
    texts: TextSettings
    reply_text: ReplyText
    replies: tuple[ReplyRule, ...]
    answers: dict[str, ProtocolAnswer]
    hours: tuple[Hours, ...] = ()
    warning: WarningSettings = WarningSettings()


class ReplyExpression(NamedTuple):
    """What a reply asks for: a will on a channel toward a sender (None: toward everybody)."""

    will: Verb
    channel: Channel
    sender: str | None


class Policy:
    """A policy as the rules ask for it, all of its patterns compiled: one that was made does not fail later.

    `loading` makes it from a checked file. Raises `PatternError` where a pattern is none, or they are too large.
    """

    def __init__(self, file: PolicyFile, *, text: str) -> None:
        self.file = file
        self.version = file.version
        self.digest = hashlib.sha256((text + simplified_table()).encode()).hexdigest()
        self.silence_refuses = file.consent.silence == "refuse"
        self.fails_closed = file.staleness.fail == "closed"
        self.staleness_limit_ms = file.staleness.limit_ms
        self.appeal = file.appeal.address
        self.opt_out = compile_linear(file.texts.opt_out)
        self.link = compile_linear(file.texts.link) if file.texts.link else None
        self.replies = Replies(file.reply_text, file.replies)
        self.numbering = Numbering({name: getattr(file.numbers, name) for name in USUAL}, file.numbers.redress)
        """the reader of numbers, and their kinds"""

    def reply_expression(self, to: str, text: str, owner: str | None) -> ReplyExpression | None:
        """What a reply to a number (as read) means, if anything."""
        rule = self.replies.rule(to, text, owned=owner is not None)
        if rule is None:
            return None
        return ReplyExpression(rule.will, rule.channel, owner if rule.scope == OWNER else None)

    def code(self, reason: str, channel: Channel) -> dict[str, int]:
        """The answer per protocol for a reason that blocks or suspends."""
        return self.file.answers[reason].on(channel)

    def hours(self, channel: Channel, category: str) -> tuple[Hours, ...]:
        """The windows that limit this traffic; none: it is not limited."""
        return tuple(
            window
            for window in self.file.hours
            if window.channel == channel and (not window.categories or category in window.categories)
        )


def within(windows: tuple[Hours, ...], now: int) -> bool:
    """Whether a moment (milliseconds since the epoch) lies in one of these windows."""
    moment = clock_moment(now)
    return any(_within(window, moment) for window in windows)


def clock_moment(now: int) -> datetime:
    """A moment (milliseconds since the epoch) whose clock and day of the week are those of `now`.

    Total over the wire's times, which reach far beyond the last year that `datetime` knows: such a moment is
    taken back by whole cycles of the calendar, which leaves its clock and its day as they are.
    """
    seconds = now // 1000
    if not 0 <= seconds < _CALENDAR_END_S:
        seconds = seconds % _CALENDAR_CYCLE_S + (_CALENDAR_END_S // _CALENDAR_CYCLE_S - 1) * _CALENDAR_CYCLE_S
    return datetime.fromtimestamp(seconds, UTC)


def _within(window: Hours, moment: datetime) -> bool:
    local = moment.astimezone(ZoneInfo(window.zone)).time()
    begins = time.fromisoformat(window.from_)
    if window.to == "24:00":
        return local >= begins
    ends = time.fromisoformat(window.to)
    return begins <= local < ends if begins < ends else local >= begins or local < ends


def _given(**codes: int | None) -> dict[str, int]:
    return {protocol: code for protocol, code in codes.items() if code is not None}
