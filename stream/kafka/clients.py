"""How a Kafka client is made: the only place, with every option that matters spelled out and its reason."""

import ssl
from typing import Literal, TypedDict

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError

from stream.config import Config, KafkaConfig
from stream.kafka import credentials
from stream.kafka.assignor import SamePartitions
from stream.kafka.seams import bounded, logins
from stream.kafka.seams.outgoing import wrap_sequences

bounded.install()  # whoever makes a consumer reads within the bound, Faust too
logins.install()  # and logs in with the password as it is

BATCH_BYTES_MAX = 1 << 20
"""One produced batch: as large as a broker takes by default, since a batch's cost hardly depends on its size."""

REQUEST_BYTES_MAX = 2 << 20
"""A dead letter carries a whole record of 1 MiB and its headers."""

FETCH_BYTES_MAX = 1 << 18
"""Per partition and fetch: a batch or two, so that a backlog, of which a client holds two fetches at once and copies of
both, does not fill a worker's memory. A batch that is larger comes alone."""

TRANSACTION_FETCH_BYTES_MAX = 1 << 20
"""The same where a transaction is made of what a fetch brings: it takes its round trips, whatever it holds."""

CATCH_UP_FETCH_BYTES_MAX = 8 << 20
"""The same for the registry, which a worker must read whole before it may decide."""

FETCH_WAIT_MS = 100
"""How long a broker holds a fetch for which it has nothing."""

METADATA_MS_MAX = 5_000
"""How old a client's metadata may be. A topic that is gone drops out of them without a word and is looked for again
when they are renewed; partitions that are added are seen then: with aiokafka's five minutes both would be as late."""

HEARTBEAT_MS_MAX = 300
"""A member learns by its heartbeat that another has come or gone, and until the last one knows, the partitions that
change hands wait: this is most of the pause of a restart (docs/upgrades.md)."""

GOODBYE_S_MAX = 5.0
"""How long a client may take to close: aiokafka's `stop` can hang (its issue 773)."""


TRANSACTION_MS_MAX = 10_000
"""When brokers end the transaction of a producer that is gone, if nobody takes its place: so long at most do readers of
`decisions` wait for a filter that died."""


def producer(
    config: Config, *, client: str, transactional_id: str | None = None, batch_bytes_max: int = BATCH_BYTES_MAX
) -> AIOKafkaProducer:
    """A producer whose sends are acknowledged by all replicas and not repeated (KIP-98)."""
    compression = config.filter.compression
    made = AIOKafkaProducer(
        **_connection(config.kafka),
        client_id=client,
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_MS_MAX,
        compression_type=None if compression == "none" else compression,
        max_batch_size=batch_bytes_max,
        max_request_size=REQUEST_BYTES_MAX,
        linger_ms=0,  # whole batches are handed over: there is nothing to wait for
        request_timeout_ms=config.kafka.request_timeout_ms,
    )
    wrap_sequences(made)
    return made


def group_consumer(
    config: Config,
    *,
    group: str | None,
    client: str,
    instance: str | None,
    assignor: SamePartitions | type[RoundRobinPartitionAssignor] = RoundRobinPartitionAssignor,
    offset_reset: Literal["earliest", "none"] = "earliest",
) -> AIOKafkaConsumer:
    """A member of a consumer group that commits by its own word only. Subscribe it with a listener.

    Without a group: a consumer of events whose partitions are assigned by hand, and which another commits for. With
    `offset_reset` "none" it raises where there is no offset, or one that the partition does not have (any more), and
    whoever holds it seeks.
    """
    return AIOKafkaConsumer(
        **_connection(config.kafka),
        client_id=client,
        group_id=group,
        group_instance_id=instance,
        partition_assignment_strategy=(assignor,),
        enable_auto_commit=False,  # offsets are committed when their decisions are acknowledged, never before
        auto_offset_reset=offset_reset,  # earliest: a new group takes what is there; it must not skip it
        isolation_level="read_committed",
        session_timeout_ms=config.filter.session_timeout_ms,
        heartbeat_interval_ms=min(HEARTBEAT_MS_MAX, max(1, config.filter.session_timeout_ms // 5)),
        max_partition_fetch_bytes=(
            TRANSACTION_FETCH_BYTES_MAX if config.filter.delivery == "exactly-once" else FETCH_BYTES_MAX
        ),
        fetch_max_wait_ms=FETCH_WAIT_MS,
        check_crcs=True,
        request_timeout_ms=config.kafka.request_timeout_ms,
    )


def follower(config: Config, *, client: str, committed: bool = True) -> AIOKafkaConsumer:
    """A consumer outside any group, for partitions that it is assigned by hand and reads from a given offset.

    It reads, and knows the ends of, committed records alone, unless `committed` is false.
    """
    return AIOKafkaConsumer(
        **_connection(config.kafka),
        client_id=client,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",  # an offset out of range means another topic or a hole: never skip silently
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=CATCH_UP_FETCH_BYTES_MAX,
        fetch_max_bytes=4 * CATCH_UP_FETCH_BYTES_MAX,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        check_crcs=True,
        request_timeout_ms=config.kafka.request_timeout_ms,
    )


def admin(config: Config) -> AIOKafkaAdminClient:
    """An admin client, for topics and their settings."""
    return AIOKafkaAdminClient(
        **_connection(config.kafka),
        client_id="wurao-admin",
        request_timeout_ms=config.kafka.request_timeout_ms,
    )


def partitions(topic: str, count: int) -> list[AIOKafkaPartition]:
    """The partitions of a topic."""
    return [AIOKafkaPartition(topic, partition) for partition in range(count)]


class Security(TypedDict):
    """How each connection is secured."""

    security_protocol: str
    ssl_context: ssl.SSLContext | None
    sasl_mechanism: str
    sasl_plain_username: str | None
    sasl_plain_password: str | None


class _Connection(Security):
    bootstrap_servers: str
    metadata_max_age_ms: int


def _connection(kafka: KafkaConfig) -> _Connection:
    """The options that all clients share."""
    return {
        "bootstrap_servers": kafka.bootstrap,
        "metadata_max_age_ms": METADATA_MS_MAX,
        **security(kafka),
    }


def security(kafka: KafkaConfig) -> Security:
    """TLS and SASL of the configuration. Raises `ConfigError` for files that cannot be used."""
    return {
        "security_protocol": kafka.security_protocol,
        "ssl_context": credentials.ssl_context(kafka),
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": credentials.password(kafka),
    }


__all__ = [
    "AIOKafkaConsumer",
    "AIOKafkaPartition",
    "AIOKafkaProducer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "KafkaConnectionError",
    "KafkaError",
    "RoundRobinPartitionAssignor",
    "admin",
    "follower",
    "group_consumer",
    "partitions",
    "producer",
]
