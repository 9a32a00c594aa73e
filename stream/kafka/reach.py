"""Reaching the cluster at a start: wait for a broker, then see that the topics are as they must be.

A broker that does not answer is waited for, with growing pauses, since only time mends that; topics that would break a
guarantee are refused, since only an operator mends those.
"""

import asyncio
from typing import Final

from stream import logs
from stream.config import Config
from stream.kafka import clients, topics
from stream.kafka.describe import Cluster, describe_topics

log = logs.get(__name__)

BROKER_PAUSE_S: Final = 0.5
BROKER_PAUSE_S_MAX: Final = 10.0


class CannotStart(Exception):
    """Something that no restart mends: what, where, and the mend."""


async def reach(config: Config) -> Cluster:
    """The cluster with all of wurao's topics. Asks until a broker answers.

    Raises `CannotStart` for topics that are missing or would break a guarantee; a lesser difference is logged.
    """
    pause = BROKER_PAUSE_S
    while True:
        try:
            cluster = await describe_topics(config, tuple(topics.EXPECTED))
        except (OSError, clients.KafkaError) as error:
            log.warning(
                "no broker answers; trying again",
                bootstrap=config.kafka.bootstrap,
                error=repr(error),
                pause_s=pause,
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, BROKER_PAUSE_S_MAX)
            continue
        refuse_broken(topics.differences(cluster, config.topics))
        return cluster


def refuse_broken(differences: list[str]) -> None:
    """Log what is not as it should be. Raises `CannotStart` where that would break a guarantee."""
    for difference in differences:
        log.warning("topic is not as it should be", difference=difference)
    if broken := [difference for difference in differences if topics.breaks_guarantees(difference)]:
        raise CannotStart("\n".join(broken))
