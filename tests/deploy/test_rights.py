"""What each user of Kafka must not do is refused by the broker, and gateways that send too much are slowed down."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from msgspec.structs import replace

from stream.cli.parser import parser
from stream.kafka import clients, users
from stream.kafka.rights import BULK_QUOTAS, GATEWAYS, PROCESSES, URGENT_QUOTAS, USERS, Quotas, gateway
from stream.kafka.topics import EXPECTED
from stream.model.topics import DECISIONS, EVENT_KINDS, EVENTS_SMS, EVENTS_URGENT, RECORD_KIND
from tests.cli.command import Wurao
from tests.deploy.guarded import Guarded
from tests.testbed.listening import PASSWORD

WRITERS: Final[dict[str, set[str]]] = {
    "events.sms": {"gateway-sms"},
    "events.call": set(),  # neither of the two gateways that are shown carries calls
    "events.reply": {"gateway-sms"},
    "events.urgent": {"gateway-sms-urgent"},
    "decisions": {"wurao-filter"},
    "epochs": {"wurao-filter"},
    "activity": {"wurao-filter"},
    "shadow-differences": {"wurao-shadow"},
    "registry.requests": {"wurao-enforce", "wurao-operator"},
    "registry.bulk": {"wurao-operator"},
    "registry.answers": {"wurao-registrar"},
    "registry.expressions": {"wurao-filter", "wurao-registrar"},
    "registry.senders": {"wurao-registrar"},
    "registry.orders": {"wurao-enforce", "wurao-operator"},
    "registry.campaigns": {"wurao-enforce", "wurao-operator"},
    "registry.wordlists": {"wurao-registrar"},
    "complaints": {"wurao-enforce"},
    "appeals": {"wurao-enforce"},
    "filings": {"wurao-enforce"},
    "case-events": {"wurao-enforce", "wurao-watch"},
    "deliveries": {"wurao-notify"},
    "cases": {"wurao-enforce"},
    "notices": {"wurao-enforce"},
    "reports": {"wurao-enforce"},
    "listings": {"wurao-enforce"},
    "holds": {"wurao-enforce"},
    "held": {"wurao-watch"},
    "accesses": {"wurao-enforce"},
    "wurao-enforce-cases-changelog": {"wurao-enforce"},
    "dead-letter": {"wurao-filter", "wurao-registrar", "wurao-enforce", "wurao-watch", "wurao-notify"},
}
"""Who may write what, said once more and not made from the table."""

DECIDED: Final = {*EVENT_KINDS, *RECORD_KIND, "decisions", "epochs"}

READERS: Final[dict[str, set[str]]] = {
    "wurao-filter": {*EVENT_KINDS, *RECORD_KIND},
    "wurao-registrar": {*RECORD_KIND, "registry.requests", "registry.bulk", "registry.answers"},
    "wurao-enforce": {
        *("complaints", "appeals", "filings", "case-events", "deliveries", "cases", "wurao-enforce-cases-changelog"),
        *("registry.answers", "registry.senders", "registry.orders", "listings"),
    },
    "wurao-watch": {"activity", "decisions", "registry.senders", "holds", *EVENT_KINDS},
    "wurao-notify": {"notices", "reports", "deliveries"},
    "wurao-audit": DECIDED,
    "wurao-shadow": DECIDED,
    "wurao-scaler": set(),
    "wurao-operator": {*EXPECTED},
    "gateway-sms": {"decisions"},
    "gateway-sms-urgent": {"decisions"},
}
"""Who may read what, likewise."""

GROUPS: Final[dict[str, set[str]]] = {
    "wurao-filter": {"wurao-filter.bulk", "wurao-filter.urgent"},
    "wurao-registrar": {"wurao-registrar"},
    "wurao-enforce": {"wurao-enforce"},
    "wurao-watch": {"wurao-watch", "wurao-watch.decisions", "wurao-watch.holds"},
    "wurao-notify": {"wurao-notify"},
    "wurao-audit": {"wurao-audit"},
    "wurao-shadow": {"wurao-filter-shadow"},
    "gateway-sms": {"gateway-sms.here"},
    "gateway-sms-urgent": {"gateway-sms-urgent.here"},
}
"""Whose groups are whose."""

LOOKERS: Final = {"wurao-scaler": {"wurao-filter"}, "wurao-operator": {*GROUPS} - {one.name for one in GATEWAYS}}
"""Who sees how far the groups of others are."""

PRODUCE_MS: Final = 30_000
MIB: Final = 1 << 20
FLOOD_BATCHES_MAX: Final = 64
"""What a user may send before it is slowed down: ten seconds of its quota at once, and these are six times as much."""

EXACTLY: Final = 0
"""How DescribeClientQuotas matches a name (KIP-546)."""
QUOTA_KEYS: Final = ("producer_byte_rate", "consumer_byte_rate", "request_percentage")
"""The brokers' names of the fields of `Quotas`, in their order."""


