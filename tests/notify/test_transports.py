"""Receivers that mean harm: whatever they do, and whatever a notice holds, is one failed attempt, and it ends."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from stream.config import ConnectorConfig
from stream.model.control import Notice
from stream.notify.contacts import Address
from stream.notify.transports import Transports, Undelivered
from stream.testbed.processes import free_ports
from tests.notify.sinks import OURS, mail_sink
from tests.patience import LONG_S

NOTICE = Notice("N-1", "M-1", 1_795_500_000_000, "sender|ORG-9", "measure", "refusals", measure="stop")
MAILBOX = Address("smtp", "legal@org9.example")
TIME_MAX = (1 << 53) - 1
ANSWER_BYTES = 300 << 20

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def receiver(serve: Serve) -> AsyncIterator[int]:
    """A server's port."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def transports(*, smtp_port: int = 1, timeout_ms: int = 30_000) -> AsyncIterator[Transports]:
    made = Transports(ConnectorConfig(smtp_port=smtp_port, attempt_timeout_ms=timeout_ms), OURS)
    try:
        yield made
    finally:
        await made.close()


async def failure(to: Transports, address: Address, notice: Notice = NOTICE) -> str:
    """Why an attempt failed. It ends by itself: the bound here is far beyond its own."""
    with pytest.raises(Undelivered) as raised:
        await asyncio.wait_for(to.deliver(notice, address), LONG_S)
    return str(raised.value)


async def trickle(writer: asyncio.StreamWriter, begin: bytes) -> None:
    """One byte after the other, without an end."""
    writer.write(begin)
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("begin", [b"", b"220-", b"220 a\r\n"])
async def test_a_mail_server_that_trickles_is_one_failed_attempt(begin: bytes) -> None:
    async with (
        receiver(lambda _, writer: trickle(writer, begin)) as port,
        transports(smtp_port=port, timeout_ms=500) as to,
    ):
        assert (await failure(to, MAILBOX)).startswith("SMTPServerDisconnected: ")


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_web_server_that_trickles_is_one_failed_attempt(begin: bytes) -> None:
    async with receiver(lambda _, writer: trickle(writer, begin)) as port, transports(timeout_ms=500) as to:
        assert await failure(to, Address("webhook", f"http://127.0.0.1:{port}/SECRET"))


async def test_a_mail_that_was_taken_is_delivered_though_its_goodbye_trickles_beyond_the_deadline() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 a\r\n")
        while line := (await reader.readline()).upper():
            if line.startswith(b"QUIT"):
                await trickle(writer, b"")
            if line.startswith(b"DATA"):
                writer.write(b"354 a\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 a\r\n")

    async with receiver(serve) as port, transports(smtp_port=port, timeout_ms=3_000) as to:
        assert (await asyncio.wait_for(to.deliver(NOTICE, MAILBOX), LONG_S)).reply == "SMTP 250"


async def test_an_answer_is_not_read_and_nothing_of_it_is_kept() -> None:
    asked: list[bytes] = []
    packed = gzip.compress(bytes(1 << 20)) * (ANSWER_BYTES >> 20)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(packed) + packed)
        await writer.drain()

    async with receiver(serve) as port, transports() as to:
        tracemalloc.start()
        try:
            for _ in range(3):
                # By name: no cookie jar takes cookies from an address.
                assert (await to.deliver(NOTICE, Address("webhook", f"http://localhost:{port}/"))).reply == "HTTP 200"
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20, "nothing of 300 MiB is unpacked"
    assert not any(b"cookie" in one.lower() for one in asked)


