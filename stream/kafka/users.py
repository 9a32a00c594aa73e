"""Users made in a cluster: each one's password, rights and quotas, as `rights.py` has them.

For a Kafka that no operator such as Strimzi looks after. Idempotent: a right that a user no longer has is taken from
it; what other users have is left alone. aiokafka knows neither SCRAM credentials nor changes of quotas, and one right
at a time; the requests are declared here with its own building blocks (versions that Kafka has had since 2.7).
"""

import asyncio
import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    CreateAclsRequest_v1,
    DeleteAclsRequest_v1,
    DescribeAclsRequest,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

from stream.kafka.rights import Operation, Pattern, Quotas, ResourceKind, User

SCRAM_SHA_512: Final = 2
SCRAM_ITERATIONS: Final = 8_192
"""Twice what Kafka's brokers require. A password is long and made by a machine (`deploy/passwords`)."""

SALT_BYTES: Final = 24

IN_FORCE_S_MAX: Final = 30.0
IN_FORCE_PAUSE_S: Final = 0.05
"""How long rights may take to be known to the brokers, and how often these are asked."""

_OPERATIONS: Final[dict[Operation, int]] = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_RESOURCES: Final[dict[ResourceKind, int]] = {"topic": 2, "group": 3, "transactionalId": 5}
_PATTERNS: Final[dict[Pattern, int]] = {"literal": 3, "prefix": 4}
_NO_SUCH_CREDENTIAL: Final = 91
"""RESOURCE_NOT_FOUND of Kafka's protocol guide, of a user who cannot log in by this mechanism anyway"""
_ALLOW: Final = 3
_ANY: Final = 1
"""Kafka's protocol guide: AclOperation, ResourceType, PatternType, AclPermissionType."""


class Acl(NamedTuple):
    """One operation of one user on one resource, as the protocol has it."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int


async def create(admin: AIOKafkaAdminClient, users: Collection[User], passwords: Mapping[str, str]) -> None:
    """Make these users, so that each may do what its rights say and nothing that it could do before.

    `passwords` by user; one without a password keeps what it has. Returns when the rights are in force. Raises
    `KafkaError` where the cluster refuses, `TimeoutError` where the rights do not come into force.
    """
    if passwords:
        await set_passwords(admin, passwords)
    limited = await admin._send_request(_AlterQuotas([_limits(user.name, user.quotas) for user in users]))  # noqa: SLF001
    _see_done((code, message) for code, message, _ in limited.entries)
    wanted = {acl for user in users for acl in acls(user)}
    there = await acls_of(admin, users)
    if missing := wanted - there:
        created = await admin._send_request(_CreateAcls(sorted(missing)))  # noqa: SLF001
        _see_done(created.creation_responses)
    if surplus := there - wanted:
        await _take(admin, surplus)
    async with asyncio.timeout(IN_FORCE_S_MAX):
        while await acls_of(admin, users) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(IN_FORCE_PAUSE_S)  # nothing tells when the authorizer learns of them


async def set_passwords(admin: AIOKafkaAdminClient, passwords: Mapping[str, str]) -> None:
    """Let these users log in by these passwords and no others. Raises `KafkaError`."""
    credentials = [_credential(name, password) for name, password in passwords.items()]
    changed = await admin._send_request(_AlterCredentials(credentials))  # noqa: SLF001  # as in describe.py
    _see_done((code, message) for _, code, message, _ in changed.results)


async def remove(admin: AIOKafkaAdminClient, name: str) -> bool:
    """Take from a user every right and its password; whether it had any. Raises `KafkaError`.

    Connections that it still has are refused whatever they ask, and its quotas stay, so that asking is slow.
    """
    there = await acls_of(admin, [User(name, "")])
    if there:
        await _take(admin, there)
    changed = await admin._send_request(_AlterCredentials([], [(name, SCRAM_SHA_512, _NO_TAGS)]))  # noqa: SLF001
    had_password = all(code != _NO_SUCH_CREDENTIAL for _, code, _, _ in changed.results)
    if had_password:
        _see_done((code, message) for _, code, message, _ in changed.results)
    return had_password or bool(there)


async def _take(admin: AIOKafkaAdminClient, rights: Iterable[Acl]) -> None:
    deleted = await admin._send_request(_DeleteAcls(sorted(rights)))  # noqa: SLF001
    _see_done((code, message) for code, message, _ in deleted.filter_responses)


def acls(user: User) -> Iterator[Acl]:
    """A user's rights, operation by operation."""
    for right in user.rights():
        for operation in right.operations:
            yield Acl(
                _RESOURCES[right.resource],
                right.name,
                _PATTERNS[right.pattern],
                f"User:{user.name}",
                "*",
                _OPERATIONS[operation],
                _ALLOW,
            )


