"""The native path: its answers are the Python path's, whatever the module leaves, and whatever becomes of it."""

import asyncio
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import orjson
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bloom.base import Base, BasedWills
from bloom.bitmaps import Wills
from bloom.partition import partition_of
from bloom.partitioned import HeldPartitions, NotHeldError
from bloom.snapshot import SnapshotMeta
from stream import config as configuration
from stream.config import Config
from stream.deciding import native, native_selection
from stream.deciding.activity import ActivityCounter, Acts
from stream.deciding.batch import Finished, Outputs, decide_batch
from stream.deciding.native import NativeBatches
from stream.deciding.native_batch import Native, NativeFailed, Taken, decide_raw
from stream.deciding.native_selection import NativePath, native_path
from stream.deciding.windows import records_of
from stream.filter.delivery import in_rounds
from stream.filter.partition_assignment import native_base
from stream.kafka import seams
from stream.kafka.reach import CannotStart
from stream.kafka.seams import layout
from stream.kafka.seams.incoming import RawBatch
from stream.kafka.seams.outgoing import batch_of, seal
from stream.kafka.seams.outgoing import records_of as records_of_batch
from stream.model.control import Activity
from stream.model.decision import Decision
from stream.model.events import Event
from stream.model.topics import TopicPartition
from stream.policy.decide import Decider
from stream.policy.loading import load, read
from stream.policy.settings import Policy
from stream.registry.registry import Registry, registry_of
from tests.deciding.twins import needs_native, partitioned_registry
from tests.filter import cases, standin
from tests.filter.harness import NOW, Broker, FilterProcess, event

PARTITIONS = 12
NONE = np.zeros(1, dtype=np.int64)
HINTING = event("sms", 1, to=cases.SILENT, text=cases.GOOD_TEXT, **{**cases.BANK, "purpose": "service"})
EVENTS = [orjson.dumps(one) for one in [*cases.EVENTS, HINTING]]
FIRST = 40


@dataclass
class Consumed:
    """A record as a consumer hands it out."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _decider() -> Decider:
    return Decider(load(), registry_of(cases.registry()))


def _consumed(values: list[bytes | None]) -> list[Consumed]:
    return [Consumed(FIRST + number, NOW + number, None, value) for number, value in enumerate(values)]


def _raw(records: list[Consumed], *, codec: int = 0, first: int = FIRST) -> RawBatch:
    """The records as a broker would send them."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number, record in enumerate(records):
        builder.append(number, record.timestamp, record.key, record.value, [])
    data = builder.build()
    data[: layout.LENGTH_AT] = records[0].offset.to_bytes(8, "big")
    seal(data, producer_id=-1, epoch=-1, base_sequence=-1, transactional=False)
    return RawBatch(bytes(data), 0, len(data), first, records[-1].offset + 1, len(records), codec != 1)


def _together(batches: list[RawBatch]) -> RawBatch:
    """The same bytes as they stand in the answer to one fetch, in one piece."""
    buffer = b"".join(bytes(batch.data) for batch in batches)
    last = batches[-1]
    count = sum(batch.count for batch in batches)
    return RawBatch(buffer, 0, len(buffer), batches[0].first, last.next_offset, count, last.readable)


def _decisions(outputs: Outputs) -> dict[int, Counter[tuple[bytes, bytes]]]:
    """Partition → decisions, in no order."""
    found: dict[int, Counter[tuple[bytes, bytes]]] = {}
    for partition, keyed in outputs.decisions.items():
        found.setdefault(partition, Counter()).update(keyed)
    for batch in outputs.finished:
        found.setdefault(batch.partition, Counter()).update(records_of_batch(batch.data))
    return {partition: decisions for partition, decisions in found.items() if decisions}


def _activity(outputs: Outputs) -> list[Activity]:
    counter = ActivityCounter("run")
    for acts in outputs.counts.acts:
        counter.add(acts, now=NOW)
    told = [record for closed in counter.close(NOW, everything=True) for record in records_of(closed, floor=1)]
    return sorted((replace(record, tallies=tuple(sorted(record.tallies, key=repr))) for record in told), key=repr)


Make = Callable[[Decider, int], Native]


def _standin(decider: Decider, share: int) -> Native:
    """A module that is sure of all but one event in `share`, and of none for 1."""

    def leaves(one: Event, decision: Decision) -> bool:
        return standin.unsure(one, decision) or zlib.crc32(one.id.encode()) % share == 0

    return standin.StandIn(decider, PARTITIONS, leaves)


