"""The batch, purely: every record comes out as a decision or as a dead letter, and nothing else happens."""

from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bloom.bitmaps import Wills
from bloom.number import masked
from bloom.partition import partition_of
from bloom.partitioned import HeldPartitions, NotHeldError
from stream.deciding.batch import Outputs, decide_batch
from stream.model.codec import decode_decision, decode_record
from stream.model.registry import Expression, Record, Sender
from stream.model.topics import EXPRESSIONS, TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry, registry_of
from tests.filter import cases
from tests.filter.harness import NOW

PARTITIONS = 12


@dataclass
class Consumed:
    """A record as a consumer hands it out."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 7


def _decider() -> Decider:
    return Decider(load(), registry_of(cases.registry()))


def _batch(*values: bytes | None, topic: str = "events.urgent", partition: int = 0) -> Outputs:
    records = [Consumed(10 + number, None, value) for number, value in enumerate(values)]
    return decide_batch({TopicPartition(topic, partition): records}, _decider(), now=NOW, partitions=PARTITIONS)


@given(st.lists(st.binary(max_size=40) | st.none() | st.sampled_from([orjson.dumps(e) for e in cases.EVENTS])))
def test_every_record_is_decided_or_a_dead_letter(values: list[bytes | None]) -> None:
    outputs = _batch(*values)
    decided = sum(map(len, outputs.decisions.values()))
    assert decided + len(outputs.dead_letters) == len(values)
    assert decided == sum(outputs.counts.verdicts.values()) == len(outputs.counts.timestamps())
    assert outputs.next_offsets == ({TopicPartition("events.urgent", 0): 10 + len(values)} if values else {})
    for letter in outputs.dead_letters:
        assert letter.value == values[letter.offset - 10]
        assert letter.error


def test_decisions_keep_the_order_and_the_key_of_their_events() -> None:
    events = [{**cases.EVENTS[0], "id": f"e{number}"} for number in range(5)]
    outputs = _batch(*map(orjson.dumps, events), partition=4)
    made = [decode_decision(value) for _, value in outputs.decisions[4]]
    assert [decision.event for decision in made] == ["e0", "e1", "e2", "e3", "e4"]
    assert {key for key, _ in outputs.decisions[4]} == {str(events[0]["to"]).encode()}


def test_a_reply_becomes_an_expression_in_its_authors_own_partition() -> None:
    reply = next(event for event in cases.EVENTS if "opt_out_reply" in str(event["id"]))
    right = partition_of(cases.SILENT, PARTITIONS)
    outputs = _batch(orjson.dumps(reply), topic="events.reply", partition=(right + 1) % PARTITIONS)
    ((record,),) = outputs.expressions.values()
    assert list(outputs.expressions) == [right]
    will = decode_record(EXPRESSIONS, record.key, record.value)
    assert isinstance(will, Expression)
    assert (will.subscriber, will.will, will.sender, will.category) == (cases.SILENT, "refuse", "ORG-BANK", None)
    assert (will.source, will.time, will.evidence) == ("reply", reply["time"], f"reply:{reply['id']}")
    assert outputs.counts.misplaced == {"events.reply": 1}


def test_replies_are_counted_by_what_came_of_them_and_one_of_no_use_is_named_masked() -> None:
    reply = next(event for event in cases.EVENTS if "opt_out_reply" in str(event["id"]))
    changes: list[dict[str, object]] = [
        {},
        {"text": "好的"},
        {"text": "0000"},
        {"to": "10086", "text": "hello"},
        {"to": "10691234567890"},
        {"from": "95588"},
        {"from": "anonymous", "to": "x"},
    ]
    outputs = _batch(*(orjson.dumps({**reply, **change}) for change in changes), topic="events.reply", partition=3)
    assert outputs.counts.replies == {"expression": 1, "unheard": 2, "other": 1, "port_unknown": 1, "author_unknown": 2}
    useless = outputs.counts.useless_reply
    assert useless is not None
    assert (useless.place, useless.offset, useless.outcome) == (TopicPartition("events.reply", 3), 14, "port_unknown")
    assert (useless.from_, useless.to) == (masked(str(reply["from"])), masked("10691234567890"))
    assert "10691234567890" not in useless.to


def test_a_reply_is_to_whoever_has_the_port_by_then() -> None:
    reply = next(event for event in cases.EVENTS if "opt_out_reply" in str(event["id"]))
    (bank,) = (one for one in cases.registry() if isinstance(one, Sender) and one.sender == "ORG-BANK")
    shop = replace(bank, sender="ORG-SHOP")
    decider, record = _decider(), Consumed(10, None, orjson.dumps(reply))
    senders: list[list[str | None]] = []
    changes: list[list[Record]] = [[], [replace(bank, status="revoked"), shop]]
    for change in changes:
        decider.world.registry.apply(change)
        decider.settle(stale=False, epoch=str(len(senders)))
        batch = {TopicPartition("events.reply", 0): [record]}
        outputs = decide_batch(batch, decider, now=NOW, partitions=PARTITIONS)
        made = [decode_record(EXPRESSIONS, *keyed) for some in outputs.expressions.values() for keyed in some]
        senders.append([one.sender for one in made if isinstance(one, Expression)])
    assert senders == [["ORG-BANK"], ["ORG-SHOP"]]


def test_what_nobody_can_have_said_then_is_said_now() -> None:
    reply = next(event for event in cases.EVENTS if "opt_out_reply" in str(event["id"]))
    for time in (0, 1_795_500_000, NOW + 2 * 86_400_000):
        ((record,),) = _batch(orjson.dumps({**reply, "time": time}), topic="events.reply").expressions.values()
        will = decode_record(EXPRESSIONS, record.key, record.value)
        assert isinstance(will, Expression)
        assert will.time == NOW


def test_numbers_are_read_before_a_reply_becomes_an_expression() -> None:
    reply = next(event for event in cases.EVENTS if "opt_out_reply" in str(event["id"]))
    spelt = {**reply, "from": cases.SILENT.replace("+86", "0086 "), "to": f"+86{reply['to']}"}
    outputs = _batch(orjson.dumps(spelt), topic="events.reply", partition=partition_of(cases.SILENT, PARTITIONS))
    ((record,),) = outputs.expressions.values()
    assert record.key.decode().startswith(f"{cases.SILENT}|sms|ORG-BANK")
    assert not outputs.counts.misplaced
    ((_, decision),) = outputs.decisions[partition_of(cases.SILENT, PARTITIONS)]
    assert (decode_decision(decision).from_, decode_decision(decision).to) == (spelt["from"], spelt["to"])


def test_a_key_that_is_no_numbers_is_not_borne_by_the_decision() -> None:
    to = str(cases.EVENTS[0]["to"])
    for key, borne in ((b"x" * 256, b"x" * 256), (b"x" * 257, to.encode()), (None, to.encode()), (b"", to.encode())):
        record = Consumed(0, key, orjson.dumps(cases.EVENTS[0]))
        outputs = decide_batch(
            {TopicPartition("events.urgent", 0): [record]}, _decider(), now=NOW, partitions=PARTITIONS
        )
        assert [decided for decided, _ in outputs.decisions[0]] == [borne]


def test_a_kind_of_another_topic_is_a_dead_letter() -> None:
    outputs = _batch(orjson.dumps(cases.EVENTS[1]), topic="events.sms")
    (letter,) = outputs.dead_letters
    assert letter.error == "events.sms holds no record of kind call; there are: sms"


def _of_some(*partitions: int) -> Decider:
    """A decider that holds the wills of these partitions alone."""
    held = HeldPartitions(PARTITIONS)
    registry = Registry(held=held)
    for record in cases.registry():
        if not isinstance(record, Expression) or partition_of(record.subscriber, PARTITIONS) in partitions:
            registry.apply([record])
    for partition in partitions:
        held.hold(partition, Wills())
    return Decider(load(), registry)


def _placed() -> dict[TopicPartition, list[Consumed]]:
    """Every event of the cases in its subscriber's partition."""
    batches: dict[TopicPartition, list[Consumed]] = {}
    for number, one in enumerate(cases.EVENTS):
        subscriber = load().numbering.recipient(str(one["from"] if one["kind"] == "reply" else one["to"]))[1]
        place = TopicPartition("events.urgent", partition_of(subscriber, PARTITIONS))
        batches.setdefault(place, []).append(Consumed(number, subscriber.encode(), orjson.dumps(one)))
    return batches


