"""What the order of the rules promises, on random worlds: the promises that `prove` shows on paper, seen in fact."""

import json
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.snapshot import SnapshotMeta, TopicMark
from bloom.wills import CHANNELS
from stream.feed.files import registry_from
from stream.model.codec import decode_event, decode_file_record
from stream.model.events import Call, Event, Reply, Sms
from stream.model.registry import Expression, FileRecord, Order, Wordlist
from stream.model.topics import RECORD_KIND
from stream.policy.decide import ROUTE_BYTES, Decider, case_of, decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.registry.registry import Registry, registry_of
from tests.policy import strategies
from tests.policy.cases import CHAT, NOON, but, lands_on
from tests.policy.model import Json
from tests.policy.test_model import policy_of

some_worlds = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
CN_2020 = load()

event_lists = st.lists(strategies.all_events, min_size=3, max_size=8).map(lambda raws: [_event(raw) for raw in raws])
record_lists = strategies.worlds.map(lambda raws: [decode_file_record(json.dumps(raw).encode()) for raw in raws])
policies = strategies.settings_.map(policy_of)


def _event(raw: Json) -> Event:
    return decode_event(json.dumps(raw).encode())


def commercial_to_a_subscriber(event: Event, world: World) -> bool:
    if isinstance(event, Reply):
        return False
    case = case_of(event, world, event.time)
    return case.route.purpose == "commercial" and case.route.to_kind == "person"


@some_worlds
@given(record_lists, event_lists)
def test_under_cn_2020_nothing_commercial_reaches_a_subscriber_who_has_not_consented(
    records: list[FileRecord], events: list[Event]
) -> None:
    world = World(CN_2020, registry_of(records))
    for event in events:
        case = case_of(event, world, event.time)
        if commercial_to_a_subscriber(event, world) and case.stance != "consented":
            assert decide(event, world, event.time).verdict != "allow"


@some_worlds
@given(policies, record_lists, event_lists, st.sampled_from((None, "A", "B")), st.sampled_from((None, "finance")))
def test_a_refusal_never_turns_a_block_into_an_allow(
    policy: Policy, records: list[FileRecord], events: list[Event], sender: str | None, category: str | None
) -> None:
    refusals = [
        Expression(
            subscriber=subscriber,
            channel=channel,
            will="refuse",
            time=NOON,
            source="x",
            sender=sender,
            category=category,
        )
        for subscriber in strategies.SUBSCRIBERS
        for channel in CHANNELS
    ]
    before, after = Decider(policy, registry_of(records)), Decider(policy, registry_of([*records, *refusals]))
    for event in events:
        if before.decide(event, event.time).verdict != "allow":
            assert after.decide(event, event.time).verdict != "allow"


@some_worlds
@given(policies, record_lists, event_lists)
def test_what_is_not_commercial_does_not_depend_on_wills(
    policy: Policy, records: list[FileRecord], events: list[Event]
) -> None:
    world, willless = (
        World(policy, registry_of(some))
        for some in (records, [record for record in records if not isinstance(record, Expression)])
    )
    for event in events:
        if isinstance(event, Reply) or case_of(event, world, event.time).route.purpose != "commercial":
            assert decide(event, world, event.time) == decide(event, willless, event.time)


@some_worlds
@given(record_lists, event_lists, st.sampled_from(("110", "+8610110", "021119", "12110123", "urn:service:sos.fire")))
def test_a_call_for_help_always_passes(records: list[FileRecord], events: list[Event], to: str) -> None:
    decider = Decider(CN_2020, registry_of(records))
    for event in events:
        if not isinstance(event, Reply):
            assert decider.decide(but(event, to=to), event.time).verdict == "allow"


@some_worlds
@given(policies, record_lists, event_lists, strategies.written)
def test_the_text_of_personal_traffic_changes_nothing(
    policy: Policy, records: list[FileRecord], events: list[Event], text: str
) -> None:
    world = World(policy, registry_of(records))
    for event in events:
        personal = isinstance(event, Sms) and case_of(event, world, event.time).route.purpose == "personal"
        if personal:
            assert decide(but(event, text=text), world, event.time) == decide(event, world, event.time)


class Sealed(str):
    """A text that cannot be read: whatever is done with it breaks the test."""

    __slots__ = ()

    def _broken(self, *_: object) -> bool:
        raise AssertionError("the text of a personal message was read")

    __bool__ = __len__ = __contains__ = __hash__ = __eq__ = isascii = lower = _broken  # type: ignore[assignment]


def test_the_text_of_a_personal_message_is_never_touched() -> None:
    for event, row in ((CHAT, "9"), (but(CHAT, sender="ORG-9"), "16"), (but(CHAT, from_="+8613700137000"), "19a")):
        lands_on(row, but(event, text=Sealed("x")))
    with pytest.raises(AssertionError, match="was read"):
        lands_on("16", but(CHAT, text=Sealed("x"), purpose="service"))


def test_nor_is_it_touched_where_a_batch_is_read_ahead() -> None:
    decider = Decider(CN_2020, registry_of([Wordlist(list="w", terms=("赌场",))]))
    texts = [but(CHAT, purpose="service", text=f"{number}") for number in range(20)]
    sealed = [but(CHAT, text=Sealed("x")), but(CHAT, text=Sealed("x"), purpose=None)]
    assert [d.reason for d in decider.decide_all([*texts, *sealed], NOON)][-2:] == ["personal", "personal"]
    with pytest.raises(AssertionError, match="was read"):
        decider.decide_all([*texts, but(CHAT, text=Sealed("x"), purpose="service")], NOON)