def _module(decider: Decider, _: int) -> Native:
    """The module itself, which is sure of what it is sure of."""
    wills = BasedWills.following(decider.world.registry.wills)
    return NativeBatches(decider, wills, partitions=PARTITIONS)


MODULES = [
    pytest.param(_standin, id="a stand-in"),
    pytest.param(_module, id="wurao_native", marks=needs_native),
]


@pytest.mark.parametrize("make", MODULES)
@given(
    values=st.lists(st.sampled_from(EVENTS) | st.binary(max_size=20) | st.none(), min_size=1, max_size=30),
    codec=st.sampled_from([0, 1, 3, 4]),
    passed_over=st.integers(0, 40),
    share=st.integers(1, 4),
    pieces=st.integers(1, 30),
)
def test_both_paths_give_the_same_decisions_letters_counts_and_offsets(
    make: Make, *, values: list[bytes | None], codec: int, passed_over: int, share: int, pieces: int
) -> None:
    records, place = _consumed(values), TopicPartition("events.urgent", 3)
    first = FIRST + passed_over % len(records)
    wanted = [record for record in records if record.offset >= first]
    decider = _decider()
    plain = decide_batch({place: wanted}, decider, now=NOW, partitions=PARTITIONS)
    size = max(1, len(records) // pieces)
    batches = [_raw(records[at : at + size], codec=codec, first=first) for at in range(0, len(records), size)]
    taken = Taken([_together(batches)], [], records[-1].offset + 1)
    whole = decide_raw({place: taken}, make(decider, share), decider, now=NOW, partitions=PARTITIONS)
    assert _decisions(whole) == _decisions(plain)
    assert whole.counts.verdicts == plain.counts.verdicts
    assert whole.dead_letters == plain.dead_letters
    assert whole.expressions == plain.expressions
    assert whole.counts.misplaced == plain.counts.misplaced
    assert whole.next_offsets == plain.next_offsets
    assert sorted(whole.counts.timestamps()) == sorted(plain.counts.timestamps())
    assert _activity(whole) == _activity(plain)


@needs_native
@given(held=st.sets(st.integers(0, PARTITIONS - 1), min_size=1), strays=st.integers(0, 5))
def test_who_holds_some_partitions_decides_their_events_on_both_paths_as_who_holds_all(
    held: set[int], strays: int
) -> None:
    decider = Decider(load(), partitioned_registry(cases.registry()))
    partitions = decider.world.registry.held
    assert partitions is not None
    for partition in set(range(PARTITIONS)) - held:
        partitions.drop(partition)
    module = NativeBatches(decider, partitions.follow(), partitions=PARTITIONS)
    homes: dict[int, list[bytes | None]] = {partition: list(EVENTS[:strays]) for partition in held}
    for one, value in zip([*cases.EVENTS, HINTING], EVENTS, strict=True):
        home = partition_of(str(one["from"] if one["kind"] == "reply" else one["to"]), PARTITIONS)
        homes.get(home, []).append(value)
    records = {
        TopicPartition("events.urgent", partition): _consumed([*values, b"{"]) for partition, values in homes.items()
    }
    taken = {place: Taken([_raw(some)], [], some[-1].offset + 1) for place, some in records.items()}
    plain = decide_batch(records, decider, now=NOW, partitions=PARTITIONS)
    both = decide_raw(taken, module, decider, now=NOW, partitions=PARTITIONS)
    assert _decisions(both) == _decisions(plain)
    assert both.counts.verdicts == plain.counts.verdicts
    assert sorted(both.dead_letters, key=repr) == sorted(plain.dead_letters, key=repr)
    assert both.counts.misplaced == plain.counts.misplaced
    assert both.next_offsets == plain.next_offsets

    everything = _decider()
    whole = decide_raw(taken, _module(everything, 1), everything, now=NOW, partitions=PARTITIONS)
    assert all(some <= _decisions(whole)[place] for place, some in _decisions(both).items())
    assert both.counts.fallback_count <= whole.counts.fallback_count + both.counts.misplaced.total(), (
        "only what is misplaced falls back"
    )


@needs_native
def test_events_of_a_partition_that_is_not_held_are_not_decided_at_all() -> None:
    decider = Decider(load(), partitioned_registry(cases.registry()))
    held = decider.world.registry.held
    assert held is not None
    module = NativeBatches(decider, held.follow(), partitions=PARTITIONS)
    held.drop(1)
    taken = {TopicPartition("events.urgent", 1): Taken([_raw(_consumed(list(EVENTS)))], [], 90)}
    with pytest.raises(NotHeldError, match="partition 1 is not held"):
        decide_raw(taken, module, decider, now=NOW, partitions=PARTITIONS)


def test_what_was_taken_of_several_partitions_is_answered_in_each() -> None:
    records = _consumed(list(EVENTS))
    decider = _decider()
    parts = {
        TopicPartition("events.urgent", 1): Taken([_raw(records)], [], 90),
        TopicPartition("events.urgent", 2): Taken([_raw(records, codec=1), _raw(records, codec=4)], [], 91),
        TopicPartition("events.urgent", 3): Taken([], records, 92),
        TopicPartition("events.urgent", 4): Taken([_raw(records)], records, 93),
    }
    outputs = decide_raw(parts, _standin(decider, 3), decider, now=NOW, partitions=PARTITIONS)
    once = _decisions(decide_batch({TopicPartition("events.urgent", 0): records}, decider, now=NOW, partitions=12))[0]
    twice = Counter({keyed: 2 * times for keyed, times in once.items()})
    assert _decisions(outputs) == {1: once, 2: twice, 3: once, 4: twice}
    assert outputs.next_offsets == {place: taken.next_offset for place, taken in parts.items()}


@pytest.mark.parametrize("failure", [standin.Panic("boom"), TypeError("bad table")])
def test_whatever_the_module_raises_is_its_failure_and_names_the_place(failure: BaseException) -> None:
    class Failing(standin.StandIn):
        def decide(self, *_: object, **__: object) -> standin.StandInOutcome:
            raise failure

    decider = _decider()
    taken = {TopicPartition("events.urgent", 1): Taken([_raw(_consumed([b"{}"]))], [], FIRST + 1)}
    with pytest.raises(NativeFailed, match=rf"events\.urgent-1 from offset {FIRST}: .*{failure}"):
        decide_raw(taken, Failing(decider, 12, standin.unsure), decider, now=NOW, partitions=PARTITIONS)


def test_what_a_base_cannot_be_made_for_is_the_modules_failure() -> None:
    def fail() -> Base:
        raise standin.Panic("boom")

    with pytest.raises(NativeFailed, match=r"base could not be made: .*boom"):
        asyncio.run(native_base(fail))


@pytest.mark.parametrize("bytes_max", [1, 700, 1_500, 1_000_000])
def test_what_python_takes_long_for_is_decided_in_parts_that_come_to_the_whole(bytes_max: int) -> None:
    decider = _decider()
    events = [*EVENTS, b"[", None]
    taken = {
        TopicPartition("events.urgent", 1): Taken([_raw(_consumed(events))], [], 90),
        TopicPartition("events.sms", 3): Taken([], _consumed(events), _consumed(events)[-1].offset + 1),
    }
    plain = decide_raw(taken, None, decider, now=NOW, partitions=PARTITIONS)
    outputs = decide_raw(taken, None, decider, now=NOW, partitions=PARTITIONS, python_bytes_max=bytes_max)
    parts = 1
    while outputs.rest:
        rest = {place: Taken([], records, records[-1].offset + 1) for place, records in outputs.rest.items()}
        part = decide_raw(rest, None, decider, now=NOW, partitions=PARTITIONS, python_bytes_max=bytes_max)
        decided_count = sum(map(len, part.decisions.values()))
        assert bytes_max > 1 or decided_count <= 1
        outputs.add(part)
        parts += 1
    assert (parts == 1) == (bytes_max == 1_000_000)
    assert _decisions(outputs) == _decisions(plain)
    assert [letter.offset for letter in outputs.dead_letters] == [letter.offset for letter in plain.dead_letters]
    assert outputs.next_offsets == plain.next_offsets
    assert (outputs.counts.verdicts, outputs.counts.fallback_count) == (plain.counts.verdicts, 2 * len(events))


def test_a_batch_that_the_module_cannot_read_is_pythons() -> None:
    decider, place = _decider(), TopicPartition("events.urgent", 1)
    records = _consumed(list(EVENTS))
    taken = {place: Taken([_raw(records)], [], 90)}
    outputs = decide_raw(taken, None, decider, now=NOW, partitions=PARTITIONS)
    plain = decide_batch({place: records}, decider, now=NOW, partitions=PARTITIONS)
    assert _decisions(outputs) == _decisions(plain)
    assert outputs.counts.fallback_count == len(records)


def test_columns_that_do_not_fit_their_decisions_are_a_failure() -> None:
    class Short(standin.StandIn):
        def decide(
            self, raw: memoryview, *, topic: str, partition: int, base_offset_from: int, now: int
        ) -> standin.StandInOutcome:
            outcome = super().decide(raw, topic=topic, partition=partition, base_offset_from=base_offset_from, now=now)
            outcome.acts = outcome.acts._replace(timestamps=outcome.acts.timestamps[1:])
            return outcome

    decider = _decider()
    taken = {TopicPartition("events.urgent", 1): Taken([_raw(_consumed(list(EVENTS)))], [], 90)}
    with pytest.raises(NativeFailed, match="decisions, and columns of"):
        decide_raw(taken, Short(decider, 12, standin.unsure), decider, now=NOW, partitions=PARTITIONS)


def _config(native: str) -> Config:
    return configuration.load(None, {"WURAO_FILTER__NATIVE": native})


def test_on_refuses_to_start_without_the_module_and_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "BUILT", False)
    with pytest.raises(CannotStart, match=r"wurao_native is not installed: `make native` builds it"):
        native_path(_config("on"), load())
    assert native_path(_config("auto"), load()).share is None
    assert "is not installed" in native_path(_config("auto"), load()).why
    assert native_path(_config("off"), load()) == NativePath(None, "filter.native is off")


