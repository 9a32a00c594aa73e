"""A filter with a key: a snapshot that somebody made on purpose and a policy that nobody signed are not used."""

import asyncio
import signal
from importlib.resources import files
from pathlib import Path

import pytest

from bloom.base import BUILT
from bloom.signatures import Keys, mapped
from stream.deciding.native_selection import BASE_FILE
from stream.feed import snapshots
from stream.registry.registry import Registry
from tests.enforce.harness import wait_until
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event

SHIPPED = files("stream.policy").joinpath("cn-2020.toml").read_text(encoding="utf-8")
NEXT = SHIPPED.replace('version = "cn-2020.2"', 'version = "cn-2020.3"', 1)
KEY = "0123456789abcdef" * 4


@pytest.mark.kafka
def test_with_a_key_a_forged_snapshot_and_an_unsigned_policy_are_not_used(broker: Broker, tmp_path: Path) -> None:
    keys, policy, folder = Keys.of_text(KEY), tmp_path / "policy.toml", tmp_path / "snapshots"
    (tmp_path / "key").write_text(KEY, encoding="utf-8")
    policy.write_text(SHIPPED, encoding="utf-8")
    keys.sign(policy, policy.read_bytes())
    broker.write_registry(cases.registry())
    forged = _forged(broker, folder)
    settings = {"WURAO_INTEGRITY__KEY_FILE": str(tmp_path / "key"), "WURAO_POLICY__FILE": str(policy)}
    with FilterProcess(broker, tmp_path, workers=1, **settings) as filter_:
        filter_.wait_ready()
        offer = {"to": cases.REFUSING, "text": cases.GOOD_TEXT, **cases.BANK}
        broker.write_events([event("sms", 1, **offer)])
        wait_until(lambda: bool(broker.decisions()), what="it is decided")
        assert [one["reason"] for one in broker.decisions()] == ["refused"], "the topics were read"
        assert filter_.log.count("is not signed") == 1
        assert f"sign it: wurao sign {folder}" in filter_.log
        made = [path for path in snapshots.kept(folder) if path != forged]
        assert len(made) == 1
        for path in [*made, *([folder / BASE_FILE] if BUILT else [])]:
            with mapped(path, keys):
                pass

        policy.write_text(NEXT, encoding="utf-8")
        filter_.signal(signal.SIGHUP)
        wait_until(lambda: _reloads(filter_, "refused") == 1, what="the policy is refused")
        assert f"{policy}: differs from what was signed" in filter_.log
        assert "policy refused; the current one stays in use" in filter_.log
        keys.sign(policy, policy.read_bytes())
        filter_.signal(signal.SIGHUP)
        wait_until(lambda: _reloads(filter_, "loaded") == 1, what="the policy is loaded")

        # A key file that is being replaced costs a renewal of the base, and no worker.
        workers = filter_.worker_pids()
        (tmp_path / "key").rename(tmp_path / "away")
        filter_.signal(signal.SIGUSR1)
        wait_until(lambda: "no new base can be used; the current base stays" in filter_.log, what="it is told")
        assert (filter_.is_ready, filter_.worker_pids()) == (True, workers)
        (tmp_path / "away").rename(tmp_path / "key")
        filter_.signal(signal.SIGUSR1)
        wait_until(lambda: not set(workers) & set(filter_.worker_pids()), what="the next renewal is whole")
        filter_.wait_ready()
        assert filter_.terminate() == 0


def _forged(broker: Broker, folder: Path) -> Path:
    """A snapshot that is right but for its registry, in which nobody has refused."""

    async def make() -> Path:
        _, meta = await snapshots.build(broker.config)
        records = Registry()
        records.apply(record for record in cases.registry() if getattr(record, "will", "") != "refuse")
        return snapshots.save(folder, records, meta)

    return asyncio.run(make())


def _reloads(filter_: FilterProcess, outcome: str) -> float:
    return filter_.metric(f'wurao_policy_reloads_total{{outcome="{outcome}"}}', worker=0)
