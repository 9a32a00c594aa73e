"""No suspension without a notice that reached its party: filter, enforce with its API, and notify as real processes.

A first measure is notified by webhook, a heavier one has no address any more and is served by hand; its appeal is won,
and the lighter one stands again. The control plane's clock stands some days in the past and is moved on, so that what
it orders is in force for the filter, whose clock is the machine's.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

import aiohttp
import orjson
import pytest

from stream.model import topics
from stream.model.codec import decode_as, encode
from stream.model.control import Delivery, Notice
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.enforce.api.harness import ApiClient, config_for, eventually, read
from tests.enforce.harness import EnforceProcess
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.notify.sinks import WebSink, web_sink

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN_MS = -5 * DAY_MS
TERMS = """
ordinary = ["stop", "suspend"]
"""
"""A second finding costs all traffic."""


@dataclass
class Stage:
    """The processes, and what the test does to them."""

    broker: Broker
    client: ApiClient
    web: WebSink
    clock: Path
    contacts: Path
    offset: int = BEGIN_MS
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def move_clock(self, by: int) -> None:
        """It is so much later for enforce and notify."""
        self.offset += by
        self.clock.write_text(str(self.offset))

    @property
    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset

    async def answers(self, **reasons: str) -> None:
        """The filter comes to answer the bank's traffic of these purposes so."""
        for purpose, reason in reasons.items():

            async def so(purpose: str = purpose, reason: str = reason) -> bool | None:
                one = event("sms", next(self._ids), **{**cases.BANK, "to": cases.WILLING, "text": cases.GOOD_TEXT})
                one["purpose"] = purpose
                await asyncio.to_thread(self.broker.write_events, [one])

                async def decided() -> str | None:
                    found = [orjson.loads(record.value) for record in await read(self.client.config, topics.DECISIONS)]
                    return next((str(made["reason"]) for made in found if made["event"] == one["id"]), None)

                return await eventually(decided) == reason or None

            await eventually(so)

    async def found(self, state: str) -> str:
        """The case of a new finding against the bank, once it is in that state."""
        finding = {"party": {"sender": "ORG-BANK"}, "grounds": "inspection", "evidence": ["visit 17"]}
        answer = await self.client.post("/v1/findings", finding)
        assert answer.status == 202
        case = f"M-{answer.body['id']}"
        await self.client.show(case, state=state)
        return case

    async def measure(self, case: str) -> str:
        """What the order of a case says now."""
        records = await read(self.client.config, topics.ORDERS)
        (*_, last) = (orjson.loads(record.value) for record in records if record.key == f"O-{case}".encode())
        return f"{last['measure']} until {'now' if last['until'] <= self.now else 'later'}"

    async def deliveries(self, case: str) -> list[Delivery]:
        records = [decode_as(Delivery, record.value) for record in await read(self.client.config, topics.DELIVERIES)]
        return sorted((one for one in records if one.case == case), key=lambda one: one.time)


def notify(broker: Broker, directory: Path, clock: Path, contacts: Path) -> WuraoProcess:
    port = free_ports(1)
    variables = {
        "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
        "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
        "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
        "WURAO_CONNECTOR__CONTACTS_FILE": str(contacts),
        "WURAO_CONNECTOR__PAUSE_MS": "50",
        "WURAO_CONNECTOR__PORT": str(port),
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock),
    }
    return WuraoProcess(
        wurao_command("notify"), environment=environment_with(variables), port=port, log=directory / "notify.log"
    )


@asynccontextmanager
async def stage(broker: Broker, directory: Path) -> AsyncIterator[Stage]:
    clock, terms, contacts = directory / "offset-ms", directory / "terms.toml", directory / "contacts.toml"
    clock.write_text(str(BEGIN_MS))
    terms.write_text(TERMS)
    await asyncio.to_thread(broker.write_registry, cases.registry())
    config, port = config_for(broker, directory), free_ports(1)
    settings = {
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock),
        "WURAO_ENFORCE__TERMS": str(terms),
        "WURAO_API__TOKENS_FILE": str(config.api.tokens_file),
        "WURAO_API__PORT": str(port),
    }
    async with web_sink() as web, aiohttp.ClientSession() as session:
        contacts.write_text(f'[contacts]\n"sender|ORG-BANK" = "{web.url}"\n')
        with ExitStack() as running:
            processes = (
                FilterProcess(broker, directory / "filter"),
                EnforceProcess(broker, directory, **settings),
                notify(broker, directory, clock, contacts),
            )
            for one in processes:
                running.enter_context(one)
            for one in processes:
                await asyncio.to_thread(one.wait_ready)
            client = ApiClient(f"http://127.0.0.1:{port}", session, config)

            async def served() -> bool | None:
                return (await client.get("/v1/cases")).status == 200 or None

            await eventually(served)
            yield Stage(broker, client, web, clock, contacts)
            assert await read(config, topics.DEAD_LETTER) == []


