"""One decision, judged: does it follow from the registry that it names, and did it reach somebody who refused?

Two questions, apart from each other.

* **Does it follow?** The event is decided again by the plain table, not by the quick form that workers use, against
  the registry as of the decision's epoch, at the decision's own moment. *agrees*, *differs*; *unknown* where the event,
  the epoch or that state of the registry cannot be had any more, or another policy decided.
* **Is it a violation?** Commercial traffic was let through to a subscriber whose will forbids it, by everything that
  the epoch includes and everything that had stood in the topic for `IN_FORCE_MS` when the decision was made. A refusal
  that came later is no violation; a worker that had not seen an older one does not excuse itself by that.

Pure: no client, no loop, no clock. Must never take a decision's own word for its purpose, category or sender.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bloom.bitmaps import Wills
from stream.audit.histories import Histories
from stream.model.decision import Decision, Epoch
from stream.model.events import Event, Reply
from stream.model.topics import EXPRESSIONS
from stream.policy.decide import case_of, decide
from stream.policy.facts import EventCase, World
from stream.policy.settings import Policy

IN_FORCE_MS: Final = 1_000
"""The objective: a refusal is in force within one second of its record."""

Outcome = Literal["agrees", "differs", "unknown"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What an audit finds of one decision. `why` says what differs or is missing; never a number or a text."""

    outcome: Outcome
    violation: bool = False
    why: str = ""


class DecisionVerifier:
    """Judges decisions by one policy and the histories of the registry, which the caller keeps up."""

    def __init__(self, policy: Policy, histories: Histories) -> None:
        self._policy = policy
        self._policies = {policy.digest: policy}
        self._histories = histories

    def adopt(self, policy: Policy) -> None:
        """Know another policy: decisions of both are judged, each by its own, while one follows the other."""
        self._policy = policy
        self._policies[policy.digest] = policy

    def judge(self, decision: Decision, event: Event | None, epoch: Epoch | None) -> Verification:
        """The judgement. Total. 60 to 140 µs: the plain table is dear beside the quick form, and independent of it."""
        own = self._policies.get(epoch.policy_hash) if epoch else None
        violation = event is not None and self._violates(own or self._policy, decision, event, epoch)
        if epoch is not None and own is None:
            return Verification("unknown", violation, f"made by a policy that is not known here, {epoch.policy}")
        again = self.again(own or self._policy, decision, event, epoch)
        if isinstance(again, str):
            return Verification("unknown", violation, again)
        if again == decision:
            return Verification("agrees", violation)
        return Verification("differs", violation, _difference(decision, again))

    def again(self, policy: Policy, decision: Decision, event: Event | None, epoch: Epoch | None) -> Decision | str:
        """What a policy answers where this decision was made: same event, registry, moment; or why nobody can tell."""
        if event is None:
            return "its event is not in the topic any more"
        if epoch is None:
            return "its epoch is not announced"
        if (why := self._unknowable(decision, epoch)) is not None:
            return why
        standing = self._histories.standing.as_of(epoch.offsets)
        if standing is None:
            return "its registry is older than what is kept"
        world = World(policy, standing, epoch.stale)
        number = case_of(event, world, decision.decided).number
        wills = Wills() if number is None else self._histories.wills.as_of(number, epoch.offsets[EXPRESSIONS])
        if wills is None:
            return "its wills are older than what is kept"
        standing.wills = wills
        return decide(event, world, decision.decided, epoch=decision.epoch)

    def _unknowable(self, decision: Decision, epoch: Epoch) -> str | None:
        """Why nobody can tell what the registry was at an epoch, or None."""
        if not self._histories.is_of(epoch):
            return "its epoch is of registry topics that were deleted and made anew, or of another cluster"
        if decision.decided < self._histories.exact_since_ms:
            return "older than what the registry topics keep uncompacted"
        return None

    def _violates(self, policy: Policy, decision: Decision, event: Event, epoch: Epoch | None) -> bool:
        if decision.verdict != "allow" or isinstance(event, Reply) or decision.decided < self._histories.exact_since_ms:
            return False
        if epoch is not None and not self._histories.is_of(epoch):
            return False  # what was wanted then stood in topics that are gone
        standing = self._histories.standing.as_of(epoch.offsets) if epoch else None
        if standing is None:  # nobody says what the decision saw, or it saw what is long past
            standing = self._histories.standing.at(decision.decided)
        if standing is None:
            return False
        case = case_of(event, World(policy, standing), decision.decided)
        if case.number is None or case.route.purpose != "commercial":
            return False
        in_force = decision.decided - IN_FORCE_MS
        if epoch is not None:
            return self._forbids(case, epoch.offsets[EXPRESSIONS], in_force)
        # Nobody says what the decision saw, so it has the benefit of the doubt: forbidden by both ends of the time in
        # which it may have looked.
        return self._forbids(case, None, in_force) and self._forbids(case, None, decision.decided)

    def _forbids(self, case: EventCase, offsets: Sequence[int] | None, until_ms: int) -> bool:
        """Whether the recipient's will, as of then, forbids this commercial traffic. Not where that is not known."""
        assert case.number is not None, "only subscribers have wills"
        wills = self._histories.wills.as_of(case.number, offsets, until_ms=until_ms)
        if wills is None:
            return False
        route = case.route
        stance = wills.stance(route.channel, case.number, route.sender, route.category)
        return stance == "refused" or (stance == "silent" and route.policy.silence_refuses)


def _difference(decision: Decision, again: Decision) -> str:
    if (decision.verdict, decision.reason) != (again.verdict, again.reason):
        return f"{decision.verdict} {decision.reason} where {again.verdict} {again.reason} follows"
    names = [name for name in Decision.__struct_fields__ if getattr(decision, name) != getattr(again, name)]
    return f"another {', '.join(names)} follows"
