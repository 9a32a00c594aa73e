"""Filings as the API takes them: what an emergency is refused for, what is said of it, what it registers. Pure."""

import msgspec
import pytest

from stream.enforce.api import acts, filings
from stream.enforce.api.api_request import ApiRequest, SendersWrite, Write
from stream.enforce.api.auth import Caller, Jurisdiction
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.responses import FAULTS_MAX, Accepted, Fault, Problem
from stream.enforce.cases import store
from stream.enforce.procedures.campaign import PROCEDURE, CampaignCase, CampaignEvent, Confirmed, Filed
from stream.enforce.procedures.engine import advance
from stream.enforce.procedures.messages import Seconded
from stream.model.cases import CaseView
from stream.model.codec import decode_as, encode
from stream.model.control import Filing
from stream.model.fields import EntryPurpose
from stream.model.registry import NumberEntry, Sender
from stream.registry.registry import Registry, registry_of
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import HOUR, MINUTE, NOW, TERMS, took

GOV = "GOV-110000-HEALTH"
DESK = Caller("desk", "desk:17")
BODY = Caller("sender", "gov-7", (GOV,), Jurisdiction("province", "110000"))
STATED: dict[str, object] = {
    name: value
    for name, value in msgspec.to_builtins(pools.EMERGENCY).items()
    if name not in ("kind", "filing", "time", "actor") and value is not None
}


def sender(*purposes: EntryPurpose, prefix: str = "10690012320", **fields: object) -> Sender:
    entries = (NumberEntry(prefix, "sms", purposes),) if purposes else ()
    stated = {"sender": GOV, "name": "北京市卫生健康委", "contact": "12320", "status": "active", "numbers": entries}
    return Sender(**(stated | fields))  # type: ignore[arg-type]


NAMED = frozenset(STATED) - {"emergency", "incident"} | {"reason", "volume"}
"""The fields of an application."""

Changes = dict[str, object]
NONE: Changes = {}


def written(
    registry: Registry,
    changes: Changes = NONE,
    *,
    case: CaseView | None = None,
    caller: Caller = DESK,
    now: int = NOW,
) -> Write:
    """What becomes of an emergency with these changes; or, in `case`, of these added to it."""
    index = CaseIndex(kept_ms=10**12)
    if case is not None:
        index.put(indexed(encode(case)))
    stated = {name: value for name, value in (({} if case else STATED) | changes).items() if value is not None}
    request = ApiRequest(caller, stated, now, "form-1", "P-1" if case else "", index, TERMS)
    write = filings.complete_campaign(request) if case else filings.file_campaign(request)
    done = write.resolve(registry) if isinstance(write, SendersWrite) else write
    assert isinstance(done, Write)
    return done


def after(*events: CampaignEvent) -> CaseView:
    """The view of a case after these events, a minute apart."""
    case = CampaignCase(case="P-1")
    for count, event in enumerate(events):
        case = took(advance(PROCEDURE, case, event, NOW + count * MINUTE, TERMS)).case
    view = store.view_of("P-1", store.Entry("campaign", msgspec.Raw(encode(case)), NOW))
    assert view is not None
    return view


def reasons(faults: tuple[Fault, ...]) -> list[str]:
    return [fault.reason for fault in faults]


KNOWN = registry_of([sender("emergency")])
SENT = Filed(pools.EMERGENCY)


def test_an_emergency_of_a_body_whose_record_is_whole_is_sent_and_says_who_confirms_it_by_when() -> None:
    write = written(KNOWN)
    assert isinstance(write.record, Filing)
    assert write.record.actor == "desk:17"
    assert (reasons(write.answer.faults), write.register) == ([], None)
    assert write.answer.note == (
        "sent: another person confirms it (`seconded`) before 2026-09-18T03:00:00Z, the regulator (`confirmed`) before "
        "2026-09-19T02:00:00Z; it ends at 2026-09-18T04:00:00Z, unless two persons renew it (`renewed`)"
    )


