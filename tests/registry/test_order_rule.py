"""The order rule for whoever writes one expression (DESIGN section 3, *Order*)."""

import pytest

from stream.model.registry import Expression
from stream.registry.order_rule import Received, newer, refusal

NOW = 1_795_500_000_000
DAY = 86_400_000


def said(
    will: str, time: int, sender: str | None = None, category: str | None = None, channel: str = "sms"
) -> Expression:
    return Expression("+8613800138000", channel, will, time, "web-form", sender, category)  # type: ignore[arg-type]


def received(expression: Expression, written: int | None = None) -> Received:
    return Received(expression, expression.time if written is None else written)


REFUSED = received(said("refuse", NOW - 10))


def test_a_consent_that_was_said_before_a_refusal_is_too_late_and_what_stands_is_told() -> None:
    told = refusal(said("consent", NOW - 11, "S", "c"), [REFUSED], NOW)
    assert told is not None
    assert told.startswith("too late")
    assert "refuse (*, *) on sms" in told
    assert "+86" not in told


def test_a_consent_that_was_said_after_it_is_written() -> None:
    assert refusal(said("consent", NOW - 9, "S", "c"), [REFUSED], NOW) is None


def test_a_consent_that_was_dated_ahead_does_not_outdate_a_lift_said_after_it_was_written() -> None:
    ahead = received(said("consent", NOW + DAY, "S", "c"), written=NOW - 5)
    assert refusal(said("lift", NOW - 4), [ahead], NOW) is None
    assert newer(said("lift", NOW - 6), [ahead], NOW) == ahead


def test_a_consent_dated_ahead_counts_with_the_moment_at_which_it_is_written() -> None:
    meanwhile = received(said("refuse", NOW + 1))
    assert newer(said("consent", NOW + DAY, "S", "c"), [meanwhile], NOW) == meanwhile


@pytest.mark.parametrize("ago", [0, 59_000])
def test_a_refusal_that_is_given_now_is_always_written(ago: int) -> None:
    newest = received(said("consent", NOW + DAY, "S", "c"), written=NOW + 5)
    assert refusal(said("refuse", NOW - ago, "S"), [newest], NOW) is None


def test_a_refusal_of_last_month_is_held_to_the_rule() -> None:
    assert refusal(said("refuse", NOW - 30 * DAY, "S"), [received(said("consent", NOW - DAY, "S", "c"))], NOW)


@pytest.mark.parametrize(
    "other",
    [said("refuse", NOW - 1, "T"), said("refuse", NOW - 1, None, "d"), said("refuse", NOW - 1, channel="call")],
)
def test_what_was_said_about_another_scope_or_channel_outdates_nothing(other: Expression) -> None:
    assert refusal(said("consent", NOW - 2, "S", "c"), [received(other)], NOW) is None


def test_a_subscriber_has_so_many_scopes_on_a_channel_and_no_more() -> None:
    full = [received(said("consent", NOW - 9, "S", f"c{n}")) for n in range(1000)]
    assert "1,000 scopes" in (refusal(said("consent", NOW, "S", "more"), full, NOW) or "")
    assert refusal(said("consent", NOW, "S", "c1"), full, NOW) is None, "a scope that is there already"
    assert refusal(said("consent", NOW, "S", "more", channel="call"), full, NOW) is None
    assert refusal(said("refuse", NOW, "S", "more"), full, NOW) is None, "a refusal that is given now"
