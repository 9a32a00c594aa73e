"""What one event costs on the hot path: decode, decide, encode, in microseconds on one core.

    python -m loadtest.decide [--profile]

The traffic is a made-up average day of a carrier's gateways: mostly commercial and service SMS of some forty
characters, each with a personal part (a name, an amount, a date) so that texts hardly repeat; calls, personal
SMS and replies. The registry holds 100,000 wills, 400 senders and a word list of 5,000 terms. No Kafka: `filter`
is measured elsewhere. Promises the same traffic for the same seed.
"""

import argparse
import cProfile
import pstats
import random
import statistics
import time
from collections import Counter
from typing import Final, NamedTuple

from stream.model.codec import decode_event, encode
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Purpose
from stream.model.registry import Expression, NumberEntry, Record, Sender, Wordlist
from stream.policy.decide import Decider, decide
from stream.policy.loading import load
from stream.registry.registry import registry_of

NOW: Final = 1_795_500_000_000
EVENTS_COUNT: Final = 50_000
ROUNDS_COUNT: Final = 7
PLAIN_COUNT: Final = 5_000
BATCH_COUNT: Final = 500
CONSENTING_SHARE: Final = 0.5
"""Of commercial SMS, how many go to somebody who consented, as far as no later refusal came."""
WILLS_COUNT: Final = 100_000
SENDERS_COUNT: Final = 400
TERMS_COUNT: Final = 5_000
SUBSCRIBERS: Final = range(8613800000000, 8613800200000)
CATEGORIES: Final = ("finance", "retail", "education", "travel")
MIX: Final = {"commercial": 40, "service": 30, "personal": 12, "call": 15, "reply": 3}
"""Events in a hundred, by kind."""
CHARACTERS: Final = "春眠不觉晓处闻啼鸟夜来风雨声花落知多少白日依山尽黄河入海流欲穷千里目更上一层楼"


class Stage(NamedTuple):
    """One stage of the path and its cost."""

    name: str
    microseconds: float


def traffic(seed: int = 1) -> tuple[list[Record], list[bytes], list[bytes]]:
    """The registry's records, events to warm up with, and events to measure, encoded, in order."""
    draw = random.Random(seed)
    wills = _wills(draw)
    records: list[Record] = [*_senders(), _terms(draw), *wills]
    consents = [will for will in wills if will.will == "consent" and will.channel == "sms"]
    lines = [encode(_event(draw, n, consents)) for n in range(2 * EVENTS_COUNT)]
    return records, lines[:EVENTS_COUNT], lines[EVENTS_COUNT:]


def measure(records: list[Record], warming: list[bytes], lines: list[bytes]) -> list[Stage]:
    """The cost of each stage, batch by batch as the filter works: the median of several rounds.

    Each round has a `Decider` of its own, which knows the routes but has seen no text.
    """
    registry, policy = registry_of(records), load()
    rounds: list[list[float]] = []
    for _ in range(ROUNDS_COUNT):
        decider = Decider(policy, registry)
        for line in warming:
            decider.decide(decode_event(line), NOW)
        decode_s = decide_s = encode_s = 0.0
        for batch in batched(lines):
            begun = time.process_time()  # not the wall: other processes share the machine
            events = [decode_event(line) for line in batch]
            decoded = time.process_time()
            decisions = decider.decide_all(events, NOW)
            decided = time.process_time()
            for decision in decisions:
                encode(decision)
            encode_s += time.process_time() - decided
            decide_s += decided - decoded
            decode_s += decoded - begun
        rounds.append([decode_s, decide_s, encode_s])
    medians = map(statistics.median, zip(*rounds, strict=True))
    return [
        Stage(name, seconds / len(lines) * 1e6)
        for name, seconds in zip(("decode", "decide", "encode"), medians, strict=True)
    ]


def by_kind(decider: Decider, lines: list[bytes]) -> list[Stage]:
    """The cost of the decision alone, per kind of event. The routes are known."""
    spent: dict[str, list[float]] = {}
    for batch in batched(sorted(lines, key=lambda line: _kind(decode_event(line)))):
        events = [decode_event(line) for line in batch]
        begun = time.process_time()
        decider.decide_all(events, NOW)
        spent.setdefault(_kind(events[0]), []).append((time.process_time() - begun) / len(events))
    return [Stage(f"decide {kind}", statistics.median(costs) * 1e6) for kind, costs in spent.items()]


def by_plain_table(decider: Decider, lines: list[bytes]) -> Stage:
    """The cost of the same decisions by the plain table, every fact computed again: what the quick way saves."""
    events = [decode_event(line) for line in lines[:PLAIN_COUNT]]
    begun = time.process_time()
    for event in events:
        decide(event, decider.world, NOW)
    return Stage("decide, plain table", (time.process_time() - begun) / len(events) * 1e6)


def batched(lines: list[bytes]) -> list[list[bytes]]:
    """The lines in batches of the size that a consumer hands out."""
    return [lines[at : at + BATCH_COUNT] for at in range(0, len(lines), BATCH_COUNT)]


