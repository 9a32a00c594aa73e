"""One subscriber's opt-out: consents, gets a message, replies TD, gets no more. How long that takes.

Pure: the caller reports what was sent when and what was decided. The time measured is from just before the reply is
handed to the producer to just before the first blocked message is. In between the reply reaches a filter, its
expression goes through `registry.expressions` to the worker that decides this subscriber's messages, and the next
message is sent. The resolution of the figure is that last part (`coarse_ms`):
`PROBE_EVERY_S` at the least, and as long as an acknowledgement where the broker is busy.
"""

from dataclasses import dataclass, field
from typing import Final

from stream.model.decision import Decision

PROBE_EVERY_S: Final = 0.005
"""How often a message is sent to the subscriber after the reply."""

AFTERWARDS_COUNT: Final = 20
"""Messages still sent after the first that was blocked, to see that none gets through."""


@dataclass(slots=True)
class OptOutProbe:
    """One message to the subscriber. Moments are milliseconds since the epoch, to the fraction that the clock has."""

    sent_ms: float
    decision: Decision | None = None


@dataclass(slots=True)
class OptOut:
    """What has happened so far."""

    probes: dict[str, OptOutProbe] = field(default_factory=dict)
    """messages to the subscriber by their event's id, in the order of sending"""
    replied_ms: float | None = None

    def sent(self, event_id: str, *, at_ms: float) -> None:
        """A message to the subscriber is about to be sent."""
        self.probes[event_id] = OptOutProbe(at_ms)

    def replied(self, *, at_ms: float) -> None:
        """The subscriber's reply is about to be sent."""
        self.replied_ms = at_ms

    def decided(self, decision: Decision) -> None:
        """Take note of a decision, if it is about one of these events."""
        if (probe := self.probes.get(decision.event)) is not None and probe.decision is None:
            probe.decision = decision

    @property
    def welcome(self) -> Decision | None:
        """The decision on the first message, which the subscriber had consented to."""
        return next(iter(self.probes.values())).decision if self.probes else None

    @property
    def first_blocked(self) -> OptOutProbe | None:
        """The first message, in the order of sending, that was blocked after the reply."""
        return next((probe for probe in self._after() if probe.decision and probe.decision.verdict == "block"), None)

    @property
    def in_force_ms(self) -> float | None:
        """From the reply's sending to the sending of the first message that was blocked; None before that."""
        blocked = self.first_blocked
        return None if blocked is None or self.replied_ms is None else blocked.sent_ms - self.replied_ms

    @property
    def coarse_ms(self) -> float | None:
        """The resolution of `in_force_ms`: the time since the last message or reply before the blocked one."""
        blocked = self.first_blocked
        if blocked is None or self.replied_ms is None:
            return None
        before = [probe.sent_ms for probe in self._after() if probe.sent_ms < blocked.sent_ms]
        return blocked.sent_ms - max(before, default=self.replied_ms)

    @property
    def allowed_count(self) -> int:
        """Messages sent after the reply that still got through."""
        return sum(probe.decision is not None and probe.decision.verdict == "allow" for probe in self._after())

    @property
    def blocked_count(self) -> int:
        """Messages sent after the reply that were blocked."""
        return sum(probe.decision is not None and probe.decision.verdict == "block" for probe in self._after())

    @property
    def allowed_afterwards_count(self) -> int:
        """Messages that got through although an earlier one was blocked: there must be none."""
        blocked = self.first_blocked
        if blocked is None:
            return 0
        return sum(
            probe.decision is not None and probe.decision.verdict == "allow" and probe.sent_ms > blocked.sent_ms
            for probe in self._after()
        )

    @property
    def complete(self) -> bool:
        """Whether the answers to all messages are there, and one was blocked."""
        return self.first_blocked is not None and all(probe.decision for probe in self.probes.values())

    def _after(self) -> list[OptOutProbe]:
        if self.replied_ms is None:
            return []
        return [probe for probe in self.probes.values() if probe.sent_ms > self.replied_ms]