async def acls_of(admin: AIOKafkaAdminClient, users: Collection[User]) -> set[Acl]:
    """What the brokers let these users do now. Raises `KafkaError`."""
    found = set()
    for user in users:
        asked = DescribeAclsRequest(_ANY, None, _ANY, f"User:{user.name}", None, _ANY, _ANY)
        answer = await admin._send_request(asked)  # noqa: SLF001
        if answer.error_code:
            raise for_code(answer.error_code)(answer.error_message)
        found |= {Acl(*resource, *acl) for *resource, some in answer.resources for acl in some}
    return found


_QUOTA_KEYS: Final = ("producer_byte_rate", "consumer_byte_rate", "request_percentage")
"""The brokers' names of the fields of `Quotas`, in their order."""


def _limits(user: str, quotas: Quotas | None) -> tuple[list[tuple[str, str]], list[tuple[str, float, bool]]]:
    """The quotas of a user as they are to be; none takes away what there was."""
    values = quotas or Quotas(0, 0, 0)
    return [("user", user)], [
        (key, float(value), quotas is None) for key, value in zip(_QUOTA_KEYS, values, strict=True)
    ]


def _credential(user: str, password: str) -> tuple[str, int, int, bytes, bytes, dict[int, bytes]]:
    """RFC 5802's SaltedPassword: the password itself goes nowhere. Its letters are ASCII, which SASLprep leaves."""
    salt = secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    return user, SCRAM_SHA_512, SCRAM_ITERATIONS, salt, salted, {}


def _see_done(results: Iterable[tuple[int, str]]) -> None:
    """Raise the first error among these codes and messages."""
    for code, message in results:
        if code:
            raise for_code(code)(message)


class _CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]  # aiokafka is not typed
    """CreateAcls, version 1 (KIP-290)."""

    API_KEY = 30

    def __init__(self, creations: list[Acl]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._creations)


class _DeleteAcls(Request[DeleteAclsRequest_v1]):  # type: ignore[misc]  # aiokafka is not typed
    """DeleteAcls, version 1 (KIP-290): each filter is one right, whole."""

    API_KEY = 31

    def __init__(self, filters: list[Acl]) -> None:
        self._filters = filters

    def build(self, request_struct_class: type[DeleteAclsRequest_v1]) -> DeleteAclsRequest_v1:
        return request_struct_class(self._filters)


_ENTITY: Final = Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))


class _AlterQuotasResponse(Response):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), ("entity", _ENTITY))),
    )


class _AlterQuotasRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterQuotasResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterQuotas(Request[_AlterQuotasRequestStruct]):  # type: ignore[misc]  # aiokafka is not typed
    """AlterClientQuotas, version 0 (KIP-546)."""

    API_KEY = 49

    def __init__(self, entries: list[tuple[list[tuple[str, str]], list[tuple[str, float, bool]]]]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_AlterQuotasRequestStruct]) -> _AlterQuotasRequestStruct:
        return request_struct_class(self._entries, False)


_NO_TAGS: Final[dict[int, bytes]] = {}


class _AlterCredentialsResponse(Response):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterCredentialsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterCredentialsResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterCredentials(Request[_AlterCredentialsRequestStruct]):  # type: ignore[misc]  # aiokafka is not typed
    """AlterUserScramCredentials, version 0 (KIP-554)."""

    API_KEY = 51

    def __init__(
        self,
        upsertions: list[tuple[str, int, int, bytes, bytes, dict[int, bytes]]],
        deletions: list[tuple[str, int, dict[int, bytes]]] | None = None,
    ) -> None:
        self._upsertions = upsertions
        self._deletions = deletions or []

    def build(self, request_struct_class: type[_AlterCredentialsRequestStruct]) -> _AlterCredentialsRequestStruct:
        return request_struct_class(self._deletions, self._upsertions, _NO_TAGS)
