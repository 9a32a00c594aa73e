"""A static member that another took the place of stays out of the group (KIP-345), and whoever asks knows a member.

aiokafka speaks versions of Heartbeat and OffsetCommit that do not name the instance, so a member in whose name another
has joined gets the same answer as one whose session has timed out: it is not known. It joins again, and takes the place
back; the two go on so for ever, each beginning where the group had committed. `keep_out` looks at the group first:
where another member bears our instance's name, it does not join, and whoever fetches is raised `InstanceTaken`.
"""

import asyncio
import re
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest

_SUFFIX: Final = re.compile(r"-([0-9a-f-]{36}|[\w-]{22})")
"""What a coordinator puts behind an instance's name to make a member's id."""

NO_GENERATION: Final = -1
"""A consumer's generation when its coordinator has told it that it is no member (any more)."""

ASK_AGAIN_S: Final = 0.1


class InstanceTaken(KafkaError):  # type: ignore[misc]  # aiokafka is not typed
    """Another process has joined a group under our instance's name: which, from where, and the mend."""


class _Client(Protocol):
    async def send(self, node_id: object, request: object, *, group: object) -> object: ...


class _Coordinator(Protocol):
    """As much of aiokafka's group coordinator as we reach."""

    group_id: str
    member_id: str
    generation: int
    coordinator_id: object
    _client: _Client

    async def ensure_coordinator_known(self) -> None: ...
    async def _do_heartbeat(self) -> bool: ...


def keep_out(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that has started never take the place of another member back. Nothing for one without instance."""
    instance: str | None = consumer._group_instance_id  # noqa: SLF001
    if instance is None:
        return
    its = consumer._coordinator  # noqa: SLF001
    reset, rejoin = its.reset_generation, its._do_rejoin_group  # noqa: SLF001
    removed: set[str] = set()
    """our id when we were not known any more; empty while we are a member"""

    def reset_generation() -> None:
        removed.add(its.member_id)
        reset()

    async def rejoin_unless_taken(subscription: object) -> bool:
        if removed:
            await see_not_taken(consumer)
        try:
            joined: bool = await rejoin(subscription)
        except KafkaError:
            await see_not_taken(consumer)  # a member that is replaced while it joins is refused otherwise
            raise
        if joined:
            removed.clear()
        return joined

    its.reset_generation, its._do_rejoin_group = reset_generation, rejoin_unless_taken  # noqa: SLF001


async def see_not_taken(consumer: AIOKafkaConsumer) -> None:
    """Raise `InstanceTaken` where another member of its group bears a consumer's instance's name."""
    its: _Coordinator | None = consumer._coordinator  # noqa: SLF001
    instance: str | None = consumer._group_instance_id  # noqa: SLF001
    if its is None or instance is None:
        return
    await its.ensure_coordinator_known()
    request = DescribeGroupsRequest([its.group_id])
    answer = await its._client.send(its.coordinator_id, request, group=ConnectionGroup.COORDINATION)  # noqa: SLF001
    ((_, _, _, _, _, members, *_),) = getattr(answer, "groups")  # noqa: B009  # aiokafka is not typed
    for member, _, host, *_ in members:
        if member != its.member_id and _SUFFIX.fullmatch(member.removeprefix(instance)):
            raise InstanceTaken(
                f"another process at {host.lstrip('/')} has joined the group {its.group_id} as {instance!r}; "
                "give each host a filter.instance of its own"
            )


async def is_member(consumer: AIOKafkaConsumer) -> bool:
    """Whether the group's coordinator knows this consumer as a member now; waits for a coordinator that answers.

    Where it does not, the consumer is about to join again, and what it was assigned is revoked before that.
    """
    its: _Coordinator = consumer._coordinator  # noqa: SLF001
    while True:
        await its.ensure_coordinator_known()
        if await its._do_heartbeat():  # noqa: SLF001
            return True
        if its.generation == NO_GENERATION:
            return False
        await asyncio.sleep(ASK_AGAIN_S)  # it gave no answer, or is not the coordinator any more
