"""`wurao registrar` on a genuine broker: what it answers stands in the topics, and what stands there it answers by."""

import asyncio
import random
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import orjson
import pytest
from msgspec.structs import replace

from bloom.number import parse
from bloom.partition import partition_of
from stream.cli import doctor_admitted, doctor_filter
from stream.cli.check_results import CheckResult
from stream.clock import now_ms
from stream.feed.follower import Follower
from stream.kafka import clients
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.registry_client import RegistryClient
from stream.kafka.topics import EXPECTED
from stream.model.codec import encode
from stream.model.fields import Verb
from stream.model.registry import REPLY_SOURCE, Expression, FileRecord, NumberEntry, Sender, key_of
from stream.model.requests import (
    NO_VERSION,
    Ask,
    AskOwner,
    AskSender,
    AskSubscriber,
    RegistryAnswer,
    RegistryRequest,
    Statements,
    SubscriberRecord,
)
from stream.model.times import iso_time
from stream.model.topics import ACCESSES, ANSWERS, CASES, DEAD_LETTER, EXPRESSIONS, REQUESTS
from stream.registry.door import REGISTRARS, unreadable
from stream.registry.erasure import EVIDENCE_KEPT_MS
from stream.registry.registry import Registry
from stream.testbed.processes import environment_with, wurao_command
from tests.enforce.api.harness import ApiClient, config_for, running_api, token_of
from tests.enforce.api.test_subscriber_file import complained
from tests.enforce.procedures.world import DAY, NOW
from tests.filter.harness import Broker
from tests.patience import LONG_S
from tests.registrar.harness import RegistrarProcess
from tests.registrar.history import Log, answers_of, check_answers, check_order

pytestmark = pytest.mark.kafka

A, B, C, D = "+8613800138000", "+8613900139000", "+8613700137000", "+8613500135000"
NOTHING_STATED = Statements()
SENDER = Sender("S1", "Bank", "95588", "active", (NumberEntry("10690123", "sms", ("commercial",), ("finance",)),))


@pytest.fixture
async def client(topics: Broker, registrar: RegistrarProcess) -> AsyncIterator[RegistryClient]:
    client = RegistryClient(topics.config, client="test")
    await client.start()
    yield client
    await client.stop()


@pytest.fixture
async def producer(topics: Broker) -> AsyncIterator[DurableProducer]:
    producer = DurableProducer(topics.config, client="test")
    await producer.start()
    yield producer
    await producer.close()


def expression(subscriber: str, will: Verb, name: str, *, ago_ms: int = 0, sender: str | None = "S1") -> Expression:
    """What the tests ask for: its evidence is the request's id and its place there."""
    category = "finance" if sender else None
    return Expression(subscriber, "sms", will, now_ms() - ago_ms, "test", sender, category, f"{name}/0")


def request(
    name: str,
    *records: FileRecord,
    time: int | None = None,
    if_version: int | None = None,
    stated: Statements = NOTHING_STATED,
    ask: Ask | None = None,
    erase: str | None = None,
) -> RegistryRequest:
    return RegistryRequest(name, time or now_ms(), "desk:7", records, if_version, stated=stated, ask=ask, erase=erase)


async def ask(client: RegistryClient, one: RegistryRequest) -> RegistryAnswer:
    return await client.ask(one, within_s=LONG_S)


def codes(answer: RegistryAnswer) -> list[str]:
    return [one.code for one in answer.refusals]


