"""Activity, purely: what is told of a window is what a plain recount of its decisions finds."""

import tracemalloc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bloom.number import MSISDN_END, MSISDN_MIN, parse
from stream.deciding import activity, windows
from stream.deciding.activity import LATE_MS, OLD_MS, ActivityCounter, AnswerTable, DecisionColumns, acts_of
from stream.deciding.batch import decide_batch
from stream.deciding.windows import BLOCKS_MAX, NO_NUMBER, Closed, Sign, numbers_of, records_of
from stream.model.control import BLOCK_NUMBERS, WINDOW_MS, Activity, Party, Tally
from stream.model.decision import Decision
from stream.model.fields import Channel, EventKind, Verdict
from stream.model.times import DAY_MS
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import registry_of
from stream.warning.rules.senders import evaluate
from tests.deciding.test_batch import Consumed
from tests.filter import cases
from tests.filter.harness import event

START = 1_795_500_000_000
FLOOR = 3
Key = tuple[int, str, str | None, str | None]
"""window, channel, sender, number"""


def OWNERS(_: Channel, number: str) -> str | None:  # noqa: N802  # a table, as far as the tests care
    return {"10690123": "ORG-1", "95588": "ORG-2"}.get(number)


class Made(NamedTuple):
    """A decision and its record's timestamp."""

    decision: Decision
    timestamp: int


def _made(
    of: EventKind = "sms",
    *,
    to: str = "+8613800138000",
    from_: str | None = "10690123",
    sender: str | None = "ORG-1",
    verdict: Verdict = "allow",
    reason: str = "consented",
    at: int = START,
) -> Made:
    decision = Decision(
        event="e", of=of, time=0, decided=0, to=to, from_=from_, sender=sender,
        verdict=verdict, reason=reason, basis=None, policy="p", epoch="e",
    )  # fmt: skip
    return Made(decision, at)


RECIPIENTS = st.integers(13_800_000_040, 13_800_000_060).map(lambda n: f"+86{n}") | st.sampled_from(
    ["110", "+12", "10086", "", "+8613800a3800", "+861380013800012345", "１３８００１３８０００", "+1234567"]
)
MADE = st.builds(
    _made,
    st.sampled_from(("sms", "call", "reply")),
    to=RECIPIENTS,
    from_=st.sampled_from(["", "bank", "+8613900139000", "+8613900139000", "95588", "10690123"]),
    sender=st.sampled_from([None, None, "ORG-1", "ORG-2"]),
    verdict=st.sampled_from(("allow", "block")),
    reason=st.sampled_from(("consented", "refused", "unlicensed", "number_not_assigned", "redress", "spoofed_number")),
    at=st.sampled_from([-1, START, START + 9_999, START, START + 2 * WINDOW_MS]),
)
SIGNS = st.builds(
    Sign,
    st.sampled_from(("refusal", "opt-out hint")),
    st.sampled_from([START, START + WINDOW_MS]),
    st.sampled_from(("sms", "call")),
    st.sampled_from(["ORG-1", "ORG-3"]),
)
NOW = START + 2 * WINDOW_MS + 7


@dataclass
class Count:
    """A party's window, counted one by one."""

    tallies: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    recipients: set[int] = field(default_factory=set)
    refusals: int = 0
    hints: int = 0

    @property
    def run(self) -> int:
        longest = 0
        for number in self.recipients:
            if number - 1 not in self.recipients:
                length = 1
                while number + length in self.recipients:
                    length += 1
                longest = max(longest, length)
        return longest


