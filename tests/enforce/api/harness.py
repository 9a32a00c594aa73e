"""What the API's tests share: the API over real HTTP and a genuine Kafka, and a control plane that answers it.

The control plane here is the pure one (`decoding`, `store`, `outbox`) behind a consumer and a producer: all that
`wurao enforce` does to a record, without Faust and without its guarantees. Every answer of the API is held to
docs/openapi.yaml as it comes in.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import jsonschema
import orjson
import yaml

from docs.generate.__main__ import TOP
from stream import config as configuration
from stream.clock import now_ms
from stream.config import Config
from stream.enforce.api import ApiServer
from stream.enforce.cases import decoding, outbox, store
from stream.enforce.cases.decoding import Arrival, Forward, RecordPosition
from stream.enforce.procedures import settings
from stream.enforce.procedures.terms import Terms
from stream.kafka import clients, topics
from stream.model.cases import Out, case_event_out
from stream.model.codec import encode
from stream.model.registry import NumberEntry, Sender
from stream.model.topics import INTAKE, SENDERS
from stream.policy.loading import load as load_policy
from stream.registrar.process import Registrar
from tests.filter.harness import PARTITIONS, Broker, write
from tests.patience import LONG_S

CONTRACT: Final = yaml.safe_load((TOP / "docs/openapi.yaml").read_text(encoding="utf-8"))

TOKENS: Final = {
    "desk": "desk desk:17",
    "other-desk": "desk desk:18",
    "centre": "centre centre:2",
    "appeals-body": "appeals-body appeals:1",
    "other-appeals-body": "appeals-body appeals:2",
    "regulator": "regulator regulator:3 province:110000",
    "other-regulator": "regulator regulator:4 province:110000",
    "far-regulator": "regulator regulator:5 province:310000",
    "sender": "sender org-9 ORG-9",
    "body": "sender gov-7 GOV-110000-HEALTH province:110000",
    "other-sender": "sender org-1 ORG-1",
    "agent": "subscriber-agent agent:5 +86138,+8617012345678",
    "other-agent": "subscriber-agent agent:6 +86139",
    "read-only": "read-only auditor:1",
}
"""The tokens of the tests by name; the token itself is `token-of-` and the name."""

Json = dict[str, object]
T = TypeVar("T")

COMPLAINT: Final[Json] = {
    "subscriber": "+8613800138000",
    "channel": "sms",
    "from": "1069012345",
    "sender": "ORG-9",
    "at": 1_795_400_000_000,
    "text": "贷款",
    "refusal": True,
}

FILING: Json = {
    "sender": "GOV-110000-HEALTH",
    "body": "北京市卫健委",
    "body_region": "110000",
    "level": "province",
    "subject": "public-good",
    "reason": "秋冬季疫苗接种",
    "text": "北京市卫健委提醒您接种流感疫苗,详询12320",
    "contact": "12320",
    "from": 1_998_000_000_000,
    "until": 1_998_086_400_000,
    "volume": 1000,
}


def token_of(name: str) -> str:
    return f"token-of-{name}"


def write_tokens(path: Path, tokens: Mapping[str, str] = TOKENS) -> Path:
    lines = [f"{hashlib.sha256(token_of(name).encode()).hexdigest()} {what}" for name, what in tokens.items()]
    path.write_text("# who may do what\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def config_for(broker: Broker, directory: Path, **variables: str) -> Config:
    return configuration.load(
        None,
        {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(PARTITIONS),
            "WURAO_API__PORT": "0",
            "WURAO_API__TOKENS_FILE": str(write_tokens(directory / "tokens")),
            "WURAO_REGISTRAR__DIRECTORY": str(directory / "registrar"),
            **variables,
        },
    )


@dataclass
class Answer:
    """A status and what came with it."""

    status: int
    body: Json
    tag: str | None = None
    """its `ETag`"""

    @property
    def case(self) -> str:
        return str(self.body["case"])

    def lacking(self) -> list[str]:
        """The fields that are still to be stated."""
        missing = self.body["missing"]
        assert isinstance(missing, list)
        return [one["field"] for one in missing]

    def faults(self) -> dict[str, str]:
        """Field → reason."""
        found = self.body["faults"]
        assert isinstance(found, list)
        return {fault["field"]: fault["reason"] for fault in found}


class ApiClient:
    """A client of the API, with the token of whoever asks."""

    def __init__(self, address: str, session: aiohttp.ClientSession, config: Config) -> None:
        self.address = address
        self.config = config
        self._session = session

    async def get(self, path: str, *, by: str = "desk", **query: str) -> Answer:
        return await self._ask("get", path, by, params=query)

    async def post(
        self, path: str, body: object, *, by: str = "desk", key: str | None = None, match: str | None = None
    ) -> Answer:
        return await self._ask("post", path, by, data=orjson.dumps(body), key=key, match=match)

    async def show(self, case: str, *, by: str = "desk", state: str | None = None, step: int = 0) -> Json:
        """The case, once its picture is there (in that state, that far)."""

        async def shown() -> Json | None:
            answer = await self.get(f"/v1/cases/{case}", by=by)
            line = answer.body.get("line")
            there = isinstance(line, dict) and state in (None, line["state"]) and line["step"] >= step
            return answer.body if answer.status == 200 and there else None

        return await eventually(shown)

    async def act(self, case: str, event: str, *, by: str = "desk", **fields: object) -> Answer:
        return await self.post(f"/v1/cases/{case}/events", {"event": event, **fields}, by=by)

    async def decide(self, case: str, event: str, *, by: str = "desk", **fields: object) -> Answer:
        """A decision: one proposes, another makes it. The answer is the second one's."""
        proposed = await self.act(case, event, by=by, **fields)
        if proposed.status != 202:
            return proposed
        assert "another person" in str(proposed.body["note"])

        async def shown() -> object | None:
            body = (await self.get(f"/v1/cases/{case}", by=by)).body["body"]
            assert isinstance(body, dict)
            proposed: object = body["proposed"]
            return proposed

        await eventually(shown)
        return await self.act(case, event, by=f"other-{by}", **fields)

    async def records(self, topic: str) -> list[clients.ConsumerRecord]:
        """All records of a topic."""
        return await read(self.config, topic)

    async def _ask(
        self,
        method: str,
        path: str,
        by: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        key: str | None = None,
        match: str | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token_of(by)}"} if by else {}
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"If-Match": match} if match else {}
        async with self._session.request(
            method, f"{self.address}{path}", params=params, data=data, headers=headers
        ) as answer:
            body = orjson.loads(await answer.read())
            keeps_the_contract(method, path, answer.status, body)
            return Answer(answer.status, body, answer.headers.get("ETag"))


