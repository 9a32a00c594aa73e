"""A forked worker shares its parent's base, however much changes after the fork."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.wills import EVERYTHING, ExpressionRow

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


def _measured() -> dict[str, int]:
    """How much a fork's own memory grows by changes in an overlay, and by the same changes in the base itself."""
    numbers = np.arange(NUMBERS_COUNT, dtype=np.uint64) * np.uint64(SPACING) + np.uint64(8_613_000_000_000)
    base = Wills.of_arrays([("sms", "refusal", EVERYTHING, numbers)])
    changed = [Msisdn(int(number)) for number in numbers[::CHANGED_EVERY]]
    lifts = [ExpressionRow(number, "sms", "lift", None, None) for number in changed]
    overlay = Overlay(base)
    gc.collect()
    gc.freeze()

    def in_overlay() -> int:
        before = _private_bytes()
        overlay.apply(lifts)
        probe = overlay.probe("sms", "ORG", "finance")
        assert all(probe.stance(number) == "silent" for number in changed)
        return _private_bytes() - before

    def in_base() -> int:
        before = _private_bytes()
        bitmap = base.sets.get("sms", "refusal", EVERYTHING)
        assert bitmap is not None
        for number in changed:
            bitmap.discard(number)
        return _private_bytes() - before

    size = base.stats().serialised_bytes
    return {"size": size, "overlay": _in_a_fork(in_overlay), "base": _in_a_fork(in_base)}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_a_workers_changes_do_not_copy_the_base() -> None:
    # In a process of its own: a fork of this one would also copy what it touches of a whole test run's heap.
    ran = subprocess.run([sys.executable, __file__], capture_output=True, check=True, cwd=Path(__file__).parents[2])
    grown = orjson.loads(ran.stdout)
    assert grown["overlay"] < grown["size"] / 3
    assert grown["base"] > 2 * grown["size"] / 3, "else this test could not tell"


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(_measured()))
