"""`wurao decide`: events from a file, in order, in a process of its own."""

import codecs
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bloom import snapshot
from bloom.bitmaps import Wills
from bloom.snapshot import SnapshotMeta
from stream.feed.files import RegistryFileError, load_registry
from stream.model.codec import encode
from stream.testbed.processes import wurao_command
from tests.filter import cases
from tests.filter.harness import NOW
from tests.patience import LONG_S


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """The registry of the cases, as a file."""
    path = tmp_path / "registry.ndjson"
    path.write_bytes(b"\n".join(encode(record) for record in cases.registry()) + b"\n\n")
    return path


def _run(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = wurao_command("decide", *words)
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=LONG_S)


def _events(*events: object) -> bytes:
    return b"\n".join(orjson.dumps(event) for event in events)


def test_it_decides_as_the_filter_does(registry: Path) -> None:
    ran = _run("-", "--registry", registry, stdin=_events(*cases.EVENTS))
    decisions = [orjson.loads(line) for line in ran.stdout.splitlines()]
    assert [(d["event"], d["reason"]) for d in decisions] == list(cases.EXPECTED.items())
    assert {d["epoch"] for d in decisions} == {"file"}
    assert {d["decided"] for d in decisions} == {NOW}
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_broken_line_is_named_and_the_rest_is_decided(registry: Path) -> None:
    lines = [
        _events(cases.EVENTS[0]),
        b"{",
        b"",
        b'{"kind":"sms","id":"x","time":1.0,"to":"1"}',
        _events(cases.EVENTS[1]),
    ]
    ran = _run("-", "--registry", registry, stdin=b"\n".join(lines))
    assert len(ran.stdout.splitlines()) == 2
    assert ran.returncode == 1
    told = ran.stderr.decode().splitlines()
    assert [line.split(":")[0] for line in told] == ["line 2", "line 4"]
    assert "time" in told[1]


