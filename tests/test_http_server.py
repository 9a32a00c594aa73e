"""The HTTP server under those who mean it ill: half headers, idle connections, slow bodies, no descriptors left.

Over real sockets of this machine, of which 127.0.0.1 and 127.0.0.2 are two addresses.
"""

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from stream.config import HttpConfig
from stream.health import listen
from stream.http_server import HttpServer, UnreadableBody, _network, body_of
from stream.rate_limit import BURST_S, KNOWN_MAX, RateLimit
from tests.patience import LONG_S

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BODY_BYTES_MAX = 1_000
ASKING = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """A server with three paths: `/quick` answers, `/slow` when it is let, `/body` with how long the body was."""

    def __init__(self, config: HttpConfig) -> None:
        self.let = asyncio.Event()
        self.under_way = 0
        self.server = HttpServer(
            config,
            refuse=lambda status, reason: web.Response(status=status, text=reason),
            body_bytes_max=BODY_BYTES_MAX,
        )
        self.server.app.router.add_get("/quick", self._quick)
        self.server.app.router.add_get("/slow", self._slow)
        self.server.app.router.add_post("/body", self._body)
        self._config = config
        self.port = 0

    async def _quick(self, _: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def _slow(self, _: web.Request) -> web.Response:
        self.under_way += 1
        await self.let.wait()
        return web.Response(text="slow")

    async def _body(self, request: web.Request) -> web.Response:
        try:
            body = await body_of(request, timeout_ms=self._config.body_timeout_ms, bytes_max=BODY_BYTES_MAX)
        except UnreadableBody as unreadable:
            return web.Response(status=unreadable.status, text=str(unreadable))
        return web.Response(text=str(len(body)))

    async def connect(self, source: str = "127.0.0.1") -> Stream:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))

    async def ask(self, sent: bytes = ASKING, source: str = "127.0.0.1") -> tuple[int, str]:
        return await answer(await self.connect(source), sent)


async def answer(stream: Stream, sent: bytes) -> tuple[int, str]:
    """The status and body of the answer to this."""
    reader, writer = stream
    writer.write(sent)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONG_S)
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return int(head.split()[1]), (await reader.readexactly(length)).decode()


@asynccontextmanager
async def served(**settings: int) -> AsyncIterator[Served]:
    one = Served(HttpConfig(**settings))
    listening = listen("127.0.0.1", 0, setting="api.port")
    one.port = listening.getsockname()[1]
    await one.server.start(listening)
    try:
        yield one
    finally:
        one.let.set()
        await one.server.stop()


async def closed(stream: Stream) -> None:
    """Returns when the other side has closed it."""
    try:
        async with asyncio.timeout(LONG_S):
            while await stream[0].read(4096):
                pass
    except ConnectionError:
        pass
    stream[1].close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not holds():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


async def test_a_header_that_does_not_end_is_waited_for_so_long() -> None:
    """1,500 half headers stayed open for 80 s."""
    async with served(header_timeout_ms=300) as one:
        halves = [await one.connect() for _ in range(50)]
        for _, writer in halves:
            writer.write(b"GET /quick HTTP/1.1\r\nHost: x\r\nX-")
        silent, used = await one.connect(), await one.connect()
        assert await answer(used, ASKING) == (200, "quick")
        used[1].write(ASKING[:10])
        for stream in (*halves, silent, used):
            await closed(stream)
        assert await one.ask() == (200, "quick")


async def test_a_request_under_way_is_not_cut_off_by_the_headers_deadline() -> None:
    async with served(header_timeout_ms=1) as one:
        asking = asyncio.create_task(one.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))
        await until(lambda: one.under_way == 1)
        await closed(await one.connect())  # so the deadline has been looked at
        one.let.set()
        assert await asking == (200, "slow")


async def test_idle_connections_make_room_whoever_opened_most_first() -> None:
    async with served(connections_max=20) as one:
        good = await one.connect("127.0.0.2")
        assert await answer(good, ASKING) == (200, "quick")
        idle = [await one.connect() for _ in range(200)]
        assert await one.ask(source="127.0.0.2") == (200, "quick")
        await asyncio.gather(*map(closed, idle[:170]))  # the oldest went
        assert await answer(good, ASKING) == (200, "quick"), "the first that came, and of an address that has few"
        assert len(one.server._connections) <= 20
        for _, writer in idle:
            writer.close()


async def test_one_address_has_so_many_connections_and_the_others_theirs() -> None:
    async with served(connections_max=100, connections_per_address_max=10) as one:
        idle = [await one.connect() for _ in range(60)]
        await asyncio.gather(*map(closed, idle[:50]))
        assert await one.ask() == (200, "quick")
        assert len(one.server._connections) <= 11
        for _, writer in idle:
            writer.close()


