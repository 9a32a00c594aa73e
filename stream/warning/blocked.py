"""What the filter blocked as prohibited content becomes a case of Article 32: from `decisions` to `case-events`.

`decisions` is as large as the traffic, so nothing is decoded but what is sought: a record batch is decompressed and
searched for the reason's bytes, and only one that has them is read as records. `activity` would cost less still, and
does not do: it names no event, and a worker that is killed takes its open windows with it.

Promises. Offsets are committed once what was found before them is acknowledged; a repeat makes the same event of the
same case. Must never log whose a blocked event is.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.feed.topic_reader import registered_senders
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch
from stream.metrics import WatchMetrics
from stream.model.cases import case_event_out
from stream.model.codec import Undecodable, decode_decision
from stream.model.places import RecordPlace, digest_of
from stream.model.topics import DECISIONS
from stream.policy.settings import Policy
from stream.registry.registry import Registry
from stream.warning.member import Taken
from stream.warning.rules.blocked import NEEDLE, REASON, BlockedEvent, BlockedTallies, party_of

log = logs.get(__name__)

RECORDS_MAX: Final = 50_000
"""Decisions that are looked through at a time, in some 20 ms."""

SENDERS_AGE_S_MAX: Final = 60.0
"""How old the registered senders may be by which a blocked event's owner is found."""


class BlockedContentFinder:
    """What an instance does with its partitions of `decisions`. It has no life of its own: a `TopicMember` feeds it."""

    def __init__(
        self, config: Config, policy: Policy, *, producer: DurableProducer, metrics: WatchMetrics, client: str
    ) -> None:
        self._config = config
        self._numbering = policy.numbering
        self._producer = producer
        self._metrics = metrics
        self._client = client
        self._tallies: dict[int, BlockedTallies] = {}
        self._senders: tuple[float, Registry] | None = None
        """when they were read, and those registered then"""
        self._throttle = logs.Throttle()

    def begin(self, partitions: Mapping[int, range]) -> None:
        """These partitions are ours from now on, and no others."""
        self._tallies = {one: BlockedTallies(one) for one in partitions}

    async def take(self, fetched: Mapping[int, Sequence[Taken]]) -> None:
        """Look through decisions; returns once what was found in them is acknowledged. Raises `KafkaError`."""
        for partition, pieces in fetched.items():
            found = list(self._found(partition, pieces))
            if found:
                registry = await self._registered()
                owned = [(party_of(one.decision, registry, self._numbering), one) for one in found]
                self._tallies[partition].add((party, one) for party, one in owned if party is not None)
                self._note_unowned(sum(party is None for party, _ in owned))
        await self._tell(all_of_it=False)

    async def end(self) -> None:
        """Tell what is left to be told; returns once it is acknowledged."""
        await self._tell(all_of_it=True)

    def _found(self, partition: int, pieces: Sequence[Taken]) -> Iterator[BlockedEvent]:
        for piece in pieces:
            if isinstance(piece, RawBatch):
                self._metrics.decisions.inc(piece.count)
                records = piece.records() if piece.holds(NEEDLE) else []
            else:
                self._metrics.decisions.inc()
                records = [piece]
            for record in records:
                if record.value is not None and NEEDLE in record.value:
                    yield from self._blocked(partition, record, record.value)

    def _blocked(self, partition: int, record: FetchedRecord, value: bytes) -> Iterator[BlockedEvent]:
        try:
            decision = decode_decision(value)
        except Undecodable as error:
            if (held_back := self._throttle.now()) is not None:
                log.warning(
                    "decision cannot be decoded, and no case is opened for it",
                    partition=partition,
                    offset=record.offset,
                    error=str(error),
                    held_back=held_back,
                )
            return
        if decision.reason == REASON:
            place = RecordPlace(DECISIONS, partition, record.offset, digest_of(value))
            yield BlockedEvent(decision, record.offset, str(place))

    async def _registered(self) -> Registry:
        moment = time.monotonic()
        if self._senders is None or moment - self._senders[0] > SENDERS_AGE_S_MAX:
            self._senders = moment, await registered_senders(self._config, client=self._client)
        return self._senders[1]

    async def _tell(self, *, all_of_it: bool) -> None:
        events = [event for one in self._tallies.values() for event in one.due(all_of_it=all_of_it)]
        outs = [case_event_out(event, self._config.topics.partitions) for event in events]
        for place in await self._producer.write(
            [Produced(out.topic, out.key, out.value, out.partition) for out in outs]
        ):
            log.error("what was blocked is larger than `case-events` takes, and not told", case=events[place].case)
        if events:
            self._metrics.blocked.inc(len(events))
            log.info("prohibited content was blocked; told to its cases", cases_count=len({one.case for one in events}))
            for one in self._tallies.values():
                one.forget_before(now_ms())

    def _note_unowned(self, count: int) -> None:
        if count and (held_back := self._throttle.now()) is not None:
            log.warning(
                "prohibited content was blocked that came from no number: nobody is blamed, and no case is opened",
                count=count,
                held_back=held_back,
            )
