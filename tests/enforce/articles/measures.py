"""Articles 22 and 32 to 40: measures with their notice and appeal, what authorities order and publish, inspections."""

from hashlib import sha256

import orjson

from stream.model import topics
from stream.model.codec import decode_as, encode
from stream.model.control import Notice
from tests.enforce.api.harness import Json
from tests.enforce.articles.stage import DAY_MS, USERS, Stage, others


async def _found(on: Stage, sender: str, *, state: str) -> str:
    """The case of a new finding of an inspection against a sender, once it is in that state."""
    finding: Json = {"party": {"sender": sender}, "grounds": "inspection", "evidence": ["visit 17"]}
    answer = await on.client.post("/v1/findings", finding)
    assert answer.status == 202
    case = f"M-{answer.body['id']}"
    await on.case(case, "found")
    await on.refused_to(others("desk", "regulator"), case, "seconded", {})
    assert (await on.tried(case, "seconded", {}, by="desk")).status == 409, "it takes another person"
    await on.act(case, "seconded", {}, by="other-desk")
    await on.case(case, state)
    return case


async def _order(on: Stage, case: str) -> str:
    """What the order of a case says now."""
    await on.written(topics.ORDERS, order=f"O-{case}")
    last = on.tail.all(topics.ORDERS, order=f"O-{case}")[-1]
    return f"{last['measure']} until {'now' if int(str(last['until'])) <= on.now else 'later'}"


async def a_suspension_waits_for_its_notice_and_gives_its_place_back_when_its_appeal_is_won(on: Stage) -> None:
    """Article 22: served by webhook and by hand, superseded and restored."""
    sender = "ORG-MEASURED"
    ad, service = on.advertising(sender, USERS[6]), on.service(sender)
    await on.until(on.now + 35 * DAY_MS)  # so that thirty days of suspension have not ended for the filter
    await on.answers(ad, "consented")

    # The first measure is notified by webhook, and stops commercial traffic when its grace is over.
    lighter = await _found(on, sender, state="warned")
    delivery = await on.written(topics.DELIVERIES, case=lighter, outcome="delivered")
    (said,) = [body for _, body in on.web.took if body["case"] == lighter]
    assert delivery["digest"] == sha256(encode(decode_as(Notice, orjson.dumps(said)))).hexdigest()
    assert delivery["address"] == on.web.url.replace("/notices", "/***")
    await on.answers(ad, "consented")
    await on.until_due(lighter, "grace")
    await on.case(lighter, "in-force")
    await on.answers(ad, "stopped")
    await on.answers(service, "service")

    # The second has no address any more: nobody is told by that, however long it lasts.
    del on.contacts[f"sender|{sender}"]
    on.write_contacts()
    heavier = await _found(on, sender, state="telling")
    await on.written(topics.DELIVERIES, case=heavier, via="contacts")
    await on.until_due(heavier, "tell")
    await on.breached(heavier, "tell")
    assert await _order(on, heavier) == "stop until later", "what needs no telling stands meanwhile"
    await on.answers(service, "service")
    notice = await on.awaited(heavier)
    direct: Json = {"measure": "suspend", "basis": "measures", "sender": sender, "notice": notice}
    assert "POST /v1/findings" in str((await on.client.post("/v1/orders", direct)).body["reason"])
    unsaid: Json = {"against": heavier, "party": {"sender": sender}, "grounds": "we had consent"}
    assert (await on.client.post("/v1/appeals", unsaid)).faults().keys() == {"evidence"}, "nobody saw it appeal"
    appeal: Json = {**unsaid, "evidence": ["letter 1"]}
    assert (await on.client.post("/v1/appeals", appeal)).status == 409, "that would tell nobody"

    # One officer serves it, another confirms that; then the grace runs.
    serving: Json = {"notice": notice, "at": on.now, "how": "-", "to": "-"}
    await on.refused_to(others("desk", "regulator"), heavier, "served", serving)
    await on.serve(heavier, by="desk", to="its legal department")
    await on.case(heavier, "warned")
    await on.answers(service, "service")
    await on.until_due(heavier, "grace")
    await on.case(heavier, "in-force")
    await on.case(lighter, "superseded")
    await on.answers(service, "suspended")

    # An appeal that was withdrawn is made anew; it is won, and the lighter measure stands again.
    withdrawn = await on.client.post("/v1/appeals", appeal)
    await on.case(withdrawn.case, "pending")
    await on.act(withdrawn.case, "withdraw", {"document": "letter 2"}, by="desk")
    await on.case(heavier, "in-force")
    appealed = await on.client.post("/v1/appeals", appeal)
    await on.case(appealed.case, "pending")
    outcome: Json = {"winner": "party", "reason": "it was shown"}
    await on.refused_to(others("desk", "regulator"), appealed.case, "decided", outcome)
    await on.decide(appealed.case, "decided", outcome, by="desk")
    await on.case(heavier, "appeal-won")
    await on.case(lighter, "in-force")
    assert (await _order(on, heavier), await _order(on, lighter)) == ("suspend until now", "stop until later")


