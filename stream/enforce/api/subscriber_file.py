"""What is kept of one person, and what of it may go (PIPL, Articles 44 to 47): pure.

A file that goes to the person: what it said, its cases whole, and of what others said about its number no more than
that there is a case. Whatever is not in it, because it is kept elsewhere for some days or as evidence, is named with
the duty that keeps it and until when. A case may go when it has ended, the evidence of what it was about is kept no
longer, and no case that is kept rests on it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from stream.config import Config
from stream.enforce.api.auth import SUBSCRIBER
from stream.enforce.api.case_facts import COMPLAINT, case_of, facts_of
from stream.enforce.api.shown import for_the_person
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import Settings
from stream.model.cases import CaseView
from stream.model.control import CaseId, Party, party_key
from stream.model.fields import Name, Time
from stream.model.registry import Order
from stream.model.requests import KeptExpression, RegistryAnswer
from stream.model.times import DAY_MS
from stream.registry.erasure import EVIDENCE_KEPT_MS

REQUESTS_KEPT_MS: Final = 8 * DAY_MS
"""Of the registrar's topics, and of null values in compacted ones."""

Part = Literal["own", "against", "mentioned"]
"""Its own case; one against its number, as parties see it; or somebody else's, in which its number stands: who
complained about a number is not told to whom it is."""

_NOTHING: Final = msgspec.Raw(b"null")

ARTICLES: Final[Mapping[str, str]] = {one.name: one.articles for one in OUTLINES}


class KeptByDuty(msgspec.Struct, frozen=True):
    """Something that stays, on what duty, and until when: a moment where there is one, and how it ends."""

    what: Name
    why: Name
    ends: Name
    until: Time | None = None


class SubscriberCase(msgspec.Struct, frozen=True):
    """A case in which a person's number stands; whole where it is its own or against it."""

    case: CaseId
    procedure: Name
    state: Name
    updated: Time
    ended: bool
    part: Part
    body: msgspec.Raw
    """null for somebody else's"""


class SubscriberFile(msgspec.Struct, frozen=True):
    """All that is kept of one person: what it said, in order of receipt; orders on its number; cases.

    `kept` names what is kept besides, and what of all this could not be erased now.
    """

    subscriber: Name
    time: Time
    expressions: tuple[KeptExpression, ...]
    orders: tuple[Order, ...]
    cases: tuple[SubscriberCase, ...]
    kept: tuple[KeptByDuty, ...]


class Erased(msgspec.Struct, frozen=True):
    """What was erased of one person: a receipt. Whom it was about stands nowhere in it.

    `expressions_count` keys of the registry, `cases_count` cases. `kept` names what a duty keeps, and until when.
    """

    id: Name
    time: Time
    expressions_count: int
    cases_count: int
    kept: tuple[KeptByDuty, ...]


class Erasable(NamedTuple):
    """The cases that may go, and those that stay."""

    gone: tuple[CaseId, ...]
    kept: tuple[KeptByDuty, ...]


def file_of(
    subscriber: str,
    expressions: Sequence[KeptExpression],
    orders: Sequence[Order],
    views: Mapping[CaseId, CaseView],
    now: int,
    *,
    config: Config,
    settings: Settings,
) -> SubscriberFile:
    """The person's file. `views`: the cases in which its number stands."""
    parts = parts_of(subscriber, views)
    kept = (*erasable(subscriber, views, now, settings).kept, *_of_orders(orders), *elsewhere(now, config))
    cases = tuple(_shown(views[case], part, subscriber) for case, part in parts.items())
    return SubscriberFile(subscriber, now, tuple(expressions), tuple(orders), cases, kept)


def parts_of(subscriber: str, views: Mapping[CaseId, CaseView]) -> dict[CaseId, Part]:
    """What each of these cases, in which the number stands, has to do with the person."""
    return {case: _part(subscriber, view, views) for case, view in sorted(views.items())}


