"""Who is reached where, what was tried, how far a partition is done, and what a letter says: pure."""

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import ConfigError
from stream.kafka.clients import AIOKafkaPartition
from stream.model.control import Delivery, DeliveryOutcome, Notice
from stream.notify import contacts
from stream.notify.contacts import Address
from stream.notify.delivery_log import DeliveryLog, FailedAttempts, NoticeOffsets, pause_ms
from stream.notify.message import mail_of
from tests.notify.sinks import OURS

PLACE = AIOKafkaPartition("notices", 3)


def contacts_of(*lines: str) -> contacts.Contacts:
    return contacts.read("[contacts]\n" + "\n".join(lines), Path("contacts.toml"))


def test_an_addressee_has_its_own_line_or_else_that_of_its_kind() -> None:
    known = contacts_of(
        '"sender|ORG-9" = "mailto:legal@org9.example"',
        '"subscriber|*" = "https://gateway.example/notices"',
        '"subscriber|+8613800138000" = "http://127.0.0.1:8080/x"',
    )
    assert known.address("sender|ORG-9") == Address("smtp", "legal@org9.example")
    assert known.address("sender|ORG-1") is None
    assert known.address("subscriber|+8613900139000") == Address("webhook", "https://gateway.example/notices")
    assert known.address("subscriber|+8613800138000") == Address("webhook", "http://127.0.0.1:8080/x")


@pytest.mark.parametrize(
    "line",
    [
        '"+8613800138000" = "mailto:a@b.example"',
        '"sender|" = "mailto:a@b.example"',
        '"sender|A" = "mailto:a@b.example?subject=x"',
        '"sender|A" = "mailto:nobody"',
        '"sender|A" = "mailto:a@b.example, c@d.example"',
        '"sender|A" = "http://elsewhere.example/"',
        '"sender|A" = "ftp://b.example"',
        '"sender|A" = 7',
        '"sender|A" = ""',
    ],
)
def test_a_wrong_line_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        contacts_of(line)
    assert str(raised.value).startswith("contacts.toml: ")
    assert "13800138000" not in str(raised.value)


outcomes = st.lists(st.sampled_from(("failed", "failed", "delivered")), max_size=8)


@given(outcomes, st.data())
def test_what_was_tried_is_the_same_however_often_it_is_read(said: list[DeliveryOutcome], data: st.DataObject) -> None:
    attempts = [Delivery("N-1", "M-1", place * 10, one, place, "smtp") for place, one in enumerate(said, start=1)]
    again = data.draw(st.lists(st.sampled_from(attempts), max_size=8)) if attempts else []
    once, twice = DeliveryLog(), DeliveryLog()
    for attempt in attempts:
        once.record(attempt)
    for attempt in (*attempts, *again):
        twice.record(attempt)
    assert twice.delivered("N-1") == once.delivered("N-1") == ("delivered" in said)
    assert twice.failed("N-1") == once.failed("N-1")
    if "delivered" not in said:
        assert once.failed("N-1") == FailedAttempts(len(said), len(said) * 10)


@given(st.integers(0, 100), st.integers(1, 10**6), st.integers(1, 10**8))
def test_pauses_double_up_to_their_bound(failures: int, first: int, most: int) -> None:
    pause = pause_ms(failures, first_ms=first, most_ms=most)
    assert pause == (0 if failures == 0 else min(most, first * 2 ** (failures - 1)))


@given(st.lists(st.integers(0, 30), unique=True).map(sorted), st.data())
def test_what_may_be_committed_ends_before_the_first_that_is_not_done(taken: list[int], data: st.DataObject) -> None:
    offsets = NoticeOffsets()
    for offset in taken:
        offsets.take(PLACE, offset)
    done = data.draw(st.sets(st.sampled_from(taken))) if taken else set[int]()
    for offset in done:
        offsets.finish(PLACE, offset)
    left = [offset for offset in taken if offset not in done]
    expected = {} if not taken else {PLACE: left[0] if left else taken[-1] + 1}
    assert offsets.to_commit() == expected
    offsets.committed(expected)
    assert offsets.to_commit() == {}
    offsets.drop(PLACE)
    assert offsets.to_commit() == {}
    offsets.finish(PLACE, 0)
    assert not offsets.holds(PLACE, 0)


texts = st.text(min_size=1, max_size=30)


@given(name=st.text(min_size=1, max_size=40), reason=texts, case=texts)
def test_a_letter_is_the_same_each_time_and_no_text_can_break_out_of_it(name: str, reason: str, case: str) -> None:
    notice = Notice(notice=name, case=case, time=1, to="sender|ORG-9", subject="measure", reason=reason, measure="stop")
    data = mail_of(notice, OURS, to="legal@org9.example", sender="wurao@carrier.example")
    assert data == mail_of(notice, OURS, to="legal@org9.example", sender="wurao@carrier.example")
    assert data.isascii()
    assert max(len(line) for line in data.splitlines()) <= 998  # RFC 5322, section 2.1.1
    message = BytesParser(policy=default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    assert set(message.keys()) == {
        "Message-ID",
        "Date",
        "From",
        "To",
        "Subject",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert message["To"] == "legal@org9.example"
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "notice.json"
