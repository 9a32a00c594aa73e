"""Records of the intake topics larger than any that may be written: dead letters that fit, and the next is taken."""

from pathlib import Path

import msgspec
import pytest

from stream.model import topics
from stream.model.control import Appeal, Complaint, Party
from stream.model.limits import BATCH
from tests.enforce.harness import NOW, EnforceProcess, intake_record, views, wait_until
from tests.filter.harness import Broker
from tests.hostile import write_compressed

pytestmark = pytest.mark.kafka

GIANT_KEY = b"k" * 2_096_885


def test_no_record_of_an_intake_topic_stops_the_control_plane_for_its_size(broker: Broker, tmp_path: Path) -> None:
    good = Complaint("good", NOW, subscriber="+8613800138000", channel="sms", sender="ORG-1", at=NOW, text="。")
    full = Appeal("full", NOW, against="M-1", party=Party(sender="ORG-1"), grounds="\x01" * 170_000)
    wide = msgspec.structs.replace(good, complaint="wide", evidence=("e" * 250,) * 990, text="t" * 700_000)
    topic, partition, _, value = intake_record(good)
    hostile = [
        (one, partition, key, bad)
        for one in topics.INTAKE
        for key, bad in ((None, b"a" * (2 << 20)), (GIANT_KEY, b"{}"), (b"k", bytes(BATCH.most)), (None, None))
    ]
    write_compressed(broker.bootstrap, hostile)
    write_compressed(broker.bootstrap, [intake_record(full), intake_record(wide), (topic, partition, GIANT_KEY, value)])
    broker.write([intake_record(good)])
    with EnforceProcess(broker, tmp_path) as process:
        process.wait_ready()
        wait_until(lambda: views(broker).keys() >= {"C-good", "C-wide"}, what="the good cases")
        wait_until(lambda: len(broker.read(topics.DEAD_LETTER)) >= len(hostile) + 1, what="a dead letter for each")
        assert "does not answer" not in process.log
        assert "unexpected exception" not in process.log
        assert process.terminate() == 0
    assert all(len(one.value or b"") + len(one.key or b"") < 1_200_000 for one in broker.read(topics.DEAD_LETTER))
