"""One subscriber's opt-out: what is measured, and that a message which slips through afterwards is not overlooked."""

import pytest

from stream.demo.optout import OptOut
from stream.model.decision import Decision
from stream.model.fields import Verdict


def decision(event: str, verdict: Verdict) -> Decision:
    return Decision(
        event, "sms", 0, 0, "+8613800138000", None, None, verdict, "refused" if verdict == "block" else "consented",
        None, "p", "e",
    )  # fmt: skip


def story(*answers: tuple[float, Verdict | None]) -> OptOut:
    """A first message that was allowed, a reply at 100 ms, and messages with their times and answers."""
    told = OptOut()
    told.sent("first", at_ms=50.0)
    told.decided(decision("first", "allow"))
    told.replied(at_ms=100.0)
    for place, (at_ms, verdict) in enumerate(answers):
        told.sent(f"m{place}", at_ms=at_ms)
        if verdict is not None:
            told.decided(decision(f"m{place}", verdict))
    return told


def after_reply() -> OptOut:
    return story((106.0, "allow"), (112.0, "block"), (118.0, "block"))


def test_the_figure_is_from_the_replys_sending_to_that_of_the_first_message_that_was_blocked() -> None:
    assert after_reply().in_force_ms == pytest.approx(12.0)


def test_messages_count_by_the_order_of_sending_whenever_their_answers_come() -> None:
    told = story((106.0, None), (112.0, None))
    told.decided(decision("m1", "block"))
    told.decided(decision("m0", "block"))
    assert told.in_force_ms == pytest.approx(6.0)


def test_the_figure_is_as_coarse_as_the_time_since_what_was_sent_before() -> None:
    assert after_reply().coarse_ms == pytest.approx(6.0)
    assert story((130.0, "block")).coarse_ms == pytest.approx(30.0)
    assert story((130.0, "allow")).coarse_ms is None


def test_what_got_through_before_and_what_was_blocked_is_counted() -> None:
    told = after_reply()
    assert (told.allowed_count, told.blocked_count, told.allowed_afterwards_count) == (1, 2, 0)


def test_a_message_that_gets_through_after_one_was_blocked_is_counted_as_what_must_not_be() -> None:
    assert story((106.0, "block"), (112.0, "allow")).allowed_afterwards_count == 1


def test_the_first_answer_to_an_event_counts_as_for_any_consumer() -> None:
    told = after_reply()
    told.decided(decision("m1", "allow"))
    assert told.in_force_ms == pytest.approx(12.0)


def test_the_story_is_complete_when_one_was_blocked_and_all_answers_are_there() -> None:
    assert after_reply().complete
    assert not story((106.0, "allow")).complete
    assert not story((106.0, "block"), (112.0, None)).complete


def test_before_the_reply_there_is_no_figure() -> None:
    told = OptOut()
    told.sent("first", at_ms=50.0)
    told.decided(decision("first", "block"))
    assert told.welcome == decision("first", "block")
    assert told.in_force_ms is None


def test_decisions_on_other_events_are_none_of_its_business() -> None:
    told = after_reply()
    told.decided(decision("else", "allow"))
    assert told.allowed_count == 1
