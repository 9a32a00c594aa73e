"""An officer writes while a platform's full file is applied, and the registrar is killed; a genuine filter obeys within
a second of the answer. Other races: `test_kills`.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest

from bloom.number import parse
from stream.clock import now_ms
from stream.kafka.registry_client import RegistryClient, registry_client
from stream.model.fields import Verb
from stream.model.registry import Expression, NumberEntry, Sender
from stream.model.requests import RegistryAnswer, RegistryRequest
from stream.registry.registry import Registry, registry_of
from stream.testbed.processes import environment_with, wurao_command
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S
from tests.registrar.harness import RegistrarProcess
from tests.registrar.history import Log, answers_of, check_answers, check_order

pytestmark = pytest.mark.kafka

OBEYED_WITHIN_MS: Final = 1_000

LISTED: Final = [f"+86137{place:08}" for place in range(3_000)]
"""Of a platform's full file; the next one leaves out the first 300, of whom an officer sees every third."""
LEAVING: Final = LISTED[:300]
SEEN: Final = LEAVING[::3]


async def test_an_officers_refusal_during_a_full_file_stands_also_where_the_registrar_is_killed(
    topics: Broker, tmp_path: Path
) -> None:
    asked: dict[str, RegistryAnswer] = {}
    with RegistrarProcess(topics, tmp_path) as first:
        async with registry_client(topics.config, client="desk") as desk:
            await full_file(topics, tmp_path, LISTED)
            racing = asyncio.gather(
                full_file(topics, tmp_path, LISTED[len(LEAVING) :]),
                *(see_officer(desk, subscriber, asked) for subscriber in SEEN),
            )
            async with asyncio.timeout(LONG_S):
                while len(asked) < len(SEEN) / 2:  # noqa: ASYNC110  # another process answers
                    await asyncio.sleep(0.02)
            await asyncio.to_thread(first.kill)
            with RegistrarProcess(topics, tmp_path) as second:
                await racing
                assert second.stop() == 0

    log = await asyncio.to_thread(Log, topics)
    answers = {name: given for name, given in (await asyncio.to_thread(answers_of, topics)).items() if name in asked}
    check_answers(log, answers)
    assert {name: given[0] for name, given in answers.items()} == asked
    check_order(log)
    check_officer(log)


async def full_file(topics: Broker, directory: Path, numbers: Sequence[str]) -> None:
    """The platform's full file of these, as an operator applies it."""
    path = directory / f"full-{len(numbers)}.txt"
    path.write_text("".join(f"{one}\n" for one in numbers))  # small
    variables = {"WURAO_KAFKA__BOOTSTRAP": topics.bootstrap, "WURAO_TOPICS__PARTITIONS": str(topics.partitions)}
    variables["WURAO_REGISTRAR__ANSWER_TIMEOUT_MS"] = f"{LONG_S * 1000:.0f}"
    words = ("--replace-scope", "call", "--source", "platform", "--leaving-max", "50", "--yes")
    process = await asyncio.create_subprocess_exec(
        *wurao_command("registry", "import", str(path), *words),
        env=environment_with(variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told


async def see_officer(client: RegistryClient, subscriber: str, asked: dict[str, RegistryAnswer]) -> None:
    """An officer writes a refusal that is given now, at some moment of the full file."""
    await asyncio.sleep(random.random() * 3)
    name = f"officer-{subscriber}"
    said = Expression(subscriber, "call", "refuse", now_ms(), "test", evidence=f"{name}/0", actor="desk:7")
    answer = await client.ask(RegistryRequest(name, now_ms(), "desk:7", (said,)), within_s=LONG_S)
    assert answer.admitted == 1, answer
    asked[name] = answer


def check_officer(log: Log) -> None:
    """Whom the officer saw refuses, whatever the file said; of the others who left nobody does."""
    records = [record for some in log.partitions.values() for _, record in some if record.channel == "call"]
    registry = registry_of(records)
    refused = {one for one in LEAVING if _refuses(registry, one)}
    assert refused == set(SEEN)


async def test_a_filter_obeys_within_a_second_of_the_answer(topics: Broker, tmp_path: Path) -> None:
    persons = [f"+86136{place:08}" for place in range(8)]
    client = RegistryClient(topics.config, client="api")
    with RegistrarProcess(topics, tmp_path) as registrar, FilterProcess(topics, tmp_path) as filtering:
        await asyncio.gather(registrar.ready(), filtering.ready(), client.start())
        sender = Sender("S9", "山海银行", "95588", "active", (NumberEntry("10696", "sms", ("commercial",)),))
        await client.ask(RegistryRequest("sender-9", now_ms(), "desk:7", (sender,)), within_s=LONG_S)

        async def say(person: str, will: Verb) -> None:
            said = Expression(person, "sms", will, now_ms(), "test", "S9", "finance")
            request = RegistryRequest(f"{will}-{person}", now_ms(), "desk:7", (said,))
            assert (await client.ask(request, within_s=LONG_S)).admitted == 1

        async def reasons(*some: str) -> dict[str, object]:
            """What the filter decides of one SMS to each of these now."""
            names = {token_hex(8): person for person in some}
            events = [sms(name, person) for name, person in names.items()]
            await asyncio.to_thread(topics.write_events, events)
            found: dict[str, object] = {}
            async with asyncio.timeout(LONG_S):
                while len(found) < len(some):
                    decided = await asyncio.to_thread(topics.decisions)
                    found = {names[str(one["event"])]: one["reason"] for one in decided if one["event"] in names}
            return found

        async def until(reason: str) -> None:
            async with asyncio.timeout(LONG_S):
                while {*(await reasons(*persons)).values()} != {reason}:
                    pass

        await asyncio.gather(*(say(person, "consent") for person in persons))
        await until("consented")
        await asyncio.gather(*(say(person, "refuse") for person in persons))
        answered = now_ms()
        await asyncio.sleep((OBEYED_WITHIN_MS - 100) / 1000)
        obeyed = [*(await reasons(*persons)).values()].count("refused")
        # All of them on a quiet machine; on one whose processes wait for each other, most.
        assert obeyed > len(persons) / 2, f"{obeyed} within {now_ms() - answered} ms"
        await until("refused")
    await client.stop()


def sms(name: str, person: str) -> dict[str, object]:
    return event("sms", 0) | {
        "id": name,
        "sender": "S9",
        "from": "10696001",
        "to": person,
        "purpose": "commercial",
        "category": "finance",
        "text": "【山海银行】理财新品上线，详询95588，回复TD退订",
    }


def _refuses(registry: Registry, subscriber: str) -> bool:
    number = parse(subscriber)
    assert number is not None
    return registry.wills.stance("call", number, "S1", "finance") == "refused"