async def test_a_suspension_waits_for_its_notice_and_gives_its_place_back_when_the_appeal_is_won(
    broker: Broker, tmp_path: Path
) -> None:
    async with stage(broker, tmp_path) as on:
        client = on.client
        # The first measure is notified by webhook, and stops commercial traffic when its grace is over.
        lighter = await on.found("warned")
        (delivery,) = await on.deliveries(lighter)
        (said,) = [body for _, body in on.web.took]
        notice = decode_as(Notice, orjson.dumps(said))
        assert (delivery.outcome, delivery.notice) == ("delivered", notice.notice)
        assert delivery.digest == sha256(encode(notice)).hexdigest()
        assert delivery.address == on.web.url.replace("/notices", "/***")
        on.move_clock(4 * HOUR_MS)
        await client.show(lighter, state="in-force")
        await on.answers(commercial="stopped", service="service")

        # The second has no address any more: nobody is told by that, however long it lasts.
        on.contacts.write_text('[contacts]\n"sender|ORG-9" = "mailto:legal@org9.example"\n')
        heavier = await on.found("telling")

        async def unaddressed() -> bool | None:
            return any(one.via == "contacts" for one in await on.deliveries(heavier)) or None

        await eventually(unaddressed)
        on.move_clock(2 * DAY_MS)

        async def overdue() -> object | None:
            shown = await client.show(heavier, state="telling")
            return [one for one in shown["line"]["due"] if one["breached"]] or None  # type: ignore[index]

        await eventually(overdue)
        assert await on.measure(heavier) == "stop until later", "what needs no telling stands meanwhile"
        await on.answers(service="service")
        notice_id = f"N-{heavier}-1"
        direct = {"measure": "suspend", "basis": "measures", "sender": "ORG-BANK", "notice": notice_id}
        assert "has not reached the party" in str((await client.post("/v1/orders", direct)).body["reason"])

        # One officer serves it, another confirms that; then the grace runs.
        serving = {
            "event": "served",
            "notice": notice_id,
            "at": on.now - HOUR_MS,
            "how": "by courier",
            "to": "its legal department",
        }
        path = f"/v1/cases/{heavier}/events"
        assert (await client.post(path, serving)).status == 202

        async def proposed() -> object | None:
            body = (await client.show(heavier, state="telling"))["body"]
            assert isinstance(body, dict)
            made: object = body["proposed"]
            return made

        await eventually(proposed)
        assert (await client.post(path, serving)).status == 409
        assert (await client.post(path, serving, by="other-desk")).status == 202
        await client.show(heavier, state="warned")
        await on.answers(service="service")
        on.move_clock(DAY_MS)
        await client.show(heavier, state="in-force")
        await client.show(lighter, state="superseded")
        await on.answers(service="suspended")
        assert (await client.post("/v1/orders", direct)).status == 202, "it was notified of that"

        # The appeal is won: the suspension ends, and the lighter measure stands again.
        appeal = {"against": heavier, "party": {"sender": "ORG-BANK"}, "grounds": "we had consent"}
        withdrawn = await client.post("/v1/appeals", appeal)
        await client.show(withdrawn.case, state="pending")
        assert (await client.act(withdrawn.case, "withdraw", document="letter 1")).status == 202
        await client.show(heavier, state="in-force")
        appealed = await client.post("/v1/appeals", appeal)
        await client.show(appealed.case, state="pending")
        assert (await client.decide(appealed.case, "decided", winner="party", reason="it was shown")).status == 202
        await client.show(heavier, state="appeal-won")
        await client.show(lighter, state="in-force")
        assert (await on.measure(heavier), await on.measure(lighter)) == ("suspend until now", "stop until later")
