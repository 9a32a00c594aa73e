"""Letters in Chinese, as a law officer would read them: pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from docs.generate.__main__ import TOP
from stream import config as configuration
from stream.config import ConfigError, LettersConfig
from stream.enforce.api import ApiServer
from stream.enforce.api.auth import Caller
from stream.enforce.api.letters_shown import LetterQuery, letter_of
from stream.enforce.api.responses import Problem
from stream.enforce.procedures import appeal, campaign, complaint, dispute, fitness, listing, measure
from stream.enforce.procedures.complaint import Answered, Complained, Forwarded, Reported, Verified
from stream.enforce.procedures.effects import SendNotice
from stream.enforce.procedures.engine import C, Case, Procedure, Stepped, WrongState, advance
from stream.enforce.procedures.messages import FindingRouted
from stream.letters import Templates, read, wording, written
from stream.letters.letter import kind_of
from stream.letters.template import PLACEHOLDERS, Kind
from stream.model.cases import CaseView
from stream.model.control import Figure, Filing, Grounds, Notice, NoticeOutcome
from stream.model.fields import EntryPurpose
from stream.model.registry import NumberEntry, Sender
from stream.notify import NoticeConnector
from stream.registry import emergency
from tests.enforce.api.harness import write_tokens
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import DAY, HOUR, MINUTE, NOW, TERMS, act, at, finding, rings, took
from tests.notify.sinks import OURS

MEASURE = Notice(
    "N-M-1-1",
    "M-1",
    at("2026-11-30 23:30"),
    "sender|ORG-9",
    "measure",
    "refusals",
    basis="early-warning",
    measure="suspend",
    grace_ms=DAY,
    appeal="tel:12300;phone-context=+86",
    evidence=("W-1",),
    figures=(Figure("refusals", 0.25, 0.01),),
    channel="sms",
    at=at("2026-11-28 10:00"),
    lasts_ms=30 * DAY,
)


def test_a_measure_names_article_channel_measure_duration_incident_and_where_to_appeal() -> None:
    signed = Templates(OURS.texts, issuer="某某通信有限公司")
    assert written(MEASURE, signed) == (
        "处置措施告知书\n\n编号：N-M-1-1\n案号：M-1\n\nORG-9：\n\n"
        "    经查，2026年11月28日，用户明确拒绝接收你方短信息或者电话的比例异常。\n"
        "    依据《通信短信息和语音呼叫服务管理规定（征求意见稿）》第二十二条的规定，"
        "决定对你方采取下列处置措施，现予告知：\n"
        "    措施种类：暂停提供通信服务。\n"
        "    适用范围：短信息。\n"
        "    执行时间：自你方收到本告知书之时起满24小时执行。\n"
        "    措施期限：30日。\n"
        "    主要证据：W-1。\n"
        "    有关数据：拒收比例0.25（限值0.01）。\n"
        "    你方应当立即停止违反规定的行为。对上述措施有异议的，可以提出申诉，申诉渠道：电话12300。"
        "申诉期间，措施不停止执行。\n"
        "\n某某通信有限公司\n2026年11月30日\n"
    )
    at_once = replace(MEASURE, grace_ms=None, lasts_ms=None, basis="prohibited-content", reason="prohibited-content")
    for line in ("第二十二条、第三十二条的规定", "自2026年11月30日起执行", "至依法解除之日止"):
        assert line in written(at_once, OURS)
    assert "至2026年12月30日18时05分止" in written(replace(MEASURE, until=at("2026-12-30 18:05")), OURS)
    assert "自你方收到本告知书之时起执行" in written(replace(MEASURE, grace_ms=0), OURS)


def test_the_accused_reads_no_number_in_what_an_officer_wrote_and_a_user_reads_its_own() -> None:
    wrote = "the user +86 138 0013 8000 was called again"
    ended = replace(MEASURE, subject="measure-ended", reason=wrote, evidence=("bill of 13800138000",))
    for to in ("sender|ORG-9", "number|+8613700137000", "campaign|P-1"):
        assert "138 0013" not in written(replace(ended, to=to), OURS)
        assert "13800138000" not in written(replace(ended, to=to, subject="measure"), OURS)
    answer = replace(MEASURE, to="subscriber|+8613800138000", subject="answer", basis="complaints", number="1069012345")
    told = written(replace(answer, reason=wrote), OURS)
    for line in (
        wrote,
        "用户+8613800138000：",
        "收到时间：2026年11月28日10时00分",
        "对方号码或者名称：1069012345",
        "第三十三条",
    ):
        assert line in told
    masked = written(replace(answer, reason=wrote), OURS, masked=True)
    assert "138 0013" not in masked
    assert "1069012345" not in masked


def test_a_decision_says_how_it_came_out_and_who_it_is_for() -> None:
    decided = replace(MEASURE, subject="decision", basis="measures", reason="证据不足", outcome="for-party")
    assert "    决定：申诉成立，撤销对你方作出的决定。\n    理由：证据不足。\n" in written(decided, OURS)
    of_user = replace(decided, to="complaint|C-1", basis="disputes", outcome="settled", addressee=None)
    assert "\n投诉人（投诉编号C-1）：\n" in written(of_user, OURS)
    assert "    双方已经达成一致。\n    证据不足。\n" in written(of_user, OURS)
    assert wording.OUTCOMES.keys() == set(get_args(NoticeOutcome))
    answer = replace(decided, subject="answer", to="subscriber|+8613800138000", basis="complaints", outcome="spoofed")
    assert "系被他人冒用" in written(answer, OURS)
    assert "通信类型" not in written(replace(answer, channel=None), OURS), "the user did not say"


ENGLISH = re.compile(r"[a-z]{3,}")


@pytest.mark.parametrize("grounds", get_args(Grounds))
def test_all_grounds_have_their_sentence(grounds: Grounds) -> None:
    assert not ENGLISH.search(written(replace(MEASURE, reason=grounds), OURS))


def notices_of(procedure: Procedure[C], start: C, pool: Callable[[C], Sequence[msgspec.Struct]]) -> Iterator[Notice]:
    """What the cases of a procedure tell, along all steps of three events and their clocks."""
    seen, cases = set[bytes](), [(start, NOW)]
    for _ in range(6):
        after = []
        for case, now in cases[:300]:
            events: list[tuple[msgspec.Struct, int]] = [(event, now + MINUTE) for event in pool(case)]
            for event, when in (*events, *((rang, max(now, moment)) for rang, moment in rings(case))):
                result = advance(procedure, case, event, when, TERMS)
                if isinstance(result, WrongState):
                    continue
                for effect in result.effects:
                    if isinstance(effect.act, SendNotice):
                        yield effect.act.notice
                shape = re.sub(rb"[0-9]{13}|-[0-9]+", b"", msgspec.json.encode(replace(result.case, step=0, clocks=())))
                if shape not in seen:
                    seen.add(shape)
                    after.append((result.case, when))
        cases = after


def said(pool: Sequence[msgspec.Struct]) -> set[str]:
    """Every text in what people do."""
    return set(re.findall(r'"((?:[^"\\]|\\.)*)"', msgspec.json.encode(list(pool)).decode()))


def all_notices() -> list[tuple[Notice, set[str]]]:
    found: list[tuple[Notice, set[str]]] = []

    def collect(procedure: Procedure[C], start: C, pool: Callable[[C], Sequence[msgspec.Struct]]) -> None:
        found.extend((notice, said(pool(start))) for notice in notices_of(procedure, start, pool))

    collect(measure.PROCEDURE, measure.MeasureCase(case="M-1"), pools.of_measure)
    collect(complaint.PROCEDURE, complaint.ComplaintCase(case="C-1"), pools.of_complaint)
    collect(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), pools.of_appeal)
    collect(dispute.PROCEDURE, dispute.DisputeCase(case="D-1"), pools.of_dispute)
    collect(campaign.PROCEDURE, campaign.CampaignCase(case="P-1"), pools.of_campaign)
    collect(listing.PROCEDURE, listing.ListingCase(case="L-1"), pools.of_listing)
    return found


def test_whatever_procedures_tell_is_told_in_chinese_but_for_what_people_wrote() -> None:
    notices = all_notices()
    decided = {notice.outcome for notice, _ in notices if kind_of(notice) in ("answer", "decision-appeal")}
    assert decided == {None, "confirmed", "unconfirmed", "spoofed", "for-party", "for-measure"}
    assert {kind_of(notice) for notice, _ in notices} == set(get_args(Kind)), "each kind of letter is written"
    strange = {
        word
        for notice, texts_of_people in notices
        for line in (notice.reason, *notice.missing)
        if line not in texts_of_people
        for word in ENGLISH.findall(_chinese(line, notice))
    }
    assert strange == set()


def _chinese(line: str, notice: Notice) -> str:
    if line == notice.reason:
        return "" if line in wording.GROUNDS else wording.sentence(line)
    return wording.asked(line, of_filing=notice.to.startswith("campaign|"))


PURPOSES: tuple[EntryPurpose, ...] = ("commercial", "service")
WRONG = (
    Filing("1", NOW, body="卫健委", level="city-with-districts", body_region="130100", subject="work-publicity"),
    Filing("1", NOW, body="北京市人民政府", level="province", body_region="110000", regions=("310000", "999999")),
    Filing("1", NOW, body="某县", level="county", body_region="999999"),
    Filing("1", NOW, level="national", body_region="110000", from_=NOW + HOUR, until=NOW),
    Filing("1", NOW, body="卫健委", contact="12320", text="字" * 80 + "abc.cn \ufdfa"),
    *(
        Filing("1", NOW, sender="某行", sender_problem=emergency.sender_problem("某行", record))
        for record in (
            Sender("某行", "-", "95588", "revoked", ()),
            *(Sender("某行", "-", "95588", "active", (NumberEntry("1069", "sms", (one,)),)) for one in PURPOSES),
        )
    ),
    Filing("1", NOW, emergency=True, text="优惠 登录abc.cn", from_=NOW + HOUR, until=NOW + 400 * DAY),
)


def test_every_fault_of_a_filing_has_its_sentence() -> None:
    found = [fault for filing in WRONG for fault in fitness.faults(filing, NOW, TERMS)]
    assert {fault.kind for fault in found} == set(get_args(fitness.FaultKind))
    for fault in found:
        told = wording.asked(str(fault), of_filing=True)
        assert not ENGLISH.search(told.replace("abc.cn", "")), (str(fault), told)
        assert told.startswith(wording.FIELDS[fault.field])


def test_a_body_replaces_a_template_and_a_placeholder_that_there_is_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letters.toml"

    def given(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        return written(MEASURE, read(LettersConfig(file=str(path), issuer="某局")))

    own = "[letters]\nmeasure = '''\n{addressee}：{measure}。\n申诉：{appeal}\n补正：{missing}\n{issuer}\n'''\n"
    assert given(own) == "ORG-9：暂停提供通信服务。\n申诉：电话12300\n某局\n"
    for wrong, says in (
        (own.replace("{measure}", "{mesure}"), r"letters\.toml: letters\.measure: line 1: no placeholder \{mesure\}"),
        (own.replace("{measure}", "{measure.__class__}"), "no placeholder"),
        (own.replace("{measure}", "{measure"), "line 1: a brace without its other"),
        ("[letters]\nmesure = ''\n", "letters.mesure: there is no such letter; there are measure"),
        ("[letters]\nmeasure = ''\n", r"letters\.measure: it says nowhere \{measure\}, \{appeal\}"),
        (own.replace("{appeal}", ""), r"it says nowhere \{appeal\}, which the letter is for"),
        ("[letters]\nlisting = '{addressee}'\n", r"letters\.listing: it says nowhere \{reason\}, \{appeal\}"),
        ("[letters]\nmeasure = 1\n", "Expected `str`, got `int`; write"),
        ("letters", "not TOML"),
        (f"[letters]\nmeasure = '{'x' * 10_001}'\n", "10,001 characters; keep it within 10,000"),
    ):
        with pytest.raises(ConfigError, match=says):
            given(wrong)
    with pytest.raises(ConfigError, match=r"letters\.file: .*missing"):
        read(LettersConfig(file=str(tmp_path / "missing")))


async def test_notify_and_the_api_do_not_start_with_a_template_that_cannot_be_filled(tmp_path: Path) -> None:
    contacts, own = tmp_path / "contacts", tmp_path / "letters.toml"
    contacts.write_text("[contacts]\n", encoding="utf-8")
    own.write_text("[letters]\nanswer = '{answr}'\n", encoding="utf-8")
    variables = {
        "WURAO_LETTERS__FILE": str(own),
        "WURAO_CONNECTOR__CONTACTS_FILE": str(contacts),
        "WURAO_API__TOKENS_FILE": str(write_tokens(tmp_path / "tokens")),
    }
    config = configuration.load(None, variables)
    for starts in (NoticeConnector, ApiServer):
        with pytest.raises(ConfigError, match=r"letters\.answer: line 1: no placeholder \{answr\}"):
            starts(config)


def test_every_placeholder_stands_in_a_letter_of_ours() -> None:
    used = set(re.findall(r"\{([a-z]+)\}", "".join(OURS.texts.values())))
    assert used == PLACEHOLDERS.keys()
    page = (TOP / "docs/notices.md").read_text(encoding="utf-8")
    assert all(f"| `{{{name}}}` | {what} |" in page for name, what in PLACEHOLDERS.items())


texts = st.text(min_size=1, max_size=30)


@given(reason=texts, case=texts, to=texts, missing=st.lists(texts, max_size=2), time=st.integers(0, (1 << 53) - 1))
def test_no_text_breaks_out_of_its_line(reason: str, case: str, to: str, missing: list[str], time: int) -> None:
    notice = Notice("N-1", case, time, f"sender|{to}", "missing", reason, missing=tuple(missing))
    lines = written(notice, OURS).splitlines()
    assert lines[0] == "补正材料告知书"
    assert len(lines) <= 11 + len(missing)


def view_with(case: Case, procedure: str, *notices: Notice) -> CaseView:
    return CaseView(case.case, procedure, "any", 1, NOW, msgspec.Raw(b"{}"), notices=notices)


def test_a_caller_sees_the_letters_that_concern_it_and_numbers_as_its_role_does() -> None:
    found = FindingRouted(finding("F-1"), "stop")
    told = act(took(advance(measure.PROCEDURE, measure.MeasureCase(case="M-1"), found, NOW, TERMS)).effects, SendNotice)
    case = complaint.ComplaintCase(case="C-1")
    stepped: Stepped[complaint.ComplaintCase] | None = None
    for event in (
        Complained(pools.COMPLAINT),
        Forwarded("CARRIER"),
        Verified("unconfirmed", "so"),
        Reported("nothing"),
        Answered("nothing was found"),
    ):
        stepped = took(advance(complaint.PROCEDURE, case, event, NOW, TERMS))
        case = stepped.case
    assert stepped is not None
    answer = act(stepped.effects, SendNotice).notice
    against = view_with(measure.MeasureCase(case="M-1"), "measure", told.notice)
    of_user = view_with(case, "complaint", answer)
    sender, other = Caller("sender", "org-9", ("ORG-9",)), Caller("sender", "org-1", ("ORG-1",))
    agent, auditor = Caller("subscriber-agent", "agent:5", ("+86138",)), Caller("read-only", "auditor:1")

    shown = letter_of(against, LetterQuery(), sender, OURS)
    assert (shown.notice, "第二十二条" in shown.text) == (told.notice.notice, True)
    assert "nothing was found" in letter_of(of_user, LetterQuery(), agent, OURS).text
    assert "+8613800138000" in letter_of(of_user, LetterQuery(), Caller("desk", "desk:17"), OURS).text
    masked = letter_of(of_user, LetterQuery(answer.notice), auditor, OURS)
    assert "13800138000" not in masked.to + masked.text
    for view, caller, notice in (
        (against, other, None),
        (of_user, sender, None),
        (against, agent, None),
        (against, sender, "N-2"),
        (view_with(case, "complaint"), agent, None),
    ):
        with pytest.raises(Problem) as refused:
            letter_of(view, LetterQuery(notice), caller, OURS)
        assert refused.value.status == 404
    both = view_with(case, "complaint", replace(answer, notice="N-0", subject="missing"), answer)
    assert letter_of(both, LetterQuery(), agent, OURS).others == ("N-0",)
