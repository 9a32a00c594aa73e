"""The table: thirty rules, first match wins (DESIGN section 5).

Read it beside the design: the numbers are the same. A rule that names two reasons there stands here as two
rows, `5a` and `5b`, so that each row is a plain conjunction with one outcome. A row is read as "needs all of
these, given that no row above has decided".
"""

from dataclasses import dataclass

from stream.model.fields import Channel, Verdict
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
    QUIET,
    REFUSED,
    REPLY,
    SENDER_STATED,
    SERVICE,
    SILENCE_REFUSES,
    SILENT,
    SMS,
    STALE,
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


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One row: what it needs, and what it answers."""

    id: str
    needs: tuple[Needs, ...]
    verdict: Verdict
    reason: str
    basis: str | None
    """the duty that the answer rests on; None where the design shows a dash, and where `cites_order`"""
    cites_order: bool = False

    @property
    def number(self) -> int:
        """The rule's number in the design."""
        return int(self.id.rstrip("abcd"))


def row(
    id_: str,
    *needs: Predicate | Needs,
    allow: str = "",
    block: str = "",
    suspend: str = "",
    basis: str | None,
) -> Rule:
    """One row of the table; exactly one of `allow`, `block` and `suspend` names its reason."""
    given: dict[Verdict, str] = {"allow": allow, "block": block, "suspend": suspend}
    ((verdict, reason),) = ((verdict, reason) for verdict, reason in given.items() if reason)
    return Rule(
        id_,
        tuple(Needs(need, holds=True) if isinstance(need, Predicate) else need for need in needs),
        verdict,
        reason,
        basis,
        cites_order=verdict == "suspend",
    )


OF_THE_ORDER = None
"""The basis of a suspension is its order's."""

# fmt: off
TABLE: tuple[Rule, ...] = (
    # Help, and the way to an appeal, are always open.
    row("1",   ~REPLY, TO_HELP,                 allow="call_for_help",       basis="emergency"),
    row("2",   ~REPLY, TO_REDRESS,              allow="redress",             basis="measures"),
    # A reply always passes; some of them say what their author wants.
    row("3",   REPLY, MAKES_EXPRESSION,                     allow="opt_out_reply",       basis="opt-out"),
    row("4",   REPLY,                           allow="reply",               basis=None),
    # A number that is there and is one.
    row("5a",  ~FROM_GIVEN,                     block="number_missing",      basis="number-use"),
    row("5b",  ~FROM_WELL_FORMED,               block="malformed_number",    basis="number-use"),
    # Emergency warnings from such a number yield to nothing.
    row("6a",  SMS, EMERGENCY, EMERGENCY_ENTRY, allow="emergency",           basis="emergency"),
    row("6b",  SMS, EMERGENCY, EMERGENCY_CAMPAIGN,
                                                allow="emergency",           basis="emergency"),
    # Measures in force, and numbers that are not what they seem.
    row("7",   SUSPENDED,                       suspend="suspended",         basis=OF_THE_ORDER),
    row("8a",  CALL, VERSTAT_FAILED,            block="spoofed_number",      basis="number-use"),
    row("8b",  CALL, PRESENTS_FOREIGN,          block="spoofed_number",      basis="number-use"),
    # People talking to people: the text is never looked at.
    row("9",   PERSONAL, ~SENDER_STATED, FROM_PERSON, ~FROM_OWNED, ~ON_INTERNET,
                                                       allow="personal",            basis=None),
    # Public-interest SMS is what was approved, and nothing else.
    row("10",  SMS, PUBLIC, ~CAMPAIGN_KNOWN,    block="campaign_unknown",    basis="public-interest"),
    row("11",  SMS, PUBLIC, ~CAMPAIGN_OPEN,     block="campaign_outside_window", basis="public-interest"),
    row("12",  SMS, PUBLIC, ~CAMPAIGN_COVERS,   block="campaign_outside_region", basis="public-interest"),
    row("13",  SMS, PUBLIC, ~CAMPAIGN_TEXT,     block="campaign_text_mismatch",  basis="public-interest"),
    row("14",  SMS, PUBLIC,                     allow="public_interest",     basis="public-interest"),
    row("15",  SMS, ~PERSONAL, PROHIBITED,      block="prohibited_content",  basis="prohibited-content"),
    # Who may send, from which number, for which purpose.
    row("16",  ~LICENSED,                       block="unlicensed",          basis="licence"),
    row("17",  ~HAS_ENTRY,                      block="number_not_assigned", basis="number-use"),
    row("18",  ~PURPOSE_PERMITTED,              block="purpose_not_permitted", basis="port-purpose"),
    row("19a", PERSONAL,                        allow="personal",            basis=None),
    row("19b", SERVICE,                         allow="service",             basis=None),
    row("19c", CALL, PUBLIC,                    allow="public_interest",     basis="public-interest"),
    row("19d", CALL, EMERGENCY,                 allow="emergency",           basis="emergency"),
    # Only commercial traffic is left.
    row("20",  COMMERCIAL, STOPPED,             suspend="stopped",           basis=OF_THE_ORDER),
    row("21",  COMMERCIAL, TO_SHORT,            allow="short_number",        basis=None),
    row("22",  COMMERCIAL, ~TO_PERSON,      block="malformed_number",    basis="number-use"),
    row("23",  COMMERCIAL, CALL, FROM_PLATFORM, block="platform_commercial_call", basis="platform-call"),
    row("24",  COMMERCIAL, ~CATEGORY_PERMITTED, block="category_not_permitted", basis="port-purpose"),
    # What the recipient wants.
    row("25a", COMMERCIAL, SMS, REFUSED,        block="refused",             basis="consent"),
    row("25b", COMMERCIAL, CALL, REFUSED,       block="refused",             basis="decline-calls"),
    row("26",  COMMERCIAL, SILENT, SILENCE_REFUSES,
                                                block="no_consent",          basis="consent"),
    row("27",  COMMERCIAL, STALE,               block="registry_stale",      basis="consent"),
    # What its text must show, and when it may arrive.
    row("28a", COMMERCIAL, SMS, ~FROM_PERSON, ~IDENTIFIED,
                                                       block="identity_missing",    basis="identity"),
    row("28b", COMMERCIAL, SMS, ~FROM_PERSON, ~OPT_OUT_SHOWN,
                                                       block="opt_out_missing",     basis="opt-out"),
    row("29",  COMMERCIAL, QUIET,               block="quiet_hours",         basis="consent"),
    row("30a", COMMERCIAL, CONSENTED,           allow="consented",           basis="consent"),
    row("30b", COMMERCIAL,                      allow="default_allow",       basis="consent"),
)
# fmt: on


def answers_needed() -> dict[str, tuple[Channel, ...]]:
    """Every reason that blocks or suspends, with the channels where it can: the policy must answer each."""
    needed: dict[str, set[Channel]] = {}
    for rule in TABLE:
        if rule.verdict != "allow":
            kinds = {need.predicate for need in rule.needs if need.holds}
            channels: set[Channel] = {"sms"} if SMS in kinds else {"call"} if CALL in kinds else {"sms", "call"}
            needed.setdefault(rule.reason, set()).update(channels)
    return {reason: tuple(sorted(channels)) for reason, channels in needed.items()}