@pytest.mark.parametrize(
    ("record", "changes", "field", "reason", "mend"),
    [
        (sender("emergency", "commercial"), {}, "sender", f"{GOV} is a commercial sender, by its entry 1069", "public"),
        (sender("commercial"), {"register": True}, "sender", f"{GOV} is a commercial sender", "a name of its own"),
        (sender("emergency", status="revoked"), {}, "sender", f"{GOV} is revoked", "state the sender of a public body"),
        (sender("service"), {}, "sender", f"nothing shows that {GOV} is a public body's", "and `register`: true"),
        (sender("service"), {"register": True}, "sender", f"nothing shows that {GOV} is", "`numbers` of its own that"),
        (
            sender("emergency"),
            {"until": NOW + 87_600 * HOUR},
            "until",
            "2036-",
            "at most 2026-09-21T02:00:00Z",
        ),
        (sender("emergency"), {"until": NOW}, "until", "2026-09-18T02:00:00Z is over", "state a moment to come"),
        (sender("emergency"), {"incident": "sale"}, "incident", "Invalid enum value 'sale'", "state one of"),
    ],
)
def test_what_makes_it_no_emergency_is_refused_with_what_is_allowed_and_what_comes_next(
    record: Sender, changes: dict[str, object], field: str, reason: str, mend: str
) -> None:
    with pytest.raises(Problem) as refused:
        written(registry_of([record]), changes)
    (fault,) = refused.value.refusal.faults
    assert (refused.value.status, fault.field) == (400, field)
    assert fault.reason.startswith(reason)
    assert mend in fault.mend


@pytest.mark.parametrize("missing", ["incident", "text", "until"])
def test_what_is_not_sent_yet_says_so(missing: str) -> None:
    answer = written(KNOWN, {missing: None}).answer
    assert answer.note == f"not sent yet: it must still say {missing}"
    assert missing in {fault.field for fault in answer.missing}


def test_a_link_or_advertisement_is_named_in_the_answer_and_the_emergency_sent() -> None:
    answer = written(KNOWN, {"text": "【北京市卫生健康委】暴雨,雨具八折,见abc.cn,咨询12320"}).answer
    assert reasons(answer.faults) == ["link abc.cn", "reads like an advertisement: 八折"]
    assert all("it is sent all the same" in fault.mend for fault in answer.faults)
    unsent = written(KNOWN, {"text": "【北京市卫生健康委】见abc.cn,咨询12320", "incident": None}).answer
    assert [fault.mend for fault in unsent.faults] == [filings.MEND], "it is not sent yet"
    many = "".join(f"a{place}.cn " for place in range(1_000))
    assert len(written(KNOWN, {"text": many}).answer.faults) == FAULTS_MAX


@pytest.mark.parametrize(
    ("known", "changes", "lacks"),
    [
        ([], {}, [f"{GOV} has no record: the numbers of the filing alone carry it"]),
        ([], {"numbers": None}, [f"{GOV} has no record: no number carries it: state `numbers`"]),
        ([sender()], {}, [f"the record of {GOV} has no numbers for sms: the numbers of the filing alone carry it"]),
        ([sender("public")], {}, []),
        (
            [sender("emergency", name="某某局", signatures=("某局",))],
            {},
            [f"the record of {GOV} names 某某局, not 北京市卫生健康委"],
        ),
        ([sender("emergency", name="某某局", signatures=("北京市卫生健康委",))], {}, []),
        (
            [sender("emergency"), sender("service", prefix="10086", sender="CARRIER")],
            {"numbers": ["10690012320", "10086"]},
            ["10086 is CARRIER's: it carries the text as filed, and no other"],
        ),
    ],
)
def test_what_the_record_of_its_sender_lacks_is_said_at_once_and_holds_nothing_up(
    known: list[Sender], changes: dict[str, object], lacks: list[str]
) -> None:
    answer = written(registry_of(known), changes).answer
    assert reasons(answer.faults) == lacks
    assert (answer.note or "").startswith("sent: ")


