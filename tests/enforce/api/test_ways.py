"""The whole ways of complaints, appeals, campaigns and findings over HTTP, on genuine Kafka: records first."""

import orjson
import pytest

from bloom.partition import partition_of
from stream.config import Config
from stream.enforce.procedures.forms import PERSON
from stream.model import topics
from tests.enforce.api.harness import (
    COMPLAINT,
    FILING,
    Json,
    eventually,
    register,
    running_api,
)
from tests.filter.harness import PARTITIONS, write

pytestmark = pytest.mark.kafka


async def test_a_complaint_is_a_record_first_and_then_a_case_that_goes_its_whole_way(config: Config) -> None:
    async with running_api(config, registrar=True) as client:
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
            ("reported", "desk", {"detail": "stopped"}, "reporting"),
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
            "at": shown["line"]["updated"],  # type: ignore[index]
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
        filed = await client.post("/v1/filings", {**FILING, "reason": "", "text": linked}, by="body")
        assert [one["field"] for one in filed.body["missing"]] == ["reason"]  # type: ignore[attr-defined]
        assert [one["reason"] for one in filed.body["faults"]] == ["link abc.cn"]  # type: ignore[attr-defined]
        await client.show(filed.case, by="body", state="incomplete")
        mended = await client.post(f"/v1/filings/{filed.case}", {"reason": "疫苗", "text": FILING["text"]}, by="body")
        assert (mended.status, mended.body["faults"]) == (202, [])
        shown = await client.show(filed.case, by="body", state="weighing")
        assert shown["possible"] == ["withdraw"]
        standing = {"people": 10, "planned": 0, "body_campaigns": 0, "sent": 0, "refusals": 0}
        weigh = {"outcome": "approve", "reason": "useful", "standing": standing}
        heavy = await client.act(filed.case, "weighed", by="regulator", **weigh)
        assert (heavy.status, heavy.faults()) == (400, {"override": "missing: messages_per_person is 100, over 2"})
        far = await client.act(filed.case, "weighed", by="far-regulator", **weigh, override="everybody is ill")
        assert far.status == 403
        assert "is for the administration of 110000" in str(far.body["reason"])
        approved = await client.decide(filed.case, "weighed", by="regulator", **weigh, override="everybody is ill")
        assert approved.status == 202
        await client.show(filed.case, by="body", state="approved")
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


@pytest.mark.parametrize("anyway", [False, True])
async def test_a_verified_complaint_refuses_over_a_newer_consent_only_where_the_user_says_so(
    config: Config, *, anyway: bool
) -> None:
    consent = {
        "subscriber": "+8613800138000", "channel": "sms", "source": "web-form", "will": "consent", "sender": "ORG-9",
        "category": "finance",
    }  # fmt: skip
    await register(config, "ORG-9")
    async with running_api(config, registrar=True) as client:
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
    async with running_api(config, registrar=True) as client:
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
        doubted = {"result": "unconfirmed", "detail": "not so"}
        assert (await client.act(cases[0], "verified", **doubted, spoofed=True)).faults().keys() == {"spoofed"}
        assert (await client.act(cases[0], "verified", by="other-desk", **doubted)).status == 202
        await client.show(cases[0], step=3)
        opposite = await client.act(cases[0], "verified", result="confirmed", detail="so")
        assert "it takes the place of what desk:18 had proposed" in str(opposite.body["note"])
        await client.show(cases[0], step=4)
        assert (await client.act(cases[0], "verified", by="other-desk", result="confirmed", detail="so")).status == 202
        assert (await client.decide(cases[1], "verified", result="confirmed", detail="so")).status == 202
        for case in cases:
            await client.show(case, state="confirmed")

        async def refused() -> bool | None:
            """As the user asked, and as it was confirmed: the registrar is asked, and writes when it has answered."""
            written = [orjson.loads(one.value)["sender"] for one in await client.records(topics.EXPRESSIONS)]
            return written == ["ORG-7"] * 4 or None

        await eventually(refused)

        async def measured() -> Json | None:
            query = {"procedure": "measure", "party": "sender|ORG-7"}
            lines = (await client.get("/v1/cases", **query)).body["cases"]
            assert isinstance(lines, list)
            return lines[0] if [line["step"] for line in lines] == [2] else None

        await eventually(measured)  # one case, which the second finding has joined
        bare: Json = {"subscriber": "+8613800138000", "grounds": "again", "party": {"number": "1069099903"}}
        shown = await client.show((await client.post("/v1/disputes", bare, by="agent")).case, state="submitted")
        assert shown["line"]["party"] == {"sender": "ORG-7", "number": None}  # type: ignore[index]
        elsewhere = await client.post("/v1/disputes", {**bare, "complaint": cases[0]}, by="agent")
        assert elsewhere.faults().keys() == {"party"}
        party = {"number": "1069099903"}
        inspected = await client.post("/v1/findings", {"party": party, "grounds": "inspection", "channel": "sms"})
        assert inspected.status == 202
        found = [
            orjson.loads(one.value)["event"]
            for one in await client.records(topics.CASE_EVENTS)
            if one.key == b"sender|ORG-7"
        ]
        assert found[-1]["finding"]["evidence"] == ["number|1069099903"]


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
        await client.show(untold, state="found")
        assert (await client.act(untold, "seconded")).status == 409, "it takes another person"
        assert (await client.act(untold, "seconded", by="other-desk")).status == 202
        await client.show(untold, by="other-sender", state="telling")
        appeal: Json = {"against": untold, "party": {"sender": "ORG-1"}, "grounds": "not us"}
        assert (await client.post("/v1/appeals", appeal)).faults().keys() == {"evidence"}, "of the party itself"
        refused = await client.post("/v1/appeals", {**appeal, "evidence": ["its letter of 1 March"]})
        assert (refused.status, refused.body["possible"]) == (409, ["served", "lift"]), "that would tell nobody"
        assert (await client.post("/v1/appeals", appeal, by="other-sender")).status == 202
        await client.show(untold, by="other-sender", state="contested")
        punished = await client.post(
            "/v1/punishments",
            {"party": {"sender": "ORG-9"}, "authority": "通信管理局", "document": "2026-18"},
            by="regulator",
        )
        await client.show(punished.case, by="sender", state="telling")
