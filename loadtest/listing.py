"""What a page of cases costs when many are open: the API over HTTP, with its cases read from a genuine Kafka.

    python -m loadtest.listing --cases 100000

Cases are complaints of random subscribers, half received and half forwarded, with random due dates.
"""

import argparse
import asyncio
import hashlib
import random
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec
import psutil

from bloom.partition import partitions_of
from stream import config as configuration
from stream.config import Config
from stream.enforce.api import Api
from stream.enforce.complaint import ComplaintCase, State
from stream.kafka import clients, topics
from stream.kafka.local import LocalKafka
from stream.model.cases import CasePicture, ClockDue
from stream.model.codec import encode
from stream.model.control import Complaint, Party
from stream.model.topics import CASES

TOKEN = "loadtest"
QUESTIONS = {
    "the first 50": {},
    "the first 500": {"limit": "500"},
    "50 of one state": {"procedure": "complaint", "state": "forwarded"},
    "50 from the middle on": {"after": "1795500000000.C-5"},
    "50 due before": {"due_before": "1795500000000"},
    "none of a party": {"party": "sender|NOBODY"},
}


def _pictures(count: int) -> list[tuple[str, bytes]]:
    chance = random.Random(1)
    made = []
    for place in range(count):
        case, state = f"C-{place}", State.RECEIVED if place % 2 else State.FORWARDED
        said = Complaint(
            str(place),
            1,
            subscriber=f"+86138{place:08}",
            channel="sms",
            from_="1069012345",
            sender="ORG-9",
            text="贷" * 60,
        )
        body = ComplaintCase(case=case, step=1, state=state, complaint=said)
        due = chance.randrange(1_795_000_000_000, 1_796_000_000_000)
        picture = CasePicture(
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


async def _measure(config: Config, count: int, asked: int) -> None:
    await _write(config, count)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    api = Api(config)
    address = await api.start()
    while api.not_ready() is not None:  # noqa: ASYNC110  # nothing else tells
        await asyncio.sleep(0.01)
    ready_s = time.perf_counter() - began
    held_mib = (psutil.Process().memory_info().rss - before) / 2**20
    print(f"{count:,} cases: ready after {ready_s:.1f} s, {held_mib:.0f} MiB more")
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


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="What a page of cases costs.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=200, help="how often each question is asked")
    options = parser.parse_args()
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
        asyncio.run(_measure(config, options.cases, options.asked))


if __name__ == "__main__":
    main()
