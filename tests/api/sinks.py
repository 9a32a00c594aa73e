"""Receivers of notices: a mail server and a web server that keep what they are told, and can be told to fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import orjson
from aiohttp import web


@dataclass
class MailSink:
    """A mail server (RFC 5321, as far as smtplib asks)."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    silent: bool = False
    """takes a mail and never says so"""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def header(self, place: int, name: str) -> str:
        return str(BytesParser(policy=default).parsebytes(self.mails[place])[name])

    def text(self, place: int) -> str:
        message = BytesParser(policy=default).parsebytes(self.mails[place])
        assert isinstance(message, EmailMessage)
        body = message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
                    self.came.set()
                    if not self.silent:
                        writer.write(b"250 taken\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 ok\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def mail_sink() -> AsyncIterator[MailSink]:
    sink = MailSink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


@dataclass
class WebSink:
    """A web server that takes notices; answers `statuses` one after the other, and then 204."""

    url: str = ""
    took: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    """Idempotency-Key and body"""
    statuses: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.took.append((request.headers["Idempotency-Key"], orjson.loads(await request.read())))
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": self.url} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def web_sink() -> AsyncIterator[WebSink]:
    sink = WebSink()
    app = web.Application()
    app.router.add_post("/notices", sink.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    sink.url = f"http://{host}:{port}/notices"
    try:
        yield sink
    finally:
        await runner.cleanup()