def test_an_aiokafka_that_the_seams_do_not_fit_is_no_place_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seams, "AIOKAFKA", "9.9")
    assert "seams were made for 9.9" in native_path(_config("auto"), load()).why
    with pytest.raises(CannotStart, match=r"seams were made for 9\.9"):
        native_path(_config("on"), load())


def test_a_compression_that_the_module_does_not_write_is_named() -> None:
    config = configuration.load(None, {"WURAO_FILTER__COMPRESSION": "gzip"})
    assert "filter.compression is gzip" in native_path(config, load()).why


@needs_native
def test_where_the_module_is_built_it_is_taken() -> None:
    assert native_path(_config("on"), load()).share is not None
    assert native_path(_config("auto"), load()).share is not None


@needs_native
@pytest.mark.parametrize("codec", [0, 3, 4])
def test_the_module_answers_small_batches_together_and_their_decisions_leave_as_one(codec: int) -> None:
    decider, place = _decider(), TopicPartition("events.sms", 1)
    records = _consumed([orjson.dumps(one) for one in _flood(60)])
    together = _together([_raw(records[at : at + 7], codec=codec) for at in range(0, 60, 7)])
    outputs = decide_raw(
        {place: Taken([together], [], FIRST + 60)}, _module(decider, 1), decider, now=NOW, partitions=PARTITIONS
    )
    assert [batch.count for batch in outputs.finished] == [60]
    assert outputs.counts.fallback_count == 0


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (AttributeError("no field of that name"), "does not answer .*no field of that name"),
        (b'{"kind":"decision"}', "decides differently"),
    ],
)
def test_a_module_of_another_checkout_is_found_out_before_the_start(
    monkeypatch: pytest.MonkeyPatch, made: Exception | bytes, why: str
) -> None:
    class Other(standin.StandIn):
        def decide(self, *_: object, **__: object) -> standin.StandInOutcome:
            if isinstance(made, Exception):
                raise made
            acts = Acts([], np.zeros(1, np.int32), NONE, NONE, {}, NONE, [])
            return standin.StandInOutcome([(batch_of([(b"", made)], timestamp=1), 1)], [], [], acts, 0)

    monkeypatch.setattr(native_selection, "why_unfit", lambda: None)
    monkeypatch.setattr(
        native_selection, "_maker", lambda *_: lambda *_: lambda decider: Other(decider, 12, standin.unsure)
    )
    assert re.search(why, native_path(_config("auto"), load()).why)
    with pytest.raises(CannotStart, match="`make native`"):
        native_path(_config("on"), load())


