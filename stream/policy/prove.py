"""The proof: what the table promises, shown for every combination of answers, not for samples.

    python -m stream.policy.prove        (make prove)

Two halves that meet in the axioms:

* **on paper**: table and axioms are handed to Z3 as they stand, one Boolean for each predicate, and Z3 searches
  for a combination that breaks a property. Where there is none, the property is proved;
* **in fact**: `worlds` builds a concrete event for every combination there can be of the predicates in play. Each
  is decided by the plain table and by the quick way, which must land on the same row; and what the events show must
  be exactly what the axioms allow, no more and no less. The predicates out of play are those that no open row asks
  about, given kind and purpose: neither way ever looks at them there.

Prints a line for each property; a failed one prints the combination that breaks it, in words, and the exit code is 1.
"""

# ruff: noqa: T201  # what it prints is what it is for
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import product

import numpy as np
import numpy.typing as npt
import z3

from stream.model.codec import encode
from stream.policy.axioms import AXIOMS, Clause
from stream.policy.decide import Decider, case_of, decide, first_match
from stream.policy.predicates import (
    ALL,
    CALL,
    CAMPAIGN_TEXT,
    CATEGORY_PERMITTED,
    COMMERCIAL,
    CONSENTED,
    EMERGENCY,
    FROM_PERSON,
    FROM_PLATFORM,
    FROM_WELL_FORMED,
    HAS_ENTRY,
    IDENTIFIED,
    LICENSED,
    OPT_OUT_SHOWN,
    PERSONAL,
    PRESENTS_FOREIGN,
    PROHIBITED,
    PURPOSE_PERMITTED,
    QUIET,
    REFUSED,
    REPLY,
    SERVICE,
    SILENCE_REFUSES,
    SILENT,
    SMS,
    STALE,
    STOPPED,
    SUSPENDED,
    TO_HELP,
    TO_PERSON,
    TO_REDRESS,
    VERSTAT_FAILED,
    Needs,
    Predicate,
)
from stream.policy.rules import TABLE, Rule
from stream.policy.worlds import Play, Scene, plays, scenes

OF_THE_WILL = frozenset({CONSENTED, REFUSED, SILENT})
OF_THE_TEXT = frozenset({PROHIBITED, IDENTIFIED, OPT_OUT_SHOWN, CAMPAIGN_TEXT})


@dataclass(slots=True)
class Proof:
    """What was proved, how long it took, and what failed."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """property → the combination that breaks it, in words"""

    def show(self, claim: str, search: Callable[[], str | None]) -> None:
        """Search for what breaks a property, and print how that went."""
        begun = time.perf_counter()
        broken = search()
        self.seconds[claim] = time.perf_counter() - begun
        if broken is None:
            print(f"proved  {self.seconds[claim]:6.2f} s  {claim}", flush=True)
        else:
            self.failed[claim] = broken
            print(f"FAILED  {self.seconds[claim]:6.2f} s  {claim}\n        {broken}", flush=True)


# On paper.


class Combination:
    """The answers of one event to every predicate, as unknowns; and what the table makes of them.

    Where two events differ only in some predicates, the second shares all other unknowns with the first.
    """

    def __init__(
        self, mark: str = "", *, like: "Combination | None" = None, but: frozenset[Predicate] = frozenset()
    ) -> None:
        self.answers: dict[Predicate, z3.BoolRef] = {
            predicate: like.answers[predicate]
            if like is not None and predicate not in but
            else z3.Bool(predicate.name + mark)
            for predicate in ALL
        }
        self.axioms = z3.And([z3.Or(list(map(self.met, clause))) for axiom in AXIOMS for clause in axiom.clauses])

    def met(self, need: Needs | Predicate) -> z3.BoolRef:
        """That a need is met."""
        if isinstance(need, Predicate):
            return self.answers[need]
        return self.answers[need.predicate] if need.holds else z3.Not(self.answers[need.predicate])

    def all(self, *needs: Needs | Predicate) -> z3.BoolRef:
        """That all needs are met."""
        return z3.And(list(map(self.met, needs)))

    def reaches(self, rule: Rule) -> z3.BoolRef:
        """That no row above this one decides."""
        return z3.Not(z3.Or([self.all(*above.needs) for above in TABLE[: TABLE.index(rule)]]))

    def lands_on(self, *rules: Rule) -> z3.BoolRef:
        """That one of these rows decides."""
        return z3.Or([z3.And(self.reaches(rule), self.all(*rule.needs)) for rule in rules])

    def allowed(self) -> z3.BoolRef:
        """That the verdict is `allow`."""
        return self.lands_on(*(rule for rule in TABLE if rule.verdict == "allow"))

    def asks(self, predicates: frozenset[Predicate]) -> z3.BoolRef:
        """That running down the table asks one of these predicates: a row's needs are asked until one is not met."""
        return z3.Or(
            [
                z3.And(self.reaches(rule), self.all(*rule.needs[:place]))
                for rule in TABLE
                for place, need in enumerate(rule.needs)
                if need.predicate in predicates
            ]
        )


