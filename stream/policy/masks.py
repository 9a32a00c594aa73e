"""The table on one route as masks: what a machine can run that knows predicates by name and no rule.

A row is the predicates that must hold and those that must not, each a bit, and its rule. `program` has settled what
the route settles; what is left is about one event. So this is the same table again, evaluated in part, for an engine
that answers predicates in another language: it says which ones it knows; a row with any other falls back to Python.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bloom.wills import Stance
from stream.policy.facts import Route
from stream.policy.predicates import ALL, Predicate
from stream.policy.program import STANCE_OF, STANCES, OpenRow, first_asking_for_the_will, open_rows
from stream.policy.rules import Rule


class MaskedRow(NamedTuple):
    """An open row: masks of what it needs, and whether all that it needs is in them."""

    needs: int
    forbids: int
    rule: Rule
    sure: bool


class Masked(NamedTuple):
    """The open rows of a route: those above the first that asks for the will, and for each will those below."""

    above: tuple[MaskedRow, ...]
    below: Mapping[Stance, tuple[MaskedRow, ...]] | None
    """None where no row asks"""


def bits_of(names: Sequence[str]) -> dict[Predicate, int]:
    """The bit of each predicate that goes by one of these names. Raises KeyError for a name that none has."""
    named = {predicate.name: predicate for predicate in ALL}
    return {named[name]: 1 << place for place, name in enumerate(names)}


def masked(route: Route, bits: Mapping[Predicate, int]) -> Masked:
    """What the table comes to on this route, in these bits."""
    rows = open_rows(route, None)
    cut = first_asking_for_the_will(rows)
    above = tuple(_row(row, bits) for row in rows[:cut])
    if cut == len(rows):
        return Masked(above, None)
    below = {stance: tuple(_row(row, bits) for row in open_rows(route, stance)[cut:]) for stance in STANCES}
    return Masked(above, below)


def _row(row: OpenRow, bits: Mapping[Predicate, int]) -> MaskedRow:
    rule, left = row
    assert not any(need.predicate in STANCE_OF for need in left), "the will is settled before a row asks for it"
    known = [need for need in left if need.predicate in bits]
    return MaskedRow(
        sum(bits[need.predicate] for need in known if need.holds),
        sum(bits[need.predicate] for need in known if not need.holds),
        rule,
        len(known) == len(left),
    )
