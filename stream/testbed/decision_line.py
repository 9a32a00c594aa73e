"""One decision in words: what it was about, which rule decided, and why, in the rule table's own sentences."""

from dataclasses import dataclass

from bloom.number import masked, parse
from stream.model.decision import Decision
from stream.model.events import Call, Event, Reply
from stream.policy.decide import case_of, first_match
from stream.policy.facts import EventCase, World


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision in words. Numbers of subscribers are masked."""

    event: str
    answer: str
    because: str


def decision_line(event: Event, decision: Decision, world: World) -> DecisionLine:
    """Explain a decision by the row that gives it in this world. Raises ValueError where the world gives another."""
    case = case_of(event, world, decision.decided)
    rule = first_match(case)
    if (rule.verdict, rule.reason) != (decision.verdict, decision.reason):
        raise ValueError(
            f"{event.id}: decided {decision.verdict} · {decision.reason}, but this registry gives "
            f"{rule.verdict} · {rule.reason}: it is not the one that was decided from"
        )
    basis = f" · basis {decision.basis}" if decision.basis else ""
    return DecisionLine(
        event=_event(event, case),
        answer=f"{decision.verdict} · {decision.reason} · rule {rule.number}{basis}{_to_senders(decision)}",
        because=", and ".join(need.sentence for need in rule.needs) or "no rule before it applied",
    )


def _event(event: Event, case: EventCase) -> str:
    kind = "a call" if isinstance(event, Call) else "a reply" if isinstance(event, Reply) else "an SMS"
    sender = case.route.sender_record
    name = f" of {sender.name}" if sender is not None and not isinstance(event, Reply) else ""
    return f"{kind} from {_shown(event.from_ or 'nobody')}{name} to {_shown(event.to)}"


def _shown(number: str) -> str:
    return masked(number) if parse(number) is not None else number


def _to_senders(decision: Decision) -> str:
    """The answer codes for the sender's gateway."""
    if not decision.code:
        return ""
    return " · answer " + " ".join(f"{protocol} {value}" for protocol, value in decision.code.items())