@settings(some_worlds, max_examples=60)
@given(policies, record_lists, st.lists(st.tuples(event_lists, strategies.written), min_size=4, max_size=8))
def test_a_batch_is_decided_as_its_events_are_one_by_one(
    policy: Policy, records: list[FileRecord], batches: list[tuple[list[Event], str]]
) -> None:
    batch, alone = Decider(policy, registry_of(records)), Decider(policy, registry_of(records))
    events: list[Event] = [
        but(event, text=f"{number}{text}") if isinstance(event, Sms) else event
        for number, (some, text) in enumerate(batches)
        for event in some
    ]
    assert batch.decide_all(events, NOON) == [alone.decide(event, NOON) for event in events]
    assert batch.decide_all(events, None) == [alone.decide(event, event.time) for event in events]


@some_worlds
@given(policies, record_lists, event_lists)
def test_the_decision_is_total_and_always_the_same(
    policy: Policy, records: list[FileRecord], events: list[Event]
) -> None:
    one, other = Decider(policy, registry_of(records)), Decider(policy, registry_of(records))
    first = [one.decide(event, event.time) for event in events]
    assert first == [one.decide(event, event.time) for event in events]
    assert first[::-1] == [other.decide(event, event.time) for event in reversed(events)]


@some_worlds
@given(policies, record_lists, event_lists, st.sampled_from(("suspend", "stop", "limit")))
def test_a_suspension_decides_past_rule_6_a_stop_before_any_will_and_a_limit_never(
    policy: Policy, records: list[FileRecord], events: list[Event], measure: str
) -> None:
    named = [{"order": f"0-{name}", "sender": name} for name in strategies.SENDERS]
    orders = [msgspec.convert({**o, "measure": measure, "from": 0, "basis": "measures"}, Order) for o in named]
    before, after = Decider(policy, registry_of(records)), World(policy, registry_of([*records, *orders]))
    for event in events:
        was, rule = before.decide(event, event.time), before.match(event, event.time)
        now = decide(event, after, event.time)
        if rule.id == "6b" and measure == "suspend" and now != was:
            # A campaign does not carry another's number whose owner is suspended.
            assert isinstance(event, Sms)
            registry = after.registry
            owner = registry.ownership["sms"].owner(after.origin(Sms, event.from_) or "")
            assert owner is not None
            assert owner.sender != registry.campaigns[event.campaign or ""].sender
            assert (now.verdict, now.reason) == ("suspend", "suspended")
        elif measure == "limit" or rule.number < 7:
            assert now == was
        elif was.sender not in strategies.SENDERS:
            continue
        elif measure == "suspend":
            assert (now.verdict, now.reason) == ("suspend", "suspended")
        elif commercial_to_a_subscriber(event, after) and rule.number > 19:
            assert (now.verdict, now.reason) == ("suspend", "stopped")


@some_worlds
@given(record_lists, event_lists, st.lists(strategies.moments, min_size=2, max_size=4))
def test_now_alone_is_compared_with_orders_campaigns_and_hours(
    records: list[FileRecord], events: list[Event], moments: list[int]
) -> None:
    decider = Decider(load("opt-out"), registry_of(records))
    for event in events:
        for time, other in pairwise(moments):
            told = decider.decide(but(event, time=time), other)
            assert (told.decided, told.time) == (other, time)
            assert but(told, time=other) == decider.decide(but(event, time=other), other)


@some_worlds
@given(policies, record_lists, event_lists, st.integers(0, 20))
def test_a_snapshot_and_the_rest_of_the_log_decide_as_the_whole_log(
    policy: Policy, records: list[FileRecord], events: list[Event], at: int
) -> None:
    whole, resumed = registry_of(records), _resumed(records[:at])
    resumed.apply(records[at:])
    one, other = Decider(policy, whole), Decider(policy, resumed)
    for event in events:
        assert one.decide(event, event.time) == other.decide(event, event.time)


def _resumed(records: list[FileRecord]) -> Registry:
    """The registry that a snapshot of these records gives, under an overlay, as a worker has it."""
    registry = registry_of(records)
    assert isinstance(registry.wills, Wills)
    # A damaged or foreign snapshot is another test's matter: here it holds what the records say.
    marks = {topic: TopicMark("t", (0,) * (12 if kind is Expression else 1)) for topic, kind in RECORD_KIND.items()}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.snapshot"
        snapshot.write(file, meta=SnapshotMeta("c", NOON, marks), wills=registry.wills, records=registry.records())
        return registry_from(snapshot.read(file), overlay=True)


def test_routes_beyond_the_limit_are_forgotten_and_decided_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.policy.decide.KEPT_BYTES_MAX", 8 * ROUTE_BYTES)
    decider = Decider(CN_2020, registry_of(_records(strategies.LAWFUL)))
    world = World(CN_2020, decider.world.registry)
    for number in range(40):
        event = Call(
            id="e", time=NOON, to=strategies.SUBSCRIBERS[0], from_=f"+8610{number:08}", category=f"{number % 7}"
        )
        assert decider.decide(event, NOON) == decide(event, world, NOON)
        assert decider._kept_bytes <= 9 * ROUTE_BYTES


def _records(raws: list[Json]) -> list[FileRecord]:
    return [decode_file_record(json.dumps(raw).encode()) for raw in raws]
