"""Which cluster this is and which topics it has: ids, partition counts, settings.

A topic that was deleted and made again has the same name and other records; only its id tells (KIP-516). aiokafka
speaks Metadata up to version 5, which has no ids, so version 12 is declared here with aiokafka's own building
blocks. Read only.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from stream.config import Config
from stream.kafka import clients


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as the cluster has it. `settings` are the effective ones."""

    id: str
    partitions: int
    settings: Mapping[str, str]
    replicas: int = 1
    """copies of the partition that has the fewest"""


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """A cluster's id and the topics that were asked for and are there."""

    id: str
    topics: Mapping[str, TopicDescription]
    brokers_count: int = 1


async def describe_topics(config: Config, names: tuple[str, ...]) -> ClusterDescription:
    """The same, with a client of its own."""
    admin = clients.admin(config)
    try:
        await admin.start()
        return await describe(admin, names)
    finally:
        await admin.close()


async def describe(admin: AIOKafkaAdminClient, names: tuple[str, ...]) -> ClusterDescription:
    """The cluster and those of the named topics that exist. Raises `KafkaError` where it cannot be reached."""
    seen = await _metadata(admin, None, names)
    settings = await _settings(admin, tuple(seen.topics))
    return replace(seen, topics={name: replace(topic, settings=settings[name]) for name, topic in seen.topics.items()})


async def identify(admin: AIOKafkaAdminClient, names: tuple[str, ...]) -> ClusterDescription:
    """The same without settings, in one small request: for who asks again and again."""
    return await _metadata(admin, names, names)


async def _metadata(
    admin: AIOKafkaAdminClient, asked: tuple[str, ...] | None, names: tuple[str, ...]
) -> ClusterDescription:
    """What of `names` is in the answer for the topics `asked` (None: for all)."""
    # Private in aiokafka, which has no public way to send a request of one's own; the version is pinned.
    answer = (await admin._send_request(_MetadataRequest(asked))).to_object()  # noqa: SLF001
    topics: dict[str, TopicDescription] = {}
    for topic in answer["topics"]:
        name, code = topic["name"], topic["error_code"]
        if name not in names or code == UnknownTopicOrPartitionError.errno:
            continue
        if code:
            raise for_code(code)(name)
        topics[name] = TopicDescription(
            id=str(topic["topic_id"]),
            partitions=len(topic["partitions"]),
            settings={},
            replicas=min(len(partition["replicas"]) for partition in topic["partitions"]),
        )
    return ClusterDescription(id=answer["cluster_id"], topics=topics, brokers_count=len(answer["brokers"]))


async def _settings(admin: AIOKafkaAdminClient, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answers = await admin.describe_configs(resources)
    return {
        resource[3]: {entry[0]: entry[1] or "" for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]  # aiokafka is not typed
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


_BY_NAME: Final = uuid.UUID(int=0)
"""In the place of a topic's id, where it is asked for by its name."""


_NO_TAGS: Final[dict[int, bytes]] = {}


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]  # aiokafka is not typed
    """Metadata, version 12 (Kafka 2.8 and later), of the topics of these names, or of all."""

    API_KEY = 3

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        wanted = None if self._names is None else [(_BY_NAME, name, _NO_TAGS) for name in self._names]
        return request_struct_class(wanted, False, False, _NO_TAGS)
