"""The semantics of wills (DESIGN section 3), against a model that is obviously right.

Few numbers, senders and categories, so that expressions meet each other all the time.
"""

from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.wills import (
    CHANNELS,
    EVERYTHING,
    Channel,
    ExpressionColumns,
    ExpressionRow,
    Kind,
    Scope,
    Stance,
    Verb,
    plan,
)

NUMBERS = [Msisdn(8613800138000 + i) for i in range(4)]
SENDERS = ["ORG-1", "ORG-2", "ORG-3"]
CATEGORIES = ["finance", "education"]
N = NUMBERS[0]

State = dict[tuple[Channel, Kind, Scope], set[int]]


class Model:
    """The table of section 3, word for word, on plain sets."""

    def __init__(self) -> None:
        self.refusals: dict[tuple[Msisdn, Channel], set[Scope]] = {}
        self.consents: dict[tuple[Msisdn, Channel], set[Scope]] = {}

    def apply(self, expression: ExpressionRow) -> None:
        who = (expression.number, expression.channel)
        refusals, consents = self.refusals.setdefault(who, set()), self.consents.setdefault(who, set())
        scope = Scope(expression.sender, expression.category)
        if expression.verb == "consent":
            consents.add(scope)
            refusals.discard(scope)
            return
        for held in (refusals, consents):
            held -= {inner for inner in held if within(inner, scope)}
        if expression.verb == "refuse":
            refusals.add(scope)

    def stance(self, channel: Channel, number: Msisdn, sender: str | None, category: str) -> Stance:
        asked = Scope(sender, category)
        if asked in self.consents.get((number, channel), set()):
            return "consented"
        if any(within(asked, refused) for refused in self.refusals.get((number, channel), set())):
            return "refused"
        return "silent"

    def state(self) -> State:
        state: State = {}
        kinds: list[tuple[Kind, dict[tuple[Msisdn, Channel], set[Scope]]]] = [
            ("refusal", self.refusals),
            ("consent", self.consents),
        ]
        for kind, held in kinds:
            for (number, channel), scopes in held.items():
                for scope in scopes:
                    state.setdefault((channel, kind, scope), set()).add(number)
        return state


def within(inner: Scope, outer: Scope) -> bool:
    return outer.sender in (None, inner.sender) and outer.category in (None, inner.category)


def state_of(wills: Wills) -> State:
    return {(channel, kind, scope): set(bitmap) for channel, kind, scope, bitmap in wills.scopes()}


def expression(verb: Verb, sender: str | None, category: str | None, number: Msisdn = N) -> ExpressionRow:
    return ExpressionRow(number, "sms", verb, sender, category)


def wills_of(*batches: Sequence[ExpressionRow]) -> Wills:
    wills = Wills()
    for batch in batches:
        wills.apply(batch)
    return wills


@st.composite
def _expressions(draw: st.DrawFn) -> ExpressionRow:
    verbs: list[Verb] = ["refuse", "consent", "lift"]
    verb = draw(st.sampled_from(verbs))
    nobody = [] if verb == "consent" else [None]
    return ExpressionRow(
        number=draw(st.sampled_from(NUMBERS)),
        channel=draw(st.sampled_from(CHANNELS)),
        verb=verb,
        sender=draw(st.sampled_from([*nobody, *SENDERS])),
        category=draw(st.sampled_from([*nobody, *CATEGORIES])),
    )


expressions = _expressions()
# Left alone, lists are short, and a short log seldom speaks twice of one number.
logs = st.lists(expressions, max_size=40) | st.lists(expressions, min_size=20, max_size=40)
questions = list(product(CHANNELS, NUMBERS, [None, *SENDERS], CATEGORIES))


# The rules


def test_who_never_said_anything_is_silent() -> None:
    assert Wills().stance("sms", N, "ORG-1", "finance") == "silent"


