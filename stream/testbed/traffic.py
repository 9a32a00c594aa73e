"""Traffic for the sample registry: SMS, calls and replies, of every outcome, in proportions like a
carrier's day.

Each row of `SCENARIOS` makes one kind of event, says the reason that it will be answered with by `cn-2020`,
and its share. The same seed makes the same events. Reasons that this policy cannot give on a fresh registry
(`registry_stale`, `quiet_hours`, `default_allow`) have no scenario. Never I/O, never a clock: the caller
says what time it is.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from bloom.partition import partitions_of
from stream.deciding.batch import Keyed
from stream.model.codec import encode
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Purpose
from stream.model.registry import NumberEntry, Sender
from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT, TopicPartition
from stream.testbed import sample as registry
from stream.testbed.sample import Indexes, Offer, Sample, subscriber
from stream.testbed.texts import SampleTexts

TOPIC_OF_KIND: Final[dict[type[Event], str]] = {Sms: EVENTS_SMS, Call: EVENTS_CALL, Reply: EVENTS_REPLY}
UNSTATED_SHARE: Final = 3
"""One in so many events from a port leaves purpose, category and sender to its entry, as many gateways do."""

ORIGINS: Final = ("smsc-1", "smsc-2", "smsc-3", "scscf-1")
REGIONS: Final = ("110101", "110108", "310115", "310101")


class Placed(NamedTuple):
    """An event's bytes and where they go."""

    place: TopicPartition
    record: Keyed


