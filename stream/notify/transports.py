"""The two transports of notices and reports: a mail by SMTP (RFC 5321), or a POST to a URL.

A transport returns once the receiver has accepted the letter, and raises `Undelivered` with the reason for everything
else; it never tries twice. A mail server's `250`, or a 2xx, is that acceptance. Where TLS is configured, nothing is
sent without it, nor to a server whose certificate is not valid: a notice says who is accused of what.

The receiver may be hostile. An attempt ends by its deadline, whatever trickles in; of a web server's answer the status
is read and nothing else, and nothing of it is kept for the next attempt; whatever is raised is one failed attempt. A
reason repeats no address: that of a webhook may hold its secret.
"""

import asyncio
import contextlib
import os
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from stream import logs
from stream.config import ConfigError, ConnectorConfig
from stream.letters import Templates
from stream.letters.wording import one_line
from stream.model.codec import encode
from stream.model.control import Letter, letter_id
from stream.model.hiding import hidden
from stream.notify.contacts import Address, is_here
from stream.notify.message import mail_of
from stream.notify.smtp_session import SmtpSession, SmtpTlsSession
from stream.reloading_file import ReloadingFiles, reloading_secret

log = logs.get(__name__)

DETAIL_CHARACTERS_MAX: Final = 300
"""Of the receiver's reply; more is not needed as evidence."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

GOODBYE_S_MAX: Final = 1.0
"""How long a mail server may take to answer `QUIT`, when it has the mail."""


WRONG_ADDRESS: Final = (401, 404, 410)
"""Answers of a web server by which our address is wrong or lacks something, and nobody has refused a notice."""

MAILBOX_CODES: Final = frozenset((450, 452, 552))
"""A mail server's replies about the mailbox itself (RFC 5321, 4.2.2): busy, or full."""

_ENHANCED: Final = re.compile(rb"\s*[245]\.([0-9]{1,3})\.[0-9]{1,3}\b")
"""An enhanced status code (RFC 3463) at the head of a reply; its second part says what it is about."""

_ABOUT_MAILBOX: Final = b"2"


class Sent(NamedTuple):
    """What the receiver's side replied, and the SHA-256 of the bytes that it accepted."""

    reply: str
    digest: str


class Undelivered(Exception):
    """The receiver has not accepted the notice, as far as can be known; the text says why.

    `at_addressee`: its own server or mailbox was there and did not take it. Whatever may be ours, the network's or a
    wrong address is not the addressee's.
    """

    def __init__(self, reason: str, *, at_addressee: bool = False) -> None:
        super().__init__(reason)
        self.at_addressee = at_addressee


