"""Real messages: none breaks anything, and personal ones pass unread whatever word lists are loaded.

T. Chen and M.-Y. Kan, *Creating a live, public short message service corpus*, LRE 47(2), 2013; Y. Zhang et al., *Lies
in the Air*, CCS 2020. The corpus stays where it is: nothing of it stands here.
"""

import gzip
from pathlib import Path

import msgspec
import pytest

from stream.model.registry import Wordlist
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.text import fold, strip
from tests.policy.cases import CHAT, NOON, NOTICE, but, registry

CORPUS = Path(__file__).parents[2] / "../shared/data/sms-corpus.ndjson.gz"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not at ../shared/data")


class Message(msgspec.Struct):
    """A line of the corpus, as far as it matters here."""

    text: str
    label: str


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    decoder = msgspec.json.Decoder(Message)
    return [decoder.decode(line) for line in gzip.decompress(CORPUS.read_bytes()).splitlines()]


def decider_with(messages: list[Message]) -> Decider:
    """One whose word list has words of every tenth message, so that a good part of all would be prohibited."""
    pieces = {strip(fold(message.text))[:4] for message in messages[::10]} - {""}
    return Decider(load(), registry(Wordlist(list="corpus", terms=tuple(pieces))))


@needs_corpus
def test_every_personal_message_passes_unread(messages: list[Message]) -> None:
    decider = decider_with(messages)
    reasons = {decider.decide(but(CHAT, text=message.text), NOON).reason for message in messages}
    assert reasons == {"personal"}


@needs_corpus
def test_as_service_traffic_a_message_is_blocked_exactly_where_a_term_stands_in_it(messages: list[Message]) -> None:
    decider = decider_with(messages)
    found = decider.world.prohibited().found
    reasons = [decider.decide(but(NOTICE, text=message.text), NOON).reason for message in messages]
    assert set(reasons) == {"service", "prohibited_content"}
    assert reasons == ["prohibited_content" if found(fold(m.text)) else "service" for m in messages]


@needs_corpus
def test_folding_a_real_message_twice_changes_nothing_more(messages: list[Message]) -> None:
    assert [m.text for m in messages if fold(fold(m.text)) != fold(m.text)] == []
