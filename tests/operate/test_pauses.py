"""Pauses between attempts at a broker: they double while one trouble lasts, and begin anew with the next.

The broker is a port where nobody listens, so that every failure is a genuine one; only that all goes well for a while
in between is said by the test.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from stream import config as configuration
from stream.clock import WallClock
from stream.config import Config
from stream.enforce.api import case_feed
from stream.enforce.api.case_feed import CaseFeed
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.recent import RecentActs
from stream.kafka import clients, retry
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import ClusterIdentity
from stream.notify import loop
from stream.notify.loop import NoticeConnector
from tests.patience import LONG_S

FIRST_S, MOST_S = 0.001, 0.004
WENT_WELL_ON = 4
"""The attempt that goes well for a while, and then fails."""

DOUBLED = [0.001, 0.002, 0.004]
ANEW = [0.001, 0.002, 0.004, 0.004]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text('[contacts]\n"sender|*" = "mailto:legal@org9.example"\n', encoding="utf-8")
    variables = {
        "WURAO_KAFKA__BOOTSTRAP": "127.0.0.1:1",
        "WURAO_CONNECTOR__CONTACTS_FILE": str(contacts),
        "WURAO_CONNECTOR__PORT": "0",
    }
    return configuration.load(None, variables)


class Readings(CaseFeed):
    """The API's follower, in which one reading has got as far as a whole index."""

    attempts = 0

    async def _identified(self, consumer: clients.AIOKafkaConsumer) -> None:
        self.attempts += 1
        if self.attempts == WENT_WELL_ON:
            self.index = CaseIndex(kept_ms=1)
        await super()._identified(consumer)


class Memberships(NoticeConnector):
    """The connector, whose broker goes once it was reached; one membership has got as far as knowing what was tried."""

    attempts = 0

    async def _reach(self) -> None:
        self._identity = ClusterIdentity(self._config, ClusterDescription("it", {}), lasting=())

    async def _serve(self, identity: ClusterIdentity) -> None:
        self.attempts += 1
        if self.attempts == WENT_WELL_ON:
            self._caught_up.set()
        await super()._serve(identity)


@pytest.fixture(autouse=True)
def _short_pauses_that_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE_S", FIRST_S)
    monkeypatch.setattr(retry, "PAUSE_S_MAX", MOST_S)
    monkeypatch.setattr(retry, "LOG_EVERY_S", 0.0)


async def test_the_apis_follower_pauses_briefly_again_once_it_has_read_all(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = LogCapture()
    monkeypatch.setattr(case_feed, "log", structlog.wrap_logger(None, processors=[said]))
    reader = Readings(config, clock=WallClock(None), kept_ms=1, acts=RecentActs())
    await _attempts(reader.run, lambda: reader.attempts)
    assert _pauses(said) == DOUBLED + ANEW


async def test_the_connector_pauses_briefly_again_once_it_has_served(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = LogCapture()
    monkeypatch.setattr(loop, "log", structlog.wrap_logger(None, processors=[said]))
    connector = Memberships(config)
    await _attempts(connector.run, lambda: connector.attempts)
    assert _pauses(said) == DOUBLED + ANEW


async def _attempts(run: Callable[[], Coroutine[None, None, None]], made: Callable[[], int]) -> None:
    """Run until it has paused as often as is asked about."""
    running = asyncio.create_task(run())
    async with asyncio.timeout(LONG_S):
        while made() <= len(DOUBLED + ANEW):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _pauses(said: LogCapture) -> list[float]:
    """The pauses that it said it takes, as many as are asked about."""
    return [entry["pause_s"] for entry in said.entries if "pause_s" in entry][: len(DOUBLED + ANEW)]