class Transports:
    """Both transports, by one configuration. Create it on its loop; `close` at the end. Raises `ConfigError`."""

    def __init__(self, config: ConnectorConfig, templates: Templates) -> None:
        self._config = config
        self._templates = templates
        self._password = _password(config)
        cafiles = [Path(config.smtp_cafile)] if config.smtp_cafile else []
        self._tls = ReloadingFiles(cafiles, lambda: _tls(config)).value
        self._timeout_s = config.attempt_timeout_ms / 1000
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, letter: Letter, address: Address) -> Sent:
        """Deliver it, within `connector.attempt_timeout_ms`. Raises `Undelivered`.

        Mail blocks a thread of the pool, never the loop.
        """
        try:
            if address.via == "webhook":
                return await self._post(letter, address.at)
            # The thread keeps the deadline but while it looks up the server's name, and it says goodbye after it.
            async with asyncio.timeout(self._timeout_s + GOODBYE_S_MAX):
                return await asyncio.to_thread(self._mail, letter, address.at)
        except Undelivered:
            raise
        except (aiohttp.ClientError, smtplib.SMTPException, OSError) as error:
            raise Undelivered(_reason(error)) from error
        except Exception as error:  # no notice and no receiver may end the connector
            log.warning("a transport failed by a fault of the program", via=address.via, error=type(error).__name__)
            raise Undelivered(_reason(error)) from error

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, letter: Letter, url: str) -> Sent:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # what is never read is never unpacked
                connector=aiohttp.TCPConnector(force_close=True),
            )
        body = encode(letter)
        headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: letter_id(letter)}
        # A redirect leads to another party: it is no delivery.
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            reply = f"HTTP {answer.status}"
            if not 200 <= answer.status < 300:
                raise Undelivered(reply, at_addressee=answer.status >= 400 and answer.status not in WRONG_ADDRESS)
            return Sent(reply, sha256(body).hexdigest())

    def _mail(self, letter: Letter, mailbox: str) -> Sent:
        sender = self._config.sender
        mail = mail_of(letter, self._templates, to=mailbox, sender=sender)
        try:
            server = self._server(ends_s=time.monotonic() + self._timeout_s)
            try:
                if self._config.smtp_username:
                    server.login(self._config.smtp_username, self._password() or "")
                server.sendmail(sender, [mailbox], mail)
                # The mail is accepted: however the session ends, it must not be sent again.
                server.ends_s = time.monotonic() + GOODBYE_S_MAX
                with contextlib.suppress(Exception):
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise Undelivered(_replied(code, reply), at_addressee=_of_the_mailbox(code, reply)) from error
        except smtplib.SMTPResponseException as error:
            raise Undelivered(_replied(error.smtp_code, error.smtp_error)) from error
        return Sent("SMTP 250", sha256(mail).hexdigest())

    def _server(self, *, ends_s: float) -> SmtpSession:
        """A connection that is as secure as it is configured to be. Raises `SMTPException` or `OSError`."""
        host, port, tls = self._config.smtp_host, self._config.smtp_port, self._tls()
        if tls is not None and self._config.smtp_security == "tls":
            return SmtpTlsSession(host, port, ends_s=ends_s, tls=tls)
        server = SmtpSession(host, port, ends_s=ends_s)
        if self._config.smtp_security == "starttls":
            try:
                server.starttls(context=tls)
            except BaseException:
                server.close()
                raise
        return server


def _password(config: ConnectorConfig) -> Callable[[], str | None]:
    """The password at each login: as its file is then, where it has one."""
    if config.smtp_password or not config.smtp_password_file:
        return lambda: config.smtp_password
    return reloading_secret("connector.smtp_password_file", config.smtp_password_file)


def _tls(config: ConnectorConfig) -> ssl.SSLContext | None:
    """How certificates are verified; None where no TLS is configured."""
    if config.smtp_security == "none":
        if config.smtp_username and not is_here(config.smtp_host):
            raise ConfigError(
                "connector.smtp_security: a password would go to another machine in the clear; set starttls or tls"
            )
        return None
    try:
        return ssl.create_default_context(cafile=config.smtp_cafile)
    except OSError as error:
        raise ConfigError(f"connector.smtp_cafile {config.smtp_cafile}: {error}; give certificates as PEM") from error


def _of_the_mailbox(code: int, reply: bytes | str) -> bool:
    """Whether a refused recipient's mailbox is there and does not take the mail; not where it is another's fault."""
    found = _ENHANCED.match(reply.encode() if isinstance(reply, str) else reply)
    return found[1] == _ABOUT_MAILBOX if found else code in MAILBOX_CODES


def _replied(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return _shortened(f"SMTP {code}: {text}")


def _reason(error: BaseException) -> str:
    """What went wrong, in words of the system or of smtplib: those of others repeat the address."""
    cause: BaseException = error
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    name = type(error).__name__
    match cause:
        case ssl.SSLCertVerificationError():
            detail = f"certificate verify failed: {cause.verify_message}"
        case ssl.SSLError():
            detail = cause.reason or ""
        case TimeoutError():
            detail = "the receiver took too long"
        case smtplib.SMTPException():
            detail = str(cause)
        case socket.gaierror():
            detail = cause.strerror or ""
        case OSError():
            detail = os.strerror(cause.errno) if cause.errno else ""
        case _:
            detail = ""
    return _shortened(f"{name}: {detail}" if detail else name)


def _shortened(reason: str) -> str:
    return one_line(hidden(reason))[:DETAIL_CHARACTERS_MAX]
