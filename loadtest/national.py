"""The bitmaps at the size of a country: `python -m loadtest.bitmaps --national`.

Half a billion refusals and two hundred million consents to five thousand senders, over the numbers of `number_plan`:
what it takes to build, write and load them, what workers that share them take, how quickly expressions are applied and
questions answered, and how long a program needs from its start to its first decision. Each stage is a process of its
own, so that one's memory does not hide in another's. Memory is Pss, a process's own and its share of what it shares, so
it adds up. Times are processor time of the process but for files and starts, which are measured in wall time.

Must stay under `MEMORY_GIB_MAX`. Needs no broker, and so is no scenario: those run on a cluster.
"""

import argparse
import gc
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from pyroaring import BitMap64

from bloom import snapshot
from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn, to_text
from bloom.sets import ScopedBitmap, bitmap_of
from bloom.snapshot import SnapshotMeta
from bloom.wills import EVERYTHING, ExpressionRow, Scope, Stance, StanceProbe
from loadtest import machine
from loadtest.forked import ask as ask_child
from loadtest.forked import fork, memory_bytes
from loadtest.national_report import Built, FoldRate, Loaded, LookUp, Report, Worker
from loadtest.number_plan import NumberPlan
from stream.model.codec import encode
from stream.model.events import Sms
from stream.model.registry import NumberEntry, Sender
from stream.model.topics import SENDERS
from stream.testbed.processes import wurao_command

REFUSALS_COUNT: Final = 500_000_000
PAIRS_COUNT: Final = 200_000_000
SENDERS_COUNT: Final = 5_000
CATEGORIES: Final = ("general", "finance", "insurance", "education", "real-estate", "retail", "telecom", "travel")

WORKERS_COUNT: Final = 4
UPDATES_PER_S: Final = 500
"""A busy hour: one in a thousand subscribers says something."""
UPDATES_S: Final = 3_600
EVERYTHING_SHARE: Final = 0.5

BATCH: Final = 10_000
ASKED_COUNT: Final = 200_000
NOW: Final = 1_795_500_000_000

MEMORY_GIB_MAX: Final = 10.0


Stage = TypeVar("Stage", bound=msgspec.Struct)


def run(*, scale: float) -> Report:
    """Measure everything; `scale` makes all of it smaller, for a look."""
    described = machine.describe(kafka="none")
    with tempfile.TemporaryDirectory(prefix="wurao-national-") as name:
        directory = Path(name)
        built = _stage("build", Built, directory, scale)
        loaded_refusals = _stage("load", Loaded, directory / "refusals.snapshot", scale)
        loaded = _stage("load", Loaded, directory / "whole.snapshot", scale)
        sharing = _stage("share", _Sharing, directory / "whole.snapshot", scale)
        asked = _stage("ask", _Asked, directory / "whole.snapshot", scale)
        return Report(
            machine=described,
            scale=scale,
            built=built,
            loaded_refusals=loaded_refusals,
            loaded=loaded,
            workers=sharing.workers,
            updates_per_s=UPDATES_PER_S,
            updates_s=UPDATES_S,
            supervisor_bytes=sharing.supervisor_bytes,
            folds=asked.folds,
            look_ups=asked.look_ups,
            first_decision_s=_first_decision(directory),
        )


def _stage(name: str, kind: type[Stage], path: Path, scale: float) -> Stage:
    """One stage in a process of its own."""
    note(f"{name} {path.name if path.is_file() else ''}")
    command = [sys.executable, "-m", "loadtest.national", name, str(path), str(scale)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=kind)


def note(text: str) -> None:
    """Progress, on stderr: stdout is for figures."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


# The stages


def build(directory: Path, scale: float) -> Built:
    """Draw, build and write."""
    plan = NumberPlan(scale=scale)
    empty = memory_bytes()
    started = time.process_time()
    refusals = BitMap64()
    for numbers in plan.refusing(round(REFUSALS_COUNT * scale)):
        refusals |= bitmap_of(numbers)
    alone = Wills.of_bitmaps([ScopedBitmap("sms", "refusal", EVERYTHING, refusals)])
    with_refusals = memory_bytes()
    note(f"refusals: {len(refusals):,}, {(with_refusals - empty) / 2**20:,.0f} MiB")
    snapshot.write(directory / "refusals.snapshot", meta=_META, wills=alone, records=[])
    consents = [
        ScopedBitmap("sms", "consent", _pair(rank), bitmap_of(numbers))
        for rank, numbers in enumerate(plan.consenting(round(PAIRS_COUNT * scale), SENDERS_COUNT))
    ]
    wills = Wills.of_bitmaps([*alone.scopes(), *consents])
    build_s = time.process_time() - started
    full = memory_bytes()
    pairs_count = sum(len(entry.bitmap) for entry in consents)
    pair_bytes = sum(entry.bitmap.__sizeof__() for entry in consents)
    note(f"consents: {pairs_count:,}, {(full - with_refusals) / 2**20:,.0f} MiB")
    began = time.perf_counter()
    file_bytes = snapshot.write(directory / "whole.snapshot", meta=_META, wills=wills, records=_sender_records())
    return Built(
        refusals_count=len(refusals),
        pairs_count=pairs_count,
        range_size=plan.range_size,
        in_use_count=plan.in_use_count,
        refusal_bits=8 * refusals.__sizeof__() / len(refusals),
        refusal_bytes=refusals.__sizeof__(),
        pair_bytes=pair_bytes / pairs_count,
        memory_per_pair_bytes=(full - with_refusals) / pairs_count,
        memory_bytes=full - empty,
        build_s=build_s,
        file_bytes=file_bytes,
        write_s=time.perf_counter() - began,
    )


def load(path: Path, _scale: float) -> Loaded:
    """Read a file, as a worker's supervisor does. It is in the page cache."""
    before = memory_bytes()
    started = time.perf_counter()
    kept = snapshot.read(path)
    load_s = time.perf_counter() - started
    found = memory_bytes() - before
    assert kept.wills is not None
    return Loaded(load_s, found)


