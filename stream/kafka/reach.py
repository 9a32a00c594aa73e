"""Reaching the cluster at a start: wait for a broker, then see that the topics are as they must be.

A broker that does not answer is waited for, with growing pauses, since only time mends that; a certificate that is not
believed, and topics that would break a guarantee, are refused, since only an operator mends those.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import ParamSpec, TypeVar

from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError

from stream import logs
from stream.config import Config
from stream.kafka import clients, topics
from stream.kafka.describe import ClusterDescription, describe_topics
from stream.kafka.reason import reason
from stream.kafka.retry import Retry

log = logs.get(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class CannotStart(Exception):
    """Something that no restart mends: what, where, and the mend."""


async def reach(config: Config, names: Collection[str]) -> ClusterDescription:
    """The cluster with these topics. Asks until a broker answers; raises `CannotStart` as `look` does."""
    retry = Retry(log, "no broker answers; trying again until one does")
    while True:
        try:
            return await look(config, names)
        except (OSError, clients.KafkaError) as error:
            await retry.after(error)


async def until_answered(ask: Callable[P, Awaitable[T]], *given: P.args, **options: P.kwargs) -> T:
    """What a question to the brokers comes to; asked again, with pauses, as long as none answers.

    For what may be asked twice. `brokers.Brokers` tells of the silence. Raises what waiting does not mend.
    """
    retry = Retry(log, "brokers do not answer; trying again")
    while True:
        try:
            return await ask(*given, **options)
        except (OSError, clients.KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError):
            await retry.pause()  # no broker is there; a TimeoutError is an OSError
        except clients.KafkaError as error:
            if not error.retriable:
                raise
            await retry.after(error)


async def look(config: Config, names: Collection[str]) -> ClusterDescription:
    """The cluster with these topics, asked once. Raises `KafkaError` or `OSError`, saying why, where no broker answers.

    Raises `CannotStart` for topics that are missing or would break a guarantee (a lesser difference is logged), and
    where TLS is refused by us or the brokers.
    """
    try:
        cluster = await describe_topics(config, tuple(names))
    except (OSError, clients.KafkaError) as error:
        why = await reason(config)
        if why is None:
            raise
        if why.lasts:
            raise CannotStart(str(why)) from error
        raise clients.KafkaConnectionError(str(why)) from error
    differences = topics.differences(cluster, config.topics, names)
    for difference in differences:
        log.warning("topic differs from what wurao needs", difference=difference)
    if broken := [difference for difference in differences if topics.breaks_guarantees(difference)]:
        raise CannotStart("\n".join(broken))
    return cluster
