"""Where the articles are shown: filter, registrar, watch, enforce with its API, and notify as processes on a genuine
broker, a mail server, a web server, and a clock that all stories share.

The control plane's clock begins two months ago: what it orders is in force for the filter, whose clock is the
machine's.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer

from bloom.partition import partition_of
from stream.kafka import clients
from stream.model import topics
from stream.model.registry import Expression, FileRecord, NumberEntry, Sender, Wordlist
from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.enforce.api.harness import TOKENS, Answer, ApiClient, Json, config_for, eventually, write_tokens
from tests.enforce.articles.moved_clock import MovedClock
from tests.enforce.articles.tail import PATIENCE_S, Tail
from tests.enforce.harness import EnforceProcess
from tests.filter.harness import PARTITIONS, Broker, FilterProcess
from tests.notify.sinks import MailSink, WebSink, mail_sink, web_sink
from tests.registrar.harness import RegistrarProcess
from tests.warning.harness import WatchProcess

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
BEGIN_MS: Final = -60 * DAY_MS

MORE_TOKENS: Final = {
    "other-centre": "centre centre:3",
    "national-regulator": "regulator regulator:10 national",
    "other-national-regulator": "regulator regulator:11 national",
    "hebei-regulator": "regulator regulator:13 province:130000",
    "other-hebei-regulator": "regulator regulator:14 province:130000",
    "jilin-regulator": "regulator regulator:22 province:220000",
    "other-jilin-regulator": "regulator regulator:23 province:220000",
    "ministry": "sender gov-0 GOV-000000 national:000000",
    "city": "sender gov-1 GOV-130100 city-with-districts:130100",
    "prefecture": "sender gov-2 GOV-222400 autonomous-prefecture:222400",
    "accused": "sender org-a ORG-ACCUSED",
    "appellant": "sender org-h ORG-APPEALS",
}
BODIES: Final = ("desk", "centre", "appeals-body", "regulator", "other-sender", "other-agent", "read-only")
"""A token of each role; those with a scope are strangers to every case here."""

TERMS: Final = 'ordinary = ["stop", "suspend"]\n'
"""A first finding costs the commercial traffic, a second one all of it."""

TEXT: Final = "【山海】理财新品上线，详询95588，回复TD退订"
SENDERS: Final = {
    "ORG-MEASURED": "10690101",
    "ORG-ACCUSED": "10690102",
    "ORG-CONTENT": "10690103",
    "ORG-DISPUTED": "10690104",
    "ORG-HASTY": "10690105",
    "ORG-APPEALS": "10690106",
    "ORG-PUNISHED": "10690107",
    "ORG-INSPECTED": "10690108",
    "ORG-FLAGGED": "10690109",
}
"""Each story has a sender of its own, by the beginning of its ports."""
USERS: Final = tuple(f"+861380013800{number}" for number in range(1, 10))
"""Subscribers of the agent; they have consented to what the senders advertise."""
BANK: Final = "ORG-BANK"
BANK_LINE: Final = "+861055550000"


def others(*but: str) -> tuple[str, ...]:
    """A token of each role but these."""
    return tuple(body for body in BODIES if body not in but)


def port_of(sender: str) -> str:
    """A port of a sender."""
    return f"{SENDERS[sender]}01"


@dataclass
class Stage:
    """The processes, and what a story does to them."""

    broker: Broker
    client: ApiClient
    clock: MovedClock
    tail: Tail
    web: WebSink
    mail: MailSink
    contacts: dict[str, str]
    directory: Path
    _producer: AIOKafkaProducer
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    # ---- the clock

    @property
    def now(self) -> int:
        """The control plane's moment."""
        return self.clock.now

    async def until(self, moment: int) -> None:
        """Wait until it is that late for the control plane."""
        await self.clock.until(moment)

    async def until_due(self, case: str, clock: str) -> None:
        """Wait until this clock of a case is due."""
        await self.until(self.due(case, clock))

    def due(self, case: str, clock: str) -> int:
        """When a clock of a case is due, or was."""
        return next(one.due for one in self.tail.views[case].due if one.clock == clock)

    # ---- cases

    async def case(self, case: str, state: str) -> Json:
        """What the API shows of a case, once it is in that state."""

        def there() -> bool:
            view = self.tail.views.get(case)
            return view is not None and view.state == state

        await self.tail.seen(there, what=lambda: f"{case} is not {state}, but {self.tail.views.get(case)}")
        return await self.client.show(case, state=state)

    async def breached(self, case: str, clock: str) -> None:
        """A clock of a case has run out, and that stands on record."""

        def so() -> bool:
            view = self.tail.views.get(case)
            return view is not None and any(one.breached and one.clock == clock for one in view.due)

        await self.tail.seen(so, what=lambda: f"{case}: {clock} is no breach, but {self.tail.views.get(case)}")

    async def tried(self, case: str, event: str, fields: Json, *, by: str) -> Answer:
        """An act, whatever comes of it; while another has not been seen yet, the case is read again."""

        async def answered() -> Answer | None:
            answer = await self.client.post(f"/v1/cases/{case}/events", {"event": event, **fields}, by=by)
            return None if "a moment ago" in str(answer.body.get("reason")) else answer

        return await eventually(answered)

    async def act(self, case: str, event: str, fields: Json, *, by: str) -> Answer:
        """An act that is taken."""
        answer = await self.tried(case, event, fields, by=by)
        assert answer.status == 202, f"{case} {event} by {by}: {answer}"
        return answer

    async def decide(self, case: str, event: str, fields: Json, *, by: str) -> None:
        """A decision of two persons; the first one cannot take it alone."""
        proposed = await self.act(case, event, fields, by=by)
        assert "another person" in str(proposed.body["note"])
        alone = await self.tried(case, event, fields, by=by)
        assert (alone.status, "another decides" in str(alone.body.get("reason"))) == (409, True), alone
        await self.act(case, event, fields, by=f"other-{by}")

    async def refused_to(self, others: Iterable[str], case: str, event: str, fields: Json) -> None:
        """None of these may do it, nor learns more of the case than it may know."""
        for by in others:
            answer = await self.tried(case, event, fields, by=by)
            assert answer.status in (403, 404), f"{case} {event} by {by}: {answer}"

    async def serve(self, case: str, *, by: str, to: str) -> None:
        """A person serves the notice that nobody could deliver; another confirms it."""
        serving: Json = {
            "notice": await self.awaited(case),
            "at": self.now,
            "how": "registered mail 17",
            "to": to,
        }
        await self.decide(case, "served", serving, by=by)

    async def case_of(self, procedure: str, party: str, *, state: str) -> str:
        """The case of that procedure about a party, once there is one in that state."""

        def found() -> list[str]:
            return [case for case in self.tail.cases(procedure, party) if self.tail.views[case].state == state]

        await self.tail.seen(lambda: bool(found()), what=lambda: f"no {procedure} of {party} is {state}")
        await self.client.show(found()[0], state=state)
        return found()[0]

    async def measure_of(self, sender: str, *, state: str) -> str:
        """The case of the measure against a sender, once there is one in that state."""
        return await self.case_of("measure", sender, state=state)

    async def awaited(self, case: str) -> str:
        """The notice that a case waits for."""
        body = orjson.loads(bytes(self.tail.views[case].body))
        return str(body["notice"] if case.startswith("M-") else body["awaited"])

    async def written(self, topic: str, **fields: object) -> Json:
        """The first record of a topic with these fields, once it is there."""
        await self.tail.seen(
            lambda: bool(self.tail.all(topic, **fields)), what=lambda: f"{topic}: nothing with {fields}"
        )
        return self.tail.all(topic, **fields)[0]

    async def held(self, case: str, topic: str) -> Json:
        """What was copied for a case from a topic, once it is there."""

        def found() -> list[Json]:
            copied = self.tail.all(topics.HELD, case=case)
            return [one for one in copied if str(one["place"]).startswith(f"{topic}:")]

        await self.tail.seen(lambda: bool(found()), what=lambda: f"{case}: nothing of {topic} is held")
        return found()[0]

    # ---- traffic

    async def decision(self, event: Json, *, urgent: bool = False) -> Json:
        """The filter's decision on such an event."""
        one = {**event, "id": f"event-{next(self._ids)}", "time": time.time_ns() // 1_000_000}
        topic, to = topics.EVENTS_URGENT if urgent else f"events.{event['kind']}", str(event["to"])
        await self._producer.send_and_wait(
            topic, orjson.dumps(one), key=to.encode(), partition=partition_of(to, PARTITIONS)
        )
        await self.tail.seen(lambda: one["id"] in self.tail.decisions, what=lambda: f"no decision on {one}")
        return self.tail.decisions[str(one["id"])]

    async def answers(self, event: Json, reason: str, *, urgent: bool = False) -> Json:
        """The filter's decision on such an event, once it is decided for that reason."""
        made: Json = {}

        async def so() -> bool | None:
            made.update(await self.decision(event, urgent=urgent))
            return made["reason"] == reason or None

        try:
            await eventually(so, within_s=PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"{event} is not answered {reason}, but {made}") from None
        return made

    def advertising(self, sender: str, to: str) -> Json:
        """An advertisement of a sender."""
        named = {"kind": "sms", "sender": sender, "from": port_of(sender), "to": to, "text": TEXT}
        return {**named, "purpose": "commercial", "category": "finance"}

    def service(self, sender: str) -> Json:
        """A service message of a sender."""
        named = {"kind": "sms", "sender": sender, "from": port_of(sender), "to": "+8613700137000"}
        return {**named, "text": "快递已到", "purpose": "service"}

    # ---- notices

    def write_contacts(self) -> None:
        """The connector's file, as `contacts` has it."""
        lines = "".join(f'"{to}" = "{address}"\n' for to, address in self.contacts.items())
        (self.directory / "contacts.toml").write_text(f"[contacts]\n{lines}", encoding="utf-8")

    async def mailed(self, mailbox: str, said: object) -> str:
        """The mail that came to a mailbox and says so, once it is there."""

        def texts() -> list[str]:
            places = range(len(self.mail.mails))
            return [self.mail.text(place) for place in places if self.mail.header(place, "To") == mailbox]

        await self.tail.seen(
            lambda: any(str(said) in text for text in texts()), what=lambda: f"{mailbox}: no {said} in {texts()}"
        )
        return next(text for text in texts() if str(said) in text)

    async def reported(self, case: str, to: str, **fields: object) -> Json:
        """The report of a case to an office, once it has arrived there."""
        report = await self.written(topics.REPORTS, case=case, to=to, **fields)
        await self.written(topics.DELIVERIES, notice=report["report"], outcome="delivered")
        return report


def registry() -> list[FileRecord]:
    """The senders of all stories, users who consented to all of them, and a bank with a line for calls."""
    consents = [
        Expression(user, "sms", "consent", 1_000_000_000_000, "form", sender=sender, category="finance")
        for user in USERS
        for sender in SENDERS
    ]
    ports = [
        Sender(name, "山海", "95588", "active", (NumberEntry(prefix, "sms", ("commercial", "service"), ("finance",)),))
        for name, prefix in SENDERS.items()
    ]
    line = NumberEntry(BANK_LINE, "call", ("commercial", "service"))
    return [*ports, *consents, Wordlist("fraud", ("刷单返利",)), Sender(BANK, "山海银行", "95588", "active", (line,))]


def _notify(broker: Broker, directory: Path, clock: Path, mail: MailSink) -> WuraoProcess:
    port = free_ports(1)
    variables = {
        "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
        "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
        "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
        "WURAO_CONNECTOR__CONTACTS_FILE": str(directory / "contacts.toml"),
        "WURAO_CONNECTOR__SMTP_PORT": str(mail.port),
        "WURAO_CONNECTOR__PAUSE_MS": "50",
        "WURAO_CONNECTOR__PORT": str(port),
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(clock),
    }
    log = directory / "notify.log"
    return WuraoProcess(wurao_command("notify"), environment=environment_with(variables), port=port, log=log)


@asynccontextmanager
async def stage(broker: Broker, directory: Path, contacts: Callable[[str], Mapping[str, str]]) -> AsyncIterator[Stage]:
    """All of it, ready; `contacts` gives the connector's file by the address of the web server."""
    await asyncio.to_thread(broker.write_registry, registry())
    offset, calendar = directory / "offset-ms", directory / "calendar.toml"
    offset.write_text(str(BEGIN_MS))
    calendar.write_text("years = []\n", encoding="utf-8")
    (directory / "terms.toml").write_text(TERMS, encoding="utf-8")
    config, port = config_for(broker, directory), free_ports(1)
    write_tokens(Path(str(config.api.tokens_file)), {**TOKENS, **MORE_TOKENS})
    settings = {
        "WURAO_ENFORCE__CLOCK_OFFSET_FILE": str(offset),
        "WURAO_ENFORCE__CALENDAR": str(calendar),
        "WURAO_ENFORCE__TERMS": str(directory / "terms.toml"),
        "WURAO_API__TOKENS_FILE": str(config.api.tokens_file),
        "WURAO_API__PORT": str(port),
        "WURAO_API__REQUESTS_PER_TOKEN": "10000",
    }
    producer = clients.producer(config, client="test-traffic")
    tail, reading = Tail(config), asyncio.Event()
    async with web_sink() as web, mail_sink() as mail, aiohttp.ClientSession() as session:
        client = ApiClient(f"http://127.0.0.1:{port}", session, config)
        enforce = EnforceProcess(broker, directory, **settings)

        async def seen(moved_to: int) -> None:
            """Both clocks of the process have read it: that of cases and that of the API."""

            async def both() -> bool | None:
                await client.get("/v1/cases", procedure="listing")
                said = re.findall(rf'"offset_ms": ?{moved_to}\b', enforce.log)
                return len(said) >= 2 or None

            await eventually(both)

        clock = MovedClock(offset, seen, begin_ms=BEGIN_MS)
        on = Stage(broker, client, clock, tail, web, mail, dict(contacts(web.url)), directory, producer)
        on.write_contacts()
        with ExitStack() as running:
            processes = (
                FilterProcess(broker, directory / "filter"),
                RegistrarProcess(broker, directory / "registrar"),
                WatchProcess(broker, directory),
                enforce,
                _notify(broker, directory, offset, mail),
            )
            for one in processes:
                running.enter_context(one)
            await producer.start()
            read = asyncio.create_task(tail.run(reading))
            try:
                await asyncio.gather(reading.wait(), *(one.ready() for one in processes))

                async def served() -> bool | None:
                    return (await client.get("/v1/cases")).status == 200 or None

                await eventually(served)
                yield on
                assert tail.all(topics.DEAD_LETTER) == []
                for one in processes:
                    one.check()
                assert not read.done()
            finally:
                read.cancel()
                await asyncio.gather(read, return_exceptions=True)
                await producer.stop()
