"""The states of a lane, as types, and what leads from one to the next.

    Idle ──take──▶ InHand ──hand over──▶ Idle
    Idle, InHand ──drain──▶ Draining ──stop──▶ Stopped

A batch is *in hand* from its fetch until its outcomes are handed to the delivery. A lane that drains takes nothing
more, but what it has in hand is still decided and handed over, since its offsets are committed with it. Stopped is for
good.

The functions are total: whatever comes in whatever order, a lane that drains never takes again.
"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing in hand: it waits for its turn or for room, or fetches."""


@dataclass(frozen=True, slots=True)
class InHand:
    """A batch was fetched, and is not handed over yet."""


@dataclass(frozen=True, slots=True)
class Draining:
    """Its end was asked for: it takes no more, and waits for what is under way."""

    in_hand: bool
    """whether a batch is not handed over yet"""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Its delivery commits no more: the group may be left."""


State = Idle | InHand | Draining | Stopped


class LaneState:
    """One lane's state. The lane's own task calls `take` and `handed_over`, the worker's `drain` and `stop`."""

    def __init__(self) -> None:
        self.now: State = Idle()
        self._empty_handed = asyncio.Event()
        self._empty_handed.set()

    @property
    def may_take(self) -> bool:
        """Whether batches are still taken."""
        return isinstance(self.now, Idle | InHand)

    def take(self) -> bool:
        """A batch was fetched. False where it must not be decided here any more: the next owner takes it."""
        if not self.may_take:
            return False
        self.now = InHand()
        self._empty_handed.clear()
        return True

    def handed_over(self) -> None:
        """The batch in hand is handed over, or has failed, which ends the worker."""
        match self.now:
            case InHand():
                self.now = Idle()
            case Draining():
                self.now = Draining(in_hand=False)
            case Idle() | Stopped():
                pass
        self._empty_handed.set()

    def drain(self) -> None:
        """Take no more."""
        match self.now:
            case Idle() | InHand():
                self.now = Draining(in_hand=isinstance(self.now, InHand))
            case Draining() | Stopped():
                pass

    def stop(self) -> None:
        """Nothing is waited for any longer."""
        self.now = Stopped()

    async def until_empty_handed(self) -> None:
        """Wait until nothing is in hand. Asked again on waking: in between the lane may have taken the next batch."""
        while not self._empty_handed.is_set():
            await self._empty_handed.wait()
