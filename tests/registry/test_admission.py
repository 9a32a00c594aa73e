"""Whoever writes the registry is held to the rules of DESIGN section 4."""

import pytest

from stream.model.registry import FileRecord, NumberEntry, Order, Sender
from stream.registry.admission import refusal
from stream.registry.registry import registry_of

NOW = 1_795_500_000_000


def _sender(*prefixes: str, channel: str = "sms") -> Sender:
    numbers = tuple(NumberEntry(prefix, channel, ("commercial",)) for prefix in prefixes)  # type: ignore[arg-type]
    return Sender(sender="ORG-1", name="某某银行", contact="95588", status="active", numbers=numbers)


def _limit(**fields: object) -> Order:
    stated = {"order": "O-1", "measure": "limit", "from_": NOW - 1, "basis": "measures", "sender": "ORG-1"} | fields
    return Order(**stated)  # type: ignore[arg-type]


def test_a_sender_under_a_limit_gets_no_new_numbers() -> None:
    registry = registry_of([_sender("1069"), _limit()])
    told = refusal(_sender("1069", "1068"), registry, NOW)
    assert told is not None
    assert "O-1" in told
    assert "1068 (sms)" in told
    assert "1069 (sms)" not in told


def test_a_sender_that_was_never_registered_gets_none_under_a_limit_either() -> None:
    assert refusal(_sender("1069"), registry_of([_limit()]), NOW) is not None


def test_the_same_prefix_on_the_other_channel_is_a_new_number() -> None:
    registry = registry_of([_sender("+8610"), _limit()])
    assert refusal(_sender("+8610", channel="call"), registry, NOW) is not None


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([_sender("1069")], id="no order"),
        pytest.param([_sender("1069"), _limit(until=NOW)], id="the order has ended"),
        pytest.param([_sender("1069"), _limit(from_=NOW + 1)], id="the order has not begun"),
        pytest.param([_sender("1069"), _limit(sender="ORG-2")], id="the order is on another"),
        pytest.param([_sender("1069"), _limit(measure="stop")], id="the order is no limit"),
        pytest.param([_sender("1069"), _limit(channel="call")], id="the order is on the other channel"),
    ],
)
def test_new_numbers_are_admitted_where_no_limit_is_in_force(records: list[FileRecord]) -> None:
    assert refusal(_sender("1069", "1068"), registry_of(records), NOW) is None


def test_fewer_numbers_and_changed_ones_are_admitted_under_a_limit() -> None:
    registry = registry_of([_sender("1069", "1068"), _limit()])
    assert refusal(_sender("1068"), registry, NOW) is None


@pytest.mark.parametrize(
    ("basis", "notice", "admitted"),
    [
        ("measures", None, False),
        ("measures", "", False),
        ("measures", "N-1", True),
        ("prohibited-content", None, True),
        ("regulator-order", None, True),
    ],
)
def test_a_suspension_needs_its_notice_unless_its_basis_needs_none(
    basis: str, notice: str | None, *, admitted: bool
) -> None:
    order = _limit(measure="suspend", basis=basis, notice=notice)
    assert (refusal(order, registry_of([]), NOW) is None) is admitted


def test_a_stop_needs_no_notice() -> None:
    assert refusal(_limit(measure="stop"), registry_of([]), NOW) is None
