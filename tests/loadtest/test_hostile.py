"""The account of hostile events tells every fault: a letter lost, doubled, needless or of somebody else's bytes."""

from zlib import crc32

import numpy as np
import pytest

from loadtest.hostile_load import KindAccount, Place, Sent, by_kind
from loadtest.scenarios.hostile import Answers
from stream.testbed.hostile_kinds import KINDS, Kind

BAD = next(kind for kind in KINDS if kind.name == "no value")
GOOD = next(kind for kind in KINDS if kind.name == "marks")
HERE: Place = ("events.sms", 3, 7)
MARKS = (crc32(b"x"), b"digest")


@pytest.mark.parametrize(
    ("kind", "letter", "repeated", "found"),
    [
        (BAD, ("null value: an event has a body", crc32(b"x")), 0, KindAccount(sent=1, letters=1)),
        (BAD, ("null value", b"digest"), 0, KindAccount(sent=1, letters=1)),
        (BAD, None, 0, KindAccount(sent=1, missing=1)),
        (BAD, ("null value", crc32(b"x")), 2, KindAccount(sent=1, letters=1, repeated=2)),
        (BAD, ("", crc32(b"x")), 0, KindAccount(sent=1, letters=1, unexplained=1)),
        (BAD, ("something else", crc32(b"x")), 0, KindAccount(sent=1, letters=1, unexplained=1)),
        (BAD, ("null value", crc32(b"y")), 0, KindAccount(sent=1, letters=1, unexplained=1)),
        (GOOD, None, 0, KindAccount(sent=1)),
        (GOOD, ("null value", crc32(b"x")), 0, KindAccount(sent=1, letters=1, needless=1)),
    ],
)
def test_whatever_is_wrong_with_a_dead_letter_is_counted(
    kind: Kind, letter: tuple[str, int | bytes] | None, repeated: int, found: KindAccount
) -> None:
    seen = {HERE: letter} if letter is not None else {}
    assert by_kind({HERE: Sent(kind, MARKS)}, seen, {HERE: repeated}) == {kind.name: found}


def test_an_event_that_is_answered_otherwise_than_before_is_counted() -> None:
    answers = Answers(3)
    assert answers.wrong_count(np.array([1, 2, 0, 1, 2], dtype=np.uint8), {1: "consented", 2: "refused"}) == 0
    assert answers.wrong_count(np.array([2, 1, 1], dtype=np.uint8), {1: "refused", 2: "consented"}) == 0
    assert answers.wrong_count(np.array([2, 2, 2], dtype=np.uint8), {1: "refused", 2: "consented"}) == 2
