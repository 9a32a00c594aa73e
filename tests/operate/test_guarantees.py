"""What would start and lose the guarantees is refused, with the mend (DESIGN section 6)."""

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from faust.types.enums import ProcessingGuarantee

from stream.config import Config, ConfigError, load
from stream.config import TopicsConfig as Settings
from stream.enforce.app import _application
from stream.kafka import clients
from stream.kafka.describe import ClusterDescription, TopicDescription
from stream.kafka.topics import EXPECTED, breaks_guarantees, differences
from stream.model.topics import (
    CASE_EVENTS,
    COMPLAINTS,
    DEAD_LETTER,
    DECISIONS,
    DELIVERIES,
    ENFORCE_TABLE,
    EPOCHS,
    EVENTS_CALL,
    EXPRESSIONS,
    ORDERS,
)
from stream.testbed.processes import environment_with, wurao_command
from tests.deploy.manifests import DEPLOY
from tests.filter.harness import Broker, FilterProcess
from tests.patience import LONG_S

ONE = Settings()
THREE = Settings(replication=3)
GOOD = ClusterDescription(
    "C",
    {
        name: TopicDescription(
            f"id-{name}", expected.partitions(ONE), {**expected.settings_by(ONE), "min.insync.replicas": "2"}, 3
        )
        for name, expected in EXPECTED.items()
    },
)


def _with(name: str, *, partitions: int | None = None, replicas: int = 3, **settings: str) -> ClusterDescription:
    topic = GOOD.topics[name]
    changed = {**topic.settings, **{setting.replace("_", "."): value for setting, value in settings.items()}}
    other = replace(topic, partitions=partitions or topic.partitions, replicas=replicas, settings=changed)
    return replace(GOOD, topics={**GOOD.topics, name: other})


def test_a_cluster_as_it_must_be_has_no_difference() -> None:
    assert differences(GOOD, THREE) == []


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        (_with(ORDERS, cleanup_policy="delete"), "cleanup.policy=compact"),
        (_with(ORDERS, cleanup_policy="compact,delete"), "cleanup.policy=compact"),
        (_with(EVENTS_CALL, partitions=13), "set topics.partitions to it"),
        (_with(ORDERS, partitions=2), "recreate the topic with one"),
        (_with(DECISIONS, unclean_leader_election_enable="true"), "unclean.leader.election.enable=false"),
        (_with(ORDERS, delete_retention_ms="86400000"), "delete.retention.ms=604800000"),
        (_with(DECISIONS, max_message_bytes="1000000"), "max.message.bytes=2097152"),
    ],
)
def test_what_would_lose_a_guarantee_is_refused_with_the_mend(cluster: ClusterDescription, told: str) -> None:
    (difference,) = differences(cluster, THREE)
    assert told in difference
    assert breaks_guarantees(difference)


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        (_with(DECISIONS, min_insync_replicas="1"), "min.insync.replicas=2"),
        (_with(DECISIONS, replicas=2), "kafka-reassign-partitions.sh"),
        (_with(EXPRESSIONS, min_compaction_lag_ms="0"), "min.compaction.lag.ms=86400000"),
        (_with(DECISIONS, max_message_bytes=str(1 << 20)), "max.message.bytes=2097152"),
        (_with(DEAD_LETTER, max_message_bytes="1000"), "max.message.bytes=2097152"),
        (_with(EPOCHS, retention_ms="604800000"), "--topic epochs --add-config retention.ms=-1"),
        (_with(COMPLAINTS, retention_ms="604800000"), "evidence of the duties would be gone"),
        (_with(EVENTS_CALL, retention_ms="-1"), "--topic events.call --add-config retention.ms=604800000"),
    ],
)
def test_what_only_makes_a_loss_likelier_is_told_with_the_mend(cluster: ClusterDescription, told: str) -> None:
    (difference,) = differences(cluster, THREE)
    assert told in difference
    assert not breaks_guarantees(difference)


def test_on_one_machine_without_replicas_nothing_is_said_about_them() -> None:
    assert differences(_with(DECISIONS, replicas=1, min_insync_replicas="1"), ONE) == []


