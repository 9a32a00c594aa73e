"""The sample is a registry and its traffic such that every outcome of the policy occurs, the same on every
machine.
"""

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.number import parse
from bloom.partition import partition_of
from stream.model.codec import encode, event_decoder
from stream.model.topics import EVENTS_URGENT
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.rules import TABLE
from stream.registry.registry import Registry
from stream.testbed import texts
from stream.testbed.sample import REFUSALS_COUNT_MIN, Sample, numbers_of, sample, subscriber
from stream.testbed.traffic import SCENARIOS, Scenario, Traffic, place

NOW = 1_795_500_000_000
NOT_ON_A_FRESH_REGISTRY = {"registry_stale", "quiet_hours", "default_allow"}


def small() -> Sample:
    return sample(now=NOW, refusals_count=2_000, silent_count=2_000)


def decider_of(registry: Sample) -> Decider:
    folded = Registry()
    folded.apply(registry.records())
    for words in registry.expressions:
        folded.apply([words.expression(index) for index in words.who])
    return Decider(load(), folded)


@pytest.fixture(scope="module")
def decider() -> Decider:
    return decider_of(small())


def test_the_scenarios_cover_every_reason_that_the_policy_can_give_on_a_fresh_registry() -> None:
    assert {scenario.reason for scenario in SCENARIOS} == {rule.reason for rule in TABLE} - NOT_ON_A_FRESH_REGISTRY


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.make.__name__)
def test_each_scenario_is_answered_with_its_reason_whoever_it_reaches(scenario: Scenario, decider: Decider) -> None:
    traffic = Traffic(small(), texts.own(), seed=7)
    events = [scenario.make(traffic) for _ in range(100)]
    assert Counter(decider.decide(event, NOW).reason for event in events) == {scenario.reason: 100}


def test_the_first_events_have_one_of_each_scenario_so_that_the_shortest_run_shows_all() -> None:
    traffic = Traffic(small(), texts.own(), seed=3)
    reasons = {decider_of(small()).decide(event, NOW).reason for event in traffic.events(len(SCENARIOS), now=NOW)}
    assert reasons == {scenario.reason for scenario in SCENARIOS}


def test_the_opening_is_whole_even_when_it_is_taken_in_pieces(decider: Decider) -> None:
    traffic = Traffic(small(), texts.own(), seed=3)
    events = [event for _ in range(len(SCENARIOS)) for event in traffic.events(1, now=NOW)]
    assert {decider.decide(event, NOW).reason for event in events} == {scenario.reason for scenario in SCENARIOS}


def test_the_proportions_are_those_of_the_table(decider: Decider) -> None:
    count = 20_000
    decided = Counter(
        decider.decide(event, NOW).reason for event in Traffic(small(), texts.own(), seed=1).events(count, now=NOW)
    )
    whole = sum(scenario.share for scenario in SCENARIOS)
    for reason in ("personal", "service", "consented", "no_consent", "refused"):
        share = sum(scenario.share for scenario in SCENARIOS if scenario.reason == reason) / whole
        assert decided[reason] / count == pytest.approx(share, rel=0.1)


@given(seed=st.integers(0, 2**32), pieces=st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_the_same_seed_makes_the_same_traffic(seed: int, pieces: list[int]) -> None:
    one, other = (Traffic(small(), texts.own(), seed=seed) for _ in range(2))
    for count in pieces:
        assert one.events(count, now=NOW) == other.events(count, now=NOW)


def test_every_event_decodes_from_its_topic_and_lies_in_its_subscribers_partition() -> None:
    events = Traffic(small(), texts.own(), seed=5).events(2_000, now=NOW)
    for event, (where, record) in zip(events, place(events, partitions=12), strict=True):
        assert event_decoder(where.topic)(record.value) == event
        assert where.partition == partition_of(record.key.decode(), 12)


def test_emergency_sms_go_to_the_urgent_topic_and_nothing_else_does() -> None:
    events = Traffic(small(), texts.own(), seed=5).events(5_000, now=NOW)
    urgent = [
        event
        for event, placed in zip(events, place(events, partitions=12), strict=True)
        if placed.place.topic == EVENTS_URGENT
    ]
    assert urgent
    assert all(b'"purpose":"emergency"' in encode(event) for event in urgent)


@given(st.lists(st.integers(0, 8 * 10**8 - 1), min_size=2, max_size=50, unique=True))
def test_different_indexes_are_different_subscribers(indexes: list[int]) -> None:
    numbers = [subscriber(index) for index in indexes]
    assert len(set(numbers)) == len(indexes)
    assert all(parse(number) is not None for number in numbers)


def test_a_range_of_subscribers_is_the_subscribers_one_by_one() -> None:
    assert [f"+{number}" for number in numbers_of(range(5, 50))] == [subscriber(index) for index in range(5, 50)]


def test_the_registry_has_as_many_refusals_as_asked_for() -> None:
    registry = sample(now=NOW)
    assert sum(len(words.who) for words in registry.expressions if words.will == "refuse") == 1_000_000
    assert registry.consents_count > 5_000
    assert registry.expressions_count == 1_000_000 + registry.consents_count
    assert len([sender for sender in registry.senders if sender.status == "active"]) >= 12


def test_too_small_a_registry_is_refused_with_the_least_size() -> None:
    with pytest.raises(ValueError, match=str(REFUSALS_COUNT_MIN)):
        sample(now=NOW, refusals_count=10)


def test_what_one_subscriber_said_is_told_in_order() -> None:
    registry = small()
    assert [word.will for word in registry.expressions_of(0)] == ["refuse", "consent"]
    assert [(word.will, word.sender) for word in registry.expressions_of(registry.watched)] == [
        ("consent", "ORG-BANK-1")
    ]
    assert list(registry.expressions_of(registry.silent.start)) == []


def test_a_corpus_gives_personal_texts_to_people_and_the_rest_to_advertisers(tmp_path: Path) -> None:
    lines = [
        '{"text":"回家吃饭吗","label":"personal"}',
        '{"text":"好房出售","label":"ad.real_estate","corpus":"x"}',
        "no json",
    ]
    for name in ("corpus.ndjson", "corpus.ndjson.gz"):
        path = tmp_path / name
        data = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        found = texts.corpus(path)
        assert found.personal(random.Random(1)) == "回家吃饭吗"
        bank = small().senders[0]
        advertisement = found.advertisement(random.Random(1), bank, "finance")
        assert "好房出售" in advertisement
        assert bank.contact in advertisement


def test_a_corpus_with_percent_signs_is_used_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "corpus.ndjson"
    path.write_text('{"text":"100%d","label":"personal"}\n{"text":"5%","label":"ad.loan"}\n', encoding="utf-8")
    assert texts.corpus(path).personal(random.Random(1)) == "100%d"


@pytest.mark.parametrize("content", ["", '{"text":"好","label":"personal"}\n', "{}\n"])
def test_a_corpus_without_both_kinds_is_refused_with_what_is_needed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "corpus.ndjson"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(texts.CorpusError, match="some of both are needed"):
        texts.corpus(path)


def test_a_corpus_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(texts.CorpusError, match=r"nowhere\.ndjson"):
        texts.corpus(tmp_path / "nowhere.ndjson")
