"""The decision against an independent reading of the design, on thousands of random worlds."""

import json
from collections import Counter
from typing import NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.model.codec import decode_event, decode_file_record, encode
from stream.policy.decide import Decider, decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.rules import TABLE
from stream.policy.settings import Hours, Policy
from stream.registry.registry import Registry
from tests.policy import model, strategies
from tests.policy.model import Answer, Json, Settings, Window, compacted

worlds_by_the_thousand = settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
CN_2020 = load()


class Scene(NamedTuple):
    """A world and some events in it."""

    records: list[Json]
    settings: Settings
    stale: bool
    events: list[Json]


scenes = st.builds(
    Scene,
    strategies.worlds,
    strategies.settings_,
    st.booleans(),
    st.lists(strategies.all_events, min_size=3, max_size=10),
)


def policy_of(wanted: Settings) -> Policy:
    """cn-2020 with these settings."""
    file = CN_2020.file
    changed = msgspec.structs.replace(
        file,
        consent=msgspec.structs.replace(file.consent, silence="refuse" if wanted.silence_refuses else "allow"),
        staleness=msgspec.structs.replace(file.staleness, fail="closed" if wanted.fails_closed else "open"),
        hours=tuple(map(_hours, wanted.hours)),
    )
    return Policy(changed, text="a variant")


def _hours(window: Window) -> Hours:
    begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in (window.begins, window.ends))
    return Hours(window.channel, begins, ends, window.zone, "consent", window.categories)  # type: ignore[arg-type]


def registry_of(records: list[Json]) -> Registry:
    """The registry that the real codec and fold make of these records."""
    registry = Registry()
    registry.apply([decode_file_record(json.dumps(record).encode()) for record in records])
    return registry


def answer_of(decision: msgspec.Struct) -> Answer:
    """As much of an encoded decision as the model gives."""
    wire = json.loads(encode(decision))
    return Answer(wire["verdict"], wire["reason"], wire["basis"], wire["sender"], wire.get("appeal"))


@worlds_by_the_thousand
@given(scenes)
def test_decisions_are_those_of_the_design(scene: Scene) -> None:
    policy, registry = policy_of(scene.settings), registry_of(scene.records)
    plain = World(policy, registry, stale=scene.stale)
    quick = Decider(policy, registry)
    quick.settle(stale=scene.stale, epoch="file")
    expected = model.World(scene.records, scene.settings, stale=scene.stale)
    for raw in scene.events:
        event = decode_event(json.dumps(raw).encode())
        assert answer_of(quick.decide(event, event.time)) == expected.decide(raw, event.time)
        assert quick.decide(event, event.time) == decide(event, plain, event.time)


@worlds_by_the_thousand
@given(scenes)
def test_decisions_are_the_same_after_log_compaction(scene: Scene) -> None:
    policy = policy_of(scene.settings)
    whole = Decider(policy, registry_of(scene.records))
    compact = Decider(policy, registry_of(compacted(scene.records)))
    for raw in scene.events:
        event = decode_event(json.dumps(raw).encode())
        assert whole.decide(event, event.time) == compact.decide(event, event.time)


@worlds_by_the_thousand
@given(scene=scenes, later=strategies.registries, stale_later=st.booleans())
def test_the_quick_way_follows_a_registry_that_changes_between_batches(
    *, scene: Scene, later: list[Json], stale_later: bool
) -> None:
    policy, registry = policy_of(scene.settings), registry_of(scene.records)
    quick = Decider(policy, registry)
    events = [decode_event(json.dumps(raw).encode()) for raw in scene.events]
    for event in events:
        quick.decide(event, event.time)
    registry.apply([decode_file_record(json.dumps(record).encode()) for record in later])
    quick.settle(stale=stale_later, epoch="run-2")
    plain = World(policy, registry, stale=stale_later)
    for event in events:
        assert quick.decide(event, event.time) == decide(event, plain, event.time, epoch="run-2")


def test_random_worlds_reach_every_rule() -> None:
    reached: Counter[str] = Counter()

    @settings(worlds_by_the_thousand, max_examples=2_000, database=None, derandomize=True)
    @given(scenes)
    def walk(scene: Scene) -> None:
        quick = Decider(policy_of(scene.settings), registry_of(scene.records))
        quick.settle(stale=scene.stale, epoch="file")
        for raw in scene.events:
            event = decode_event(json.dumps(raw).encode())
            reached[quick.match(event, event.time).id] += 1

    walk()
    missing = {rule.id for rule in TABLE} - set(reached)
    assert not missing, f"no random world reached {sorted(missing)}: widen the strategies"
