"""Where a person's number stands in the control plane's topics, read whole: for its file, and for erasing it.

Cases that ended long ago stand in `cases` alone, and a number may stand in any of them; so the topic is read, of which
there is no index by number. Some 2 µs a case of which it is none.
"""

import asyncio

import msgspec

from stream.config import Config
from stream.feed import topic_reader
from stream.kafka import clients
from stream.model.cases import CaseView
from stream.model.codec import Undecodable, decode_record
from stream.model.control import CaseId
from stream.model.registry import Order
from stream.model.topics import CASES, ORDERS

_views: msgspec.json.Decoder[CaseView] = msgspec.json.Decoder(CaseView)


async def views_naming(config: Config, subscriber: str, *, client: str) -> dict[CaseId, CaseView]:
    """The last views in which this number stands, by case. Raises `KafkaError` where no broker answers."""
    sought = subscriber.encode()
    found: dict[bytes, bytes] = {}
    places = clients.partitions(CASES, config.topics.partitions)
    async for batch in topic_reader.read(config, places, client=client):
        for raw in batch.records:
            key = raw.key or b""
            if raw.value is not None and sought in raw.value:
                found[key] = raw.value
            else:
                found.pop(key, None)
        await asyncio.sleep(0)
    views = [view for value in found.values() if (view := _view(value)) is not None]
    return {view.case: view for view in views}


def _view(value: bytes) -> CaseView | None:
    try:
        return _views.decode(value)
    except msgspec.MsgspecError:
        return None  # what cannot be read is in nobody's index either


async def orders_on(config: Config, subscriber: str, *, client: str) -> list[Order]:
    """The orders that stand on this number. Raises `KafkaError` where no broker answers."""
    found: dict[bytes, Order] = {}
    async for batch in topic_reader.read(config, clients.partitions(ORDERS, 1), client=client):
        for raw in batch.records:
            key = raw.key or b""
            found.pop(key, None)
            try:
                record = decode_record(ORDERS, raw.key, raw.value)
            except Undecodable:
                continue  # it is in force nowhere
            if isinstance(record, Order) and record.number == subscriber:
                found[key] = record
    return list(found.values())