@needs_native
def test_a_snapshots_wills_are_put_into_a_file_once_and_mapped_from_there(tmp_path: Path) -> None:
    config = configuration.load(None, {"WURAO_REGISTRY__SNAPSHOTS": str(tmp_path)})
    share = native_path(config, load()).share
    assert share is not None
    place, records = TopicPartition("events.urgent", 1), _consumed(list(EVENTS))
    taken = {place: Taken([_raw(records)], [], 90)}
    plain = decide_batch({place: records}, _decider(), now=NOW, partitions=PARTITIONS)
    files: list[tuple[int, int]] = []
    for created_ms in (1, 1, 2):
        decider = _decider()
        made = share(decider.world.registry, SnapshotMeta("cluster", created_ms, {}))(decider)
        outputs = decide_raw(taken, made, decider, now=NOW, partitions=PARTITIONS)
        assert _decisions(outputs) == _decisions(plain)
        file = (tmp_path / native_selection.BASE_FILE).stat()
        files.append((file.st_ino, file.st_mtime_ns))
    assert files[0] == files[1] != files[2]


@needs_native
def test_a_policy_that_the_module_cannot_stand_for_goes_the_python_path(tmp_path: Path) -> None:
    shipped = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
    own = re.sub(r"(?m)^opt_out = .*$", 'opt_out = "stop"', shipped)
    (tmp_path / "policy.toml").write_text(own, encoding="utf-8")
    assert "`texts.opt_out` is not" in native_path(_config("auto"), load(tmp_path / "policy.toml")).why


