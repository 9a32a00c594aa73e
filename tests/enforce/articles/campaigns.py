"""Articles 25 to 28: filings of each kind of body, and emergencies."""

import orjson

from stream.clock import now_ms
from stream.model import topics
from tests.enforce.api.harness import Json
from tests.enforce.articles.stage import DAY_MS, HOUR_MS, USERS, Stage, others

STANDING: Json = {"people": 1_000_000, "planned": 0, "body_campaigns": 0, "sent": 0, "refusals": 0}


def _filing(on: Stage, body: str, *, sender: str, region: str, level: str) -> Json:
    """An application in its form, filed in time, whose own time has begun for the filter."""
    return {
        "sender": sender,
        "body": body,
        "body_region": region,
        "level": level,
        "subject": "public-good",
        "reason": "秋冬季疫苗接种",
        "text": f"{body}提醒您接种流感疫苗，详询12320",
        "contact": "12320",
        "from": on.now + 50 * DAY_MS,
        "until": on.now + 70 * DAY_MS,
        "volume": 1000,
        "numbers": [f"1063{region}"],
    }


def _sent(campaign: str, filing: Json) -> Json:
    """An SMS of a campaign to somebody in its region."""
    region, number = str(filing["body_region"]), f"1063{filing['body_region']}1"
    within: Json = {} if region == "000000" else {"region": region}
    sms: Json = {"kind": "sms", "from": number, "to": USERS[8], "purpose": "public", "campaign": campaign}
    return {**sms, **within, "text": filing["text"]}


async def each_kind_of_body_files_with_its_own_administration(on: Stage) -> None:
    """Article 27: departments of the country and of a province, governments of a city and of a prefecture."""
    for by, administration, body, sender, level, region in (
        ("ministry", "national-regulator", "国家疾控局", "GOV-000000", "national", "000000"),
        ("body", "regulator", "北京市卫健委", "GOV-110000-HEALTH", "province", "110000"),
        ("city", "hebei-regulator", "石家庄市人民政府", "GOV-130100", "city-with-districts", "130100"),
        ("prefecture", "jilin-regulator", "延边朝鲜族自治州人民政府", "GOV-222400", "autonomous-prefecture", "222400"),
    ):
        filing = _filing(on, body, sender=sender, region=region, level=level)
        elsewhere = await on.client.post("/v1/filings", {**filing, "body_region": "310000", "level": "province"}, by=by)
        assert elsewhere.status == 403
        filed = await on.client.post("/v1/filings", filing, by=by)
        assert (filed.status, filed.lacking(), filed.body["faults"]) == (202, [], [])
        await on.case(filed.case, "weighing")
        await on.answers(_sent(filed.case, filing), "campaign_unknown")
        weighed: Json = {"outcome": "approve", "reason": "useful", "standing": STANDING}
        await on.refused_to((*others("regulator"), by, "far-regulator"), filed.case, "weighed", weighed)
        await on.decide(filed.case, "weighed", weighed, by=administration)
        await on.case(filed.case, "approved")
        await on.answers(_sent(filed.case, filing), "public_interest")
        await on.answers({**_sent(filed.case, filing), "text": "别的"}, "campaign_text_mismatch")


async def what_is_wrong_with_a_filing_is_told_and_a_refusal_has_its_reason(on: Stage) -> None:
    """Article 27: who may not file, what a text may not hold, and the reason of a refusal."""
    filing = _filing(on, "北京市卫健委", sender="GOV-110000-HEALTH", region="110000", level="province")
    soon: Json = {"from": on.now + 5 * DAY_MS, "until": on.now + 6 * DAY_MS}
    county: Json = {"body": "海淀区卫健委", "body_region": "110108", "level": "county"}
    for wrong, field in (
        (county, "level"),
        ({"sender": "ORG-INSPECTED"}, "sender"),  # a commercial one, under a body's name
        ({"text": f"{filing['text']}登录abc.cn查询"}, "text"),
        ({"text": str(filing["text"]).ljust(71, "好")}, "text"),
        (soon, "from"),
        ({"subject": "work-publicity"}, "subject"),
    ):
        faulty = await on.client.post("/v1/filings", {**filing, **wrong})
        assert faulty.status == 202
        assert field in faulty.faults()
        await on.case(faulty.case, "returned")
    national: Json = {**filing, "sender": "ORG-ACCUSED", "level": "national", "body_region": "000000"}
    assert (await on.client.post("/v1/filings", national, by="accused")).status == 403
    filed = await on.client.post("/v1/filings", filing, by="body", key="filing-1")
    again = await on.client.post("/v1/filings", filing, by="body", key="filing-1")
    assert (filed.status, filed.case) == (202, again.case)
    assert (await on.client.post("/v1/filings", {**filing, "volume": 2}, by="body", key="filing-1")).status == 422
    await on.case(filed.case, "weighing")
    serving: Json = {"notice": "N-1", "at": on.now, "how": "-", "to": "-"}
    assert (await on.tried(filed.case, "served", serving, by="desk")).status == 409
    refusal: Json = {"outcome": "refuse", "reason": "the same was sent in May", "standing": STANDING}
    await on.decide(filed.case, "weighed", refusal, by="regulator")
    await on.case(filed.case, "refused")
    await on.mailed("bodies@mail.example", refusal["reason"])
    await on.answers(_sent(filed.case, filing), "campaign_unknown")


