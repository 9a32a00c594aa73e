"""Whose numbers a sender's record claims, and how a hand-over is stated (DESIGN section 5, *owner*)."""

import pytest

from stream.model.fields import SenderStatus
from stream.model.registry import FileRecord, NumberEntry, Sender, Tombstone
from stream.registry.claims import NOTHING_STATED, HandOver, clashes, giving_up, refusal
from stream.registry.registry import Registry, registry_of


def sender(name: str, *prefixes: str, status: SenderStatus = "active", channel: str = "sms", since: int = 0) -> Sender:
    numbers = tuple(NumberEntry(prefix, channel, ("commercial",), since=since) for prefix in prefixes)  # type: ignore[arg-type]
    return Sender(sender=name, name=name, contact="95588", status=status, numbers=numbers)


def take_over(*names: str) -> HandOver:
    return HandOver(take_over=frozenset(names))


def sub_port_of(*names: str) -> HandOver:
    return HandOver(sub_port_of=frozenset(names))


def written(registry: Registry, record: Sender, stated: HandOver = NOTHING_STATED) -> None:
    """What a writer does with a record that is admitted."""
    assert refusal(record, registry, stated) is None
    registry.apply([*giving_up(record, registry, stated), record])


def owner(registry: Registry, number: str) -> str | None:
    holding = registry.ownership["sms"].owner(number)
    return holding.sender if holding else None


@pytest.mark.parametrize("prefix", ["106901", "10690123", "1069"], ids=["equal", "inside", "around"])
def test_numbers_of_another_sender_are_refused_until_the_hand_over_is_stated(prefix: str) -> None:
    registry = registry_of([sender("A", "106901")])
    told = refusal(sender("B", prefix), registry, NOTHING_STATED)
    assert told is not None
    assert "106901 of A" in told
    assert "--take-over A" in told
    assert refusal(sender("B", prefix), registry, take_over("C")) is not None
    written(registry, sender("B", prefix), take_over("A"))
    assert owner(registry, "10690123456") == "B"


def test_a_part_of_a_providers_range_is_stated_as_such_and_its_range_is_not() -> None:
    registry = registry_of([sender("A", "1069")])
    written(registry, sender("B", "106901"), sub_port_of("A"))
    assert owner(registry, "10690123") == "B"
    assert owner(registry, "10690299") == "A"
    assert registry.senders["A"] == sender("A", "1069"), "the provider keeps its range"
    assert refusal(sender("C", "1069"), registry, sub_port_of("A", "B")) is not None
    assert refusal(sender("C", "106"), registry, sub_port_of("A", "B")) is not None


def test_whoever_hands_over_holds_the_number_no_more_whatever_its_since() -> None:
    registry = registry_of([sender("A", "106901", "1068", since=9)])
    written(registry, sender("B", "106901"), take_over("A"))
    assert owner(registry, "10690123") == "B"
    assert [entry.prefix for entry in registry.senders["A"].numbers] == ["1068"]
    assert not list(clashes(registry))


def test_a_revoked_claimant_never_stands_before_an_active_owner() -> None:
    registry = registry_of([sender("B", "106901"), sender("A", "106901")])  # of before there was this rule: A owns
    revoked = sender("B", "106901", status="revoked")
    told = refusal(revoked, registry, take_over("A"))
    assert told is not None
    assert "leave them out" in told
    written(registry, sender("B", status="revoked"))
    assert owner(registry, "10690123") == "A"


def test_a_longer_prefix_of_a_revoked_sender_goes_with_the_hand_over() -> None:
    registry = registry_of([sender("A", "10690123", status="revoked")])
    assert refusal(sender("B", "1069"), registry, NOTHING_STATED) is not None
    written(registry, sender("B", "1069"), take_over("A"))
    assert owner(registry, "10690123") == "B"


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([sender("A", "106902")], id="another prefix"),
        pytest.param([sender("A", "106901", channel="call")], id="the other channel"),
        pytest.param([sender("A", "106901"), Tombstone("registry.senders", "A")], id="a holder that is gone"),
        pytest.param([sender("B", "106901")], id="its own"),
        pytest.param([sender("A", "1069"), sender("B", "106901")], id="its own within another's, from before"),
        pytest.param([sender("A", "10690"), sender("B", "106901", "1068")], id="with fewer numbers"),
    ],
)
def test_what_takes_nothing_from_anybody_needs_no_statement(records: list[FileRecord]) -> None:
    assert refusal(sender("B", "106901"), registry_of(records), NOTHING_STATED) is None


def test_clashes_are_found_once_each_and_told_with_both_holders() -> None:
    registry = registry_of(
        [sender("A", "1069"), sender("B", "106901", "1068"), sender("C", "1068"), sender("D", "1069", channel="call")]
    )
    assert [str(clash) for clash in clashes(registry)] == [
        "106901 (sms) lies inside 1069 of A",
        "1068 (sms) is 1068 of B",
    ]
