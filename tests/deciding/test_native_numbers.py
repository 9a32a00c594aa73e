"""Numbers in every spelling are read natively as Python reads them, or left to it; the common ones are not left."""

import json
from collections.abc import Sequence

import pytest

from bloom.partition import partition_of
from stream.model.registry import FileRecord, NumberEntry, Order, Sender
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.deciding import spellings
from tests.deciding.twins import PARTITIONS, Keyed, Twins, batch_of, needs_native
from tests.policy.cases import CONSENTING, GOOD_TEXT, LAWFUL, LINE, NOON, PORT, SHOP, but

pytestmark = needs_native


def _owner(*prefixes: str) -> Sender:
    purposes = ("commercial", "service")
    numbers = tuple(NumberEntry(prefix, channel, purposes) for prefix in prefixes for channel in ("sms", "call"))  # type: ignore[arg-type]
    return but(SHOP, sender="ORG-2", numbers=numbers)


def _order(number: str, channel: str | None = None) -> Order:
    return Order(order=f"O-{number}", measure="suspend", from_=0, basis="measures", number=number, channel=channel)  # type: ignore[arg-type]


WORLDS: dict[str, Sequence[FileRecord]] = {
    "lawful": LAWFUL,
    "others": (*LAWFUL, _owner("+8695588", "95588", "12345", "+861069", "1069012345", "+852", "87654321", "138")),
    "orders": (*LAWFUL, *map(_order, ("13800138000", "+861069012345", "010-87654321", "tel:95588", "app:x"))),
    "orders of a channel": (*LAWFUL, _order("13900139000", "sms"), _order("861087654321", "call")),
}
FIELDS = ("to", "from", "presented")


def line(kind: str, **more: object) -> bytes:
    event = {"kind": kind, "id": "e", "time": NOON, "to": CONSENTING, "from": LINE if kind == "call" else PORT}
    of_sms = {"sender": "ORG-1", "category": "finance", "text": GOOD_TEXT} if kind == "sms" else {}
    return json.dumps({**event, **of_sms, **more}, ensure_ascii=False).encode()


def lines(texts: Sequence[str]) -> list[bytes]:
    """Events that hold each of these in one of their fields."""
    made = [line("call", **{field: text}) for text in texts for field in FIELDS]
    made += [line("sms", **{field: text}) for text in texts for field in FIELDS[:2]]
    made += [line("call", presented=text, **{"from": f"+86{text.lstrip('+0')}"}) for text in texts[::3]]
    return made + [line(kind, network="internet", **{"from": text}) for text in texts[::3] for kind in ("sms", "call")]


@pytest.mark.parametrize("world", WORLDS)
def test_every_spelling_is_decided_alike_wherever_it_stands(world: str) -> None:
    twins = Twins(load(), registry_of(WORLDS[world]))
    dressed = spellings.ALL[:: max(1, len(spellings.ALL) // 1_000)]
    texts = [*spellings.PLAIN, *spellings.PRESENTED, *dressed]
    answered = set(lines(texts)) - set(twins.agree(lines(texts), now=NOON))
    assert len(answered) > 1_000


def test_the_common_spellings_are_not_left() -> None:
    twins = Twins(load(), registry_of(LAWFUL))
    mobiles = [before + mobile for mobile in spellings.MOBILES for before in spellings.QUICK]
    ports = [f"{before}1069012345" for before in spellings.QUICK]
    usual = ["95588", "4001234567", "10086", "110", "12110123456", "+861087654321", "861087654321", "+85223456789"]
    texts = [*mobiles, *usual]
    events = [line(kind, to=text) for text in texts for kind in ("sms", "call")]
    events += [line("sms", **{"from": text}) for text in (*texts, *ports)]
    events += [line("call", **{field: text}) for text in texts for field in ("from", "presented")]
    events += [line("call", presented=text) for text in ("anonymous", "Restricted", "12")]
    assert twins.agree(events, now=NOON) == []


def test_a_number_is_one_subscriber_in_every_spelling() -> None:
    made = Twins(load(), registry_of(LAWFUL))
    to = [before + CONSENTING.removeprefix("+86") for before in spellings.QUICK]
    seen = made.decide(
        batch_of([Keyed(None, line("sms", to=text)) for text in to]),
        now=NOON,
        partition=partition_of(CONSENTING, PARTITIONS),
    )
    assert [decision.key for decision in seen.decisions] == [CONSENTING.encode()] * len(to)
    assert [json.loads(decision.value or b"")["to"] for decision in seen.decisions] == to
    assert seen.outcome.acts.recipients.tolist() == [int(CONSENTING)] * len(to)
    assert seen.outcome.misplaced == 0


def test_activity_counts_what_nobody_stands_behind_by_its_number_as_read() -> None:
    spelt = {before + CONSENTING.removeprefix("+86"): int(CONSENTING) for before in spellings.QUICK}
    ports = [f"{before}1068000000" for before in spellings.QUICK]
    lines = [line("sms", sender=None, purpose="personal", **{"from": text}) for text in (*spelt, *ports)]
    acts = (
        Twins(load(), registry_of(LAWFUL)).decide(batch_of([Keyed(None, one) for one in lines]), now=NOON).outcome.acts
    )
    assert acts.sources.tolist() == [*spelt.values(), *[-1] * len(ports)]
    assert acts.odd_sources == dict.fromkeys(range(len(spelt), len(lines)), "1068000000")


def test_a_key_that_is_no_number_is_not_repeated() -> None:
    records = [Keyed(b"k" * length, line("sms", to=CONSENTING[1:])) for length in (256, 257)]
    seen = Twins(load(), registry_of(LAWFUL)).decide(batch_of(records), now=NOON)
    assert [decision.key for decision in seen.decisions] == [b"k" * 256, CONSENTING.encode()]


def test_a_verstat_has_failed_however_it_is_written() -> None:
    twins = Twins(load(), registry_of(LAWFUL))
    written = (
        "TN-Validation-Failed",
        "tn-validation-failed-b",
        "  TN-VALIDATION-FAILED ",
        "TN-Validation-Passed",
        "TN",
    )
    assert twins.agree([line("call", verstat=text) for text in written], now=NOON) == []
    assert len(twins.agree([line("call", verstat="\u3000TN-Validation-Failed")], now=NOON)) == 1


def test_an_event_that_exceeds_a_limit_is_left_and_one_within_is_not() -> None:
    twins = Twins(load(), registry_of(LAWFUL))
    within = [line("sms", origin="o" * 256), line("sms", id="i" * 128), line("sms", text=GOOD_TEXT + "x" * 30_000)]
    assert twins.agree(within, now=NOON) == []
    for field in ("origin", "sender", "category", "campaign", "region", "from", "to"):
        assert twins.agree([line("sms", **{field: "1" * 257})], now=NOON) != [], field
    for beyond in (line("sms", id="i" * 129), line("sms", text="x" * 40_001), line("call", verstat="x" * 257)):
        assert twins.agree([beyond], now=NOON) == [beyond]
