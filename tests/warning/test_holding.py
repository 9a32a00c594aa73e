"""What a hold keeps of a record, and of whose nothing is kept."""

import pytest

from stream.model.held import FoundRecord, copied
from stream.model.limits import DEAD_LETTER, RECORD
from stream.model.places import RecordPlace, digest_of, place_named
from stream.model.topics import EVENTS_REPLY, EVENTS_SMS
from stream.warning.holding import is_private

SMS = b'{"kind":"sms","id":"e-1","time":1,"to":"+8613800138000","from":"10690123"%s}'


def found(value: bytes, topic: str = EVENTS_SMS) -> FoundRecord:
    return FoundRecord(RecordPlace(topic, 3, 17), 1, b"k", value)


@pytest.mark.parametrize(
    ("value", "private"),
    [
        (SMS % b"", True),
        (SMS % b',"purpose":"personal"', True),
        (SMS % b',"purpose":"commercial"', False),
        (b"{", True),
    ],
)
def test_an_event_that_does_not_say_what_it_is_may_be_personal(value: bytes, private: bool) -> None:  # noqa: FBT001
    assert is_private(found(value)) is private


def test_a_reply_to_a_port_is_nobodys_secret() -> None:
    reply = b'{"kind":"reply","id":"e-1","time":1,"from":"+8613800138000","to":"10690123","text":"TD"}'
    assert not is_private(found(reply, EVENTS_REPLY))


def test_a_copy_bears_the_digest_of_the_whole_and_says_what_is_not_as_it_was_named() -> None:
    whole = copied("H", "X-1", 5, named="n", record=found(b"v"), digest=digest_of(b"v"))
    assert (whole.outcome, whole.place, whole.value, whole.digest) == (
        "copied",
        "events.sms:3:17",
        b"v",
        digest_of(b"v"),
    )
    assert copied("H", "X-1", 5, named="n", record=found(b"v"), digest=digest_of(b"w")).outcome == "differs"
    large = b"v" * (RECORD.most + 1)
    short = copied("H", "X-1", 5, named="n", record=found(large))
    assert (short.outcome, short.bytes_count, short.digest) == ("shortened", len(large), digest_of(large))
    assert short.value == large[: DEAD_LETTER.most]


def test_evidence_names_a_place_or_something_else() -> None:
    place = RecordPlace("events.sms", 3, 17, digest_of(b"v"))
    assert place_named(str(place)) == place
    assert place_named("events.sms:3:17") == RecordPlace("events.sms", 3, 17)
    for other in ("sha256:1", "visit 17", "events.sms:3", "events.sms:3:17;sha256=1", "+8613800138000"):
        assert place_named(other) is None