class _Sharing(msgspec.Struct, frozen=True):
    workers: tuple[Worker, ...]
    supervisor_bytes: int


def share(path: Path, scale: float) -> _Sharing:
    """Workers forked over one base, each with the same hour of updates, as every worker follows the whole topic."""
    base = snapshot.read(path).wills
    plan = NumberPlan(scale=scale)
    overlay = Overlay(base)
    gc.collect()
    gc.freeze()
    count = round(UPDATES_PER_S * UPDATES_S * scale)
    children = [fork(lambda: _hour(overlay, plan, count)) for _ in range(WORKERS_COUNT)]
    for answers, _ in children:  # all are there before any is measured: each takes its share
        assert answers.read(1) == b"r"
    before = [ask_child(answers, go) for answers, go in children]
    updated = [msgspec.json.decode(ask_child(answers, go), type=tuple[int, float]) for answers, go in children]
    after = [ask_child(answers, go) for answers, go in children]
    supervisor = memory_bytes()
    for answers, go in children:
        go.close()
        answers.close()
    for _ in children:
        os.wait()
    return _Sharing(
        tuple(
            Worker(int(first), int(last), changes, cpu_s)
            for first, last, (changes, cpu_s) in zip(before, after, updated, strict=True)
        ),
        supervisor,
    )


def _hour(overlay: Overlay, plan: NumberPlan, count: int) -> Iterator[str]:
    yield str(memory_bytes())
    rng = random.Random(1)
    cpu_s = 0.0
    for _ in range(0, count, BATCH):
        batch = _batch(plan, rng, EVERYTHING_SHARE)
        started = time.process_time()
        overlay.apply(batch)
        cpu_s += time.process_time() - started
    gc.collect()
    yield msgspec.json.encode((count, cpu_s)).decode()
    yield str(memory_bytes())


class _Asked(msgspec.Struct, frozen=True):
    folds: tuple[FoldRate, ...]
    look_ups: tuple[LookUp, ...]


def ask(path: Path, scale: float) -> _Asked:
    """Words in, and questions, over the whole base."""
    base = snapshot.read(path).wills
    plan = NumberPlan(scale=scale)
    gc.collect()
    gc.freeze()
    rng = random.Random(2)
    plain = {rank: base.probe("sms", *_named(rank)) for rank in range(SENDERS_COUNT)}
    looks = [
        LookUp("base, 100 numbers again and again: in cache", _asking(plain, plan, rng, distinct=100)),
        LookUp("base, numbers and senders at random: out of cache", _asking(plain, plan, rng, distinct=ASKED_COUNT)),
    ]
    folds = [FoldRate(share, _folding(Overlay(base), plan, share)) for share in (0.0, 0.5, 0.9, 1.0)]
    overlay = Overlay(base)
    for _ in range(0, round(UPDATES_PER_S * UPDATES_S * scale), BATCH):
        overlay.apply(_batch(plan, rng, EVERYTHING_SHARE))
    layered = {rank: overlay.probe("sms", *_named(rank)) for rank in range(SENDERS_COUNT)}
    looks += [
        LookUp("after an hour of updates, in cache", _asking(layered, plan, rng, distinct=100)),
        LookUp("after an hour of updates, at random", _asking(layered, plan, rng, distinct=ASKED_COUNT)),
        LookUp("while 1,000 updates come between 2,000 questions, at random", _churning(overlay, layered, plan, rng)),
    ]
    return _Asked(tuple(folds), tuple(looks))


