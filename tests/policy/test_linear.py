"""Every function that reads a text does work in proportion to its length, whatever the text: on both paths.

Each reads shapes of some characters and of eight times as many: linear work is eight times as much, quadratic
sixty-four. Work is counted, never timed: in instructions where the kernel counts them (`perf_event_open`), of 5,000 and
40,000 characters; else in instructions of Python and characters given to functions of C, which says nothing of what
goes on within these, so that the native path is counted by the kernel alone.
"""

import ctypes
import json
import os
import re
import struct
import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Final, Literal
from unicodedata import combining, normalize

import pytest

import stream.model.nfkc
import stream.policy.text
from stream.enforce.procedures.links import links
from stream.feed.table_columns import _plain
from stream.model.codec import Undecodable, decode_as, decode_event
from stream.model.events import Sms
from stream.model.fields import digits_of, has_letter_or_number
from stream.model.hiding import hidden
from stream.model.limits import TEXT
from stream.model.nfkc import _RUN_ORDERED, bounded, is_bounded, nfkc
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.policy.reading import TextReader
from stream.policy.text import ProhibitedTerms, SenderIdentity, fold, normal, strip
from stream.registry.registry import registry_of
from tests.deciding.twins import Twins, needs_native
from tests.policy.cases import CONSENTING, LAWFUL, NOON, PORT
from tests.work import instructions

TIMES_MAX: Final = 24
"""Between eight and sixty-four, with room for caches that a longer text does not fit."""

