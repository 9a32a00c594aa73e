"""Native against Python on millions of events, from a seed.

    python -m tests.deciding.differential [--events N] [--seed S] [--seconds T]

Each round makes a small world and some thousands of events: of the vocabulary of `tests.policy.strategies`, of the
sample traffic, and both spoilt: fields exchanged, written in other ways that JSON allows or forbids, bytes changed.
Every decision that the native module gives must be the Python core's, byte for byte; what Python refuses it must leave.
In a third of the worlds it holds wills by partition, and must leave what stands in another than its subscriber's.
Prints how much of it was left. The same seed makes the same events.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from bloom.partition import partition_of
from bloom.wills import CHANNELS
from stream.model.codec import Undecodable, decode_event, decode_file_record, encode
from stream.model.events import Reply
from stream.policy.loading import load
from stream.policy.settings import Policy
from stream.registry.registry import Registry, registry_of
from stream.testbed.sample import REFUSALS_COUNT_MIN, sample
from stream.testbed.texts import own
from stream.testbed.traffic import Traffic
from tests.deciding import spellings
from tests.deciding.twins import PARTITIONS, Twins, partitioned_registry
from tests.policy import strategies as words
from tests.policy.model import Json, Settings, Window
from tests.policy.test_model import policy_of

EVENTS_COUNT: Final = 2_000
"""In one world."""

APART_SHARE: Final = 1 / 3
STRAY_SHARE: Final = 0.02
"""Of the events of a world apart, how many stand in any partition."""

NUMBERS: Final = (*words.FROMS, *words.TOS, *spellings.PLAIN, *spellings.ALL[:: len(spellings.ALL) // 400])
FIELDS: Final[dict[str, tuple[object, ...]]] = {
    "kind": ("sms", "call", "reply", "mms"),
    "id": ("e", "01JD" * 30, "é" * 128, "é" * 129, "x" * 129, "\x7f", "\u2028"),
    "time": (*words.MOMENTS, 0, (1 << 53) - 1, 1 << 53, -1, 1.0, "1"),
    "to": NUMBERS,
    "sender": (*words.SENDERS, "s" * 256, "s" * 257),
    "from": NUMBERS,
    "purpose": (*words.PURPOSES, "number-protection", "Commercial"),
    "category": words.CATEGORIES,
    "campaign": ("P", "Q", "R"),
    "region": words.REGIONS,
    "network": ("telecom", "internet", "other"),
    "platform": (True, False, "yes", 1),
    "presented": (*NUMBERS, *spellings.PRESENTED, "+8640012345", "+861000000"),
    "verstat": (*words.VERSTATS, " TN-Validation-failed", "\u3000TN-Validation-Failed", "TN-Validation-Faıled", " "),
    "origin": ("smsc-1", 'a"b', "é", "o" * 256, "é" * 256, "é" * 257),
    "other": (None, 1, -1, 1.5, 1e30, 12345678901234567890, [], {"a": [1]}, "x", "\\", True),
}
NOTHING: Final = (None, "")
ODD_CHARACTERS: Final = (
    "\u0301\u03a3\u0130\u00b4\u1161\uac00\u11a8\u2026\u3000\u00a0\ufb01\u216b㈱①½℃😀🈚𝐀𠮷\ud7ff\ufeff\u200d"
)
ESCAPES: Final = ("\\n", "\\u9000", "\\ud83d\\ude00", "\\ud800", '\\"', "\\/", "\\x", "\\u12g4", "\\")


WORDS: Final = ("AV", "a-v", "64", "6", "b", "vpn", "ＶＰＮ", "av资源")
WORDED: Final = (
    "have", "AV资源", "a.v", "A,V领", "a, v", "a..v", "1a v", "vav", "av2", "6.4", "64", "164", "6 4", "６４",
    "b", "ab b", "v-p.n", "av" * 20, "vpn", "（av）", "av_", "éav", "a\u0301v", "a\u20e3v",
)  # fmt: skip
OWNED: Final = ("+8695588", "95588", "1069012345", "12345", "+861069", "87654321", "138001380", "+852", "app:")
"""Prefixes of a further sender: some that no number as read begins with."""


def _ordered(number: str, channel: str | None) -> Json:
    order: Json = {"kind": "order", "order": "O-5", "measure": "suspend", "from": 0, "basis": "measures"}
    return {**order, "number": number, "channel": channel}


def _owner(prefix: str, channel: str) -> Json:
    number = {"prefix": prefix, "channel": channel, "purposes": ["service", "commercial", "number-protection"]}
    return {**words.LAWFUL[0], "sender": "C", "contact": "+86 10 8765 4321", "numbers": [number]}


class Source:
    """Worlds and events from one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self._numbering = load().numbering
        few = sample(now=words.NOON, refusals_count=REFUSALS_COUNT_MIN, silent_count=1_000)
        said = [repeated.expression(index) for repeated in few.expressions for index in repeated.who]
        records = [*few.records(), *said]
        self._sample_registries = {make: make(records) for make in (registry_of, partitioned_registry)}
        self._traffic = Traffic(few, own(), seed=seed)

    def world(self) -> tuple[Policy, Registry]:
        """A policy and a registry, which a part of the events is made for."""
        draw = self.draw
        hours = tuple(
            Window(
                draw.choice(CHANNELS),
                draw.choice((0, 8 * 60, 22 * 60)),
                draw.choice((7 * 60, 21 * 60, 24 * 60)),
                draw.choice(("Asia/Shanghai", "America/New_York")),
                draw.choice(((), ("finance",))),
            )
            for _ in range(draw.randrange(3))
        )
        policy = policy_of(Settings(draw.random() < 0.7, draw.random() < 0.5, hours))
        make = partitioned_registry if draw.random() < APART_SHARE else registry_of
        if draw.random() < 0.2:
            return policy, self._sample_registries[make]
        raws = [*words.LAWFUL, *draw.sample(words.SPOILERS, draw.randrange(4))]
        raws += [_ordered(draw.choice(NUMBERS), draw.choice((None, *CHANNELS)))] * (draw.random() < 0.4)
        raws += [_owner(draw.choice(OWNED), draw.choice(CHANNELS))] * (draw.random() < 0.4)
        raws += [{"kind": "wordlist", "list": "L", "terms": draw.sample((*words.TERMS, *WORDS), 3)}] * (
            draw.random() < 0.5
        )
        return policy, make([decode_file_record(json.dumps(raw).encode()) for raw in raws])

    def lines(self, count: int) -> list[bytes]:
        """Events, of which about a half are spoilt."""
        draw = self.draw
        lines = [encode(event) for event in self._traffic.events(count // 4, now=words.NOON)]
        lines += [self._spelt(self._of_the_vocabulary()) for _ in range(count - len(lines))]
        draw.shuffle(lines)
        return [self._spoilt(line) if draw.random() < 0.4 else line for line in lines]

    def dealt(self, lines: Sequence[bytes]) -> Mapping[int, Sequence[bytes]]:
        """The lines by their subscribers' partitions, but for a few."""
        dealt: defaultdict[int, list[bytes]] = defaultdict(list)
        for line in lines:
            partition = self.draw.randrange(PARTITIONS)
            if self.draw.random() > STRAY_SHARE:
                with suppress(Undecodable):
                    event = decode_event(line)
                    number = event.from_ if isinstance(event, Reply) else event.to
                    partition = partition_of(self._numbering.recipient(number)[1], PARTITIONS)
            dealt[partition].append(line)
        return dealt

    def _of_the_vocabulary(self) -> Json:
        draw = self.draw
        kind = draw.choice(("sms", "sms", "sms", "call", "call", "reply"))
        purpose = draw.choice(words.LIKELY_PURPOSES)
        raw: Json = {"kind": kind, "id": f"e-{draw.randrange(10**6)}", "time": words.NOON, "to": words.SUBSCRIBERS[0]}
        raw["from"] = "1069012345" if kind == "sms" else "+861082345678"
        if draw.random() < 0.8:
            raw |= {"sender": "A", "purpose": purpose, "category": "finance"}
        if kind != "call":
            raw["text"] = self._text()
        if kind == "sms":
            raw |= {"campaign": draw.choice(("P", "Q", None)), "region": draw.choice(words.REGIONS)}
        for _ in range(draw.choice((0, 0, 1, 1, 2, 3))):
            name = draw.choice(tuple(FIELDS))
            raw[name] = draw.choice((*FIELDS[name], *NOTHING) if draw.random() < 0.9 else NOTHING)
        return raw

    def _text(self) -> str:
        draw = self.draw
        if draw.random() < 0.4:
            return draw.choice(
                (
                    "【某行】某某银行 +86 (10) 8765−4321 退订",
                    "【某行】某某银行 95588 10690123 拒收请回复TD",
                    words.CAMPAIGN_TEXTS[0],
                    "某行 95588 退订",
                )
            )
        pieces = [draw.choice((*words.PIECES, *WORDED)) for _ in range(draw.randrange(7))]
        if draw.random() < 0.05:
            pieces.append(
                draw.choice(("\ufe0f", "\u20e3", "\u0903", "\ufe0f\u20e3")) * draw.choice((1, 15, 16, 30, 31, 32))
            )
        if draw.random() < 0.05:
            pieces.append(
                draw.choice(("010-87654321", "+86 (10) 8765−4321", "1087654321", "87654321", "8610 87654321"))
            )
        if draw.random() < 0.2:
            pieces.insert(draw.randrange(len(pieces) + 1), draw.choice(ODD_CHARACTERS))
        if draw.random() < 0.05:
            pieces.append(chr(draw.choice((*range(0x20, 0xD800), *range(0xE000, 0x11000)))))
        return "".join(pieces)

    def _spelt(self, raw: Json) -> bytes:
        """One of the ways in which JSON may write it."""
        draw = self.draw
        names = list(raw)
        if draw.random() < 0.3:
            draw.shuffle(names)
        separators = draw.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\n", "\t:\r ")))
        text = json.dumps({name: raw[name] for name in names}, ensure_ascii=draw.random() < 0.1, separators=separators)
        return text.encode("utf-8", "surrogatepass")

    def _spoilt(self, line: bytes) -> bytes:
        change: Callable[[bytes], bytes] = self.draw.choice(
            (self._flip, self._cut, self._repeat, self._escape, self._name_twice, self._insert)
        )
        return change(line)

    def _flip(self, line: bytes) -> bytes:
        changed = bytearray(line)
        for _ in range(self.draw.choice((1, 1, 1, 2, 4))):
            at = self.draw.randrange(len(changed))
            changed[at] = self.draw.choice((self.draw.randrange(256), changed[at] ^ 1, ord('"'), ord(" ")))
        return bytes(changed)

    def _cut(self, line: bytes) -> bytes:
        begin = self.draw.randrange(len(line))
        return line[:begin] + line[begin + self.draw.choice((1, 1, 2, 10, len(line))) :]

    def _repeat(self, line: bytes) -> bytes:
        begin, end = sorted(self.draw.randrange(len(line) + 1) for _ in range(2))
        return line[:end] + line[begin:end] + line[end:]

    def _escape(self, line: bytes) -> bytes:
        at = self.draw.randrange(len(line))
        return line[:at] + self.draw.choice(ESCAPES).encode() + line[at:]

    def _name_twice(self, line: bytes) -> bytes:
        name = self.draw.choice(tuple(FIELDS))
        value = json.dumps(self.draw.choice((*FIELDS[name], *NOTHING)), ensure_ascii=False)
        return line.rstrip()[:-1] + f',"{name}":{value}}}'.encode()

    def _insert(self, line: bytes) -> bytes:
        at = self.draw.randrange(len(line) + 1)
        return line[:at] + bytes(self.draw.randrange(256) for _ in range(self.draw.choice((1, 1, 3)))) + line[at:]


def round_of(source: Source, count: int = EVENTS_COUNT) -> int:
    """One world's events decided both ways; returns how many were left to Python. Raises AssertionError."""
    twins = Twins(*source.world())
    twins.decider.settle(stale=source.draw.random() < 0.1, epoch="differential")
    lines, now = source.lines(count), source.draw.choice(words.MOMENTS)
    if twins.registry.held is None:
        return len(twins.agree(lines, now=now))
    dealt = source.dealt(lines)
    return sum(len(twins.agree(some, now=now, partition=partition)) for partition, some in dealt.items())


def main() -> None:
    """Run rounds until so many events were compared, or so many seconds have passed."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=600.0)
    asked = arguments.parse_args()
    source, begun, compared, left = Source(asked.seed), time.monotonic(), 0, 0
    while compared < asked.events and time.monotonic() - begun < asked.seconds:
        left += round_of(source)
        compared += EVENTS_COUNT
    print(  # noqa: T201  # a program
        f"seed {asked.seed}: {compared:,} events decided alike; {left / compared:.1%} of them were left to Python"
    )


if __name__ == "__main__":
    main()
