"""Bytes to records and back: the only decoder and the only encoder of the wire.

The quick way decodes straight into the struct. Where that fails, a second look takes away every null and
every empty string, which the contract reads as absent (DESIGN section 4), and tries once more; only then is
the record undecodable. So the common record pays nothing for the rule, and no struct has to repeat it. That look also
reads an escaped surrogate without its other half, as of a message that was cut within an emoji, as U+FFFD.
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from msgspec import inspect

from bloom.number import Msisdn, parse
from bloom.wills import ExpressionContent
from stream.model.decision import Decision, Epoch
from stream.model.events import Event
from stream.model.fields import RECORD_BYTES_MAX
from stream.model.hiding import without_numbers
from stream.model.limits import shortened
from stream.model.registry import Expression, FileRecord, Record, Tombstone, key_of, scope_name
from stream.model.schema_fault import among, closed_sets
from stream.model.topics import EVENT_KINDS, EXPRESSIONS, RECORD_KIND

T = TypeVar("T")

_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_records: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_file_records: msgspec.json.Decoder[FileRecord] = msgspec.json.Decoder(FileRecord)
_decisions = msgspec.json.Decoder(Decision)

decode_untyped: Final[Callable[[bytes], object]] = msgspec.json.Decoder(float_hook=float).decode
"""JSON without a type. Fractions are read by `float`: those beside the largest and least of all take msgspec 7 µs each,
and 256 KiB of `1e-320` a quarter of a second. Raises `msgspec.DecodeError`, `RecursionError`."""

_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_HALF: Final = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ANY_HALF: Final = re.compile(_HALF)
_UP_TO_HALF: Final = re.compile(
    rb"((?:[^\\]++|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?!"
    + _HALF
    + rb")\\.?)*+)("
    + _HALF
    + rb")?",
    re.DOTALL,
)
"""JSON (RFC 8259, section 7) up to the next escape that is half of a pair of surrogates: each match begins where the
last one ended, and none goes back."""

_MENDABLE: Final = re.compile(rb'null|""')
"""What a second look takes away."""

_ESCAPED_ASCII: Final = rb"\u00"
"""What a field's name must hold to stand there in another spelling."""

_FAULT: Final = re.compile(r"[^`]*`[a-z ]+`(?P<too_much> (?:of length )?<=)?.* - at `\$\.(?P<name>[a-z_]+)`")
"""A value that does not fit, of the record's own field of this name."""

_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()
encode: Callable[[msgspec.Struct], bytes] = _encoder.encode


UNREADABLE: Final = b"wurao: unreadable batch: "
"""What the value begins with that stands for a whole record batch which cannot be read; the rest says why."""


