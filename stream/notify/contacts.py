"""The contacts file: from an addressee to the address of a transport.

Pure. The file is TOML: one table, `[contacts]`, from addressee to `mailto:` or `https:` address. An addressee
is written as notices write it (`sender|ORG-9`, `number|…`, `subscriber|…`, `campaign|…`, `complaint|…`), an office to
which reports go as `office|regulator`, `office|state-organs`, `office|complaint-centre`, `office|appeals-body` or
`office|company`; or as its kind and a star (`subscriber|*`) for all of a kind that have no line of their own. Plain
`http:` is for this machine alone: a notice says who is accused of what.
"""

import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from stream.addresses import fault_of_mailbox, fault_of_url
from stream.config import ConfigError
from stream.model.hiding import hidden
from stream.model.schema_fault import schema_fault

KINDS: Final = ("sender", "number", "subscriber", "campaign", "complaint", "office")

Via = Literal["smtp", "webhook"]


class _ContactsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contacts: dict[str, object]


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach somebody: a mailbox, or a URL that takes notices."""

    via: Via
    at: str

    @property
    def masked(self) -> str:
        """The address without what may be secret or personal: of a mailbox its first letter, of a URL its path."""
        if self.via == "smtp":
            name, _, domain = self.at.rpartition("@")
            return f"mailto:{name[:1]}***@{domain}"
        parts = urlsplit(self.at)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***"


class Contacts:
    """Addresses by addressee."""

    def __init__(self, addresses: dict[str, Address]) -> None:
        self._addresses = addresses

    def address(self, to: str) -> Address | None:
        """Where this addressee is reached; None where the file does not say."""
        kind = to.partition("|")[0]
        return self._addresses.get(to) or self._addresses.get(f"{kind}|*")


def read(text: str, path: Path) -> Contacts:
    """The contacts file. Raises `ConfigError` that names the contact by its number: an addressee may be a number."""
    mend = 'write [contacts] and lines such as "sender|ORG-9" = "mailto:…"'
    try:
        file = msgspec.convert(tomllib.loads(text), _ContactsFile)
    except msgspec.ValidationError as error:
        # An unknown name may be an addressee that stands before the table.
        raise ConfigError(f"{path}: {hidden(str(schema_fault(error, _ContactsFile)))}; {mend}") from error
    except (ValueError, RecursionError) as error:  # tomllib raises others than its own for long integers
        raise ConfigError(f"{path}: not TOML: {error}; {mend}") from error
    addresses = {}
    for number, (to, address) in enumerate(file.contacts.items(), start=1):
        where = f"{path}: contact {number}"
        if not isinstance(address, str):
            raise ConfigError(f"{where}: an address is a text, mailto:name@domain or https://…")
        if to.partition("|")[0] not in KINDS or not to.partition("|")[2]:
            raise ConfigError(f"{where}: an addressee is {', '.join(f'{kind}|…' for kind in KINDS)}")
        addresses[to] = _address(address, where)
    return Contacts(addresses)


def _address(text: str, where: str) -> Address:
    # A fault does not repeat the address: that of a webhook may hold its secret, a mailbox a number.
    scheme, _, rest = text.partition(":")
    if scheme.lower() == "mailto":
        mailbox = unquote(rest)
        if "?" in text or fault_of_mailbox(mailbox) is not None:
            raise ConfigError(f"{where}: no mailbox; write mailto:name@domain, all of it ASCII (`xn--…`)")
        return Address("smtp", mailbox)
    if fault_of_url(text) is not None:
        raise ConfigError(f"{where}: an address is mailto:name@domain or https://…, its host's name in ASCII (`xn--…`)")
    parts = urlsplit(text)
    if parts.scheme != "https" and not is_here(parts.hostname or ""):
        raise ConfigError(f"{where}: plain http is for this machine alone; write https://…")
    return Address("webhook", text)


def is_here(host: str) -> bool:
    """Whether a host is this machine, so that nobody can listen on the way to it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
