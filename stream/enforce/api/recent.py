"""What this process has just written: which body came under a key, and which act on a case is under way.

Pure, and bounded. A request that is repeated under its `Idempotency-Key` gets the same answer; the same key with
another body is a fault of the program that sends it, and is told so (422). What a request makes is named by its body
too (`names.repeatable`), so that wherever this memory does not reach (another process, a restart) another body makes
something of its own, and never adds to what the first one made. Of two officers who act on one case at once the second
is told that the first has acted, as if it had come a moment later.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

import msgspec

from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Problem, Refusal

KEYS_MAX: Final = 50_000
"""Keys that are remembered, the latest: some 10 MB."""

ACTS_MAX: Final = 10_000
ACT_MS_MAX: Final = 30_000
"""After so long an act that has not moved its case is no longer waited for: it came to nothing."""


def digest(stated: Fields) -> bytes:
    """What tells one body from another: its fields, in whatever order."""
    return sha256(msgspec.json.encode(stated, order="deterministic")).digest()


class RecentKeys:
    """Which body came under each key."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()

    def check(self, key: bytes, body: bytes) -> None:
        """Raises `Problem` 422 where the key was used for another body."""
        if self._bodies.get(key, body) != body:
            raise Problem(
                422,
                Refusal("key-reused", "this Idempotency-Key came with another body before: give each request its own"),
            )

    def note(self, key: bytes, body: bytes) -> None:
        """Once it is written."""
        self._bodies[key] = body
        self._bodies.move_to_end(key)
        if len(self._bodies) > KEYS_MAX:
            self._bodies.popitem(last=False)


class RecentActs:
    """Acts on cases that are written and not yet taken."""

    def __init__(self) -> None:
        self._acts: OrderedDict[str, tuple[int, str, int]] = OrderedDict()

    def under_way(self, case: str, step: int, act: str, now: int) -> bool:
        """Whether another act on this case, which stands at this step, waits to be taken."""
        at, other, written = self._acts.get(case, (-1, act, 0))
        return at >= step and other != act and now - written < ACT_MS_MAX

    def note(self, case: str, step: int, act: str, now: int) -> None:
        """An act that is about to be written, `now` in milliseconds."""
        self._acts[case] = (step, act, now)
        self._acts.move_to_end(case)
        if len(self._acts) > ACTS_MAX:
            self._acts.popitem(last=False)
