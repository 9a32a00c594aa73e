"""DESIGN sections 3 to 5 once more, as plainly as they can be written: what the real thing is compared with.

Written from the document alone. Nothing here is fast, nothing is shared with `stream.policy`, `stream.registry` or
`bloom`. How texts and replies are read stands in `model_texts`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.policy import numbers
from tests.policy.model_texts import OPT_OUT, folded, normal, orders, prohibited, reached, refuses
from tests.policy.numbers import HELP, REDRESS, SHORT, SUBSCRIBER

Json = dict[str, object]

STRICTEST_FIRST = ("commercial", "public", "service", "emergency", "personal")


@dataclass(frozen=True)
class Window:
    """Permitted hours, in minutes of the day on the clock of a zone."""

    channel: str
    begins: int
    ends: int
    zone: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What varies between policies here."""

    silence_refuses: bool = True
    fails_closed: bool = True
    hours: tuple[Window, ...] = ()
    appeal: str = "tel:12300;phone-context=+86"


@dataclass(frozen=True)
class Answer:
    """As much of a decision as the rules settle."""

    verdict: str
    reason: str
    basis: str | None
    sender: str | None
    appeal: str | None = None


def read(record: object) -> object:
    """The record with all that is null or empty left out."""
    if isinstance(record, dict):
        return {name: read(value) for name, value in record.items() if value is not None and value != ""}
    if isinstance(record, list):
        return [read(value) for value in record if value is not None and value != ""]
    return record


