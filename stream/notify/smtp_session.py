"""An SMTP session (smtplib) that ends by one moment, however it goes: a deadline for all of it.

A socket's timeout begins anew with every byte that comes, so that a server of one byte each half second would hold a
thread for days. Here each read and each write has only the time that is left.
"""

import io
import smtplib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

WRITE_BYTES_MAX: Final = 16 << 10
"""Written at once: with TLS the timeout begins anew with each record, and this is one (RFC 8446, section 5.1)."""


class SmtpSession(smtplib.SMTP):
    """A session in the clear, until `starttls`."""

    def __init__(self, host: str, port: int, *, ends_s: float) -> None:
        """Connects. `ends_s` is the moment of `time.monotonic` by which all must be over.

        Raises `SMTPException` or `OSError`, as everything here does; after the end at once.
        """
        self.ends_s = ends_s
        super().__init__(host, port, timeout=self.left_s())

    def left_s(self) -> float:
        """The seconds that are left. Raises `TimeoutError` where there are none."""
        left_s = self.ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("out of time")
        return left_s

    def send(self, s: "ReadableBuffer | str") -> None:
        """As smtplib does it, in parts."""
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        for start in range(0, len(data), WRITE_BYTES_MAX):
            if self.sock is not None:
                self.sock.settimeout(self.left_s())
            super().send(data[start : start + WRITE_BYTES_MAX])

    def getreply(self) -> tuple[int, bytes]:
        """As smtplib does it."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_UntilTheEnd(self, self.sock))
        return super().getreply()


class SmtpTlsSession(SmtpSession, smtplib.SMTP_SSL):
    """A session with TLS from its first byte."""

    def __init__(self, host: str, port: int, *, ends_s: float, tls: ssl.SSLContext) -> None:
        """Connects, as `SmtpSession` does."""
        self.ends_s = ends_s
        smtplib.SMTP_SSL.__init__(self, host, port, timeout=self.left_s(), context=tls)


class _UntilTheEnd(io.RawIOBase):
    """A connection's bytes, as long as its session has time left."""

    def __init__(self, session: SmtpSession, connection: socket.socket) -> None:
        super().__init__()
        self._session = session
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        self._connection.settimeout(self._session.left_s())
        return self._connection.recv_into(buffer)
