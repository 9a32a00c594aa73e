"""The demonstration while traffic flows: tasks that send, read decisions, look at the filter, draw, and
tell a story.

One event loop runs them all. If one fails, all end, and its error is the demonstration's.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.live import Live

from stream.clock import now_ms
from stream.config import Config
from stream.demo import view
from stream.demo.optout import AFTERWARDS_COUNT, PROBE_EVERY_S, OptOut
from stream.demo.tally import RunTally
from stream.demo.view import Frame, Process, RegistryInMemory
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.model.codec import decode_decision
from stream.model.decision import Decision
from stream.model.events import Event, Reply
from stream.model.topics import DECISIONS
from stream.testbed.feed import Feed
from stream.testbed.processes import FilterProcess, Scrape, Usage, quantile_of, usage
from stream.testbed.sample import subscriber
from stream.testbed.traffic import SCENARIOS, Traffic

PICTURE_EVERY_S: Final = 0.25
LINE_EVERY_S: Final = 2.0
LOOK_EVERY_S: Final = 1.0
"""How often the workers' metrics and the processes are looked at."""

STORY_AFTER: Final = 0.2
"""The part of the traffic after which the subscriber's story begins."""

STORY_PAUSE_S: Final = 0.5
ANSWER_S_MAX: Final = 15.0
"""How long answers may be waited for once nothing more is sent."""

POLL_S: Final = 0.002
LATENCY: Final = "wurao_decision_latency_seconds"