async def a_party_that_loses_its_appeal_is_stopped(on: Stage) -> None:
    """Article 22: an appeal in the grace holds nothing up, and is made once."""
    sender = "ORG-APPEALS"
    measure = await _found(on, sender, state="warned")
    appeal: Json = {"against": measure, "grounds": "we were not there"}
    assert (await on.client.post("/v1/appeals", appeal, by="other-sender")).status == 404
    appealed = await on.client.post("/v1/appeals", appeal, by="appellant")
    await on.case(measure, "contested")
    await on.case(appealed.case, "pending")
    assert (await on.client.post("/v1/appeals", appeal, by="appellant")).status == 409
    own: Json = {"winner": "party", "reason": "we say so"}
    await on.refused_to(["appellant"], appealed.case, "decided", own)
    await on.decide(appealed.case, "decided", {"winner": "measure", "reason": "the logs show it"}, by="desk")
    await on.case(measure, "warned")
    await on.answers(on.advertising(sender, USERS[6]), "consented")
    await on.until_due(measure, "grace")
    await on.case(measure, "in-force")
    await on.answers(on.advertising(sender, USERS[6]), "stopped")
    assert (await on.client.post("/v1/appeals", appeal, by="appellant")).status == 409, "it was decided"


async def what_nobody_seconds_within_the_hour_is_annulled(on: Stage) -> None:
    """Article 32: a finding by hand bears evidence, and one person's word suspends for an hour at most."""
    sender = "ORG-HASTY"
    finding: Json = {"party": {"sender": sender}, "grounds": "prohibited-content"}
    for by in others("desk", "regulator"):
        assert (await on.client.post("/v1/findings", finding, by=by)).status == 403
    assert (await on.client.post("/v1/findings", finding)).faults().keys() == {"evidence"}
    at_once: Json = {"measure": "suspend", "basis": "prohibited-content", "sender": sender}
    assert (await on.client.post("/v1/orders", at_once)).status == 409, "that has a procedure of its own"
    await on.answers(on.service(sender), "service")
    found = await on.client.post("/v1/findings", {**finding, "evidence": ["sha256:2"]})
    await on.case(found.case, "found")
    await on.answers(on.service(sender), "suspended")
    assert (await on.tried(found.case, "seconded", {}, by="desk")).status == 409, "it takes another person"
    await on.until_due(found.case, "second")
    await on.case(found.case, "unconfirmed")
    await on.answers(on.service(sender), "service")


async def what_the_filter_blocks_opens_a_case_and_suspends_nobody_before_a_person_has_looked(on: Stage) -> None:
    """Article 32: once a sender and day, with the blocked messages as evidence, under hold."""
    sender = "ORG-FLAGGED"
    service = on.service(sender)
    blocked = await on.answers({**service, "text": "刷单返利，日入过千"}, "prohibited_content")
    assert blocked["verdict"] == "block"
    case = await on.case_of("prohibited-content", sender, state="flagged")
    for to in ("state-organs", "regulator"):
        await on.reported(case, to)
    await on.written(topics.HOLDS, case=case, basis="prohibited-content")
    for topic in (topics.DECISIONS, topics.EVENTS_SMS):
        held = await on.held(case, topic)
        assert held["outcome"] == "copied"
    await on.answers(service, "service")
    await on.refused_to(others("desk"), case, "seconded", {})
    await on.act(case, "seconded", {"detail": "it is"}, by="desk")
    await on.case(case, "found")
    await on.answers(service, "suspended")
    assert (await on.tried(case, "seconded", {}, by="desk")).status == 409, "it takes another person"
    await on.act(case, "seconded", {}, by="other-desk")
    await on.case(case, "under-investigation")
    outcome: Json = {"outcome": "confirmed", "detail": "it was fraud"}
    await on.decide(case, "investigated", outcome, by="desk")
    await on.case(case, "confirmed")
    await on.reported(case, "regulator", about=outcome["detail"])
    await on.answers(service, "suspended")


