"""The API over HTTP, on genuine Kafka: what is filed is a record first, and what may not be is told why.

Tests share a running API where they can: each needs its topics created anew, which costs a second.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

import aiohttp
import orjson
import pytest
from msgspec.structs import replace

from bloom.partition import partition_of
from stream.config import Config
from stream.enforce.api import ApiServer
from stream.enforce.api.topic_reads import TopicReads
from stream.enforce.procedures.forms import PERSON
from stream.enforce.procedures.terms import Settings
from stream.model import topics
from stream.registry.registry import Registry
from stream.testbed.processes import environment_with
from tests.enforce.api.harness import (
    COMPLAINT,
    FILING,
    Answer,
    ApiClient,
    eventually,
    register,
    running_api,
    token_of,
    write_tokens,
)
from tests.filter.harness import PARTITIONS, Broker, write

pytestmark = pytest.mark.kafka


async def test_what_is_wrong_with_a_request_is_told_whole(config: Config) -> None:
    async with running_api(config, control_plane=False, registrar=True) as client:
        wrong = await client.post(
            "/v1/complaints",
            {"subscriber": "95588", "channel": "fax", "at": "yesterday", "actor": "me", "colour": "red"},
        )
        assert wrong.status == 400
        assert wrong.faults() == {
            "actor": "not yours to state: it is set for you",
            "colour": "there is no such field",
            "subscriber": f"not {PERSON}",
            "channel": "Invalid enum value 'fax'",
            "at": "Expected `int`, got `str`",
        }
        bare = await client.post("/v1/expressions", {"will": "consent"})
        assert bare.faults() == dict.fromkeys(("subscriber", "channel", "source"), "missing")
        stated = {"subscriber": "+8613800138000", "channel": "sms", "source": "web-form"}
        nameless = await client.post("/v1/expressions", {**stated, "will": "consent"})
        unheard = {**stated, "will": "consent", "sender": "ORG-9", "category": "Finanz"}
        refused = (await client.post("/v1/expressions", unheard)).body
        assert "did you mean finance" in str(refused["faults"])
        assert "must name both" in nameless.faults()[""]
        for body in (b"[]", b"{", b"\xff"):
            async with client._session.post(
                f"{client.address}/v1/complaints",
                data=body,
                headers={"Authorization": f"Bearer {token_of('desk')}"},
            ) as answer:
                assert answer.status == 400
        large = await client.post("/v1/complaints", {**COMPLAINT, "text": "x" * 300_000})
        assert large.status == 413
        assert (await client.get("/v1/cases", limit="0", colour="red")).faults().keys() == {"limit", "colour"}
        for topic in (topics.COMPLAINTS, topics.EXPRESSIONS):
            assert await client.records(topic) == []


async def test_a_token_is_needed_and_reaches_as_far_as_its_role(config: Config, tmp_path: Path) -> None:
    async with running_api(config, control_plane=False) as client:
        assert (await client.get("/v1/cases", by="")).status == 401
        assert (await client.get("/v1/cases", by="nobody")).status == 401
        assert (await client.get("/v1/cases", by="read-only")).status == 200
        refused = (
            ("/v1/complaints", COMPLAINT, "sender"),
            ("/v1/complaints", COMPLAINT, "other-agent"),
            ("/v1/complaints", COMPLAINT, "read-only"),
            ("/v1/filings", FILING, "other-sender"),
            ("/v1/filings", {"level": "national", "body": "卫健委"}, "body"),
            ("/v1/filings", {**FILING, "emergency": True}, "sender"),
            ("/v1/appeals", {"against": "M-1", "party": {"sender": "ORG-1"}}, "sender"),
            ("/v1/directions", {"party": {"sender": "ORG-9"}, "measure": "stop"}, "desk"),
            ("/v1/orders", {"order": "O-bcdf", "until": 1_798_000_000_000}, "sender"),
            ("/v1/findings", {"party": {"sender": "ORG-9"}, "grounds": "inspection"}, "sender"),
        )
        for path, body, by in refused:
            assert (await client.post(path, body, by=by)).status == 403, (path, by)
        # A token that is taken out of the file counts no more, at once.
        write_tokens(tmp_path / "tokens", {"regulator": "regulator regulator:3 national"})
        assert (await client.get("/v1/cases", by="desk")).status == 401
        # A spoilt file is told, and what it said before stays.
        (tmp_path / "tokens").write_text("nonsense\n", encoding="utf-8")
        assert (await client.get("/v1/cases", by="regulator")).status == 200


async def test_a_subscribers_word_is_in_the_register_at_once(config: Config) -> None:
    word = {"subscriber": "+8613800138000", "channel": "call", "will": "refuse", "source": "app"}
    async with running_api(config, control_plane=False, registrar=True) as client:
        assert (await client.post("/v1/expressions", word, by="agent")).status == 202
        (record,) = await client.records(topics.EXPRESSIONS)
        assert record.key == b"+8613800138000|call|*|*"
        assert record.partition == partition_of("+8613800138000", PARTITIONS) == 8
        said = orjson.loads(record.value)
        assert (said["will"], said["actor"], said["source"]) == ("refuse", "agent:5", "app")
        strange = await client.post("/v1/expressions", {**word, "subscriber": "+8613900139000"}, by="agent")
        assert strange.status == 403
        ahead = await client.post("/v1/expressions", {**word, "time": 1 << 50}, by="agent")
        assert ahead.faults().keys() == {"time"}
        spelt = await client.post("/v1/expressions", {**word, "subscriber": "86 138-0013-8000"}, by="agent")
        assert spelt.status == 202
        assert [one.key for one in await client.records(topics.EXPRESSIONS)] == [record.key] * 2


async def test_what_somebody_said_is_shown_with_a_reason_and_recorded_and_whose_a_number_is_to_offices(
    config: Config,
) -> None:
    path = "/v1/subscribers/+8613800138000"
    word = {"subscriber": "+8613800138000", "channel": "call", "will": "refuse", "source": "app"}
    await register(config, ORG_7="10690999")
    async with running_api(config, control_plane=False, registrar=True) as client:
        assert (await client.post("/v1/expressions", {**word, "will": "lift"}, by="agent")).status == 202
        assert (await client.post("/v1/expressions", word, by="agent")).status == 202
        shown = await client.get(path, by="agent", reason="asked at the counter")
        assert isinstance(shown.body["expressions"], list)
        (one,) = shown.body["expressions"]
        assert (one["expression"]["will"], one["counts"]) == ("refuse", True), "the last of its scope"
        assert (await client.get(path, by="agent")).faults() == {"reason": "missing"}
        assert (await client.get(path, by="other-agent", reason="so")).status == 403
        assert (await client.get(path, by="regulator", reason="so")).status == 403
        (access,) = [orjson.loads(record.value) for record in await client.records(topics.ACCESSES)]
        assert (access["operation"], access["reason"]) == ("show-subscriber", "asked at the counter")
        assert "13800138000" not in orjson.dumps(access).decode()

        owner = await client.get("/v1/numbers/+86 1069099901", channel="sms")
        assert owner.body == {"of": "owner", "sender": "ORG-7", "prefix": "10690999"}
        before = await client.get("/v1/numbers/1069099901", channel="sms", at="1700000000000")
        assert before.body == {"of": "owner", "sender": None, "prefix": None}
        assert (await client.get("/v1/numbers/1069099901", by="sender", channel="sms")).status == 403
        history = (await client.get("/v1/senders/ORG-7", by="regulator")).body["versions"]
        assert isinstance(history, list)
        assert [version["record"]["sender"] for version in history] == ["ORG-7"]
        assert (await client.get("/v1/senders/ORG-70")).body["versions"] == []


async def test_where_no_registrar_answers_it_is_said_and_asked_again_the_expression_is_written_once(
    config: Config,
) -> None:
    hurried = replace(config, api=replace(config.api, write_timeout_ms=200))
    word = {"subscriber": "+8613800138000", "channel": "call", "will": "refuse", "source": "app"}
    async with running_api(hurried, control_plane=False) as client:
        unheard = await client.post("/v1/expressions", word, by="agent", key="refusal-1")
    assert (unheard.status, unheard.body["error"]) == (503, "not-ready")
    assert "start `wurao registrar`" in str(unheard.body["reason"])
    async with running_api(config, control_plane=False, registrar=True) as client:
        assert (await client.post("/v1/expressions", word, by="agent", key="refusal-1")).status == 202
        assert len(await client.records(topics.EXPRESSIONS)) == 1, "what was asked in vain was admitted, and this is it"


async def test_a_consent_that_was_said_before_what_stands_is_too_late_and_a_refusal_never_is(config: Config) -> None:
    said = {"subscriber": "+8613800138000", "channel": "sms", "source": "web-form"}
    consent = {**said, "will": "consent", "sender": "ORG-9", "category": "finance"}
    now = time.time_ns() // 1_000_000
    await register(config, "ORG-9")
    async with running_api(config, control_plane=False, registrar=True) as client:
        assert (await client.post("/v1/expressions", {**said, "will": "refuse"})).status == 202
        late = await client.post("/v1/expressions", {**consent, "time": now - 3_600_000})
        assert (late.status, late.body["error"]) == (409, "too-late")
        assert "refuse (*, *) on sms" in str(late.body["reason"])
        assert (await client.post("/v1/expressions", {**consent, "time": now + 3_600_000})).status == 202, "said now"
        assert (await client.post("/v1/expressions", {**said, "will": "refuse", "sender": "ORG-9"})).status == 202
        old = await client.post("/v1/expressions", {**said, "will": "refuse", "time": now - 7_200_000})
        assert (old.status, old.body["error"]) == (409, "too-late")
        wills = [orjson.loads(one.value)["will"] for one in await client.records(topics.EXPRESSIONS)]
        assert wills == ["refuse", "consent", "refuse"]


async def test_a_consent_names_a_registered_sender_and_a_category_of_the_policy(config: Config) -> None:
    consent = {"subscriber": "+8613800138000", "channel": "sms", "source": "web-form", "will": "consent"}
    wrong = {**consent, "sender": "ORG-90", "category": "finanse"}
    right = {**consent, "sender": "ORG-9", "category": "finance"}
    async with running_api(config, control_plane=False, registrar=True) as client:
        faults = (await client.post("/v1/expressions", right, key="consent-1")).faults()
        assert faults.keys() == {"sender"}, "nobody is registered"
        await register(config, "ORG-9")
        again = await client.post("/v1/expressions", right, key="consent-1")
        assert again.status == 202, "it was registered a moment ago, and what was refused has used no key"
        faults = (await client.post("/v1/expressions", wrong)).faults()
        assert faults.keys() == {"sender", "category"}
        assert "'ORG-90' is not registered (did you mean ORG-9?)" in faults["sender"]
        assert "did you mean finance" in faults["category"]
        assert (await client.post("/v1/expressions", {**wrong, "will": "refuse"})).status == 202, "it harms nobody"


async def test_a_direct_order_is_refused_with_the_way_that_opens_a_case(config: Config) -> None:
    order = {"measure": "stop", "basis": "zzz", "sender": "ORG-HASTY|x", "appeal": "javascript:1"}
    async with running_api(config, control_plane=False) as client:
        for by, way in (("desk", "POST /v1/findings"), ("regulator", "POST /v1/directions")):
            direct = await client.post("/v1/orders", order, by=by)
            assert (direct.status, direct.body["error"]) == (409, "wrong-state")
            assert way in str(direct.body["reason"])
        taken = await client.post("/v1/orders", {"order": "O-M-F-1", "until": 1_798_000_000_000})
        assert taken.status == 409
        assert await client.records(topics.ORDERS) == []


async def test_a_request_that_is_repeated_under_its_key_makes_the_same_record(config: Config) -> None:
    async with running_api(config) as client:
        first = await client.post("/v1/complaints", COMPLAINT, key="form-17")
        second = await client.post("/v1/complaints", COMPLAINT, key="form-17")
        other = await client.post("/v1/complaints", COMPLAINT, by="agent", key="form-17")
        assert first.case == second.case != other.case
        reused = await client.post("/v1/complaints", {**COMPLAINT, "subscriber": "+8613900139000"}, key="form-17")
        assert (reused.status, reused.body["error"]) == (422, "key-reused")
        bad = await client.post("/v1/complaints", {**COMPLAINT, "channel": "fax"}, key="form-18")
        mended = await client.post("/v1/complaints", COMPLAINT, key="form-18")
        assert (bad.status, mended.status) == (400, 202), "what was refused has used no key"
        await client.show(first.case, state="received")
        lines = (await client.get("/v1/cases")).body["cases"]
        assert len(lines) in (1, 2, 3)  # type: ignore[arg-type]
        assert (await client.post("/v1/complaints", COMPLAINT, key="x" * 256)).status == 400


async def test_what_is_repeated_under_its_key_is_answered_as_it_was_and_undoes_nothing(config: Config) -> None:
    await register(config, "ORG-9")
    refusal = {"subscriber": "+8613800138000", "channel": "sms", "source": "app", "will": "refuse"}
    consent = {**refusal, "will": "consent", "sender": "ORG-9", "category": "finance"}
    async with running_api(config, registrar=True) as client:
        first = await client.post("/v1/expressions", consent, by="agent", key="consent-1")
        await client.post("/v1/expressions", refusal, by="agent", key="refusal-1")
        assert await client.post("/v1/expressions", consent, by="agent", key="consent-1") == first
        async with running_api(config, control_plane=False) as other:  # as after a restart
            assert await other.post("/v1/expressions", consent, by="agent", key="consent-1") == first
        written = await client.records(topics.EXPRESSIONS)
        assert [orjson.loads(record.value)["will"] for record in written] == ["consent", "refuse"]
        bodies = [{**COMPLAINT, "text": text} for text in ("one", "other")]
        at_once = await asyncio.gather(*(client.post("/v1/complaints", body, key="form-1") for body in bodies))
        assert sorted(answer.status for answer in at_once) == [202, 422]


async def test_of_two_who_act_on_a_case_at_once_the_second_is_told_to_read_it_again(config: Config) -> None:
    async with running_api(config) as client:
        filed = await client.post("/v1/complaints", COMPLAINT)
        await client.show(filed.case, state="received")
        one, other = await asyncio.gather(
            client.act(filed.case, "forwarded", by="centre", to="ORG-9"),
            client.act(filed.case, "forwarded", by="centre", to="ORG-10"),
        )
        assert sorted((one.status, other.status)) == [202, 409]
        await client.show(filed.case, state="forwarded")
        assert not await client.records(topics.DEAD_LETTER)


async def test_an_act_is_on_the_case_as_it_was_shown(config: Config) -> None:
    async with running_api(config) as client:
        filed = await client.post("/v1/complaints", COMPLAINT)
        await client.show(filed.case, state="received")
        looked = (await client.get(f"/v1/cases/{filed.case}")).tag
        assert looked == '"1"'
        path, forwarded = f"/v1/cases/{filed.case}/events", {"event": "forwarded", "to": "ORG-9"}
        assert (await client.post(path, forwarded, by="centre", match=looked, key="form-1")).status == 202
        await client.show(filed.case, state="forwarded")
        proposed = {"event": "verified", "result": "confirmed", "detail": "so"}
        for match in (looked, f'{looked}, "7"'):
            late = await client.post(path, proposed, match=match)
            assert (late.status, late.body["error"]) == (409, "wrong-state")
            assert "verified" in late.body["possible"]  # type: ignore[operator]
            assert "it is forwarded, at step 2" in str(late.body["reason"])
        assert (await client.post(f"/v1/complaints/{filed.case}", {"text": "x"}, match=looked)).status == 409
        assert (await client.post(path, {"event": "noted", "text": "x"}, match="*")).status == 202
        for unfit in ("2", 'W/"2"', '"two"'):
            assert (await client.post(path, proposed, match=unfit)).faults().keys() == {"If-Match"}
        now = (await client.get(f"/v1/cases/{filed.case}")).tag
        assert (await client.post(path, proposed, match=now)).status == 202
        await client.show(filed.case, step=3)
        opposite = await client.post(path, {**proposed, "result": "unconfirmed"}, by="other-desk", match=now)
        assert (opposite.status, "at step 3" in str(opposite.body["reason"])) == (409, True)
        again = await client.post(path, forwarded, by="centre", match=looked, key="form-1")
        assert again.status == 202, "it is answered as it was"
        assert (await client.post("/v1/cases/C-none/events", proposed, match=now)).status == 404


async def test_an_act_is_under_way_from_when_its_case_was_looked_at(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders, asked, go = TopicReads.senders, asyncio.Event(), asyncio.Event()

    async def slowly(topics: TopicReads, *, age_s_max: float = 0.0) -> Registry:
        if not asked.is_set():
            asked.set()
            await go.wait()
        return await senders(topics, age_s_max=age_s_max)

    verified = {"result": "confirmed", "detail": "it was so"}
    await register(config, ORG_9=str(COMPLAINT["from"]))
    async with running_api(config) as client:
        asked.set()
        filed = await client.post("/v1/complaints", COMPLAINT)
        await client.show(filed.case, state="received")
        await client.act(filed.case, "forwarded", by="centre", to="ORG-9")
        await client.show(filed.case, state="forwarded")
        monkeypatch.setattr(TopicReads, "senders", slowly)
        for first, status in (({**verified, "party": {"sender": "ORG-1"}}, 400), (verified, 202)):
            asked.clear()
            go.clear()
            one = asyncio.create_task(client.act(filed.case, "verified", **first))
            await asked.wait()
            other = await client.act(filed.case, "verified", by="other-desk", **verified)
            assert (other.status, "a moment ago" in str(other.body["reason"])) == (409, True)
            go.set()
            assert (await one).status == status
        await client.show(filed.case, step=3)
        assert not await client.records(topics.DEAD_LETTER)


async def test_cases_are_listed_by_due_date_a_page_at_a_time(config: Config) -> None:
    async with running_api(config) as client:
        filed = [
            (await client.post("/v1/complaints", {**COMPLAINT, "subscriber": f"+86138001380{place:02}"})).case
            for place in range(5)
        ]
        for case in filed:
            await client.show(case)
        await client.act(filed[0], "forwarded", by="centre", to="ORG-9")
        await client.show(filed[0], state="forwarded")
        first = (await client.get("/v1/cases", procedure="complaint", limit="3")).body
        rest = (await client.get("/v1/cases", procedure="complaint", limit="3", after=str(first["after"]))).body
        cases = [line["case"] for page in (first, rest) for line in page["cases"]]  # type: ignore[attr-defined]
        assert sorted(cases) == sorted(filed)
        assert cases[0] == filed[0], "that the company has it is to be known within a day"
        assert rest["after"] is None
        received = (await client.get("/v1/cases", state="received")).body["cases"]
        assert len(received) == 4  # type: ignore[arg-type]
        assert (await client.get("/v1/cases", due_before="1")).body["cases"] == []
        assert (await client.get("/v1/cases", due_before="1795500000")).status == 400


async def test_what_ended_long_ago_is_shown_no_more_and_stands_in_its_topic(config: Config, tmp_path: Path) -> None:
    clock = tmp_path / "offset-ms"
    clock.write_text("0")
    moved = replace(config, enforce=replace(config.enforce, clock_offset_file=str(clock)))
    async with running_api(moved) as client:
        ended, open_ = [(await client.post("/v1/complaints", COMPLAINT)).case for _ in range(2)]
        await client.show(open_, state="received")
        await client.show(ended, state="received")
        assert (await client.act(ended, "withdrawn", by="agent")).status == 202
        await client.show(ended, state="withdrawn")
        assert await _cases_count(client) == 2

        clock.write_text(str(Settings().ended_kept_ms + 60_000))

        async def left() -> Answer | None:
            answer = await client.get(f"/v1/cases/{ended}")
            return answer if answer.status == 404 else None

        gone = await eventually(left)
        assert "its last view stands, as evidence, in the topic `cases`" in str(gone.body["reason"])
        assert (await client.act(ended, "withdrawn", by="agent")).status == 404
        assert [line["case"] for line in (await client.get("/v1/cases", ended="true")).body["cases"]] == [open_]  # type: ignore[attr-defined]
        assert await _cases_count(client) == 1
        assert ended.encode() in {record.key for record in await client.records(topics.CASES)}

    async with running_api(moved, control_plane=False) as client:
        assert await _cases_count(client) == 1, "nor is it read again"


async def test_a_topic_of_cases_that_was_recreated_is_read_from_its_beginning(broker: Broker, config: Config) -> None:
    async with running_api(config) as client:
        first, second = [(await client.post("/v1/complaints", COMPLAINT)).case for _ in range(2)]
        for case in (first, second):
            await client.show(case, state="received")
        kept = next(record for record in await client.records(topics.CASES) if record.key == second.encode())

        await asyncio.to_thread(broker.delete_topics, [topics.CASES])
        await _readiness(client, f"{topics.CASES}: not there; run `wurao topics create`")
        await asyncio.to_thread(broker.create_topics)
        await write(config, [(topics.CASES, kept.partition, kept.key, kept.value)])
        await _readiness(client, "ready")

        async def left() -> bool | None:
            return True if await _cases_count(client) == 1 else None

        await eventually(left)
        assert (await client.get(f"/v1/cases/{first}")).status == 404
        assert (await client.get(f"/v1/cases/{second}")).status == 200


async def _readiness(client: ApiClient, begins: str) -> None:
    """Wait until `/readyz` answers so."""

    async def answer() -> str | None:
        async with aiohttp.ClientSession() as session, session.get(f"{client.address}/readyz") as answer:
            text = await answer.text()
        return text if text.startswith(begins) else None

    await eventually(answer)


async def _cases_count(client: ApiClient) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{client.address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (line,) = (line for line in lines if line.startswith("wurao_api_cases "))
    return float(line.split()[1])


async def test_logs_name_neither_numbers_nor_paths(
    config: Config, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with running_api(config) as client:
        await client.post("/v1/complaints", COMPLAINT)
        await client.get("/v1/cases/+8613800138000")
        await client.get("/v1/cases", party="number|+8613800138000")
        await client.post("/v1/complaints", {**COMPLAINT, "channel": "+8613800138000"})
    # Where an earlier test of this process has configured logs, they are pytest's.
    said = "".join((*capsys.readouterr(), caplog.text))
    assert "13800138000" not in said
    assert "list-cases" in said


async def test_without_a_broker_nothing_is_accepted(config: Config) -> None:
    gone = replace(
        config,
        kafka=replace(config.kafka, bootstrap="127.0.0.1:1"),
        api=replace(config.api, write_timeout_ms=500),
    )
    api = ApiServer(gone)
    address = await api.start()
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token_of('desk')}"}) as session,
            session.post(f"{address}/v1/complaints", json=COMPLAINT) as answer,
        ):
            assert answer.status == 503
            assert (await answer.json())["error"] == "not-ready"
        async with aiohttp.ClientSession() as session, session.get(f"{address}/readyz") as answer:
            assert answer.status == 503
            assert await answer.text() == "the cases are being read\n"
    finally:
        await asyncio.wait_for(api.stop(), 15)


async def test_the_api_runs_alone_as_a_process_and_ends_on_sigterm(config: Config) -> None:
    variables = environment_with(
        {
            "WURAO_KAFKA__BOOTSTRAP": config.kafka.bootstrap,
            "WURAO_API__PORT": "0",
            "WURAO_API__TOKENS_FILE": str(config.api.tokens_file),
        }
    )
    program = (
        "import asyncio, os; from stream import config, logs; from stream.enforce.api import serve; "
        "logs.configure(); asyncio.run(serve(config.load(None, os.environ)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=variables, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    line = orjson.loads(await asyncio.wait_for(process.stderr.readline(), 20))
    assert line["event"] == "API served"
    async with aiohttp.ClientSession() as session, session.get(f"{line['endpoint']}/healthz") as answer:
        assert await answer.text() == "alive\n"
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_what_the_api_does_not_serve_is_refused_in_the_same_form(config: Config) -> None:
    async with running_api(config, control_plane=False) as client:
        for method, path, status in (("get", "/v1/nothing", 404), ("delete", "/v1/cases", 405)):
            async with client._session.request(method, f"{client.address}{path}") as answer:
                assert answer.status == status
                assert (await answer.json())["reason"]
        for path in ("/healthz", "/readyz", "/metrics"):
            async with client._session.get(f"{client.address}{path}") as answer:
                assert answer.status == 200
