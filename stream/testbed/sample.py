"""The sample registry: who sends, what stands against them, and the expressions of some two million subscribers.

Pure and the same on every machine: everything follows from the moment and the sizes that are given. Names,
numbers and texts are invented. Subscribers are counted by an index from 0; those of one and the same expression are
a range of indexes, so a million expressions are a handful of `RepeatedExpression`, made into records only when they
are written.
Never I/O, never a clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.model.fields import Channel, EntryPurpose, Verb
from stream.model.registry import Campaign, Expression, NumberEntry, Order, Record, Sender, Wordlist
from stream.model.times import DAY_MS, HOUR_MS

REFUSALS_COUNT: Final = 1_000_000
REFUSALS_COUNT_MIN: Final = 1_000
CONSENTS_PER_PAIR: Final = 400
SILENT_COUNT: Final = 1_000_000
RETURNED_SHARE: Final = 1_000
"""One in so many of those who refused everything consented to one sender again later."""

_SEGMENTS: Final = (86138, 86139, 86150, 86159, 86170, 86186, 86189, 86199)
_STRIDE: Final = 61_803_399
"""Coprime with 10⁸, so that indexes are spread over a segment's numbers, each to one of its own."""

Indexes = range
IndexT = TypeVar("IndexT", int, NDArray[np.int64])


def numbers_of(indexes: Indexes) -> NDArray[np.int64]:
    """The subscribers' numbers, as integers, spread over eight segments; different for different indexes < 8·10⁸."""
    index = np.arange(indexes.start, indexes.stop, dtype=np.int64)
    segments = np.array(_SEGMENTS, dtype=np.int64)
    numbers: NDArray[np.int64] = segments[index & 7] * 10**8 + _line_of(index)
    return numbers


def subscriber(index: int) -> str:
    """One subscriber's number as it stands on the wire."""
    return f"+{_SEGMENTS[index & 7] * 10**8 + _line_of(index)}"


def _line_of(index: IndexT) -> IndexT:
    """The last eight digits of an index's number."""
    return ((index >> 3) * _STRIDE + 13_800_138) % 10**8