@pytest.mark.parametrize(
    "variable",
    ["WURAO_FILTER__ENABLE_AUTO_COMMIT", "WURAO_KAFKA__ACKS", "WURAO_KAFKA__ENABLE_IDEMPOTENCE", "WURAO_WATCH__ACKS"],
)
def test_neither_auto_commit_nor_weaker_acknowledgements_can_be_configured(variable: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be set: .*; take it out"):
        load(None, {variable: "1"})


def test_a_setting_of_a_client_in_the_file_is_refused_by_kafkas_own_name_too(tmp_path: Path) -> None:
    file = tmp_path / "wurao.toml"
    file.write_text('[kafka]\n"enable.auto.commit" = true\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="never before"):
        load(file, {})


async def test_every_client_waits_for_all_acknowledgements_and_commits_by_its_own_word_only() -> None:
    config = Config()
    producer = clients.producer(config, client="t")
    assert (producer._sender._acks, producer._txn_manager is not None) == (-1, True)
    for consumer in (
        clients.group_consumer(config, group="g", client="t", instance=None),
        clients.follower(config, client="t"),
    ):
        assert consumer._enable_auto_commit is False
        assert consumer._isolation_level == "read_committed"
        await consumer.stop()
    await producer.stop()


def test_faust_does_not_listen_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PRODUCER_ACKS": "0",
        "CONSUMER_AUTO_OFFSET_RESET": "latest",
        "PROCESSING_GUARANTEE": "exactly_once",
        "BROKER_URL": "kafka://elsewhere:9092",
        "TABLE_STANDBY_REPLICAS": "1",
        "APP_ENV_PREFIX": "OTHER",
        "OTHER_PRODUCER_ACKS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    chosen = _application(Config()).conf
    assert (chosen.producer_acks, chosen.consumer_auto_offset_reset) == (-1, "earliest")
    assert repr(chosen.processing_guarantee) == repr(ProcessingGuarantee.AT_LEAST_ONCE)  # typed as its class
    assert chosen.table_standby_replicas == 0
    assert [str(url) for url in chosen.broker] == ["kafka://127.0.0.1:9092"]
    assert not chosen.topic_allow_declare, "topics are made by `wurao topics create`, with their settings"


def test_clients_are_made_in_one_place_only() -> None:
    root = Path(__file__).parents[2] / "stream"
    makers = [
        path.relative_to(root)
        for path in root.rglob("*.py")
        if any(f"{maker}(" in path.read_text(encoding="utf-8") for maker in ("AIOKafkaProducer", "AIOKafkaConsumer"))
    ]
    assert makers == [Path("kafka/clients.py")]


def _alter(broker: Broker, topic: str, setting: str, value: str) -> None:
    async def alter() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        settings = {**EXPECTED[topic].settings, setting: value}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])
        await admin.close()

    asyncio.run(alter())
    broker.wait_for(lambda cluster: cluster.topics[topic].settings[setting] == value)


@pytest.mark.kafka
def test_the_filter_does_not_start_where_acknowledged_records_may_be_lost(broker: Broker, tmp_path: Path) -> None:
    _alter(broker, DECISIONS, "unclean.leader.election.enable", "true")
    with FilterProcess(broker, tmp_path) as filter_:
        assert filter_.ended() == 1
        assert "kafka-configs.sh --alter --topic decisions" in filter_.log.splitlines()[-1]


def _refused(broker: Broker, command: str, **settings: str) -> str:
    """The last line of a start that is refused."""
    contacts = {"WURAO_CONNECTOR__CONTACTS_FILE": str(DEPLOY / "own" / "contacts.toml")}  # `notify` needs one
    ended = subprocess.run(
        wurao_command(command),
        env=environment_with({**contacts, "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap, **settings}),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    return ended.stderr.splitlines()[-1]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("command", "port", "topic"),
    [
        ("enforce", "WURAO_ENFORCE__PORT", ENFORCE_TABLE),
        ("watch", "WURAO_WATCH__PORT", CASE_EVENTS),
        ("audit", "WURAO_AUDIT__PORT", EXPRESSIONS),
        ("notify", "WURAO_CONNECTOR__PORT", DELIVERIES),
    ],
)
def test_nor_does_any_other_process_with_a_topic_whose_records_would_go(
    command: str, port: str, topic: str, broker: Broker
) -> None:
    wrong = "delete" if EXPECTED[topic].settings["cleanup.policy"] == "compact" else "compact"
    _alter(broker, topic, "cleanup.policy", wrong)
    told = _refused(broker, command, **{port: "0"})
    assert f"kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=" in told


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("command", "port"),
    [("enforce", "ENFORCE"), ("watch", "WATCH"), ("audit", "AUDIT"), ("notify", "CONNECTOR")],
)
def test_nor_where_partitions_are_not_as_configured(command: str, port: str, broker: Broker) -> None:
    told = _refused(broker, command, **{f"WURAO_{port}__PORT": "0", "WURAO_TOPICS__PARTITIONS": "6"})
    assert "12 partitions where 6 are configured (topics.partitions)" in told
    assert "set topics.partitions to it" in told
