"""The law, sentence by sentence: every article is there, and what a row names is there."""

from itertools import pairwise

from docs.generate.law import ARTICLES, absent, absent_tests
from docs.generate.law_table import Clock, Row, Rule, Sentence
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import SETTING, TERMS

NONE = "none"
"""a module that nobody has"""

SENTENCES = [sentence for article in ARTICLES for sentence in article.sentences]


def test_every_article_from_22_to_42_is_there_in_its_order() -> None:
    assert [number for article in ARTICLES for number in article.numbers] == list(range(22, 43))
    assert all(article.sentences for article in ARTICLES)


def test_every_sentence_is_carried_out_and_shown_or_says_why_not() -> None:
    assert not [one for one in SENTENCES if not one.out and not (one.by and one.tests)]
    assert not [one for one in SENTENCES if bool(one.by) != bool(one.tests)], "who carries it out is shown to"


def test_no_sentence_names_a_file_a_row_a_rule_a_term_or_a_test_that_is_not_there() -> None:
    assert not [missing for sentence in SENTENCES for missing in absent(sentence)]
    assert not [missing for article in ARTICLES for missing in absent_tests(article.ways)]


def test_what_is_not_there_is_found() -> None:
    by = (
        f"stream/{NONE}.py",
        Row("measure", "telling", "filed"),
        Row("none", "new", "found"),
        Rule("99"),
        Clock("none"),
    )
    tests = ("tests/docs/test_law.py::test_none", f"tests/{NONE}.py::test_none")
    good = "tests/docs/test_law.py::test_what_is_not_there_is_found"
    wrong = Sentence("(1)", "", "", ("stream/clock.py", *by), (good, *tests))
    assert len(list(absent(wrong))) == len(by) + len(tests)


def test_every_procedure_and_every_term_that_an_article_sets_is_named() -> None:
    places = [place for sentence in SENTENCES for place in sentence.by]
    assert {place.procedure for place in places if isinstance(place, Row)} == {one.name for one in OUTLINES}
    set_by_law = {term.clock for term in TERMS if term.basis != SETTING}
    assert set_by_law <= {place.name for place in places if isinstance(place, Clock)}


def test_numbers_within_an_article_differ() -> None:
    for article in ARTICLES:
        numbers = [sentence.number for sentence in article.sentences]
        assert all(one != other for one, other in pairwise(numbers))
