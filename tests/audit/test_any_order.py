"""Whatever the order and the size of fetches, and whoever held the partitions before: the verdicts are those of one
big batch.

A made-up past: two workers whose registries lag behind each other decide for three partitions while wills, senders and
orders change; some decisions are forged, some name an epoch that nobody announced, some come long after they were made,
since brokers were away. It is judged at once, with everything known and nothing forgotten; and then piece by piece, by
a reader that gains and loses partitions, falls behind, and forgets what `Backlog` lets it forget.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bloom.partition import partition_of
from stream.audit.backlog import MARGIN_MS, Backlog
from stream.audit.histories import Histories
from stream.audit.verification import DecisionVerifier, Verification
from stream.model.codec import decode_event, encode
from stream.model.decision import Decision, Epoch
from stream.model.events import Event
from stream.model.registry import Expression, NumberEntry, Order, Record, Sender, key_of
from stream.model.topics import EXPRESSIONS, RECORD_KIND, TOPIC_OF
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.filter import cases
from tests.filter.harness import event

POLICY: Final = load()
PARTITIONS: Final = 3
BEGIN_MS: Final = 1_795_500_000_000
MINUTE_MS: Final = 60_000
BIG: Final = 1_000
TIMES_READ_MAX: Final = 3
"""For an epoch that was dropped, and for what it is of: a worker's registry may have stood still long before."""


def _subscriber(partition: int) -> str:
    numbers = (f"+86138{number:08}" for number in range(1_000))
    return next(number for number in numbers if partition_of(number, PARTITIONS) == partition)


SUBSCRIBERS: Final = tuple(map(_subscriber, range(PARTITIONS)))


class Said(NamedTuple):
    """A registry record where it stands."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    record: Record


class Made(NamedTuple):
    """A decision where it stands, and what it is about."""

    offset: int
    timestamp: int
    written: int
    """when it stood in its topic"""
    decision: Decision
    event: Event


@dataclass
class Past:
    """All topics, as they are in the end."""

    registry: list[Said] = field(default_factory=list)
    epochs: list[tuple[int, Epoch]] = field(default_factory=list)
    """timestamp and epoch, in order"""
    decisions: dict[int, list[Made]] = field(default_factory=lambda: {one: [] for one in range(PARTITIONS)})

    def say(self, record: Record, timestamp: int) -> None:
        topic, key = TOPIC_OF[type(record)], key_of(record)
        partition = partition_of(key.split("|")[0], PARTITIONS) if topic == EXPRESSIONS else 0
        offset = sum((one.topic, one.partition) == (topic, partition) for one in self.registry)
        self.registry.append(Said(topic, partition, offset, timestamp, record))

    def announce(self, run: str, timestamp: int) -> tuple[Epoch, list[Record]]:
        """A worker's registry holds everything that was said so far."""
        ends = {topic: [0] * (PARTITIONS if topic == EXPRESSIONS else 1) for topic in RECORD_KIND}
        for one in self.registry:
            ends[one.topic][one.partition] = one.offset + 1
        offsets = {topic: tuple(some) for topic, some in ends.items()}
        name = f"{run}-{len(self.epochs)}"
        epoch = Epoch(name, timestamp, POLICY.version, POLICY.digest, False, 0, "cluster", offsets)
        self.epochs.append((timestamp, epoch))
        return epoch, [one.record for one in self.registry]

    def decided(self, partition: int, made: Decision, about: Event, written: int) -> None:
        """A decision's timestamp is its producer's, and its offset that of the moment when it was written at last."""
        some = self.decisions[partition]
        some.append(Made(0, made.decided + 1, written, made, about))
        some.sort(key=lambda one: one.written)
        some[:] = [one._replace(offset=offset) for offset, one in enumerate(some)]


def _expression(who: int, will: str) -> Expression:
    whose = {"sender": "ORG-BANK", "category": "finance"} if will == "consent" else {}
    return msgspec.convert(
        {"kind": "expression", "subscriber": SUBSCRIBERS[who], "channel": "sms", "will": will, "time": 1, "source": "t"}
        | whose,
        Expression,
    )


