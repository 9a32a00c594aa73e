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
from stream.enforce.procedures.forms import PERSON
from stream.enforce.procedures.terms import Settings
from stream.model import topics
from stream.testbed.processes import environment_with
from tests.enforce.api.harness import (
    COMPLAINT,
    Answer,
    ApiClient,
    Json,
    eventually,
    register,
    running_api,
    token_of,
    write_tokens,
)
from tests.filter.harness import PARTITIONS, Broker, write

pytestmark = pytest.mark.kafka

FILING: Json = {
    "sender": "ORG-9",
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


async def test_a_complaint_is_a_record_first_and_then_a_case_that_goes_its_whole_way(config: Config) -> None:
    async with running_api(config) as client:
        filed = await client.post("/v1/complaints", COMPLAINT, by="agent")
        assert (filed.status, filed.body["missing"]) == (202, [])
        (record,) = await client.records(topics.COMPLAINTS)
        said = orjson.loads(record.value)
        assert said["actor"] == "agent:5"
        assert said["complaint"] == filed.body["id"]
        assert record.key.decode() == filed.case
        assert record.partition == partition_of(filed.case, PARTITIONS)

        shown = await client.show(filed.case, state="received")
        assert "forwarded" in shown["possible"]  # type: ignore[operator]
        masked = await client.show(filed.case, by="read-only")
        assert masked["body"]["complaint"]["subscriber"] == "+86138****8000"  # type: ignore[index]
        early = await client.act(filed.case, "answered", by="centre", detail="done")
        assert early.status == 409
        assert early.body["possible"] == ["forwarded"]
        assert "is received: answered is not possible" in str(early.body["reason"])

        # Each body on its own clock: what the centre has done the desk records with the centre's document.
        for event, by, fields in (("forwarded", "appeals-body", {"to": "ORG-9"}), ("withdrawn", "desk", {})):
            assert (await client.act(filed.case, event, by=by, **fields)).status in (403, 404)
        without = await client.act(filed.case, "forwarded", to="ORG-9")
        assert without.faults().keys() == {"document"}
        assert (await client.act(filed.case, "forwarded", to="ORG-9", document="12321/2026-9")).status == 202
        await client.show(filed.case, by="centre", state="forwarded")

        # A decision takes two persons.
        verified = {"result": "confirmed", "detail": "it was so"}
        assert (await client.act(filed.case, "verified", by="centre", **verified)).status == 403
        assert (await client.act(filed.case, "verified", **verified)).status == 202
        proposed = await client.show(filed.case, state="forwarded", step=3)
        assert proposed["body"]["proposed"]["person"] == "desk:17"  # type: ignore[index]
        alone = await client.act(filed.case, "verified", **verified)
        assert (alone.status, "another decides" in str(alone.body["reason"])) == (409, True)
        decided = await client.act(filed.case, "verified", by="other-desk", **verified)
        assert (decided.status, decided.body["note"]) == (202, None)
        await client.show(filed.case, state="confirmed")
        for event, by, fields, state in (
            ("acted-upon", "desk", {"detail": "stopped"}, "acted"),
            ("reported", "desk", {"detail": "stopped"}, "reported"),
            ("answered", "centre", {"detail": "stopped"}, "answering"),
        ):
            assert (await client.act(filed.case, event, by=by, **fields)).status == 202
            await client.show(filed.case, state=state)
        events = [orjson.loads(one.value) for one in await client.records(topics.CASE_EVENTS)]
        of_people = [one for one in events if one["procedure"] == "complaint"]
        assert [one["person"] for one in of_people] == ["desk:17"] * 2 + ["desk:18"] + ["desk:17"] * 2 + ["centre:2"]

        # Told means told: nobody delivers here, so two persons serve the answer.
        shown = await client.show(filed.case, state="answering")
        served = {
            "notice": shown["body"]["awaited"],  # type: ignore[index]
            "at": COMPLAINT["at"],
            "how": "by telephone",
            "to": "the user",
            "document": "call 17",
        }
        for officer in ("desk", "other-desk"):
            assert (await client.act(filed.case, "served", by=officer, **served)).status == 202
            await client.show(filed.case, step=shown["line"]["step"] + 1)  # type: ignore[index]
        await client.show(filed.case, state="answered")

        # The user may take a dispute to the appeals body; the party is the complaint's.
        disputed = await client.post("/v1/disputes", {"complaint": filed.case, "grounds": "no"}, by="agent")
        assert disputed.status == 202
        shown = await client.show(disputed.case, by="agent", state="submitted")
        assert shown["line"]["party"] == {"sender": "ORG-9", "number": None}  # type: ignore[index]
        assert disputed.body["note"] is None
        assert (await client.get(f"/v1/cases/{disputed.case}", by="other-agent")).status == 404
        for by, event in (("desk", "withdrawn"), ("centre", "accepted"), ("regulator", "declined")):
            assert (await client.act(disputed.case, event, by=by)).status in (403, 404), by
        unproved = await client.act(disputed.case, "declined", reason="none of ours")
        assert unproved.faults().keys() == {"document"}
        declined = await client.decide(disputed.case, "declined", by="appeals-body", reason="none of ours")
        assert declined.status == 202
        await client.show(disputed.case, state="declined")
        told = [orjson.loads(one.value) for one in await client.records(topics.NOTICES)]
        assert [one["to"] for one in told if one["case"] == disputed.case] == ["subscriber|+8613800138000"]

        # Without any complaint, too; what the appeals body will ask for is said at once.
        nobody = await client.post("/v1/disputes", {"grounds": "I was never answered"})
        assert nobody.faults().keys() == {"subscriber"}
        bare = {"subscriber": "138 0013 8000", "grounds": "I was never answered"}
        assert (await client.post("/v1/disputes", bare, by="other-agent")).status == 403
        early = await client.post("/v1/disputes", bare, by="agent")
        assert "will ask for a complaint to the company first" in str(early.body["note"])
        await client.show(early.case, by="agent", state="submitted")
        seen = (await client.get("/v1/cases", by="appeals-body", procedure="dispute")).body["cases"]
        assert [line["case"] for line in seen] == [early.case]  # type: ignore[attr-defined]


async def test_what_a_complaint_lacks_is_listed_and_may_be_added(config: Config) -> None:
    async with running_api(config) as client:
        filed = await client.post("/v1/complaints", {"subscriber": "+8613800138000"}, by="agent")
        assert filed.status == 202
        missing = [one["field"] for one in filed.body["missing"]]  # type: ignore[attr-defined]
        assert missing == ["channel", "from or sender", "at", "text or evidence"]
        await client.show(filed.case, state="incomplete")
        added = await client.post(f"/v1/complaints/{filed.case}", {**COMPLAINT, "at": None}, by="agent")
        assert [one["field"] for one in added.body["missing"]] == ["at"]  # type: ignore[attr-defined]
        await client.show(filed.case, step=2)
        assert (await client.post(f"/v1/complaints/{filed.case}", {"at": 1_795_400_000_000}, by="agent")).body[
            "missing"
        ] == []
        await client.show(filed.case, state="received")
        late = await client.post(f"/v1/complaints/{filed.case}", {"text": "more"}, by="agent")
        assert late.status == 409
        strange = await client.post(f"/v1/filings/{filed.case}", {"body": "x"})
        assert strange.status == 404


async def test_what_is_ill_formed_in_a_complaint_that_came_by_topic_is_asked_for_and_may_be_mended(
    config: Config,
) -> None:
    said = {**COMPLAINT, "kind": "complaint", "complaint": "paper-1", "time": 1, "subscriber": "+8613800138004.0"}
    partition = partition_of("C-paper-1", PARTITIONS)
    async with running_api(config) as client:
        await write(config, [(topics.COMPLAINTS, partition, b"C-paper-1", orjson.dumps(said))])
        shown = await client.show("C-paper-1", state="incomplete")
        assert shown["body"]["complaint"]["subscriber"] is None  # type: ignore[index]
        (notice,) = [orjson.loads(record.value) for record in await client.records(topics.NOTICES)]
        assert notice["missing"] == [f"subscriber: not {PERSON}"]
        added = await client.post("/v1/complaints/C-paper-1", {"text": "more"})
        assert added.body["missing"] == [
            {
                "field": "subscriber",
                "reason": f"not {PERSON}",
                "mend": f"state `subscriber`: {PERSON}",
            }
        ]
        await client.show("C-paper-1", step=2)
        mended = await client.post("/v1/complaints/C-paper-1", {"subscriber": "138 0013 8000"})
        assert mended.body["missing"] == []
        await client.show("C-paper-1", state="received")
        assert await client.records(topics.DEAD_LETTER) == []


async def test_what_is_wrong_with_a_request_is_told_whole(config: Config) -> None:
    async with running_api(config, control_plane=False) as client:
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
            ("/v1/orders", {"measure": "stop", "basis": "regulator-order", "sender": "ORG-9"}, "desk"),
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


async def test_a_sender_appeals_for_itself_and_sees_its_own_cases_alone(config: Config) -> None:
    async with running_api(config) as client:
        directed = await client.post(
            "/v1/directions",
            {"party": {"sender": "ORG-9"}, "measure": "stop", "at_once": True, "authority": "通信管理局"},
            by="regulator",
        )
        assert [one["field"] for one in directed.body["missing"]] == ["document"]  # type: ignore[attr-defined]
        await client.show(directed.case, state="incomplete")
        far = await client.post(f"/v1/directions/{directed.case}", {"document": "2026-17"}, by="far-regulator")
        assert (far.status, "the administration of 110000" in str(far.body["reason"])) == (403, True)
        whole = await client.post(f"/v1/directions/{directed.case}", {"document": "2026-17"}, by="regulator")
        assert (whole.status, whole.body["missing"]) == (202, [])
        shown = await client.show(directed.case, by="regulator", state="carried-out")
        measure = f"M-{shown['body']['finding']['finding']}"  # type: ignore[index]
        await client.show(measure, by="sender", state="in-force")

        assert (await client.get(f"/v1/cases/{measure}", by="other-sender")).status == 404
        assert (await client.get(f"/v1/cases/{directed.case}", by="sender")).status == 404
        lines = (await client.get("/v1/cases", by="sender")).body["cases"]
        assert [line["case"] for line in lines] == [measure]  # type: ignore[attr-defined]
        assert (await client.get("/v1/cases", by="other-sender")).body["cases"] == []

        for act in ({"event": "lift"}, {"event": "reviewed", "keep": False}):
            undone = await client.post(f"/v1/cases/{measure}/events", {**act, "reason": "kindness"})
            assert undone.status == 403
        for case, event in ((measure, "lift"), (directed.case, "revoked")):
            elsewhere = await client.act(case, event, by="far-regulator", reason="kindness")
            assert "the administration of 110000" in str(elsewhere.body["reason"])
        stranger = await client.post("/v1/appeals", {"against": measure}, by="other-sender")
        assert stranger.status == 404
        unknown = await client.post("/v1/appeals", {"against": "M-none"}, by="sender")
        assert unknown.status == 404
        appealed = await client.post("/v1/appeals", {"against": measure, "grounds": "it was not us"}, by="sender")
        assert appealed.status == 202
        await client.show(appealed.case, by="sender", state="pending")
        again = await client.post("/v1/appeals", {"against": measure, "grounds": "it was not us"}, by="sender")
        assert again.status == 409
        own = await client.act(appealed.case, "decided", by="sender", winner="party", reason="we say so")
        assert own.status == 403
        for winner in ("party", "measure"):
            desk = await client.act(appealed.case, "decided", winner=winner, reason="the number was spoofed")
            assert desk.status == 403, "the regulator ordered it"
        for officer in ("regulator", "other-regulator"):
            won = await client.act(
                appealed.case, "decided", by=officer, winner="party", reason="the number was spoofed"
            )
            assert won.status == 202
            await client.show(appealed.case, step=2)
        await client.show(measure, by="sender", state="appeal-won")
        orders = [orjson.loads(record.value) for record in await client.records(topics.ORDERS)]
        assert orders[-1]["until"] is not None


async def test_a_campaign_is_filed_weighed_and_approved(config: Config) -> None:
    async with running_api(config) as client:
        linked = f"{FILING['text']} abc.cn"
        filed = await client.post("/v1/filings", {**FILING, "reason": "", "text": linked}, by="sender")
        assert [one["field"] for one in filed.body["missing"]] == ["reason"]  # type: ignore[attr-defined]
        assert [one["reason"] for one in filed.body["faults"]] == ["link abc.cn"]  # type: ignore[attr-defined]
        await client.show(filed.case, by="sender", state="incomplete")
        mended = await client.post(f"/v1/filings/{filed.case}", {"reason": "疫苗", "text": FILING["text"]}, by="sender")
        assert (mended.status, mended.body["faults"]) == (202, [])
        shown = await client.show(filed.case, by="sender", state="weighing")
        assert shown["possible"] == ["withdraw"]
        standing = {"people": 10, "planned": 0, "body_campaigns": 0, "sent": 0, "refusals": 0}
        weigh = {"outcome": "approve", "reason": "useful", "standing": standing}
        heavy = await client.act(filed.case, "weighed", by="regulator", **weigh)
        assert heavy.status == 409
        assert "any figure over its limit is overridden" in str(heavy.body["reason"])
        far = await client.act(filed.case, "weighed", by="far-regulator", **weigh, override="everybody is ill")
        assert far.status == 403
        assert "is for the administration of 110000" in str(far.body["reason"])
        approved = await client.decide(filed.case, "weighed", by="regulator", **weigh, override="everybody is ill")
        assert approved.status == 202
        await client.show(filed.case, by="sender", state="approved")
        campaigns = [orjson.loads(record.value) for record in await client.records(topics.CAMPAIGNS)]
        assert [one["status"] for one in campaigns] == ["filed", "approved"]


async def test_what_is_ill_formed_in_a_filing_that_came_by_topic_is_asked_for_and_may_be_mended(
    config: Config,
) -> None:
    said = {**FILING, "kind": "filing", "filing": "paper-1", "time": 1, "volume": "a million"}
    async with running_api(config) as client:
        await write(config, [(topics.FILINGS, partition_of("P-paper-1", PARTITIONS), b"P-paper-1", orjson.dumps(said))])
        await client.show("P-paper-1", state="incomplete")
        (notice,) = [orjson.loads(record.value) for record in await client.records(topics.NOTICES)]
        assert (notice["to"], notice["missing"]) == ("campaign|P-paper-1", ["volume: not an integer"])
        added = await client.post("/v1/filings/P-paper-1", {"reason": "疫苗"})
        assert [(one["field"], one["reason"]) for one in added.body["missing"]] == [("volume", "not an integer")]  # type: ignore[attr-defined]
        mended = await client.post("/v1/filings/P-paper-1", {"volume": 1_000_000})
        assert mended.body["missing"] == []
        await client.show("P-paper-1", state="weighing")
        assert await client.records(topics.DEAD_LETTER) == []


async def test_a_subscribers_word_is_in_the_register_at_once(config: Config) -> None:
    word = {"subscriber": "+8613800138000", "channel": "call", "will": "refuse", "source": "app"}
    async with running_api(config, control_plane=False) as client:
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


async def test_a_consent_that_was_said_before_what_stands_is_too_late_and_a_refusal_never_is(config: Config) -> None:
    said = {"subscriber": "+8613800138000", "channel": "sms", "source": "web-form"}
    consent = {**said, "will": "consent", "sender": "ORG-9", "category": "finance"}
    now = time.time_ns() // 1_000_000
    await register(config, "ORG-9")
    async with running_api(config, control_plane=False) as client:
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
    async with running_api(config, control_plane=False) as client:
        faults = (await client.post("/v1/expressions", right)).faults()
        assert faults.keys() == {"sender"}, "nobody is registered"
        await register(config, "ORG-9")
        assert (await client.post("/v1/expressions", right)).status == 202, "it was registered a moment ago"
        faults = (await client.post("/v1/expressions", wrong)).faults()
        assert faults.keys() == {"sender", "category"}
        assert "'ORG-90' is not registered (did you mean ORG-9?)" in faults["sender"]
        assert "did you mean finance" in faults["category"]
        assert (await client.post("/v1/expressions", {**wrong, "will": "refuse"})).status == 202, "it harms nobody"


@pytest.mark.parametrize("anyway", [False, True])
async def test_a_verified_complaint_refuses_over_a_newer_consent_only_where_the_user_says_so(
    config: Config, *, anyway: bool
) -> None:
    consent = {
        "subscriber": "+8613800138000", "channel": "sms", "source": "web-form", "will": "consent", "sender": "ORG-9",
        "category": "finance",
    }  # fmt: skip
    await register(config, "ORG-9")
    async with running_api(config) as client:
        filed = await client.post("/v1/complaints", {**COMPLAINT, "refusal": False})
        await client.show(filed.case, state="received")
        assert (await client.act(filed.case, "forwarded", by="centre", to="ORG-9")).status == 202
        await client.show(filed.case, state="forwarded")
        assert (await client.post("/v1/expressions", consent)).status == 202
        told = await client.act(filed.case, "verified", result="confirmed", detail="so", consented=7)
        assert told.faults() == {"consented": "not yours to state: it is set for you"}
        stated = {"refuse": "anyway"} if anyway else {}
        done = await client.decide(filed.case, "verified", result="confirmed", detail="so", **stated)
        assert done.status == 202
        assert ("consent (ORG-9, finance) on sms" in str(done.body["note"])) is not anyway
        await client.show(filed.case, state="confirmed")
        wills = [orjson.loads(one.value)["will"] for one in await client.records(topics.EXPRESSIONS)]
        assert wills == (["consent", "refuse"] if anyway else ["consent"])


async def test_a_complaint_is_about_whose_number_it_is_and_its_ports_are_one_party(config: Config) -> None:
    await register(config, ORG_7="10690999")
    async with running_api(config) as client:
        cases = []
        for number in ("1069099901", "+86 1069099902"):
            filed = await client.post("/v1/complaints", {**COMPLAINT, "from": number}, by="agent")
            await client.show(filed.case, state="received")
            assert (await client.act(filed.case, "forwarded", by="centre", to="CARRIER")).status == 202
            await client.show(filed.case, state="forwarded")
            cases.append(filed.case)
        other = {"sender": "ORG-9"}
        wrong = await client.act(cases[0], "verified", result="confirmed", detail="so", party=other)
        assert "the registry has the number as ORG-7's" in wrong.faults()["party"]
        spoofed = await client.act(cases[0], "verified", result="confirmed", detail="so", party=other, spoofed=True)
        assert spoofed.faults().keys() == {"party"}
        for case in cases:
            assert (await client.decide(case, "verified", result="confirmed", detail="so")).status == 202
            await client.show(case, state="confirmed")
        refused = [orjson.loads(one.value)["sender"] for one in await client.records(topics.EXPRESSIONS)]
        assert refused == ["ORG-7"] * 4, "as the user asked, and as it was confirmed"

        async def measured() -> Json | None:
            query = {"procedure": "measure", "party": "sender|ORG-7"}
            lines = (await client.get("/v1/cases", **query)).body["cases"]
            assert isinstance(lines, list)
            return lines[0] if [line["step"] for line in lines] == [2] else None

        await eventually(measured)  # one case, which the second finding has joined
        party = {"number": "1069099903"}
        inspected = await client.post("/v1/findings", {"party": party, "grounds": "inspection", "channel": "sms"})
        assert inspected.status == 202
        found = [
            orjson.loads(one.value)["event"]
            for one in await client.records(topics.CASE_EVENTS)
            if one.key == b"sender|ORG-7"
        ]
        assert found[-1]["finding"]["evidence"] == ["number|1069099903"]


async def test_a_direct_order_passes_the_rules_of_admission(config: Config) -> None:
    order = {"measure": "suspend", "basis": "measures", "sender": "ORG-9"}
    async with running_api(config, control_plane=False) as client:
        untold = await client.post("/v1/orders", order)
        assert untold.status == 400
        assert "suspends without a `notice`" in untold.faults()["notice"]
        invented = await client.post("/v1/orders", {**order, "notice": "N-1"})
        assert (invented.status, invented.body["error"]) == (409, "wrong-state")
        assert "no measure has notified this party by N-1" in str(invented.body["reason"])
        both = await client.post("/v1/orders", {**order, "notice": "N-1", "number": "+8613800138000"})
        assert "exactly one of `sender` and `number`" in both.faults()[""]
        taken = await client.post("/v1/orders", {"order": "O-M-F-1", "until": 1_798_000_000_000})
        assert taken.status == 409
        assert (await client.post("/v1/orders", {**order, "basis": "regulator-order"}, by="regulator")).status == 409
        port = {"measure": "stop", "basis": "measures", "number": "+86-95588"}
        assert (await client.post("/v1/orders", port)).status == 202
        far = await client.post("/v1/orders", {**port, "until": 1 << 50})
        assert far.faults().keys() == {"until"}
        (only,) = [orjson.loads(record.value) for record in await client.records(topics.ORDERS)]
        assert (only["number"], only["actor"]) == ("95588", "desk:17")
        assert only["appeal"], "every order carries an address for appeals"


async def test_prohibited_content_and_inspections_are_found_by_people(config: Config) -> None:
    async with running_api(config) as client:
        finding = {"party": {"sender": "ORG-9"}, "grounds": "prohibited-content"}
        assert (await client.post("/v1/findings", finding)).faults().keys() == {"evidence"}
        found = await client.post("/v1/findings", {**finding, "evidence": ["sha256:1"]})
        assert found.status == 202
        await client.show(found.case, state="found")
        assert (await client.act(found.case, "seconded")).status == 409, "it takes another person"
        assert (await client.act(found.case, "seconded", by="other-desk")).status == 202
        await client.show(found.case, state="under-investigation")
        (order,) = [orjson.loads(record.value) for record in await client.records(topics.ORDERS)]
        assert (order["measure"], order["basis"]) == ("suspend", "prohibited-content")
        wrong = await client.post("/v1/findings", {"party": {"sender": "ORG-9"}, "grounds": "burst"})
        assert wrong.faults() == {"grounds": "not found by people"}
        inspected = await client.post("/v1/findings", {"party": {"sender": "ORG-1"}, "grounds": "inspection"})
        untold = f"M-{inspected.body['id']}"
        await client.show(untold, by="other-sender", state="telling")
        appeal = {"against": untold, "party": {"sender": "ORG-1"}, "grounds": "not us"}
        refused = await client.post("/v1/appeals", appeal)
        assert (refused.status, refused.body["possible"]) == (409, ["served", "lift"]), "that would tell nobody"
        assert (await client.post("/v1/appeals", appeal, by="other-sender")).status == 202
        await client.show(untold, by="other-sender", state="contested")
        punished = await client.post(
            "/v1/punishments",
            {"party": {"sender": "ORG-9"}, "authority": "通信管理局", "document": "2026-18"},
            by="regulator",
        )
        await client.show(punished.case, by="sender", state="telling")


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
    async with running_api(config) as client:
        first = await client.post("/v1/expressions", consent, by="agent", key="consent-1")
        await client.post("/v1/expressions", refusal, by="agent", key="refusal-1")
        assert await client.post("/v1/expressions", consent, by="agent", key="consent-1") == first
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
        assert cases[-1] == filed[0], "fifteen working days end after three"
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
