"""What wurao answers: a decision per event, and the epoch that names the registry it was made from."""

from collections.abc import Mapping

import msgspec

from stream.model.fields import EventKind, Verdict


class Decision(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="decision"):
    """The answer to one event. Key and partition are those of its event (DESIGN section 4).

    `code` (the answer per protocol) and `appeal` are absent on `allow`. `decided` is the moment that orders,
    campaigns and hours were compared with, so that a replay can pass it back.
    """

    event: str
    of: EventKind
    time: int
    decided: int
    to: str
    from_: str | None = msgspec.field(name="from")
    sender: str | None
    verdict: Verdict
    reason: str
    basis: str | None
    policy: str
    epoch: str
    origin: str | None = None
    code: Mapping[str, int] | msgspec.UnsetType = msgspec.UNSET
    appeal: str | msgspec.UnsetType = msgspec.UNSET


class Epoch(msgspec.Struct, frozen=True, tag_field="kind", tag="epoch"):
    """The registry state behind decisions that carry this `epoch`, so that any of them can be reproduced.

    `offsets` gives, per registry topic and partition, the offset up to which (exclusive) it was applied; -1 for a
    partition that its worker does not hold (partitioned mode), and from which nothing of this epoch was decided.
    `topics` gives their ids: offsets say nothing of a topic that was deleted and recreated. Absent in epochs of before.
    """

    epoch: str
    time: int
    policy: str
    policy_hash: str
    stale: bool
    staleness_ms: int | None
    cluster: str
    offsets: Mapping[str, tuple[int, ...]]
    topics: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """As much of a decision as another policy may answer otherwise."""

    verdict: Verdict
    reason: str
    basis: str | None
    policy: str


class Difference(msgspec.Struct, frozen=True, tag_field="kind", tag="shadow-difference"):
    """Where a shadow would have decided otherwise: what was `made`, and what the `shadow` answers instead.

    The answers may be the same but for what goes with them: the protocols' codes, or the address for appeals.
    """

    event: str
    of: EventKind
    time: int
    decided: int
    sender: str | None
    made: Answer
    shadow: Answer
    epoch: str