async def an_emergency_is_sent_first_and_owes_two_words_and_its_filing(on: Stage) -> None:
    """Articles 25 and 26: one officer sends; another person, the regulator and the filing follow; it goes on by two."""
    await on.until(now_ms())  # the filter's moment: an emergency lasts three days at most
    text, end = "【北京市应急局】暴雨红色预警，请勿外出，咨询12345", on.now + 2 * DAY_MS
    filing: Json = {
        "sender": "GOV-110000-EMERGENCY",
        "body": "北京市应急局",
        "emergency": True,
        "incident": "natural-disaster",
        "text": text,
        "from": on.now - HOUR_MS,
        "until": end,
        "numbers": ["1063119"],
    }
    for by in others("desk", "regulator"):
        assert (await on.client.post("/v1/filings", filing, by=by)).status == 403
    urgent: Json = {"kind": "sms", "from": "10631190", "to": USERS[8], "purpose": "emergency", "text": text}
    await on.answers({**urgent, "campaign": "P-none"}, "unlicensed", urgent=True)
    years = await on.client.post("/v1/filings", {**filing, "until": on.now + 3_000 * DAY_MS})
    assert (years.status, [*years.faults()]) == (400, ["until"])
    commercial = await on.client.post("/v1/filings", {**filing, "sender": "ORG-INSPECTED"})
    assert (commercial.status, [*commercial.faults()]) == (400, ["sender"])
    sent = await on.client.post("/v1/filings", filing)
    lacking = {"sender": "GOV-110000-EMERGENCY has no record: the numbers of the filing alone carry it"}
    assert (sent.status, sent.faults()) == (202, lacking)
    case = sent.case
    await on.case(case, "sent-first")
    await on.reported(case, "regulator")
    await on.answers({**urgent, "campaign": case}, "emergency", urgent=True)
    await on.answers({**urgent, "campaign": case, "text": "全场八折"}, "unlicensed", urgent=True)

    # What the record of its sender lacks the same act may register; a link is told at once, and goes out.
    own: Json = {"sender": "GOV-110000-WATER", "numbers": ["1063777"], "contact": "12345", "text": f"{text}，见abc.cn"}
    linked = await on.client.post("/v1/filings", {**filing, **own, "register": True})
    assert (linked.status, linked.faults()) == (202, {"text": "link abc.cn"})
    records = [orjson.loads(record.value) for record in await on.client.records(topics.SENDERS)]
    (registered,) = [one["numbers"] for one in records if one["sender"] == own["sender"]]
    assert [(entry["prefix"], entry["purposes"]) for entry in registered] == [("1063777", ["public"])]
    from_own: Json = {**urgent, "from": "10637770", "campaign": linked.case, "text": own["text"]}
    await on.answers(from_own, "emergency", urgent=True)

    # Two words and the filing are owed: each by whose it is.
    await on.refused_to(others("desk", "regulator"), case, "seconded", {})
    assert (await on.tried(case, "seconded", {}, by="desk")).status == 409, "it takes another person"
    await on.act(case, "seconded", {}, by="other-desk")
    await on.refused_to(others("desk", "regulator"), case, "confirmed", {})
    assert (await on.tried(case, "confirmed", {}, by="desk")).faults().keys() == {"document"}
    assert (await on.tried(case, "confirmed", {}, by="regulator")).status == 403, "nobody has said where its body is"
    await on.act(case, "confirmed", {}, by="national-regulator")
    whole: Json = {"body_region": "110000", "level": "province", "subject": "disaster-warning", "reason": "暴雨"}
    assert (await on.client.post(f"/v1/filings/{case}", {**whole, "contact": "12345", "volume": 1000})).lacking() == []
    await on.case(case, "settled")

    renewal: Json = {"until": end + DAY_MS // 2, "reason": "the rain goes on"}
    await on.refused_to(others("desk", "regulator"), case, "renewed", renewal)
    await on.decide(case, "renewed", renewal, by="desk")
    await on.case(case, "sent-first")
    await on.act(case, "withdraw", {"reason": "it is over"}, by="regulator")
    await on.answers({**urgent, "campaign": case}, "unlicensed", urgent=True)
