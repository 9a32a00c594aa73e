"""A forked worker shares its parent's base, however much changes after the fork."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.wills import EVERYTHING, Expression

NUMBERS_COUNT = 40_000_000
SPACING = 171
"""wide enough that Roaring keeps two bytes a number: a base of 80 MB"""
CHANGED_EVERY = 2_000


def _private_bytes() -> int:
    """The memory that this process alone has."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_Dirty"))


def _in_a_fork(work: Callable[[], int]) -> int:
    """What `work` returns in a forked child."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    os.wait()
    assert told, "the child failed"
    return int(told)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_a_workers_changes_do_not_copy_the_base() -> None:
    numbers = np.arange(NUMBERS_COUNT, dtype=np.uint64) * np.uint64(SPACING) + np.uint64(8_613_000_000_000)
    base = Wills.of_arrays([("sms", "refusal", EVERYTHING, numbers)])
    size = base.stats().serialised_bytes
    changed = [Msisdn(int(number)) for number in numbers[::CHANGED_EVERY]]
    lifts = [Expression(number, "sms", "lift", None, None) for number in changed]
    overlay = Overlay(base)
    gc.collect()
    gc.freeze()

    def work() -> int:
        before = _private_bytes()
        overlay.apply(lifts)
        probe = overlay.probe("sms", "ORG", "finance")
        assert all(probe.stance(number) == "silent" for number in changed)
        return _private_bytes() - before

    def work_on_the_base_itself() -> int:
        before = _private_bytes()
        bitmap = base.sets.get("sms", "refusal", EVERYTHING)
        assert bitmap is not None
        for number in changed:
            bitmap.discard(number)
        return _private_bytes() - before

    grown, grown_without_overlay = _in_a_fork(work), _in_a_fork(work_on_the_base_itself)
    gc.unfreeze()
    # Both children also copy what they touch of this process's heap, which a whole test run has made large.
    assert grown_without_overlay - grown > size / 4