def text(record: Json, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def needed(record: Json, name: str) -> str:
    value = text(record, name)
    assert value is not None
    return value


def number(record: Json, name: str, default: int = 0) -> int:
    value = record.get(name, default)
    assert isinstance(value, int)
    return value


def texts(record: Json, name: str) -> list[str]:
    values = record.get(name, [])
    assert isinstance(values, list)
    return [value for value in values if isinstance(value, str)]


def entries(sender: Json) -> list[Json]:
    values = sender.get("numbers", [])
    assert isinstance(values, list)
    return [value for value in values if isinstance(value, dict)]


class World:
    """A registry, record by record, and the questions of section 5."""

    def __init__(self, records: Iterable[Json], settings: Settings, *, stale: bool) -> None:
        self.settings = settings
        self.stale = stale
        self.senders: dict[str, Json] = {}
        self.orders: dict[str, Json] = {}
        self.campaigns: dict[str, Json] = {}
        self.lists: dict[str, Json] = {}
        self.consents: set[tuple[str, str, str, str]] = set()
        self.refusals: set[tuple[str, str, str, str]] = set()
        for raw in records:
            record = read(raw)
            assert isinstance(record, dict)
            self._take(record)

    def _take(self, record: Json) -> None:
        tables = {
            "sender": self.senders,
            "order": self.orders,
            "campaign": self.campaigns,
            "wordlist": self.lists,
        }
        kind = needed(record, "kind")
        if kind == "expression":
            self._express(record)
        elif kind == "tombstone":
            table = tables[needed(record, "topic").removeprefix("registry.").removesuffix("s")]
            table.pop(needed(record, "key"), None)
        else:
            key = needed(record, "list" if kind == "wordlist" else kind)
            tables[kind].pop(key, None)
            tables[kind][key] = record

    def _express(self, record: Json) -> None:
        subscriber, channel = needed(record, "subscriber"), needed(record, "channel")
        sender, category = text(record, "sender") or "*", text(record, "category") or "*"

        def within(scope: tuple[str, str, str, str]) -> bool:
            return scope[:2] == (subscriber, channel) and sender in ("*", scope[2]) and category in ("*", scope[3])

        here = (subscriber, channel, sender, category)
        if record["will"] == "consent":
            self.consents.add(here)
            self.refusals.discard(here)
            return
        self.refusals = {scope for scope in self.refusals if not within(scope)}
        self.consents = {scope for scope in self.consents if not within(scope)}
        if record["will"] == "refuse":
            self.refusals.add(here)

    def will(self, subscriber: str, channel: str, sender: str | None, category: str) -> str:
        if not numbers.is_person(subscriber):
            return "silent"
        if (subscriber, channel, sender, category) in self.consents:
            return "consented"
        scopes = [(sender, category), (sender, "*"), ("*", category), ("*", "*")]
        if any((subscriber, channel, s, c) in self.refusals for s, c in scopes):
            return "refused"
        return "silent"

    def owner(self, from_: str | None, channel: str) -> tuple[str, Json] | None:
        """The owner and its longest entry; the dict of senders is in order of receipt."""
        best: tuple[tuple[int, int, int, int], str, Json] | None = None
        for came, (name, sender) in enumerate(self.senders.items()):
            for place, entry in enumerate(entries(sender)):
                prefix = needed(entry, "prefix")
                if from_ and entry["channel"] == channel and from_.startswith(prefix):
                    rank = (len(prefix), number(entry, "since"), came, place)
                    if best is None or rank > best[0]:
                        best = (rank, name, entry)
        return None if best is None else best[1:]

    def resolved(self, number: str, channel: str) -> str:
        """Section 4, step 5, its second sentence."""
        if not number.startswith("+") or numbers.is_person(number) or self.owner(number, channel):
            return number
        if number.startswith("+86") and self.owner(number[3:], channel):
            return number[3:]
        return number[1:] if self.owner(number[1:], channel) else number

    def order(
        self, measure: str, channel: str, senders: set[str | None], from_: str | None, now: int, *, internet: bool
    ) -> Json | None:
        readers = [numbers.read if channel == "call" else numbers.read_port]
        if internet:
            readers = [lambda text: text, numbers.read, numbers.read_port]
        found = []
        for name, order in self.orders.items():
            ordered = text(order, "number")
            named = text(order, "sender") in senders - {None} or (
                ordered is not None and from_ in [read(ordered) for read in readers]
            )
            in_force = number(order, "from") <= now and ("until" not in order or now < number(order, "until"))
            on_channel = text(order, "channel") in (None, channel)
            if order["measure"] == measure and named and in_force and on_channel:
                found.append(name)
        return self.orders[min(found)] if found else None

    def revoked(self, sender: str | None) -> bool:
        return sender in self.senders and self.senders[sender]["status"] == "revoked"

    def wish(self, event: Json) -> bool:
        """Whether the default reply table has this reply."""
        written, came = text(event, "text") or "", needed(event, "to")
        to = self.resolved(numbers.read_port(came), "sms") or came
        if not numbers.is_person(numbers.read(needed(event, "from"))):
            return False
        if refuses(written) and self.owner(to, "sms"):
            return True
        return (orders(written, "ktfsr") or orders(written, "qxfsr")) and to in ("10086", "10001")

    def quiet(self, channel: str, category: str, now: int) -> bool:
        windows = [
            w for w in self.settings.hours if w.channel == channel and (not w.categories or category in w.categories)
        ]
        if not windows:
            return False
        for window in windows:
            clock = datetime.fromtimestamp(now // 1000, UTC).astimezone(ZoneInfo(window.zone))
            minute = clock.hour * 60 + clock.minute
            over_midnight = window.ends <= window.begins
            inside = window.begins <= minute < window.ends
            if inside or (over_midnight and (minute >= window.begins or minute < window.ends)):
                return False
        return True

    def decide(self, raw: Json, now: int) -> Answer:
        """Section 5, from rule 1 to rule 30."""
        event = read(raw)
        assert isinstance(event, dict)
        return _Event(self, event, now).decide()


class _Event:
    def __init__(self, world: World, event: Json, now: int) -> None:
        self.world, self.event, self.now = world, event, now
        self.kind = needed(event, "kind")
        self.channel = "call" if self.kind == "call" else "sms"
        self.internet = self.kind != "reply" and event.get("network") == "internet"
        self.from_, self.to = text(event, "from"), numbers.read(needed(event, "to")) or needed(event, "to")
        if self.from_ is not None and not self.internet:
            read_as = numbers.read_port if self.kind == "sms" else numbers.read
            self.from_ = world.resolved(read_as(self.from_), self.channel) or None
        self.owned = world.owner(self.from_, self.channel)
        self.owner = self.owned[0] if self.owned else None
        stated = None if self.kind == "reply" else text(event, "sender")
        self.stated = stated
        self.sender = stated or self.owner
        self.entry = self.owned[1] if self.owned and self.owner == self.sender else None
        self.text = "" if self.kind == "call" else (text(event, "text") or "")

    def decide(self) -> Answer:
        for rules in (self.numbers_and_replies, self.emergency_and_measures, self.people, self.public, self.standing):
            answer = rules()
            if answer:
                return answer
        return self.commercial()

    def answer(self, verdict: str, reason: str, basis: str | None) -> Answer:
        appeal = None if verdict == "allow" else self.world.settings.appeal
        return Answer(verdict, reason, basis, self.sender, appeal)

    def suspended_by(self, order: Json, reason: str) -> Answer:
        appeal = text(order, "appeal") or self.world.settings.appeal
        return Answer("suspend", reason, needed(order, "basis"), self.sender, appeal)

    @property
    def purpose(self) -> str:
        stated = text(self.event, "purpose")
        if stated:
            return stated
        held = texts(self.entry, "purposes") if self.entry else []
        return next((purpose for purpose in STRICTEST_FIRST if purpose in held), "personal")

    @property
    def category(self) -> str:
        held = texts(self.entry, "categories") if self.entry else []
        return text(self.event, "category") or (held[0] if len(held) == 1 else "general")

    @property
    def campaign(self) -> Json | None:
        """The approved campaign of the event's id to which `from` belongs."""
        campaign = self.world.campaigns.get(text(self.event, "campaign") or "")
        if self.kind != "sms" or campaign is None or campaign["status"] != "approved":
            return None
        by_owner = self.owner is not None and self.owner == campaign["sender"]
        from_ = self.from_ or ""
        forms = [from_, from_[3:]] if from_.startswith("+86") else [from_]
        by_number = any(form.startswith(prefix) for form in forms for prefix in texts(campaign, "numbers"))
        revoked = self.world.revoked(self.owner) or self.world.revoked(needed(campaign, "sender"))
        return campaign if (by_owner or by_number) and not revoked else None

    def open(self, campaign: Json) -> bool:
        return number(campaign, "from") <= self.now < number(campaign, "until")

    @property
    def active(self) -> bool:
        record = self.world.senders.get(self.sender or "")
        return record is not None and record["status"] == "active"

    def numbers_and_replies(self) -> Answer | None:  # noqa: PLR0911 - one for each rule
        if self.kind in ("sms", "call"):
            if HELP.fullmatch(self.to):
                return self.answer("allow", "call_for_help", "emergency")
            if self.to in REDRESS:
                return self.answer("allow", "redress", "measures")
        if self.kind == "reply":
            if self.world.wish(self.event):
                return self.answer("allow", "opt_out_reply", "opt-out")
            return self.answer("allow", "reply", None)
        if not self.from_:
            return self.answer("block", "number_missing", "number-use")
        formed = SUBSCRIBER.fullmatch(self.from_) or re.fullmatch(r"[0-9]{3,20}", self.from_)
        if not formed and not self.internet:
            return self.answer("block", "malformed_number", "number-use")
        return None

    def emergency_and_measures(self) -> Answer | None:
        if self.kind == "sms" and self.purpose == "emergency":
            by_entry = self.active and self.entry is not None and "emergency" in texts(self.entry, "purposes")
            campaign = self.campaign
            by_campaign = campaign is not None and campaign.get("emergency") and self.open(campaign)
            if campaign is not None and self.owner != campaign["sender"]:
                suspended = self.ordered("suspend", {self.owner})
                approved = not self.text or normal(self.text).strip() == normal(needed(campaign, "text")).strip()
                by_campaign = by_campaign and not suspended and approved
            if by_entry or by_campaign:
                return self.answer("allow", "emergency", "emergency")
        order = self.ordered("suspend", {self.sender, self.owner})
        if order:
            return self.suspended_by(order, "suspended")
        if self.kind == "call" and self.spoofed():
            return self.answer("block", "spoofed_number", "number-use")
        return None

    def ordered(self, measure: str, senders: set[str | None]) -> Json | None:
        return self.world.order(measure, self.channel, senders, self.from_, self.now, internet=self.internet)

    def spoofed(self) -> bool:
        if (text(self.event, "verstat") or "").strip().lower().startswith("tn-validation-failed"):
            return True
        presented = self.world.resolved(numbers.read(text(self.event, "presented") or ""), "call")
        if len(re.findall("[0-9]", presented)) < 3 or presented == self.from_:
            return False
        number = SUBSCRIBER.fullmatch(presented) or re.fullmatch("[0-9]{3,20}", presented)
        owned = self.world.owner(presented, "call") if number else None
        own_digits = re.fullmatch("[0-9]{7,}", presented) and (self.from_ or "").endswith(presented)
        if own_digits and (owned is None or owned[0] == self.owner):
            return False
        return owned is None or (owned[0] != self.sender and "number-protection" not in texts(owned[1], "purposes"))

    def people(self) -> Answer | None:
        person = numbers.is_person(self.from_ or "") and not self.internet
        if self.purpose == "personal" and not self.stated and person and not self.owner:
            return self.answer("allow", "personal", None)
        return None

    def public(self) -> Answer | None:
        if self.kind != "sms" or self.purpose != "public":
            return None
        campaign = self.campaign
        if campaign is None:
            return self.answer("block", "campaign_unknown", "public-interest")
        if not self.open(campaign):
            return self.answer("block", "campaign_outside_window", "public-interest")
        region = text(self.event, "region") or ""
        if texts(campaign, "regions") and re.fullmatch(r"[0-9]{6}", region):
            covered = [re.sub(r"(00)+$", "", code) for code in texts(campaign, "regions")]
            if not any(region.startswith(code) for code in covered):
                return self.answer("block", "campaign_outside_region", "public-interest")
        if normal(self.text).strip() != normal(needed(campaign, "text")).strip():
            return self.answer("block", "campaign_text_mismatch", "public-interest")
        return self.answer("allow", "public_interest", "public-interest")

    def standing(self) -> Answer | None:
        terms = [term for wordlist in self.world.lists.values() for term in texts(wordlist, "terms")]
        if self.kind == "sms" and self.purpose != "personal" and prohibited(self.text, terms):
            return self.answer("block", "prohibited_content", "prohibited-content")
        if not self.active:
            return self.answer("block", "unlicensed", "licence")
        if self.entry is None:
            return self.answer("block", "number_not_assigned", "number-use")
        if self.purpose not in texts(self.entry, "purposes"):
            return self.answer("block", "purpose_not_permitted", "port-purpose")
        basis = {"public": "public-interest", "emergency": "emergency"}
        if self.purpose in ("personal", "service") or (self.kind == "call" and self.purpose in basis):
            reason = "public_interest" if self.purpose == "public" else self.purpose
            return self.answer("allow", reason, basis.get(self.purpose))
        assert self.purpose == "commercial"
        return None

    def commercial(self) -> Answer:  # noqa: PLR0911 - one for each rule
        assert self.entry is not None
        world, call = self.world, self.kind == "call"
        order = self.ordered("stop", {self.sender})
        will = world.will(self.to, self.channel, self.sender, self.category)
        listed = texts(self.entry, "categories")
        if order:
            return self.suspended_by(order, "stopped")
        if SHORT.fullmatch(self.to):
            return self.answer("allow", "short_number", None)
        if not numbers.is_person(self.to):
            return self.answer("block", "malformed_number", "number-use")
        if call and (self.event.get("platform") or self.entry.get("platform")):
            return self.answer("block", "platform_commercial_call", "platform-call")
        if listed and self.category not in listed:
            return self.answer("block", "category_not_permitted", "port-purpose")
        if will == "refused":
            return self.answer("block", "refused", "decline-calls" if call else "consent")
        if will == "silent" and world.settings.silence_refuses:
            return self.answer("block", "no_consent", "consent")
        if world.stale and world.settings.fails_closed:
            return self.answer("block", "registry_stale", "consent")
        if not call and not numbers.is_person(self.from_ or ""):
            missing = self.missing_in_text()
            if missing:
                return missing
        if world.quiet(self.channel, self.category, self.now):
            return self.answer("block", "quiet_hours", "consent")
        return self.answer("allow", "consented" if will == "consented" else "default_allow", "consent")

    def missing_in_text(self) -> Answer | None:
        sender, said = self.world.senders[self.sender or ""], folded(self.text)
        names = [folded(needed(sender, "name")), *(folded(f"【{s}】") for s in texts(sender, "signatures"))]
        named = any(name in said for name in names)
        if not named or not reached(said, needed(sender, "contact"), numbers.read):
            return self.answer("block", "identity_missing", "identity")
        if not OPT_OUT.search(said):
            return self.answer("block", "opt_out_missing", "opt-out")
        return None


def compacted(records: Sequence[Json]) -> list[Json]:
    """What log compaction leaves: of each key its last record, in that record's place."""
    last: dict[tuple[object, ...], int] = {}
    for place, raw in enumerate(records):
        record = read(raw)
        assert isinstance(record, dict)
        kind = record["kind"]
        if kind == "expression":
            scope = (record.get("sender", "*"), record.get("category", "*"))
            last[kind, record["subscriber"], record["channel"], *scope] = place
        elif kind == "tombstone":
            last[needed(record, "topic").removeprefix("registry.").removesuffix("s"), record["key"]] = place
        else:
            last[kind, record["list" if kind == "wordlist" else needed(record, "kind")]] = place
    kept = set(last.values())
    return [record for place, record in enumerate(records) if place in kept]
