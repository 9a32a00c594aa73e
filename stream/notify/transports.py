"""The two transports: a mail by SMTP (RFC 5321), or a POST to a URL.

A transport returns once the receiver has accepted the notice, and raises `Undelivered` with the reason for everything
else; it never tries twice. A mail server's `250`, or a 2xx, is that acceptance. Where TLS is configured, nothing is
sent without it, nor to a server whose certificate is not valid: a notice says who is accused of what.
"""

import asyncio
import contextlib
import smtplib
import ssl
from typing import Final

import aiohttp

from stream.config import ConfigError, ConnectorConfig, secret
from stream.model.codec import encode
from stream.model.control import Notice
from stream.notify.contacts import Address, is_here
from stream.notify.message import mail_of

DETAIL_CHARACTERS_MAX: Final = 300
"""Of the receiver's reply; more is not needed as evidence."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Undelivered(Exception):
    """The receiver has not accepted the notice, as far as can be known; the text says why."""


class Transports:
    """Both transports, by one configuration. Create it on its loop; `close` at the end. Raises `ConfigError`."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._password = secret(config.smtp_password, config.smtp_password_file)
        self._tls = _tls(config)
        self._timeout_s = config.attempt_timeout_ms / 1000
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, notice: Notice, address: Address) -> str:
        """Deliver it, within `connector.attempt_timeout_ms`; returns the receiver's reply. Raises `Undelivered`.

        Mail blocks a thread of the pool, never the loop.
        """
        if address.via == "webhook":
            return await self._post(notice, address.at)
        # smtplib has a bound of its own for every step, so the thread ends by itself.
        return await asyncio.to_thread(self._mail, notice, address.at)

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, notice: Notice, url: str) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: notice.notice}
        try:
            # A redirect leads to another party: it is no delivery.
            async with self._session.post(url, data=encode(notice), headers=headers, allow_redirects=False) as answer:
                reply = f"HTTP {answer.status}"
                if not 200 <= answer.status < 300:
                    raise Undelivered(reply)
                return reply
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Undelivered(_shortened(type(error).__name__, str(error))) from error

    def _mail(self, notice: Notice, mailbox: str) -> str:
        try:
            server = self._server()
            try:
                if self._config.smtp_username:
                    server.login(self._config.smtp_username, self._password or "")
                sender = self._config.sender
                server.sendmail(sender, [mailbox], mail_of(notice, to=mailbox, sender=sender))
                # The mail is accepted: however the session ends, it must not be sent again.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise Undelivered(_shortened(f"SMTP {code}", reply.decode("utf-8", "replace"))) from error
        except smtplib.SMTPResponseException as error:
            answered = error.smtp_error
            text = answered.decode("utf-8", "replace") if isinstance(answered, bytes) else answered
            raise Undelivered(_shortened(f"SMTP {error.smtp_code}", text)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered(_shortened(type(error).__name__, str(error))) from error
        return "SMTP 250"

    def _server(self) -> smtplib.SMTP:
        """A connection that is as secure as it is configured to be. Raises `SMTPException` or `OSError`."""
        host, port = self._config.smtp_host, self._config.smtp_port
        if self._config.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self._timeout_s, context=self._tls)
        server = smtplib.SMTP(host, port, timeout=self._timeout_s)
        if self._config.smtp_security == "starttls":
            try:
                server.starttls(context=self._tls)
            except BaseException:
                server.close()
                raise
        return server


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


def _shortened(what: str, reply: str) -> str:
    return " ".join(f"{what}: {reply}".split())[:DETAIL_CHARACTERS_MAX]