def keeps_the_contract(method: str, path: str, status: int, body: object) -> None:
    """The answer is one that docs/openapi.yaml has for this path and status."""
    parts = path.split("/")
    if parts[3:4]:
        named = {"subscribers": "{number}", "numbers": "{number}", "senders": "{sender}"}
        parts[3] = named.get(parts[2], "{case}")
    responses = CONTRACT["paths"]["/".join(parts)][method]["responses"]
    assert str(status) in responses, f"{method} {path}: {status} is not documented: {body}"
    _validator("/".join(parts), method, status).validate(body)


@cache
def _validator(path: str, method: str, status: int) -> jsonschema.Draft202012Validator:
    """Made once for each answer that there is: to look at a schema takes longer than to hold an answer to it."""
    response = CONTRACT["paths"][path][method]["responses"][str(status)]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": CONTRACT["components"]})


async def eventually(asked: Callable[[], Awaitable[T | None]], *, within_s: float = LONG_S) -> T:
    """What is asked for, once it is there."""
    async with asyncio.timeout(within_s):
        while (found := await asked()) is None:  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def running_api(
    config: Config, *, control_plane: bool = True, registrar: bool = False
) -> AsyncIterator[ApiClient]:
    """An API that is ready, with or without a control plane behind it, and a registrar."""
    api = ApiServer(config)
    address = await api.start()
    behind = asyncio.create_task(_control_plane(config)) if control_plane else None
    door = Registrar(config, load_policy(config.policy.file)) if registrar else None
    serving = asyncio.create_task(door.run()) if door is not None else None
    try:
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool | None:
                return True if api.not_ready() is None and (door is None or door.not_ready() is None) else None

            await eventually(ready)
            yield ApiClient(address, session, config)
            if behind is not None and behind.done():
                behind.result()
    finally:
        if behind is not None:
            behind.cancel()
            await asyncio.gather(behind, return_exceptions=True)
        await api.stop()
        if door is not None and serving is not None:
            door.stop()
            await serving


async def _control_plane(config: Config) -> None:
    """Takes what comes in from now on; what a step puts out is written before the next record is taken."""
    terms = settings.terms(config, load_policy(config.policy.file))
    entries: dict[str, store.Entry] = {}
    consumer = clients.follower(config, client="test-control-plane")
    producer = clients.producer(config, client="test-control-plane")
    places = [place for topic in INTAKE for place in clients.partitions(topic, PARTITIONS)]
    consumer.assign(places)
    await consumer.start()
    await producer.start()
    try:
        await consumer.seek_to_beginning(*places)
        while True:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                for record in records:
                    spot = RecordPosition(record.topic, record.partition, record.offset, record.timestamp)
                    for out in _dealt_with(entries, spot, record.key, record.value, terms):
                        await producer.send_and_wait(out.topic, value=out.value, key=out.key, partition=out.partition)
    finally:
        await consumer.stop()
        await producer.stop()


def _dealt_with(
    entries: dict[str, store.Entry], spot: RecordPosition, key: bytes, value: bytes, terms: Terms
) -> list[Out]:
    arrival = decoding.read(spot, key, value, PARTITIONS, terms.numbering)
    match arrival:
        case Forward():
            return [case_event_out(arrival.event, PARTITIONS)]
        case Arrival():
            outcome = store.apply(arrival.key, entries.get(arrival.key), arrival, spot.at, terms)
            if isinstance(outcome, store.Updated):
                entries[arrival.key] = store.without_outbox(outcome.entry)
                return outbox.records(arrival.key, outcome.entry, PARTITIONS, now=now_ms())
            return []


async def read(config: Config, topic: str) -> list[clients.ConsumerRecord]:
    """All records of a topic as it is now."""
    consumer = clients.follower(config, client="test-reader")
    places = clients.partitions(topic, topics.EXPECTED[topic].partitions(config.topics))
    consumer.assign(places)
    await consumer.start()
    found: list[clients.ConsumerRecord] = []
    try:
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def register(config: Config, *senders: str, **prefixes: str) -> None:
    """Register these, as far as names go; and with a prefix for SMS, as `ORG_7="10690999"`."""
    numbers: dict[str, tuple[NumberEntry, ...]] = dict.fromkeys(senders, ())
    for name, prefix in prefixes.items():
        numbers[name.replace("_", "-")] = (NumberEntry(prefix, "sms", ("commercial",)),)
    await write(
        config,
        [(SENDERS, 0, one.encode(), encode(Sender(one, one, "95588", "active", own))) for one, own in numbers.items()],
    )
