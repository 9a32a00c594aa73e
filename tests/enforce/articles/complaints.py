"""Articles 29 to 33 as users, the centre, the company and the appeals body live through them."""

import orjson

from stream.model import topics
from tests.enforce.api.harness import Json
from tests.enforce.articles.stage import BANK, BANK_LINE, HOUR_MS, USERS, Stage, others, port_of


async def a_complaint_is_asked_for_what_it_lacks_and_goes_its_whole_way(on: Stage) -> None:
    """Articles 29 to 31, and the measure of Article 22 that it leads to."""
    user, neighbour, sender = USERS[0], USERS[1], "ORG-ACCUSED"
    await on.answers(on.advertising(sender, user), "consented")
    said: Json = {"subscriber": user, "channel": "sms", "from": port_of(sender), "refusal": True}
    assert (await on.client.post("/v1/complaints", said, by="other-agent")).status == 403
    filed = await on.client.post("/v1/complaints", said, by="agent", key="complaint-1")
    assert filed.status == 202
    assert filed.lacking() == ["at", "text or evidence"]
    again = await on.client.post("/v1/complaints", said, by="agent", key="complaint-1")
    assert (again.status, again.case) == (202, filed.case)
    more: Json = {"at": on.now - HOUR_MS, "text": "贷款"}
    other = await on.client.post("/v1/complaints", {**said, **more}, by="agent", key="complaint-1")
    assert (other.status, other.body["error"]) == (422, "key-reused")
    case = filed.case
    await on.case(case, "incomplete")
    early = await on.tried(case, "forwarded", {"to": "山海"}, by="centre")
    assert (early.status, early.body["possible"]) == (409, ["served"])
    await on.mailed("user0@mail.example", "text or evidence")

    # What completes it starts the clock; what the user refuses waits for nobody.
    assert (await on.client.post(f"/v1/complaints/{case}", more, by="agent")).lacking() == []
    await on.case(case, "received")
    await on.answers(on.advertising(sender, user), "refused")
    await on.refused_to(others("desk", "centre"), case, "forwarded", {"to": "山海"})
    assert (await on.tried(case, "forwarded", {"to": "山海"}, by="desk")).faults().keys() == {"document"}
    await on.act(case, "forwarded", {"to": "山海"}, by="centre")
    await on.case(case, "forwarded")
    verified: Json = {"result": "confirmed", "detail": "it was so"}
    await on.refused_to((*others("desk"), "agent"), case, "verified", verified)
    await on.decide(case, "verified", verified, by="desk")
    await on.case(case, "confirmed")
    measure = await on.measure_of(sender, state="warned")

    # The accused learns that somebody complained, and not who.
    seen = await on.client.show(measure, by="accused")
    (told,) = [body for _, body in on.web.took if body["case"] == measure]
    assert (told["measure"], told["reason"]) == ("stop", "complaint")
    assert not [one for one in (seen, told) if user[3:] in orjson.dumps(one).decode()]
    assert (await on.client.get(f"/v1/cases/{case}", by="accused")).status == 404

    done: Json = {"detail": "its traffic is stopped"}
    for event, by, state in (
        ("acted-upon", "desk", "acted"),
        ("reported", "desk", "reported"),
        ("answered", "centre", "answered"),
    ):
        assert (await on.tried(case, "forwarded", {"to": "山海"}, by="centre")).status == 409
        await on.refused_to((*others("desk", "centre"), "accused"), case, event, done)
        await on.act(case, event, done, by=by)
        await on.case(case, state)
    await on.mailed("user0@mail.example", done["detail"])
    await on.reported(case, "company")
    await on.reported(case, "complaint-centre", about=done["detail"])

    await on.answers(on.advertising(sender, neighbour), "consented")
    await on.until_due(measure, "grace")
    await on.case(measure, "in-force")
    await on.answers(on.advertising(sender, neighbour), "stopped")
    await on.answers(on.service(sender), "service")


async def a_complaint_about_prohibited_content_stops_its_sender_at_once(on: Stage) -> None:
    """Articles 31 and 32: found by a complaint, confirmed by a second person, investigated, cleared."""
    sender = "ORG-CONTENT"
    await on.answers(on.service(sender), "service")
    said: Json = {
        "subscriber": USERS[2],
        "channel": "sms",
        "from": port_of(sender),
        "at": on.now - HOUR_MS,
        "text": "刷单",
        "about": "prohibited-content",
        "evidence": ["sha256:1"],
    }
    filed = await on.client.post("/v1/complaints", said, by="centre")
    await on.case(filed.case, "received")
    await on.act(filed.case, "forwarded", {"to": "山海", "document": "12321/2026-9"}, by="desk")
    await on.case(filed.case, "forwarded")
    await on.decide(filed.case, "verified", {"result": "confirmed", "detail": "刷单"}, by="desk")
    measure = await on.measure_of(sender, state="in-force")
    suspended = await on.answers(on.service(sender), "suspended")
    assert suspended["basis"] == "prohibited-content"
    found = await on.case_of("prohibited-content", sender, state="found")
    for to in ("state-organs", "regulator"):
        await on.reported(found, to)
    await on.written(topics.HOLDS, case=filed.case, basis="prohibited-content")

    # Who found it does not confirm it; another does, within the hour.
    await on.refused_to(others("desk"), found, "seconded", {})
    assert (await on.tried(found, "seconded", {}, by="other-desk")).status == 409
    await on.act(found, "seconded", {"detail": "seen"}, by="desk")
    await on.case(found, "under-investigation")
    outcome: Json = {"outcome": "cleared", "detail": "the route was another's"}
    await on.refused_to(others("desk"), found, "investigated", outcome)
    await on.decide(found, "investigated", outcome, by="desk")
    await on.case(found, "cleared")
    await on.case(measure, "lifted")
    await on.answers(on.service(sender), "service")
    for to in ("state-organs", "regulator"):
        await on.reported(found, to, about=outcome["detail"])


