"""The registry's fold: what stands after a log of records, and that compaction does not change it."""

from hypothesis import given
from hypothesis import strategies as st

from stream.model.codec import decode_record, encode
from stream.model.registry import (
    Campaign,
    Expression,
    FileRecord,
    NumberEntry,
    Order,
    Record,
    Sender,
    Tombstone,
    Wordlist,
    key_of,
)
from stream.model.topics import CAMPAIGNS, ORDERS, SENDERS, TOPIC_OF, WORDLISTS
from stream.registry.registry import Registry, registry_of

_NAMES = st.sampled_from(["a", "b", "c"])


def _sender(name: str, prefix: str, since: int) -> Sender:
    entry = NumberEntry(prefix=prefix, channel="sms", purposes=("service",), since=since)
    return Sender(sender=name, name=name, contact="95588", status="active", numbers=(entry,))


def _order(name: str, sender: str) -> Order:
    return Order(order=name, sender=sender, measure="suspend", from_=1, basis="measures")


_RECORDS = st.one_of(
    st.builds(_sender, _NAMES, st.sampled_from(["1", "12", "2"]), st.integers(0, 2)),
    st.builds(_order, _NAMES, _NAMES),
    st.builds(lambda n: Campaign(campaign=n, status="filed", sender=n, from_=1, until=2, text="t"), _NAMES),
    st.builds(lambda n, t: Wordlist(list=n, terms=(t,)), _NAMES, _NAMES),
    st.builds(Tombstone, topic=st.sampled_from([SENDERS, ORDERS, CAMPAIGNS, WORDLISTS]), key=_NAMES),
    st.builds(
        Expression,
        subscriber=st.sampled_from(["+8613800138000", "+8613800138001"]),
        channel=st.just("sms"),
        will=st.sampled_from(["refuse", "lift"]),
        time=st.just(1),
        source=st.just("t"),
        sender=st.none() | _NAMES,
        category=st.none() | _NAMES,
    ),
)


def _place(record: FileRecord) -> tuple[str, str]:
    return (record.topic, record.key) if isinstance(record, Tombstone) else (TOPIC_OF[type(record)], key_of(record))


def _state(registry: Registry) -> tuple[object, ...]:
    numbers = ["1", "12", "123", "2", "3"]
    owners = {number: registry.ownership["sms"].owner(number) for number in numbers}
    return (
        registry.senders,
        registry.orders,
        registry.campaigns,
        registry.wordlists,
        {number: holding and holding.sender for number, holding in owners.items()},
        {name: sorted(order.order for order in registry.orders_on_sender(name)) for name in "abc"},
    )


@given(st.lists(_RECORDS, max_size=30))
def test_the_compacted_log_gives_the_same_registry(log: list[FileRecord]) -> None:
    last = {_place(record): position for position, record in enumerate(log)}
    compacted = [record for position, record in enumerate(log) if last[_place(record)] == position]
    whole, short = registry_of(log), registry_of(compacted)
    assert _state(whole) == _state(short)
    assert whole.wills.state_equal(short.wills)


@given(st.lists(_RECORDS, max_size=30), st.integers(0, 30))
def test_applying_in_two_parts_is_applying_at_once(log: list[FileRecord], cut: int) -> None:
    parts = registry_of(log[:cut])
    parts.apply(log[cut:])
    assert _state(parts) == _state(registry_of(log))
    assert parts.wills.state_equal(registry_of(log).wills)


@given(st.lists(_RECORDS, max_size=30))
def test_what_a_snapshot_keeps_makes_the_same_registry(log: list[FileRecord]) -> None:
    registry = registry_of(log)
    again = Registry()
    again.apply(decode_record(topic, key, value) for topic, key, value in registry.records())
    assert _state(again) == _state(registry)


def test_wills_end_no_generation_and_everything_else_does() -> None:
    registry = Registry()
    registry.apply([Expression(subscriber="+8613800138000", channel="sms", will="refuse", time=1, source="t")])
    assert registry.generation == 0
    registry.apply([_order("O-1", "a")])
    assert registry.generation == 1


def test_an_order_that_changes_its_party_leaves_the_earlier_one() -> None:
    registry = registry_of([_order("O-1", "a"), _order("O-1", "b")])
    assert list(registry.orders_on_sender("a")) == []
    assert [order.order for order in registry.orders_on_sender("b")] == ["O-1"]


def test_records_survive_the_wire() -> None:
    records: list[Record] = [_sender("a", "1", 0), _order("O-1", "a")]
    for record in records:
        assert decode_record(TOPIC_OF[type(record)], key_of(record).encode(), encode(record)) == record
