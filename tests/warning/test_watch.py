"""Early warning as it runs: `wurao watch` on genuine Kafka, beside a filter, killed, shared and poisoned."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import orjson
import pytest

from bloom.partition import partition_of
from stream.clock import now_ms
from stream.model.cases import CaseEvent, Discovered, Hold
from stream.model.codec import decode_as, encode
from stream.model.control import Activity, Party, key_of_control, party_key
from stream.model.held import Held
from stream.model.limits import BATCH
from stream.model.places import RecordPlace, digest_of, place_named
from stream.model.topics import ACTIVITY, CASE_EVENTS, DEAD_LETTER, DECISIONS, EVENTS_SMS, HELD, HOLDS
from stream.warning.rules.senders import WINDOW_MS
from tests.filter import cases
from tests.filter.harness import PARTITIONS, Broker, FilterProcess, event
from tests.hostile import write_compressed
from tests.patience import LONG_S
from tests.warning.harness import WatchProcess, found_in, part, raised, write
from tests.warning.rules.test_blocked import case_made_of, decision

pytestmark = pytest.mark.kafka

SENDERS = 200
WINDOWS = 150


def _traffic() -> list[Activity]:
    """Many senders over many windows, two workers each; every tenth sender's list is without consent."""
    chance = random.Random(3)
    return [
        part(
            place,
            consented=20,
            refused=20 if sender % 10 == 0 else chance.randrange(2),
            party=Party(sender=f"ORG-{sender}") if sender % 3 else Party(number=f"+86139{sender:08d}"),
            worker=worker,
            recipients=1,
        )
        for place in range(WINDOWS)
        for sender in range(SENDERS)
        for worker in ("a", "b")
    ]


def _ids(parts: Sequence[Activity]) -> set[str]:
    return {finding.finding for finding in found_in(parts)}