async def a_spoofed_number_is_held_against_nobody_and_the_answer_is_served_by_hand(on: Stage) -> None:
    """Articles 29 to 31: whose number was spoofed is no violator; a user without address is told by a person."""
    user = USERS[3]
    said: Json = {
        "subscriber": user,
        "channel": "call",
        "from": "010-5555 0000",
        "at": on.now - HOUR_MS,
        "text": "贷款",
    }
    filed = await on.client.post("/v1/complaints", said, by="agent")
    case = filed.case
    await on.case(case, "received")
    await on.act(case, "forwarded", {"to": "山海银行"}, by="centre")
    await on.case(case, "forwarded")
    spoofed: Json = {"result": "confirmed", "detail": "it came from abroad", "spoofed": True}
    named = await on.tried(case, "verified", {**spoofed, "party": {"sender": BANK}}, by="desk")
    assert named.faults().keys() == {"party"}
    await on.decide(case, "verified", spoofed, by="desk")
    await on.case(case, "confirmed")
    report = await on.reported(case, "company", basis="number-use")
    assert "find and close the route" in str(report["about"])
    call: Json = {"kind": "call", "from": BANK_LINE, "to": user, "purpose": "service"}
    await on.answers({**call, "verstat": "TN-Validation-Failed-A"}, "spoofed_number")
    await on.answers({**call, "verstat": "TN-Validation-Passed"}, "service")

    for event, by, state in (
        ("acted-upon", "desk", "acted"),
        ("reported", "desk", "reported"),
        ("answered", "centre", "answering"),
    ):
        await on.act(case, event, {"detail": "the route is closed"}, by=by)
        await on.case(case, state)
    await on.written(topics.DELIVERIES, case=case, via="contacts")
    notice = await on.awaited(case)
    letter = await on.client.get(f"/v1/cases/{case}/letter", by="centre")
    assert [said in str(letter.body["text"]) for said in ("the route is closed", "语音呼叫", "第三十三条")] == [
        True
    ] * 3
    serving: Json = {"notice": notice, "at": on.now, "how": "-", "to": "-"}
    await on.refused_to((*others("desk", "centre"), "agent"), case, "served", serving)
    await on.serve(case, by="centre", to="the user")
    await on.case(case, "answered")
    assert not on.tail.cases("measure", BANK)


async def a_dispute_after_a_missed_clock_is_not_early_and_is_decided_for_the_user(on: Stage) -> None:
    """Article 33: recorded at any step, decided by the appeals body alone, told to the user."""
    user, sender = USERS[4], "ORG-DISPUTED"
    alone = await on.client.post("/v1/disputes", {"subscriber": USERS[5], "grounds": "calls at night"}, by="agent")
    assert "will ask for" in str(alone.body["note"])
    await on.case(alone.case, "submitted")
    report = await on.written(topics.REPORTS, case=alone.case, to="appeals-body")
    await on.written(topics.DELIVERIES, notice=report["report"], via="contacts")
    serving: Json = {"notice": report["report"], "at": on.now, "how": "courier", "to": "its registry"}
    await on.refused_to(others("desk"), alone.case, "served", serving)
    await on.decide(alone.case, "served", serving, by="desk")
    said: Json = {"subscriber": user, "channel": "sms", "from": port_of(sender), "at": on.now - HOUR_MS, "text": "贷款"}
    filed = await on.client.post("/v1/complaints", said, by="agent")
    await on.case(filed.case, "received")
    await on.until_due(filed.case, "forward")
    await on.breached(filed.case, "forward")
    await on.case(filed.case, "received")
    grounds: Json = {"complaint": filed.case, "grounds": "nobody did anything"}
    assert (await on.client.post("/v1/disputes", grounds, by="other-agent")).status == 404
    disputed = await on.client.post("/v1/disputes", grounds, by="agent")
    assert (disputed.status, disputed.body["note"]) == (202, None)
    case = disputed.case
    await on.case(case, "submitted")

    ruling: Json = {"winner": "user", "reason": "the advertisements came without consent"}
    assert (await on.tried(case, "dispute-decided", ruling, by="appeals-body")).status == 409
    await on.refused_to(others("desk", "appeals-body"), case, "accepted", {})
    assert (await on.tried(case, "accepted", {}, by="desk")).faults().keys() == {"document"}
    await on.act(case, "accepted", {}, by="appeals-body")
    await on.case(case, "with-company")
    view: Json = {"detail": "it was forwarded late"}
    await on.refused_to(others("desk"), case, "company-answered", view)
    await on.act(case, "company-answered", view, by="desk")
    await on.case(case, "heard")
    await on.refused_to((*others("desk", "appeals-body"), "agent"), case, "dispute-decided", ruling)
    await on.decide(case, "dispute-decided", ruling, by="appeals-body")
    await on.case(case, "decided-for-user")
    await on.mailed("user4@mail.example", ruling["reason"])
    await on.measure_of(sender, state="warned")

    # What the complaint owes is still owed, until the user takes it back.
    await on.act(filed.case, "forwarded", {"to": "山海"}, by="centre")
    await on.case(filed.case, "forwarded")
    await on.refused_to(others(), filed.case, "withdrawn", {})
    await on.act(filed.case, "withdrawn", {}, by="agent")
    await on.case(filed.case, "withdrawn")