@pytest.mark.parametrize(
    ("known", "changes", "numbers"),
    [
        ([], {}, (("10690012320", ("public",)),)),
        ([sender()], {}, (("10690012320", ("public",)),)),
        ([sender("service", prefix="1069777")], {}, (("1069777", ("service",)), ("10690012320", ("public",)))),
        (
            [sender("service", prefix="10086", sender="CARRIER")],
            {"numbers": ["10086", "1069777", "1069777"]},
            (("1069777", ("public",)),),
        ),
    ],
)
def test_the_same_act_registers_what_the_record_lacks(
    known: list[Sender], changes: dict[str, object], numbers: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    write = written(registry_of(known), {"register": True} | changes)
    assert write.register is not None
    record = write.register.sender
    assert tuple((entry.prefix, entry.purposes) for entry in record.numbers) == numbers
    assert (record.sender, record.name, record.contact) == (GOV, "北京市卫生健康委", "12320")
    assert not any(GOV in reason for reason in reasons(write.answer.faults)), "nothing is lacking any more"
    failed: Accepted = write.register.failed("no registrar answered")
    assert "nothing was registered: no registrar answered" in reasons(failed.faults)
    assert len(failed.faults) > len(write.answer.faults), "what is lacking is said all the same"


def test_what_cannot_be_registered_is_said_and_the_emergency_is_sent() -> None:
    unfit: tuple[Changes, ...] = ({"contact": None}, {"numbers": ["106"]})
    for changes in unfit:
        other = sender("service", prefix="1069001", sender="ORG-1")
        write = written(registry_of([other]), {"register": True} | changes)
        assert write.register is None
        assert any(reason.startswith("nothing was registered: ") for reason in reasons(write.answer.faults))
        assert (write.answer.note or "").startswith("sent: ")
    assert written(KNOWN, {"register": True}).register is None, "nothing is lacking"
    with pytest.raises(Problem) as refused:
        written(KNOWN, {"register": True, "emergency": False, "incident": None})
    assert refused.value.refusal.faults[0].field == "register"


def test_a_body_enters_no_emergency_neither_whole_nor_by_completing_one() -> None:
    begun = after(Filed(msgspec.structs.replace(pools.EMERGENCY, text=None)))
    text: Changes = {"text": "【北京市卫生健康委】暴雨,咨询12320"}
    for case, changes in ((None, NONE), (begun, text)):
        with pytest.raises(Problem, match="the desk or the regulator enters it") as refused:
            written(KNOWN, changes, case=case, caller=BODY)
        assert refused.value.status == 403


def test_a_body_files_what_an_emergency_owes_and_nothing_more() -> None:
    sent = after(SENT)
    assert written(KNOWN, {"reason": "a flood"}, case=sent, caller=BODY).answer.missing == ()
    more: tuple[Changes, ...] = ({"numbers": ["10086"]}, {"regions": ["110000"]}, {"register": True})
    for changes in more:
        with pytest.raises(Problem, match="the desk or the regulator states"):
            written(KNOWN, {"reason": "a flood"} | changes, case=sent, caller=BODY)
    assert written(KNOWN, {"numbers": ["10086"]}, case=sent).answer.note is None, "an officer may, at once"


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"text": "another"}, "file another"),
        ({"sender": "ORG-9"}, "file another"),
        ({"until": NOW + HOUR}, "`renewed`"),
    ],
)
def test_what_was_sent_is_not_changed_by_its_filing(changes: dict[str, object], mend: str) -> None:
    with pytest.raises(Problem) as refused:
        written(KNOWN, {"reason": "a flood"} | changes, case=after(SENT))
    (fault,) = refused.value.refusal.faults
    assert (fault.field, fault.reason) == (next(iter(changes)), "it was sent as it is")
    assert mend in fault.mend


def test_the_owed_filing_is_taken_whatever_became_of_window_and_sender_since() -> None:
    commercial = registry_of([sender("emergency", "commercial")])
    answer = written(commercial, {"reason": "a flood"}, case=after(SENT), now=NOW + 50 * HOUR).answer
    assert (answer.missing, answer.faults) == ((), ())


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (sender("commercial"), f"{GOV} is a commercial sender, by its entry 10690012320 on sms"),
        (sender("public", status="revoked"), f"{GOV} is revoked, and the filter lets nothing of it pass"),
        (sender("service"), f"nothing shows that {GOV} is a public body's: no entry of it is for public or emergency"),
    ],
)
def test_an_application_for_a_sender_that_is_no_public_bodys_comes_back_until_its_record_shows_one(
    record: Sender, problem: str
) -> None:
    form = msgspec.structs.replace(pools.FILING, regions=(), numbers=())
    stated = {name: value for name, value in msgspec.to_builtins(form).items() if name in NAMED and value}
    unsent: Changes = dict.fromkeys(STATED) | stated
    for caller in (DESK, BODY):
        write = written(registry_of([record]), unsent, caller=caller)
        (fault,) = write.answer.faults
        assert (fault.field, fault.mend) == ("sender", filings.MEND)
        assert fault.reason.startswith(problem)
        assert isinstance(write.record, Filing)
        returned = after(Filed(write.record))
        case = decode_as(CampaignCase, bytes(returned.body))
        assert case.state == "returned"
        mended = written(registry_of([sender("public")]), {"sender": GOV}, case=returned, caller=caller)
        assert isinstance(mended.record, Filing)
        assert mended.answer.faults == ()
        assert took(advance(PROCEDURE, case, Filed(mended.record), NOW, TERMS)).case.state == "weighing"
    for known in ([], [sender()], [sender("public")]):
        assert written(registry_of(known), unsent).answer.faults == ()


