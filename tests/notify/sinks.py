"""Receivers of notices: a mail server and a web server that keep what they are told, and can be told to fail."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import orjson
from aiohttp import web

from stream import letters
from stream.config import LettersConfig

OURS = letters.read(LettersConfig())
"""The letters that come with wurao."""


@dataclass
class MailSink:
    """A mail server (RFC 5321, as far as smtplib asks), with STARTTLS (RFC 3207) and logins (RFC 4954) if told to."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    silent: bool = False
    """takes a mail and never says so"""
    starttls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    """who may send; nobody else"""
    goodbye: bytes = b"221 bye"
    came: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[bytes] = field(default_factory=list)
    """what came in the clear"""
    logins: list[bytes] = field(default_factory=list)

    def header(self, place: int, name: str) -> str:
        return str(BytesParser(policy=default).parsebytes(self.mails[place])[name])

    def text(self, place: int) -> str:
        message = BytesParser(policy=default).parsebytes(self.mails[place])
        assert isinstance(message, EmailMessage)
        body = message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = self.login is None
        writer.write(b"220 sink\r\n")
        try:
            while line := await reader.readline():
                secure = writer.get_extra_info("ssl_object") is not None
                if not secure:
                    self.heard.append(line)
                match line[:4].upper():
                    case b"EHLO":
                        writer.write(self._offers(secure=secure))
                    case b"STAR" if self.starttls is not None:
                        writer.write(b"220 go ahead\r\n")
                        await writer.start_tls(self.starttls)
                    case b"AUTH":
                        known = self._admits(line)
                        writer.write(b"235 welcome\r\n" if known else b"535 who are you\r\n")
                    case b"MAIL" if not known:
                        writer.write(b"530 log in first\r\n")
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
                        self.came.set()
                        if not self.silent:
                            writer.write(b"250 taken\r\n")
                    case b"QUIT":
                        writer.write(self.goodbye + b"\r\n")
                        break
                    case _:
                        writer.write(b"250 ok\r\n")
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def _offers(self, *, secure: bool) -> bytes:
        offers = ["sink"]
        if self.starttls is not None and not secure:
            offers.append("STARTTLS")
        if self.login is not None and (secure or self.starttls is None):
            offers.append("AUTH PLAIN")
        lines = [f"250{'-' if place < len(offers) - 1 else ' '}{offer}\r\n" for place, offer in enumerate(offers)]
        return "".join(lines).encode()

    def _admits(self, line: bytes) -> bool:
        assert self.login is not None
        self.logins.append(base64.b64decode(line.split()[2]))
        return self.logins[-1] == b"\0%s\0%s" % tuple(one.encode() for one in self.login)


@asynccontextmanager
async def mail_sink(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[MailSink]:
    """A mail server; with `tls`, one that speaks it from the first byte (RFC 8314)."""
    sink = MailSink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, ssl=tls)
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
