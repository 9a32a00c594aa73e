"""Answers in JSON say what the wire's own encoder says of a struct, and take what commands make of dicts beside."""

import json

import msgspec
import pytest
from hypothesis import given

from stream.model.answers import json_of
from stream.model.codec import decode_file_record, encode
from tests.policy import strategies


@given(record=strategies.sender)
def test_a_struct_is_told_as_the_wire_tells_it(record: dict[str, object]) -> None:
    struct = decode_file_record(msgspec.json.encode(record))
    assert json.loads(json_of(struct)) == json.loads(encode(struct))


class Page(msgspec.Struct, omit_defaults=True):
    bodies: tuple[msgspec.Raw, ...]
    left: int | msgspec.UnsetType = msgspec.UNSET
    from_: str | None = msgspec.field(name="from", default=None)


def test_what_is_json_already_stands_in_it_as_it_is() -> None:
    raw = msgspec.Raw(b'{"b":1,"a":"\xe5\x8b\xbf"}')
    assert json_of(Page((raw, raw), from_="x")) == '{"bodies":[{"b":1,"a":"勿"},{"b":1,"a":"勿"}],"from":"x"}'.encode()
    assert json_of({"page": Page(())}) == b'{"page":{"bodies":[]}}'


def test_what_is_no_json_is_refused() -> None:
    for one in (object(), 1 << 64, {1: 2}, "\ud800"):
        with pytest.raises(TypeError):
            json_of(one)
