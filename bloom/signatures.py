"""Files that are signed: who may have written a snapshot, a base or a policy file.

A checksum finds damage; whoever makes a file on purpose makes its checksum as well. With keys, HMAC-SHA-256 (RFC 2104)
over all bytes of FILE stands in `FILE.hmac` beside it, one line: `hmac-sha256 KEY-ID DIGEST`, in hexadecimal. So one
mechanism serves binary files and texts that people write, and neither their formats nor their own digests change. An id
tells which key was used, so that several may be known: the first signs, all are accepted.

Promises that what was verified is what is used: bytes are verified where they are in memory or mapped, and a file is
mapped only if nobody but this process's user and root may change it under the mapping. Costs what SHA-256 costs, a
second for one to two gigabytes. What it does not tell: that a file is the newest that was signed.
"""

import errno
import hmac
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

SECRET_BYTES_MIN: Final = 32
"""As long as the digest: a shorter key is weaker than HMAC-SHA-256 (RFC 2104, section 3)."""

_MEND: Final = f"give one of at least {SECRET_BYTES_MIN} bytes, as `openssl rand -hex 32` makes"

SUFFIX: Final = ".hmac"
_ALGORITHM: Final = "hmac-sha256"
_SIGNATURE_BYTES_MAX: Final = 4_096
"""More than any signature has: nothing is read on behalf of a file that is none."""

Buffer = bytes | mmap.mmap | memoryview


class SignatureError(Exception):
    """A file that must not be used: which one, what its signature lacks, the mend."""


class Keys:
    """Secrets of at least 32 bytes; the first signs, each is accepted. Raises `ValueError`, which repeats none."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError(f"no key stands there: {_MEND}")
        for number, secret in enumerate(secrets, start=1):
            if len(secret) < SECRET_BYTES_MIN:
                raise ValueError(f"key {number} has {len(secret)} bytes: {_MEND}")
        self._secrets: Final = {_id_of(secret): secret for secret in secrets}

    @classmethod
    def of_text(cls, text: str) -> "Keys":
        """The keys of a text: words, so one a line in a file. Raises `ValueError`."""
        return cls([word.encode() for word in text.split()])

    def sign(self, path: Path, data: Buffer) -> None:
        """Write the signature of these bytes, which will stand at `path`, whole or not at all. Raises OSError."""
        key_id, secret = next(iter(self._secrets.items()))
        line = f"{_ALGORITHM} {key_id} {_digest(secret, data)}\n"
        signature = signature_of(path)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{signature.name}.", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(line)
                file.flush()
                os.fchmod(file.fileno(), 0o644)  # it tells nothing, and whoever reads the file must read it
                os.fsync(file.fileno())
                temporary.replace(signature)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def verify(self, path: Path, data: Buffer) -> None:
        """Raises `SignatureError` unless these bytes, which came from `path`, are what its signature says."""
        signature = signature_of(path)
        mend = f"if it is what it should be, sign it: wurao sign {path}"
        try:
            with signature.open("rb") as file:
                line = file.read(_SIGNATURE_BYTES_MAX)
        except FileNotFoundError:
            raise SignatureError(f"{path}: is not signed: there is no {signature.name} beside it; {mend}") from None
        except OSError as error:
            raise SignatureError(
                f"{path}: its signature {signature.name} cannot be read: {error.strerror}; let this user read it"
            ) from error
        words = line.decode("ascii", "replace").split()
        if len(words) != 3 or words[0] != _ALGORITHM:
            raise SignatureError(f"{path}: {signature.name} beside it is no signature; {mend}")
        secret = self._secrets.get(words[1])
        if secret is None:
            raise SignatureError(f"{path}: is signed by a key that is not among ours (integrity.key_file); {mend}")
        if not hmac.compare_digest(words[2].encode(), _digest(secret, data).encode()):
            raise SignatureError(f"{path}: differs from what was signed; take back what was signed, or {mend}")


def signature_of(path: Path) -> Path:
    """Where a file's signature stands."""
    return path.with_name(path.name + SUFFIX)


@contextmanager
def mapped(path: Path, keys: Keys | None) -> Iterator[tuple[int, mmap.mmap]]:
    """A file, open and mapped, and with keys verified: its descriptor and its bytes.

    Raises `SignatureError`, and `OSError`, also for an empty file, which cannot be mapped.
    """
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        if about.st_size == 0:
            raise OSError(errno.ENODATA, "the file is empty", str(path))
        if keys is not None and about.st_uid not in (0, os.geteuid()):
            raise SignatureError(
                f"{path}: belongs to uid {about.st_uid}, who could change it while it is in use; give it to uid "
                f"{os.geteuid()}"
            )
        if keys is not None and about.st_mode & stat.S_IWOTH:
            raise SignatureError(f"{path}: anybody may write it, and change it while it is in use; chmod o-w {path}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if keys is not None:
                keys.verify(path, data)
            yield file.fileno(), data


def _id_of(secret: bytes) -> str:
    """Sixteen hexadecimal digits that tell keys apart, and tell nothing of a key that cannot be guessed."""
    return sha256(b"wurao key id\0" + secret).hexdigest()[:16]


def _digest(secret: bytes, data: Buffer) -> str:
    return hmac.new(secret, data, "sha256").hexdigest()