def test_a_consent_holds_for_its_sender_category_and_channel_alone() -> None:
    wills = wills_of([expression("consent", "ORG-1", "finance")])
    assert wills.stance("sms", N, "ORG-1", "finance") == "consented"
    assert wills.stance("sms", N, "ORG-1", "education") == "silent"
    assert wills.stance("sms", N, "ORG-2", "finance") == "silent"
    assert wills.stance("call", N, "ORG-1", "finance") == "silent"


@pytest.mark.parametrize("scope", [Scope("ORG-1", "finance"), Scope("ORG-1", None), Scope(None, "finance"), EVERYTHING])
def test_a_refusal_ends_every_consent_within_it(scope: Scope) -> None:
    wills = wills_of([expression("consent", "ORG-1", "finance"), expression("refuse", *scope)])
    assert wills.stance("sms", N, "ORG-1", "finance") == "refused"
    assert wills.expressions_of("sms", N) == ([scope], [])


@pytest.mark.parametrize("scope", [Scope("ORG-1", None), Scope(None, "finance"), EVERYTHING])
def test_a_newer_consent_is_an_exception_to_a_broader_refusal(scope: Scope) -> None:
    wills = wills_of([expression("refuse", *scope), expression("consent", "ORG-1", "finance")])
    assert wills.stance("sms", N, "ORG-1", "finance") == "consented"
    assert wills.expressions_of("sms", N) == ([scope], [Scope("ORG-1", "finance")])


def test_a_lift_of_everything_starts_afresh() -> None:
    log = [
        expression("refuse", None, "finance"),
        expression("consent", "ORG-1", "finance"),
        expression("refuse", None, None, NUMBERS[1]),
        expression("lift", None, None),
    ]
    wills = wills_of(log)
    assert wills.expressions_of("sms", N) == ([], [])
    assert wills.stance("sms", NUMBERS[1], "ORG-1", "finance") == "refused"


def test_an_event_without_sender_is_covered_only_by_refusals_that_name_none() -> None:
    wills = wills_of([expression("refuse", "ORG-1", None)])
    assert wills.stance("sms", N, None, "finance") == "silent"
    wills.apply([expression("refuse", None, "finance")])
    assert wills.stance("sms", N, None, "finance") == "refused"
    assert wills.stance("sms", N, None, "education") == "silent"


@pytest.mark.parametrize("scope", [EVERYTHING, Scope("ORG-1", None), Scope(None, "finance")])
def test_a_consent_that_leaves_a_name_open_is_an_error_and_changes_nothing(scope: Scope) -> None:
    wills = Wills()
    with pytest.raises(ValueError, match="names both"):
        wills.apply([expression("refuse", "ORG-1", None), expression("consent", *scope)])
    assert state_of(wills) == {}


def test_scopes_of_a_number_are_sorted_with_the_broadest_first() -> None:
    scopes = [EVERYTHING, Scope(None, "finance"), Scope("ORG-1", None), Scope("ORG-1", "finance")]
    wills = wills_of([expression("refuse", *scope) for scope in scopes])
    assert wills.expressions_of("sms", N) == (scopes, [])


@given(logs)
def test_every_stance_is_the_models(log: list[ExpressionRow]) -> None:
    model = model_of(log)
    wills = wills_of(log)
    for question in questions:
        assert wills.stance(*question) == model.stance(*question)


# The fold


def model_of(log: Iterable[ExpressionRow]) -> Model:
    model = Model()
    for each in log:
        model.apply(each)
    return model


@given(logs)
def test_one_by_one_and_in_bulk_the_state_is_the_models(log: list[ExpressionRow]) -> None:
    expected = model_of(log).state()
    assert state_of(wills_of(*([each] for each in log))) == _without_empty(expected)
    assert state_of(wills_of(log)) == _without_empty(expected)