def breach(*claims: z3.BoolRef, of: Combination) -> str | None:
    """A combination for which all of `claims` hold, in words; None if there is none."""
    solver = z3.Solver()
    solver.add(of.axioms, *claims)
    if solver.check() != z3.sat:
        return None
    model = solver.model()
    holding = [p for p in ALL if z3.is_true(model.eval(of.answers[p], model_completion=True))]
    landing = next((r.id for r in TABLE if all((n.predicate in holding) is n.holds for n in r.needs)), "none")
    return f"row {landing}: " + "; ".join(predicate.holds for predicate in holding)


def on_paper(proof: Proof) -> None:
    """The properties, for every combination that the axioms allow."""
    one = Combination()

    def never(claim: str, *claims: z3.BoolRef) -> None:
        proof.show(claim, lambda: breach(*claims, of=one))

    never("the table is total: some row always decides", z3.Not(one.lands_on(*TABLE)))
    for place, axiom in enumerate(AXIOMS):
        others = [clause for other in (*AXIOMS[:place], *AXIOMS[place + 1 :]) for clause in other.clauses]
        if not _independent(axiom.clauses, others):
            proof.show(f"axiom needed: {axiom.sentence}", lambda: "it follows from the other axioms: take it out")
    for rule in TABLE:
        if breach(one.lands_on(rule), of=one) is None:
            proof.show(f"row {rule.id} is not shadowed", lambda: "the rows above decide all that meets its needs")
    print(f"        no row of {len(TABLE)} is shadowed, no axiom of {len(AXIOMS)} follows from the others")
    never("calls and SMS for help always pass", one.met(~REPLY), one.met(TO_HELP), z3.Not(one.allowed()))
    never("the way to an appeal is always open", one.met(~REPLY), one.met(TO_REDRESS), z3.Not(one.allowed()))
    never("a reply always passes", one.met(REPLY), z3.Not(one.allowed()))
    never(
        "where silence is refusal, no commercial SMS or call reaches a subscriber who has not consented",
        one.all(~REPLY, COMMERCIAL, TO_PERSON, SILENCE_REFUSES, ~CONSENTED),
        one.allowed(),
    )
    never(
        "no commercial SMS or call reaches a subscriber who has refused, whatever silence means",
        one.all(~REPLY, COMMERCIAL, TO_PERSON, REFUSED),
        one.allowed(),
    )
    never(
        "from a registry too old, where the policy fails closed, nothing commercial reaches a subscriber",
        one.all(~REPLY, COMMERCIAL, TO_PERSON, STALE),
        one.allowed(),
    )
    never(
        "no commercial SMS from a port reaches a subscriber without its sender, a contact and a way to refuse",
        one.all(SMS, COMMERCIAL, TO_PERSON, ~FROM_PERSON),
        z3.Not(one.all(IDENTIFIED, OPT_OUT_SHOWN)),
        one.allowed(),
    )
    never(
        "nothing commercial reaches a subscriber outside the permitted hours",
        one.all(~REPLY, COMMERCIAL, TO_PERSON, QUIET),
        one.allowed(),
    )
    never(
        "no commercial call reaches a subscriber from a platform",
        one.all(CALL, COMMERCIAL, TO_PERSON, FROM_PLATFORM),
        one.allowed(),
    )
    never(
        "nothing passes rules 16 to 18 without a licensed sender, its own number, and a purpose it is for",
        z3.Not(one.all(LICENSED, HAS_ENTRY, PURPOSE_PERMITTED)),
        one.lands_on(*(rule for rule in TABLE if rule.number > 18)),
    )
    never("the text of personal traffic is never asked for", one.all(~REPLY, PERSONAL), one.asks(OF_THE_TEXT))
    never(
        "the will is asked for commercial traffic to subscribers alone",
        z3.Not(one.all(~REPLY, COMMERCIAL, TO_PERSON)),
        one.asks(OF_THE_WILL),
    )
    early = [rule for rule in TABLE if rule.number < 7]
    never(
        "past rules 1 to 6 an order to suspend always decides",
        one.met(SUSPENDED),
        z3.Not(one.lands_on(*early, row("7"))),
    )
    never(
        "for commercial traffic an order to stop decides before any will is asked",
        one.all(~REPLY, COMMERCIAL, TO_PERSON, STOPPED),
        z3.Or(one.allowed(), one.asks(OF_THE_WILL)),
    )
    never(
        "an emergency from an entry that is for it yields to nothing but a number that is none",
        one.all(SMS, EMERGENCY),
        one.met(need_of("6a", "emergency_entry")),
        z3.Not(one.lands_on(*early)),
    )
    in_order = (
        FROM_WELL_FORMED,
        LICENSED,
        HAS_ENTRY,
        PURPOSE_PERMITTED,
        ~SUSPENDED,
        ~VERSTAT_FAILED,
        ~PRESENTS_FOREIGN,
    )
    never(
        "service traffic that is in order always passes",
        one.all(~REPLY, SERVICE, ~PROHIBITED, *in_order),
        z3.Not(one.allowed()),
    )
    never(
        "commercial traffic that is in order in every respect reaches whoever has consented",
        one.all(~REPLY, COMMERCIAL, CONSENTED, CATEGORY_PERMITTED, ~STOPPED, ~STALE, ~QUIET, ~PROHIBITED, *in_order),
        z3.Or(one.met(CALL), one.all(IDENTIFIED, OPT_OUT_SHOWN)),
        z3.Not(one.all(CALL, FROM_PLATFORM)),
        z3.Not(one.allowed()),
    )
    _of_two(proof, one)


