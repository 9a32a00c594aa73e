"""Transactional producers (KIP-98): one that nobody else has the id of, and whether an error means that it was lost.

To initialise an id ends what a predecessor left open under it, and shuts that predecessor out if it still lives,
whatever generation of its group it believes in (aiokafka does not tell the broker). So whoever owns a partition by its
group's word initialises the partition's id first, and asks for committed offsets only then.
"""

from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    ProducerFenced,
    UnknownProducerId,
)

from stream.kafka.closing import close_within
from stream.kafka.reach import until_answered
from stream.kafka.seams.outgoing import why_ended

INITIALISED_S_MAX: Final = 30.0
"""How long a predecessor's transaction may take to end: brokers end one whose producer is gone after
`clients.TRANSACTION_MS_MAX` by themselves."""

LOST: Final = (InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced, UnknownProducerId)
"""What a broker answers to a producer whose id it has forgotten, or whose transaction it has ended."""

MakeProducer = Callable[[str], AIOKafkaProducer]
"""The producer of a transactional id, not started."""


async def initialised(make: MakeProducer, transactional_id: str) -> AIOKafkaProducer:
    """A producer with this id, which nobody else has from now on. Waits for a broker; raises `KafkaError`."""
    producer = make(transactional_id)
    try:
        await until_answered(producer.start)
        await producer.begin_transaction()  # waits for the id; an empty transaction asks for nothing more
        await producer.commit_transaction()
    except BaseException:
        await close_within(producer)
        raise
    return producer


def is_lost(producer: AIOKafkaProducer, error: Exception) -> bool:
    """Whether a transaction failed since the brokers have forgotten its producer, or have ended it themselves."""
    ended = why_ended(producer)
    return any(isinstance(one, LOST) for one in (error, error.__cause__, ended, ended and ended.__cause__))