@given(logs, st.data())
def test_over_any_base_and_in_any_batches_an_overlay_has_the_models_state(
    log: list[ExpressionRow], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), min_size=1, max_size=4)))
    overlay = Overlay(wills_of(log[: cuts[0]]))
    for start, end in zip(cuts, [*cuts[1:], len(log)], strict=True):
        overlay.apply(log[start:end])
        overlay.probe("sms", "ORG-1", "finance")
    model = model_of(log)
    plain = wills_of(log)
    assert state_of(overlay.folded()) == _without_empty(model.state())
    assert overlay.state_equal(plain)
    assert plain.state_equal(overlay)
    for question in questions:
        assert overlay.stance(*question) == model.stance(*question)
    for channel, number in product(CHANNELS, NUMBERS):
        assert overlay.expressions_of(channel, number) == plain.expressions_of(channel, number)


@given(logs, logs, logs)
def test_a_folded_overlay_serves_as_the_next_base(
    first: list[ExpressionRow], second: list[ExpressionRow], third: list[ExpressionRow]
) -> None:
    overlay = Overlay(wills_of(first))
    overlay.apply(second)
    later = Overlay(overlay.folded())
    later.apply(third)
    assert state_of(later.folded()) == _without_empty(model_of(first + second + third).state())


@given(logs, logs)
def test_a_base_under_an_overlay_is_never_changed(before: list[ExpressionRow], after: list[ExpressionRow]) -> None:
    base = wills_of(before)
    held = {entry[:3]: entry.bitmap.serialize() for entry in base.scopes()}
    narrow = {channel: base.narrow(channel).serialize() for channel in CHANNELS}
    overlay = Overlay(base)
    overlay.apply(after)
    folded = overlay.folded()
    folded.apply(after)
    assert {entry[:3]: entry.bitmap.serialize() for entry in base.scopes()} == held
    assert {channel: base.narrow(channel).serialize() for channel in CHANNELS} == narrow


@given(logs, logs, logs)
def test_a_folded_overlay_and_what_is_folded_from_it_go_separate_ways(
    before: list[ExpressionRow], after: list[ExpressionRow], further: list[ExpressionRow]
) -> None:
    overlay = Overlay(wills_of(before))
    overlay.apply(after)
    folded = overlay.folded()
    overlay.apply(further)
    assert state_of(folded) == _without_empty(model_of(before + after).state())
    folded.apply(further)
    folded.apply(after)
    assert state_of(overlay.folded()) == _without_empty(model_of(before + after + further).state())


def test_a_base_under_an_overlay_takes_no_expressions() -> None:
    base = Wills()
    Overlay(base)
    with pytest.raises(RuntimeError, match="apply to the overlay"):
        base.apply([expression("refuse", None, None)])


@given(logs)
def test_log_compaction_changes_no_state(log: list[ExpressionRow]) -> None:
    last = {_key(each): place for place, each in enumerate(log)}
    compacted = [each for place, each in enumerate(log) if place == last[_key(each)]]
    assert state_of(wills_of(compacted)) == state_of(wills_of(log))


@given(logs, st.data())
def test_compaction_of_any_older_part_of_a_log_changes_no_state(log: list[ExpressionRow], data: st.DataObject) -> None:
    """The cleaner leaves the head of the log alone, and may have dropped any of what has a successor."""
    last = {_key(each): place for place, each in enumerate(log)}
    kept = [each for place, each in enumerate(log) if place == last[_key(each)] or data.draw(st.booleans())]
    assert state_of(wills_of(kept)) == state_of(wills_of(log))


def _key(each: ExpressionRow) -> str:
    scope = f"{each.sender or '*'}|{each.category or '*'}"
    return f"+{each.number}|{each.channel}|{scope}"


def _without_empty(state: State) -> State:
    return {place: numbers for place, numbers in state.items() if numbers}


@given(logs)
def test_narrow_has_every_number_that_holds_a_narrower_scope(log: list[ExpressionRow]) -> None:
    wills = wills_of(log)
    for channel, _, scope, bitmap in wills.scopes():
        if scope != EVERYTHING:
            assert bitmap.issubset(wills.narrow(channel))