class Traffic:
    """A source of events without end. Not for two tasks at once."""

    def __init__(self, sample: Sample, texts: SampleTexts, *, seed: int, prefix: str = "demo") -> None:
        self.sample = sample
        self.now = sample.now
        self._texts = texts
        self._rng = random.Random(seed)  # noqa: S311  # traffic is to be the same every time, not secret
        self.prefix = prefix
        self._serial = 0
        self._opening = list(SCENARIOS)
        self._rng.shuffle(self._opening)
        self._senders = {record.sender: record for record in sample.senders}
        self._sms_offers = [offer for offer in sample.offers if offer.channel == "sms"]
        self._call_offers = [offer for offer in sample.offers if offer.channel == "call"]
        self._services = [
            (record, entry)
            for record in sample.senders
            for entry in record.numbers
            if entry.purposes == ("service",) and entry.channel == "sms"
        ]

    def events(self, count: int, *, now: int) -> list[Event]:
        """The next `count` events, which happen at `now` (milliseconds). The first have one of each scenario.

        Some 8 µs an event.
        """
        self.now = now
        opening, self._opening = self._opening[:count], self._opening[count:]
        rest = self._rng.choices(SCENARIOS, cum_weights=_CUMULATED, k=count - len(opening))
        return [scenario.make(self) for scenario in (*opening, *rest)]

    # What people do.

    def personal_sms(self) -> Sms:
        """A message between people."""
        return self._sms(
            to=self._person(), from_=self._person(), purpose="personal", text=self._texts.personal(self._rng)
        )

    def personal_call(self) -> Call:
        """A call between people."""
        return self._call(to=self._person(), from_=self._person(), purpose="personal", verstat=_PASSED)

    def call_for_help(self) -> Call:
        """A call that must never wait for anything."""
        return self._call(to=self._rng.choice(("110", "119", "120")), from_=self._person(), purpose="personal")

    def redress(self) -> Call:
        """A call to where people complain."""
        return self._call(to="12321", from_=self._person(), purpose="personal")

    def reply(self) -> Reply:
        """A reply that makes no expression."""
        return self._reply(self._anyone(self.sample.silent), self._rng.choice(("好的", "收到", "谢谢")))

    def opt_out_reply(self) -> Reply:
        """A reply of somebody who has had enough."""
        return self._reply(self._anyone(self.sample.leaving), self._rng.choice(("TD", "退订", "R", "t")))

    # What goes as it should.

    def service_sms(self) -> Sms:
        """A notice about something that the recipient asked for."""
        sender, entry = self._rng.choice(self._services)
        return self._ported(
            sender, entry, to=self._person(), purpose="service", text=self._texts.service(self._rng, sender)
        )

    def service_call(self) -> Call:
        """A courier rings; what is shown is a protected number of its own."""
        line = self._senders["ORG-COURIER"].numbers[1].prefix
        return self._call(
            to=self._person(), from_=f"{line}0", purpose="service", presented=f"{line}{self._rng.randrange(10)}"
        )

    def consented_sms(self) -> Sms:
        """An advertisement to somebody who wants it."""
        offer = self._rng.choice(self._sms_offers)
        return self._offered(offer, self._anyone(offer.who))

    def consented_call(self) -> Call:
        """A sales call to somebody who wants it."""
        offer = self._rng.choice(self._call_offers)
        return self._sales_call(offer, self._anyone(offer.who))

    def public_interest(self) -> Sms:
        """An approved campaign, as it was approved."""
        return self._campaign(registry.CAMPAIGN)

    def short_number(self) -> Sms:
        """An advertisement to a hotline, which nobody's will protects."""
        return self._offered(self._rng.choice(self._sms_offers), "95588")

    def emergency(self) -> Sms:
        """A warning: from the weather service's own port, or under an emergency campaign."""
        if self._rng.random() < 0.5:
            entry = self._senders[registry.WEATHER_SENDER].numbers[0]
            return self._sms(
                to=self._person(),
                from_=_from(entry, self._rng),
                purpose="emergency",
                text=registry.EMERGENCY_TEXT,
            )
        return self._sms(
            to=self._person(),
            from_="1069000199001",
            purpose="emergency",
            text=registry.EMERGENCY_TEXT,
            campaign=registry.CAMPAIGN_EMERGENCY,
        )

    # What subscribers do not want.

    def no_consent_sms(self) -> Sms:
        """An advertisement to a subscriber without expressions."""
        return self._offered(self._rng.choice(self._sms_offers), self._anyone(self.sample.silent))

    def no_consent_call(self) -> Call:
        """A sales call to a subscriber without expressions."""
        return self._sales_call(self._rng.choice(self._call_offers), self._anyone(self.sample.silent))

    def refused_sms(self) -> Sms:
        """An advertisement to somebody who refused: everything, or this category."""
        if self._rng.random() < 0.9:
            return self._offered(self._rng.choice(self._sms_offers), self._anyone(self.sample.refusing_sms))
        homes = [offer for offer in self._sms_offers if offer.category == registry.REFUSED_CATEGORY]
        return self._offered(self._rng.choice(homes), self._anyone(self.sample.refusing_category))

    def refused_call(self) -> Call:
        """A sales call to somebody who refused all of them."""
        return self._sales_call(self._rng.choice(self._call_offers), self._anyone(self.sample.refusing_calls))

    # What senders may not do.

    def unlicensed(self) -> Sms:
        """An advertisement of nobody known, or of a sender whose licence is gone."""
        if self._rng.random() < 0.5:
            return self._sms(
                to=self._person(),
                from_=f"1065{self._rng.randrange(10**6):06d}",
                purpose="commercial",
                text=self._texts.without_identity(self._rng, "general"),
            )
        revoked = self._senders[registry.REVOKED_SENDER]
        return self._advertised(revoked, "general", self._person())

    def number_not_assigned(self) -> Sms:
        """A sender uses a port that is another's."""
        bank, shop = self._senders["ORG-BANK-1"], self._senders["ORG-SHOP-1"]
        return self._sms(
            to=self._person(),
            sender=shop.sender,
            from_=_from(bank.numbers[0], self._rng),
            purpose="commercial",
            category="retail",
            text=self._texts.advertisement(self._rng, shop, "retail"),
        )

    def purpose_not_permitted(self) -> Sms:
        """An advertisement from the hospital's port, which is for service."""
        hospital = self._senders[registry.SERVICE_SENDER]
        return self._advertised(hospital, "health", self._person())

    def category_not_permitted(self) -> Sms:
        """The bank's port is for finance, and this is something else."""
        return self._advertised(self._senders["ORG-BANK-1"], "retail", self._person())

    def platform_commercial_call(self) -> Call:
        """A sales call from a voice platform."""
        entry = self._senders[registry.PLATFORM_SENDER].numbers[0]
        return self._call(to=self._person(), from_=_from(entry, self._rng), purpose="commercial", category="finance")

    def spoofed_number(self) -> Call:
        """The network could not verify the number, or another's is shown."""
        if self._rng.random() < 0.5:
            return self._call(to=self._person(), from_=self._person(), purpose="personal", verstat=_FAILED)
        tutor, bank = self._senders["ORG-TUTOR"].numbers[1], self._senders["ORG-BANK-1"].numbers[2]
        return self._call(
            to=self._person(),
            from_=tutor.prefix,
            purpose="commercial",
            category="education",
            presented=bank.prefix,
        )

    def number_missing(self) -> Call:
        """A call without a number."""
        return self._call(to=self._person(), from_=None, purpose="personal")

    def malformed_number(self) -> Sms:
        """A number that is none."""
        return self._sms(to=self._person(), from_="+0086", purpose="personal", text=self._texts.personal(self._rng))

    def suspended(self) -> Sms:
        """A sender against which all traffic is stopped."""
        return self._advertised(self._senders[registry.SUSPENDED_SENDER], "finance", self._person())

    def stopped(self) -> Sms:
        """A sender against which commercial traffic is stopped."""
        return self._advertised(self._senders[registry.STOPPED_SENDER], "health", self._person())

    def prohibited_content(self) -> Sms:
        """A text with a term that the law prohibits, its letters kept apart to get past a simple search."""
        offer = self._rng.choice(self._sms_offers)
        sender = self._senders[offer.sender]
        hidden = " ".join(registry.PROHIBITED_TERM)
        text = hidden + self._texts.advertisement(self._rng, sender, offer.category)
        return self._offered(offer, self._anyone(offer.who), text=text)

    def identity_missing(self) -> Sms:
        """Wanted, but it does not say who sends it."""
        offer = self._rng.choice(self._sms_offers)
        text = self._texts.without_identity(self._rng, offer.category)
        return self._offered(offer, self._anyone(offer.who), text=text)

    def opt_out_missing(self) -> Sms:
        """Wanted, but it does not say how to refuse."""
        offer = self._rng.choice(self._sms_offers)
        text = self._texts.without_opt_out(self._rng, self._senders[offer.sender], offer.category)
        return self._offered(offer, self._anyone(offer.who), text=text)

    def campaign_unknown(self) -> Sms:
        """A campaign that was refused, or never filed."""
        return self._campaign(self._rng.choice((registry.CAMPAIGN_REFUSED, "P-DEMO-NOBODY")))

    def campaign_outside_window(self) -> Sms:
        """A campaign that is over."""
        return self._campaign(registry.CAMPAIGN_PAST)

    def campaign_outside_region(self) -> Sms:
        """A campaign that was approved for elsewhere."""
        return self._campaign(registry.CAMPAIGN, region="440305")

    def campaign_text_mismatch(self) -> Sms:
        """A campaign with something added to what was approved."""
        return self._campaign(registry.CAMPAIGN, text=registry.CAMPAIGN_TEXT + "购药八折。")

    def watched_advertisement(self, to: str, *, now: int) -> Sms:
        """What the watched subscriber consented to, and will refuse."""
        self.now = now
        return self._advertised(self._senders[registry.WATCHED_SENDER], registry.WATCHED_CATEGORY, to)

    def watched_reply(self, from_: str, *, now: int) -> Reply:
        """The watched subscriber has had enough."""
        self.now = now
        port = self._senders[registry.WATCHED_SENDER].numbers[0].prefix
        return Reply(id=self._id(), time=now, from_=from_, to=port, text="TD", origin=ORIGINS[0])

    # How events are put together.

    def _id(self) -> str:
        self._serial += 1
        return f"{self.prefix}-{self._serial:08d}"

    def _anyone(self, who: Indexes) -> str:
        return subscriber(who.start + int(self._rng.random() * len(who)))

    def _person(self) -> str:
        """Anybody at all: most calls and messages are between people, whatever they expressed about advertising."""
        return subscriber(int(self._rng.random() * self.sample.silent.stop))

    def _sms(
        self,
        *,
        to: str,
        from_: str | None,
        purpose: Purpose | None,
        text: str,
        sender: str | None = None,
        category: str | None = None,
        campaign: str | None = None,
        region: str | None = None,
    ) -> Sms:
        return Sms(
            id=self._id(), time=self.now, to=to, sender=sender, from_=from_, purpose=purpose,
            category=category, text=text, campaign=campaign, region=region, origin=self._rng.choice(ORIGINS),
        )  # fmt: skip

    def _call(
        self,
        *,
        to: str,
        from_: str | None,
        purpose: Purpose | None,
        category: str | None = None,
        presented: str | None = None,
        verstat: str | None = None,
    ) -> Call:
        return Call(
            id=self._id(), time=self.now, to=to, from_=from_, purpose=purpose, category=category,
            presented=presented, verstat=verstat, origin=ORIGINS[-1],
        )  # fmt: skip

    def _reply(self, from_: str, text: str) -> Reply:
        port = self._senders[registry.LEFT_SENDER].numbers[0].prefix
        return Reply(id=self._id(), time=self.now, from_=from_, to=port, text=text, origin=ORIGINS[0])

    def _ported(
        self,
        sender: Sender,
        entry: NumberEntry,
        *,
        to: str,
        purpose: Purpose,
        text: str,
        category: str | None = None,
    ) -> Sms:
        """A message from a sender's port; some gateways leave to the entry what it says anyway."""
        stated = self._rng.randrange(UNSTATED_SHARE) > 0 or len(entry.purposes) > 1 or len(entry.categories) > 1
        return self._sms(
            to=to,
            from_=_from(entry, self._rng),
            text=text,
            sender=sender.sender if stated else None,
            purpose=purpose if stated else None,
            category=category if stated else None,
        )

    def _offered(self, offer: Offer, to: str, *, text: str | None = None) -> Sms:
        return self._advertised(self._senders[offer.sender], offer.category, to, text=text)

    def _advertised(self, sender: Sender, category: str, to: str, *, text: str | None = None) -> Sms:
        text = text or self._texts.advertisement(self._rng, sender, category)
        entry = sender.numbers[0]
        if category in entry.categories:
            return self._ported(sender, entry, to=to, purpose="commercial", text=text, category=category)
        return self._sms(
            to=to,
            from_=_from(entry, self._rng),
            purpose="commercial",
            text=text,
            sender=sender.sender,
            category=category,
        )

    def _sales_call(self, offer: Offer, to: str) -> Call:
        return self._call(
            to=to,
            from_=self._offer_from(offer),
            purpose="commercial",
            category=offer.category,
            verstat=_PASSED,
        )

    def _offer_from(self, offer: Offer) -> str:
        entries = self._senders[offer.sender].numbers
        return _from(next(entry for entry in entries if entry.channel == offer.channel), self._rng)

    def _campaign(self, campaign: str, *, region: str | None = None, text: str = registry.CAMPAIGN_TEXT) -> Sms:
        entry = self._senders[registry.HEALTH_SENDER].numbers[0]
        return self._sms(
            to=self._person(),
            from_=entry.prefix,
            purpose="public",
            text=text,
            campaign=campaign,
            region=region or self._rng.choice(REGIONS),
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of event: the reason it is answered with, its share (parts of the whole), and how it is made."""

    reason: str
    share: int
    make: Callable[[Traffic], Event]


SCENARIOS: Final = (
    Scenario("personal", 2_400, Traffic.personal_sms),
    Scenario("personal", 900, Traffic.personal_call),
    Scenario("service", 2_300, Traffic.service_sms),
    Scenario("service", 300, Traffic.service_call),
    Scenario("consented", 1_400, Traffic.consented_sms),
    Scenario("consented", 120, Traffic.consented_call),
    Scenario("no_consent", 800, Traffic.no_consent_sms),
    Scenario("no_consent", 120, Traffic.no_consent_call),
    Scenario("refused", 600, Traffic.refused_sms),
    Scenario("refused", 140, Traffic.refused_call),
    Scenario("public_interest", 160, Traffic.public_interest),
    Scenario("unlicensed", 110, Traffic.unlicensed),
    Scenario("platform_commercial_call", 90, Traffic.platform_commercial_call),
    Scenario("identity_missing", 70, Traffic.identity_missing),
    Scenario("opt_out_missing", 70, Traffic.opt_out_missing),
    Scenario("prohibited_content", 60, Traffic.prohibited_content),
    Scenario("suspended", 60, Traffic.suspended),
    Scenario("purpose_not_permitted", 50, Traffic.purpose_not_permitted),
    Scenario("category_not_permitted", 50, Traffic.category_not_permitted),
    Scenario("number_not_assigned", 40, Traffic.number_not_assigned),
    Scenario("spoofed_number", 40, Traffic.spoofed_number),
    Scenario("stopped", 40, Traffic.stopped),
    Scenario("reply", 30, Traffic.reply),
    Scenario("opt_out_reply", 20, Traffic.opt_out_reply),
    Scenario("malformed_number", 15, Traffic.malformed_number),
    Scenario("number_missing", 10, Traffic.number_missing),
    Scenario("emergency", 10, Traffic.emergency),
    Scenario("call_for_help", 10, Traffic.call_for_help),
    Scenario("short_number", 10, Traffic.short_number),
    Scenario("redress", 5, Traffic.redress),
    Scenario("campaign_unknown", 5, Traffic.campaign_unknown),
    Scenario("campaign_outside_window", 5, Traffic.campaign_outside_window),
    Scenario("campaign_outside_region", 5, Traffic.campaign_outside_region),
    Scenario("campaign_text_mismatch", 5, Traffic.campaign_text_mismatch),
)

_CUMULATED: Final = tuple(accumulate(scenario.share for scenario in SCENARIOS))

_PASSED: Final = "TN-Validation-Passed"
_FAILED: Final = "TN-Validation-Failed"


def place(events: list[Event], *, partitions: int) -> list[Placed]:
    """Each event's bytes with its topic and its subscriber's partition; emergencies go the urgent way."""
    subscribers = [event.from_ if isinstance(event, Reply) else event.to for event in events]
    return [
        Placed(TopicPartition(_topic(event), partition), Keyed(key.encode(), encode(event)))
        for event, key, partition in zip(
            events, subscribers, partitions_of(subscribers, partitions).tolist(), strict=True
        )
    ]


def _topic(event: Event) -> str:
    if isinstance(event, Sms) and event.purpose == "emergency":
        return EVENTS_URGENT
    return TOPIC_OF_KIND[type(event)]


def _from(entry: NumberEntry, rng: random.Random) -> str:
    """A number under a prefix: ports are extended by a few digits, lines are as they are."""
    return entry.prefix if entry.channel == "call" else f"{entry.prefix}{rng.randrange(100):02d}"
