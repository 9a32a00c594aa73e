"""Whether brokers answer is known within seconds, told once, and known again when they are back."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from stream import config as configuration
from stream.kafka import brokers
from stream.kafka.brokers import AWAY_AFTER_S, Brokers
from stream.testbed.local import LocalKafka
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # nothing tells it but the thing itself


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_broker_that_goes_and_comes_back_is_seen_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    told: list[str] = []

    class Log:
        def warning(self, message: str, **_: object) -> None:
            told.append(message)

        info = warning

    monkeypatch.setattr(brokers, "log", Log())
    with LocalKafka(directory=tmp_path) as local:
        config = configuration.load(None, {"WURAO_KAFKA__BOOTSTRAP": local.bootstrap})

        async def follow() -> None:
            async with Brokers(config, client="test") as seen:
                await _until(lambda: seen._connection is not None)
                assert seen.not_ready() is None
                if how == "killed":
                    await asyncio.to_thread(local.kill, 1)
                else:
                    os.kill(local.pids[1], signal.SIGSTOP)
                await _until(lambda: seen.not_ready() is not None)
                assert seen.silent_s < AWAY_AFTER_S + 10, "and what a crowded machine needs"
                await _until(lambda: bool(told))
                await asyncio.sleep(2 * brokers.ASK_EVERY_S)
                if how == "killed":
                    await asyncio.to_thread(local.restart, 1)
                else:
                    os.kill(local.pids[1], signal.SIGCONT)
                await _until(lambda: seen.not_ready() is None)
                await _until(lambda: len(told) > 1)

        asyncio.run(follow())
    assert told == ["no broker answers: the work waits, and goes on when one does", "brokers answer again"]
