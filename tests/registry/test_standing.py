"""Taking one scope back: a lift of everything, and then again the narrower expressions that hold."""

from hypothesis import given
from hypothesis import strategies as st

from bloom.bitmaps import Wills
from bloom.number import Msisdn
from bloom.wills import Scope
from stream.model.registry import Expression
from stream.registry.registry import expression_row_of
from stream.registry.standing import narrower

NUMBER = "+8613800138000"


@st.composite
def _expressions(draw: st.DrawFn) -> Expression:
    sender, category = draw(st.sampled_from([None, "S1", "S2"])), draw(st.sampled_from([None, "c1", "c2"]))
    wills = ["refuse", "lift"] if sender is None or category is None else ["refuse", "lift", "consent"]
    will = draw(st.sampled_from(wills))
    return Expression(NUMBER, "sms", will, draw(st.integers(0, 99)), "test", sender, category)  # type: ignore[arg-type]


def _state(words: list[Expression]) -> tuple[list[Scope], list[Scope]]:
    wills = Wills()
    wills.apply([expression_row_of(word) for word in words])
    return wills.expressions_of("sms", Msisdn(8613800138000))


_SCOPES = st.builds(Scope, st.sampled_from([None, "S1", "S2"]), st.sampled_from([None, "c1", "c2"]))


@given(words=st.lists(_expressions(), min_size=1, max_size=12), scope=_SCOPES)
def test_the_state_stays_but_for_what_was_said_of_the_scope_itself(words: list[Expression], scope: Scope) -> None:
    lift = Expression(NUMBER, "sms", "lift", 100, "platform", *scope)
    before, after = _state(words), _state([*words, lift, *narrower(words, scope)])
    assert after == tuple([one for one in scopes if one != scope] for scopes in before)


@given(words=st.lists(_expressions(), min_size=1, max_size=12), scope=_SCOPES)
def test_what_is_written_again_is_word_for_word_what_was_said(words: list[Expression], scope: Scope) -> None:
    assert set(narrower(words, scope)) <= set(words)