async def test_what_is_admitted_stands_in_the_topics_and_a_repeat_gets_the_same_answer(
    topics: Broker, client: RegistryClient
) -> None:
    assert (await ask(client, request("sender", SENDER))).admitted == 1
    consent = request("consent", expression(A, "consent", "consent"))
    answer = await ask(client, consent)
    assert (answer.admitted, answer.already, answer.refused) == (1, 0, 0)
    ((raw, record),) = (await asyncio.to_thread(Log, topics)).of_request("consent")
    assert (raw.offset, raw.partition, record) == (answer.version, partition_of(A, 4), consent.records[0])

    assert await ask(client, consent) == answer, "a repeat"
    assert codes(await ask(client, request("consent", expression(A, "lift", "consent")))) == ["id-taken"]
    again = await ask(client, request("again", *consent.records))
    assert (again.admitted, again.already, again.version) == (1, 1, answer.version)

    read = await ask(client, request("read", ask=AskSubscriber(A)))
    assert isinstance(read.result, SubscriberRecord)
    assert [(one.expression, one.offset, one.counts) for one in read.result.expressions] == [
        (consent.records[0], answer.version, True)
    ]
    owner = (await ask(client, request("owner", ask=AskOwner("106901234", "sms")))).result
    assert (getattr(owner, "sender", None), getattr(owner, "prefix", None)) == ("S1", "10690123")
    history = (await ask(client, request("history", ask=AskSender("S1")))).result
    assert [one.record for one in getattr(history, "versions", ())] == [SENDER]
    check_answers(await asyncio.to_thread(Log, topics), await asyncio.to_thread(answers_of, topics))


async def test_doctor_names_what_nobody_admitted(
    topics: Broker, client: RegistryClient, producer: DurableProducer
) -> None:
    async def found() -> CheckResult:
        counts = {topic: EXPECTED[topic].partitions(topics.config.topics) for topic in REGISTRARS}
        places = [place for topic, count in counts.items() for place in clients.partitions(topic, count)]
        consumer = clients.follower(topics.config, client="test")
        await consumer.start()
        try:
            ends = await consumer.end_offsets(places)
            return await doctor_admitted.check(topics.config, dict.fromkeys(places, 0), ends)
        finally:
            await consumer.stop()

    admin = clients.admin(topics.config)
    await admin.start()
    assert await doctor_filter.members_of([topics.config.registrar.group], admin) == ["127.0.0.1"]
    await admin.close()
    assert (await ask(client, request("doctor", expression(A, "refuse", "doctor", sender=None)))).admitted == 1
    reply = replace(expression(A, "refuse", "reply", sender=None), source=REPLY_SOURCE)
    where = partition_of(A, topics.partitions)
    await producer.write([Produced(EXPRESSIONS, key_of(reply).encode(), encode(reply), where)])
    assert (await found()).state == "ok", "what the registrar wrote, and a reply"
    stranger = replace(reply, source="somebody")
    await producer.write([Produced(EXPRESSIONS, key_of(stranger).encode(), encode(stranger), where)])
    told = await found()
    assert (told.state, told.found[:36]) == ("warn", "1 of the newest records of the regis")
    assert f"{EXPRESSIONS}, partition {where}, offset " in told.found
    assert A not in told.found


async def test_bad_requests_are_refused_with_the_reason_and_nothing_of_them_is_written(
    topics: Broker, client: RegistryClient, registrar: RegistrarProcess, producer: DurableProducer
) -> None:
    where = partition_of(B, 4)
    astray = request("astray", expression(B, "refuse", "astray"))
    nobody = encode(request("nobody", expression(B, "refuse", "nobody"))).replace(b'"actor":"desk:7",', b"")
    half = encode(request("half", expression(B, "refuse", "half")))[:-20]
    undecodable = registrar.metric('wurao_registrar_refusals_total{code="unreadable"}')
    for partition, value in (((where + 1) % 4, encode(astray)), (where, nobody), (where, half)):
        await producer.write([Produced(REQUESTS, b"k", value, partition)])

    first = await ask(client, request("first", expression(B, "refuse", "first", sender=None), if_version=NO_VERSION))
    assert first.admitted == 1
    late = request("late", expression(B, "consent", "late", ago_ms=3_600_000))
    assert codes(await ask(client, late)) == ["late"]
    gone = request("gone", expression(B, "lift", "gone"), if_version=NO_VERSION)
    assert codes(await ask(client, gone)) == ["version"]
    stands = request("stands", expression(B, "lift", "stands"), if_version=first.version)
    assert (await ask(client, stands)).admitted == 1
    old = request("old", expression(B, "lift", "old"), time=now_ms() - 8 * 86_400_000)
    assert codes(await ask(client, old)) == ["request-time"]
    unknown = request("unknown", expression(A, "consent", "unknown", sender="nobody"))
    assert codes(await ask(client, unknown)) == ["unknown-name"]
    thief = replace_sender("thief", "10690123")
    assert codes(await ask(client, request("sender-thief", thief))) == ["claim"]
    stated = request("sender-stated", thief, stated=Statements(take_over=("S1",)))
    assert (await ask(client, stated)).admitted == 1
    owner = (await ask(client, request("owner-now", ask=AskOwner("106901234", "sms")))).result
    assert getattr(owner, "sender", None) == "thief"

    answers = await asyncio.to_thread(answers_of, topics)
    assert codes(answers["astray"][0]) == ["wrong-partition"]
    assert codes(answers["nobody"][0]) == ["unreadable"]
    assert "`actor`" in answers["nobody"][0].refusals[0].what
    (letter,) = await asyncio.to_thread(topics.read, DEAD_LETTER, until=1)
    assert letter.value == half
    assert registrar.metric('wurao_registrar_refusals_total{code="unreadable"}') == undecodable + 1
    check_answers(await asyncio.to_thread(Log, topics), answers)


