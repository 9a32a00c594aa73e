"""Users of a genuine broker who log in by SCRAM: their passwords are set as `kafka-configs.sh` does, without a JVM."""

import hashlib
import os
import socket
import struct
from typing import Final

ITERATIONS: Final = 4_096
"""As few as Kafka takes."""

_ALTER_USER_SCRAM_CREDENTIALS: Final = 51
_SCRAM_SHA_512: Final = 2


def set_password(bootstrap: str, user: str, password: str) -> None:
    """Let a user log in with this password and no other (KIP-554), and see that the broker has it."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    upsertion = _bytes(user.encode()) + struct.pack(">bi", _SCRAM_SHA_512, ITERATIONS) + _bytes(salt) + _bytes(salted)
    body = b"\x01" + b"\x02" + upsertion + b"\0" + b"\0"  # no deletions, one upsertion
    request = struct.pack(">hhih", _ALTER_USER_SCRAM_CREDENTIALS, 0, 1, -1) + b"\0" + body
    host, _, port = bootstrap.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection, connection.makefile("rb") as answers:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = answers.read(struct.unpack(">i", answers.read(4))[0])
    # Correlation id, tags, throttle time, one result: its user, and then its error.
    (error,) = struct.unpack_from(">h", answer, 4 + 1 + 4 + 1 + 1 + len(user))
    assert error == 0, answer


def _bytes(content: bytes) -> bytes:
    """As flexible versions have short strings and bytes."""
    assert len(content) < 127
    return bytes([len(content) + 1]) + content
