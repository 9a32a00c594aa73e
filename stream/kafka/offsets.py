"""A group's offsets: from where a partition is consumed, what is committed, and which offsets were skipped.

A commit names in its metadata the id of the topic whose offset it is (`kafka.group`).

Where the next offset is no longer in the partition (retention, DeleteRecords), consumption continues at its earliest
offset, and how many were skipped is counted and logged.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.kafka.group import committed
from stream.model.topics import TopicPartition

log = logs.get(__name__)

MEND: Final = "find what kept it from consuming for so long, or who deletes records, and raise the topic's retention.ms"


class Offsets:
    """Those of one consumer. `marks` gives the id of each topic (`kafka.identity`)."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        *,
        member: AIOKafkaConsumer,
        marks: Mapping[str, str],
        lost: Callable[[str, int], None],
        of: str = "events",
    ) -> None:
        """`consumer` fetches, `member` of the group commits; `lost` is called with topic and count of offsets that were
        skipped.

        `of` is what the log calls the records.
        """
        self._consumer = consumer
        self._member = member
        self._marks = marks
        self._lost = lost
        self._of = of
        self._throttles: dict[str, logs.Throttle] = {}

    def named(self, offsets: Mapping[TopicPartition, int]) -> dict[AIOKafkaPartition, tuple[int, str]]:
        """These offsets as they are committed: with the topic's id as metadata."""
        return {AIOKafkaPartition(*place): (offset, self._marks[place.topic]) for place, offset in offsets.items()}

    async def begin(self, places: Collection[TopicPartition]) -> None:
        """Seek assigned partitions to the group's committed offsets. Raises `KafkaError`."""
        if not places:
            return
        known = await committed(self._member, [AIOKafkaPartition(*place) for place in places], self._marks)
        unknown: list[AIOKafkaPartition] = []
        assigned = self._consumer.assignment()
        for place in {AIOKafkaPartition(*place) for place in places} & assigned:  # some may have been revoked meanwhile
            if place in known:
                self._consumer.seek(place, known[place])
            else:
                unknown.append(place)
        if unknown:
            await self._consumer.seek_to_beginning(*unknown)

    async def pass_over(self, error: OffsetOutOfRangeError) -> None:
        """Seek the partitions that it names to their earliest offsets; count the skipped ones. Raises `KafkaError`."""
        wanted: Mapping[AIOKafkaPartition, int] = error.args[0]
        beginnings = await self._consumer.beginning_offsets(list(wanted))
        for place in wanted.keys() & self._consumer.assignment():
            if await self._consumer.position(place) != wanted[place]:
                continue  # it was sought elsewhere since
            beginning, count = beginnings[place], max(0, beginnings[place] - wanted[place])
            self._consumer.seek(place, beginning)
            self._lost(place.topic, count)
            if (held_back := self._throttles.setdefault(place.topic, logs.Throttle()).now()) is not None:
                log.error(
                    f"{self._of} were deleted before they were consumed"
                    if count
                    else "offset is beyond the end of its partition: the topic was truncated or recreated",
                    topic=place.topic,
                    partition=place.partition,
                    wanted=wanted[place],
                    beginning=beginning,
                    lost_count=count,
                    mend=MEND if count else "what is there is read from its beginning",
                    held_back=held_back,
                )
