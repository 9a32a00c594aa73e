"""The gateway's side: who reads `decisions` and notes when each event of a load was answered.

A decision is seen once the broker has acknowledged it and handed it to a consumer, so a delay measured here is that
of the whole way, event due → decision in the gateway's hands. Until the acknowledgement the workers count (`acked`).
It looks for ids in whole record batches, decompressed and not taken apart: some 0.5 µs a decision. Record by record it
took 5, and behind a filter that decides 400,000 a second the delays measured were its own.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Final, Self

import numpy as np
from aiokafka.codec import lz4_decode, zstd_decode
from aiokafka.record.default_records import DefaultRecordBatch
from numpy.typing import NDArray

from loadtest.cluster import LoadtestError
from loadtest.pool import DIGITS
from stream.config import Config
from stream.kafka import clients, seams
from stream.kafka.seams import layout
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch, gather, take_raw
from stream.model.topics import DECISIONS

WAIT_MS: Final = 100
GATHER_MS: Final = 2
GATHER_BYTES: Final = 1 << 16
"""The broker holds the observer's fetches for so long, or until it has so much. Else each batch of the worker makes a
round trip of its own, which costs the machine more than the observer is worth."""

LOOK_S: Final = 0.05
_REASONS: Final = re.compile(b'"reason":"([a-z_]+)"')
"""Within a text of JSON its quotes would be escaped."""


class Observer:
    """Notes the first answer to each of `count` events whose ids begin with `prefix`. Use it in `async with`.

    With `reasons` it keeps the reason of each answer too, for as much again.
    """

    def __init__(self, config: Config, *, prefix: str, count: int, reasons: bool = False) -> None:
        self.seen_ns: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        """per event the monotonic moment of its first decision; 0: none yet"""
        self.decided = 0
        """events that have one"""
        self.duplicates = 0
        self.reason_of: NDArray[np.uint8] | None = np.zeros(count, dtype=np.uint8) if reasons else None
        """per event a number for the reason of its last decision (`reasons`); 0: none yet"""
        self._reasons: dict[bytes, int] = {}
        self._ids = re.compile(b'"event":"(?:%b-([0-9]{%d}))?' % (re.escape(prefix).encode(), DIGITS))
        """finds every decision, and the digits of those that are looked for"""
        self._consumer = clients.follower(config, client="loadtest-observer")
        self._places = clients.partitions(DECISIONS, config.topics.partitions)
        self._reading: asyncio.Task[None] | None = None

    @property
    def reasons(self) -> dict[int, str]:
        """The reasons that were seen, by their numbers in `reason_of`."""
        return {number: reason.decode() for reason, number in self._reasons.items()}

    async def __aenter__(self) -> Self:
        """Read from here on."""
        self._consumer.assign(self._places)
        await self._consumer.start()
        if seams.misfit() is None:
            take_raw(self._consumer)
        gather(self._consumer, wait_ms=GATHER_MS, bytes_min=GATHER_BYTES)
        for place, end in (await self._consumer.end_offsets(self._places)).items():
            self._consumer.seek(place, end)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()

    async def wait(self, count: int, *, limit_s: float) -> bool:
        """Wait until so many events are decided; false where they are not within the limit."""
        deadline = time.monotonic() + limit_s
        while self.decided < count and time.monotonic() < deadline:
            if self._reading is not None and self._reading.done():
                self._reading.result()
            await asyncio.sleep(LOOK_S)
        return self.decided >= count

    async def _read(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=WAIT_MS)
            moment = time.monotonic_ns()
            for records in fetched.values():
                self._note(records, moment)

    def _note(self, records: Iterable[RawBatch | FetchedRecord], moment: int) -> None:
        numbers: list[bytes] = []
        for one in records:
            text = _text_of(one)
            numbers += self._numbers(text) if self.reason_of is None else self._with_reasons(text, self.reason_of)
        if not numbers:
            return
        found = np.unique(np.array(numbers).astype(np.int64))
        fresh = found[self.seen_ns[found] == 0]
        self.seen_ns[fresh] = moment
        self.decided += len(fresh)
        self.duplicates += len(numbers) - len(fresh)

    def _numbers(self, text: bytes) -> list[bytes]:
        return [number for number in self._ids.findall(text) if number]

    def _with_reasons(self, text: bytes, reason_of: NDArray[np.uint8]) -> list[bytes]:
        ids, reasons = self._ids.findall(text), _REASONS.findall(text)
        if len(ids) != len(reasons):
            raise LoadtestError(f"{len(ids)} decisions have {len(reasons)} reasons: they are not told apart")
        numbers = []
        for number, reason in zip(ids, reasons, strict=True):
            if number:
                numbers.append(number)
                reason_of[int(number)] = self._reasons.setdefault(reason, len(self._reasons) + 1)
        return numbers


def _text_of(one: RawBatch | FetchedRecord) -> bytes:
    """What stands in a record, or in all records of a batch."""
    if not isinstance(one, RawBatch):
        return one.value or b""
    if not one.readable:
        return b"".join(record.value or b"" for record in one.records())
    data = one.data
    codec, body = data[layout.ATTRIBUTES_AT + 1] & 0x07, data[layout.HEADER_BYTES :]
    if codec == DefaultRecordBatch.CODEC_ZSTD:
        return bytes(zstd_decode(body))
    return bytes(lz4_decode(body) if codec == DefaultRecordBatch.CODEC_LZ4 else body)


def delays_ns(seen_ns: NDArray[np.int64], intended_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Delays of what was answered, and how many were not."""
    answered = seen_ns > 0
    found: NDArray[np.int64] = seen_ns[answered] - intended_ns[answered]
    return found, int((~answered).sum())