async def quotas_of(admin: AIOKafkaAdminClient, user: str) -> Quotas | None:
    """What a user is slowed down to now; None where nothing is set. Raises `KafkaError`."""
    answer = await admin._send_request(DescribeClientQuotasRequest([("user", EXACTLY, user)], True))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
    for _, values in answer.entries:
        limits = dict(values)
        return Quotas(*(int(limits[key]) for key in QUOTA_KEYS))
    return None


@asynccontextmanager
async def _logged_in(guarded: Guarded, user: str, password: str = PASSWORD) -> AsyncIterator[AIOKafkaAdminClient]:
    config = guarded.config(user)
    admin = clients.admin(replace(config, kafka=replace(config.kafka, sasl_password=password)))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def _batch(value: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 2 * MIB)
    assert builder.append(0, 1_790_000_000_000, b"key", value, []) is not None
    return bytes(builder.build())


def _spoilt() -> bytes:
    """A batch with a wrong checksum: a broker refuses it from whoever may write, and nothing is written."""
    batch = bytearray(_batch(b"value"))
    batch[-1] ^= 0xFF
    return bytes(batch)


async def _produce(admin: AIOKafkaAdminClient, topics: list[str], batch: bytes) -> tuple[dict[str, int], int]:
    """Error code by topic, and for how long (ms) the broker slows this user down."""
    request = ProduceRequest(None, -1, PRODUCE_MS, [(topic, [(0, batch)]) for topic in topics])
    answer = await admin._send_request(request)
    return {topic: code for topic, [(_, code, *_)] in answer.topics}, answer.throttle_time_ms


@pytest.mark.kafka
@pytest.mark.parametrize("user", USERS)
async def test_a_user_writes_and_reads_its_own_topics_and_groups_and_is_refused_all_others(
    guarded: Guarded, user: str
) -> None:
    forbidden = TopicAuthorizationFailedError.errno
    async with _logged_in(guarded, user) as admin:
        written, _ = await _produce(admin, list(EXPECTED), _spoilt())
        refused = {topic for topic, code in written.items() if code == forbidden}
        assert refused == {topic for topic, writers in WRITERS.items() if user not in writers}
        assert set(written.values()) <= {forbidden, 2}, "2: what was spoilt is refused from those who may write"

        fetched = await admin._send_request(FetchRequest(0, 0, MIB, 0, [(topic, [(0, 0, 1)]) for topic in EXPECTED]))
        refused = {topic for topic, [(_, code, *_)] in fetched.topics if code == forbidden}
        assert refused == EXPECTED.keys() - READERS[user]

        for owner, groups in GROUPS.items():
            for group in groups:
                found = await admin._send_request(FindCoordinatorRequest(group, 0))
                refuses = found.error_code == GroupAuthorizationFailedError.errno
                assert refuses == (owner != user and owner not in LOOKERS.get(user, ())), group


@pytest.mark.kafka
async def test_a_gateway_that_fills_the_urgent_lane_is_slowed_down_while_others_events_go_on(guarded: Guarded) -> None:
    async with (
        _logged_in(guarded, "gateway-sms-urgent") as flooding,
        _logged_in(guarded, "gateway-sms") as other,
    ):
        for _ in range(FLOOD_BATCHES_MAX):
            _, slowed_ms = await _produce(flooding, [EVENTS_URGENT], _batch(bytes(MIB)))
            if slowed_ms:
                break
        else:
            pytest.fail("a flood of 64 MiB was taken as it came")
        codes, slowed_ms = await _produce(other, [EVENTS_SMS], _batch(b"{"))
        assert (codes, slowed_ms) == ({EVENTS_SMS: 0}, 0)


@pytest.mark.kafka
def test_each_gateways_quotas_are_in_force_and_processes_have_none(guarded: Guarded) -> None:
    async def compare(admin: AIOKafkaAdminClient) -> None:
        for user in USERS.values():
            assert await quotas_of(admin, user.name) == user.quotas

    guarded.broker.ask(compare)
    assert [one.quotas for one in GATEWAYS] == [BULK_QUOTAS, URGENT_QUOTAS]
    assert {one.quotas for one in PROCESSES} == {None}


@pytest.mark.kafka
def test_a_right_that_a_user_has_no_more_is_taken_from_it(guarded: Guarded) -> None:
    before = gateway("gateway-test", "as it was", (EVENTS_SMS, "events.reply"))
    after = gateway("gateway-test", "as it is", (EVENTS_URGENT,))

    async def change(admin: AIOKafkaAdminClient) -> None:
        for user in (before, after, after):
            await users.create(admin, [user], {})
            assert await users.acls_of(admin, [user]) == set(users.acls(user))
            assert await quotas_of(admin, user.name) == user.quotas

    guarded.broker.ask(change)