class Undecodable(Exception):
    """A record that does not keep the contract. Its text is the reason, without the record's content.

    It becomes a header and a line of a log, and so is within the limit of reasons.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))


def decode_event(data: bytes) -> Event:
    """An event of any kind. Raises `Undecodable`. About 0.4 µs on the quick way."""
    return _decode(_events, data)


def event_decoder(topic: str) -> Callable[[bytes | None], Event]:
    """The decoder of one topic's events, for whole batches.

    It raises `Undecodable`, also for an event of another topic's kind. About 0.4 µs a call on the quick way.
    """
    kinds = EVENT_KINDS[topic]
    quick = _events.decode

    def decode(data: bytes | None) -> Event:
        if data is None:
            raise Undecodable("null value: an event has a body")
        if len(data) > RECORD_BYTES_MAX:
            raise _too_large(data)
        try:
            event = quick(data)
        except _BAD as error:
            event = _second_look(_events, data, error)
        if type(event) not in kinds:
            raise Undecodable(f"{topic} holds no record of kind {_kind(event)}; there are: {_kinds(kinds)}")
        return event

    return decode


def decode_record(topic: str, key: bytes | None, data: bytes | None) -> Record | Tombstone:
    """A registry record as it stands in its topic, or the tombstone that a null value is.

    Raises `Undecodable`: bad bytes, a kind of another topic, a key that is not the record's own, or a null
    value among expressions, where nothing can be withdrawn (DESIGN section 3).
    """
    if key is None:
        if data is not None and data.startswith(UNREADABLE):
            raise Undecodable(without_numbers(data.decode(errors="replace")))
        raise Undecodable(f"no key: a record of {topic} is kept under its own")
    if data is None:
        if topic == EXPRESSIONS:
            raise Undecodable("null value: an expression cannot be withdrawn; write a `lift` of its scope instead")
        return Tombstone(topic=topic, key=_key_text(key))
    record = _decode(_records, data)
    if type(record) is not RECORD_KIND[topic]:
        raise Undecodable(f"{topic} holds no record of kind {_kind(record)}; there are: {_kinds([RECORD_KIND[topic]])}")
    if key_of(record).encode() != key:
        raise Undecodable("the key is not the record's own: compaction would keep the wrong record")
    return record


def decode_expression(key: bytes | None, data: bytes | None) -> tuple[str, Msisdn, ExpressionContent]:
    """An expression as it stands in its topic: the subscriber, as text and as number, and its content.

    Raises `Undecodable` where and as `decode_record` does. Some 1.3 µs.
    """
    record = decode_record(EXPRESSIONS, key, data)
    assert isinstance(record, Expression), "the topic holds no other kind"
    number = parse(record.subscriber)
    assert number is not None, "the struct admits subscriber numbers only"
    content = record.channel, record.will, scope_name(record.sender), scope_name(record.category)
    return record.subscriber, number, content


def decode_file_record(data: bytes) -> FileRecord:
    """A line of a registry file: any record, or a tombstone. Raises `Undecodable`."""
    record: FileRecord = _decode(_file_records, data)
    if isinstance(record, Tombstone):
        if record.topic == EXPRESSIONS:
            raise Undecodable("an expression cannot be withdrawn; write a `lift` of its scope instead")
        if record.topic not in RECORD_KIND:
            known = among(record.topic, (topic for topic in RECORD_KIND if topic != EXPRESSIONS))
            raise Undecodable(without_numbers(f"no registry topic is named {record.topic!r}") + f"; {known}")
    return record


def decode_decision(data: bytes) -> Decision:
    """A decision, as a gateway or an audit reads it. Raises `Undecodable`."""
    return _decode(_decisions, data)


def decode_as(kind: type[T] | msgspec.json.Decoder[T], data: bytes) -> T:
    """A record, or a part of one, of the kind that its place says. Raises `Undecodable`.

    A decoder instead of a type serves where the kind is a union.
    """
    return _decode(kind if isinstance(kind, msgspec.json.Decoder) else msgspec.json.Decoder(kind), data)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    if len(data) > RECORD_BYTES_MAX and len(data.strip()) > RECORD_BYTES_MAX:
        raise _too_large(data)
    try:
        return decoder.decode(data)
    except _BAD as error:
        return _second_look(decoder, data, error)


def _too_large(data: bytes) -> Undecodable:
    return Undecodable(f"{len(data)} bytes: a record is at most {RECORD_BYTES_MAX}")


def _second_look(decoder: msgspec.json.Decoder[T], data: bytes, first: Exception) -> T:
    """The record without what counts as absent. Raises `Undecodable`; `first` is what the first look came to.

    Some 2 µs where nothing can be mended, as in what hostile gateways send by the million; 15 else.
    """
    if data.startswith(UNREADABLE):
        raise Undecodable(without_numbers(data.decode(errors="replace")))
    if isinstance(first, RecursionError):
        raise Undecodable("nested too deeply to be read") from first
    if _is_final(first, data):
        raise Undecodable(without_numbers(str(first))) from first
    try:
        kind: object = decoder.type
        plain = _plain(_UP_TO_HALF.sub(_whole, data), *_fields(kind))
        # Through bytes again and not `convert`, which knows no `Raw`.
        again = _encoder.encode(plain)
    except RecursionError as error:
        raise Undecodable("nested too deeply to be read") from error
    except _BAD as error:
        raise Undecodable(without_numbers(str(error))) from error
    try:
        return decoder.decode(again)
    except msgspec.ValidationError as error:
        raise Undecodable(without_numbers(closed_sets(error, decoder.type, plain))) from error
    except _BAD as error:
        raise Undecodable(without_numbers(str(error))) from error


def _is_final(error: Exception, data: bytes) -> bool:
    """Whether a second look would come to the same, as it does for nearly all that hostile gateways send.

    It mends nulls, empty texts and halves of pairs, and of a field that stands there several times takes the last.
    Where a value is none of a set, it tells what the set is.
    """
    what = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return _ANY_HALF.search(data) is None
    if " - at " not in what:
        return what.startswith("Object missing")
    if (fault := _FAULT.fullmatch(what)) is None:
        return False
    is_once = data.count(b'"%b"' % fault["name"].encode()) == 1 and _ESCAPED_ASCII not in data
    return is_once and (fault["too_much"] is not None or _MENDABLE.search(data) is None)


def _whole(part: re.Match[bytes]) -> bytes:
    return part[1] + rb"\ufffd" if part[2] else part[1]


def _plain(data: bytes, known: Collection[str], single: Collection[str]) -> object:
    """A record without nulls and empty texts. What no field is, and a list or object where there can be none, is
    looked at no further: a megabyte of `[[]],` would take four tenths of a second to build and go through.
    """
    if not known:
        return _without_nothing(decode_untyped(data))
    stated = _objects.decode(data)
    return _without_nothing({
        name: raw if name in single and bytes(memoryview(raw)[:1]) in (b"[", b"{") else decode_untyped(raw)
        for name, raw in stated.items()
        if name in known
    })  # fmt: skip


@lru_cache(64)  # of the types that records have, a dozen
def _fields(kind: object) -> tuple[frozenset[str], frozenset[str]]:
    """The names of all fields of a record or a union of records, and of those that are neither lists nor objects."""
    of = inspect.type_info(kind)
    structs = of.types if isinstance(of, inspect.UnionType) else (of,)
    known, several = set(), set()
    for struct in structs:
        if not isinstance(struct, inspect.StructType):
            return frozenset(), frozenset()
        known |= {field.encode_name for field in struct.fields} | {str(struct.tag_field)}
        several |= {field.encode_name for field in struct.fields if not _is_single(field.type)}
    return frozenset(known), frozenset(known - several)


def _is_single(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return all(map(_is_single, kind.types))
    return isinstance(
        kind, inspect.StrType | inspect.IntType | inspect.FloatType | inspect.BoolType | inspect.NoneType
        | inspect.LiteralType | inspect.EnumType,
    )  # fmt: skip


def _without_nothing(value: object) -> object:
    """The value without nulls and empty texts, which the contract reads as absent."""
    match value:
        case dict():
            return {name: _without_nothing(inner) for name, inner in value.items() if not _nothing(inner)}
        case list():
            return [_without_nothing(inner) for inner in value if not _nothing(inner)]
        case _:
            return value


def _nothing(value: object) -> bool:
    return value is None or value == ""


def _kind(record: msgspec.Struct | type[msgspec.Struct]) -> str:
    return str(record.__struct_config__.tag)


def _kinds(of: Iterable[type[msgspec.Struct]]) -> str:
    return ", ".join(map(_kind, of))


def _key_text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise Undecodable("the key is not UTF-8") from error


__all__ = [
    "Decision",
    "Epoch",
    "Undecodable",
    "decode_as",
    "decode_decision",
    "decode_event",
    "decode_expression",
    "decode_file_record",
    "decode_record",
    "decode_untyped",
    "encode",
    "event_decoder",
]
