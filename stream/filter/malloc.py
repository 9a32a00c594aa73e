"""Limits how much freed memory malloc keeps, since a host runs a worker for each core.

glibc (mallopt(3)) makes heaps for threads, keeps most of what a burst took, and the larger the pieces that are freed
the more it keeps. Elsewhere nothing is done. Variables that an operator has set for malloc stay in force.
"""

import ctypes
import os
from typing import Final

_LIMITS: Final = (
    ("MALLOC_ARENA_MAX", -8, 1),  # our threads seldom allocate at once
    ("MALLOC_MMAP_THRESHOLD_", -3, 8 << 20),  # beyond any batch: mapping those each time costs page faults
    ("MALLOC_TRIM_THRESHOLD_", -1, 1 << 20),
)


def keep_little() -> None:
    """Set malloc's limits, before any thread is started and for all processes forked later."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for variable, option, value in _LIMITS:
            if variable not in os.environ:
                mallopt(option, value)


def give_back() -> None:
    """Return to the system what loading took and freed: glibc would keep it, ten times the registry's size."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