@pytest.mark.parametrize(
    ("status", "theirs"), [(500, True), (403, True), (429, True), (404, False), (401, False), (302, False)]
)
async def test_a_failure_is_the_addressees_where_its_server_answers_and_does_not_take_it(
    status: int, *, theirs: bool
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d a\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()

    async with receiver(serve) as port, transports() as to:
        with pytest.raises(Undelivered, match=f"HTTP {status}") as raised:
            await to.deliver(NOTICE, Address("webhook", f"http://127.0.0.1:{port}/"))
    assert raised.value.at_addressee is theirs


@pytest.mark.parametrize(
    ("reply", "theirs"),
    [
        (b"552 5.2.2 mailbox full", True),
        (b"550 5.2.1 mailbox disabled", True),
        (b"452 too much in it", True),
        (b"550 5.1.1 no such user", False),
        (b"550 5.7.1 relaying denied", False),
        (b"550 no", False),
        (b"451 4.4.1 no answer from its host", False),
    ],
)
async def test_a_mailbox_that_is_there_and_takes_nothing_is_the_addressees_failure(
    reply: bytes, *, theirs: bool
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 a\r\n")
        while line := (await reader.readline()).upper():
            writer.write(reply + b"\r\n" if line.startswith(b"RCPT") else b"250 a\r\n")

    async with receiver(serve) as port, transports(smtp_port=port) as to:
        with pytest.raises(Undelivered) as raised:
            await asyncio.wait_for(to.deliver(NOTICE, MAILBOX), LONG_S)
    assert raised.value.at_addressee is theirs


async def test_nobody_who_answers_is_no_failure_of_the_addressee() -> None:
    async with transports() as to:
        with pytest.raises(Undelivered) as raised:
            await to.deliver(NOTICE, Address("webhook", f"http://127.0.0.1:{free_ports(1)}/"))
    assert not raised.value.at_addressee


async def test_a_redirect_is_not_followed() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with receiver(serve) as port, transports() as to:
        assert await failure(to, Address("webhook", f"http://127.0.0.1:{port}/SECRET")) == "HTTP 307"
    assert len(asked) == 1


@pytest.mark.parametrize(
    "address",
    [
        Address("webhook", "https://[::1"),
        Address("webhook", "https://[::1]more/SECRET"),
        Address("webhook", f"https://{'l' * 64}.cn/SECRET"),
        Address("webhook", "https://u:SECRET@例子.cn:70000/"),
        Address("webhook", "http://127.0.0.1:1/SECRET?SECRET"),
        Address("webhook", "http://u:SECRET@nowhere.invalid/SECRET"),
        Address("smtp", "b@例子.cn"),
        Address("smtp", "b\r\nc@a"),
    ],
)
async def test_an_address_that_cannot_be_reached_is_one_failed_attempt_whose_reason_does_not_repeat_it(
    address: Address,
) -> None:
    async with mail_sink() as sink, transports(smtp_port=sink.port) as to:
        assert "SECRET" not in await failure(to, address)
        assert sink.mails == []


async def test_a_notice_that_no_mail_can_carry_is_one_failed_attempt() -> None:
    async with mail_sink() as sink, transports(smtp_port=sink.port) as to:
        assert await failure(to, MAILBOX, msgspec.structs.replace(NOTICE, time=TIME_MAX)) == "ValueError"


async def test_a_server_that_does_not_read_is_one_failed_attempt() -> None:
    large = msgspec.structs.replace(NOTICE, evidence=("e" * 4_000,) * 1_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 a\r\n")
        while line := (await reader.readline()).upper():
            if line.startswith(b"DATA"):
                writer.write(b"354 a\r\n")
                await asyncio.sleep(LONG_S)
            writer.write(b"250 a\r\n")

    async with receiver(serve) as port, transports(smtp_port=port, timeout_ms=1_000) as to:
        assert await failure(to, MAILBOX, large)


async def test_a_servers_reply_is_kept_as_evidence_without_the_numbers_in_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 a\r\n")
        while line := (await reader.readline()).upper():
            writer.write(b"550 <13777766665@org9.example>: no such mailbox\r\n" if b"RCPT" in line else b"250 a\r\n")

    async with receiver(serve) as port, transports(smtp_port=port) as to:
        reason = await failure(to, Address("smtp", "13777766665@org9.example"))
    assert reason == "SMTP 550: <****@org9.example>: no such mailbox"
