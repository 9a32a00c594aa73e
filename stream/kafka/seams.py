"""Where we reach into aiokafka, all in one place: private names, pinned with its version, and never needed.

`spare_consumer_records` lets a consumer hand out the records of its Cython reader as they are. aiokafka builds a
`ConsumerRecord` of each in Python, which costs more than to decide it; a batch looks at offset, timestamp, key and
value only, and those the reader's records have. What was fetched in the meantime comes as usual: both kinds pass.
"""

from typing import Protocol

from aiokafka import AIOKafkaConsumer


class _Fetched(Protocol):
    """What aiokafka has fetched of one partition, as far as we reach."""

    _partition_records: object


def spare_consumer_records(consumer: AIOKafkaConsumer) -> bool:
    """Do so for all that the consumer has fetched and not yet handed out. False where aiokafka is another than we know.

    Cheap: a look at each partition that has something. Call it before `getmany`.
    """
    try:
        fetched: dict[object, _Fetched] = consumer._fetcher._records  # noqa: SLF001
        for result in fetched.values():
            # An error stands there as well, without records; it is for `getmany` to raise.
            records = getattr(result, "_partition_records", None)
            if records is not None and "_consumer_record" not in vars(records):
                records._consumer_record = _as_it_is  # noqa: SLF001
    except (AttributeError, TypeError):
        return False
    return True


def _as_it_is(_: object, record: object) -> object:
    return record