@dataclass(frozen=True, slots=True)
class RepeatedExpression:
    """The same expression of every subscriber of a range."""

    channel: Channel
    will: Verb
    sender: str | None
    category: str | None
    who: Indexes
    time: int
    source: str

    def expression(self, index: int) -> Expression:
        """The record of one of them."""
        return Expression(
            subscriber=subscriber(index),
            channel=self.channel,
            will=self.will,
            time=self.time,
            source=self.source,
            sender=self.sender,
            category=self.category,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A pair that commercial traffic is about: a sender and a category on a channel, and who consented to it."""

    channel: Channel
    sender: str
    category: str
    who: Indexes


@dataclass(frozen=True, slots=True)
class Sample:
    """A whole registry. `expressions` are in order of receipt."""

    now: int
    senders: tuple[Sender, ...]
    orders: tuple[Order, ...]
    campaigns: tuple[Campaign, ...]
    wordlists: tuple[Wordlist, ...]
    expressions: tuple[RepeatedExpression, ...]
    offers: tuple[Offer, ...]
    refusing_sms: Indexes
    refusing_calls: Indexes
    refusing_category: Indexes
    """refused one category (`REFUSED_CATEGORY`) on SMS"""
    leaving: Indexes
    """consented to `LEFT_SENDER`, and will reply that they have had enough"""
    silent: Indexes
    watched: int
    """the subscriber whose reply the demonstration follows: consented to `WATCHED_OFFER`"""

    def records(self) -> Sequence[Record]:
        """Everything but the expressions."""
        return (*self.senders, *self.orders, *self.campaigns, *self.wordlists)

    def expressions_of(self, index: int) -> Iterator[Expression]:
        """The expressions of one subscriber, in order."""
        return (repeated.expression(index) for repeated in self.expressions if index in repeated.who)

    @property
    def expressions_count(self) -> int:
        """How many expressions there are, a record each."""
        return sum(len(repeated.who) for repeated in self.expressions)

    @property
    def consents_count(self) -> int:
        """How many of them are consents."""
        return sum(len(repeated.who) for repeated in self.expressions if repeated.will == "consent")


REFUSED_CATEGORY: Final = "real-estate"
LEFT_SENDER: Final = "ORG-SHOP-2"
WATCHED_SENDER, WATCHED_CATEGORY = "ORG-BANK-1", "finance"


def sample(*, now: int, refusals_count: int = REFUSALS_COUNT, silent_count: int = SILENT_COUNT) -> Sample:
    """The registry as it stands at `now` (milliseconds); `refusals_count` at least `REFUSALS_COUNT_MIN`.

    Six in ten refusals are of every SMS, three of every call, one is narrower.
    """
    if refusals_count < REFUSALS_COUNT_MIN:
        raise ValueError(f"refusals_count is {refusals_count}: at least {REFUSALS_COUNT_MIN}")
    tenth = refusals_count // 10
    returned = range(6 * tenth // RETURNED_SHARE)
    no_sms, no_calls = range(6 * tenth), range(4 * tenth, 7 * tenth)
    no_category = range(7 * tenth, 7 * tenth + tenth // 2)
    no_sender = range(no_category.stop, no_category.stop + tenth // 2)
    offers, after_offers = _offers(no_sender.stop)
    leaving = range(after_offers, after_offers + 10 * CONSENTS_PER_PAIR)
    watched = leaving.stop
    first_silent = watched + 1

    before, since = now - 200 * DAY_MS, now - 30 * DAY_MS
    expressions = (
        RepeatedExpression("sms", "refuse", None, None, no_sms, before, "platform"),
        RepeatedExpression("call", "refuse", None, None, no_calls, before, "platform"),
        RepeatedExpression("sms", "refuse", None, REFUSED_CATEGORY, no_category, before, "platform"),
        RepeatedExpression("sms", "refuse", "ORG-SHOP-1", None, no_sender, before, "reply"),
        RepeatedExpression("sms", "consent", WATCHED_SENDER, WATCHED_CATEGORY, returned, since, "web-form"),
        *(
            RepeatedExpression(offer.channel, "consent", offer.sender, offer.category, offer.who, since, "web-form")
            for offer in offers
        ),
        RepeatedExpression("sms", "consent", LEFT_SENDER, "retail", leaving, since, "counter"),
        RepeatedExpression(
            "sms", "consent", WATCHED_SENDER, WATCHED_CATEGORY, range(watched, watched + 1), since, "web-form"
        ),
    )
    return Sample(
        now=now,
        senders=SENDERS,
        orders=_orders(now),
        campaigns=_campaigns(now),
        wordlists=WORDLISTS,
        expressions=expressions,
        offers=offers,
        refusing_sms=range(returned.stop, no_sms.stop),
        refusing_calls=no_calls,
        refusing_category=no_category,
        leaving=leaving,
        silent=range(first_silent, first_silent + silent_count),
        watched=watched,
    )


def _offers(first: int) -> tuple[tuple[Offer, ...], int]:
    """An offer per active sender, channel and category, each with its own people; and the next free index."""
    offers: list[Offer] = []
    for record in SENDERS:
        if record.status != "active" or record.sender in WITHOUT_OFFERS:
            continue
        for entry in record.numbers:
            if "commercial" in entry.purposes and not entry.platform:
                for category in entry.categories:
                    who = range(first, first + CONSENTS_PER_PAIR)
                    offers.append(Offer(entry.channel, record.sender, category, who))
                    first = who.stop
    return tuple(offers), first


def _port(prefix: str, *purposes: EntryPurpose, categories: tuple[str, ...] = ()) -> NumberEntry:
    return NumberEntry(prefix, "sms", purposes, categories)


def _line(
    prefix: str, *purposes: EntryPurpose, categories: tuple[str, ...] = (), platform: bool = False
) -> NumberEntry:
    return NumberEntry(prefix, "call", purposes, categories, platform)


def _sender(
    sender: str, name: str, contact: str, *numbers: NumberEntry, signature: str = "", revoked: bool = False
) -> Sender:
    return Sender(
        sender=sender,
        name=name,
        contact=contact,
        status="revoked" if revoked else "active",
        numbers=numbers,
        signatures=(signature,) if signature else (),
        licence=f"DEMO-{sender}",
    )


SUSPENDED_SENDER: Final = "ORG-LOAN"
STOPPED_SENDER: Final = "ORG-GYM"
LIMITED_SENDER: Final = "ORG-JOBS"
REVOKED_SENDER: Final = "ORG-GAMES"
SERVICE_SENDER: Final = "ORG-HOSPITAL"
PLATFORM_SENDER: Final = "ORG-VOICE"
HEALTH_SENDER: Final = "GOV-HEALTH"
WEATHER_SENDER: Final = "GOV-WEATHER"
WITHOUT_OFFERS: Final = (SUSPENDED_SENDER, STOPPED_SENDER)
"""Their commercial traffic is answered by an order, whoever consented."""

# Most have a port for commercial and another for service traffic, as Article 19 wants.
SENDERS: Final = (
    _sender(
        "ORG-BANK-1", "江澜银行", "400-000-0101",
        _port("106900010101", "commercial", categories=("finance",)),
        _port("106900010102", "service"),
        _line("+861055500101", "commercial", "service", categories=("finance",)),
    ),
    _sender(
        "ORG-BANK-2", "云桥银行股份有限公司", "400-000-0102",
        _port("106900010201", "commercial", categories=("finance", "insurance")),
        _port("106900010202", "service"),
        signature="云桥银行",
    ),
    _sender(
        "ORG-INSURER", "安禾保险", "400-000-0103",
        _port("106900010301", "commercial", categories=("insurance",)),
        _line("+861055500103", "commercial", categories=("insurance",)),
    ),
    _sender(
        "ORG-SCHOOL", "明川中学", "010-55500104",
        _port("106900010402", "service"),
    ),
    _sender(
        "ORG-TUTOR", "青禾学堂", "400-000-0105",
        _port("106900010501", "commercial", "service", categories=("education",)),
        _line("+861055500105", "commercial", categories=("education",)),
    ),
    _sender(
        "ORG-SHOP-1", "栖木家居", "400-000-0106",
        _port("106900010601", "commercial", categories=("retail",)),
    ),
    _sender(
        "ORG-SHOP-2", "拾光超市", "400-000-0107",
        _port("106900010701", "commercial", categories=("retail",)),
        _port("106900010702", "service"),
    ),
    _sender(
        "ORG-TRAVEL", "远山旅行", "400-000-0108",
        _port("106900010801", "commercial", categories=("travel",)),
    ),
    _sender(
        "ORG-HOMES", "筑檐地产", "400-000-0109",
        _port("106900010901", "commercial", categories=("real-estate",)),
        _line("+861055500109", "commercial", categories=("real-estate",)),
    ),
    _sender(
        "ORG-MVNO", "萤讯通信", "400-000-0110",
        _port("106900011001", "commercial", categories=("telecom",)),
        _port("106900011002", "service"),
        signature="萤讯",
    ),
    _sender(
        SERVICE_SENDER, "杏川医院", "010-55500111",
        _port("106900011102", "service"),
    ),
    _sender(
        "ORG-COURIER", "飞羽速运", "400-000-0112",
        _port("106900011202", "service"),
        _line("+86105550012", "service", "number-protection"),
    ),
    _sender(
        PLATFORM_SENDER, "声桥语音平台", "400-000-0113",
        _line("+861055500113", "commercial", "service", platform=True),
    ),
    _sender(
        LIMITED_SENDER, "百匠招聘", "400-000-0114",
        _port("106900011401", "commercial", categories=("recruitment",)),
    ),
    _sender(
        STOPPED_SENDER, "跃川健身", "400-000-0115",
        _port("106900011501", "commercial", "service", categories=("health",)),
    ),
    _sender(
        SUSPENDED_SENDER, "速穗信贷", "400-000-0116",
        _port("106900011601", "commercial", categories=("finance",)),
    ),
    _sender(
        REVOKED_SENDER, "乐岛游戏", "400-000-0117",
        _port("106900011701", "commercial", categories=("general",)),
        revoked=True,
    ),
    _sender(
        HEALTH_SENDER, "云州市卫生健康委员会", "12320",
        _port("106900012001", "public"),
    ),
    _sender(
        WEATHER_SENDER, "云州市气象台", "12121",
        _port("106900012101", "emergency", "public"),
    ),
)  # fmt: skip

PROHIBITED_TERM: Final = "免费领取代开发票"
WORDLISTS: Final = (
    Wordlist("demo-fraud", (PROHIBITED_TERM, "刷单返利", "冒充公检法", "安全账户转账"), "fraud"),
    Wordlist("demo-gambling", ("线上博彩", "六合下注"), "gambling"),
)

CAMPAIGN: Final = "P-DEMO-FLU"
CAMPAIGN_TEXT: Final = "【云州卫健委】流感季已到，社区卫生服务中心为六十岁以上居民接种疫苗，咨询12320。"
CAMPAIGN_REGIONS: Final = ("110000", "310100")
CAMPAIGN_PAST: Final = "P-DEMO-SUMMER"
CAMPAIGN_REFUSED: Final = "P-DEMO-REFUSED"
CAMPAIGN_EMERGENCY: Final = "E-DEMO-FLOOD"
EMERGENCY_TEXT: Final = "【云州应急】云河水位超过警戒线，沿岸居民请立即转移到高处，听从现场指挥。"


def _orders(now: int) -> tuple[Order, ...]:
    since = now - 2 * DAY_MS
    return (
        Order(
            order="O-DEMO-SUSPEND", measure="suspend", from_=since, basis="measures", sender=SUSPENDED_SENDER,
            until=now + 30 * DAY_MS, notice="N-DEMO-0001", actor="desk:17",
            appeal="tel:12300;phone-context=+86",
        ),
        Order(
            order="O-DEMO-STOP", measure="stop", from_=since, basis="measures", sender=STOPPED_SENDER,
            notice="N-DEMO-0002", actor="desk:17",
        ),
        Order(
            order="O-DEMO-LIMIT", measure="limit", from_=since, basis="measures", sender=LIMITED_SENDER,
            notice="N-DEMO-0003", actor="desk:4",
        ),
    )  # fmt: skip


def _campaigns(now: int) -> tuple[Campaign, ...]:
    return (
        Campaign(
            campaign=CAMPAIGN, status="approved", sender=HEALTH_SENDER, from_=now - DAY_MS,
            until=now + 7 * DAY_MS, text=CAMPAIGN_TEXT, contact="12320", regions=CAMPAIGN_REGIONS,
        ),
        Campaign(
            campaign=CAMPAIGN_PAST, status="approved", sender=HEALTH_SENDER, from_=now - 90 * DAY_MS,
            until=now - 80 * DAY_MS, text=CAMPAIGN_TEXT, contact="12320",
        ),
        Campaign(
            campaign=CAMPAIGN_REFUSED, status="refused", sender=HEALTH_SENDER, from_=now - DAY_MS,
            until=now + DAY_MS, text=CAMPAIGN_TEXT, contact="12320",
        ),
        Campaign(
            campaign=CAMPAIGN_EMERGENCY, status="approved", sender=WEATHER_SENDER, from_=now - HOUR_MS,
            until=now + DAY_MS, text=EMERGENCY_TEXT, emergency=True, numbers=("10690001990",),
        ),
    )  # fmt: skip
