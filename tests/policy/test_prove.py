"""The proof itself: it holds, it is complete, and it notices a table that breaks a promise."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from stream.policy import program, prove
from stream.policy.axioms import AXIOMS
from stream.policy.predicates import ALL, CONSENTED, SMS
from stream.policy.prove import Proof, Shown, in_fact, on_paper, possible
from stream.policy.rules import TABLE, Rule
from stream.policy.worlds import ASKED_BY, AXES, Play, plays

THE_REST_TAKES_MINUTES = "all combinations, a hundred thousand and more, are for `make prove`"


@pytest.fixture
def few_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "plays", lambda: [play for play in plays() if play.purpose == "service"])
    monkeypatch.setattr(prove, "_witnesses", lambda *_: None)


def failures_on_paper(monkeypatch: pytest.MonkeyPatch, table: Sequence[Rule]) -> str:
    monkeypatch.setattr(prove, "TABLE", tuple(table))
    proof = Proof()
    on_paper(proof)
    return "\n".join(proof.failed)


def without(row: str, need: str) -> Iterator[Rule]:
    """The table where one row has lost one need."""
    for rule in TABLE:
        needs = tuple(n for n in rule.needs if rule.id != row or n.predicate.name != need)
        yield Rule(rule.id, needs, rule.verdict, rule.reason, rule.basis, rule.cites_order)


def swapped(one: str, other: str) -> list[Rule]:
    """The table where two rows stand in each other's place."""
    places = {rule.id: place for place, rule in enumerate(TABLE)}
    table = list(TABLE)
    table[places[one]], table[places[other]] = table[places[other]], table[places[one]]
    return table


def test_everything_is_proved_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures_on_paper(monkeypatch, TABLE) == ""


@pytest.mark.usefixtures("few_plays")
def test_table_and_quick_way_agree_and_the_axioms_allow_just_what_events_show() -> None:
    proof = Proof()
    shown: Shown = in_fact(proof)
    assert proof.failed == {}
    assert shown.combinations_count > 100, THE_REST_TAKES_MINUTES


@pytest.mark.parametrize(
    ("table", "promise"),
    [
        (swapped("1", "5a"), "calls and SMS for help always pass"),
        (swapped("2", "7"), "the way to an appeal is always open"),
        (swapped("6a", "7"), "an emergency from an entry that is for it yields to nothing"),
        (swapped("7", "16"), "past rules 1 to 6 an order to suspend always decides"),
        (swapped("20", "25a"), "an order to stop decides before any will is asked"),
        (swapped("25a", "30a"), "from a registry too old"),
        (swapped("28a", "30a"), "without its sender, a contact and a way to refuse"),
        (swapped("29", "30a"), "outside the permitted hours"),
        (swapped("23", "30a"), "from a platform"),
        (swapped("18", "19b"), "nothing passes rules 16 to 18"),
        (swapped("16", "30b"), "row 30a is not shadowed"),
        (swapped("26", "30b"), "no commercial SMS or call reaches a subscriber who has not consented"),
        (list(without("26", "silent")), "reaches whoever has consented"),
        (list(without("15", "personal")), "the text of personal traffic is never asked for"),
        (list(without("19b", "service")), "where silence is refusal"),
        (list(without("30a", "commercial"))[:-1], "the table is total"),
        (
            [rule for rule in TABLE if rule.id != "25b"],
            "reaches a subscriber who has refused",
        ),
        ([rule for rule in TABLE if rule.id != "25a"], "a refusal never turns a block into an allow"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_breaks_a_promise_fails_its_proof(
    monkeypatch: pytest.MonkeyPatch, table: list[Rule], promise: str
) -> None:
    assert promise in failures_on_paper(monkeypatch, table)


@pytest.mark.usefixtures("few_plays")
def test_a_quick_way_that_differs_from_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TABLE", tuple(swapped("19b", "18")))
    proof = Proof()
    in_fact(proof)
    assert any("the table lands on row 18, the quick way on 19b" in told for told in proof.failed.values())


@pytest.mark.usefixtures("few_plays")
def test_a_missing_axiom_is_found_as_combinations_without_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    spared = next(axiom for axiom in AXIOMS if axiom.sentence == "an entry is its owner's")
    monkeypatch.setattr(prove, "AXIOMS", tuple(axiom for axiom in AXIOMS if axiom is not spared))
    proof = Proof()
    in_fact(proof)
    assert any("combinations have no event" in told for told in proof.failed.values())


def test_a_counterexample_is_told_in_words() -> None:
    one = prove.Combination()
    told = prove.breach(one.all(SMS, CONSENTED), of=one)
    assert told is not None
    assert "it is an SMS" in told
    assert "the recipient has consented" in told


def test_every_predicate_has_an_axis_or_is_settled_by_kind_and_purpose() -> None:
    asked = {name for names in ASKED_BY.values() for name in names}
    assert asked.isdisjoint({"sms", "call", "reply", "personal", "service", "commercial", "public", "emergency"})
    assert asked | {"sms", "call", "reply", "personal", "service", "commercial", "public", "emergency"} == {
        predicate.name for predicate in ALL
    }
    assert set(ASKED_BY) == set(AXES)


def test_possible_combinations_are_those_that_some_answer_to_the_rest_completes() -> None:
    play = next(play for play in plays() if play.kind == "reply")
    tiny = Play(play.kind, play.purpose, play.given, play.asked)
    assert np.array_equal(possible(tiny), [0, 1])