def test_a_sender_that_ignores_refusals_is_found_once(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    bad = [event("sms", n, **{**cases.BANK, "to": cases.REFUSING, "text": cases.GOOD_TEXT}) for n in range(600)]
    good = [event("sms", n, to=cases.REFUSING, text="取件码 12", **{"from": "10690999"}) for n in range(600, 900)]
    few = [event("sms", n, to=cases.WILLING, text="在吗", **{"from": cases.SILENT}) for n in range(900, 910)]
    with FilterProcess(broker, tmp_path) as filter_, WatchProcess(broker, tmp_path) as watch:
        filter_.wait_ready()
        broker.write_events([*bad[:300], *good, *few])
        broker.decisions(until=610)
        told = broker.read(ACTIVITY, until=2)  # the window closes by itself
        broker.write_events(bad[300:])
        broker.decisions(until=910)
        assert filter_.terminate() == 0  # and the last one because the worker ends
        told = broker.read(ACTIVITY, until=len(told) + 1)
        watch.wait_judged(len(told))
        assert watch.terminate() == 0
    activity = [decode_as(Activity, record.value) for record in told]
    counted: Counter[tuple[str | None, str]] = Counter()
    for record, one in zip(told, activity, strict=True):
        assert record.key.decode() == key_of_control(one) == party_key(one.party)
        assert record.partition == partition_of(record.key.decode(), PARTITIONS)
        assert abs(record.timestamp - one.window) < 60_000
        assert one.window % WINDOW_MS == 0
        for tally in one.tallies:
            counted[one.party.sender, tally.reason] += tally.count
    assert counted == {("ORG-BANK", "refused"): 600, ("ORG-SERVICE", "service"): 300}, "ten of a person are below it"
    (finding,) = raised(broker)
    assert (finding.party, finding.grounds) == (Party(sender="ORG-BANK"), "blocked-share")
    assert finding.figures[0].value == 1.0
    assert cases.SILENT not in watch.log


def test_killed_and_started_again_it_raises_each_finding_under_the_id_it_had(broker: Broker, tmp_path: Path) -> None:
    parts = _traffic()
    half = len(parts) // 2
    write(broker, parts[:half])
    with WatchProcess(broker, tmp_path, WURAO_WATCH__BATCH_RECORDS_MAX="200") as first:
        first.wait_judged(half // 4)
        first.kill()
    before = raised(broker)
    write(broker, parts[half:])
    with WatchProcess(broker, tmp_path) as second:
        second.wait_judged(len(parts))
        assert second.terminate() == 0
    findings = raised(broker)
    assert 0 < len(before) <= len(findings)
    assert {finding.finding for finding in findings} == _ids(parts), "none lost, none new"
    assert len(findings) <= len(before) + len(_ids(parts))
    committed = broker.committed("wurao-watch")
    with WatchProcess(broker, tmp_path, WURAO_WATCH__BATCH_RECORDS_MAX="1") as ended_early:
        deadline = time.monotonic() + LONG_S
        while "reading back the activity of senders" not in ended_early.log:
            ended_early.check()
            assert time.monotonic() < deadline, ended_early.last_words()
            time.sleep(0.05)
        assert ended_early.terminate() == 0
    assert broker.committed("wurao-watch") == committed, "what is read back is not committed again"
    with WatchProcess(broker, tmp_path) as third:
        third.wait_judged(len(parts))
        more = [part(WINDOWS, consented=20, refused=20, party=Party(sender="ORG-10"))]
        write(broker, more)
        third.wait_judged(len(parts) + 1)
        assert third.terminate() == 0
    assert len(raised(broker)) == len(findings), "after a clean end it reads back in silence and knows what was said"


def test_two_share_the_senders_and_one_goes_on_alone(broker: Broker, tmp_path: Path) -> None:
    parts = _traffic()
    third = len(parts) // 3
    with WatchProcess(broker, tmp_path) as first, WatchProcess(broker, tmp_path) as second:
        deadline = time.monotonic() + LONG_S
        while not ('partitions_count": 6' in first.log and 'partitions_count": 6' in second.log):
            assert time.monotonic() < deadline, first.log + second.log
            time.sleep(0.1)
        write(broker, parts[:third])
        first.wait_judged(1)
        second.wait_judged(1)
        assert first.terminate() == 0
        write(broker, parts[third:])
        wanted = _ids(parts)
        raised(broker, until=len(wanted))
        second.wait_judged(len(parts) - third)
        assert second.terminate() == 0
    findings = raised(broker)
    assert Counter(finding.finding for finding in findings) == dict.fromkeys(wanted, 1)


def test_what_the_filter_blocked_opens_one_case_of_its_sender_and_day_however_often_it_is_read(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write_registry(cases.registry())
    allowed = encode(msgspec.structs.replace(decision(), reason="consented", verdict="allow"))

    def write_decisions(start: int) -> None:
        broker.write(
            (DECISIONS, partition, b"+8613800138000", value)
            for number in range(start, start + 10)
            for partition in range(3)
            for value in (allowed, encode(msgspec.structs.replace(decision(), event=f"e-{partition}-{number}")))
        )

    write_decisions(0)
    text = event("sms", 1, **{**cases.BANK, "id": "e-0-held", "to": cases.WILLING, "text": "刷单返利"})
    about = encode(msgspec.structs.replace(decision(decided=now_ms()), event="e-0-held", reason="refused"))
    broker.write([(DECISIONS, 11, b"k", about), (EVENTS_SMS, 11, b"k", orjson.dumps(text))])
    of_it = RecordPlace(DECISIONS, 11, 0, digest_of(about))
    evidence = (str(of_it), f"decisions:11:0;sha256={'0' * 64}", "decisions:11:7", "events.sms:11:0", "the bill")
    hold = Hold("X-1#1.0", "X-1", 1, evidence, "prohibited-content")
    broker.write([(HOLDS, 0, b"X-1#1.0", value) for value in (b"{}", encode(hold))])
    with WatchProcess(broker, tmp_path) as first:
        broker.read(CASE_EVENTS, until=3)
        held = [decode_as(Held, record.value) for record in broker.read(HELD, until=6)]
        assert first.terminate() == 0
        assert "hold cannot be decoded" in first.log
    assert [(one.outcome, one.place) for one in held] == [
        ("copied", "decisions:11:0"),
        ("copied", "events.sms:11:0"),
        ("differs", "decisions:11:0"),
        ("copied", "events.sms:11:0"),
        ("absent", "decisions:11:7"),
        ("copied", "events.sms:11:0"),
    ]
    assert (held[0].value, held[1].value, held[1].key) == (about, orjson.dumps(text), b"k")
    assert (held[1].digest, held[1].case, held[1].named) == (digest_of(held[1].value), "X-1", str(of_it))
    write_decisions(10)
    broker.write([(DECISIONS, 0, b"k", b'{"reason":"prohibited_content"'), (DECISIONS, 0, b"k", None)])
    with WatchProcess(broker, tmp_path, WURAO_WATCH__GROUP="wurao-watch-anew") as second:  # has all of it again
        deadline = time.monotonic() + LONG_S
        while sum(broker.committed("wurao-watch-anew.decisions").values()) < 123:
            second.check()
            assert time.monotonic() < deadline, second.last_words()
            time.sleep(0.1)
        assert second.terminate() == 0
        assert "decision cannot be decoded" in second.log
    assert len(broker.read(HELD)) >= 6, "whoever reads holds again copies again"
    written = broker.read(DECISIONS)
    values = {(one.partition, one.offset): one.value for one in written}
    events = []
    for record in broker.read(CASE_EVENTS):
        told = decode_as(CaseEvent, record.value)
        assert (record.key.decode(), record.partition) == (told.case, partition_of(told.case, PARTITIONS))
        for named in decode_as(Discovered, bytes(told.event)).finding.evidence:
            place = place_named(named)
            assert place is not None
            assert (place.topic, place.digest) == (DECISIONS, digest_of(values[place.partition, place.offset]))
        events.append(told)
    case, _ = case_made_of(events)
    assert case.finding is not None
    assert (case.finding.party, len(case.finding.evidence)) == (Party(sender="ORG-BANK"), 30)
    assert 30 <= case.blocked_count <= 60
    assert cases.WILLING not in first.log + second.log


def test_what_is_no_activity_is_named_and_stops_nothing(broker: Broker, tmp_path: Path) -> None:
    number = "+8613912345678"
    broker.write([(ACTIVITY, 0, b"k", b"{"), (ACTIVITY, 1, b"k", None), (ACTIVITY, 2, b"k", b'{"kind":"activity"}')])
    bad = f'{{"kind":"activity","window":1,"party":{{"number":"{number}"}},"channel":"{number}","tallies":[]}}'
    broker.write([(ACTIVITY, 3, b"k", bad.encode())])
    write(broker, [part(place, consented=20, refused=20) for place in range(30)])
    with WatchProcess(broker, tmp_path) as watch:
        watch.wait_judged(34)
        assert watch.metric("wurao_watch_undecodable_total") == 4
        assert watch.terminate() == 0
    assert len(raised(broker)) == 1
    assert "activity record cannot be decoded" in watch.log
    assert number not in watch.log


def test_missing_topics_are_named_with_the_command_that_makes_them(broker: Broker, tmp_path: Path) -> None:
    broker.delete_topics()
    with WatchProcess(broker, tmp_path) as watch:
        assert watch.ended() == 1
        assert f"{CASE_EVENTS}: missing; run `wurao topics create`" in watch.log


def test_the_table_of_the_policy_file_sets_the_limits(broker: Broker, tmp_path: Path) -> None:
    text = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
    lenient = tmp_path / "policy.toml"
    lenient.write_text(text.replace("blocked_share_max = 0.3 ", "blocked_share_max = 0.6 "), encoding="utf-8")
    write(broker, [part(place, consented=20, refused=20) for place in range(30)])
    strict = Party(sender="ORG-STRICT")
    write(broker, [part(place, consented=20, refused=80, party=strict) for place in range(30)])
    with WatchProcess(broker, tmp_path, WURAO_POLICY__FILE=str(lenient)) as watch:
        watch.wait_judged(60)
        assert watch.terminate() == 0
    assert [finding.party for finding in raised(broker)] == [strict]


def test_members_come_and_go_while_activity_flows(broker: Broker, tmp_path: Path) -> None:
    flowing = threading.Event()
    flowing.set()

    def flow() -> None:
        for place in itertools.count():
            if not flowing.is_set():
                return
            write(broker, [part(place, consented=1, party=Party(sender=f"ORG-{one}")) for one in range(40)])

    writer = threading.Thread(target=flow)
    with WatchProcess(broker, tmp_path) as staying:
        staying.wait_judged(0)
        writer.start()
        try:
            for _ in range(4):
                with WatchProcess(broker, tmp_path) as guest:
                    guest.wait_judged(1)
                    assert guest.terminate() == 0
                judged = staying.metric("wurao_watch_records_total")
                staying.wait_judged(int(judged) + 1_000)
        finally:
            flowing.clear()
            writer.join()


def test_no_record_of_activity_stops_it_for_its_size_or_what_would_follow_from_it(
    broker: Broker, tmp_path: Path
) -> None:
    long = part(0, consented=1, refused=400, party=Party(sender="s" * 1_000_000), recipients=400)
    bad = part(0, consented=1, refused=400, recipients=400)
    key = key_of_control(bad).encode()
    place = partition_of(key.decode(), PARTITIONS)
    hostile = [encode(long), b"a" * (2 << 20), bytes(BATCH.most), None]
    write(broker, [part(0, consented=1, party=Party(sender="ORG-8"))])
    with WatchProcess(broker, tmp_path) as watch:
        watch.wait_judged(0)
        write_compressed(broker.bootstrap, [(ACTIVITY, place, None, value) for value in hostile])
        write(broker, [bad])
        (finding,) = raised(broker, until=1)
        letters = broker.read(DEAD_LETTER, until=len(hostile))
        assert watch.terminate() == 0
    assert finding.party == Party(sender="ORG-9")
    assert [b"`party` has 1,000,000 characters" in dict(one.headers)["error"] for one in letters].count(True) == 1
    assert len(letters) == len(hostile)