def test_who_holds_a_partition_alone_decides_its_events_as_who_holds_all() -> None:
    placed = _placed()
    assert len(placed) > 1
    for place, records in placed.items():
        alone = decide_batch({place: records}, _of_some(place.partition), now=NOW, partitions=PARTITIONS)
        whole = decide_batch({place: records}, _decider(), now=NOW, partitions=PARTITIONS)
        assert alone.decisions == whole.decisions
        assert (alone.expressions, alone.dead_letters) == (whole.expressions, [])


def test_where_some_partitions_are_held_a_misplaced_event_is_a_dead_letter_and_the_rest_is_decided() -> None:
    place, records = max(_placed().items(), key=lambda item: len(item[1]))
    stray = next(record for other, (record, *_) in _placed().items() if other != place)
    outputs = decide_batch({place: [*records, stray]}, _of_some(place.partition), now=NOW, partitions=PARTITIONS)
    assert sum(map(len, outputs.decisions.values())) == len(records)
    (letter,) = outputs.dead_letters
    assert (letter.place, letter.offset, letter.value) == (place, stray.offset, stray.value)
    assert f"stands in partition {place.partition}, its subscriber belongs to" in letter.error
    assert outputs.counts.misplaced == {place.topic: 1}


def test_events_of_a_partition_that_is_not_held_are_not_decided_at_all() -> None:
    place, records = next(iter(_placed().items()))
    with pytest.raises(NotHeldError):
        decide_batch({place: records}, _of_some(), now=NOW, partitions=PARTITIONS)
