"""A genuine broker on which everybody may do what deploy/kubernetes/kafka/users.yaml says, and no more.

Kafka's own authorizer decides. Processes log in by their user's name on a listener of their own; the tests reach the
other listener, where everything is allowed.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest_v1, DescribeAclsRequest
from aiokafka.protocol.api import Request

from stream.kafka import clients
from tests.deploy.custom import Acl, UserSpec
from tests.deploy.manifests import custom, manifest, written
from tests.filter.harness import Broker
from tests.patience import LONG_S
from tests.testbed.listening import PASSWORD, listening_kafka, plain_logins

_OPERATIONS: Final = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_RESOURCES: Final = {"topic": 2, "group": 3, "transactionalId": 5}
_PATTERNS: Final = {"literal": 3, "prefix": 4}
_ALLOW: Final = 3
_ANY: Final = 1
"""Kafka's protocol guide: AclOperation, ResourceType, PatternType, AclPermissionType."""

IN_FORCE_S_MAX: Final = LONG_S


class _CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]  # aiokafka is not typed
    """CreateAcls, version 1 (KIP-290)."""

    API_KEY = 30

    def __init__(self, creations: list[tuple[int, str, int, str, str, int, int]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._creations)


def users() -> dict[str, list[Acl]]:
    """Every user of the manifests, and its rights."""
    found = {manifest(one).metadata.name: custom(one) for _, one in written() if one["kind"] == "KafkaUser"}
    return {name: spec.authorization.acls for name, spec in found.items() if isinstance(spec, UserSpec)}


def login(port: int, user: str) -> dict[str, str]:
    """The variables by which a process logs in as a user."""
    return {
        "WURAO_KAFKA__BOOTSTRAP": f"127.0.0.1:{port}",
        "WURAO_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "WURAO_KAFKA__SASL_MECHANISM": "PLAIN",
        "WURAO_KAFKA__SASL_USERNAME": user,
        "WURAO_KAFKA__SASL_PASSWORD": PASSWORD,
    }


@contextmanager
def guarded_kafka() -> Iterator[tuple[Broker, int]]:
    """A broker with wurao's topics and the manifests' rights, and the port at which users log in."""
    properties = {
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.users.plain.sasl.jaas.config": plain_logins(*users()),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with listening_kafka({"USERS": "SASL_PLAINTEXT"}, properties) as (kafka, ports):
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        asyncio.run(_allow(broker))
        yield broker, ports["USERS"]


async def _allow(broker: Broker) -> None:
    creations = [
        (
            _RESOURCES[acl.resource.type],
            acl.resource.name,
            _PATTERNS[acl.resource.patternType],
            f"User:{name}",
            "*",
            _OPERATIONS[operation],
            _ALLOW,
        )
        for name, acls in users().items()
        for acl in acls
        for operation in acl.operations
    ]
    admin: AIOKafkaAdminClient = clients.admin(broker.config)
    await admin.start()
    try:
        answer = await admin._send_request(_CreateAcls(creations))
        assert all(code == 0 for code, _ in answer.creation_responses), answer
        # The controller has written them down; the authorizer learns of them later, and hides every topic until then.
        deadline = time.monotonic() + IN_FORCE_S_MAX
        while await _acls_in_force(admin) < len(set(creations)):
            assert time.monotonic() < deadline, f"the authorizer does not know the rights after {IN_FORCE_S_MAX} s"
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def _acls_in_force(admin: AIOKafkaAdminClient) -> int:
    everything = DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)
    answer = await admin._send_request(everything)
    assert answer.error_code == 0, answer
    return sum(len(acls) for *_, acls in answer.resources)
