"""What the filter refuses to start with, and what it waits for: one clear message each, with the mend."""

import asyncio
import socket
import subprocess
import time
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream.kafka import clients
from stream.model.topics import EXPRESSIONS, ORDERS
from stream.testbed.local import LocalKafka
from stream.testbed.processes import wurao_command
from tests.filter.harness import Broker, FilterProcess
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka


def _ends_with(broker: Broker, directory: Path, **environment: str) -> str:
    with FilterProcess(broker, directory, workers=1, **environment) as filter_:
        assert filter_.ended() == 1
        return filter_.log.splitlines()[-1]


def test_missing_topics_are_named_with_the_command_that_makes_them(broker: Broker, tmp_path: Path) -> None:
    broker.delete_topics()
    with FilterProcess(broker, tmp_path) as filter_:
        assert filter_.ended() == 1
        assert f"{EXPRESSIONS}: missing; run `wurao topics create`" in filter_.log


def test_unequal_partition_counts_are_refused(broker: Broker, tmp_path: Path) -> None:
    async def grow() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        await admin.create_partitions({"events.call": NewPartitions(total_count=broker.partitions + 1)})
        await admin.close()

    asyncio.run(grow())
    broker.wait_for(lambda cluster: cluster.topics["events.call"].partitions == broker.partitions + 1)
    assert "events.call: 13 partitions where 12 are configured" in _ends_with(broker, tmp_path)


def test_a_registry_topic_that_is_not_compacted_is_refused(broker: Broker, tmp_path: Path) -> None:
    async def replace() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, ORDERS, configs=settings)])
        await admin.close()

    settings = {"cleanup.policy": "delete", "max.message.bytes": str(2 << 20)}
    asyncio.run(replace())
    broker.wait_for(lambda cluster: cluster.topics[ORDERS].settings["cleanup.policy"] == "delete")
    assert "registry.orders: cleanup.policy is 'delete' and must be 'compact'" in _ends_with(broker, tmp_path)


def test_a_wrong_setting_is_named_by_its_variable(broker: Broker, tmp_path: Path) -> None:
    last = _ends_with(broker, tmp_path, WURAO_FILTER__BATCH_RECORDS_MAX="0")
    assert "WURAO_FILTER__BATCH_RECORDS_MAX" in last


def test_a_misspelt_setting_is_refused(broker: Broker, tmp_path: Path) -> None:
    assert "wrokers" in _ends_with(broker, tmp_path, WURAO_FILTER__WROKERS="2")


def test_a_policy_that_is_not_there_is_named(broker: Broker, tmp_path: Path) -> None:
    assert "nowhere.toml" in _ends_with(broker, tmp_path, WURAO_POLICY__FILE="nowhere.toml")


def test_without_a_broker_it_waits_says_so_and_starts_when_one_comes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    with FilterProcess(Broker(nobody), tmp_path) as filter_:
        deadline = time.monotonic() + LONG_S
        while "no broker answers" not in filter_.log and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "no broker answers" in filter_.log
        assert nobody in filter_.log
        assert filter_.get("/healthz") == "alive\n"
        assert "not ready" in (filter_.get("/readyz") or "")
        assert filter_.terminate() == 0


def test_a_broker_that_goes_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    with LocalKafka() as kafka:
        broker = Broker(kafka.bootstrap)
        broker.create_topics()
        events = [{"kind": "call", "id": f"c{n}", "time": 1, "to": "110"} for n in range(100)]
        with FilterProcess(broker, tmp_path) as filter_:
            filter_.wait_ready()
            broker.write_events(events[:50])
            broker.decisions(until=50)
            kafka.kill(1)
            time.sleep(3)
            kafka.restart(1)
            broker.write_events(events[50:])
            decided = {decision["event"] for decision in broker.decisions(until=100)}
            assert decided == {one["id"] for one in events}


def test_help_shows_examples() -> None:
    shown = subprocess.run(
        wurao_command("filter", "--help"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "examples:" in shown.stdout
