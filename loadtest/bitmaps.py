"""What the bitmaps cost: memory, load time, look-ups, the fold, partitions. Run `python -m loadtest.bitmaps`.

With `--national` the same at the size of a country (`national.py`), which takes minutes and gigabytes.

Seeded, so that two runs do the same work; each part takes seconds. Files are timed by the wall; all
else is CPU time of the process, the best of a few passes, for machines are shared. Must never need a broker.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn, parse, to_text
from bloom.partition import partition_of, partitions_of
from bloom.sets import bitmap_of
from bloom.snapshot import SnapshotMeta, read, write
from bloom.wills import EVERYTHING, ExpressionRow, Kind, Scope, StanceProbe
from loadtest import national, national_report, partition_bitmaps

SEED: Final = 20_261_125
FIRST: Final = 8_613_000_000_000
RANGE: Final = 200_000_000
SENDERS_COUNT: Final = 5_000
BATCH: Final = 10_000
PASSES: Final = 5


@dataclass(frozen=True, slots=True)
class Density:
    """Numbers drawn at random from a range, as one refusal of everything."""

    numbers_count: int
    range_size: int
    build_s: float
    bits_per_number: float
    snapshot_bytes: int
    write_s: float
    load_s: float
    """From the file, checksums included."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one number takes in one operation."""

    what: str
    ns: float