def _sender(purpose: Literal["commercial", "service"]) -> Sender:
    entry = NumberEntry(prefix="10690123", channel="sms", purposes=(purpose,))
    return Sender(
        sender="ORG-BANK", name="山海银行", signatures=("山海",), contact="95588", status="active", numbers=(entry,)
    )


CHANGES: Final = st.one_of(
    st.builds(_expression, st.integers(0, PARTITIONS - 1), st.sampled_from(("refuse", "consent", "lift"))),
    st.builds(_sender, st.sampled_from(("commercial", "service"))),
    st.builds(
        lambda measure, until: Order(order="O-1", measure=measure, from_=1, until=until, basis="m", sender="ORG-BANK"),
        st.sampled_from(("stop", "suspend")),
        st.sampled_from((1, None)),
    ),
)
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 20 * MINUTE_MS),  # how long after the last step
        st.lists(CHANGES, max_size=2),
        st.sampled_from(("a", "b")),  # the worker that decides,
        st.booleans(),  # and whether it takes up what was said
        st.lists(st.integers(0, PARTITIONS - 1), max_size=3),  # for whom
        st.sampled_from(("honest", "honest", "forged", "unannounced")),
        st.sampled_from((0, 0, 5 * MINUTE_MS, 60 * MINUTE_MS)),  # and for how long brokers are away then
    ),
    min_size=1,
    max_size=12,
)


Step = tuple[int, list[Record], str, bool, list[int], str, int]


def _past(steps: Iterable[Step], *, prompt: bool = False) -> Past:
    """What came of these steps; `prompt`: no registry lags, no decision comes later than the margin can bear."""
    past = Past()
    now = BEGIN_MS
    past.say(_sender("commercial"), now - 60 * MINUTE_MS)
    for who in range(PARTITIONS):
        past.say(_expression(who, "consent"), now - 60 * MINUTE_MS)
    seen = {run: past.announce(run, now) for run in ("a", "b")}
    for number, (pause, said, run, takes_up, to, manner, away) in enumerate(steps):
        for other, (epoch, _) in seen.items():
            if prompt and now + pause - epoch.time > MARGIN_MS // 4:
                seen[other] = past.announce(other, now + pause)
        now += pause
        for record in said:
            past.say(record, now)
        if takes_up:
            seen[run] = past.announce(run, now + 1)
        epoch, known = seen[run]
        for turn, who in enumerate(to):
            about = event("sms", 100 * number + turn, to=SUBSCRIBERS[who], text=cases.GOOD_TEXT, **cases.BANK)
            about = {**about, "purpose": None} if turn % 2 else about
            moment = now + 2 + turn
            decoded = decode_event(msgspec.json.encode(about))
            made = decide(decoded, World(POLICY, registry_of(known)), moment, epoch=epoch.epoch)
            if manner == "forged":
                made = msgspec.structs.replace(
                    made, verdict="allow", reason="consented", code=msgspec.UNSET, appeal=msgspec.UNSET
                )
            if manner == "unannounced":
                made = msgspec.structs.replace(made, epoch="c-1")
            past.decided(who, made, decoded, moment + 1 + (0 if prompt else away))
    return past


