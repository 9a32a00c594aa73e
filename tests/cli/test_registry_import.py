"""`wurao registry import`: bulk files to topics; nothing twice, nothing that undoes a newer word, nothing lost."""

import signal
import stat
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bloom.partition import partition_of
from stream.model.codec import decode_file_record, encode
from stream.model.registry import Expression, FileRecord, NumberEntry, Order, Sender
from stream.model.topics import ORDERS, SENDERS
from stream.registry.registry import Registry, registry_of
from stream.testbed.processes import wurao_command
from tests.cli.command import Wurao, persons
from tests.filter.harness import Broker
from tests.patience import LONG_S

A, B, C, D = (f"+861380013800{n}" for n in range(4))
T = 1_790_000_000_000
"""A moment of this year; tests count from it."""


def _json(*records: FileRecord) -> list[str]:
    return [encode(record).decode() for record in records]


def _expression(
    number: str, will: str, when: int, sender: str | None = None, category: str | None = None
) -> Expression:
    return Expression(number, "sms", will, T + when, "web-form", sender, category)  # type: ignore[arg-type]


def _state(words: list[Expression]) -> Registry:
    return registry_of(list(words))


def _sender(*prefixes: str, name: str = "ORG-1") -> Sender:
    numbers = tuple(NumberEntry(prefix, "sms", ("commercial",)) for prefix in prefixes)
    return Sender(name, "某某银行", "95588", "active", numbers)


