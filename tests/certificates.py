"""Certificates that live as long as a test: an authority, and what it signs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, both PEM."""

    certfile: Path
    keyfile: Path


class Authority:
    """Signs, and is believed by whoever believes `cafile`. Everything is written to `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._signs = trustme.CA()
        self.cafile = folder / "authority.pem"
        self._signs.cert_pem.write_to_path(self.cafile)

    def identity(self, name: str, *, password: str | None = None, until: datetime | None = None) -> Identity:
        """A new certificate for a host name or an address; its key is encrypted where there is a password."""
        signed = self._signs.issue_cert(name, not_after=until)
        key = load_pem_private_key(signed.private_key_pem.bytes(), None)
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        made = Identity(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        made.certfile.write_bytes(b"".join(one.bytes() for one in signed.cert_chain_pems))
        # As PKCS 8: Java reads no other.
        made.keyfile.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return made