async def test_where_all_connections_are_busy_one_more_is_told_so() -> None:
    async with served(connections_max=3) as one:
        busy = [asyncio.create_task(one.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")) for _ in range(3)]
        await until(lambda: one.under_way == 3)
        status, reason = await answer(await one.connect(), b"")
        assert (status, "http.connections_max" in reason) == (503, True)
        one.let.set()
        assert await asyncio.gather(*busy) == [(200, "slow")] * 3


async def test_a_body_and_an_answer_have_their_time() -> None:
    async with served(body_timeout_ms=100, handler_timeout_ms=round(LONG_S * 1000)) as one:
        status, reason = await one.ask(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        assert (status, "100 ms" in reason) == (408, True)
    async with served(handler_timeout_ms=100) as one:
        status, reason = await one.ask(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, "http.handler_timeout_ms" in reason) == (503, True)


async def test_an_address_asks_so_often_and_others_are_not_held_up_by_it() -> None:
    async with served(requests_per_address=1) as one:
        stream = await one.connect()
        answers = [await answer(stream, ASKING) for _ in range(round(BURST_S) + 30)]
        assert answers[: round(BURST_S)] == [(200, "quick")] * round(BURST_S)
        assert {status for status, _ in answers} == {200, 429}
        assert await one.ask(source="127.0.0.2") == (200, "quick")


@pytest.mark.parametrize(
    ("packed", "body", "status"),
    [
        ("gzip", gzip.compress(b"x" * 900, mtime=0), 200),
        ("deflate", zlib.compress(b"x" * 900), 200),
        ("identity", b"x" * 900, 200),
        ("gzip", b"none", 400),
        ("deflate", b"none", 400),
        ("gzip", gzip.compress(b"x" * 900, mtime=0)[:-4], 400),
        ("gzip", gzip.compress(b"x" * 700_000, mtime=0), 413),
        ("identity", b"x" * 1_001, 413),
        ("br", b"x", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), 415),
    ],
)
async def test_a_body_is_unpacked_under_its_limit(packed: str, body: bytes, status: int) -> None:
    head = f"POST /body HTTP/1.1\r\nHost: x\r\nContent-Encoding: {packed}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with served() as one:
        found, text = await one.ask(head.encode() + body)
    assert (found, text if status == 200 else "") == (status, "900" if status == 200 else "")


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys
from aiohttp import web
from stream import logs
from stream.config import HttpConfig
from stream.health import listen
from stream.http_server import HttpServer

async def quick(_): return web.Response(text="quick")

async def main():
    logs.configure()
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    server = HttpServer(HttpConfig(), refuse=lambda status, reason: web.Response(status=status, text=reason))
    server.app.router.add_get("/quick", quick)
    listening = listen("127.0.0.1", 0, setting="api.port")
    await server.start(listening)
    print(listening.getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    taken = []
    while (line := await loop.run_in_executor(None, sys.stdin.readline)):
        while line == "take\\n":
            try: taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError: break
        while line == "free\\n" and taken:
            os.close(taken.pop())
        print(line, end="", flush=True)
    await server.stop()

asyncio.run(main())
"""


async def test_a_process_without_descriptors_says_so_and_serves_again_when_it_has_some() -> None:
    """With 200 descriptors, 311 connections made 244,012 tracebacks."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WITHOUT_DESCRIPTORS, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    port = int(await process.stdout.readline())

    async def tell(what: bytes) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(what)
        assert await asyncio.wait_for(process.stdout.readline(), LONG_S) == what

    async def ask() -> tuple[int, str]:
        return await answer(await asyncio.open_connection("127.0.0.1", port), ASKING)

    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(311)]
    assert await ask() == (200, "quick"), "311 idle ones keep nobody out"
    await tell(b"take\n")
    waiting = [asyncio.create_task(ask()) for _ in range(20)]
    assert await asyncio.gather(*waiting) == [(200, "quick")] * 20, "idle ones make room"
    await tell(b"free\n")
    assert await ask() == (200, "quick")
    for _, writer in idle:
        writer.close()
    process.stdin.close()
    logged = (await process.stderr.read()).decode().splitlines()
    assert await asyncio.wait_for(process.wait(), LONG_S) == 0
    assert len(logged) < 10, logged
    assert not any("Traceback" in line for line in logged)
    assert any("ulimit -n" in line for line in logged)


def test_a_rate_is_each_ones_own_and_comes_back_with_time() -> None:
    now = 1_000.0
    rate = RateLimit(2, clock=lambda: now)
    burst = round(2 * BURST_S)
    assert [rate.wait_s("a") for _ in range(burst)] == [0] * burst
    assert rate.wait_s("a") == pytest.approx(0.5)
    assert rate.wait_s("b") == 0
    now += 0.5
    assert (rate.wait_s("a"), rate.wait_s("a") > 0) == (0, True)
    now += 1_000
    assert [rate.wait_s("a") for _ in range(burst)] == [0] * burst
    for one in range(2 * KNOWN_MAX):
        rate.wait_s(str(one))
    assert len(rate._until) <= KNOWN_MAX


def test_an_address_of_ipv6_is_its_network() -> None:
    assert _network("2001:db8:1:2:3:4:5:6") == _network("2001:db8:1:2::1") != _network("2001:db8:1:3::1")
    assert _network("fe80::1%eth0") == _network("fe80::2")
    assert _network("::ffff:127.0.0.1") != _network("::ffff:127.0.0.2")
    assert _network("127.0.0.1") == "127.0.0.1"
