"""Replies as people write them: what is a refusal, what is not, and what of a reply is its author's own."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.policy.loading import load
from stream.policy.replies import OWNER, REMEMBERED_MAX, Replies
from tests.policy import model_texts

POLICY = load()


def refuses(text: str) -> bool:
    """Whether a reply to a number with an owner is a refusal by the shipped policy."""
    return POLICY.reply_expression("1069012345", text, "ORG") is not None


REFUSALS = (
    "TD", "ｔｄ", "T D", "TD退订", "T退订", "TD\n退订", "回复TD", "回T退订", "回复 T", "退订。", "“退订”", "退\u200b订",
    "\ufeffTD", "退訂", "请退订", "我要退订谢谢", "取消订阅了吧", "拒收短信", "STOP", "Stop sending me this",
    "unsubscribe me", "别发了", "退订\n> 【某行】回T退订",
    "TD\n发自我的iPhone", "TD\nSent from my phone", "td 发自我的手机",
    "退订\n--\n张三", "TD【某行】优惠", '退订 "不退订有惊喜"', "为什么不退订", "不退订我就投诉", "别再发了",
    "我退订了，别误操作，投诉你们", "TD\r-- \r不退订",
)  # fmt: skip
OTHERS = (
    "", "0000", "好的", "谢谢", "我不退订", "先别退订", "取消退订", "退订是误操作", "手滑退订了", "恢复", "TD 撤回",
    "tomorrow", "【某行】回T退订", "“回T退订”是什么意思", '怎么办 "退订"', "> 回T退订", "  ＞回T退订\n好的",
    "好\n--\n退订部", "好\n发自 退订", "好 发自我的退订手机", "ok sent from my td", "请短信", "回复", "了",
)  # fmt: skip


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_heard_however_it_is_written(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_refusal_writes_none(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize("text", ["KTFSR", "ktfsr。", "请发送KTFSR谢谢"])
def test_a_service_number_knows_its_word_by_itself_alone(text: str) -> None:
    reply_expression = POLICY.reply_expression("10086", text, None)
    assert reply_expression is not None
    assert (reply_expression.will, reply_expression.channel, reply_expression.sender) == ("refuse", "call", None)
    assert POLICY.reply_expression("10086", f"{text}x", None) is None
    assert POLICY.reply_expression("10086", f"{text}ktfsr", None) is None
    assert POLICY.reply_expression("10010", text, None) is None


def test_a_service_number_that_somebody_owns_knows_both() -> None:
    by_table, by_owner = (
        POLICY.reply_expression("10001", "qxfsr", "ORG"),
        POLICY.reply_expression("10001", "退订", "ORG"),
    )
    assert by_table is not None
    assert by_owner is not None
    assert (by_table.will, by_table.sender) == ("lift", None)
    assert (by_owner.will, by_owner.sender) == ("refuse", "ORG")


PIECES = (
    *model_texts.WORDS, *model_texts.BEFORE, *model_texts.AFTER, *model_texts.CONTAINED, *model_texts.NOT_REFUSED,
    *model_texts.INSISTS, *model_texts.UNDONE, "ktfsr", "QXFSR", "stop sending", "TD", "Ｔ", "退訂",
    "\n", "\r", "\r\n", "\n> ", "\n ＞", "\n--", "\n -- ", "\n发自", "\nSent from ", "发自我的", "sent from my",
    "【", "】", *"“”\"'>", " ", "。", "\u200b", "好", "x", "1", "\u0301" * 31,
)  # fmt: skip
replies = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@settings(max_examples=3_000)
@given(replies)
def test_replies_are_read_as_the_design_says(text: str) -> None:
    assert POLICY.replies.meant(text) == model_texts.meant(text)
    assert refuses(text) == model_texts.refuses(text)
    for word, will in (("ktfsr", "refuse"), ("qxfsr", "lift")):
        reply_expression = POLICY.reply_expression("10086", text, None)
        assert (reply_expression is not None and reply_expression.will == will) == model_texts.orders(text, word)


@pytest.mark.parametrize(
    "piece", ["“", '"x', "> \n", "\n--", "不退订", "td", "发自我的", "请回", "t n", "【", "退\n", "“”"]
)
def test_to_read_a_reply_takes_no_longer_than_it_is_long(piece: str) -> None:
    def took(characters: int) -> float:
        text = piece * (characters // len(piece)) + "x"
        began = time.process_time()
        POLICY.replies.meanings(text)
        return time.process_time() - began

    assert took(320_000) < 40 * max(took(40_000), 0.001), "eight times the length would be sixty-four times the work"


def test_no_more_is_remembered_than_the_limit() -> None:
    some = Replies(POLICY.file.reply_text, POLICY.file.replies)
    for number in range(REMEMBERED_MAX + 10):
        some.meanings(f"退订{number}")
        assert len(some._known) <= REMEMBERED_MAX
    some.meanings("退订" * 10_000)
    assert "退订" * 10_000 not in some._known


def test_both_policies_read_replies_alike() -> None:
    other = load("opt-out").file
    assert (other.reply_text, other.replies) == (POLICY.file.reply_text, POLICY.file.replies)
    assert [rule.to for rule in other.replies] == [OWNER, ("10086", "10001"), ("10086", "10001")]


def test_a_policy_may_have_no_reply_table() -> None:
    assert Replies(POLICY.file.reply_text, ()).rule("1069012345", "退订", owned=True) is None