def _of_two(proof: Proof, one: Combination) -> None:
    """Properties about two events that differ in one respect."""
    refused = Combination("'", like=one, but=OF_THE_WILL)
    proof.show(
        "a refusal never turns a block into an allow",
        lambda: breach(refused.axioms, refused.met(REFUSED), refused.allowed(), z3.Not(one.allowed()), of=one),
    )
    for purpose in (SERVICE, PERSONAL, EMERGENCY):
        proof.show(
            f"{purpose.name} traffic does not depend on wills",
            partial(breach, refused.axioms, one.all(~REPLY, purpose), _decided_otherwise(one, refused), of=one),
        )
    reworded = Combination("'", like=one, but=OF_THE_TEXT)
    proof.show(
        "personal traffic does not depend on its text",
        lambda: breach(reworded.axioms, one.all(~REPLY, PERSONAL), _decided_otherwise(one, reworded), of=one),
    )
    proof.show(
        "calls do not depend on any text",
        lambda: breach(reworded.axioms, one.met(CALL), _decided_otherwise(one, reworded), of=one),
    )


def _decided_otherwise(one: Combination, other: Combination) -> z3.BoolRef:
    return z3.Or([z3.Xor(one.lands_on(rule), other.lands_on(rule)) for rule in TABLE])


def _independent(clauses: Iterable[Clause], others: Iterable[Clause]) -> bool:
    """Whether some combination breaks these clauses and satisfies the others."""
    free = Combination()
    solver = z3.Solver()
    solver.add([z3.Or(list(map(free.met, clause))) for clause in others])
    solver.add(z3.Not(z3.And([z3.Or(list(map(free.met, clause))) for clause in clauses])))
    return bool(solver.check() == z3.sat)


def row(id_: str) -> Rule:
    """The row of that id."""
    return next(rule for rule in TABLE if rule.id == id_)


def need_of(id_: str, predicate: str) -> Needs:
    """The need of a row that names a predicate."""
    return next(need for need in row(id_).needs if need.predicate.name == predicate)


# In fact.


@dataclass(slots=True)
class Shown:
    """What concrete events have shown."""

    scenes_count: int = 0
    combinations_count: int = 0
    witness: dict[str, Scene] = field(default_factory=dict)
    """row → the first scene that landed on it"""


def in_fact(proof: Proof) -> Shown:
    """Every combination with a concrete event, by the plain table and the quick way."""
    shown = Shown()
    deciders: dict[int, Decider] = {}
    for play in plays():
        proof.show(
            f"{play.kind} {play.purpose}: table and quick way agree on all combinations of {len(play.asked)} answers",
            partial(_compare, play, shown, deciders),
        )
    proof.show("every row decides a concrete event", lambda: _witnesses(shown, deciders))
    return shown


