"""Records of `registry.expressions` as a store takes them."""

from collections.abc import Iterable

from bloom.number import parse
from stream.kafka.clients import ConsumerRecord
from stream.model.codec import Undecodable, decode_record
from stream.model.fields import TIME_MAX
from stream.model.registry import KEY_BAR, Expression
from stream.registrar.store import LoggedExpression

_PARTS: int = 4


def logged_of(records: Iterable[ConsumerRecord]) -> list[LoggedExpression]:
    """Those that can be used: the others mean nothing to the filter either. A null value is the eraser's."""
    found: list[LoggedExpression] = []
    for raw in records:
        written = raw.timestamp if raw.timestamp >= 0 else TIME_MAX
        if raw.value is None:
            if (key := _key_of_expression(raw.key)) is not None:
                found.append(LoggedExpression(raw.offset, written, key, None))
            continue
        try:
            record = decode_record(raw.topic, raw.key, raw.value)
        except Undecodable:
            continue
        assert isinstance(record, Expression), "the topic holds no other kind"
        found.append(LoggedExpression(raw.offset, written, raw.key.decode(), record))
    return found


def _key_of_expression(key: bytes | None) -> str | None:
    """The key of a null value, where an expression can have it."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    parts = text.split(KEY_BAR)
    is_one = len(parts) >= _PARTS and parse(parts[0]) is not None and parts[1] in ("sms", "call")
    return text if is_one else None