def test_a_broken_registry_line_is_named_and_left_out(registry: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson"
    broken.write_bytes(
        registry.read_bytes() + b'{"kind":"order","order":"O-9"}\n{"kind":"tombstone","topic":"nope","key":"k"}\n'
    )
    ran = _run("-", "--registry", broken, stdin=_events(*cases.EVENTS))
    assert len(ran.stdout.splitlines()) == len(cases.EVENTS)
    assert ran.returncode == 1
    lines = len(registry.read_bytes().splitlines())
    assert f"{broken}:{lines + 1}: " in ran.stderr.decode()
    assert f"{broken}:{lines + 2}: no registry topic is named 'nope'" in ran.stderr.decode()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda text: text.decode().encode("utf-16"), "UTF-16, and JSON is in UTF-8"),
        (lambda text: text.decode().encode("utf-16-le"), "zero bytes, as UTF-16 without its mark"),
        (lambda text: text.replace(b"\n", b"\r"), "end in CR alone"),
    ],
)
def test_what_all_lines_fail_for_is_named_once(
    registry: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    spoilt = tmp_path / "spoilt.ndjson"
    spoilt.write_bytes(spoil(_events(*cases.EVENTS)))
    ran = _run(spoilt, "--registry", registry)
    assert (ran.returncode, ran.stdout) == (1, b"")
    (line,) = ran.stderr.decode().splitlines()
    assert line.startswith(f"{spoilt}: ")
    assert reason in line
    assert reason in _explained(spoilt)
    spoilt.write_bytes(spoil(registry.read_bytes()))
    with pytest.raises(RegistryFileError, match=f"{spoilt}: .*{reason}"):
        load_registry([spoilt])


def test_a_file_of_the_other_sort_is_named_once(registry: Path, tmp_path: Path) -> None:
    ran = _run(registry, "--registry", registry)
    records_count = len(registry.read_bytes().splitlines()) - 1
    assert ran.stderr.decode().splitlines() == [
        "line 1: one of the registry records, and events are read here: they are given by --registry",
        f"{records_count} lines are registry records, all of them left out",
    ]
    assert ran.returncode == 1
    assert "EVENT holds registry records, which are given by --registry" in _explained(registry)
    events = tmp_path / "events.ndjson"
    events.write_bytes(_events(*cases.EVENTS))
    assert load_registry([events]).problems == [
        f"{events}:1: one of the events, and registry records are read here: they are given as EVENTS or EVENT",
        f"{events}: {len(cases.EVENTS)} lines are events, all of them left out",
    ]
    assert f"EVENT holds {len(cases.EVENTS)} lines, and one event is explained" in _explained(events)


def _explained(path: Path) -> str:
    command = wurao_command("explain", path)
    ran = subprocess.run(command, capture_output=True, check=False, timeout=LONG_S, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    return line


def test_a_registry_without_senders_is_told_once_for_it_looks_as_if_the_rules_were_at_fault(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.ndjson"
    nobody.write_bytes(b'{"kind":"wordlist","list":"w","terms":["x1"]}\n')
    for words, told in (((), "without --registry no sender is registered"), (("--registry", nobody), "no sender is")):
        ran = _run("-", *words, stdin=_events(*cases.EVENTS))
        (line,) = ran.stderr.decode().splitlines()
        assert line.startswith(told)
        assert "`unlicensed`; give the senders' records by --registry" in line
        assert (ran.returncode, len(ran.stdout.splitlines())) == (0, len(cases.EVENTS))


def test_several_registry_files_apply_in_order_and_tombstones_remove(registry: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.ndjson"
    later.write_bytes(b'{"kind":"tombstone","topic":"registry.orders","key":"O-1"}\n')
    suspended = next(event for event in cases.EVENTS if "suspended" in str(event["id"]))
    first = _run("-", "--registry", registry, later, stdin=_events(suspended))
    assert orjson.loads(first.stdout)["reason"] == "service"
    second = _run("-", "--registry", later, "--registry", registry, stdin=_events(suspended))
    assert orjson.loads(second.stdout)["reason"] == "suspended"


def test_now_overrides_the_moment(registry: Path) -> None:
    campaign = next(event for event in cases.EVENTS if "campaign_outside_window" in str(event["id"]))
    ran = _run("-", "--registry", registry, "--now", "1", stdin=_events(campaign))
    decision = orjson.loads(ran.stdout)
    assert (decision["decided"], decision["reason"]) == (1, "public_interest")


def test_replies_do_not_change_the_registry_that_was_given(registry: Path) -> None:
    reply = {"kind": "reply", "id": "r", "time": 1, "from": cases.WILLING, "to": cases.PORT, "text": "TD"}
    offer = next(event for event in cases.EVENTS if str(event["id"]).endswith(":consented"))
    ran = _run("-", "--registry", registry, stdin=_events(reply, offer))
    assert [orjson.loads(line)["reason"] for line in ran.stdout.splitlines()] == ["opt_out_reply", "consented"]


def test_another_policy_decides_otherwise(registry: Path) -> None:
    silent = next(event for event in cases.EVENTS if "no_consent" in str(event["id"]))
    noon = 1_795_500_000_000 // 86_400_000 * 86_400_000 + 4 * 3_600_000  # noon in Shanghai
    ran = _run("-", "--registry", registry, "--policy", "opt-out", "--now", str(noon), stdin=_events(silent))
    assert orjson.loads(ran.stdout)["reason"] == "default_allow"


@pytest.mark.parametrize("words", [["nowhere.ndjson"], ["-", "--registry", "nowhere"], ["-", "--policy", "nowhere"]])
def test_a_file_that_is_not_there_is_one_clear_line(words: list[str]) -> None:
    ran = _run(*words)
    assert ran.returncode == 1
    assert len(ran.stderr.decode().splitlines()) == 1
    assert "nowhere" in ran.stderr.decode()


def test_a_snapshot_is_a_registry_too_and_later_files_apply_to_it(registry: Path, tmp_path: Path) -> None:
    kept = tmp_path / "base.snapshot"
    whole = load_registry([registry]).registry
    assert isinstance(whole.wills, Wills)
    snapshot.write(
        kept, meta=SnapshotMeta(cluster="c", created_ms=1, topics={}), wills=whole.wills, records=whole.records()
    )
    ran = _run("-", "--registry", kept, stdin=_events(*cases.EVENTS))
    assert [orjson.loads(line)["reason"] for line in ran.stdout.splitlines()] == list(cases.EXPECTED.values())
    later = tmp_path / "later.ndjson"
    later.write_bytes(
        b'{"kind":"expression","subscriber":"+8613800138000","channel":"sms","will":"refuse","time":2,"source":"t"}'
    )
    offer = next(event for event in cases.EVENTS if str(event["id"]).endswith(":consented"))
    ran = _run("-", "--registry", kept, later, stdin=_events(offer))
    assert orjson.loads(ran.stdout)["reason"] == "refused"
    ran = _run("-", "--registry", later, kept, stdin=_events(offer))
    assert ran.returncode == 1
    assert b"give it first" in ran.stderr


def test_a_mark_before_utf_8_is_no_part_of_the_first_line(registry: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.ndjson"
    marked.write_bytes(codecs.BOM_UTF8 + registry.read_bytes())
    events = tmp_path / "events.ndjson"
    events.write_bytes(codecs.BOM_UTF8 + _events(*cases.EVENTS))
    ran = _run(events, "--registry", marked)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == _run("-", "--registry", registry, stdin=_events(*cases.EVENTS)).stdout
