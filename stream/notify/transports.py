"""The two ways out: a mail by SMTP (RFC 5321), or a POST to a URL.

A courier returns once the other side has taken the notice over, and raises `Undelivered` with the reason for
everything else; it never tries twice. A mail server's `250`, or a 2xx, is that taking over: what becomes of it
in the other house is theirs. Where TLS is asked for, nothing goes out without it, and not to a server whose
certificate is not believed: a notice says who is accused of what.
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
"""Of what the other side said; more is not needed as evidence."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Undelivered(Exception):
    """The other side has not taken the notice, as far as can be known; the text says why."""


class Transports:
    """Both ways, by one configuration. Create it on its loop; `close` at the end. Raises `ConfigError`."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._password = secret(config.smtp_password, config.smtp_password_file)
        self._tls = _tls(config)
        self._timeout_s = config.attempt_timeout_ms / 1000
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, notice: Notice, address: Address) -> str:
        """Deliver it, within the configured time; returns what the other side said. Raises `Undelivered`."""
        if address.via == "webhook":
            return await self._post(notice, address.at)
        # smtplib has a bound of its own for every step, so the thread ends without being told to.
        return await asyncio.to_thread(self._mail, notice, address.at)

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, notice: Notice, url: str) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: notice.notice}
        try:
            # Elsewhere is another party's house: a redirect is no delivery.
            async with self._session.post(url, data=encode(notice), headers=headers, allow_redirects=False) as answer:
                said = f"HTTP {answer.status}"
                if not 200 <= answer.status < 300:
                    raise Undelivered(said)
                return said
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
                # The mail is theirs now: however they say goodbye, it must not be sent again.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise Undelivered(_shortened(f"SMTP {code}", said.decode("utf-8", "replace"))) from error
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
    """What certificates are held to; None where no TLS is asked for."""
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


def _shortened(what: str, said: str) -> str:
    return " ".join(f"{what}: {said}".split())[:DETAIL_CHARACTERS_MAX]