def main() -> None:
    """Print the cost per stage and kind of event; with --profile, what dominates the decision."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--profile", action="store_true", help="also run the decision under cProfile")
    profile = arguments.parse_args().profile
    records, warming, lines = traffic()
    stages = measure(records, warming, lines)
    decider = Decider(load(), registry_of(records))
    reasons = Counter(decider.decide(decode_event(line), NOW).reason for line in warming)
    for stage in (
        *stages,
        Stage("in all", sum(stage.microseconds for stage in stages)),
        *by_kind(decider, lines),
        by_plain_table(decider, lines),
    ):
        print(f"{stage.name:<24}{stage.microseconds:6.2f} µs an event")
    print(", ".join(f"{reason} {count / len(warming):.1%}" for reason, count in reasons.most_common()))
    if profile:
        events = [decode_event(line) for line in lines]
        with cProfile.Profile() as watch:
            for batch in (events[at : at + BATCH_COUNT] for at in range(0, len(events), BATCH_COUNT)):
                decider.decide_all(batch, NOW)
        pstats.Stats(watch).sort_stats("tottime").print_stats(18)


def _kind(event: Event) -> str:
    match event:
        case Sms():
            return f"sms {event.purpose or 'personal'}"
        case Call():
            return "call"
        case Reply():
            return "reply"


def _senders() -> list[Sender]:
    return [
        Sender(
            sender=f"ORG-{n}",
            name=f"商家{n}",
            contact=f"95{n:04}",
            status="active",
            numbers=(
                _entry(f"10690{n:04}1", ("commercial",)),
                _entry(f"10690{n:04}2", ("service",)),
                NumberEntry(prefix=f"+86108{n:07}", channel="call", purposes=("commercial", "service")),
            ),
        )
        for n in range(SENDERS_COUNT)
    ]


def _entry(prefix: str, purposes: tuple[Purpose, ...]) -> NumberEntry:
    return NumberEntry(prefix=prefix, channel="sms", purposes=purposes)


def _terms(draw: random.Random) -> Wordlist:
    terms = ("禁" + "".join(draw.choices(CHARACTERS, k=draw.randint(1, 4))) for _ in range(TERMS_COUNT))
    return Wordlist(list="bench", terms=tuple(terms))


def _wills(draw: random.Random) -> list[Expression]:
    return [
        Expression(
            subscriber=f"+{draw.choice(SUBSCRIBERS)}",
            channel=draw.choice(("sms", "call")),
            will="consent",
            time=NOW,
            source="bench",
            sender=f"ORG-{draw.randrange(SENDERS_COUNT)}",
            category=draw.choice(CATEGORIES),
        )
        if draw.random() < 0.5
        else Expression(
            subscriber=f"+{draw.choice(SUBSCRIBERS)}",
            channel=draw.choice(("sms", "call")),
            will="refuse",
            time=NOW,
            source="bench",
        )
        for _ in range(WILLS_COUNT)
    ]


def _event(draw: random.Random, number: int, consents: list[Expression]) -> Event:
    (kind,) = draw.choices(tuple(MIX), weights=tuple(MIX.values()))
    org = draw.randrange(SENDERS_COUNT)
    id_, to = f"01JD{number:022}", f"+{draw.choice(SUBSCRIBERS)}"
    if kind == "reply":
        text = draw.choice(("TD", "好的", "退订", "谢谢"))
        return Reply(id=id_, time=NOW, from_=to, to=f"10690{org:04}1", text=text)
    if kind == "personal":
        return Sms(id=id_, time=NOW, to=to, from_=f"+{draw.choice(SUBSCRIBERS)}", purpose="personal", origin="smsc-3")
    if kind == "call":
        purpose: Purpose = draw.choice(("personal", "service", "commercial"))
        from_ = f"+{draw.choice(SUBSCRIBERS)}" if purpose == "personal" else f"+86108{org:07}"
        sender = None if purpose == "personal" else f"ORG-{org}"
        return Call(id=id_, time=NOW, to=to, sender=sender, from_=from_, purpose=purpose, category="finance")
    category = draw.choice(CATEGORIES)
    if kind == "commercial" and draw.random() < CONSENTING_SHARE:
        # So that as many run the whole table as a sender with an honest list would have.
        consent = draw.choice(consents)
        org, to = int((consent.sender or "").removeprefix("ORG-")), consent.subscriber
        category = consent.category or category
    return Sms(
        id=id_,
        time=NOW,
        to=to,
        sender=f"ORG-{org}",
        from_=f"10690{org:04}{1 if kind == 'commercial' else 2}",
        purpose="commercial" if kind == "commercial" else "service",
        category=category,
        text=f"【商家{org}】尊敬的{''.join(draw.choices(CHARACTERS, k=3))}:您有{draw.randrange(10_000)}元"
        f"{''.join(draw.choices(CHARACTERS, k=10))},详询95{org:04},拒收请回复TD",
        network="telecom",
        origin="smsc-3",
    )


if __name__ == "__main__":
    main()