@dataclass(frozen=True, slots=True)
class FoldRate:
    """Expressions folded in batches, each about another number, a share of them refusals of everything."""

    store: str
    everything_share: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of this file."""

    density: Density
    look_ups: tuple[Cost, ...]
    folds: tuple[FoldRate, ...]
    texts: tuple[Cost, ...]


def run() -> Report:
    """Measure everything, one after the other."""
    return Report(density(), look_ups(), folds(), texts())


def density(numbers_count: int = 50_000_000, range_size: int = RANGE) -> Density:
    """Size and load time of one large bitmap."""
    numbers = _drawn(numbers_count, range_size)
    started = time.perf_counter()
    wills = Wills.of_arrays([("sms", "refusal", EVERYTHING, numbers)])
    build_s = time.perf_counter() - started
    bits = 8 * wills.stats().serialised_bytes / len(numbers)
    meta = SnapshotMeta(cluster="bench", created_ms=0, topics={})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bench.snapshot"
        started = time.perf_counter()
        size = write(path, meta=meta, wills=wills, records=[])
        write_s = time.perf_counter() - started
        load_s = _best(lambda: read(path), clock=time.perf_counter)
    return Density(len(numbers), range_size, build_s, bits, size, write_s, load_s)


def look_ups() -> tuple[Cost, ...]:
    """One probe with refusals of everything and consents to the pair, asked of numbers all over the range."""
    rng = random.Random(SEED)
    refused = _drawn(20_000_000, RANGE)
    consented = _drawn(2_000_000, RANGE)
    base = Wills.of_arrays(
        [
            ("sms", "refusal", EVERYTHING, refused),
            ("sms", "consent", Scope("ORG-1", "finance"), consented),
        ]
    )
    known = bitmap_of(refused) | bitmap_of(consented)
    everybody = [Msisdn(FIRST + rng.randrange(RANGE)) for _ in range(100_000)]
    silent = [number for number in everybody if number not in known]
    plain = base.probe("sms", "ORG-1", "finance")
    overlay = Overlay(base)
    touched = [Msisdn(int(number)) for number in rng.sample(silent, 10_000)]
    overlay.apply([ExpressionRow(number, "sms", "consent", "ORG-2", "finance") for number in touched[:5_000]])
    overlay.apply([ExpressionRow(number, "sms", "refuse", None, None) for number in touched[5_000:]])
    layered = overlay.probe("sms", "ORG-1", "finance")
    return (
        Cost("base, one silent number again and again", _probing(plain, silent[:1] * 10_000)),
        Cost("base, silent number", _probing(plain, silent)),
        Cost("base, refused number", _probing(plain, _some(refused))),
        Cost("base, consented number", _probing(plain, _some(consented))),
        Cost("base and overlay, untouched silent number", _probing(layered, silent)),
        Cost("base and overlay, touched silent number", _probing(layered, touched[:5_000])),
        Cost("base and overlay, number that refused since", _probing(layered, touched[5_000:])),
    )


def folds() -> tuple[FoldRate, ...]:
    """Batches of 10,000 expressions against 5,000 bitmaps of consents, by share of refusals of everything."""
    base = _many_consents()
    rates: list[FoldRate] = []
    for share in (0.0, 0.5, 0.9, 1.0):
        batches = [_batch(share, random.Random(SEED + i)) for i in range(PASSES)]
        overlay = Overlay(base)
        rates.append(FoldRate("overlay", share, _folding(overlay.apply, batches)))
        plain = Overlay(base).folded()
        rates.append(FoldRate("plain", share, _folding(plain.apply, batches)))
    return tuple(rates)


def texts() -> tuple[Cost, ...]:
    """Numbers as they come: parsing and partitions, 14 characters each."""
    numbers = [to_text(Msisdn(FIRST + i * 7919 % RANGE)) for i in range(BATCH)]
    return (
        Cost("partitions_of a batch", _best(partial(partitions_of, numbers, 12)) / BATCH * 1e9),
        Cost("partition_of one", _best(lambda: [partition_of(text, 12) for text in numbers]) / BATCH * 1e9),
        Cost("parse", _best(lambda: list(map(parse, numbers))) / BATCH * 1e9),
    )


def _drawn(count: int, range_size: int) -> NDArray[np.uint64]:
    """About `count` different numbers of a range, sorted: each is in with the same chance."""
    rng = np.random.default_rng(SEED + count)
    chosen = np.flatnonzero(rng.random(range_size, dtype=np.float32) < count / range_size)
    return chosen.astype(np.uint64) + np.uint64(FIRST)


def _some(numbers: NDArray[np.uint64]) -> list[Msisdn]:
    return [Msisdn(number) for number in np.random.default_rng(SEED).choice(numbers, 10_000).tolist()]


def _many_consents() -> Wills:
    """Two million consents over 5,000 senders, and twenty million refusals of everything."""
    rng = np.random.default_rng(SEED)
    entries: list[tuple[str, NDArray[np.uint64]]] = []
    for sender in range(SENDERS_COUNT):
        numbers = np.unique(rng.integers(FIRST, FIRST + RANGE, 400, dtype=np.uint64))
        entries.append((f"ORG-{sender}", numbers))
    kind: Kind = "consent"
    return Wills.of_arrays(
        [
            ("sms", "refusal", EVERYTHING, _drawn(20_000_000, RANGE)),
            *(("sms", kind, Scope(sender, "finance"), numbers) for sender, numbers in entries),
        ]
    )


def _batch(everything_share: float, rng: random.Random) -> list[ExpressionRow]:
    """Different numbers; what does not refuse everything is a consent, a refusal or a lift of one sender."""
    batch: list[ExpressionRow] = []
    for offset in rng.sample(range(RANGE), BATCH):
        number = Msisdn(FIRST + offset)
        if rng.random() < everything_share:
            batch.append(ExpressionRow(number, "sms", "refuse", None, None))
            continue
        sender = f"ORG-{rng.randrange(SENDERS_COUNT)}"
        match rng.randrange(4):
            case 0 | 1:
                batch.append(ExpressionRow(number, "sms", "consent", sender, "finance"))
            case 2:
                batch.append(ExpressionRow(number, "sms", "refuse", sender, None))
            case _:
                batch.append(ExpressionRow(number, "sms", "lift", sender, None))
    return batch


def _best(work: Callable[[], object], *, clock: Callable[[], float] = time.process_time) -> float:
    """The shortest of a few runs, in seconds."""
    times: list[float] = []
    for _ in range(PASSES):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times)


def _probing(probe: StanceProbe, numbers: list[Msisdn]) -> float:
    """Nanoseconds for one look-up from a Python loop, the loop included."""

    def ask() -> None:
        stance = probe.stance
        for number in numbers:
            stance(number)

    return _best(ask) / len(numbers) * 1e9


def _folding(apply: Callable[[list[ExpressionRow]], None], batches: list[list[ExpressionRow]]) -> float:
    """Expressions a second over all the batches, which follow each other."""
    started = time.process_time()
    for batch in batches:
        apply(batch)
    return sum(map(len, batches)) / (time.process_time() - started)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bitmaps", description=__doc__)
    parser.add_argument("--national", action="store_true", help="half a billion refusals, 200 million consents")
    parser.add_argument("--scale", type=float, default=1.0, help="of --national: a part of it (0 to 1), for a look")
    parser.add_argument("--out", type=Path, help="with --national: write the figures as JSON into this file")
    parser.add_argument("--partitions", action="store_true", help="what workers that share the partitions hold each")
    arguments = parser.parse_args()
    if arguments.partitions:
        for row in partition_bitmaps.bitmaps(partition_bitmaps.NUMBERS):
            print(msgspec.json.encode(row).decode(), flush=True)
        return
    if arguments.national:
        country = national.run(scale=arguments.scale)
        print("\n".join(national_report.lines(country)))
        if arguments.out is not None:
            arguments.out.write_bytes(msgspec.json.format(msgspec.json.encode(country), indent=1))
        return
    report = run()
    d = report.density
    print(f"{d.numbers_count:,} numbers drawn from {d.range_size:,}")
    print(f"  {d.bits_per_number:.2f} bits a number, built in {d.build_s:.2f} s")
    print(f"  {d.snapshot_bytes / 1e6:.1f} MB written in {d.write_s:.3f} s, loaded in {d.load_s * 1e3:.1f} ms")
    print("look-up, ns a number")
    for cost in report.look_ups:
        print(f"  {cost.what:45} {cost.ns:8.0f}")
    print(f"fold, expressions a second, batches of {BATCH:,}, {SENDERS_COUNT:,} bitmaps of consents")
    for rate in report.folds:
        print(f"  {rate.store:8} {rate.everything_share:4.0%} refuse everything {rate.per_second:15,.0f}")
    print("text, ns a number")
    for cost in report.texts:
        print(f"  {cost.what:45} {cost.ns:8.0f}")


if __name__ == "__main__":
    main()
