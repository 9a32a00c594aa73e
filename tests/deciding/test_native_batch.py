"""Whole batches: every codec, any place to start, what is left, what is counted, and what changes between batches."""

import json
import os
from collections import Counter
from contextlib import suppress

import msgspec
import pytest

from bloom.partition import partition_of
from stream.deciding.activity import ActivityCounter
from stream.deciding.batch import decide_batch
from stream.deciding.native import Compression, NativeBatches, NativeUnfit, why_unfit
from stream.deciding.windows import records_of as activity_of
from stream.filter.malloc import give_back
from stream.model.codec import decode_event, encode
from stream.model.limits import BATCH
from stream.model.registry import Expression, FileRecord, Order
from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT, TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.masks import bits_of
from stream.policy.settings import Policy
from stream.registry.registry import registry_of
from stream.testbed.processes import rss_mib
from tests.deciding.differential import Source
from tests.deciding.twins import (
    CODECS,
    RECORD_MS,
    Consumed,
    Keyed,
    Twins,
    batch_of,
    needs_native,
    partitioned_registry,
    records_of,
)
from tests.policy.cases import (
    APPROVED,
    CAMPAIGN,
    CONSENTING,
    GOOD_TEXT,
    LAWFUL,
    LINE,
    NOON,
    PORT,
    SHOP,
    SILENT,
    but,
    entry,
)

pytestmark = needs_native

NOW = NOON + 5


def sms(**more: object) -> bytes:
    event = {"kind": "sms", "id": "e", "time": NOON, "to": CONSENTING, "from": PORT, "sender": "ORG-1"}
    rest = {"purpose": "commercial", "category": "finance", "text": GOOD_TEXT, "origin": "smsc-1"}
    return json.dumps({**event, **rest, **more}, ensure_ascii=False).encode()


def call(**more: object) -> bytes:
    event = {"kind": "call", "id": "e", "time": NOON, "to": CONSENTING, "from": LINE, "purpose": "service"}
    return json.dumps({**event, **more}).encode()


REPLY = json.dumps({"kind": "reply", "id": "r", "time": NOON, "from": CONSENTING, "to": PORT, "text": "TD"}).encode()


def twins(*more: FileRecord, compression: Compression = "none") -> Twins:
    return Twins(load(), registry_of([*LAWFUL, *more]), compression=compression)


def reason(decision: Keyed) -> str:
    assert decision.value is not None
    return str(json.loads(decision.value)["reason"])


@pytest.mark.parametrize("incoming", CODECS)
@pytest.mark.parametrize("outgoing", CODECS)
def test_every_codec_is_read_and_written(incoming: Compression, outgoing: Compression) -> None:
    raw = batch_of([Keyed(CONSENTING.encode(), sms(id=f"e-{n}")) for n in range(100)], compression=incoming)
    seen = twins(compression=outgoing).decide(raw, now=NOW)
    assert [reason(decision) for decision in seen.decisions] == ["consented"] * 100
    assert seen.outcome.counts == [("sms", "allow", "consented", 100)]
    assert seen.outcome.acts.timestamps.tolist() == [RECORD_MS + n for n in range(100)]
    assert seen.outcome.next_offset == 100


def test_a_batch_may_be_a_memoryview_and_begin_in_its_middle() -> None:
    raw = batch_of([Keyed(None, sms(id=f"e-{n}")) for n in range(10)])
    seen = twins().decide(memoryview(raw), now=NOW, start=7)
    assert [json.loads(decision.value or b"")["event"] for decision in seen.decisions] == ["e-7", "e-8", "e-9"]
    assert seen.outcome.next_offset == 10


@pytest.mark.parametrize("codec", [1, 2])
def test_gzip_and_snappy_are_pythons(codec: int) -> None:
    raw = bytearray(batch_of([Keyed(None, sms())]))
    raw[22] |= codec
    with pytest.raises(ValueError, match="gzip or snappy"):
        twins().decide(bytes(raw), now=NOW)


def test_a_batch_that_cannot_be_read_whole_is_pythons_whole() -> None:
    raw = batch_of([Keyed(None, sms()), Keyed(None, sms())])
    for broken in (raw[:-1], raw[:40], b"", raw[:60] + b"\x7f" + raw[61:], raw[:16] + b"\x01" + raw[17:]):
        with pytest.raises(ValueError, match=r"."):
            twins().decide(broken, now=NOW)


def test_after_a_batch_that_could_not_be_read_the_next_is_answered_right() -> None:
    made = twins()
    good, other = batch_of([Keyed(None, sms())]), batch_of([Keyed(None, sms(to=SILENT)), Keyed(None, sms(text="x"))])
    with pytest.raises(ValueError, match="length"):
        made.decide(other + good[:-1], now=NOW)
    assert [reason(decision) for decision in made.decide(good, now=NOW).decisions] == ["consented"]
    seen = made.decide(other, now=NOW)
    assert {(reason, count) for _, _, reason, count in seen.outcome.counts} == {
        ("no_consent", 1),
        ("identity_missing", 1),
    }