@pytest.mark.kafka
async def test_the_command_makes_users_who_log_in_by_the_passwords_of_their_files(
    guarded: Guarded, tmp_path: Path
) -> None:
    password = secrets.token_urlsafe()
    (tmp_path / "smsc-1").write_text(f"{password}\n", encoding="ascii")
    stated = ("--passwords", tmp_path, "--gateway", "smsc-1=events.sms", "--quotas", "smsc-1=1000000,2000000,300")
    made = await asyncio.to_thread(Wurao(tmp_path, guarded.broker).asked, "users", "create", *stated)
    assert made == {"users": [*(user.name for user in PROCESSES), "smsc-1"], "passwords": ["smsc-1"]}

    async def see_quotas(admin: AIOKafkaAdminClient) -> None:
        assert await quotas_of(admin, "smsc-1") == Quotas(1_000_000, 2_000_000, 300)

    await asyncio.to_thread(guarded.broker.ask, see_quotas)
    async with _logged_in(guarded, "smsc-1", password) as admin:
        written, _ = await _produce(admin, [EVENTS_SMS, EVENTS_URGENT], _spoilt())
        assert written == {EVENTS_SMS: 2, EVENTS_URGENT: TopicAuthorizationFailedError.errno}
    async with _logged_in(guarded, "wurao-notify"):
        pass  # one without a file keeps the password that it had


@pytest.mark.kafka
async def test_a_gateway_that_is_removed_is_refused_at_once_also_on_a_connection_that_it_has(
    guarded: Guarded, tmp_path: Path
) -> None:
    harmful = gateway("smsc-harmful", "", (EVENTS_SMS,))

    async def make(admin: AIOKafkaAdminClient) -> None:
        await users.create(admin, [harmful], {harmful.name: PASSWORD})

    await asyncio.to_thread(guarded.broker.ask, make)
    operator = Wurao(tmp_path, variables=guarded.login("wurao-operator"))
    refused = await asyncio.to_thread(operator.run, "users", "remove", harmful.name)
    assert refused.returncode == 1
    assert "log in as one of the brokers' super.users" in refused.stderr
    remove = partial(Wurao(tmp_path, guarded.broker).asked, "users", "remove", harmful.name)
    async with _logged_in(guarded, harmful.name) as admin:
        written, _ = await _produce(admin, [EVENTS_SMS], _spoilt())
        assert written == {EVENTS_SMS: 2}
        assert await asyncio.to_thread(remove) == {"removed": [harmful.name], "had_nothing": []}
        written, _ = await _produce(admin, [EVENTS_SMS], _spoilt())
        assert written == {EVENTS_SMS: TopicAuthorizationFailedError.errno}
    assert await asyncio.to_thread(remove, code=1) == {"removed": [], "had_nothing": [harmful.name]}
    with pytest.raises(KafkaError):
        async with _logged_in(guarded, harmful.name):
            pass


def test_a_password_that_is_none_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wurao-notify").write_text("hunter2", encoding="ascii")
    arguments = parser("users").parse_args(["users", "create", "--passwords", str(tmp_path)])
    assert arguments.run(arguments) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path}/wurao-notify: no password; give 16" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("topics", [(), (DECISIONS,), (EVENTS_SMS, EVENTS_URGENT)])
def test_a_gateway_gets_nothing_but_events_and_urgent_ones_by_a_user_of_their_own(topics: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="gateway-x: "):
        gateway("gateway-x", "", topics)


@pytest.mark.parametrize("name", ["*", "", "a|b", "smsc-1 ", "smsc.a", "wurao-filter", "wurao-x", "ANONYMOUS", "短信"])
def test_a_gateways_name_is_nobody_elses_and_its_groups_lie_among_no_others(name: str) -> None:
    with pytest.raises(ValueError, match="not a gateway's name"):
        gateway(name, "", (EVENTS_SMS,))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gateway", "g=events.sms", "--gateway", "g=events.call"), "--gateway g: stated 2 times"),
        (("--quotas", "h=1,1,1"), "--quotas h: no such gateway"),
        (("--gateway", "g=events.sms", "--quotas", "g=1,1"), "--quotas g: give three whole numbers above 0"),
        (("--gateway", "g=events.sms", "--quotas", "g=1,1,0"), "--quotas g: give three whole numbers above 0"),
        (("--passwords", "/nowhere"), "--passwords /nowhere: No such file or directory"),
    ],
)
def test_what_would_be_made_otherwise_than_it_is_meant_is_refused_before_a_broker_is_asked(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = parser("users").parse_args(["users", "create", *options])
    assert arguments.run(arguments) == 1
    assert told in capsys.readouterr().err


def test_every_topic_is_looked_at() -> None:
    assert WRITERS.keys() == EXPECTED.keys()
    assert READERS.keys() == USERS.keys()