def replace_sender(name: str, prefix: str) -> Sender:
    number = msgspec.structs.replace(SENDER.numbers[0], prefix=prefix)
    return msgspec.structs.replace(SENDER, sender=name, numbers=(number,))


async def test_no_reply_that_is_written_beside_is_overtaken(
    topics: Broker, client: RegistryClient, registrar: RegistrarProcess, producer: DurableProducer
) -> None:
    """A reply's refusal and a request for a consent that was given just before it, of one subscriber, at one moment."""
    aborted = registrar.metric('wurao_registrar_transactions_total{outcome="aborted"}')
    # Until some replies came between; each pair of another subscriber, so that none is late by another.
    for race in range(30):
        if registrar.metric('wurao_registrar_transactions_total{outcome="aborted"}') >= aborted + 3:
            break
        numbers = [f"+86137000{20 * race + place:05}" for place in range(20)]
        requests = [
            request(f"race-{number}", expression(number, "consent", f"race-{number}", ago_ms=5)) for number in numbers
        ]

        async def reply(number: str) -> None:
            await asyncio.sleep(random.random() / 20)
            said = Expression(number, "sms", "refuse", now_ms(), "reply", "S1")
            await producer.write(
                [Produced(EXPRESSIONS, key_of(said).encode(), encode(said), partition_of(number, topics.partitions))]
            )

        await asyncio.gather(*(ask(client, one) for one in requests), *map(reply, numbers))
    log = await asyncio.to_thread(Log, topics)
    check_answers(log, await asyncio.to_thread(answers_of, topics))
    check_order(log)


async def test_a_consent_for_one_transaction_ends_by_itself_when_its_time_is_over(
    topics: Broker, client: RegistryClient
) -> None:
    number = "+8613600136000"
    consent = replace(expression(number, "consent", "once", ago_ms=1_000), expires=now_ms() + 3_000)
    asked = request("once", consent, stated=Statements(unregistered=True))
    assert (await ask(client, asked)).admitted == 1

    async def stands() -> Expression:
        read = await ask(client, request(f"once-{now_ms()}", ask=AskSubscriber(number)))
        assert isinstance(read.result, SubscriberRecord)
        return read.result.expressions[-1].expression

    async with asyncio.timeout(LONG_S):
        while (last := await stands()) == consent:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.2)
    assert (last.will, last.source, last.time) == ("lift", "expired", consent.time), "it is no new word"