async def an_order_of_the_regulator_about_a_national_number_is_obeyed_until_the_regulator_revokes_it(on: Stage) -> None:
    """Article 37: with its document, at once, whatever way the number is written."""
    calls: list[Json] = [
        {"kind": "call", "from": number, "to": USERS[7], "purpose": "personal"}
        for number in ("+862155551234", "02155551234", "021-5555 1234")
    ]
    for call in calls:
        await on.answers(call, "personal")
    order: Json = {
        "party": {"number": "021 5555-1234"},
        "measure": "suspend",
        "at_once": True,
        "authority": "通信管理局",
    }
    for by in others("regulator"):
        assert (await on.client.post("/v1/directions", order, by=by)).status == 403
    directed = await on.client.post("/v1/directions", order, by="regulator")
    assert directed.lacking() == ["document"]
    case = directed.case
    await on.case(case, "incomplete")
    await on.answers(calls[0], "personal")
    document: Json = {"document": "2026-17"}
    assert (await on.client.post(f"/v1/directions/{case}", document, by="far-regulator")).status == 403
    assert (await on.client.post(f"/v1/directions/{case}", document, by="regulator")).lacking() == []
    await on.case(case, "carried-out")
    for call in calls:
        assert (await on.answers(call, "suspended"))["basis"] == "regulator-order"
    (measure,) = on.tail.cases("measure", "+862155551234")
    kindness: Json = {"reason": "kindness"}
    for undone, event in ((measure, "lift"), (case, "revoked")):
        await on.refused_to((*others("regulator"), "far-regulator"), undone, event, kindness)
    await on.reported(case, "regulator", about="the measure is in force")
    await on.decide(case, "revoked", {"reason": "the fault was found"}, by="regulator")
    await on.case(case, "revoked")
    await on.case(measure, "lifted")
    for call in calls:
        await on.answers(call, "personal")


async def who_was_punished_is_listed_once_told_and_not_heard_from(on: Stage) -> None:
    """Articles 36, 38 to 40: nothing is published before the party was reached and had its time."""
    punishment: Json = {"party": {"sender": "ORG-PUNISHED"}, "authority": "通信管理局", "document": "2026-18"}
    for by in others("regulator"):
        assert (await on.client.post("/v1/punishments", punishment, by=by)).status == 403
    punished = await on.client.post("/v1/punishments", punishment, by="regulator")
    await on.case(punished.case, "proposed")
    assert not on.tail.all(topics.LISTINGS)
    await on.refused_to(others("regulator"), punished.case, "lift", {"reason": "-"})
    await on.until_due(punished.case, "object")
    await on.case(punished.case, "listed")
    entry = await on.written(topics.LISTINGS, document="2026-18")
    assert int(str(entry["until"])) - int(str(entry["from"])) == 3 * 365 * DAY_MS
    shown = await on.client.get("/v1/listings", by="read-only", party="sender|ORG-PUNISHED")
    assert [one["document"] for one in orjson.loads(orjson.dumps(shown.body["listings"]))] == ["2026-18"]


async def what_an_inspection_asks_for_is_handed_over_masked_and_what_it_finds_is_a_finding(on: Stage) -> None:
    """Articles 34 and 35."""
    measure = await _found(on, "ORG-INSPECTED", state="warned")
    await on.until_due(measure, "grace")
    await on.case(measure, "in-force")
    lines: list[Json] = []
    after: dict[str, str] = {}
    while True:
        page = await on.client.get("/v1/cases", by="read-only", limit="10", **after)
        lines += orjson.loads(orjson.dumps(page.body["cases"]))
        if not page.body["after"]:
            break
        after = {"after": str(page.body["after"])}
    assert measure in {one["case"] for one in lines}
    looked = await on.written(topics.ACCESSES, actor="auditor:1", operation="list-cases")
    assert looked["cases"] == [one["case"] for one in lines[:10]], "who looked at what stands on record"
    shown = [await on.client.get(f"/v1/cases/{one['case']}", by="read-only") for one in lines]
    text = orjson.dumps([one.body for one in shown]).decode()
    assert not [user for user in USERS if user[3:] in text]
    assert "+86138****800" in text
    found = await on.client.get("/v1/cases", subscriber=USERS[5])
    assert [one["procedure"] for one in orjson.loads(orjson.dumps(found.body["cases"]))] == ["dispute"]
    assert (await on.client.get("/v1/cases", by="read-only", subscriber=USERS[5])).status == 403
    await on.refused_to(["read-only"], measure, "lift", {"reason": "-"})