class Stage:
    """One performance: `perform` once, then read what happened."""

    def __init__(
        self,
        config: Config,
        console: Console,
        producer: AIOKafkaProducer,
        traffic: Traffic,
        process: FilterProcess,
        *,
        seconds: float,
        rate: int,
        brokers: Sequence[int],
    ) -> None:
        self.tally = RunTally()
        self.story = OptOut()
        self.opening: dict[str, Event] = {}
        """the first events, one of each scenario, by their ids"""
        self.answers: dict[str, Decision] = {}
        """the decisions on them"""
        self.watched: dict[str, Event] = {}
        """the messages to the watched subscriber"""
        self.reply: Reply | None = None
        self.feed = Feed(producer, traffic, rate=rate, partitions=config.topics.partitions)
        self.scrapes: dict[int, Scrape] = {}
        """the last metrics of each worker"""
        self.config = config
        self._console = console
        self._traffic = traffic
        self._filter = process
        self._seconds = seconds
        self._rate = rate
        self._brokers = brokers
        self._processes: list[Process] = []
        self._began = 0.0

    async def perform(self) -> None:
        """Send traffic for the time, answer by answer; returns when all of it is decided."""
        decisions = clients.follower(self.config, client="wurao-demo-decisions")
        places = clients.partitions(DECISIONS, self.config.topics.partitions)
        decisions.assign(places)
        await decisions.start()
        try:
            for place, end in (await decisions.end_offsets(places)).items():
                decisions.seek(place, end)
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(job) for job in (self._read(decisions), self._look(), self._show())]
                telling = group.create_task(self._play_story())
                await self._open()
                await self.feed.run(self._seconds)
                await telling
                await self._wait(lambda: self.tally.decided >= self.feed.sent)
                await asyncio.sleep(LOOK_EVERY_S)  # the last metrics
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # the first: the others ended because of it
        finally:
            await close_within(decisions)

    def frame(self) -> Frame:
        """What is known now."""
        moment = time.monotonic()
        median, high, most = self.tally.recent_ms(moment, 0.5, 0.99, 1.0)
        return Frame(
            elapsed_s=moment - self._began,
            seconds=self._seconds,
            rate_wanted=self._rate,
            sent=self.feed.sent,
            decided=self.tally.decided,
            rate=self.tally.rate(moment),
            outcomes=self.tally.outcomes,
            latency_ms=(median, high, most),
            acked_s=(self._acked_s(0.5), self._acked_s(0.99)),
            held=self._held(),
            processes=self._processes,
        )

    async def _open(self) -> None:
        now = now_ms()
        events = self._traffic.events(len(SCENARIOS), now=now)
        self.opening = {event.id: event for event in events}
        await self.feed.send_events(events, now=now)

    async def _read(self, decisions: clients.AIOKafkaConsumer) -> None:
        while True:
            fetched = await decisions.getmany(timeout_ms=100)
            read: list[Decision] = []
            timestamps: list[int] = []
            for records in fetched.values():
                for record in records:
                    decision = decode_decision(record.value)
                    if decision.event.startswith(self._traffic.prefix):  # else another's, on a shared cluster
                        read.append(decision)
                        timestamps.append(record.timestamp)
            self.tally.add(read, timestamps, at_s=time.monotonic())
            for decision in read:
                self.story.decided(decision)
                if decision.event in self.opening:
                    self.answers.setdefault(decision.event, decision)

    async def _look(self) -> None:
        """Look at metrics and processes now and then."""
        before: dict[str, tuple[float, Usage]] = {}
        while True:
            self._filter.check()
            for worker in range(1, self._filter.workers + 1):
                scrape = await asyncio.to_thread(self._filter.scrape, worker=worker)
                if scrape is not None:
                    self.scrapes[worker] = scrape
            found: list[Process] = []
            for name, pid in self._pids():
                taken, moment = usage(pid), time.monotonic()
                if taken is not None:
                    then, earlier = before.get(name, (moment, taken))
                    share = (taken.cpu_s - earlier.cpu_s) / (moment - then) if moment > then else 0.0
                    found.append(Process(name, taken, share))
                    before[name] = (moment, taken)
            self._processes = found
            await asyncio.sleep(LOOK_EVERY_S)

    def _pids(self) -> list[tuple[str, int]]:
        workers = [(f"worker {place}", pid) for place, pid in enumerate(self._filter.worker_pids(), start=1)]
        brokers = [(f"broker {place}", pid) for place, pid in enumerate(self._brokers, start=1)]
        return [("supervisor", self._filter.pid), *workers, *brokers, ("this view", os.getpid())]

    async def _show(self) -> None:
        if view.is_plain(self._console):
            while True:
                await asyncio.sleep(LINE_EVERY_S)
                self._console.print(view.line(self.frame(), self.story), highlight=False, soft_wrap=True, markup=False)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                size = self._console.size
                live.update(view.screen(self.frame(), self.story, height=size.height, width=size.width), refresh=True)
                await asyncio.sleep(PICTURE_EVERY_S)

    async def _play_story(self) -> None:
        """The subscriber's story: a message that is wanted, TD, and messages until one is blocked, and some more."""
        await asyncio.sleep(STORY_AFTER * self._seconds)
        who = subscriber(self._traffic.sample.watched)
        await self._send_watched(who)
        if not await self._wait(lambda: self.story.welcome is not None):
            return
        await asyncio.sleep(STORY_PAUSE_S)
        now = now_ms()
        reply = self._traffic.watched_reply(who, now=now)
        self.reply = reply
        self.story.replied(at_ms=time.time_ns() / 1e6)
        await self.feed.send_events([reply], now=now)
        deadline = time.monotonic() + ANSWER_S_MAX
        left = AFTERWARDS_COUNT
        while left and time.monotonic() < deadline:
            await asyncio.sleep(PROBE_EVERY_S)
            await self._send_watched(who)
            if self.story.first_blocked is not None:
                left -= 1
        await self._wait(lambda: self.story.complete)

    async def _send_watched(self, who: str) -> None:
        now = now_ms()
        event = self._traffic.watched_advertisement(who, now=now)
        self.watched[event.id] = event
        self.story.sent(event.id, at_ms=time.time_ns() / 1e6)
        await self.feed.send_events([event], now=now)

    async def _wait(self, done: Callable[[], bool]) -> bool:
        """Wait until something is so; False where it takes too long."""
        deadline = time.monotonic() + ANSWER_S_MAX
        while not done():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _acked_s(self, q: float) -> float | None:
        """A bound of a quantile of all latencies to the acknowledgement, over all workers."""
        whole: Counter[float] = Counter()
        for scrape in self.scrapes.values():
            whole.update(scrape.buckets(LATENCY))
        return quantile_of(whole, q)

    def _held(self) -> RegistryInMemory:
        if not self.scrapes:
            return RegistryInMemory()
        scrapes = self.scrapes.values()
        first = next(iter(scrapes))
        return RegistryInMemory(
            refusing_sms=int(first.total("wurao_registry_numbers", channel="sms")),
            refusing_calls=int(first.total("wurao_registry_numbers", channel="call")),
            senders=int(first.total("wurao_registry_senders")),
            changed=int(max(scrape.total("wurao_registry_overlay_numbers") for scrape in scrapes)),
            staleness_ms=int(1000 * max(scrape.total("wurao_registry_staleness_seconds") for scrape in scrapes)),
        )