@pytest.mark.kafka
def test_a_mixed_import_applies_the_good_tells_the_bad_and_does_nothing_twice(registry: Broker, tmp_path: Path) -> None:
    a, b, c, d = persons(4)  # whom the story is about
    wurao = Wurao(tmp_path, registry)
    mixed = wurao.file("mixed.ndjson", *_json(_sender("1069"), _expression(a, "refuse", 5)), "{nonsense", "")
    spelt = f"{b[3:6]}-{b[6:10]}-{b[10:]}"
    rows = wurao.file(
        "rows.csv",
        "subscriber,will,sender,category,time",
        f"{spelt},consent,ORG-1,finance,{T + 6}",
        f"{spelt},consent,ORG-1,,{T + 6}",
        f"{c},refuse,,,{T + 7}",
    )
    numbers = wurao.file("numbers.txt", d, "12")
    words = ("registry", "import", mixed, rows, numbers, "--channel", "sms", "--will", "lift", "--source", "web-form")
    answer = wurao.asked(*words, code=1)
    assert answer == {
        "read": 8,
        "written": {"registry.senders": 1, "registry.expressions": 4},
        "already": 0,
        "bad": 3,
        "late": 0,
        "refused": 0,
    }
    assert wurao.topic(SENDERS) == [_sender("1069")]
    assert {(word.subscriber, word.will, word.sender) for word in wurao.expressions()} == {
        (a, "refuse", None),
        (b, "consent", "ORG-1"),
        (c, "refuse", None),
        (d, "lift", None),
    }
    for record in registry.read("registry.expressions"):
        assert record.partition == partition_of(record.key.decode().split("|")[0], registry.partitions)
    assert (tmp_path / "mixed.ndjson.bad").read_text() == "{nonsense\n"
    assert (tmp_path / "rows.csv.bad").read_text() == (
        f"subscriber,will,sender,category,time\n{spelt},consent,ORG-1,,{T + 6}\n"
    )
    assert (tmp_path / "numbers.txt.bad").read_text() == "12\n"
    for path in tmp_path.glob("*.bad"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "it holds numbers"

    again = wurao.run(*words)
    assert "mixed.ndjson:3: bad: JSON is malformed" in again.stderr
    assert "written                      0" in again.stdout
    assert len(wurao.expressions()) == 4


@pytest.mark.kafka
def test_what_was_exported_imports_again_and_nothing_is_written(registry: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, registry)
    order = Order("O-9", "limit", T, "measures", sender="ORG-9")
    path = wurao.file("r.ndjson", *_json(_expression(persons(1)[0], "refuse", 5), order))
    assert wurao.run("registry", "import", path).returncode == 0
    out = tmp_path / "export.ndjson"
    assert wurao.run("registry", "export", "--out", out).returncode == 0
    again = wurao.asked("registry", "import", out)
    assert again["written"] == {}
    assert again["already"] == again["read"] == len(out.read_text().splitlines()) >= 2


@pytest.mark.kafka
def test_a_file_that_arrives_late_undoes_no_newer_word_of_anybody(registry: Broker, tmp_path: Path) -> None:
    a, b, c = persons(3)  # whom the story is about
    wurao = Wurao(tmp_path, registry)
    registry.write_registry([_expression(a, "refuse", 10), _expression(b, "consent", 10, "S", "c")])
    late = wurao.file(
        "late.ndjson",
        *_json(
            _expression(a, "consent", 9, "S", "c"),
            _expression(b, "refuse", 9),
            _expression(b, "refuse", 9, "T"),
            _expression(c, "lift", 1),
        ),
    )
    ran = wurao.run("registry", "import", late, "--unregistered")
    assert ran.returncode == 1
    assert "late.ndjson:1: late: older than this subscriber's expression of 2026-09-21T14:13:20.010Z" in ran.stderr
    assert stat.S_IMODE((tmp_path / "late.ndjson.skipped").stat().st_mode) == 0o600, "it holds numbers"
    skipped = (tmp_path / "late.ndjson.skipped").read_text().splitlines()
    assert [row.split(",")[:2] for row in skipped[1:]] == [["1", "late"], ["2", "late"]]
    # What was written since then, by whomever, counts as well.
    registry.write_registry([_expression(c, "refuse", 5)])
    later = wurao.file("later.ndjson", *_json(_expression(c, "consent", 4, "S", "c")))
    assert wurao.asked("registry", "import", later, "--unregistered", code=1)["late"] == 1
    state = _state(wurao.expressions()).wills
    assert [str(state.stance("sms", int(n[1:]), "S", "c")) for n in (a, b, c)] == ["refused", "consented", "refused"]  # type: ignore[arg-type]


@pytest.mark.kafka
def test_the_door_is_kept_as_for_every_writer(registry: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, registry)
    limit = Order("O-1", "limit", T, "measures", sender="ORG-5")
    unannounced = Order("O-2", "suspend", T, "measures", sender="ORG-5")
    first, more = _sender("10655", name="ORG-5"), _sender("10655", "10656", name="ORG-5")
    path = wurao.file("r.ndjson", *_json(first, limit, unannounced, more))
    answer = wurao.asked("registry", "import", path, code=1)
    assert (answer["written"], answer["refused"]) == ({SENDERS: 1, ORDERS: 1}, 2)
    assert wurao.topic(SENDERS) == [first]
    again = wurao.asked("registry", "import", path, code=1)
    assert (again["written"], again["refused"], again["already"]) == ({}, 2, 2)


def _other(*prefixes: str, name: str = "ORG-2") -> Sender:
    return msgspec.structs.replace(_sender(*prefixes), sender=name)


@pytest.mark.kafka
def test_numbers_of_another_sender_are_imported_once_the_hand_over_is_stated(registry: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, registry)
    registry.write_registry([_sender("106701", "1066", name="ORG-6")])
    path = wurao.file("branch.ndjson", *_json(_other("106701", name="ORG-7"), _other("106612", name="ORG-8")))
    ran = wurao.run("registry", "import", path)
    assert ran.returncode == 1
    assert "106701 (sms) is 106701 of ORG-6" in ran.stderr
    assert "--sub-port-of ORG-6" in ran.stderr
    part = wurao.asked("registry", "import", path, "--sub-port-of", "ORG-6", code=1)
    assert (part["written"], part["refused"]) == ({SENDERS: 1}, 1)
    assert wurao.asked("registry", "import", path, "--take-over", "ORG-6")["written"] == {SENDERS: 2}
    state = registry_of(wurao.topic(SENDERS))
    assert state.senders["ORG-6"] == _sender("1066", name="ORG-6"), "who hands a number over holds it no more"
    assert [state.ownership["sms"].owner(one).sender for one in ("106701", "1066", "106612")] == [  # type: ignore[union-attr]
        "ORG-7",
        "ORG-6",
        "ORG-8",
    ]
    assert wurao.asked("registry", "import", path)["already"] == 2, "what stands may be written again"

    owner = ("registry", "owner", "1067-0199", "--channel", "sms")
    assert wurao.run(*owner).stdout == "ORG-7, by its prefix 106701\n"
    assert wurao.run(*owner, "--at", str(T)).stdout == "nobody's\n"
    history = wurao.run("registry", "sender", "ORG-6").stdout.splitlines()
    assert [line.rpartition("; ")[2] for line in history] == ["106701 (sms), 1066 (sms)", "1066 (sms)"]


def test_offline_the_same_door_is_kept(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    order = Order("O-1", "stop", T, "measures", number="+86-95588")
    path = wurao.file("r.ndjson", *_json(_sender("1069"), _other("106901"), _other("+8695588", name="ORG-3"), order))
    ran = wurao.run("registry", "import", path, "--into", tmp_path / "out.ndjson")
    assert ran.returncode == 1
    assert "106901 (sms) lies inside 1069 of ORG-1" in ran.stderr
    assert "write 95588" in ran.stderr
    kept = [decode_file_record(line) for line in (tmp_path / "out.ndjson").read_bytes().splitlines()]
    assert kept == [_sender("1069"), msgspec.structs.replace(order, number="95588")]
    ran = wurao.run("registry", "import", path, "--into", tmp_path / "more.ndjson", "--sub-port-of", "ORG-1")
    assert "106901" not in ran.stderr


@pytest.mark.kafka
def test_an_import_that_was_killed_is_completed_by_the_next(registry: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, registry)
    numbers = [f"+86139{n:08d}" for n in range(100_000)]
    path = wurao.file("many.txt", *numbers)
    words = ("registry", "import", path, "--channel", "call", "--will", "refuse", "--source", "letters")
    process = subprocess.Popen(wurao_command(*words), env=wurao.environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONG_S
    while not registry.read("registry.expressions"):
        assert time.monotonic() < deadline, "the import never began to write"
        assert process.poll() is None, "the import ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = len(wurao.expressions())
    assert 0 < written < len(numbers)
    again = wurao.asked(*words)
    words_now = wurao.expressions()
    assert {word.subscriber for word in words_now} == set(numbers)
    assert len(words_now) == len(numbers), "what was asked is not written again"
    assert again["read"] == len(numbers)


def test_without_a_broker_files_become_one_file(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    path = wurao.file("r.txt", "13800138000", "13800138001", "13800138000")
    out = tmp_path / "out.ndjson"
    answer = wurao.asked(
        *("registry", "import", path, "--channel", "sms", "--will", "refuse", "--source", "s", "--time", str(T)),
        *("--into", out),
    )
    assert (answer["written"], answer["already"]) == ({"registry.expressions": 2}, 1)
    assert out.read_text().splitlines() == _json(
        Expression(B, "sms", "refuse", T, "s"), Expression(A, "sms", "refuse", T, "s")
    ), "of a word said twice the last place counts"


def test_times_of_thousands_of_digits_and_names_with_a_bar_are_lines_like_others(tmp_path: Path) -> None:
    """They ended the import; what is kept beside it is for its owner's eyes."""
    wurao = Wurao(tmp_path)
    good = Expression(A, "sms", "refuse", T, "s")
    line = encode(good).decode()
    lines = wurao.file(
        *("l.ndjson", line, line.replace(str(T), "9" * 5_000), line.replace(str(T), f'"{"9" * 5_000}"')),
        encode(replace(good, sender="a|b")).decode(),
    )
    rows = wurao.file("r.csv", "number,time", f"{A},{T}", f"{B},{'9' * 5_000}")
    for path, words, bad in ((lines, (), 2), (rows, ("--channel", "sms", "--will", "consent", "--source", "s"), 1)):
        out = path.with_suffix(".out")
        scope = ("--sender", "S", "--category", "finance", "--unregistered") if words else ()
        answer = wurao.asked("registry", "import", path, *words, *scope, "--into", out, code=1)
        assert (answer["written"], answer["bad"]) == ({"registry.expressions": 1}, bad)
        assert (out.stat().st_mode & 0o777, path.with_name(f"{path.name}.bad").stat().st_mode & 0o777) == (0o600, 0o600)
    skipped = tmp_path / "l.ndjson.skipped"
    assert "stands between the parts of a key" in skipped.read_text(encoding="utf-8")
    assert skipped.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere.txt",), "nowhere.txt: No such file"),
        (("there.txt", "--replace-scope", "call"), "--source"),
        (("there.txt", "--replace-scope", "call", "--source", "s", "--sender", "S"), "leave --sender"),
        (("there.txt", "--replace-scope", "call", "--source", "s", "--into", "x"), "leave --into out"),
        (("there.txt", "--time", "soon"), "neither milliseconds"),
        (("there.txt", "--time", "1793491200"), "looks like seconds"),
        (("there.txt", "--time", "20261101"), "no milliseconds"),
        (("there.txt", "--time", "2100-01-01T00:00:00Z"), "more than a day from now"),
        (("there.txt", "--timezone", "Nowhere"), "no such zone"),
        (("there.txt", "--map", "a=b"), "OURS among"),
        (("there.txt", "--channel", "sms"), "say the rest: --channel, --will, --source"),
        (("there.txt", "--replace-scope", "call", "--source", "s", "--leaving-max", "101"), "per cent"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_line(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    wurao.file("there.txt", A)
    ran = wurao.run("registry", "import", tmp_path / words[0], *words[1:])
    assert ran.returncode == 1
    assert told in ran.stderr
    assert "Kafka" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_without_lines_is_told(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    (tmp_path / "mark.csv").write_bytes(b"\xef\xbb\xbf")
    files = (wurao.file("empty.txt"), tmp_path / "mark.csv", wurao.file("header.csv", "手机号"))
    options = ("--channel", "sms", "--will", "refuse", "--source", "s", "--into", tmp_path / "out.ndjson")
    ran = wurao.run("registry", "import", *files, *options)
    assert ran.returncode == 0
    assert f"{files[0]}: no lines\n" in ran.stderr
    assert f"{files[1]}: no lines\n" in ran.stderr
    assert f"{files[2]}: no lines under its header\n" in ran.stderr


@pytest.mark.kafka
def test_a_consent_that_is_dated_ahead_bars_no_refusal_that_comes_after_it(registry: Broker, tmp_path: Path) -> None:
    a, b = persons(2)  # whom the story is about
    wurao = Wurao(tmp_path, registry)
    now = time.time_ns() // 1_000_000
    ahead = now + 20 * 3_600_000
    registry.write_registry([Expression(a, "sms", "consent", ahead, "crm", "S", "c")])
    consents = wurao.file("consents.ndjson", *_json(Expression(b, "sms", "consent", ahead, "crm", "S", "c")))
    into_s = ("registry", "import", consents, "--unregistered")
    assert wurao.asked(*into_s)["written"] == {"registry.expressions": 1}
    while time.time_ns() // 1_000_000 <= now + 2:
        time.sleep(0.001)
    refusals = wurao.file("refusals.txt", a, b)
    words = ("registry", "import", refusals, "--channel", "sms", "--will", "refuse", "--source", "letters")
    answer = wurao.asked(*words, "--time", str(time.time_ns() // 1_000_000))
    assert (answer["written"], answer["late"]) == ({"registry.expressions": 2}, 0)
    # The last word of its scope is not written again, though it counts from when it was written.
    assert wurao.asked(*into_s)["already"] == 1
    assert wurao.asked(*words, "--time", str(now), code=1)["written"] == {}


NAMES = ("subscriber,will,sender,category", f"{A},consent,ORG-NOWHERE,nonsense", f"{B},consent,ORG-1,finance",
         f"{C},refuse,ORG-2,finance")  # fmt: skip


def test_a_consent_that_names_what_nobody_knows_is_refused_and_counted(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    rows, senders = wurao.file("rows.csv", *NAMES), wurao.file("senders.ndjson", *_json(_sender("1069")))
    words = ("--channel", "sms", "--source", "crm", "--time", str(T), "--into", tmp_path / "out.ndjson")
    # The files register a sender, so that others are unknown; it stands behind the consent that names it.
    answer = wurao.asked("registry", "import", rows, senders, *words, code=1)
    assert answer["written"] == {"registry.senders": 1, "registry.expressions": 2}
    assert (answer["refused"], answer["unknown"]) == (
        1,
        {
            "category 'nonsense' is none of the policy's": 1,
            "sender 'ORG-NOWHERE' is not registered": 1,
            "sender 'ORG-2' is not registered (did you mean ORG-1?)": 1,
        },
    )
    assert "ORG-NOWHERE" in (tmp_path / "rows.csv.skipped").read_text()
    ran = wurao.run("registry", "import", rows, senders, *words, "--unregistered")
    assert ran.returncode == 0
    assert "named, and not known\n  category 'nonsense' is none of the policy's: 1\n" in ran.stdout
    # Where no sender is known at all, only the policy's categories are looked at.
    assert list(wurao.asked("registry", "import", rows, *words, code=1)["unknown"]) == [  # type: ignore[call-overload]
        "category 'nonsense' is none of the policy's"
    ]


@pytest.mark.kafka
def test_into_topics_a_consent_must_name_one_of_their_senders(registry: Broker, tmp_path: Path) -> None:
    wurao = Wurao(tmp_path, registry)
    registry.write_registry([_sender("1069")])
    words = ("registry", "import", wurao.file("rows.csv", *NAMES), "--channel", "sms", "--source", "crm")
    answer = wurao.asked(*words, "--time", str(T), code=1)
    assert (answer["written"], answer["refused"]) == ({"registry.expressions": 2}, 1)
    assert {(word.subscriber, word.will, word.sender) for word in wurao.expressions()} == {
        (B, "consent", "ORG-1"),
        (C, "refuse", "ORG-2"),
    }


def test_the_mended_case_of_times_in_other_units(tmp_path: Path) -> None:
    wurao = Wurao(tmp_path)
    seconds = wurao.file("refusals.csv", "subscriber,channel,will,time,source", f"{A},sms,refuse,{T // 1000},letters")
    older = wurao.file(
        "consents.csv",
        "subscriber,channel,will,time,source,sender,category",
        f"{A},sms,consent,2021-05-01T00:00:00Z,web-form,S,finance",
        f"{B},sms,consent,{T * 1000},web-form,S,finance",
    )
    answer = wurao.asked("registry", "import", seconds, older, "--into", tmp_path / "out.ndjson", code=1)
    assert (answer["bad"], answer["late"], answer["written"]) == (2, 1, {"registry.expressions": 1})
    state = registry_of([decode_file_record(line) for line in (tmp_path / "out.ndjson").read_bytes().splitlines()])
    assert state.wills.stance("sms", int(A[1:]), "S", "finance") == "refused"  # type: ignore[arg-type]
