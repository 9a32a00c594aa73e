"""`docs/limits.md`: how much of everything, from the table that the code obeys."""

from typing import Final

from stream import rate_limit
from stream.config import Config
from stream.deciding import activity
from stream.enforce.api import scopes_written
from stream.model.limits import TABLE
from stream.policy import decide, numbering, reading, replies
from stream.registry import known_names

TARGET: Final = "docs/limits.md"

_HEAD: Final = """# Limits

<!-- Made by `make docs` from stream/model/limits.py and docs/generate/limits.py; change them there. -->

An event beyond a limit goes to `dead-letter`. Whoever writes a record to the registry or to the control plane is
refused beyond one. Records that were written before a limit was set are still applied, up to the size of a record:
`wurao topics check` names them.

| what | at most | why |
|---|---|---|
"""


_REQUESTS: Final = {
    "http.connections_max": "open at once; never more than a quarter of what `ulimit -n` allows the process",
    "http.connections_per_address_max": "of them; a proxy is one address, and so is an IPv6 network of 64 bits",
    "http.requests_per_address": "a second, in the mean of ten seconds: 429 beyond that, with `Retry-After`",
    "http.header_timeout_ms": "without a whole request header, at first and between two requests: closed",
    "http.body_timeout_ms": "for a body: 408",
    "http.handler_timeout_ms": "for a request altogether: 503",
    "api.requests_per_token": "a second, in the mean of ten seconds, of the API alone: 429",
    "api.body_bytes_max": "of a body, unpacked: 413",
}

_SERVERS: Final = """
## Requests

What every HTTP server takes, those of `/metrics`, `/healthz` and `/readyz` too. Where a connection too many comes, the
one that has been idle longest makes room, of the address that has most; where all are busy, the new one gets 503.
Behind a proxy all of the API's requests are of one address: raise `http.requests_per_address` to what all callers may
send.

| setting | by default | |
|---|---|---|
"""

_MEMORY: Final = """
## Memory

What a process remembers of what strangers write. Beyond its bound all of it, or the oldest, is forgotten and worked out
again. Why, and what was measured: [decision 0020](decisions/0020-what-is-remembered-is-bounded-in-bytes.md).

| what | at most |
|---|---|
"""

_REMEMBERED: Final = {
    "senders and compiled routes of events, Python": f"{decide.KEPT_BYTES_MAX:,} bytes",
    "readings of texts, with what these are folded to": f"{reading.READINGS_CHARACTERS_MAX:,} characters",
    "meanings of replies": f"{replies.REMEMBERED_MAX:,} of {replies.REMEMBERED_CHARACTERS_MAX} characters",
    "ports as they are read": f"{numbering.PORTS_MAX:,} of 256 characters",
    "odd numbers in open windows of activity": f"{activity.TEXTS_CHARACTERS_MAX:,} characters",
    "rows in open windows of activity": f"{activity.ROWS_MAX:,}",
    "scopes that came through the API": f"{scopes_written.KEPT_MAX:,} hashes",
    "who asks of an HTTP server, and how often": f"{rate_limit.KNOWN_MAX:,} accounts",
    "unknown names of one import": f"{known_names.LOOKED_UP_MAX:,}",
}


def render() -> str:
    """The page."""
    rows = [f"| {limit.of} | {limit.most:,} {limit.unit} | {limit.why} |" for limit in TABLE]
    requests = [f"| `{setting}` | {_default(setting):,} | {what} |" for setting, what in _REQUESTS.items()]
    remembered = [f"| {what} | {most} |" for what, most in _REMEMBERED.items()]
    return "\n".join((_HEAD + "\n".join(rows), _SERVERS + "\n".join(requests), _MEMORY + "\n".join(remembered), ""))


def _default(setting: str) -> int:
    table, _, name = setting.partition(".")
    value = getattr(getattr(Config(), table), name)
    assert isinstance(value, int), "limits are numbers"
    return value