def _compare(play: Play, shown: Shown, deciders: dict[int, Decider]) -> str | None:
    seen: set[int] = set()
    for scene in scenes(play):
        case = case_of(scene.event, scene.world, scene.now)
        rule = first_match(case)
        quick = _decider(scene, deciders).match(scene.event, scene.now)
        if rule is not quick:
            return f"the table lands on row {rule.id}, the quick way on {quick.id}: {_describe(scene)}"
        combination = sum(1 << place for place, predicate in enumerate(play.asked) if predicate.ask(case))
        if combination not in seen:
            seen.add(combination)
            broken = _broken_axiom(frozenset(predicate for predicate in ALL if predicate.ask(case)))
            if broken:
                return f"no axiom, for here it does not hold: {broken}: {_describe(scene)}"
        shown.scenes_count += 1
        shown.witness.setdefault(rule.id, scene)
    shown.combinations_count += len(seen)
    missing = np.setdiff1d(possible(play), np.fromiter(seen, np.int64, len(seen)))
    if missing.size:
        words = [
            need.sentence
            for place, predicate in enumerate(play.asked)
            for need in (Needs(predicate, holds=bool(int(missing[0]) >> place & 1)),)
        ]
        return f"{missing.size} combinations have no event, such as: " + "; ".join(words)
    return None


def _describe(scene: Scene) -> str:
    """A scene in a line: its event, and its world where that is not a fresh one in which silence refuses."""
    silence = "" if scene.world.policy.silence_refuses else "(silence allows) "
    stale = "(stale) " if scene.world.stale else ""
    return f"{silence}{stale}{encode(scene.event).decode()}"


def _broken_axiom(met: frozenset[Predicate]) -> str | None:
    return next((axiom.sentence for axiom in AXIOMS if not axiom.holds(met)), None)


def _decider(scene: Scene, deciders: dict[int, Decider]) -> Decider:
    decider = deciders.get(id(scene.world))
    if decider is None:
        decider = deciders[id(scene.world)] = Decider(scene.world.policy, scene.world.registry)
        decider.settle(stale=scene.world.stale, epoch="file")
    return decider


def _witnesses(shown: Shown, deciders: dict[int, Decider]) -> str | None:
    for rule in TABLE:
        scene = shown.witness.get(rule.id)
        if scene is None:
            return f"no event landed on row {rule.id}"
        plain = decide(scene.event, scene.world, scene.now)
        if plain != _decider(scene, deciders).decide(scene.event, scene.now) or plain.reason != rule.reason:
            return f"row {rule.id}: the two ways write different decisions for {_describe(scene)}"
    return None


def possible(play: Play) -> npt.NDArray[np.int64]:
    """Every combination of the predicates in play that the axioms allow, one bit each, in ascending order.

    Predicates out of play are eliminated from the clauses one by one (Davis and Putnam 1960): what is left says
    exactly for which combinations of the others there is some answer to them.
    """
    clauses = set(_clauses_given(play.given))
    for predicate in ALL:
        if predicate not in play.asked:
            clauses = set(_without(predicate, clauses))
    place = {predicate: n for n, predicate in enumerate(play.asked)}
    combinations = np.arange(1 << len(place), dtype=np.int64)
    allowed = np.ones(combinations.size, dtype=bool)
    for clause in clauses:
        met = [(combinations >> place[predicate] & 1) == holds for predicate, holds in clause]
        allowed &= reduce(np.logical_or, met, np.zeros(combinations.size, dtype=bool))
    return combinations[allowed]


Literal = tuple[Predicate, bool]


def _clauses_given(given: frozenset[Predicate]) -> Iterator[frozenset[Literal]]:
    """The clauses of all axioms, and that these predicates hold."""
    for axiom in AXIOMS:
        for clause in axiom.clauses:
            yield frozenset((need.predicate, need.holds) for need in clause)
    for predicate in given:
        yield frozenset({(predicate, True)})


def _without(predicate: Predicate, clauses: set[frozenset[Literal]]) -> Iterator[frozenset[Literal]]:
    """The same clauses as far as they do not depend on this predicate's answer."""
    holds = [clause - {(predicate, True)} for clause in clauses if (predicate, True) in clause]
    fails = [clause - {(predicate, False)} for clause in clauses if (predicate, False) in clause]
    yield from (clause for clause in clauses if not clause & {(predicate, True), (predicate, False)})
    for one, other in product(holds, fails):
        joined = one | other
        if not any((named, not answer) in joined for named, answer in joined):
            yield joined


def main() -> int:
    """Prove everything; 1 if anything failed."""
    proof = Proof()
    on_paper(proof)
    shown = in_fact(proof)
    print(f"\n{shown.scenes_count:,} events showed {shown.combinations_count:,} combinations. One for each row:")
    for rule in TABLE:
        if rule.id in shown.witness:
            print(f"  {rule.id:<4}{rule.verdict} {rule.reason} {_describe(shown.witness[rule.id])}")
    print(f"\n{len(proof.seconds) - len(proof.failed)} proved, {len(proof.failed)} failed")
    return 1 if proof.failed else 0


if __name__ == "__main__":
    sys.exit(main())