def test_what_is_not_certain_is_left_with_its_key_place_and_time() -> None:
    records = [
        Keyed(b"k", REPLY),
        Keyed(None, sms()),
        Keyed(b"", None),
        Keyed(b"x", b"{"),
        Keyed(b"y", sms(id='"')),
        Keyed(b"z", sms(text="Σίσυφος ΟΔΟΣ")),
    ]
    seen = twins().decide(batch_of(records), now=NOW)
    assert seen.outcome.fallback == [
        (place, RECORD_MS + place, *record) for place, record in enumerate(records) if place != 1
    ]
    assert len(seen.decisions) == 1


@pytest.mark.parametrize("topic", [EVENTS_CALL, EVENTS_REPLY])
def test_an_event_of_another_topics_kind_is_left(topic: str) -> None:
    seen = twins().decide(batch_of([Keyed(None, sms())]), now=NOW, topic=topic)
    assert len(seen.outcome.fallback) == 1
    assert len(twins().decide(batch_of([Keyed(None, sms())]), now=NOW, topic=EVENTS_SMS).decisions) == 1


def test_a_decision_is_keyed_as_its_event_and_by_the_recipient_where_that_has_no_key() -> None:
    records = [Keyed(b"odd", sms()), Keyed(b"", sms()), Keyed(None, sms())]
    seen = twins().decide(batch_of(records), now=NOW)
    assert [decision.key for decision in seen.decisions] == [b"odd", CONSENTING.encode(), CONSENTING.encode()]


def test_a_number_that_protects_numbers_may_be_shown_and_no_other() -> None:
    protecting = entry("+86512", "number-protection", channel="call")
    within = entry("+865125555", "service", channel="call")
    made = twins(but(SHOP, numbers=(protecting, within, entry("+86522", "service", channel="call"))))
    shown = {
        "+8651287654321": "service",
        "8651287654321": "service",
        "+8651255554321": "spoofed_number",
        "+8652287654321": "spoofed_number",
        "+8653287654321": "spoofed_number",
        "anonymous": "service",
        "87654321": "service",
        "7654321": "service",
        "654321": "spoofed_number",
        LINE: "service",
    }
    calls = [call(presented=number) for number in shown]
    assert made.agree(calls, now=NOW) == []
    seen = made.decide(batch_of([Keyed(None, value) for value in calls]), now=NOW)
    assert [reason(decision) for decision in seen.decisions] == list(shown.values())


def test_an_emergency_campaign_on_a_number_of_others_is_decided_here_unless_something_is_suspended() -> None:
    warning = but(CAMPAIGN, campaign="P-2", emergency=True, numbers=("10691", "138"), regions=())
    suspension = Order(order="O-1", measure="suspend", from_=0, basis="measures", number="1069112345")
    made = twins(warning, suspension)

    def event(from_: str, text: str | None) -> bytes:
        return sms(**{"from": from_}, sender=None, purpose="emergency", campaign="P-2", text=text)

    shown = {
        event("1069100000", APPROVED): "emergency",
        event("861069100000", None): "emergency",
        event("13800138001", APPROVED): "emergency",
        event("1069100000", f"{APPROVED}x"): "purpose_not_permitted",
        event(PORT, "x"): "emergency",
    }
    assert made.agree(list(shown), now=NOW) == []
    seen = made.decide(batch_of([Keyed(None, value) for value in shown]), now=NOW)
    assert [reason(decision) for decision in seen.decisions] == list(shown.values())
    assert len(made.agree([event("1069112345", APPROVED)], now=NOW)) == 1


def test_records_in_the_wrong_partition_are_counted() -> None:
    home = partition_of(CONSENTING, 12)
    raw = batch_of([Keyed(None, sms())] * 3)
    assert twins().decide(raw, now=NOW, partition=home).outcome.misplaced == 0
    assert twins().decide(raw, now=NOW, partition=home + 1).outcome.misplaced == 3


def test_where_partitions_are_held_records_in_the_wrong_one_are_left_and_the_rest_is_answered() -> None:
    home = partition_of(CONSENTING, 12)
    records = [Keyed(None, sms()), Keyed(None, sms(to=SILENT)), Keyed(None, call())]
    raw = batch_of(records)
    made = Twins(load(), partitioned_registry(LAWFUL))
    seen = made.decide(raw, now=NOW, partition=home)
    assert [reason(decision) for decision in seen.decisions] == ["consented", "service"]
    assert [value for *_, value in seen.outcome.fallback] == [records[1].value]
    assert seen.outcome.misplaced == 0, "they are counted where they are decided"
    seen = made.decide(raw, now=NOW, partition=partition_of(SILENT, 12))
    assert [reason(decision) for decision in seen.decisions] == ["no_consent"]


