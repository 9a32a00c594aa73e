"""Whoever writes the registry is held to the rules of DESIGN section 4."""

import msgspec
import pytest

from stream.model.fields import EntryPurpose
from stream.model.registry import Campaign, Expression, FileRecord, NumberEntry, Order, Sender, Tombstone, Wordlist
from stream.policy.loading import load
from stream.registry.admission import OF_A_MEASURE, Admission, number_as_written
from stream.registry.registry import Registry, registry_of

NOW = 1_795_500_000_000
YEAR = 365 * 86_400_000
DOOR = Admission(load(None).numbering)


def refusal(record: FileRecord, registry: Registry, now: int) -> str | None:
    refused = DOOR.refused(record, registry, now)
    return refused and refused.what


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
    assert "limit" in (refusal(_sender("+8610", channel="call"), registry, NOW) or "")


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


def _entry(*, purposes: tuple[str, ...] = ("commercial",), categories: tuple[str, ...] = (), **more: object) -> Sender:
    numbers = (NumberEntry("1069", "sms", purposes, categories, **more),)  # type: ignore[arg-type]
    return Sender(sender="ORG-1", name="某某银行", contact="95588", status="active", numbers=numbers)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (_entry(), _entry(purposes=("commercial", "service")), "purpose service"),
        (_entry(categories=("finance",)), _entry(categories=("finance", "travel")), "category travel"),
        (_entry(categories=("finance",)), _entry(), "category every one"),
        (_entry(platform=True), _entry(), "no platform any more"),
    ],
)
def test_new_purposes_and_categories_of_a_number_are_new_resources_too(
    before: Sender, after: Sender, told: str
) -> None:
    registry = registry_of([before, _limit()])
    assert told in (refusal(after, registry, NOW) or "")
    assert refusal(before, registry, NOW) is None
    assert refusal(after, registry_of([before]), NOW) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_entry(purposes=("commercial", "service")), _entry(purposes=("service",))),
        (_entry(), _entry(categories=("finance",))),
        (_entry(categories=("finance", "travel")), _entry(categories=("travel",))),
    ],
)
def test_fewer_purposes_and_categories_are_admitted_under_a_limit(before: Sender, after: Sender) -> None:
    assert refusal(after, registry_of([before, _limit()]), NOW) is None


def test_a_limited_senders_removed_record_can_be_registered_again_as_it_was_and_not_with_more() -> None:
    gone = Tombstone("registry.senders", "ORG-1")
    registry = registry_of([_sender("1069"), _limit(), gone])
    assert refusal(_sender("1069"), registry, NOW) is None
    assert "1068 (sms)" in (refusal(_sender("1069", "1068"), registry, NOW) or "")


@pytest.mark.parametrize(
    ("number", "prefix", "channel", "refused"),
    [
        ("10690123", "1069", "sms", True),
        ("1069", "10690123", "sms", True),
        ("10690123", "10690123", "sms", True),
        ("10690124", "10690123", "sms", False),
        ("010-87654321", "+861087", "call", True),
        ("+861069012345", "1069", "sms", True),
        ("+861069012345", "1069", "call", False),
        ("+861069012345", "+861069", "call", True),
    ],
)
def test_a_limit_on_a_number_refuses_whoever_registers_numbers_around_or_within_it(
    number: str, prefix: str, channel: str, *, refused: bool
) -> None:
    registry = registry_of([_limit(sender=None, number=number)])
    told = refusal(_sender(prefix, channel=channel), registry, NOW)
    assert (told is not None) is refused, told


def test_a_limit_on_a_number_leaves_its_holder_what_it_has() -> None:
    registry = registry_of([_sender("1069"), _limit(sender=None, number="10690123")])
    assert refusal(_sender("1069"), registry, NOW) is None
    assert refusal(_sender("1069", "1068"), registry, NOW) is None


def test_a_sender_that_claims_anothers_number_is_refused() -> None:
    other = Sender("ORG-2", "其他", "95588", "active", (NumberEntry("1069", "sms", ("service",)),))
    assert "--take-over ORG-2" in (refusal(_sender("106901"), registry_of([other]), NOW) or "")


def test_a_prefix_that_owns_nothing_is_refused_unless_it_was_there_before() -> None:
    told = refusal(_sender("+8695588"), Registry(), NOW)
    assert told is not None
    assert "write 95588" in told
    assert refusal(_sender("+8695588"), registry_of([_sender("+8695588", "1069")]), NOW) is None


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (_limit(from_=NOW // 1000), "looks like seconds"),
        (_limit(until=NOW + 11 * YEAR), "more than 10 years from now"),
        (Campaign("P", "filed", "S", 1, NOW, "文"), "`from`"),
        (Campaign("P", "filed", "S", NOW, NOW + 1, "文", numbers=("1069", "13")), "13"),
        (Wordlist("l", ("x" * 65,)), "at most 64"),
        (_limit(sender=None, number="12"), "neither a person's nor 3 to 20 digits"),
    ],
)
def test_times_limits_and_numbers_that_cannot_be_are_refused(record: FileRecord, told: str) -> None:
    assert told in (refusal(record, Registry(), NOW) or "")