class Reader:
    """What `Following` and the auditor do, without their clients: it reads what stands in the topics at a moment."""

    def __init__(self, past: Past, *, horizon_ms: int) -> None:
        self.histories = Histories(PARTITIONS)
        self.judge = DecisionVerifier(POLICY, self.histories)
        self.waiting = Backlog()
        self.next = dict.fromkeys(range(PARTITIONS), 0)
        self._past = past
        self._read: tuple[int, int] = (0, 0)
        self.begun_count = 0
        self._begin(horizon_ms)

    def _begin(self, horizon_ms: int) -> None:
        self.histories.begin(exact_since_ms=0, horizon_ms=horizon_ms)
        self._read = (0, 0)
        self.begun_count += 1

    def read_on(self, now: int) -> None:
        said, announced = self._read
        while said < len(self._past.registry) and self._past.registry[said].timestamp <= now:
            topic, partition, offset, timestamp, record = self._past.registry[said]
            self.histories.take_registry(
                topic, partition, offset, timestamp, key=key_of(record).encode(), value=encode(record)
            )
            said += 1
        while announced < len(self._past.epochs) and self._past.epochs[announced][0] <= now:
            self.histories.take_epoch(announced, encode(self._past.epochs[announced][1]))
            announced += 1
        self._read = (said, announced)
        self.histories.wills.settle(self.histories.horizon_ms)
        self.histories.measure()

    def take(self, wanted: dict[int, int], now: int) -> Iterator[tuple[int, Made, Verification]]:
        """Judge up to so many decisions of each partition, of those that stand there now."""
        fetched = {
            partition: [one for one in self._past.decisions[partition][self.next[partition] :] if one.written <= now][
                :count
            ]
            for partition, count in wanted.items()
        }
        self.read_on(now)
        decisions = [one.decision for some in fetched.values() for one in some]
        for _ in range(TIMES_READ_MAX):
            dropped = [moment for one in decisions if (moment := self.histories.dropped_ms(one)) is not None]
            if not dropped:
                break
            self._begin(min(dropped) - MARGIN_MS)
            self.read_on(now)
        else:
            raise AssertionError("what was read again is dropped still")
        for partition, some in fetched.items():
            for one in some:
                epoch = self.histories.epoch(one.decision.epoch)
                yield partition, one, self.judge.verify(one.decision, one.event, epoch)
                self.next[partition] = one.offset + 1
                self.waiting.took(partition, one.timestamp)
            left = self._past.decisions[partition][self.next[partition] :]
            if not left or left[0].written > now:
                self.waiting.drained(partition, now)

    def settle(self, now: int) -> None:
        horizon_ms = self.waiting.horizon_ms(now)
        if horizon_ms is not None:
            self.histories.settle(horizon_ms)


def _at_once(past: Past) -> dict[tuple[int, int], Verification]:
    reader = Reader(past, horizon_ms=0)
    end = BEGIN_MS * 2
    return {
        (partition, one.offset): found
        for partition, one, found in reader.take(dict.fromkeys(range(PARTITIONS), BIG), end)
    }


ROUNDS: Final = st.lists(
    st.tuples(
        # partition → how many decisions are fetched of it; one that is not named is held by somebody else
        st.dictionaries(st.integers(0, PARTITIONS - 1), st.integers(0, 3)),
        st.integers(0, 30 * MINUTE_MS),  # and how long until the next
    ),
    max_size=12,
)


@given(steps=STEPS, rounds=ROUNDS, since=st.sampled_from(("begin", "end")))
def test_the_verdicts_are_those_of_one_big_batch(
    steps: list[Step],
    rounds: list[tuple[dict[int, int], int]],
    since: str,
) -> None:
    past = _past(steps)
    expected = _at_once(past)
    end = max([BEGIN_MS, *(one.written for some in past.decisions.values() for one in some)]) + MINUTE_MS
    now = BEGIN_MS if since == "begin" else end
    reader = Reader(past, horizon_ms=BEGIN_MS - MARGIN_MS)
    found: dict[tuple[int, int], Verification] = {}
    for held, pause in [*rounds, (dict.fromkeys(range(PARTITIONS), BIG), 0)]:
        now = end if BIG in held.values() else now
        reader.waiting.assign(held)
        fetched = {one: count for one, count in held.items() if count}
        found |= {(partition, one.offset): judgement for partition, one, judgement in reader.take(fetched, now)}
        reader.settle(now)
        now = min(end, now + pause)
    assert found == expected


@given(steps=STEPS, rounds=ROUNDS)
def test_a_reader_that_keeps_its_partitions_reads_the_registry_once_however_old_what_waits(
    steps: list[Step], rounds: list[tuple[dict[int, int], int]]
) -> None:
    past = _past(steps, prompt=True)
    reader = Reader(past, horizon_ms=BEGIN_MS - MARGIN_MS)
    now = BEGIN_MS + 1_000 * MINUTE_MS
    reader.waiting.assign(range(PARTITIONS))
    for counts, pause in [*rounds, (dict.fromkeys(range(PARTITIONS), BIG), 0)]:
        list(reader.take(counts, now))
        reader.settle(now)
        now += pause
    assert reader.begun_count == 1
