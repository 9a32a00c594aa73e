"""A small world in which everything is in order, and events that pass there: tests change one thing and look.

`lands_on` decides an event both ways and demands that they agree.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from stream.model.decision import Decision
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Channel, EntryPurpose, Measure
from stream.model.registry import Campaign, Expression, FileRecord, NumberEntry, Order, Sender, Wordlist
from stream.policy.decide import Decider, case_of, decide, first_match
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.settings import Hours, Policy
from stream.registry.registry import Registry

NOON = 1_795_492_800_000
"""2026-11-24T12:00:00+08:00"""
HOUR = 3_600_000

CONSENTING, REFUSING, SILENT = "+8613800138000", "+8613900139000", "+8617012345678"
PORT, SERVICE_PORT, SIM, LINE = "1069012345", "1069109999", "+8613700137000", "+861087654321"
GOOD_TEXT = "【某行】您的额度已提升。详询95588，拒收请回复R"
APPROVED = "防汛提醒：请勿涉水。市防汛办12345"

ANY_PURPOSE: tuple[EntryPurpose, ...] = ("commercial", "public", "service", "emergency", "personal")


def entry(prefix: str, *purposes: EntryPurpose, channel: Channel = "sms", **more: object) -> NumberEntry:
    return msgspec.convert({"prefix": prefix, "channel": channel, "purposes": purposes, **more}, NumberEntry)


BANK = Sender(
    sender="ORG-1",
    name="某某银行",
    signatures=("某行",),
    contact="95588",
    status="active",
    numbers=(
        entry("10690123", *ANY_PURPOSE, categories=["finance", "travel"]),
        entry(SERVICE_PORT, "service"),
        entry(SIM, "commercial", "personal"),
        entry("+8610", *ANY_PURPOSE, channel="call", categories=["finance", "travel"]),
    ),
)
SHOP = Sender(
    sender="ORG-2", name="某店", contact="4001234567", status="active", numbers=(entry("10691", "commercial"),)
)
CAMPAIGN = Campaign(
    campaign="P-1",
    status="approved",
    sender="ORG-1",
    from_=NOON - HOUR,
    until=NOON + HOUR,
    text=APPROVED,
    regions=("110000",),
)
WORDS = Wordlist(list="L", terms=("赌场",))


def wills(channel: Channel) -> tuple[Expression, ...]:
    said = {"channel": channel, "time": NOON, "source": "form"}
    consent = {**said, "subscriber": CONSENTING, "will": "consent", "sender": "ORG-1", "category": "finance"}
    refusal = {**said, "subscriber": REFUSING, "will": "refuse"}
    return msgspec.convert(consent, Expression), msgspec.convert(refusal, Expression)


LAWFUL: tuple[FileRecord, ...] = (BANK, SHOP, CAMPAIGN, WORDS, *wills("sms"), *wills("call"))

Struct = TypeVar("Struct", bound=msgspec.Struct)


def but(struct: Struct, **changes: object) -> Struct:
    """The same with some fields changed; `from_` is `from`."""
    return msgspec.structs.replace(struct, **changes)


ADVERT = Sms(
    id="e",
    time=NOON,
    to=CONSENTING,
    sender="ORG-1",
    from_=PORT,
    purpose="commercial",
    category="finance",
    text=GOOD_TEXT,
)
SALES_CALL = Call(
    id="e", time=NOON, to=CONSENTING, sender="ORG-1", from_=LINE, purpose="commercial", category="finance"
)
NOTICE = Sms(id="e", time=NOON, to=SILENT, sender="ORG-1", from_=SERVICE_PORT, purpose="service", text="验证码1234")
PUBLIC = Sms(id="e", time=NOON, to=SILENT, from_=PORT, purpose="public", campaign="P-1", region="110101", text=APPROVED)
CHAT = Sms(id="e", time=NOON, to=SILENT, from_="+8613600136000", purpose="personal", text="吃了吗")
OPT_OUT = Reply(id="e", time=NOON, from_=CONSENTING, to=PORT, text="TD")


def order(measure: Measure, *, channel: Channel | None = None, **more: object) -> Order:
    named = {} if "number" in more else {"sender": "ORG-1"}
    fields = {"order": "O-1", "measure": measure, "from": 0, "basis": "measures", "channel": channel, **named, **more}
    return msgspec.convert(fields, Order)


def policy(*, silence: str = "refuse", fail: str = "closed", hours: tuple[Hours, ...] = ()) -> Policy:
    """cn-2020 with some settings changed."""
    file = load().file
    return Policy(
        but(file, consent=but(file.consent, silence=silence), staleness=but(file.staleness, fail=fail), hours=hours),
        text="a variant",
    )


def registry(*more: FileRecord) -> Registry:
    """The world where all is in order, and what is added to it."""
    whole = Registry()
    whole.apply((*LAWFUL, *more))
    return whole


def decided(
    event: Event, *more: FileRecord, by: Policy | None = None, now: int | None = None, stale: bool = False
) -> Decision:
    """The decision, by both ways."""
    _, decision = _both(event, more, by, now, stale=stale)
    return decision


def lands_on(
    row: str, event: Event, *more: FileRecord, by: Policy | None = None, now: int | None = None, stale: bool = False
) -> Decision:
    """The decision, which this row must have made, by both ways."""
    landed, decision = _both(event, more, by, now, stale=stale)
    assert landed == row
    return decision


def _both(
    event: Event, more: tuple[FileRecord, ...], by: Policy | None, now: int | None, *, stale: bool
) -> tuple[str, Decision]:
    moment = event.time if now is None else now
    world = World(by or load(), registry(*more), stale=stale)
    quick = Decider(world.policy, world.registry)
    quick.settle(stale=stale, epoch="file")
    rule = first_match(case_of(event, world, moment))
    assert quick.match(event, moment) is rule
    decision = decide(event, world, moment)
    assert quick.decide(event, moment) == decision
    assert (decision.verdict, decision.reason) == (rule.verdict, rule.reason)
    return rule.id, decision


Test = TypeVar("Test")


def covers(*rows: str) -> Callable[[Test], Test]:
    """Marks a test as the example of these rows of the table; `docs/policy.md` names it beside them."""
    assert rows

    def mark(test: Test) -> Test:
        return test

    return mark