def _part(subscriber: str, view: CaseView, views: Mapping[CaseId, CaseView]) -> Part:
    owner = facts_of(case_of(view)).owner or ""
    if owner.startswith(COMPLAINT) and (complaint := views.get(owner.removeprefix(COMPLAINT))):
        owner = facts_of(case_of(complaint)).owner or ""
    if owner == f"{SUBSCRIBER}{subscriber}":
        return "own"
    return "against" if owner == party_key(Party(number=subscriber)) else "mentioned"


def _shown(view: CaseView, part: Part, subscriber: str) -> SubscriberCase:
    body = _NOTHING if part == "mentioned" else for_the_person(view.body, subscriber, accused=part == "against")
    return SubscriberCase(view.case, view.procedure, view.state, view.updated, view.ended, part, body)


def erasable(subscriber: str, views: Mapping[CaseId, CaseView], now: int, settings: Settings) -> Erasable:
    """Which of these cases may go at `now` (milliseconds)."""
    kept_ms = max(settings.ended_kept_ms, EVIDENCE_KEPT_MS)
    parts = parts_of(subscriber, views)
    staying = {
        case
        for case, view in views.items()
        if parts[case] == "mentioned" or not view.ended or now < view.updated + kept_ms
    }
    # What a case that stays names goes with it: a dispute's complaint, an appeal's measure.
    while more := {case for case in views.keys() - staying if any(_names(views[other], case) for other in staying)}:
        staying |= more
    kept = [_stays(views[case], parts[case], now, kept_ms) for case in sorted(staying)]
    return Erasable(tuple(sorted(views.keys() - staying)), tuple(kept))


def _names(view: CaseView, case: CaseId) -> bool:
    return f'"{case}"'.encode() in bytes(view.body)


def _stays(view: CaseView, part: Part, now: int, kept_ms: int) -> KeptByDuty:
    days, what, why = kept_ms // DAY_MS, f"case {view.case}", ARTICLES[view.procedure]
    if part == "mentioned":
        return KeptByDuty(what, f"{why}: it is somebody else's case", "with that case")
    if not view.ended:
        return KeptByDuty(what, f"{why}: it is open", f"{days} days after the case has ended")
    until = view.updated + kept_ms
    if now < until:
        return KeptByDuty(what, f"{why}: evidence of how it was dealt with", f"{days} days after its end", until)
    return KeptByDuty(what, f"{why}: another of these cases rests on it", "with that case")


def _of_orders(orders: Iterable[Order]) -> tuple[KeptByDuty, ...]:
    return tuple(
        KeptByDuty(f"order {one.order}", f"{one.basis}: a measure against the number", "with the order", one.until)
        for one in orders
    )


def of_registry(answer: RegistryAnswer) -> tuple[KeptByDuty, ...]:
    """The consents that an erasure left in the registry."""
    if not answer.kept_count:
        return ()
    what = f"{answer.kept_count} consents, without effect from now on"
    return (KeptByDuty(what, "consent-evidence (Article 17)", "by itself, then", answer.kept_until),)


def elsewhere(now: int, config: Config) -> tuple[KeptByDuty, ...]:
    """What is kept of anybody besides the registry and cases, and ends by itself or is evidence."""
    events = config.topics.retention_ms
    snapshots = (config.registry.snapshots_kept + 1) * config.registry.fold_every_ms
    evidence = "complaints, notices and their deliveries, what people did in cases, and what is held for them"
    return (
        KeptByDuty(
            "events, decisions and dead letters",
            "records (Article 8)",
            f"{events // DAY_MS} days after each",
            now + events,
        ),
        KeptByDuty(
            "requests to the registry, their answers, and the null values of what was erased",
            "idempotence",
            "seven days after each, answers eight",
            now + REQUESTS_KEPT_MS,
        ),
        KeptByDuty("snapshots of the registry", "restarts", "when newer ones have taken their place", now + snapshots),
        KeptByDuty(
            evidence, "evidence (Articles 22, 29-33)", "when the archive has taken them over, and its term is over"
        ),
    )
