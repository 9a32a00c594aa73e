"""What a client shows of itself and whom it believes: passwords and certificates, as their files are when it connects.

Clients live as long as their process, and their connections do not: one that is made after a password or certificate
was renewed uses the new one. A connection that stands is left alone; brokers end it when they want a new login
(`connections.max.reauth.ms`). A file that cannot be used is told once, and what was read last stays in use.

aiokafka takes a password and a TLS context for good, and so does Faust. The context asks for its files at each
handshake; the password is a text that also knows its file, which the seam `logins` asks for at each login.
"""

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Self

from stream.config import ConfigError, KafkaConfig, secret
from stream.kafka.seams.logins import PresentPassword
from stream.reloading_file import ReloadingFiles, reloading_secret

_once_per_configuration = lru_cache(maxsize=16)
"""All clients of a process have one: what is spoilt is told once, and a client that is made meanwhile gets what was."""


@_once_per_configuration
def password(kafka: KafkaConfig) -> str | None:
    """The password of the configuration, as its file has it at each login. Raises `ConfigError`."""
    if kafka.sasl_password or not kafka.sasl_password_file:
        return kafka.sasl_password
    return PresentPassword(reloading_secret("kafka.sasl_password_file", kafka.sasl_password_file))


class TlsContext(ssl.SSLContext):
    """A context for clients that is made anew of its files when these have changed, at the next handshake."""

    def __new__(cls, _present: Callable[[], ssl.SSLContext]) -> Self:
        """As `ssl` wants it: the protocol is the class's; by itself this context believes nobody."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, present: Callable[[], ssl.SSLContext]) -> None:
        self._present = present

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # as the context has it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What event loops begin a handshake with."""
        return self._present().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@_once_per_configuration
def ssl_context(kafka: KafkaConfig) -> ssl.SSLContext | None:
    """The TLS context of the configuration; None where it asks for none. Raises `ConfigError`, naming the option."""
    if kafka.security_protocol not in ("SSL", "SASL_SSL"):
        return None
    named = (kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile, kafka.ssl_keyfile_password_file)
    return TlsContext(ReloadingFiles([Path(file) for file in named if file], lambda: _made(kafka)).value)


def _made(kafka: KafkaConfig) -> ssl.SSLContext:
    _see_readable("ssl_cafile", kafka.ssl_cafile)
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile or None)
    except OSError as error:  # ssl.SSLError is one, and a file may have gone since it was looked at
        raise ConfigError(f"kafka.ssl_cafile: {kafka.ssl_cafile}: {error}; give certificates as PEM") from error
    if not kafka.ssl_certfile:
        return context
    _see_readable("ssl_certfile", kafka.ssl_certfile)
    _see_readable("ssl_keyfile", kafka.ssl_keyfile)
    # A password, if only an empty one: without any, OpenSSL asks for it at the terminal.
    key_password = secret(None, kafka.ssl_keyfile_password_file) or ""
    try:
        context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None, key_password)
    except (OSError, ValueError) as error:  # ValueError: a password beyond what OpenSSL takes
        raise ConfigError(
            f"kafka.ssl_certfile: {kafka.ssl_certfile} with the key {kafka.ssl_keyfile or 'in it'}: {error}; give a "
            "certificate and its own key as PEM, and where the key is encrypted kafka.ssl_keyfile_password_file"
        ) from error
    return context


def _see_readable(option: str, file: str | None) -> None:
    """What ssl says of a file that it cannot read names neither the file nor the option."""
    if not file:
        return
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"kafka.{option}: {file}: {error.strerror}; name a file that this user may read") from error
