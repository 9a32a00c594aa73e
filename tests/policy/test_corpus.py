"""Messages as people and companies write them: none breaks anything, and personal ones pass unread whatever word lists
are loaded.

`messages.txt` was written for these tests: personal texts, notices, advertisements and what swindlers send, in
simplified and traditional characters, full-width digits, emoji and spaced-out words. Its numbers are nobody's.
"""

from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from stream.model.registry import Wordlist
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.text import fold, strip
from tests.policy.cases import CHAT, NOON, NOTICE, but, registry


class Message(NamedTuple):
    """A line of the file, and the heading that it stands under."""

    kind: str
    text: str


def _messages() -> list[Message]:
    kind, found = "", []
    for line in Path(__file__).with_name("messages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind = line.removeprefix("# ")
        else:
            found.append(Message(kind, line))
    return found


MESSAGES: Final = _messages()


def decider() -> Decider:
    """One whose word list has words of every tenth message, so that a good part of all would be prohibited."""
    pieces = {strip(fold(message.text))[:4] for message in MESSAGES[::10]} - {""}
    return Decider(load(), registry(Wordlist(list="corpus", terms=tuple(pieces))))


def test_there_are_messages_of_every_kind() -> None:
    counts = Counter(message.kind for message in MESSAGES)
    assert counts.keys() == {"personal", "service", "commercial", "spam"}
    assert min(counts.values()) > 30
    assert any(fold(message.text) != message.text for message in MESSAGES), "nothing that is folded"


def test_every_personal_message_passes_unread() -> None:
    policy = decider()
    assert {policy.decide(but(CHAT, text=message.text), NOON).reason for message in MESSAGES} == {"personal"}


def test_as_service_traffic_a_message_is_blocked_exactly_where_a_term_stands_in_it() -> None:
    policy = decider()
    found = policy.world.prohibited().found
    reasons = [policy.decide(but(NOTICE, text=message.text), NOON).reason for message in MESSAGES]
    assert set(reasons) == {"service", "prohibited_content"}
    assert reasons == ["prohibited_content" if found(fold(m.text)) else "service" for m in MESSAGES]


def test_folding_a_message_twice_changes_nothing_more() -> None:
    assert [m.text for m in MESSAGES if fold(fold(m.text)) != fold(m.text)] == []
