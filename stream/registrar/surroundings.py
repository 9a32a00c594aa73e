"""What the partitions of one registrar share."""

from dataclasses import dataclass

import rocksdict
from aiokafka import AIOKafkaConsumer

from stream.config import Config
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.offsets import Offsets
from stream.metrics import RegistrarMetrics
from stream.policy.settings import Policy
from stream.registrar.lanes import Turns
from stream.registrar.others import OtherRecords


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Made anew for each membership in the group."""

    config: Config
    policy: Policy
    consumer: AIOKafkaConsumer
    offsets: Offsets
    watermarks: AIOKafkaConsumer
    """reads uncommitted records, and is asked where topics end alone"""
    others: OtherRecords
    letters: DeadLetterWriter
    turns: Turns
    metrics: RegistrarMetrics
    cache: rocksdict.Cache
    """of all stores"""
    topics: str
    """names the topics that stores stand for"""
    verify_all: bool
