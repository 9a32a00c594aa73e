"""Registrars that are killed, and one that sleeps while another takes its place, under requests: histories checked.

One load runs through all of it: single requests and bulk, of few subscribers, so that they contradict each other, two
files imported at once about the same ones, two who claim one prefix at a time, and replies written beside as the filter
does.
"""

import asyncio
import random
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import rocksdict

from bloom.partition import partition_of
from stream.clock import now_ms
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.registry_client import RegistryClient
from stream.model.codec import encode
from stream.model.fields import Verb
from stream.model.registry import Expression, NumberEntry, Sender, key_of
from stream.model.requests import RegistryAnswer, RegistryRequest
from stream.model.topics import EXPRESSIONS
from stream.testbed.processes import environment_with, wurao_command
from tests.filter.harness import Broker
from tests.patience import LONG_S
from tests.registrar.harness import RegistrarProcess
from tests.registrar.history import Log, answers_of, check_answers, check_order, check_stores

pytestmark = pytest.mark.kafka

NUMBERS = [f"+861380000{place:04}" for place in range(40)]
ASKERS = 6
PAUSE_S = 0.02


class Load:
    """Askers that go on until `stop`; each request is asked until it is answered."""

    def __init__(self, broker: Broker) -> None:
        self.answers: dict[str, RegistryAnswer] = {}
        self.asked: dict[str, RegistryRequest] = {}
        self._broker = broker
        self._client = RegistryClient(broker.config, client="test")
        self._producer = DurableProducer(broker.config, client="test")
        self._stopping = False
        self._random = random.Random(7)

    async def run(self) -> None:
        await self._client.start()
        await self._producer.start()
        senders = tuple(
            Sender(name, name, "95588", "active", (NumberEntry(f"10690{place}", "sms", ("commercial",)),))
            for place, name in enumerate(("S1", "S2"))
        )
        await self.ask(RegistryRequest("sender-0", now_ms(), "desk:7", senders))
        try:
            async with asyncio.TaskGroup() as group:
                for asker in range(ASKERS):
                    group.create_task(self._keep_asking(f"{asker}"))
                group.create_task(self._ask_bulk())
                group.create_task(self._keep_claiming())
                group.create_task(self._keep_replying())
        finally:
            await self._client.stop()
            await self._producer.close()

    def stop(self) -> None:
        self._stopping = True

    async def ask(self, request: RegistryRequest) -> RegistryAnswer:
        self.asked[request.id] = request
        answer = await self._client.ask(request, within_s=LONG_S)
        self.answers[request.id] = answer
        return answer

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        async with asyncio.timeout(LONG_S):
            while len(self.answers) < wanted:  # noqa: ASYNC110  # other processes answer
                await asyncio.sleep(0.02)

    async def repeat(self, count: int) -> None:
        """Ask some again: each gets the answer that it got."""
        for name in self._random.sample(sorted(self.answers), count):
            assert await self._client.ask(self.asked[name], within_s=LONG_S) == self.answers[name]

    async def _keep_asking(self, asker: str) -> None:
        count = 0
        while not self._stopping:
            await self.ask(self._request(f"single-{asker}-{count}", self._random.randint(1, 3)))
            count += 1
            await asyncio.sleep(PAUSE_S)
        if asker == "0":
            await self.repeat(10)

    async def _ask_bulk(self) -> None:
        async def requests() -> AsyncIterator[RegistryRequest]:
            count = 0
            while not self._stopping:
                request = self._request(f"bulk-{count}", 50)
                self.asked[request.id] = request
                yield request
                count += 1
                await asyncio.sleep(PAUSE_S)

        async for request, answer in self._client.ask_many(requests(), window=8):
            self.answers[request.id] = answer

    async def _keep_claiming(self) -> None:
        """Two senders claim one prefix at once: it is the first one's."""
        count = 0
        while not self._stopping:
            numbers = (NumberEntry(f"1068{count:04}", "sms", ("commercial",)),)
            claims = [Sender(f"C{count}{who}", "c", "95588", "active", numbers) for who in "ab"]
            answers = await asyncio.gather(
                *(self.ask(RegistryRequest(f"sender-{one.sender}", now_ms(), "desk:7", (one,))) for one in claims)
            )
            assert sorted(one.admitted for one in answers) == [0, 1]
            assert {refusal.code for one in answers for refusal in one.refusals} == {"claim"}
            count += 1
            await asyncio.sleep(10 * PAUSE_S)

    async def import_files(self, directory: Path) -> None:
        """Two imports at once, about the same subscribers."""

        async def import_one(name: str) -> None:
            path = directory / f"{name}.ndjson"
            said = [
                Expression(
                    self._random.choice(NUMBERS),
                    "sms",
                    self._random.choice(("refuse", "lift")),
                    now_ms() - self._random.randint(1, 100_000),
                    "file",
                    self._random.choice(("S1", None)),
                )
                for _ in range(500)
            ]
            path.write_bytes(b"".join(encode(one) + b"\n" for one in said))
            settings = {
                "WURAO_KAFKA__BOOTSTRAP": self._broker.bootstrap,
                "WURAO_TOPICS__PARTITIONS": str(self._broker.partitions),
                "WURAO_REGISTRAR__ANSWER_TIMEOUT_MS": "120000",
            }
            ran = await asyncio.create_subprocess_exec(
                *wurao_command("registry", "import", path, "--json"), env=environment_with(settings), stdout=PIPE
            )
            out, _ = await ran.communicate()
            tally = msgspec.json.decode(out, type=dict[str, object])
            fates = [tally[fate] for fate in ("already", "late", "bad", "refused")]
            written = dict(tally["written"]).get(EXPRESSIONS, 0)  # type: ignore[call-overload]
            assert sum((*fates, written)) == tally["read"] == len(said), "each line has its fate"
            assert fates[2:] == [0, 0]

        await asyncio.gather(import_one("a"), import_one("b"))

    async def _keep_replying(self) -> None:
        while not self._stopping:
            number = self._random.choice(NUMBERS)
            said = Expression(number, "sms", "refuse", now_ms(), "reply", "S1")
            where = partition_of(number, self._broker.partitions)
            await self._producer.write([Produced(EXPRESSIONS, key_of(said).encode(), encode(said), where)])
            await asyncio.sleep(PAUSE_S)

    def _request(self, name: str, count: int) -> RegistryRequest:
        """Expressions of one partition."""
        first = self._random.choice(NUMBERS)
        where = partition_of(first, self._broker.partitions)
        there = [number for number in NUMBERS if partition_of(number, self._broker.partitions) == where]
        verbs: tuple[Verb, ...] = ("refuse", "consent", "lift")
        records = tuple(
            Expression(
                self._random.choice(there),
                "sms",
                self._random.choice(verbs),
                now_ms() - self._random.choice((0, 5, 50, 100_000)),
                "test",
                self._random.choice(("S1", "S2")),
                "finance",
                f"{name}/{place}",
            )
            for place in range(count)
        )
        return RegistryRequest(name, now_ms(), "desk:7", records)


