"""Work counted, not timed: how many instructions of Python a call takes, which is the same on every machine."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def instructions(work: Callable[[], object]) -> int:
    """Bytecode instructions that this executes. Of what C does, such as a search in a `dict`, it says nothing.

    The collector rests meanwhile: Hypothesis listens to it, and its listener would be counted.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction":
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count
