"""The store of a partition: what it knows it knows again, whatever ended its process; the same as a model in memory."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import rocksdict
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.kafka.clients import ConsumerRecord
from stream.kafka.topics import EXPECTED
from stream.model.registry import Expression, key_of
from stream.model.requests import RecordRefusal, RegistryAnswer, RegistryRequest
from stream.model.times import AHEAD_MAX_MS
from stream.model.topics import ANSWERS, EXPRESSIONS
from stream.policy.loading import load
from stream.registrar.decoding import logged_of
from stream.registrar.store import ANSWERS_KEPT_MS, LoggedExpression, PartitionStore, Progress, StoreError
from stream.registry.door import REQUEST_AGE_MAX_MS, AskedRequest, Door
from stream.registry.known import Subject
from stream.registry.order_rule import rows_of
from tests.registry.in_memory import InMemory

NUMBERS = ("+8613800138000", "+8613800138001", "+8613900139000")
CACHE = rocksdict.Cache(1 << 20)


def _open(path: Path, topics: str = "T1") -> PartitionStore:
    return PartitionStore(path, topics=topics, cache=CACHE)


def _logged(expression: Expression, offset: int, written: int = 1_000) -> LoggedExpression:
    return LoggedExpression(offset, written, key_of(expression), expression)


def _refusal(time: int, sender: str | None = None) -> Expression:
    return Expression(NUMBERS[0], "sms", "refuse", time, "platform", sender)


EXPRESSION = st.builds(
    Expression,
    subscriber=st.sampled_from(NUMBERS),
    channel=st.sampled_from(["sms", "call"]),
    will=st.just("consent"),
    time=st.integers(0, 2_000),
    source=st.sampled_from(["reply", "web-form"]),
    sender=st.sampled_from(["S1", "S2"]),
    category=st.sampled_from(["a", "b"]),
    evidence=st.sampled_from([None, "sha256:1"]),
    expires=st.integers(0, 3_000),
)
LOGGED = st.lists(st.tuples(EXPRESSION, st.booleans(), st.integers(0, 2_000)), max_size=30)


@settings(max_examples=40)
@given(LOGGED, st.integers(1, 7))
def test_it_has_what_a_model_in_memory_has(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[Expression, bool, int]], at_once: int
) -> None:
    model = InMemory(categories=())
    store = _open(tmp_path_factory.mktemp("store") / "s")
    logged = [
        LoggedExpression(offset, written, key_of(one), one if stays else None)
        for offset, (one, stays, written) in enumerate(taken)
    ]
    for start in range(0, len(logged), at_once):
        store.take(logged[start : start + at_once], expressions=start + at_once)
        for one in logged[start : start + at_once]:
            model.take(EXPRESSIONS, one.key, one.expression, written=one.written, offset=one.offset)
    rows = set(rows_of(one for one, *_ in taken))
    by_scope = {row: {one.scope: one for one in found} for row, found in store.indexed(rows).items()}
    assert by_scope == {row: {one.scope: one for one in found} for row, found in model.indexed(rows).items()}
    for number in NUMBERS:
        standing = list(model.standing(number))
        assert store.standing(number) == standing
        assert model.version(Subject(EXPRESSIONS, number)) == max((one.offset for one in standing), default=-1)
    assert {one.offset for one in store.expiring(1_500)} == {one.offset for one in model.expiring(1_500)}
    assert len(list(store.all_rows())) == sum(len(model.standing(number)) for number in NUMBERS)
    store.close()


def test_it_knows_after_opening_again_what_it_knew_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = _open(path)
    answer = RegistryAnswer("R-1", "requests:0:1", 7, 1_000, admitted=1)
    store.take([_logged(_refusal(7, sender="S"), 41)], expressions=42, answers=[answer], next_answer=3)
    with pytest.raises(StoreError, match="no other process uses the directory"):
        _open(path)
    store.close()
    again = _open(path)
    assert again.progress == Progress(42, 3)
    assert again.answered(["R-1", "R-2"]) == {"R-1": answer}
    assert [one.offset for one in again.standing(NUMBERS[0])] == [41]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    again.close()


def test_the_store_of_another_topic_and_one_that_is_of_no_use_are_emptied_and_say_so(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.take([_logged(_refusal(7), 1)], expressions=2)
    store.close()
    other = _open(tmp_path, "T2")
    assert other.emptied is not None
    assert "other topics" in other.emptied
    assert (other.progress, other.standing(NUMBERS[0])) == (Progress(), [])
    other.close()
    (tmp_path / "CURRENT").write_text("no manifest")
    useless = _open(tmp_path, "T2")
    assert useless.emptied is not None
    assert "Corruption" in useless.emptied
    useless.close()


def test_one_whose_files_are_gone_notices(tmp_path: Path) -> None:
    store = _open(tmp_path / "store")
    store.see_there()
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="gone"):
        store.see_there()
    store.close()


def test_answers_are_kept_for_their_time_and_the_first_under_an_id_stays(tmp_path: Path) -> None:
    store = _open(tmp_path)
    answers = [RegistryAnswer(f"R-{place}", "bulk:0:1", place, 1_000 + place) for place in range(4)]
    taken = RegistryAnswer("R-3", "bulk:0:9", 9, 2_000, refused=1, refusals=(RecordRefusal("id-taken", "taken"),))
    store.take([], answers=[*answers, taken], next_answer=5)
    assert store.forget_answers(1_002, most=10) == 2
    assert list(store.answered([f"R-{place}" for place in range(4)]).values()) == answers[2:]
    store.close()


def test_an_answer_is_remembered_as_long_as_its_request_may_be_repeated(tmp_path: Path) -> None:
    answered = 1_795_500_000_000
    request = RegistryRequest("R-1", answered + AHEAD_MAX_MS, "desk:7", (_refusal(answered),))
    door, asked = Door(load(None).numbering), [AskedRequest("requests:0:1", request)]
    (given,) = door.admit(asked, InMemory(categories=()), answered).answers
    store = _open(tmp_path)
    store.take([], answers=[given], next_answer=1)
    last = request.time + REQUEST_AGE_MAX_MS
    store.forget_answers(last - ANSWERS_KEPT_MS, most=10)
    assert store.answered(["R-1"]) == {"R-1": given}
    for moment, refused in ((last, 0), (last + 1, 1)):
        assert door.admit(asked, InMemory(categories=()), moment).answers[0].refused == refused
    assert EXPECTED[ANSWERS].settings["retention.ms"] == str(ANSWERS_KEPT_MS), "a store is built from its topic"
    store.close()


def test_half_a_copy_of_a_request_neither_takes_its_id_nor_the_place_of_its_answer(tmp_path: Path) -> None:
    store = _open(tmp_path)
    given = RegistryAnswer("R-1", "requests:0:1", 1, 1_000, admitted=1)
    store.take([], answers=[given, _unreadable("R-1"), _unreadable("R-2")], next_answer=3)
    assert store.answered(["R-1", "R-2"]) == {"R-1": given}
    store.close()


def _unreadable(name: str) -> RegistryAnswer:
    return RegistryAnswer(name, "requests:0:2", 2, 1_001, refused=1, refusals=(RecordRefusal("unreadable", "half"),))


def test_a_null_value_under_a_key_that_is_no_subscribers_means_nothing(tmp_path: Path) -> None:
    keys = [b"+" + b"9" * 40 + b"|sms|*|*", b"+" + b"9" * 5_000 + b"|sms|*|*", b"+1|sms|*|*", b"k", b"\xff", None]
    theirs = f"{NUMBERS[0]}|sms|*|*"
    logged = logged_of([_null(offset, key) for offset, key in enumerate([*keys, theirs.encode()])])
    assert [one.key for one in logged] == [theirs]
    store = _open(tmp_path)
    store.take(logged, expressions=len(keys) + 1)
    store.close()


def _null(offset: int, key: bytes | None) -> ConsumerRecord:
    return ConsumerRecord(EXPRESSIONS, 0, offset, 1_000, 0, key, None, None, -1, -1, ())


WRITER = """
import sys
from pathlib import Path
import rocksdict
from stream.model.registry import Expression, key_of
from stream.registrar.decoding import logged_of
from stream.registrar.store import LoggedExpression, PartitionStore
store = PartitionStore(Path(sys.argv[1]), topics="T1", cache=rocksdict.Cache(1 << 20))
offset = store.progress.expressions
while True:
    records = []
    for _ in range(50):
        one = Expression(f"+861380013{offset % 10_000:04}", "sms", "refuse", offset, "test", f"S{offset}")
        records.append(LoggedExpression(offset, offset, key_of(one), one))
        offset += 1
    store.take(records, expressions=offset)
    print(offset, flush=True)
"""


def test_sigkill_at_any_moment_leaves_what_was_taken_and_its_offset_of_one_moment(tmp_path: Path) -> None:
    for kill in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(3 + 17 * kill)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        store = _open(tmp_path)
        assert store.emptied is None
        assert store.progress.expressions >= told[-1]
        assert sorted(offset for _, offset, _ in store.all_rows()) == list(range(store.progress.expressions))
        store.close()