OTHER_NUMBERS = [
    ("mobile", "[0-9]{1,15}|1[3-9][0-9]{9}"),
    ("hotline", "[0-9]+"),
    ("fixed", "[0-9]+"),
    ("port", "[0-9]+"),
    ("short", "[0-9]+"),
    ("subscriber", "[0-9]+"),
    ("country", "1"),
    ("country", "852"),
]
"""Patterns that the loader accepts, and by which the module reads some number otherwise than Python does."""


@needs_native
@pytest.mark.parametrize(("name", "pattern"), OTHER_NUMBERS)
def test_a_policy_whose_numbers_the_module_reads_otherwise_goes_the_python_path(name: str, pattern: str) -> None:
    other = _with_pattern(name, pattern)
    assert "parses numbers differently from the policy's patterns" in native_path(_config("auto"), other).why
    with pytest.raises(CannotStart, match="parses numbers differently"):
        native_path(_config("on"), other)


@needs_native
@pytest.mark.parametrize("name", ["cn-2020", "opt-out"])
def test_a_shipped_policy_passes_the_trial_with_other_figures_too(name: str) -> None:
    assert native_path(_config("on"), load(name)).share is not None
    assert native_path(_config("on"), _with_pattern("help", "911|112")).share is not None


@needs_native
@pytest.mark.parametrize("mode", ["replicated", "partitioned"])
def test_a_policy_that_is_taken_up_later_is_tried_as_well(mode: str, tmp_path: Path) -> None:
    config = configuration.load(None, {"WURAO_REGISTRY__MODE": mode, "WURAO_REGISTRY__SNAPSHOTS": str(tmp_path)})
    share = native_path(config, load()).share
    assert share is not None
    registry = Registry(Wills()) if mode == "replicated" else Registry(held=HeldPartitions(PARTITIONS))
    make = share(registry, SnapshotMeta("cluster", 1, {}))
    make(Decider(load(), registry))
    make(Decider(load("opt-out"), registry))
    with pytest.raises(native.NativeUnfit, match="parses numbers differently"):
        make(Decider(_with_pattern("hotline", "[0-9]+"), registry))


@needs_native
def test_a_route_that_the_module_takes_for_another_falls_back_and_the_rest_goes_on() -> None:
    """As where the trial of a policy showed nothing: a worker neither dies nor goes the Python path for good."""
    registry = Registry(Wills())
    decider = Decider(_with_pattern("mobile", "[0-9]{1,15}|1[3-9][0-9]{9}"), registry)
    path = native.NativeBatches(
        decider, BasedWills.following(registry.wills, None), partitions=PARTITIONS, compression="none"
    )
    place, call = TopicPartition("events.call", 1), {"from": "+8613900139000", "to": "106"}
    records = _consumed([orjson.dumps(event("call", one, **call)) for one in range(3)])
    plain = decide_batch({place: records}, decider, now=NOW, partitions=PARTITIONS)
    for misread_routes_count in (1, 0):  # the second time the route is known
        outputs = decide_raw(
            {place: Taken([_raw(records)], [], FIRST + 3)}, path, decider, now=NOW, partitions=PARTITIONS
        )
        assert (outputs.counts.fallback_count, outputs.counts.misread_routes_count) == (3, misread_routes_count)
        assert _decisions(outputs) == _decisions(plain)
    good = _consumed([orjson.dumps(event("call", 9, **call | {"to": "110"}))])
    outputs = decide_raw({place: Taken([_raw(good)], [], FIRST + 1)}, path, decider, now=NOW, partitions=PARTITIONS)
    assert (outputs.counts.fallback_count, outputs.counts.misread_routes_count) == (0, 0)