@given(logs)
def test_no_number_stands_twice_in_a_step(log: list[ExpressionRow]) -> None:
    for step in plan(ExpressionColumns.of(log)):
        assert len(set(step.numbers)) == len(step.numbers)


def test_what_a_later_word_on_everything_supersedes_is_left_out_of_the_plan() -> None:
    log = [expression("consent", "ORG-1", "finance"), expression("refuse", "ORG-2", None)]
    assert [step.verb for step in plan(ExpressionColumns.of([*log, expression("lift", None, None)]))] == ["lift"]


def test_many_numbers_fold_as_few_do() -> None:
    """Enough of them that sets are sought by algebra, not number by number."""
    many = [Msisdn(8613800000000 + 7919 * i) for i in range(500)]
    log = [ExpressionRow(n, "sms", "consent", SENDERS[n % 3], "finance") for n in many]
    log += [ExpressionRow(n, "sms", "refuse", SENDERS[n % 2], None) for n in many[::2]]
    log += [ExpressionRow(n, "sms", "refuse", None, "finance") for n in many[::5]]
    log += [ExpressionRow(n, "sms", "refuse", None, None) for n in many[::3]]
    expected = _without_empty(model_of(log).state())
    overlay = Overlay(wills_of(log[:600]))
    overlay.apply(log[600:])
    assert state_of(wills_of(log)) == expected
    assert state_of(overlay.folded()) == expected


# Probes


@given(st.lists(st.lists(expressions, min_size=1, max_size=4), max_size=12), logs)
def test_a_probe_kept_through_every_change_answers_as_the_model(
    batches: list[list[ExpressionRow]], before: list[ExpressionRow]
) -> None:
    plain, overlay, model = wills_of(before), Overlay(wills_of(before)), model_of(before)
    kept = [
        (
            channel,
            sender,
            category,
            plain.probe(channel, sender, category),
            overlay.probe(channel, sender, category),
        )
        for channel, sender, category in product(CHANNELS, [None, *SENDERS], CATEGORIES)
    ]
    for batch in batches:
        plain.apply(batch)
        overlay.apply(batch)
        for each in batch:
            model.apply(each)
        for channel, sender, category, of_plain, of_overlay in kept:
            for number in NUMBERS:
                expected = model.stance(channel, number, sender, category)
                assert of_plain.stance(number) == expected
                assert of_overlay.stance(number) == expected


# Statistics


@given(logs, logs)
def test_stats_count_the_state(before: list[ExpressionRow], after: list[ExpressionRow]) -> None:
    overlay = Overlay(wills_of(before))
    overlay.apply(after)
    state = model_of(before + after).state()
    for stats in (overlay.stats(), overlay.folded().stats()):
        assert stats.sms_refusing_all_count == len(state.get(("sms", "refusal", EVERYTHING), ()))
        assert stats.call_refusing_all_count == len(state.get(("call", "refusal", EVERYTHING), ()))
        assert stats.refusals_count == sum(len(v) for (_, kind, _), v in state.items() if kind == "refusal")
        assert stats.consents_count == sum(len(v) for (_, kind, _), v in state.items() if kind == "consent")
        assert stats.bitmaps_count >= len(_without_empty(state))
        assert stats.serialised_bytes > 0
        assert overlay.refusing_all_count("sms") == stats.sms_refusing_all_count
        assert overlay.folded().refusing_all_count("call") == stats.call_refusing_all_count
    touched = {(each.channel, each.number) for each in after if each.verb != "lift"}
    assert len(touched) <= overlay.touched_count() <= len(CHANNELS) * len(NUMBERS)


def test_states_that_differ_are_not_equal() -> None:
    refusing, silent = wills_of([expression("refuse", None, None)]), Wills()
    assert not refusing.state_equal(silent)
    assert not Overlay(silent).state_equal(refusing)
    assert wills_of([expression("refuse", None, None), expression("lift", None, None)]).state_equal(silent)