async def test_the_filter_obeys_what_was_answered_and_an_erasure_leaves_nothing(
    topics: Broker, client: RegistryClient
) -> None:
    follower = Follower(
        clients.follower(topics.config, client="test"),
        Registry(),
        partitions=topics.partitions,
        poll_records_max=1_000,
        ends_every_ms=500,
    )
    await follower.start({})
    try:
        number, scope = parse(C), ("S1", "finance")
        assert number is not None

        async def stance_is(wanted: str) -> None:
            async with asyncio.timeout(LONG_S):
                while follower.registry.wills.stance("sms", number, *scope) != wanted:
                    await follower.poll(wait_ms=100)

        await ask(client, request("allowed", expression(C, "consent", "allowed", ago_ms=1_000)))
        await stance_is("consented")
        await ask(client, request("denied", expression(C, "refuse", "denied", sender=None)))
        await stance_is("refused")
        erased = await ask(client, request("erase", erase=C))
        assert (erased.admitted, erased.kept_count) == (1, 1), "the consent is evidence for five months"
        await stance_is("silent")
    finally:
        await follower.stop()
    read = await ask(client, request("read-erased", ask=AskSubscriber(C)))
    assert isinstance(read.result, SubscriberRecord)
    assert [(one.expression.will, one.counts) for one in read.result.expressions] == [
        ("consent", False),
        ("lift", False),
    ]
    await ask(client, request("refused", expression(B, "refuse", "refused", sender=None)))
    assert (await ask(client, request("erase-refusal", erase=B))).kept_count == 0
    assert (await ask(client, request("read-refusal", ask=AskSubscriber(B)))).result == SubscriberRecord(())


async def test_a_store_that_is_lost_is_built_again_and_nothing_is_admitted_meanwhile(
    client: RegistryClient, registrar: RegistrarProcess
) -> None:
    where = partition_of(D, 4)
    refused = await ask(client, request("kept", expression(D, "refuse", "kept", sender=None)))
    assert refused.admitted == 1
    (registrar.stores / f"partition-{where}").rename(registrar.stores / "lost")  # at once, whatever is being written
    await until(lambda: registrar.metric("wurao_registrar_store_failures_total") == 1)
    late = await ask(client, request("after", expression(D, "consent", "after", ago_ms=60_000)))
    assert codes(late) == ["late"], "it knows by the topic what it knew"
    await until(lambda: registrar.is_ready)


