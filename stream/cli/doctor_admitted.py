"""What `wurao doctor` finds in the registry's topics that nobody admitted: records that the registrar did not write.

It writes in transactions, and whoever else may write there does not: that is the filter, whose expressions are replies
(`REPLY_SOURCE`). What was written before there was a registrar, or past it by somebody with the right, stands outside
of any transaction, and stays so when its topic is compacted.
"""

from collections.abc import Mapping
from typing import Final

from stream.cli.check_results import CheckResult, ok, warn
from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.closing import close_within
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch, raw_batches, take_raw
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import REPLY_SOURCE, Expression
from stream.model.times import iso_time
from stream.registry.door import REGISTRARS

LOOKED_AT_MAX: Final = 10_000
"""So many offsets at each partition's end: some seconds. What was written past the registrar now is among them."""

SHOWN_MAX: Final = 5
POLL_MS: Final = 500


async def check(
    config: Config, begins: Mapping[AIOKafkaPartition, int], ends: Mapping[AIOKafkaPartition, int]
) -> CheckResult:
    """One line. Raises `KafkaError`."""
    places = [place for place in ends if place.topic in REGISTRARS]
    starts = {place: max(begins[place], ends[place] - LOOKED_AT_MAX) for place in places}
    found: list[str] = []
    newest = 0
    consumer = clients.follower(config, client="wurao-doctor")
    await consumer.start()
    try:
        take_raw(consumer)
        consumer.assign(places)  # only now: what is fetched before comes as records, which do not tell
        for place, start in starts.items():
            consumer.seek(place, start)
        left = {place for place in places if starts[place] < ends[place]}
        while left:
            fetched = await raw_batches(consumer, timeout_ms=POLL_MS, records_max=LOOKED_AT_MAX)
            for place, pieces in fetched.items():
                for piece in pieces:
                    if isinstance(piece, RawBatch) and piece.is_transactional:
                        continue
                    for record in piece.records() if isinstance(piece, RawBatch) else (piece,):
                        if not _is_reply(place.topic, record):
                            found.append(f"{place.topic}, partition {place.partition}, offset {record.offset}")
                            newest = max(newest, record.timestamp)
            left = {place for place in left if await consumer.position(place) < ends[place]}
    finally:
        await close_within(consumer)
    if not found:
        return ok("admitted", "what was written last to the registry was admitted by the registrar, or is a reply")
    shown = "; ".join(found[-SHOWN_MAX:])
    return warn(
        "admitted",
        f"{len(found):,} of the newest records of the registry were admitted by nobody, the last of "
        f"{iso_time(newest)}: {shown}",
        "those of before there was a registrar are as good as they were; else see who may write there (`wurao users "
        "create` gives the rights), and have them ask the registrar",
    )


def _is_reply(topic: str, record: FetchedRecord) -> bool:
    try:
        decoded = decode_record(topic, record.key, record.value)
    except Undecodable:
        return False
    return isinstance(decoded, Expression) and decoded.source == REPLY_SOURCE
