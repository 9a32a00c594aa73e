"""What this process has just written: what was answered to a key, and which act on a case is under way.

Pure, and bounded. A request that is repeated under its `Idempotency-Key` gets the same answer and writes nothing more:
a consent that was repeated would come after a refusal that was given meanwhile, and undo it. The same key with another
body is a fault of the program that sends it, and is told so (422). What a request makes is named by its body too
(`names.repeatable`), so that wherever this memory does not reach (another process, a restart) another body makes
something of its own, and never adds to what the first one made. Of two officers who act on one case at once the second
is told that the first has acted, as if it had come a moment later.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

import msgspec

from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Accepted, Problem, Refusal

KEYS_MAX: Final = 50_000
ANSWERS_BYTES_MAX: Final = 16 << 20
"""Keys that are remembered, the latest, and their answers, of which few are longer than 100 bytes: some 20 MB."""

ACTS_MAX: Final = 10_000
ACT_MS_MAX: Final = 30_000
"""After so long an act that has not moved its case is no longer waited for: it came to nothing."""


def digest(stated: Fields) -> bytes:
    """What tells one body from another: its fields, in whatever order."""
    return sha256(msgspec.json.encode(stated, order="deterministic")).digest()


class RecentKeys:
    """Which body came under each key, and how it was answered."""

    def __init__(self) -> None:
        self._uses: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()
        """digest of a body, and its answer as JSON; none while its record is being written"""
        self._answers_bytes = 0

    def begin(self, key: bytes, body: bytes) -> Accepted | None:
        """What this request was answered before. Raises `Problem` 422 where the key was used for another body."""
        before, answer = self._uses.setdefault(key, (body, b""))
        self._forget_oldest()
        if before != body:
            raise Problem(
                422,
                Refusal("key-reused", "this Idempotency-Key came with another body before: give each request its own"),
            )
        return msgspec.json.decode(answer, type=Accepted) if answer else None

    def end(self, key: bytes, body: bytes, answered: Accepted | None) -> None:
        """Once it is written; without an answer it was refused, or failed, and has used no key."""
        before, answer = self._uses.pop(key, (body, b""))
        self._answers_bytes -= len(answer)
        if answered is not None:
            before, answer = body, msgspec.json.encode(answered)
        if answer:
            self._uses[key] = before, answer
            self._answers_bytes += len(answer)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._uses) > KEYS_MAX or self._answers_bytes > ANSWERS_BYTES_MAX:
            self._answers_bytes -= len(self._uses.popitem(last=False)[1][1])


class RecentActs:
    """Acts on cases that are about to be written, or written and not yet taken.

    Not by how far a case has come: what machines send (a clock, a delivery) takes it on meanwhile.
    """

    def __init__(self) -> None:
        self._acts: OrderedDict[str, tuple[str, int]] = OrderedDict()
        """case → the event, and when it was written"""

    def under_way(self, case: str, act: str, now: int) -> bool:
        """Whether another act on this case waits to be taken."""
        other, written = self._acts.get(case, (act, 0))
        return other != act and now - written < ACT_MS_MAX

    def note(self, case: str, act: str, now: int) -> None:
        """An act that is about to be written, `now` in milliseconds."""
        self._acts[case] = (act, now)
        self._acts.move_to_end(case)
        if len(self._acts) > ACTS_MAX:
            self._acts.popitem(last=False)

    def taken(self, case: str, event: str | None) -> None:
        """A case has taken this event; of views of versions before nobody knows which, and nothing is waited for."""
        waiting = self._acts.get(case)
        if waiting is not None and event in (waiting[0], None):
            del self._acts[case]
