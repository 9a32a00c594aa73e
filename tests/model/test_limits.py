"""The table of limits: records at a limit pass, records beyond it are named by field."""

import pytest

from stream.model.control import Complaint
from stream.model.fields import ID_CHARACTERS_MAX, RECORD_BYTES_MAX
from stream.model.limits import TABLE, excess
from stream.model.registry import Campaign, Expression, NumberEntry, Order, Record, Sender, Wordlist


def sender(**stated: object) -> Sender:
    given = {"sender": "S", "name": "n", "contact": "95588", "status": "active", "numbers": (), **stated}
    return Sender(**given)  # type: ignore[arg-type]


def entries(count: int) -> tuple[NumberEntry, ...]:
    return tuple(NumberEntry(prefix=f"10690{n:04d}", channel="sms", purposes=("service",)) for n in range(count))


def expression(**stated: object) -> Expression:
    given = {"subscriber": "+8613800138000", "channel": "sms", "will": "refuse", "time": 1, "source": "desk", **stated}
    return Expression(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "record",
    [
        sender(name="名" * 256, contact="1" * 320, numbers=entries(1000), signatures=("签",) * 1000),
        Wordlist(list="l" * 256, terms=("词" * 64,) * 10_000),
        expression(evidence="e" * 4000, actor="a" * 256),
        Campaign(campaign="P", status="filed", sender="S", from_=1, until=2, text="文" * 40_000),
        Order(order="O", measure="stop", from_=1, basis="measures", sender="S" * 256, appeal="t" * 320),
        Complaint(complaint="C", time=1, text="文" * 40_000, evidence=("e" * 4000,)),
    ],
)
def test_what_is_at_its_limit_exceeds_nothing(record: Record) -> None:
    assert excess(record) == []


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (sender(name="名" * 257), "`name` has 257 characters, at most 256"),
        (sender(contact="1" * 321), "`contact` has 321 characters, at most 320"),
        (sender(numbers=entries(1001)), "`numbers` has 1,001 prefixes, at most 1,000"),
        (sender(signatures=("签",) * 1001), "`signatures` has 1,001 entries, at most 1,000"),
        (sender(signatures=("签", "签" * 257)), "`signatures[1]` has 257 characters, at most 256"),
        (Wordlist(list="l", terms=("词" * 65,)), "`terms[0]` has 65 characters, at most 64"),
        (Wordlist(list="l", terms=("词",) * 10_001), "`terms` has 10,001 terms, at most 10,000"),
        (expression(evidence="e" * 4001), "`evidence` has 4,001 characters, at most 4,000"),
        (
            Campaign(campaign="P", status="filed", sender="S", from_=1, until=2, text="文" * 40_001),
            "`text` has 40,001 characters, at most 40,000",
        ),
        (
            Order(order="O", measure="stop", from_=1, basis="measures", sender="S" * 257),
            "`sender` has 257 characters, at most 256",
        ),
    ],
)
def test_what_exceeds_its_limit_is_named_by_its_field(record: Record, told: str) -> None:
    assert [str(one) for one in excess(record)] == [told]


def test_an_excess_within_a_list_of_objects_is_named_by_its_path() -> None:
    long = NumberEntry(prefix="1069", channel="sms", purposes=("service",), categories=("x" * 257,))
    (found,) = excess(sender(numbers=(*entries(1), long)))
    assert (found.path, found.field) == ("numbers[1].categories[0]", "numbers")


def test_the_wire_has_its_sizes_from_the_table() -> None:
    most = {limit.of: limit.most for limit in TABLE}
    assert len(most) == len(TABLE), "each line binds something else"
    assert RECORD_BYTES_MAX == most["a record of any topic"] == 1 << 20
    assert ID_CHARACTERS_MAX == most["an event's `id`, and a case's"] == 128
