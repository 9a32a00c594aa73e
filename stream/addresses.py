"""Addresses that people write: hosts, ports, lists of brokers, URLs. Looked at before anything is asked of a network,
whose libraries answer what is none with errors of their own kinds.

Pure: whether a name exists, or anybody listens, is seen later.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORT_MAX: Final = 65_535
NAME_CHARACTERS_MAX: Final = 253
"""RFC 1035, without the dot at the end."""

_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""RFC 5321: a dot-string, of ASCII, which any server takes."""
_LOCAL_PART_CHARACTERS_MAX: Final = 64

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
"""RFC 1123; underscores, which it has not, are in names of containers."""


_URL_CHARACTERS: Final = re.compile(r"[^\x00-\x20\x7f]+")


def fault_of_host(host: str) -> str | None:
    """Why this is no name and no address of a host, and the mend; None where it is one."""
    if not host:
        return "no host; write a name or an address"
    if _is_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host):
        return None
    if len(host) > NAME_CHARACTERS_MAX:
        return f"a host's name has at most {NAME_CHARACTERS_MAX} characters, this has {len(host)}"
    for label in host.removesuffix(".").split("."):
        if not _LABEL.fullmatch(label):
            return (
                f"{label!r} is no part of a host's name: 1 to 63 letters, digits and dashes between dots"
                " (a name in other letters is written as `xn--…`, an IPv6 address in brackets)"
            )
    return None


def fault_of_broker(text: str) -> str | None:
    """Why this is no `host:port` of a broker (the port may be left out), and the mend; None where it is one."""
    if "://" in text:
        return "a broker is host:port, without a scheme before it"
    bracketed = re.fullmatch(r"(\[[^\]]*\])(?::(.*))?", text)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2]
    elif text.count(":") > 1:
        return "an IPv6 address stands in brackets, as [::1]:9092" if _is_address(text) else "write host:port"
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
    return fault_of_host(host) or (fault_of_port(port) if port is not None else None)


def fault_of_port(text: str) -> str | None:
    """Why this is no port, and the mend; None where it is one."""
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= PORT_MAX:
        return None
    return f"{text!r} is no port: a number from 1 to {PORT_MAX}"


def fault_of_url(text: str) -> str | None:
    """Why this is no `http://…` or `https://…`, and the mend; None where it is one."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # whose text repeats the address, with a password that stands in it
        return "no URL: write http://host:port/path, with an IPv6 address in brackets"
    if not _URL_CHARACTERS.fullmatch(text):
        return "no URL: a space or a control character stands in it; write %20"
    if parts.netloc.rpartition("@")[2].partition("]")[2][:1] not in ("", ":"):
        return "no URL: behind the brackets of an IPv6 address comes :port or the path"
    if parts.scheme not in ("http", "https"):
        return "write http://host:port/path, or https"
    if port == 0:
        return f"0 is no port: a number from 1 to {PORT_MAX}"
    return fault_of_host(parts.hostname or "")


def fault_of_mailbox(text: str) -> str | None:
    """Why this is no `name@domain`, and the mend; None where it is one."""
    local, at, domain = text.rpartition("@")
    if not at:
        return "a mailbox is name@domain"
    if len(local) > _LOCAL_PART_CHARACTERS_MAX or not _LOCAL_PART.fullmatch(local):
        return "before the @ stand 1 to 64 letters, digits and some marks, all of ASCII"
    return fault_of_host(domain)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
