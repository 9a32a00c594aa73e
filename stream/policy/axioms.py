"""What the predicates have to do with one another: which combinations of answers there can be.

An axiom is a sentence and the clauses that say it; a clause is a list of needs of which at least one is met. The
proof (`prove`) takes them for granted, so they are kept honest elsewhere: every combination that a concrete event
shows satisfies them, no combination that satisfies them is without a concrete event, and none of them follows from
the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stream.policy.predicates import (
    CALL,
    CAMPAIGN_COVERS,
    CAMPAIGN_KNOWN,
    CAMPAIGN_OPEN,
    CAMPAIGN_TEXT,
    CATEGORY_PERMITTED,
    COMMERCIAL,
    CONSENTED,
    EMERGENCY,
    EMERGENCY_CAMPAIGN,
    EMERGENCY_ENTRY,
    FROM_GIVEN,
    FROM_OWNED,
    FROM_PERSON,
    FROM_PLATFORM,
    FROM_WELL_FORMED,
    HAS_ENTRY,
    IDENTIFIED,
    LICENSED,
    MAKES_EXPRESSION,
    ON_INTERNET,
    OPT_OUT_SHOWN,
    PERSONAL,
    PRESENTS_FOREIGN,
    PROHIBITED,
    PUBLIC,
    PURPOSE_PERMITTED,
    REFUSED,
    REPLY,
    SENDER_STATED,
    SERVICE,
    SILENT,
    SMS,
    STOPPED,
    SUSPENDED,
    TO_HELP,
    TO_PERSON,
    TO_REDRESS,
    TO_SHORT,
    VERSTAT_FAILED,
    Needs,
    Predicate,
)

KINDS = (SMS, CALL, REPLY)
PURPOSES = (PERSONAL, SERVICE, COMMERCIAL, PUBLIC, EMERGENCY)
RECIPIENTS = (TO_HELP, TO_REDRESS, TO_SHORT, TO_PERSON)
STANCES = (CONSENTED, REFUSED, SILENT)

Clause = tuple[Needs, ...]
"""Needs of which at least one is met."""


@dataclass(frozen=True, slots=True)
class Axiom:
    """A sentence about all cases, and the clauses that say it."""

    sentence: str
    clauses: tuple[Clause, ...]

    def holds(self, met: frozenset[Predicate]) -> bool:
        """Whether a combination satisfies it; `met` are the predicates that hold there."""
        return all(any((need.predicate in met) is need.holds for need in clause) for clause in self.clauses)


def _need(thing: Predicate | Needs) -> Needs:
    return Needs(thing, holds=True) if isinstance(thing, Predicate) else thing


def _no(thing: Predicate | Needs) -> Needs:
    need = _need(thing)
    return Needs(need.predicate, holds=not need.holds)


def _at_most_one(*predicates: Predicate) -> tuple[Clause, ...]:
    return tuple((~one, ~other) for n, one in enumerate(predicates) for other in predicates[n + 1 :])


def _exactly_one(*predicates: Predicate) -> tuple[Clause, ...]:
    return (tuple(map(_need, predicates)), *_at_most_one(*predicates))


def _if(*given: Predicate | Needs, then: Iterable[Predicate | Needs]) -> tuple[Clause, ...]:
    """Where all of `given` are met, at least one of `then` is."""
    return ((*map(_no, given), *map(_need, then)),)


AXIOMS: tuple[Axiom, ...] = (
    Axiom("an event is of exactly one kind", _exactly_one(*KINDS)),
    Axiom("it has exactly one purpose", _exactly_one(*PURPOSES)),
    Axiom("a recipient is of at most one kind", _at_most_one(*RECIPIENTS)),
    Axiom("a will is exactly one of three", _exactly_one(*STANCES)),
    Axiom("only subscriber numbers have wills", _if(~TO_PERSON, then=(SILENT,))),
    Axiom("a consent names its sender", _if(CONSENTED, then=(SENDER_STATED, FROM_OWNED))),
    Axiom("what is well formed is given", _if(FROM_WELL_FORMED, then=(FROM_GIVEN,))),
    Axiom("a subscriber number is well formed", _if(FROM_PERSON, then=(FROM_WELL_FORMED,))),
    Axiom("on the internet every form is well", _if(ON_INTERNET, FROM_GIVEN, then=(FROM_WELL_FORMED,))),
    Axiom("a reply is no internet message", _if(REPLY, then=(~ON_INTERNET,))),
    Axiom("what is owned is given", _if(FROM_OWNED, then=(FROM_GIVEN,))),
    Axiom("an entry is its owner's", _if(HAS_ENTRY, then=(FROM_OWNED,))),
    Axiom("where no sender is stated, it is the owner", _if(FROM_OWNED, ~SENDER_STATED, then=(HAS_ENTRY,))),
    Axiom("an active sender is stated or owns `from`", _if(LICENSED, then=(SENDER_STATED, FROM_OWNED))),
    Axiom("a purpose is permitted by an entry", _if(PURPOSE_PERMITTED, then=(HAS_ENTRY,))),
    Axiom("a category is forbidden by an entry", _if(~CATEGORY_PERMITTED, then=(HAS_ENTRY,))),
    Axiom("a platform is a calling one, or an entry's", _if(FROM_PLATFORM, then=(CALL, HAS_ENTRY))),
    Axiom(
        "an entry for emergencies is an active sender's",
        (*_if(EMERGENCY_ENTRY, then=(LICENSED,)), *_if(EMERGENCY_ENTRY, then=(HAS_ENTRY,))),
    ),
    Axiom(
        "it is such an entry that permits an emergency",
        (
            *_if(EMERGENCY, EMERGENCY_ENTRY, then=(PURPOSE_PERMITTED,)),
            *_if(EMERGENCY, LICENSED, PURPOSE_PERMITTED, then=(EMERGENCY_ENTRY,)),
        ),
    ),
    Axiom("an order to suspend names a number or a sender", _if(SUSPENDED, then=(FROM_GIVEN, SENDER_STATED))),
    Axiom("an order to stop names a number or a sender", _if(STOPPED, then=(FROM_GIVEN, SENDER_STATED))),
    Axiom("only calls are validated", _if(VERSTAT_FAILED, then=(CALL,))),
    Axiom("only calls present a number", _if(PRESENTS_FOREIGN, then=(CALL,))),
    Axiom(
        "only SMS name a campaign",
        (
            *_if(CAMPAIGN_KNOWN, then=(SMS,)),
            *_if(CAMPAIGN_OPEN, then=(SMS,)),
            *_if(CAMPAIGN_TEXT, then=(SMS,)),
            *_if(~CAMPAIGN_COVERS, then=(SMS,)),
        ),
    ),
    Axiom(
        "an emergency campaign that is open is known and open",
        (*_if(EMERGENCY_CAMPAIGN, then=(CAMPAIGN_KNOWN,)), *_if(EMERGENCY_CAMPAIGN, then=(CAMPAIGN_OPEN,))),
    ),
    Axiom("what belongs to a campaign is given", _if(CAMPAIGN_KNOWN, then=(FROM_GIVEN,))),
    Axiom("nothing of a revoked sender belongs to a campaign", _if(CAMPAIGN_KNOWN, HAS_ENTRY, then=(LICENSED,))),
    Axiom(
        "a call has no text",
        (*_if(CALL, then=(~PROHIBITED,)), *_if(CALL, then=(~IDENTIFIED,)), *_if(CALL, then=(~OPT_OUT_SHOWN,))),
    ),
    Axiom("a text names a sender that there is", _if(IDENTIFIED, then=(SENDER_STATED, FROM_OWNED))),
    Axiom("only a reply makes an expression", _if(MAKES_EXPRESSION, then=(REPLY,))),
    Axiom("an expression is a subscriber's", _if(MAKES_EXPRESSION, then=(FROM_PERSON,))),
    Axiom("a reply has an author", _if(REPLY, then=(FROM_GIVEN,))),
    Axiom("a reply states no sender", _if(REPLY, then=(~SENDER_STATED,))),
    Axiom("the purpose of a reply is its number's", _if(REPLY, then=(PERSONAL, PURPOSE_PERMITTED))),
)
