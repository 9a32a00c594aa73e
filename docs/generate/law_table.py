"""What the table of the law is made of: articles, their sentences, what carries one out, and tests that show it."""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """Rows of a procedure's table (docs/procedures.md): what it does with this event in this state."""

    procedure: str
    state: str
    event: str


class Rule(NamedTuple):
    """A row of the rule table (docs/policy.md), by its id."""

    id: str


class Clock(NamedTuple):
    """A term (docs/procedures.md, *Terms and limits*)."""

    name: str


Place = str | Row | Rule | Clock
"""What carries a sentence out; a text is a file."""


class Sentence(NamedTuple):
    """One thing that an article says."""

    number: str
    says: str
    chinese: str
    """the words by which a regulator would look for it"""
    by: tuple[Place, ...]
    tests: tuple[str, ...]
    """`path::name`"""
    out: str = ""
    """what of it is out of scope or open, and why"""


class Article(NamedTuple):
    """An article; several where our digest has them together."""

    numbers: tuple[int, ...]
    title: str
    chinese: str
    sentences: tuple[Sentence, ...]
    ways: tuple[str, ...] = ()
    """`path::name` of its whole ways, by real processes on a genuine broker"""


def tests(path: str, *names: str) -> tuple[str, ...]:
    """These tests of a module, as `path::name`; both without what all of them begin and end with."""
    return tuple(f"tests/{path}.py::test_{name}" for name in names)


def ways(module: str, *names: str) -> tuple[str, ...]:
    """These stories of a module of `tests/enforce/articles`, whose one test tells all of them."""
    return tuple(f"tests/enforce/articles/{module}.py::{name}" for name in names)


# Modules of tests that both tables name, as `tests` takes them, and the one test of all planes.
MEASURE: Final = "enforce/procedures/test_measure"
AUTHORITIES: Final = "enforce/procedures/test_authorities"
PERMISSIONS: Final = "enforce/api/test_permissions"
WAYS: Final = "enforce/api/test_ways"
RULES: Final = "policy/test_rules"
ALL_PLANES: Final = tests("enforce/test_end_to_end", "a_complaint_and_a_violation_take_their_course_through_all_planes")