def _with_pattern(name: str, pattern: str) -> Policy:
    shipped = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
    text, count = re.subn(rf"(?m)^{name} = ['\"].*$", f"{name} = '{pattern}'", shipped)
    assert count == 1
    return read(text, source="other.toml")


@given(st.lists(st.integers(0, 3), max_size=12))
def test_finished_batches_go_out_in_rounds_and_keep_the_order_of_their_partition(partitions: list[int]) -> None:
    batches = [Finished(partition, b"%d" % number, 1) for number, partition in enumerate(partitions)]
    sent = in_rounds(batches)
    assert sorted(sent, key=lambda batch: int(batch.data)) == batches
    for partition in range(4):
        assert [one for one in sent if one.partition == partition] == [
            one for one in batches if one.partition == partition
        ]
    nth = [sum(one.partition == other.partition for one in sent[:place]) for place, other in enumerate(sent)]
    assert nth == sorted(nth)


# The real worker, on genuine Kafka ----------------------------------------------------------------------------------

STANDIN = ("tests.filter.standin",)
FILTER = ("stream.cli.main", "filter")


def _flood(many: int, *, first: int = 0) -> list[dict[str, object]]:
    return [
        event("sms", first + number, to=f"+86138{number % 5_000:08d}", text=cases.GOOD_TEXT, **cases.BANK)
        for number in range(many)
    ]


@pytest.mark.kafka
@pytest.mark.parametrize(
    "program",
    [pytest.param(STANDIN, id="a stand-in"), pytest.param(FILTER, id="wurao_native", marks=needs_native)],
)
def test_every_answer_comes_through_a_worker_on_the_native_path(
    broker: Broker, tmp_path: Path, program: tuple[str, ...]
) -> None:
    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    broker.write([("events.sms", 0, b"k", b"{not json"), ("events.call", 1, b"k", None)])
    with FilterProcess(broker, tmp_path, program=program, WURAO_FILTER__NATIVE="on") as filter_:
        filter_.wait_ready()
        decisions = broker.decisions(until=len(cases.EVENTS))
        assert {decision["event"]: decision["reason"] for decision in decisions} == cases.EXPECTED
        assert len(broker.read("dead-letter", until=2)) == 2
        assert filter_.metric('wurao_native_info{path="native"}') == 1
        assert 0 < filter_.metric("wurao_native_left_total") < len(cases.EVENTS)
        assert filter_.terminate() == 0
    committed = broker.committed("wurao-filter.bulk")
    ends = Counter((record.topic, record.partition) for topic in BULK for record in broker.read(topic))
    assert {place: offset for place, offset in committed.items() if offset} == dict(ends)


BULK = ("events.sms", "events.call", "events.reply")


@pytest.mark.kafka
def test_a_module_that_fails_costs_one_worker_and_no_event(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    events = _flood(3_000)
    broker.write_events(events[:1_500])
    with FilterProcess(broker, tmp_path, program=(*STANDIN, "sms-2000")) as filter_:
        filter_.wait_ready()
        broker.decisions(until=1_500)
        broker.write_events(events[1_500:])
        decided = Counter(str(decision["event"]) for decision in broker.decisions(until=3_000))
        assert set(decided) == {one["id"] for one in events}
        filter_.wait_ready()
        assert filter_.metric("wurao_native_failures_total", worker=0) == 1
        assert filter_.metric('wurao_native_info{path="python"}') == 1
        assert "this worker uses the Python path from now on" in filter_.log
        assert "index out of bounds" in filter_.log


@pytest.mark.kafka
def test_a_rebalance_while_raw_batches_wait_loses_none(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    events = _flood(40_000)
    with FilterProcess(broker, tmp_path / "one", program=STANDIN) as one:
        one.wait_ready()
        broker.write_events(events[:20_000])
        with FilterProcess(broker, tmp_path / "two", program=STANDIN) as two:
            broker.write_events(events[20_000:])
            two.wait_ready()
            decided = Counter(str(decision["event"]) for decision in broker.decisions(until=len(events)))
            assert set(decided) == {one["id"] for one in events}
            assert one.terminate() == 0
            assert two.terminate() == 0
        assert "batches abandoned" not in one.log
        assert sum(decided.values()) == len(events), "both drained, so nothing was decided twice"
