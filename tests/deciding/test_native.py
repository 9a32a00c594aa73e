"""The native batch function decides as the Python core does, byte for byte, or leaves an event to it."""

import json
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.model.codec import decode_file_record, encode
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.policy.worlds import Play, plays, scenes
from stream.registry.registry import registry_of
from tests.deciding.differential import Source, round_of
from tests.deciding.twins import PARTITIONS, Twins, needs_native, partitioned_registry
from tests.filter import cases
from tests.filter.harness import NOW, event
from tests.policy import strategies
from tests.policy.model import Json
from tests.policy.test_model import policy_of

pytestmark = needs_native

ASKED_PLAYS = [play for play in plays() if play.kind != "reply"]
SCENES_EACH = 23
"""Every so many of the scenes; all of them, some hundreds of thousands, take minutes."""


def lines(raws: list[Json]) -> list[bytes]:
    return [json.dumps(raw, ensure_ascii=False).encode() for raw in raws]


policies = st.one_of(st.just(load()), strategies.settings_.map(policy_of))
event_lists = st.lists(strategies.all_events, min_size=5, max_size=40)


@settings(max_examples=150)
@given(policies, strategies.worlds, event_lists, strategies.moments)
def test_decisions_are_those_of_the_python_core(
    policy: Policy, records: list[Json], raws: list[Json], now: int
) -> None:
    said = [decode_file_record(line) for line in lines(records)]
    Twins(policy, registry_of(said)).agree(lines(raws), now=now)
    apart = Twins(policy, partitioned_registry(said))
    for partition in range(PARTITIONS):
        apart.agree(lines(raws), now=now, partition=partition)


@pytest.mark.parametrize("play", ASKED_PLAYS, ids=lambda play: f"{play.kind} {play.purpose}")
def test_every_combination_of_predicates_is_answered_alike(play: Play) -> None:
    by_world: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)
    worlds = {}
    for place, scene in enumerate(scenes(play)):
        if place % SCENES_EACH == 0:
            worlds[id(scene.world)] = scene.world
            by_world[id(scene.world), scene.now].append(encode(scene.event))
    twins = {name: Twins(world.policy, world.registry) for name, world in worlds.items()}
    for (name, now), values in by_world.items():
        twins[name].decider.settle(stale=worlds[name].stale, epoch=f"{now}")
        assert len(twins[name].agree(values, now=now)) <= len(values) // 50


def test_spoilt_events_are_left_or_decided_alike() -> None:
    source = Source(seed=7)
    for _ in range(12):
        round_of(source, 500)


def test_the_first_refusal_of_a_scope_that_nobody_held_reaches_the_routes_that_there_are() -> None:
    """Routes are compiled without the scopes that nobody holds: the first to be held must reach those there are."""
    registry = registry_of(cases.registry())
    twins = Twins(load(), registry)
    asked = {**cases.BANK, "sender": "ORG-BANK", "category": "finance", "text": cases.GOOD_TEXT}
    events = [event("sms", n, to=to, **asked) for n, to in enumerate((cases.SILENT, cases.WILLING))]
    assert twins.agree(lines(events), now=NOW) == []
    refusal: Json = {
        "kind": "expression", "subscriber": cases.SILENT, "channel": "sms", "sender": "ORG-BANK", "category": None,
        "will": "refuse", "time": 1_790_000_000_000, "source": "form",
    }  # fmt: skip
    registry.apply([decode_file_record(line) for line in lines([refusal])])
    assert twins.agree(lines(events), now=NOW) == []
    assert twins.native._compiler.answers, "it was decided natively, and as Python does"