def _recount(made: Iterable[Made], signs: Iterable[Sign], now: int) -> dict[Key, Count]:
    counts: dict[Key, Count] = defaultdict(Count)
    for decision, timestamp in made:
        moment = now if timestamp < 0 or timestamp > now else timestamp
        if decision.of == "reply" or decision.reason in ("redress", "spoofed_number"):
            continue
        sender = decision.sender
        if decision.reason not in ("consented", "refused") and sender != OWNERS("sms", decision.from_ or ""):
            sender = None
        if not (sender or decision.from_):
            continue
        number = None if sender else decision.from_
        count = counts[moment // WINDOW_MS * WINDOW_MS, decision.of, sender, number]
        count.tallies[decision.verdict, decision.reason] += 1
        recipient = parse(decision.to)
        if recipient is not None:
            count.recipients.add(recipient)
    for sign in signs:
        count = counts[sign.timestamp // WINDOW_MS * WINDOW_MS, sign.channel, sign.sender, None]
        if sign.shows == "refusal":
            count.refusals += 1
        else:
            count.hints += 1
    return {key: count for key, count in counts.items() if _is_told(key, count)}


def _is_told(key: Key, count: Count) -> bool:
    events = sum(count.tallies.values())
    return key[2] is not None or events >= FLOOR


def _columns(made: Sequence[Made]) -> DecisionColumns:
    decisions = [one.decision for one in made]
    return DecisionColumns(
        decisions, [one.to for one in decisions], [one.from_ for one in decisions], [one.timestamp for one in made]
    )


def _add(counter: ActivityCounter, made: Sequence[Made], signs: Iterable[Sign] = (), *, now: int = NOW) -> None:
    counter.add(acts_of(_columns(made), list(signs), owner=OWNERS, table=AnswerTable()), now=now)


def _records(closed: Iterable[Closed]) -> Iterator[Activity]:
    for one in closed:
        yield from records_of(one, floor=FLOOR)


def _key(record: Activity) -> Key:
    return record.window, record.channel, record.party.sender, record.party.number


@given(st.lists(MADE, max_size=60), st.lists(SIGNS, max_size=6), st.integers(0, 60), st.integers(1, 70))
@example([_made(), _made(), _made(from_=None)], [], 1, 70)
@example([_made(to=f"+86138001380{n:02d}") for n in range(40)], [], 20, 7)
@example([_made(to=f"+86138001380{n:02d}", sender="ORG-1" if n % 3 else None) for n in range(40)], [], 20, 7)
def test_what_is_told_of_a_window_is_what_a_plain_recount_finds(
    made: list[Made], signs: list[Sign], cut: int, at_once: int
) -> None:
    counter = ActivityCounter("run")
    _add(counter, made[:cut], signs)
    _add(counter, made[cut:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_SORTED_AT_ONCE", at_once)
        patch.setattr(windows, "_PARTIES_AT_ONCE", at_once)
        told = {_key(record): record for record in _records(counter.close(NOW, everything=True))}
    counts = _recount(made, signs, NOW)
    assert set(told) == set(counts)
    for key, count in counts.items():
        record = told[key]
        assert {(t.verdict, t.reason): t.count for t in record.tallies} == count.tallies
        assert record.recipients == len(count.recipients)
        assert record.run == count.run
        assert (record.refusals, record.opt_out_hints) == (count.refusals, count.hints)
        blocks: dict[int, int] = defaultdict(int)
        for number in count.recipients:
            blocks[number - number % BLOCK_NUMBERS] |= 1 << number % BLOCK_NUMBERS
        assert {b.first: b.bits for b in record.dense} == {f: b for f, b in blocks.items() if b.bit_count() >= 2}


def test_a_window_closes_when_it_is_over_and_what_is_late_goes_into_a_further_part() -> None:
    counter = ActivityCounter("run")
    _add(counter, [_made(at=START + 5)], now=START + 5)
    end = START + WINDOW_MS + LATE_MS
    assert counter.close(end - 1) == []
    _add(counter, [_made(at=START + 6)], now=end - 1)
    (first,) = _records(counter.close(end))
    assert (first.window, first.tallies) == (START, (Tally("allow", "consented", 2),))
    assert counter.close(end) == []
    _add(counter, [_made(at=START + 7)], now=end)
    assert counter.close(end + WINDOW_MS - 1) == []
    (further,) = _records(counter.close(end + WINDOW_MS))
    assert (further.window, further.tallies) == (START, (Tally("allow", "consented", 1),))
    assert first.worker != further.worker, "two parts add up; under one name the second would replace the first"


def test_a_backlog_is_counted_in_the_windows_in_which_it_was_sent() -> None:
    counter = ActivityCounter("run")
    now = START + 1_000 * WINDOW_MS
    _add(counter, [_made(at=START + place * WINDOW_MS) for place in range(50)], now=now)
    assert counter.close(now + WINDOW_MS - 1) == [], "a backlog's windows stay open for their length, too"
    assert [record.window for record in _records(counter.close(now + WINDOW_MS))] == [
        START + place * WINDOW_MS for place in range(50)
    ]


def test_a_backlog_of_many_windows_takes_neither_a_mapping_nor_a_page_for_each() -> None:
    counter = ActivityCounter("run")
    many = 3_000
    before = len(Path("/proc/self/maps").read_text(encoding="ascii").splitlines())
    tracemalloc.start()
    _add(counter, [_made(at=START - number * WINDOW_MS) for number in range(many)])
    assert counter.close(NOW) == []
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(Path("/proc/self/maps").read_text(encoding="ascii").splitlines()) < before + 200
    assert taken < many * 4_096
    assert len(counter.close(NOW, everything=True)) == many


def test_too_many_rows_or_names_close_every_window_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "ROWS_MAX", 10)
    counter = ActivityCounter("run")
    _add(counter, [_made()] * 9)
    assert counter.close(START) == []
    _add(counter, [_made()])
    assert [record.tallies[0].count for record in _records(counter.close(START))] == [10]
    monkeypatch.setattr(activity, "NAMES_MAX", 10)
    _add(counter, [_made(sender=f"ORG-{n}") for n in range(9)])
    assert counter.close(START) == []
    _add(counter, [_made(sender="ORG-X")])
    assert len(list(_records(counter.close(START)))) == 10
    _add(counter, [_made(sender="ORG-X")])
    assert counter.close(START) == [], "the names are forgotten with the windows that they stood in"


def test_a_sweep_seen_by_one_worker_among_many_is_told_block_by_block() -> None:
    counter = ActivityCounter("run")
    _add(counter, [_made(to=f"+86138{number:08d}") for number in range(0, 50 * 100, 7)])
    (record,) = _records(counter.close(NOW, everything=True))
    assert record.run == 1
    assert len(record.dense) == BLOCKS_MAX
    assert list(record.dense) == sorted(record.dense, key=lambda block: block.first)


def test_parties_beyond_what_one_pass_takes_are_counted_all_the_same() -> None:
    counter = ActivityCounter("run")
    made = [_made(sender=f"ORG-{n % 9_000}", to=f"+86138{n % 9_001:08d}") for n in range(18_000)]
    _add(counter, made)
    told = {_key(record): record for record in _records(counter.close(NOW, everything=True))}
    counts = _recount(made, [], NOW)
    assert {key: (record.recipients, record.run) for key, record in told.items()} == {
        key: (len(count.recipients), count.run) for key, count in counts.items()
    }


@given(
    st.lists(st.text(st.sampled_from("+0123456789a１"), max_size=18))
    | st.lists(st.integers(MSISDN_MIN, MSISDN_END - 1).map(lambda n: f"+{n}"))
)
def test_many_numbers_are_read_as_each_is(texts: list[str]) -> None:
    assert numbers_of(texts).tolist() == [parse(text) or NO_NUMBER for text in texts]
    assert numbers_of(texts).dtype == np.int64


def test_a_batch_tells_of_replies_that_refuse_and_of_service_that_advertises() -> None:
    decider = Decider(load(), registry_of(cases.registry()))
    hint = event("sms", 1, to=cases.WILLING, text="您有新优惠，拒收请回复R", **{"from": "10690999"})
    plain = event("sms", 2, to=cases.WILLING, text="取件码 123456", **{"from": "10690999"})
    reply = event("reply", 3, **{"from": cases.SILENT, "to": cases.PORT, "text": "TD"})
    advert = event("sms", 4, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK)
    records = [Consumed(n, None, orjson.dumps(one), START) for n, one in enumerate([hint, plain, reply, advert])]
    outputs = decide_batch({TopicPartition("events.urgent", 0): records}, decider, now=NOW, partitions=12)
    channel: Channel = "sms"
    (acts,) = outputs.counts.acts
    assert acts.signs == [
        Sign("opt-out hint", START, channel, "ORG-SERVICE"),
        Sign("refusal", START, channel, "ORG-BANK"),
    ]
    assert [acts.answers[row].reason for row in acts.rows] == ["service", "service", "opt_out_reply", "consented"]
    counter = ActivityCounter("run")
    counter.add(acts, now=NOW)
    told = {record.party.sender: record for record in _records(counter.close(NOW, everything=True))}
    assert (told["ORG-SERVICE"].opt_out_hints, told["ORG-SERVICE"].tallies) == (1, (Tally("allow", "service", 2),))
    assert (told["ORG-BANK"].refusals, told["ORG-BANK"].tallies) == (1, (Tally("allow", "consented", 1),))


def _of_batch(events: Sequence[dict[str, object]]) -> list[Activity]:
    """What a filter with the registry of `cases` tells of these events."""
    decider = Decider(load(), registry_of(cases.registry()))
    batches: dict[TopicPartition, list[Consumed]] = defaultdict(list)
    for place, one in enumerate(events):
        batches[TopicPartition("events.urgent", 0)].append(Consumed(place, None, orjson.dumps(one), START))
    outputs = decide_batch(batches, decider, now=NOW, partitions=12)
    assert not outputs.dead_letters
    (acts,) = outputs.counts.acts
    counter = ActivityCounter("run")
    counter.add(acts, now=NOW)
    return list(_records(counter.close(NOW, everything=True)))


def _sweep(kind: str, **fields: object) -> list[dict[str, object]]:
    """As much as any rule of early warning asks for, to numbers that follow one another."""
    return [event(kind, n, **{"to": f"+86138{n:08d}", "text": cases.GOOD_TEXT, **fields}) for n in range(600)]


STRANGER = "+8617700001234"
IN_ANOTHERS_NAME = {
    "number_not_assigned": _sweep("sms", **{**cases.BANK, "from": STRANGER}),
    "number_not_assigned, from a number of another sender": _sweep("sms", **{**cases.BANK, "from": "10690999"}),
    "prohibited_content": _sweep("sms", **{**cases.BANK, "from": STRANGER, "text": "刷单返利"}),
    "campaign_unknown": _sweep("sms", **{**cases.BANK, "from": STRANGER, "purpose": "public"}),
    "number_missing": _sweep("sms", sender="ORG-BANK", purpose="commercial"),
    "malformed_number": _sweep("sms", **{**cases.BANK, "from": "bank"}),
    "spoofed_number, by the network's word": _sweep(
        "call", sender="ORG-BANK", verstat="TN-Validation-Failed", **{"from": "+861055550000"}
    ),
    "spoofed_number, by the number shown": _sweep(
        "call", sender="ORG-BANK", presented="+8610110110", **{"from": STRANGER}
    ),
    "number_not_assigned, though it shows a number of the sender": _sweep(
        "call", sender="ORG-BANK", presented="+861055550000", **{"from": STRANGER}
    ),
    "redress": [{**one, "to": "12300"} for one in _sweep("call", sender="ORG-BANK", **{"from": "+862155550000"})],
    "suspended, by an order on the number's owner": _sweep("sms", **{**cases.BANK, "from": "10690666"}),
}


NOBODY_ELSE = ("number_missing", "spoofed_number", "redress")


@pytest.mark.parametrize("what", IN_ANOTHERS_NAME)
def test_nobody_is_blamed_for_what_a_stranger_sends_in_its_name(what: str) -> None:
    strange, number = IN_ANOTHERS_NAME[what], IN_ANOTHERS_NAME[what][0].get("from")
    own = [event("sms", 700 + n, to=cases.WILLING, text=cases.GOOD_TEXT, **cases.BANK) for n in range(20)]
    told = _of_batch([*strange, *own])
    (bank,) = [record for record in told if record.party.sender == "ORG-BANK"]
    assert (bank.tallies, bank.recipients, bank.run) == ((Tally("allow", "consented", 20),), 1, 1)
    assert evaluate(None, bank, load().file.warning).findings == ()
    blamed = {record.party: record.tallies for record in told if record is not bank}
    if what.startswith(NOBODY_ELSE):
        assert blamed == {}
    else:
        (tallies,) = blamed.values()
        assert blamed.keys() == {Party(number=str(number))}, "the number itself is"
        assert [(tally.reason, tally.count) for tally in tallies] == [(what.partition(",")[0], 600)]


@pytest.mark.parametrize("named", [True, False])
def test_a_sender_is_blamed_for_what_its_own_numbers_send_whether_it_says_who_it_is_or_not(named: bool) -> None:  # noqa: FBT001
    bank = {**cases.BANK, "sender": "ORG-BANK" if named else None}
    prohibited = _sweep("sms", **{**bank, "text": "刷单返利"})
    campaign = _sweep("sms", **{**bank, "purpose": "public"})
    (record,) = _of_batch([*prohibited, *campaign])
    assert record.party == Party(sender="ORG-BANK")
    assert {tally.reason: tally.count for tally in record.tallies} == {
        "prohibited_content": 600,
        "campaign_unknown": 600,
    }
    grounds = [finding.grounds for finding in evaluate(None, record, load().file.warning).findings]
    assert grounds == ["blocked-share", "sweep"]


def test_what_strangers_call_themselves_is_not_kept() -> None:
    table = AnswerTable()
    made = [_made(sender=f"STRANGER-{n}", reason="unlicensed", from_="10690000") for n in range(1_000)]
    acts_of(_columns(made), [], owner=OWNERS, table=table)
    assert len(table.names) <= 2


def test_odd_numbers_beyond_their_room_are_nobodys_and_close_every_window_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activity, "TEXTS_CHARACTERS_MAX", 1_000)
    counter = ActivityCounter("run")
    _add(counter, [_made(sender=None, from_=f"{n:0100d}x") for n in range(100)])
    assert sum(map(len, counter._texts.values())) <= 1_000 + 101
    assert counter.close(START), "closed early"
    assert counter._texts == {}


def test_all_that_is_older_than_two_days_stands_in_one_window_of_a_day() -> None:
    counter = ActivityCounter("run")
    _add(counter, [_made(at=NOW - OLD_MS - 1 - n * 10_000_000) for n in range(5_000)])
    (record,) = _records(counter.close(NOW, everything=True))
    assert record.tallies[0].count == 5_000
    assert record.window % DAY_MS == 0