def spoil(path: Path) -> None:
    """Take one subscriber's channel out of a store."""
    database = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True))
    del database[next(key for key, _ in database.items(from_key=b"r"))]
    database.close()


async def test_kills_and_a_zombie_leave_a_history_in_which_answers_topic_and_stores_agree(
    topics: Broker, tmp_path: Path
) -> None:
    load = Load(topics)
    first, second = (RegistrarProcess(topics, tmp_path / name) for name in ("first", "second"))
    with first, second:
        running = asyncio.create_task(load.run())
        await load.more(50)
        importing = asyncio.create_task(load.import_files(tmp_path))
        # Two share the partitions; one is killed at some moment, and begins again where its store is.
        await asyncio.sleep(random.random())
        await asyncio.to_thread(first.kill)
        await load.more(50)
        with RegistrarProcess(topics, tmp_path / "first") as again:
            await again.ready()
            await load.more(50)
            # The other sleeps in the middle of its work, loses its partitions, and wakes up.
            await asyncio.sleep(random.random())
            second.signal(signal.SIGSTOP)
            await load.more(60)  # more than can be answered before the other has taken over
            second.signal(signal.SIGCONT)
            await load.more(60)
            await second.ready()
            await importing
            load.stop()
            await running
            assert second.stop() == 0
            assert again.stop() == 0
    directory = tmp_path / "first"
    await asyncio.to_thread(spoil, directory / "stores" / "partition-0")
    with RegistrarProcess(topics, directory, "--verify") as last:
        await last.ready()
        # The one that was spoiled, and no other: they are as their topic is.
        assert await asyncio.to_thread(last.metric, "wurao_registrar_stores_rebuilt_total") == 1
        assert last.stop() == 0

    log, given_to = await asyncio.to_thread(Log, topics), await asyncio.to_thread(answers_of, topics)
    answers = {name: given for name, given in given_to.items() if not name.startswith("import-")}
    check_answers(log, answers)
    assert {name: given[0] for name, given in answers.items()} == load.answers
    assert answers.keys() == load.asked.keys()
    assert check_order(log) > 0
    await asyncio.to_thread(check_stores, log, topics, directory / "stores")
