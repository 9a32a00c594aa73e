"""A policy is taken up without a restart: checked first, visible on decisions and epochs while it rolls."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import orjson
import pytest

from stream.filter.policy_reload import successor
from stream.policy.loading import load, read
from stream.policy.toml import PolicyError
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S

SHIPPED = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
NEXT = SHIPPED.replace('version = "cn-2020.2"', 'version = "cn-2020.3"', 1).replace(
    'silence = "refuse"', 'silence = "allow"', 1
)


def test_the_successor_of_a_policy_is_another_one_under_another_version(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(SHIPPED, encoding="utf-8")
    old = load(file)
    assert successor(str(file), old) is None
    file.write_text(SHIPPED + "# a remark\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"under the version cn-2020\.2"):
        successor(str(file), old)
    file.write_text(NEXT, encoding="utf-8")
    new = successor(str(file), old)
    assert new is not None
    assert (new.version, new.silence_refuses) == ("cn-2020.3", False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fixed = '", "fixed = '(?!400)"),
        ("mobile = '", "mobile = '1(?!400)|"),
        ('redress = ["12300"', 'redress = ["(12"'),
        ('redress = ["12300"', 'redress = ["12300|.*"'),
        ("[answers]", "deep = " + "[" * 100_000 + "\n[answers]"),
    ],
)
def test_a_policy_that_could_not_decide_is_never_taken_up(old: str, new: str, tmp_path: Path) -> None:
    assert old in NEXT
    file = tmp_path / "policy.toml"
    file.write_text(NEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"policy\.toml:\d+: "):
        successor(str(file), load())


@pytest.mark.kafka
def test_a_changed_policy_is_taken_up_by_every_worker_and_a_bad_one_by_none(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(SHIPPED, encoding="utf-8")
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, workers=2, WURAO_POLICY__FILE=str(file)) as filter_:
        filter_.wait_ready()
        before = filter_.worker_pids()
        assert _answers(broker, filter_, first=0) == {("cn-2020.2", "no_consent")}

        # A pattern that only the reader of numbers uses, which is not asked before the first event.
        file.write_text(NEXT.replace("fixed = '", "fixed = '1(?!400)|", 1), encoding="utf-8")
        filter_.signal(signal.SIGHUP)
        _until(lambda: filter_.metric('wurao_policy_reloads_total{outcome="refused"}', worker=0) == 1)
        assert filter_.metric("wurao_policy_refused", worker=0) == 1
        assert "policy refused; the current one stays in use" in filter_.log
        assert f"{file}:" in filter_.log, "the file and the line are named"
        assert _answers(broker, filter_, first=100) == {("cn-2020.2", "no_consent")}
        for pid in before:  # each reads the file itself, and may find another than the supervisor did
            os.kill(pid, signal.SIGHUP)
        for worker in (1, 2):
            _until(partial(_refuses, filter_, worker))
        assert filter_.worker_pids() == before

        file.write_text(NEXT, encoding="utf-8")
        filter_.signal(signal.SIGHUP)
        for worker in (1, 2):
            _until(partial(_decides_by_the_next, filter_, worker))
            assert not _refuses(filter_, worker)
            assert _info("cn-2020.2") not in (filter_.get("/metrics", worker=worker) or "")
        assert filter_.metric("wurao_policy_refused", worker=0) == 0
        assert filter_.metric('wurao_policy_reloads_total{outcome="loaded"}', worker=0) == 1
        assert _answers(broker, filter_, first=200) == {("cn-2020.3", "default_allow")}
        assert filter_.worker_pids() == before, "nobody was restarted"
        assert filter_.metric("wurao_worker_restarts_total", worker=0) == 0
        assert filter_.terminate() == 0
    epochs = [orjson.loads(record.value) for record in broker.read("epochs")]
    named = {one["epoch"]: (one["policy"], one["policy_hash"]) for one in epochs}
    hashes = {version: {h for v, h in named.values() if v == version} for version, _ in named.values()}
    assert {version: len(found) for version, found in hashes.items()} == {"cn-2020.2": 1, "cn-2020.3": 1}
    for decision in broker.decisions():
        assert named[decision["epoch"]][0] == decision["policy"], "decision and epoch name the same policy"


def _refuses(filter_: FilterProcess, worker: int) -> bool:
    return filter_.metric("wurao_policy_refused", worker=worker) == 1


def _decides_by_the_next(filter_: FilterProcess, worker: int) -> bool:
    return filter_.metric(_info("cn-2020.3"), worker=worker) == 1


def _info(version: str) -> str:
    text = {"cn-2020.2": SHIPPED, "cn-2020.3": NEXT}[version]
    return f'wurao_policy_info{{hash="{read(text, source=version).digest[:12]}",version="{version}"}}'


def _answers(broker: Broker, filter_: FilterProcess, *, first: int) -> set[tuple[object, object]]:
    """Policy and reason on messages to forty silent subscribers, all partitions and so both workers among them."""
    mine = range(first, first + 40)
    broker.write_events([event("sms", one, to=f"+86138{one:08d}", text=cases.GOOD_TEXT, **cases.BANK) for one in mine])
    found: list[dict[str, object]] = []
    ids = {f"sms-{one}" for one in mine}
    deadline = time.monotonic() + LONG_S
    while len(found) < len(mine):
        assert time.monotonic() < deadline, filter_.log[-2000:]
        found = [one for one in broker.decisions() if one["event"] in ids]
    return {(one["policy"], one["reason"]) for one in found}


def _until(holds: Callable[[], bool], *, within_s: float = LONG_S) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except AssertionError:  # the metric is not there yet
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