def act(view: CaseView, caller: Caller, now: int, **stated: object) -> Accepted:
    index = CaseIndex(kept_ms=10**12)
    index.put(indexed(encode(view)))
    write = acts.decide(ApiRequest(caller, stated, now, "form-1", "P-1", index, TERMS))
    assert isinstance(write, Write)
    return write.answer


def test_who_confirms_is_another_person_and_the_regulator_with_its_document_where_the_desk_records_it() -> None:
    sent = after(SENT)
    other = Caller("desk", "desk:18")
    assert act(sent, other, NOW + MINUTE, event="seconded").case == "P-1"
    for event in ({"event": "seconded"}, {"event": "confirmed", "document": "2026-7"}):
        with pytest.raises(Problem, match="another person than who sent it") as refused:
            act(sent, DESK, NOW + MINUTE, **event)
        assert refused.value.status == 409
    with pytest.raises(Problem) as undocumented:
        act(sent, other, NOW + MINUTE, event="confirmed")
    assert undocumented.value.refusal.faults[0].field == "document"
    assert act(sent, other, NOW + MINUTE, event="confirmed", document="2026-7").note is None


def test_where_the_bodys_region_is_unknown_the_national_administration_confirms() -> None:
    nowhere = after(Filed(msgspec.structs.replace(pools.EMERGENCY, body_region=None)))
    in_beijing = after(Filed(msgspec.structs.replace(pools.EMERGENCY, body_region="110101")))
    national, beijing, shanghai = (
        Caller("regulator", "regulator:9", jurisdiction=jurisdiction)
        for jurisdiction in (
            Jurisdiction("national", "000000"),
            Jurisdiction("province", "110000"),
            Jurisdiction("province", "310000"),
        )
    )
    for view, whose, others in ((nowhere, national, (beijing, shanghai)), (in_beijing, beijing, (national, shanghai))):
        for other in others:
            with pytest.raises(Problem, match="for the administration of") as refused:
                act(view, other, NOW + MINUTE, event="confirmed")
            assert refused.value.status == 403
        assert act(view, whose, NOW + MINUTE, event="confirmed").case == "P-1"
        with pytest.raises(Problem, match="where a filing's body is") as claimed:
            written(KNOWN, {"body_region": "310000"}, case=view, caller=shanghai)
        assert claimed.value.status == 403, "nor makes it its own by stating so"
    assert written(KNOWN, {"numbers": ["10086"]}, case=nowhere, caller=shanghai).answer.faults == ()


def test_a_renewal_is_proposed_by_one_and_says_what_it_may_be() -> None:
    whole = Filed(msgspec.structs.replace(pools.EMERGENCY, reason="a flood"))
    settled = after(whole, Seconded(actor="desk:18"), Confirmed(actor="regulator:3"))
    renewed = {"event": "renewed", "reason": "the water still rises"}
    answer = act(settled, DESK, NOW + HOUR, until=NOW + 70 * HOUR, **renewed)
    assert "once another person sends the same act" in (answer.note or "")
    for until in (NOW + 74 * HOUR, NOW + 2 * HOUR):
        with pytest.raises(Problem) as refused:
            act(settled, DESK, NOW + HOUR, until=until, **renewed)
        (fault,) = refused.value.refusal.faults
        assert (fault.field, "at most 2026-09-21T03:00:00Z" in fault.mend) == ("until", True)
    with pytest.raises(Problem) as over:
        act(settled, DESK, NOW + 9 * HOUR, until=NOW + 70 * HOUR, **renewed)
    assert over.value.status == 409
