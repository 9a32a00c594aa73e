"""`docs/limits.md`: how much of everything, from the table that the code obeys."""

from typing import Final

from stream.config import Config
from stream.model.limits import TABLE

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


def render() -> str:
    """The page."""
    rows = [f"| {limit.of} | {limit.most:,} {limit.unit} | {limit.why} |" for limit in TABLE]
    requests = [f"| `{setting}` | {_default(setting):,} | {what} |" for setting, what in _REQUESTS.items()]
    return _HEAD + "\n".join(rows) + "\n" + _SERVERS + "\n".join(requests) + "\n"


def _default(setting: str) -> int:
    table, _, name = setting.partition(".")
    value = getattr(getattr(Config(), table), name)
    assert isinstance(value, int), "limits are numbers"
    return value
