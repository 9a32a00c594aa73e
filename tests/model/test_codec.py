"""The wire, record by record: what it admits, what it reads as absent, and what it refuses with which words."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream.model import codec, schema_fault
from stream.model.codec import (
    Undecodable,
    decode_decision,
    decode_event,
    decode_file_record,
    decode_record,
    decode_untyped,
    encode,
    event_decoder,
)
from stream.model.decision import Decision
from stream.model.events import Call, Reply, Sms
from stream.model.fields import ID_CHARACTERS_MAX, RECORD_BYTES_MAX, TIME_MAX
from stream.model.registry import (
    Campaign,
    Expression,
    NumberEntry,
    Order,
    Sender,
    Tombstone,
    Wordlist,
    key_of,
)
from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT, EXPRESSIONS, SENDERS, TOPIC_OF
from tests.work import instructions

Json = dict[str, object]

names = st.text(min_size=1, max_size=20).filter(lambda text: not any(0xD800 <= ord(c) <= 0xDFFF for c in text))
perhaps = st.none() | names
times = st.integers(0, TIME_MAX)
numbers = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
channels = st.sampled_from(("sms", "call"))
purposes = st.sampled_from(("personal", "service", "commercial", "public", "emergency"))
networks = st.sampled_from((None, "telecom", "internet"))
some_names = st.lists(names, max_size=3).map(tuple)

sms = st.builds(
    Sms,
    names,
    times,
    names,
    perhaps,
    perhaps,
    st.none() | purposes,
    perhaps,
    perhaps,
    perhaps,
    perhaps,
    networks,
    perhaps,
)
calls = st.builds(
    Call, names, times, names, perhaps, perhaps, st.none() | purposes, perhaps, st.none() | st.booleans(),
    perhaps, perhaps, perhaps, networks, perhaps,
)  # fmt: skip
replies = st.builds(Reply, names, times, names, names, perhaps, perhaps)
decisions = st.builds(
    Decision,
    event=names,
    of=st.sampled_from(("sms", "call", "reply")),
    time=times,
    decided=times,
    to=names,
    from_=perhaps,
    sender=perhaps,
    verdict=st.sampled_from(("allow", "block", "suspend")),
    reason=names,
    basis=perhaps,
    policy=names,
    epoch=names,
    origin=perhaps,
    code=st.dictionaries(names, st.integers(0, 2000), max_size=2) | st.just(msgspec.UNSET),
    appeal=names | st.just(msgspec.UNSET),
)

consents = st.builds(
    Expression, numbers, channels, st.just("consent"), times, names, names.filter("*".__ne__), names.filter("*".__ne__)
)
against = st.builds(
    Expression, numbers, channels, st.sampled_from(("refuse", "lift")), times, names, perhaps, perhaps, perhaps, perhaps
)
entries = st.builds(
    NumberEntry,
    names,
    channels,
    st.lists(purposes | st.just("number-protection"), max_size=3).map(tuple),
    some_names,
    st.booleans(),
    times,
)
senders = st.builds(
    Sender,
    names,
    names,
    st.from_regex(r"[0-9０-９]{3,5}", fullmatch=True),
    st.sampled_from(("active", "revoked")),
    st.lists(entries, max_size=3).map(tuple),
    some_names,
    perhaps,
)
orders = st.builds(
    lambda party, *fields: Order(*fields[:4], *party, *fields[4:]),
    st.tuples(names, st.none()) | st.tuples(st.none(), names),
    names,
    st.sampled_from(("suspend", "limit", "stop")),
    times,
    names,
    st.none() | channels,
    st.none() | times,
    perhaps,
    perhaps,
    perhaps,
)
campaigns = st.builds(
    Campaign,
    names,
    st.sampled_from(("filed", "approved", "refused", "withdrawn")),
    names,
    times,
    times,
    names,
    st.booleans(),
    some_names,
    perhaps,
    some_names,
    perhaps,
)
wordlists = st.builds(Wordlist, names, st.lists(names.map(lambda name: name + "x"), max_size=3).map(tuple), perhaps)
records = consents | against | senders | orders | campaigns | wordlists
tombstones = st.builds(Tombstone, st.sampled_from(("registry.senders", "registry.orders")), names)

SMS: Json = {"kind": "sms", "id": "e", "time": 1, "to": "+8613800138000"}
CALL: Json = {"kind": "call", "id": "e", "time": 1, "to": "+8613800138000"}
REPLY: Json = {"kind": "reply", "id": "e", "time": 1, "from": "+8613800138000", "to": "10690"}
EXPRESSION: Json = {
    "kind": "expression", "subscriber": "+8613800138000", "channel": "sms", "will": "refuse", "time": 1,
    "source": "form",
}  # fmt: skip
ENTRY: Json = {"prefix": "10690", "channel": "sms", "purposes": ["service"]}
SENDER: Json = {
    "kind": "sender",
    "sender": "A",
    "name": "A",
    "contact": "95588",
    "status": "active",
    "numbers": [ENTRY],
}
ORDER: Json = {"kind": "order", "order": "O", "measure": "stop", "from": 1, "basis": "measures", "sender": "A"}
CAMPAIGN: Json = {
    "kind": "campaign", "campaign": "P", "status": "filed", "sender": "A", "from": 1, "until": 2, "text": "…"
}  # fmt: skip
WORDLIST: Json = {"kind": "wordlist", "list": "L", "terms": ["x"]}
TOMBSTONE: Json = {"kind": "tombstone", "topic": "registry.senders", "key": "A"}
EVENTS, RECORDS = (SMS, CALL, REPLY), (EXPRESSION, SENDER, ORDER, CAMPAIGN, WORDLIST, TOMBSTONE)

Decode = Callable[[bytes], msgspec.Struct]


def decoder_of(record: Json) -> Decode:
    return decode_event if "id" in record or record.get("kind") in ("sms", "call", "reply") else decode_file_record


def read(record: Json) -> msgspec.Struct:
    return decoder_of(record)(json.dumps(record).encode())


def refusal(record: Json) -> str:
    with pytest.raises(Undecodable) as caught:
        read(record)
    return str(caught.value)


@given(sms | calls | replies)
def test_events_survive_the_wire(event: Sms | Call | Reply) -> None:
    assert decode_event(encode(event)) == event


@given(decisions)
def test_decisions_survive_the_wire(decision: Decision) -> None:
    assert decode_decision(encode(decision)) == decision


@given(records)
def test_registry_records_survive_their_topic_and_a_file(
    record: Expression | Sender | Order | Campaign | Wordlist,
) -> None:
    assert decode_record(TOPIC_OF[type(record)], key_of(record).encode(), encode(record)) == record
    assert decode_file_record(encode(record)) == record


@given(tombstones)
def test_tombstones_survive_a_file_and_are_a_null_value_in_a_topic(tombstone: Tombstone) -> None:
    assert decode_file_record(encode(tombstone)) == tombstone
    assert decode_record(tombstone.topic, tombstone.key.encode(), None) == tombstone


REQUIRED = [
    (record, field) for record in (*EVENTS, *RECORDS) for field in record if (record, field) != (ORDER, "sender")
]


@pytest.mark.parametrize(("record", "field"), REQUIRED, ids=[f"{r['kind']}.{f}" for r, f in REQUIRED])
def test_every_required_field_that_is_missing_null_or_empty_is_named(record: Json, field: str) -> None:
    assert f"missing required field `{field}`" in refusal({name: v for name, v in record.items() if name != field})
    for nothing in (None, ""):
        assert f"missing required field `{field}`" in refusal({**record, field: nothing})


@pytest.mark.parametrize("field", ["prefix", "channel", "purposes"])
def test_a_field_missing_from_an_entry_is_named_with_its_place(field: str) -> None:
    entry = {**ENTRY, field: None}
    assert f"missing required field `{field}` - at `$.numbers[1]`" in refusal({**SENDER, "numbers": [ENTRY, entry]})


def optional_of(struct: type[msgspec.Struct], kept: Json) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct) if field.encode_name not in kept]


OPTIONAL = [
    (record, field)
    for record, struct in (
        (SMS, Sms),
        (CALL, Call),
        (REPLY, Reply),
        (EXPRESSION, Expression),
        (SENDER, Sender),
        (ORDER, Order),
        (CAMPAIGN, Campaign),
        (WORDLIST, Wordlist),
    )
    for field in optional_of(struct, record)
]


@pytest.mark.parametrize(("record", "field"), OPTIONAL, ids=[f"{r['kind']}.{f}" for r, f in OPTIONAL])
def test_every_optional_field_may_be_null_or_empty_and_then_says_nothing(record: Json, field: str) -> None:
    plain = msgspec.to_builtins(read(record))
    for nothing in (None, ""):
        told = msgspec.to_builtins(read({**record, field: nothing}))
        assert told.get(field) in (plain.get(field), "")
        assert {**told, field: None} == {**plain, field: None}


def test_nulls_and_empty_texts_are_absent_inside_lists_and_entries_too() -> None:
    entry = {**ENTRY, "categories": None, "platform": "", "since": None, "purposes": ["service", None, ""]}
    assert read({**SENDER, "numbers": [None, entry, ""], "signatures": ["", "x"]}) == read(
        {**SENDER, "signatures": ["x"]}
    )


@given(
    names, st.recursive(st.none() | st.booleans() | st.integers() | names, lambda inner: st.lists(inner, max_size=3))
)
def test_unknown_fields_are_ignored(name: str, value: object) -> None:
    for record in (*EVENTS, *RECORDS):
        if name not in record and not any(name == field for other, field in OPTIONAL if other is record):
            assert read({**record, "x-" + name: value}) == read(record)
            assert read({**record, "x-" + name: value, "x-none": ""}) == read(record)
            assert read({**record, "x-" + name: value, "sources": None}) == read(record)


@pytest.mark.parametrize("time", ["1.0", "1e3", "true", '"1"', "-1", "9007199254740992", "[1]", "1.5", "NaN", "1e999"])
@pytest.mark.parametrize("more", ["", ',"purpose":""'], ids=["first look", "second look"])
def test_a_time_is_an_integer_literal_in_range(time: str, more: str) -> None:
    with pytest.raises(Undecodable):
        decode_event(f'{{"kind":"sms","id":"e","to":"x","time":{time}{more}}}'.encode())


@pytest.mark.parametrize("time", [0, TIME_MAX])
@pytest.mark.parametrize("more", [{}, {"purpose": ""}], ids=["first look", "second look"])
def test_times_reach_from_zero_to_the_largest_exact_integer(time: int, more: Json) -> None:
    assert msgspec.to_builtins(read({**SMS, **more, "time": time}))["time"] == time


@pytest.mark.parametrize(
    ("record", "wrong", "why"),
    [
        (SMS, {"kind": "mms"}, "Invalid value 'mms'"),
        (SMS, {"purpose": "Commercial"}, "$.purpose"),
        (SMS, {"purpose": "number-protection"}, "$.purpose"),
        (SMS, {"network": "satellite"}, "$.network"),
        (SMS, {"text": 5}, "$.text"),
        (SMS, {"region": 110000}, "$.region"),
        (SMS, {"id": "x" * (ID_CHARACTERS_MAX + 1)}, "$.id"),
        (CALL, {"platform": "yes"}, "$.platform"),
        (CALL, {"platform": 1}, "$.platform"),
        (EXPRESSION, {"subscriber": "13800138000"}, "`subscriber` must be"),
        (EXPRESSION, {"subscriber": "+8613800138000\n"}, "`subscriber` must be"),
        (EXPRESSION, {"subscriber": "+0613800138000"}, "`subscriber` must be"),
        (EXPRESSION, {"subscriber": "+861380013８000"}, "`subscriber` must be"),
        (EXPRESSION, {"will": "withdraw"}, "$.will"),
        (EXPRESSION, {"will": "consent"}, "`sender` and its `category`"),
        (EXPRESSION, {"will": "consent", "sender": "A"}, "`sender` and its `category`"),
        (EXPRESSION, {"will": "consent", "sender": "*", "category": "x"}, "`sender` and its `category`"),
        (SENDER, {"contact": "12"}, "`contact` must have at least 3 digits"),
        (SENDER, {"contact": "٩٥٥٨٨"}, "`contact` must have at least 3 digits"),
        (SENDER, {"status": "paused"}, "$.status"),
        (SENDER, {"numbers": [{**ENTRY, "purposes": ["spam"]}]}, "$.numbers[0].purposes[0]"),
        (SENDER, {"numbers": [{**ENTRY, "channel": "mms"}]}, "$.numbers[0].channel"),
        (ORDER, {"sender": None}, "exactly one of `sender` and `number`"),
        (ORDER, {"number": "10690"}, "exactly one of `sender` and `number`"),
        (ORDER, {"measure": "warn"}, "$.measure"),
        (CAMPAIGN, {"status": "open"}, "$.status"),
        (CAMPAIGN, {"emergency": 1}, "$.emergency"),
        (WORDLIST, {"terms": ["x", "…!_"]}, "`terms[1]` must have at least one letter or digit"),
        (WORDLIST, {"terms": "x"}, "$.terms"),
        (TOMBSTONE, {"topic": "registry.expressions"}, "write a `lift`"),
        (TOMBSTONE, {"topic": "registry.nothing"}, "no registry topic is named 'registry.nothing'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(record: Json, wrong: Json, why: str) -> None:
    assert why in refusal({**record, **wrong})


@pytest.mark.parametrize(
    ("record", "wrong", "told"),
    [
        (SMS, {"kind": "sm"}, "Invalid value 'sm'; did you mean sms? There are: sms, call, reply - at `$.kind`"),
        (SMS, {"purpose": "spam"}, "; there are: commercial, emergency, personal, public, service - at `$.purpose`"),
        (SMS, {"network": "13800138000"}, "Invalid enum value '****'; there are: internet, telecom - at `$.network`"),
        (EXPRESSION, {"kind": "record"}, "; there are: expression, sender, order, campaign, wordlist, tombstone - at"),
        (EXPRESSION, {"will": "refus"}, "'refus'; did you mean refuse? There are: consent, lift, refuse - at `$.will`"),
        (EXPRESSION, {"channel": "fax"}, "'fax'; there are: call, sms - at `$.channel`"),
        (SENDER, {"status": "paused"}, "'paused'; there are: active, revoked - at `$.status`"),
        (CAMPAIGN, {"status": "open"}, "'open'; there are: approved, filed, refused, withdrawn - at `$.status`"),
        (CAMPAIGN, {"status": "open", "contact": None}, "'open'; there are: approved, filed, refused, withdrawn - at"),
        (ORDER, {"measure": "warn"}, "'warn'; there are: limit, stop, suspend - at `$.measure`"),
        (SENDER, {"numbers": [ENTRY, {**ENTRY, "purposes": ["service", "spam"]}]}, "number-protection, personal, "),
        (SENDER, {"numbers": [{**ENTRY, "channel": "mms"}]}, "'mms'; did you mean sms? There are: call, sms - at"),
        (TOMBSTONE, {"topic": "registry.sender"}, "'registry.sender'; did you mean registry.senders? There are: "),
        (SMS, {"purpose": "x" * 100_000}, "xx'; there are: commercial, "),
    ],
)
def test_what_is_none_of_a_closed_set_is_told_what_there_is(record: Json, wrong: Json, told: str) -> None:
    assert told in refusal({**record, **wrong})


def test_ids_may_have_as_many_characters_as_the_contract_says_whatever_their_bytes() -> None:
    read({**SMS, "id": "号" * ID_CHARACTERS_MAX})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"kind":"sms"} {}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"id":"\\ud800"}',
    ],
)
def test_what_is_no_record_is_undecodable_whatever_it_is(data: bytes) -> None:
    for decode in (decode_event, decode_file_record, decode_decision):
        with pytest.raises(Undecodable):
            decode(data)


@pytest.mark.parametrize("number", ["9" * 30, "1e300", "-9223372036854775809"])
def test_numbers_of_any_size_in_unknown_fields_do_no_harm(number: str) -> None:
    for more in ("", ',"purpose":null'):
        line = f'{{"kind":"sms","id":"e","time":1,"to":"x","unknown":{number}{more}}}'
        assert decode_event(line.encode()) == Sms(id="e", time=1, to="x")


def test_fractions_without_a_type_are_read_by_python() -> None:
    """Beside the least and the largest of all, msgspec takes 7 µs each: a quarter of a second for 256 KiB."""
    assert decode_untyped(b"[1e-320,-1.7976931348623157e308,0.5]") == [1e-320, -1.7976931348623157e308, 0.5]
    source = Path(stream.__file__).parent
    places = [place for part in ("model", "enforce", "filter") for place in (source / part).rglob("*.py")]
    assert places
    untyped = re.compile(r"json\.decode\([^,()]*\)|Decoder\(\)")
    assert [str(place) for place in places if untyped.search(place.read_text())] == []


PARTS = st.sampled_from([
    *("null", '""', "1", '"1"', "1.0", "[]", "[null]", '{"a":""}', "true", '"personal"', '"spam"', "9" * 20, "-1"),
    *(r'"\ud83d"', r'"\ud83d\ude00"', r'"\ude00a"', r'"\u0061"', r'"\u0041\ud83d"', r'"\x"', r'"\u12"', '"a', '"\n"'),
    *(f'"{"a" * 300}"', f'"{"例" * 300}"', r'"\u4f8b"', '"sms"', '"+8613800138000"'),
])  # fmt: skip
NAMES = st.sampled_from(["kind", "id", "time", "to", "from", "purpose", "text", "x", r"\u0069d", r"t\u006f", r"\ud83d"])
GOOD = ['"kind":"sms"', '"id":"1"', '"time":5', '"to":"+8613800138000"', '"from":"1069"']


@given(
    st.lists(st.sampled_from(GOOD), max_size=5, unique=True),
    st.lists(st.tuples(NAMES, PARTS).map(lambda one: f'"{one[0]}":{one[1]}'), max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(["}", ""]),
)
def test_where_no_second_look_is_taken_it_would_come_to_the_same(
    good: list[str], odd: list[str], random: Random, end: str
) -> None:
    fields = [*good, *odd]
    random.shuffle(fields)
    data = ("{" + ",".join(fields) + end).encode()

    def found() -> object:
        try:
            return codec.decode_event(data)
        except Undecodable:
            return None

    quickly = found()
    with patch.object(codec, "_is_final", return_value=False):
        assert quickly == found()


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_a_record_or_undecodable(data: bytes) -> None:
    for decode in (decode_event, decode_file_record, decode_decision):
        with suppress(Undecodable):
            decode(data)


def test_a_record_is_at_most_a_mebibyte_and_the_blanks_around_it_do_not_count() -> None:
    bare = b'{"kind":"sms","id":"e","time":1,"to":"x","unknown":"%s"}'
    largest = bare % (b"a" * (RECORD_BYTES_MAX - len(bare) + 2))
    assert len(largest) == RECORD_BYTES_MAX
    decode_event(largest)
    decode_event(largest + b"\n")
    event_decoder(EVENTS_SMS)(largest)
    with pytest.raises(Undecodable, match="at most 1048576"):
        decode_event(largest.replace(b'"aa', b'"aaa'))


def test_a_reason_never_shows_a_number() -> None:
    for record, field in ((SMS, "purpose"), (CALL, "network"), (SMS, "kind"), (TOMBSTONE, "topic")):
        assert "13800138000" not in refusal({**record, field: "+8613800138000"})


def test_the_key_of_an_expression_names_subscriber_channel_and_scope() -> None:
    for scope in ({}, {"sender": None, "category": ""}, {"sender": "*", "category": "*"}):
        record = read({**EXPRESSION, **scope})
        assert isinstance(record, Expression)
        assert key_of(record) == "+8613800138000|sms|*|*"


def test_a_topic_takes_its_own_kind_under_its_own_key() -> None:
    value, key = json.dumps(SENDER).encode(), b"A"
    assert isinstance(decode_record(SENDERS, key, value), Sender)
    for topic, wrong_key, why in (
        (EXPRESSIONS, key, "holds no record of kind sender; there are: expression"),
        (SENDERS, b"B", "not the record's own"),
        (SENDERS, None, "no key"),
    ):
        with pytest.raises(Undecodable, match=why):
            decode_record(topic, wrong_key, value)
    with pytest.raises(Undecodable, match="not UTF-8"):
        decode_record(SENDERS, b"\xff", None)


def test_a_null_among_expressions_is_refused_for_nothing_there_can_be_withdrawn() -> None:
    with pytest.raises(Undecodable, match="write a `lift`"):
        decode_record(EXPRESSIONS, b"+8613800138000|sms|*|*", None)


def test_an_event_topic_takes_its_own_kind_and_the_urgent_one_all() -> None:
    for topic, event in ((EVENTS_SMS, SMS), (EVENTS_CALL, CALL), (EVENTS_REPLY, REPLY)):
        value = json.dumps(event).encode()
        assert event_decoder(topic)(value) == event_decoder(EVENTS_URGENT)(value)
        for other in {EVENTS_SMS, EVENTS_CALL, EVENTS_REPLY} - {topic}:
            with pytest.raises(Undecodable, match=f"{other} holds no record of kind {event['kind']}"):
                event_decoder(other)(value)
    with pytest.raises(Undecodable, match="null value"):
        event_decoder(EVENTS_SMS)(None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\udc00", "\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\uDE00\uD83D", "\ufffd\ufffd"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\ud83d\ude00", "😀"),
    ],
)
def test_half_of_an_emoji_is_read_as_a_replacement_character(written: str, read: str) -> None:
    event = decode_event(b'{"kind":"sms","id":"1","time":1,"to":"1","text":"' + written.encode() + b'"}')
    assert isinstance(event, Sms)
    assert event.text == read


@pytest.mark.parametrize(
    ("field", "most"),
    [("id", 128), ("text", 40_000)]
    + [(name, 256) for name in ("to", "from", "sender", "category", "campaign", "region", "origin")],
)
def test_an_event_beyond_a_limit_is_undecodable(field: str, most: int) -> None:
    event = {"kind": "sms", "id": "1", "time": 1, "to": "1", "text": "x"}
    decode_event(json.dumps({**event, field: "字" * most}).encode())
    with pytest.raises(Undecodable, match=f"length <= {most} - at `\\$.{field}`"):
        decode_event(json.dumps({**event, field: "字" * (most + 1)}).encode())


@pytest.mark.parametrize("field", ["presented", "verstat"])
def test_what_a_call_shows_is_limited_as_well(field: str) -> None:
    with pytest.raises(Undecodable, match="length <= 256"):
        decode_event(json.dumps({"kind": "call", "id": "1", "time": 1, "to": "1", field: "x" * 257}).encode())


def test_wrong_values_as_long_as_their_records_are_not_remembered() -> None:
    def kept(length: int) -> int:
        before = schema_fault._among_short.cache_info().currsize
        for n in range(20):
            with pytest.raises(Undecodable, match="here are: commercial"):
                decode_event(b'{"kind":"sms","id":"e","time":1,"to":"x","purpose":"%02d%s"}' % (n, b"z" * length))
        return schema_fault._among_short.cache_info().currsize - before

    assert kept(10_000) <= 1
    assert kept(3) == 20


@pytest.mark.parametrize("field", ["unknown", "text", "purpose"])
@pytest.mark.parametrize("inner", ["[[]],", "[],", '{"":[]},', "1,"])
def test_what_no_field_holds_is_not_built_to_be_thrown_away(field: str, inner: str) -> None:
    """A megabyte of these kept a worker for 0.1 to 0.4 s, and a batch of a few kilobytes holds thirty."""

    def looked_at(length: int) -> None:
        many = inner * (length // len(inner))
        with suppress(Undecodable):
            decode_event(f'{{"kind":"sms","id":"e","time":1,"{field}": [{many}1]}}'.encode())

    looked_at(1_000)
    assert instructions(lambda: looked_at(100_000)) < 1.1 * instructions(lambda: looked_at(1_000))