async def test_a_full_disk_makes_it_not_ready_until_there_is_room(
    client: RegistryClient, registrar: RegistrarProcess
) -> None:
    """A limit of the size of files, which RocksDB meets as it would a full disk."""
    many = [f"+86136{place:08}" for place in range(4_000)]
    here = [number for number in many if partition_of(number, 4) == 1]
    requests = [
        request(f"file-{start}", *(expression(one, "refuse", f"file-{start}", sender=None) for one in some))
        for start in range(0, len(here), 100)
        if (some := here[start : start + 100])
    ]
    resource.prlimit(registrar.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    asking = [asyncio.create_task(client.ask(one, lane="bulk", within_s=LONG_S)) for one in requests]
    await until(lambda: registrar.metric("wurao_registrar_store_failures_total") >= 2)
    assert "see that the disk has room" in str(registrar.get("/readyz"))
    resource.prlimit(registrar.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    answers = await asyncio.gather(*asking)
    assert sum(one.admitted for one in answers) == len(here)
    await until(lambda: registrar.is_ready)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not await asyncio.to_thread(reached):  # noqa: ASYNC110  # another process reaches it
            await asyncio.sleep(0.05)


async def test_what_is_kept_of_a_person_is_shown_and_erased_where_no_duty_keeps_it_by_api_and_command(
    topics: Broker, client: RegistryClient, tmp_path: Path
) -> None:
    person, now = "+8613800138019", now_ms()
    stated = Statements(unregistered=True)
    said = [expression(person, "consent", "p"), expression(person, "refuse", "p", sender=None)]
    call = msgspec.structs.replace(said[1], channel="call")
    assert (await ask(client, request("person", *said, call, stated=stated))).admitted == 3
    cases = {
        "C-old": complained("C-old", by=person, ended_ago=NOW - (now - 400 * DAY)),
        "C-open": complained("C-open", by=person),
        "C-other": complained("C-other", by=D, ended_ago=NOW - (now - 400 * DAY)),
    }
    written = [(CASES, partition_of(name, 4), name.encode(), encode(one)) for name, one in cases.items()]
    await asyncio.to_thread(topics.write, written)
    variables = {"WURAO_TOPICS__PARTITIONS": "4"}
    async with running_api(config_for(topics, tmp_path, **variables), control_plane=False) as api:
        path, reason = f"/v1/subscribers/{person.replace('+', '%2B')}", "by letter of today"
        assert (await api.get(f"{path}/file", by="agent")).faults() == {"reason": "missing"}
        for by, status in (("other-agent", 403), ("read-only", 403), ("sender", 403)):
            assert (await api.get(f"{path}/file", by=by, reason=reason)).status == status
        assert (await api.post("/v1/subscribers/95588/erasure", {"reason": reason})).faults().keys() == {"number"}

        shown = await run("show", "-", "--reason", reason, stdin=person, api=api)
        assert f"refuse (*, *) on call, of {iso_time(call.time)}" in shown
        assert "case C-open: Articles 29 to 31: it is open" in shown
        file = (await api.get(f"{path}/file", by="agent", reason=reason)).body
        assert {one["case"] for one in file["cases"]} == {"C-old", "C-open"}  # type: ignore[attr-defined]

        erased = orjson.loads(await run("erase", "-", "--reason", reason, "--yes", "--json", stdin=person, api=api))
        assert (erased["expressions_count"], erased["cases_count"]) == (2, 1), "the refusals, and the old case"
        kept = {one["what"]: one["until"] for one in erased["kept"]}
        assert kept["1 consents, without effect from now on"] - now >= EVIDENCE_KEPT_MS
        assert person[3:] not in orjson.dumps(erased).decode()
        again = (await api.post(f"{path}/erasure", {"reason": reason}, by="agent")).body
        assert (again["expressions_count"], again["cases_count"]) == (0, 0)
        left = (await api.get(f"{path}/file", by="agent", reason=reason)).body
        assert [(one["expression"]["will"], one["counts"]) for one in left["expressions"]] == [  # type: ignore[attr-defined]
            ("consent", False),
            ("lift", False),
        ]
        assert [one["case"] for one in left["cases"]] == ["C-open"]  # type: ignore[attr-defined]
        looks = [orjson.loads(record.value) for record in await api.records(ACCESSES)]
    last = {record.key: record.value for record in await asyncio.to_thread(topics.read, CASES)}
    assert {key.decode() for key, value in last.items() if value is not None} == {"C-open", "C-other"}
    assert [(one["operation"], one["subscriber"]) for one in sorted(looks, key=lambda one: one["time"])] == [
        ("export-subscriber", "+86138****8019"),
        ("export-subscriber", "+86138****8019"),
        ("erase-subscriber", None),
        ("erase-subscriber", None),
        ("export-subscriber", "+86138****8019"),
    ]
    assert {one["reason"] for one in looks} == {reason}
    assert person[3:] not in orjson.dumps(looks).decode()


async def test_an_answer_that_cannot_be_read_or_is_of_half_a_copy_is_not_taken_for_ones_own(
    topics: Broker, client: RegistryClient, registrar: RegistrarProcess, producer: DurableProducer
) -> None:
    registrar.signal(signal.SIGSTOP)  # so that the other one is first
    try:
        whole = request("newer", expression(A, "refuse", "newer", sender=None))
        asking = asyncio.create_task(ask(client, whole))
        stated = replace(whole, id="stated", content=7)
        unread = asyncio.create_task(ask(client, stated))
        await asyncio.sleep(0)
        newer = b'{"kind":"answer","request":"newer","at":"x","digest":0,"decided":0,"refusals":[{"code":"new"}]}'
        half, own = (unreadable(data, "x", "half", now_ms()) for data in (b'{"id":"newer"}', encode(stated)))
        assert half is not None
        assert own is not None
        written = [(b"newer", newer), (b"newer", encode(half)), (b"stated", encode(own))]
        await producer.write([Produced(ANSWERS, key, value, partition_of(A, 4)) for key, value in written])
        assert (await unread) == own, "of one whose checksum is stated, where the registrar cannot read it"
    finally:
        registrar.signal(signal.SIGCONT)
    assert (await asking).admitted == 1


async def run(*words: str, stdin: str, api: ApiClient) -> str:
    """What `wurao subscriber` prints."""
    process = await asyncio.create_subprocess_exec(
        *wurao_command("subscriber", *words),
        env=environment_with({"WURAO_API__URL": api.address, "WURAO_API__TOKEN": token_of("desk")}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0
    return out.decode()