SHAPES: Final[dict[str, Callable[[int], str]]] = {
    "one letter": lambda n: "a" * n,
    "one character": lambda n: "退" * n,
    "digits": lambda n: "1" * n,
    "full-width digits": lambda n: "１" * n,
    "spaces": lambda n: " " * n,
    "dashes": lambda n: "-" * n,
    "dashed digits": lambda n: "9-" * (n // 2),
    "two kinds of marks": lambda n: "\u0301" * (n // 2) + "\u0316" * (n // 2),
    "marks in disorder": lambda n: "\u0301\u0327" * (n // 2),
    "half-width marks": lambda n: "\uff9e\u0323\uff9f\u0301" * (n // 4),
    "letters that become many": lambda n: "\ufdfa" * n,
    "Hangul in parts": lambda n: "\u1100\u1161\u11a8" * (n // 3),
    "beyond the basic plane": lambda n: "\U0001f600" * n,
    "lines": lambda n: "\n" * n,
    "quoted lines": lambda n: "> a\n" * (n // 4),
    "opening marks": lambda n: "“" * n,
    "quotations": lambda n: "“a”" * (n // 3),
    "brackets": lambda n: "【山海" * (n // 3),
    "words of a refusal": lambda n: "回复" * (n // 2),
    "a term that never ends": lambda n: "a.v,博" * (n // 5),
    "links": lambda n: "http://a." * (n // 9),
    "labels of no domain": lambda n: "a." * (n // 4) + "is. " * (n // 8),
    "look-alikes": lambda n: "ас" * (n // 2),
    "dots in disguise": lambda n: "ас.. c c,c\u0332" * (n // 11),
    "letters after a dot": lambda n: ". a b" * (n // 5),
    "schemes": lambda n: "tel:sip:" * (n // 8),
    "escapes and quotes": lambda n: "'\\\"" * (n // 3),
    "zero-width": lambda n: "a\u200b\ufe0f" * (n // 3),
}

POLICY: Final = load()
REGISTRY: Final = registry_of(LAWFUL)
TERMS: Final = ProhibitedTerms(["赌博", "av", "六合彩", "loan shark"])
IDENTITIES: Final = [SenderIdentity(one, read=POLICY.numbering.read) for one in REGISTRY.senders.values()]


def event(text: str) -> bytes:
    """An event whose text every rule of commercial traffic reads."""
    stated = {"sender": "ORG-1", "from": PORT, "purpose": "commercial", "category": "finance"}
    sms = {"kind": "sms", "id": "e", "time": NOON, "to": CONSENTING, **stated, "text": text}
    return json.dumps(sms, ensure_ascii=False).encode()


def read(text: str) -> object:
    reader = TextReader(prohibited=TERMS, opt_out=POLICY.opt_out)
    reading = reader.read(text)
    return reading.opt_out, [reading.identifies(one) for one in IDENTITIES]


def decide(text: str) -> object:
    return Decider(POLICY, REGISTRY).decide(decode_event(event(text)), NOON)


def second_look(text: str) -> object:
    """What is not decoded on the quick way: nulls, halves of surrogates, and what is wrong."""
    fields = {"kind": "sms", "id": "e", "time": NOON, "to": text, "text": None, "sender": "\\ud83d"}
    try:
        return decode_as(Sms, json.dumps(fields).encode())
    except Undecodable as error:
        return str(error)


FUNCTIONS: Final[dict[str, Callable[[str], object]]] = {
    "bounded": bounded,
    "is_bounded": is_bounded,
    "nfkc": nfkc,
    "fold": fold,
    "strip": lambda text: strip(fold(text)),
    "normal": normal,
    "digits_of": digits_of,
    "has_letter_or_number": has_letter_or_number,
    "prohibited terms": lambda text: TERMS.found(fold(text)),
    "reading": read,
    "opt-out hint": POLICY.opt_out.search,
    "replies": POLICY.replies.meant,
    "reply rules": POLICY.replies.meanings,
    "number": POLICY.numbering.read,
    "port": POLICY.numbering._reader.read_port,  # what remembers nothing
    "recipient": POLICY.numbering.recipient,
    "source": lambda text: POLICY.numbering.source(text, internet=False),
    "decision": decide,
    "second look": second_look,
    "links": links,
    "a column's name": _plain,
    "log": hidden,
}


def work_of(do: Callable[[], object]) -> float:
    """How much work it is: instructions where the kernel counts them, else what Python does."""
    return COUNTER(do)


def counted(do: Callable[[], object]) -> float:
    """Instructions of bytecode, and the characters that functions of C are given: of a text's method those of the text,
    of a pattern's those of the longest text at hand. Normalisation puts a run of marks in order in its square.
    """
    count = 0

    def profile(frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event != "c_call":
            return
        of = getattr(function, "__self__", None)
        if isinstance(of, str):
            count += len(of)
        elif isinstance(of, re.Pattern):
            count += max((len(value) for value in frame.f_locals.values() if isinstance(value, str)), default=0)

    def normalized(form: Literal["NFKC"], text: str) -> str:
        nonlocal count
        count += len(text) + sum(len(run) ** 2 for run in _RUN_ORDERED.findall(text) if not is_ordered(run))
        return normalize(form, text)

    do()  # what is made once is no part of it
    with pytest.MonkeyPatch.context() as patched:
        for module in (stream.model.nfkc, stream.policy.text):
            patched.setattr(module, "normalize", normalized)
        sys.setprofile(profile)
        try:
            opcodes = instructions(do)
        finally:
            sys.setprofile(None)
    return max(1_000.0, opcodes + count)


def is_ordered(run: str) -> bool:
    """Whether marks stand in canonical order (Unicode 3.11), so that nothing is moved."""
    classes = [combining(part) for mark in run for part in normalize("NFKD", mark)]
    return all(before <= after or not after for before, after in pairwise(classes))


def instruction_counter() -> Callable[[Callable[[], object]], float] | None:
    """A counter of this thread's instructions in user space; None where the kernel gives none, as most guests' do."""
    if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    hardware, instructions, without_kernel = 0, 1, 1 << 5 | 1 << 6
    attributes = struct.pack("<IIQQQQQ", hardware, 112, instructions, 0, 0, 0, without_kernel).ljust(112, b"\0")
    counter = libc.syscall(298, ctypes.create_string_buffer(attributes), 0, -1, -1, 0)
    if counter < 0:
        return None

    def count(do: Callable[[], object]) -> float:
        before = int.from_bytes(os.read(counter, 8), "little")
        do()
        return max(1e6, float(int.from_bytes(os.read(counter, 8), "little") - before))

    return count


KERNEL_COUNTER: Final = instruction_counter()
COUNTER: Final = KERNEL_COUNTER or counted
MANY: Final = TEXT.most if KERNEL_COUNTER else 3_200
"""Characters of the longer texts: each instruction of Python that is counted takes as long as twenty that are not."""
FEW: Final = MANY // 8


GONE_THROUGH_ONCE: Final = {
    (function, shape)
    for function in ("replies", "reply rules")
    for shape in ("opening marks", "quotations", "escapes and quotes")
}
"""Each search begins where the last one ended, which only the kernel's counter sees."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_work_grows_as_the_text_does(function: str) -> None:
    does = FUNCTIONS[function]
    grown: dict[str, float] = {}
    for name, shape in SHAPES.items():
        if KERNEL_COUNTER is None and (function, name) in GONE_THROUGH_ONCE:
            continue
        few, many = shape(FEW), shape(MANY)
        grown[name] = work_of(lambda many=many: does(many)) / work_of(lambda few=few: does(few))  # type: ignore[misc]
    assert {name: times for name, times in grown.items() if times > TIMES_MAX} == {}


@needs_native
@pytest.mark.skipif(KERNEL_COUNTER is None, reason="the kernel counts no instructions here")
def test_work_of_the_native_path_grows_as_the_text_does() -> None:
    twins = Twins(POLICY, REGISTRY)
    grown: dict[str, float] = {}
    for name, shape in SHAPES.items():
        few, many = ([event(shape(length))] for length in (FEW, MANY))
        twins.agree(many, now=NOON)
        grown[name] = work_of(lambda many=many: twins.agree(many, now=NOON)) / work_of(  # type: ignore[misc]
            lambda few=few: twins.agree(few, now=NOON)  # type: ignore[misc]
        )
    assert {name: times for name, times in grown.items() if times > TIMES_MAX} == {}


def test_the_counter_sees_work_that_is_not_linear() -> None:
    def quadratic(text: str) -> int:
        return sum(text.count("b") for _ in range(len(text)))

    assert work_of(lambda: quadratic("a" * MANY)) > TIMES_MAX * work_of(lambda: quadratic("a" * FEW))