@pytest.mark.parametrize(
    "record", [_limit(until=NOW + 9 * YEAR), Campaign("P", "filed", "S", NOW, NOW + 9 * YEAR, "文")]
)
def test_orders_and_campaigns_may_end_in_ten_years(record: FileRecord) -> None:
    assert refusal(record, Registry(), NOW) is None


@pytest.mark.parametrize(
    ("purposes", "hours", "told"),
    [
        (("emergency", "service"), 72, None),
        (("public",), 1, None),
        ((), 1, None),
        (("public",), 73, "more than 72 hours ahead"),
        (("public",), 87_600, "more than 72 hours ahead"),
        (("emergency", "commercial"), 1, "a commercial sender, by its entry 10690 on sms"),
        (("service",), 1, "nothing shows that GOV is a public body's"),
    ],
)
def test_an_emergency_is_a_public_bodys_and_ends_in_three_days(
    purposes: tuple[EntryPurpose, ...], hours: int, told: str | None
) -> None:
    sender, warning = _body(*purposes), _warning(NOW + hours * 3_600_000)
    said = refusal(warning, registry_of([sender]), NOW)
    assert said is None if told is None else told in (said or "")
    assert refusal(warning, registry_of([sender, warning]), NOW) is None, "as it stands"
    assert refusal(msgspec.structs.replace(warning, emergency=False), registry_of([sender]), NOW) is None


def test_an_emergency_of_a_revoked_sender_is_refused_and_one_that_is_over_is_not() -> None:
    assert refusal(_warning(NOW + 1), Registry(), NOW) is None, "nobody knows the sender yet"
    revoked = registry_of([msgspec.structs.replace(_body("public"), status="revoked")])
    assert "GOV is revoked" in (refusal(_warning(NOW + 1), revoked, NOW) or "")
    assert refusal(_warning(NOW), revoked, NOW) is None


def _body(*purposes: EntryPurpose) -> Sender:
    entries = (NumberEntry("10690", "sms", purposes),) if purposes else ()
    return Sender("GOV", "应急局", "12345", "active", entries)


def _warning(until: int) -> Campaign:
    return Campaign("P-1", "approved", "GOV", NOW - 1, until, "文", emergency=True)


@pytest.mark.parametrize(
    ("channel", "number", "written"),
    [
        ("sms", "+86 106-9012345", "1069012345"),
        ("call", "010-87654321", "+861087654321"),
        (None, "0086 138 0013 8000", "+8613800138000"),
        (None, "12", "12"),
    ],
)
def test_an_orders_number_is_written_as_read(channel: str | None, number: str, written: str) -> None:
    order = DOOR.as_written(_limit(sender=None, number=number, channel=channel))
    assert isinstance(order, Order)
    assert order.number == written


@pytest.mark.parametrize("text", ["", "12", "anonymous caller", "+0", "1" * 21])
def test_what_is_no_number_at_all_is_none(text: str) -> None:
    assert number_as_written(text, "call", DOOR.numbering) is None


def test_an_id_is_its_writers() -> None:
    """Whoever stated an id took the place of what another had written under it."""
    registry = registry_of([_limit(actor="desk:17"), _campaign("ORG-1")])
    assert refusal(_limit(actor="desk:17", until=NOW), registry, NOW) is None
    for other in ("desk:18", None):
        assert "desk:17 wrote it" in (refusal(_limit(actor=other, measure="stop"), registry, NOW) or "")
    of_a_measure = _limit(order=f"{OF_A_MEASURE}1", actor=None)
    assert refusal(of_a_measure, registry_of([of_a_measure]), NOW) is None, "as it stands"
    ended = _limit(order=f"{OF_A_MEASURE}1", actor=None, until=NOW)
    assert "through that case" in (refusal(ended, registry_of([of_a_measure]), NOW) or "")
    assert refusal(_campaign("ORG-1"), registry, NOW) is None
    assert "ORG-1's" in (refusal(_campaign("ORG-2"), registry, NOW) or "")


def _campaign(sender: str) -> Campaign:
    return Campaign("P-1", "approved", sender, from_=NOW, until=NOW + 1, text="text")


@pytest.mark.parametrize(
    ("record", "bar"),
    [
        (Expression("+8613800138000", "sms", "refuse", NOW, "x", sender="a|b"), True),
        (Expression("+8613800138000", "sms", "refuse", NOW, "x", sender="a", category="c|d"), True),
        (Expression("+8613800138000", "sms", "refuse", NOW, "a|b", sender="a", category="c"), False),
        (Sender(sender="a|b", name="a|b", contact="95588", status="active", numbers=()), True),
        (Sender(sender="ab", name="a|b", contact="95588", status="active", numbers=()), False),
        (_limit(order="a|b"), False),
    ],
)
def test_no_part_of_a_key_holds_its_bar(record: FileRecord, *, bar: bool) -> None:
    """The sender `a|b` and the category `c|d` shared a key with `a` and `b|c|d`."""
    assert ("`|`" in (refusal(record, Registry(), NOW) or "")) is bar