def test_large_batches_of_decisions_are_several() -> None:
    made = twins()
    native = NativeBatches(made.decider, made.wills, partitions=12, compression="none", batch_bytes_max=5_000)
    raw = batch_of([Keyed(None, sms(id=f"e-{n}")) for n in range(100)])
    outcome = native.decide(raw, topic=EVENTS_URGENT, partition=0, base_offset_from=0, now=NOW)
    assert len(outcome.batches) > 5
    assert all(len(batch) < 6_000 and len(records_of(batch)) == count for batch, count in outcome.batches)
    assert outcome.count == 100


def test_what_changes_between_batches_is_seen_by_the_next() -> None:
    made, raw = twins(), batch_of([Keyed(None, sms())])

    def decided(*records: FileRecord, stale: bool = False) -> tuple[str, str]:
        made.registry.apply(records)
        made.decider.settle(stale=stale, epoch=f"epoch-{made.registry.generation}")
        (decision,) = made.decide(raw, now=NOW).decisions
        assert decision.value == encode(made.decider.decide(decode_event(sms()), NOW))
        return reason(decision), json.loads(decision.value or b"")["epoch"]

    said = {"subscriber": CONSENTING, "channel": "sms", "time": NOON, "source": "reply"}
    epoch = made.registry.generation
    assert decided() == ("consented", f"epoch-{epoch}")
    assert decided(stale=True) == ("registry_stale", f"epoch-{epoch}")
    assert decided(msgspec.convert({**said, "will": "refuse", "sender": "ORG-1"}, Expression)) == (
        "refused",
        f"epoch-{epoch}",
    )
    assert decided(msgspec.convert({**said, "will": "lift"}, Expression)) == ("no_consent", f"epoch-{epoch}")
    order = Order(order="O-1", measure="suspend", from_=NOON, basis="measures", number=PORT)
    assert decided(order) == ("suspended", f"epoch-{epoch + 1}")


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("size", [BATCH.most - 1_000, BATCH.most + 1])
def test_what_a_giant_took_goes_back_whether_it_could_be_read_or_not(codec: Compression, size: int) -> None:
    made, giant = twins(), batch_of([Keyed(None, bytes(size))], compression=codec)
    before_mib = rss_mib(os.getpid())
    with suppress(ValueError):
        made.native.decide(giant, topic=EVENTS_SMS, partition=0, base_offset_from=0, now=NOW)
    give_back()
    after_mib = rss_mib(os.getpid())
    assert before_mib is not None
    assert after_mib is not None
    assert after_mib - before_mib < 16


def test_activity_counts_the_same_from_columns_as_from_decisions() -> None:
    source = Source(seed=3)
    policy, registry = source.world()
    made = Twins(policy, registry)
    lines = source.lines(1_500)
    seen = made.decide(batch_of([Keyed(None, line) for line in lines]), now=NOW)
    left = {offset for offset, *_ in seen.outcome.fallback}
    answered = [Consumed(n, RECORD_MS + n, None, line) for n, line in enumerate(lines) if n not in left]
    outputs = decide_batch({TopicPartition(EVENTS_URGENT, 0): answered}, made.decider, now=NOW, partitions=12)
    assert Counter({tuple(tally): count for *tally, count in seen.outcome.counts}) == outputs.counts.verdicts
    by_decisions, by_columns = ActivityCounter("run"), ActivityCounter("run")
    (acts,) = outputs.counts.acts
    by_decisions.add(acts, now=NOW)
    by_columns.add(seen.outcome.acts, now=NOW)
    told = [
        sorted(
            (
                encode(record)
                for closed in counter.close(NOW, everything=True)
                for record in activity_of(closed, floor=1)
            ),
        )
        for counter in (by_decisions, by_columns)
    ]
    assert told[0] == told[1] != []


def test_the_module_knows_predicates_of_the_rule_table_only() -> None:
    import wurao_native  # noqa: PLC0415  # there only where the module is built

    assert why_unfit() is None
    assert len(bits_of(wurao_native.PREDICATES)) == len(wurao_native.PREDICATES)
    with pytest.raises(KeyError):
        bits_of((*wurao_native.PREDICATES, "moon_is_full"))


@pytest.mark.parametrize(
    ("table", "name", "value", "why"),
    [("numbers", "short", r"\d{5}", "short"), ("texts", "opt_out", "stop", "opt_out")],
)
def test_a_policy_that_the_module_cannot_stand_for_is_refused(table: str, name: str, value: str, why: str) -> None:
    made = twins()
    file = load().file
    section = but(getattr(file, table), **{name: value})
    decider = Decider(Policy(but(file, **{table: section}), text="a variant"), made.registry)
    with pytest.raises(NativeUnfit, match=why):
        NativeBatches(decider, made.wills, partitions=12)
