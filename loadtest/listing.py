"""What a page of cases costs when many are open: the API over HTTP, with its cases read from a genuine Kafka.

    python -m loadtest.listing --cases 100000

Cases are complaints of random subscribers, half received and half forwarded, with random due dates.
"""

import argparse
import asyncio
import hashlib
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec

from bloom.partition import partitions_of
from loadtest import machine
from stream import config as configuration
from stream import logs
from stream.config import Config
from stream.enforce.api import ApiServer
from stream.enforce.procedures.complaint import ComplaintCase, ComplaintState
from stream.kafka import clients, topics
from stream.model.cases import CaseView, ClockDue
from stream.model.codec import encode
from stream.model.control import Complaint, Party
from stream.model.topics import CASES
from stream.testbed.local import LocalKafka

TOKEN = "loadtest"  # noqa: S105  # of this run alone
QUESTIONS = {
    "the first 50": {},
    "the first 500": {"limit": "500"},
    "50 of one state": {"procedure": "complaint", "state": "forwarded"},
    "50 from the middle on": {"after": "1795500000000.C-5"},
    "50 due before": {"due_before": "1795500000000"},
    "50 that missed a term": {"breached": "true"},
    "none of a party": {"party": "sender|NOBODY"},
}


def _pictures(count: int) -> list[tuple[str, bytes]]:
    chance = random.Random(1)
    made = []
    for place in range(count):
        case, state = f"C-{place}", ComplaintState.RECEIVED if place % 2 else ComplaintState.FORWARDED
        complaint = Complaint(
            str(place),
            1,
            subscriber=f"+86138{place:08}",
            channel="sms",
            from_="1069012345",
            sender="ORG-9",
            text="贷" * 60,
        )
        body = ComplaintCase(case=case, step=1, state=state, complaint=complaint)
        due = chance.randrange(1_795_000_000_000, 1_796_000_000_000)
        picture = CaseView(
            case=case,
            procedure="complaint",
            state=state.value,
            step=1,
            updated=1,
            body=msgspec.Raw(encode(body)),
            due=(ClockDue("forward", due),),
            party=Party(sender="ORG-9"),
        )
        made.append((case, encode(picture)))
    return made


async def _write(config: Config, count: int) -> None:
    admin = clients.admin(config)
    await admin.start()
    await topics.create(admin, config.topics)
    await admin.close()
    producer = clients.producer(config, client="loadtest")
    await producer.start()
    pictures = _pictures(count)
    partitions = partitions_of([case for case, _ in pictures], config.topics.partitions).tolist()
    acks = [
        await producer.send(CASES, key=case.encode(), value=value, partition=partition)
        for (case, value), partition in zip(pictures, partitions, strict=True)
    ]
    await asyncio.gather(*acks)
    await producer.stop()


def _write_all(config: Config, count: int) -> None:
    asyncio.run(_write(config, count))


async def _measure(config: Config, *, count: int, asked: int) -> None:
    before = _memory_mib()
    began = time.perf_counter()
    api = ApiServer(config)
    address = await api.start()
    while api.not_ready() is not None:  # noqa: ASYNC110  # nothing else tells
        await asyncio.sleep(0.01)
    ready_s = time.perf_counter() - began
    print(machine.describe(kafka="local"))
    print(f"{count:,} cases: ready after {ready_s:.1f} s, {_memory_mib() - before:.0f} MiB more")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        for name, query in QUESTIONS.items():
            took_ms = []
            for _ in range(asked):
                start = time.perf_counter()
                async with session.get(f"{address}/v1/cases", params=query) as answer:
                    await answer.read()
                    assert answer.status == 200
                took_ms.append(1000 * (time.perf_counter() - start))
            p50, p99 = statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]
            print(f"  {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    await api.stop()


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="What a page of cases costs.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=200, help="how often each question is asked")
    options = parser.parse_args()
    logs.configure()
    with LocalKafka(profile="bench") as kafka, tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        tokens.write_text(f"{hashlib.sha256(TOKEN.encode()).hexdigest()} desk desk:1\n", encoding="ascii")
        config = configuration.load(
            None,
            {
                "WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap,
                "WURAO_API__PORT": "0",
                "WURAO_API__TOKENS_FILE": str(tokens),
            },
        )
        # In a process of its own: what it takes to write them must not count as what it takes to keep them.
        writing = multiprocessing.get_context("spawn").Process(target=_write_all, args=(config, options.cases))
        writing.start()
        writing.join()
        asyncio.run(_measure(config, count=options.cases, asked=options.asked))


if __name__ == "__main__":
    main()