def _first_decision(directory: Path) -> float:
    """`wurao decide` of one event with the whole file, from its start to its answer."""
    event = Sms(
        id="first", time=NOW, to=to_text(Msisdn(8_613_100_000_001)), sender="ORG-0", from_="106900000000",
        purpose="commercial", category=CATEGORIES[0], text="",
    )  # fmt: skip
    file = directory / "event.ndjson"
    file.write_bytes(encode(event) + b"\n")
    note("first decision")
    command = wurao_command("decide", file, "--registry")
    started = time.perf_counter()
    with subprocess.Popen([*command, str(directory / "whole.snapshot")], stdout=subprocess.PIPE) as deciding:
        assert deciding.stdout is not None
        answer = deciding.stdout.readline()
        took_s = time.perf_counter() - started
        deciding.kill()
    assert b'"decision"' in answer
    return took_s


# What the stages share

_META: Final = SnapshotMeta(cluster="national", created_ms=NOW, topics={})


def _pair(rank: int) -> Scope:
    return Scope(*_named(rank))


def _named(rank: int) -> tuple[str, str]:
    return f"ORG-{rank}", CATEGORIES[rank % len(CATEGORIES)]


def _sender_records() -> Iterator[tuple[str, bytes, bytes]]:
    for rank in range(SENDERS_COUNT):
        name, category = _named(rank)
        entry = NumberEntry(f"10690{rank:07}", "sms", ("commercial",), (category,))
        record = Sender(sender=name, name=f"商家{rank}", contact=f"95{rank:04}", status="active", numbers=(entry,))
        yield SENDERS, name.encode(), encode(record)


def _some_sender(rng: random.Random) -> int:
    """A rank by Zipf's law: large senders send more."""
    return int(SENDERS_COUNT ** rng.random()) - 1


def _batch(plan: NumberPlan, rng: random.Random, everything_share: float) -> list[ExpressionRow]:
    """Words of subscribers at random: refusals of everything, and consents, refusals and lifts of one sender."""
    batch: list[ExpressionRow] = []
    for number in plan.asked(BATCH):
        if rng.random() < everything_share:
            batch.append(ExpressionRow(Msisdn(number), "sms", "refuse", None, None))
            continue
        sender, category = _named(_some_sender(rng))
        match rng.randrange(4):
            case 0 | 1:
                batch.append(ExpressionRow(Msisdn(number), "sms", "consent", sender, category))
            case 2:
                batch.append(ExpressionRow(Msisdn(number), "sms", "refuse", sender, None))
            case _:
                batch.append(ExpressionRow(Msisdn(number), "sms", "lift", sender, None))
    return batch


def _folding(overlay: Overlay, plan: NumberPlan, everything_share: float) -> float:
    """Expressions a second, over thirty batches that follow each other."""
    rng = random.Random(3)
    batches = [_batch(plan, rng, everything_share) for _ in range(30)]
    started = time.process_time()
    for batch in batches:
        overlay.apply(batch)
    return sum(map(len, batches)) / (time.process_time() - started)


Question = tuple[Callable[[Msisdn], Stance], Msisdn]


def _questions(
    probes: dict[int, StanceProbe], plan: NumberPlan, rng: random.Random, *, distinct: int, count: int = ASKED_COUNT
) -> list[Question]:
    numbers = plan.asked(distinct)
    pairs: list[Question] = [(probes[_some_sender(rng)].stance, Msisdn(number)) for number in numbers]
    return pairs * (count // distinct)


def _asking(probes: dict[int, StanceProbe], plan: NumberPlan, rng: random.Random, *, distinct: int) -> float:
    """Nanoseconds a question, a Python loop included. Each pass asks others, so that the cache knows none of them."""
    times = [_timed(_questions(probes, plan, rng, distinct=distinct)) for _ in range(3)]
    return min(times) / ASKED_COUNT * 1e9


def _timed(questions: Sequence[Question]) -> float:
    started = time.process_time()
    for stance, number in questions:
        stance(number)
    return time.process_time() - started


def _churning(overlay: Overlay, probes: dict[int, StanceProbe], plan: NumberPlan, rng: random.Random) -> float:
    spent, rounds = 0.0, 100
    updates = [_batch(plan, rng, EVERYTHING_SHARE) for _ in range(rounds // 10)]
    for turn in range(rounds):
        questions = _questions(probes, plan, rng, distinct=2_000, count=2_000)
        place = turn % 10 * 1_000
        overlay.apply(updates[turn // 10][place : place + 1_000])
        spent += _timed(questions)
    return spent / (rounds * 2_000) * 1e9


_STAGES: Final[dict[str, Callable[[Path, float], msgspec.Struct]]] = {
    "build": build,
    "load": load,
    "share": share,
    "ask": ask,
}


def main() -> None:
    """One stage; its figures go to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=_STAGES)
    parser.add_argument("path", type=Path)
    parser.add_argument("scale", type=float)
    arguments = parser.parse_args()
    limit = int(MEMORY_GIB_MAX * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.stdout.buffer.write(msgspec.json.encode(_STAGES[arguments.stage](arguments.path, arguments.scale)))


if __name__ == "__main__":
    main()
