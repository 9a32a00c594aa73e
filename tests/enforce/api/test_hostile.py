"""Whatever is sent to the API, it is answered below 500 and by its document, and no traceback is logged.

Requests go over a socket byte by byte, so that what no client would send is sent as well.
"""

import asyncio
import gzip
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_from_bytes

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stream.clock import now_ms
from stream.config import Config
from stream.logs import FewOfAKind
from stream.model import topics
from stream.model.codec import encode
from stream.model.registry import Order, key_of
from tests.enforce.api.harness import (
    COMPLAINT,
    CONTRACT,
    TOKENS,
    ApiClient,
    Json,
    config_for,
    keeps_the_contract,
    register,
    running_api,
    token_of,
)
from tests.enforce.procedures.pools import SUBSCRIBER
from tests.filter.harness import Broker, write
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

OPERATIONS: Final = [
    (path, method) for path, methods in CONTRACT["paths"].items() for method in methods if path.startswith("/v1/")
]
FAR: Final = 1_998_000_000_000
UNLIMITED: Final = {"WURAO_HTTP__REQUESTS_PER_ADDRESS": "100000", "WURAO_API__REQUESTS_PER_TOKEN": "100000"}


class Logged(logging.Handler):
    """What goes out by the filter of every process."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(FewOfAKind())
        self.tracebacks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        shown = record.getMessage()
        if record.exc_info or record.levelno >= logging.CRITICAL or "exc_info" in shown or "unexpected" in shown:
            self.tracebacks.append(f"{record.name}: {shown}")


@contextmanager
def no_traceback() -> Iterator[None]:
    logged = Logged()
    logging.getLogger().addHandler(logged)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(logged)
    assert not logged.tracebacks


async def send(client: ApiClient, request: bytes) -> tuple[int, str, bytes]:
    """The status, type and body of the answer to these bytes."""
    host, _, port = client.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(LONG_S):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            while head.split()[1] == b"100":
                head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            return int(head.split()[1]), fields["content-type"], await reader.readexactly(int(fields["content-length"]))
    finally:
        writer.close()


def request_of(method: str, target: bytes, headers: dict[str, bytes], body: bytes) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method.upper().encode(), target), b"Host: x", b"Connection: close"]
    lines += [b"%s: %s" % (name.encode(), value) for name, value in headers.items()]
    if body or method == "post":
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# ---- by hand: what was a 500


async def test_what_was_a_fault_of_the_program_is_the_requests(config: Config) -> None:
    by = {"Authorization": f"Bearer {token_of('desk')}".encode()}
    complaint = orjson.dumps(COMPLAINT)
    hostile: tuple[tuple[str, bytes, dict[str, bytes], bytes, int, str], ...] = (
        ("get", b"/v1/cases?after=" + b"9" * 4301 + b".x", {}, b"", 400, "after"),
        ("get", b"/v1/cases?after=%FF", {}, b"", 400, "after"),
        ("post", b"/v1/complaints", {"Idempotency-Key": b"\xff"}, complaint, 400, "Idempotency-Key"),
        ("post", b"/v1/complaints", {"Content-Encoding": b"gzip"}, complaint, 400, "no gzip"),
        ("post", b"/v1/complaints", {"Content-Encoding": b"gzip"}, gzip.compress(complaint)[:-9], 400, "no gzip"),
        ("post", b"/v1/complaints", {"Content-Encoding": b"br"}, complaint, 415, "gzip or deflate"),
        ("post", b"/v1/complaints", {"Content-Encoding": b"gzip"}, gzip.compress(b" " * 1_000_000), 413, "262144"),
        ("post", b"/v1/complaints", {}, b'{"at":' + b"9" * 5_000 + b"}", 400, "out of range"),
    )
    with no_traceback():
        async with running_api(config, control_plane=False) as client:
            for method, target, headers, body, status, named in hostile:
                found, _, content = await send(client, request_of(method, target, {**by, **headers}, body))
                assert (found, named in content.decode()) == (status, True), (target, content)
            packed = {**by, "Content-Encoding": b"gzip"}
            found, _, _ = await send(client, request_of("post", b"/v1/complaints", packed, gzip.compress(complaint)))
            assert found == 202


async def test_a_token_asks_so_often_and_neither_it_nor_a_stranger_fills_the_log(
    broker: Broker, tmp_path: Path
) -> None:
    config = config_for(broker, tmp_path, WURAO_API__REQUESTS_PER_TOKEN="1")  # noqa: S106  # no secret
    async with running_api(config, control_plane=False) as client:
        began = time.monotonic()
        with capture_logs() as lines:
            answers = [await client.get("/v1/cases") for _ in range(40)]
            assert {(await client.get("/v1/cases", by="nobody")).status for _ in range(40)} == {401}
        refused = [line for line in lines if line["event"] == "request" and line["status"] != 200]
        assert len(refused) <= 2 * (1 + (time.monotonic() - began) / 10), "one of each status in ten seconds"
        assert {(line["status"], line["address"]) for line in refused} == {(429, "127.0.0.1"), (401, "127.0.0.1")}
        assert {one.status for one in answers} == {200, 429}
        assert answers[-1].body["error"] == "too-many"
        assert (await client.get("/v1/cases", by="regulator")).status == 200


async def test_nobody_makes_an_order_under_an_id_and_whoever_wrote_one_ends_it_sooner(config: Config) -> None:
    before = Order("O-bcdf", "stop", now_ms() - 1, "measures", sender="ORG-9", until=FAR, actor="desk:17")
    await write(config, [(topics.ORDERS, 0, key_of(before).encode(), encode(before))])
    sooner = now_ms() + 86_400_000
    async with running_api(config, control_plane=False) as client:
        named = await client.post("/v1/orders", {"order": "O-17", "until": FAR})
        assert (named.status, named.body["error"]) == (409, "wrong-state")
        taken = await client.post("/v1/orders", {"order": "O-bcdf", "until": sooner}, by="regulator")
        assert "desk:17 wrote it" in str(taken.body["reason"])
        other = await client.post("/v1/orders", {"order": "O-bcdf", "until": sooner, "measure": "limit"})
        assert other.faults().keys() == {"measure"}
        assert (await client.post("/v1/orders", {"order": "O-bcdf"})).faults().keys() == {"until"}
        assert (await client.post("/v1/orders", {"order": "O-bcdf", "until": sooner})).status == 202
        longer = await client.post("/v1/orders", {"order": "O-bcdf", "until": FAR})
        assert "not made longer" in str(longer.body["reason"])
        first, last = (orjson.loads(record.value) for record in await client.records(topics.ORDERS))
        assert last == {**first, "until": sooner}, "it began when it did"


async def test_no_key_is_made_of_parts_that_hold_its_bar_and_no_refusal_expires(config: Config) -> None:
    word: Json = {"subscriber": "+8613800138000", "channel": "sms", "will": "refuse", "source": "app"}
    async with running_api(config, control_plane=False) as client:
        for stated in ({"sender": "a|b"}, {"category": "c|d"}, {"expires": 4_000_000_000_000}):
            refused = await client.post("/v1/expressions", {**word, **stated})
            assert (refused.status, list(refused.faults())) == (400, list(stated))
        complained = await client.post("/v1/complaints", {**COMPLAINT, "sender": "a|b"})
        assert list(complained.faults()) == ["sender"]
        found = await client.post("/v1/findings", {"party": {"sender": "a|b"}, "grounds": "inspection"})
        assert list(found.faults()) == ["party"]
        assert await client.records(topics.EXPRESSIONS) == []


# ---- by chance: every operation of the document

TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        (
            *("+8613800138000", "ORG-9", "a|b", "*", "finance", "106900", "sms", "call", "stop", "suspend", "consent"),
            *("refuse", "lift", "prohibited-content", "inspection", "1" * 5000, "a" + "\u0301" * 500, "x" * 50_000),
            *(
                "measures",
                "regulator-order",
                "sender|ORG-9",
                "number|+8613800138000",
                "9" * 4301 + ".x",
                "1.C-1",
                "true",
            ),
            *("received", "complaint", "0x10", "1e5", "NaN", "-1", "\u0663", "anyway", "confirmed", "approve"),
        )
    ),
)
NUMBERS = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((0, 1, 1_795_400_000_000, 1_998_000_000_000, 1_998_086_400_000, (1 << 53) - 1)),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(("sender", "number", "name", "value")), st.text(max_size=5)), inner),
        st.fixed_dictionaries({"sender": st.just("ORG-9")}),
        st.fixed_dictionaries({"people": NUMBERS, "planned": NUMBERS, "body_campaigns": NUMBERS, "sent": NUMBERS}),
    ),
    max_leaves=6,
)


def field_names(path: str, method: str) -> list[str]:
    """The fields of all bodies that this takes."""
    found: dict[str, None] = {"event": None}
    schemas = CONTRACT["components"]["schemas"]

    def follow(schema: object) -> None:
        match schema:
            case {"$ref": str(ref)}:
                follow(schemas[ref.rpartition("/")[2]])
            case {"oneOf": [*choices]}:
                for one in choices:
                    follow(one)
            case {"properties": dict(properties)}:
                found.update(dict.fromkeys(properties))
            case _:
                pass

    body = CONTRACT["paths"][path][method].get("requestBody")
    follow(body["content"]["application/json"]["schema"] if body else {})
    return list(found)


EVENTS = [
    schema["properties"]["event"]["enum"][0]
    for schema in CONTRACT["components"]["schemas"].values()
    if "event" in schema.get("properties", {}) and "enum" in schema["properties"]["event"]
]


def bodies(path: str, method: str) -> st.SearchStrategy[bytes]:
    names = field_names(path, method)
    named = st.fixed_dictionaries({}, optional={name: VALUES for name in names if name != "event"})
    events = st.sampled_from(EVENTS) if EVENTS else TEXTS
    objects = st.builds(lambda fields, event: {**fields, **event}, named, st.one_of(st.just({}), events.map(_event)))
    return st.one_of(
        objects.map(_json),
        VALUES.map(_json),
        st.binary(max_size=200),
        st.builds(
            lambda text, n: text * n, st.sampled_from((b"[", b'{"a":', b"9", b'"\\ud800')), st.integers(0, 3_000)
        ),
    )


def _event(name: object) -> dict[str, object]:
    return {"event": name}


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # an integer beyond 64 bits, or half a surrogate
        return repr(value).replace("'", '"').encode("utf-8", "surrogatepass")


def headers_of() -> st.SearchStrategy[dict[str, bytes]]:
    raw = st.binary(max_size=20).map(lambda text: text.translate(None, b"\r\n\0"))
    by = st.sampled_from([f"Bearer {token_of(name)}".encode() for name in TOKENS])
    return st.fixed_dictionaries(
        {"Authorization": st.one_of(by, by, by, by, raw)},
        optional={
            "Idempotency-Key": st.one_of(raw, st.just(b"form-17"), st.just(b"x" * 256)),
            "Content-Encoding": st.one_of(st.sampled_from((b"gzip", b"deflate", b"br", b"identity")), raw),
            "Content-Type": raw,
            "Expect": st.sampled_from((b"100-continue", b"nothing")),
        },
    )


def targets(path: str, cases: list[str]) -> st.SearchStrategy[bytes]:
    case = st.one_of(
        st.sampled_from([*cases, quote(SUBSCRIBER, safe="")]),
        TEXTS.filter(bool).map(lambda text: quote(text[:500].encode("utf-8", "surrogatepass"), safe="")),
        st.binary(min_size=1, max_size=20).map(lambda raw: quote_from_bytes(raw, safe="")),
    )
    parameters = CONTRACT["paths"][path].get("get", {}).get("parameters", [])
    names = [one["name"] for one in parameters if one["in"] == "query"]
    value = TEXTS.map(lambda text: quote(text[:5_000].encode("utf-8", "surrogatepass"), safe=""))
    queries = st.dictionaries(st.sampled_from((*names, "else", "%FF")), value, max_size=3)
    return st.builds(
        lambda case, query: (
            path.replace("{case}", case).replace("{number}", case)
            + "?" * bool(query)
            + "&".join(f"{name}={what}" for name, what in query.items())
        ).encode("ascii")[:8_000],
        case,
        queries,
    )


def test_every_operation_answers_below_500_whatever_is_sent(broker: Broker, tmp_path: Path) -> None:
    config = config_for(broker, tmp_path, **UNLIMITED)
    with asyncio.Runner() as runner, no_traceback():
        ready = running_api(config, registrar=True)
        runner.run(register(config, "ORG-9"))
        client = runner.run(ready.__aenter__())
        try:
            cases = runner.run(_cases(client))
            for path, method in OPERATIONS:
                _send_anything(runner, client, path, method, cases)
        finally:
            runner.run(ready.__aexit__(None, None, None))


async def _cases(client: ApiClient) -> list[str]:
    filed = await client.post("/v1/complaints", COMPLAINT)
    finding: Json = {"party": {"sender": "ORG-9"}, "grounds": "prohibited-content", "evidence": ["sha256:1"]}
    found = await client.post("/v1/findings", finding)
    directed = await client.post("/v1/directions", {"party": {"sender": "ORG-9"}, "measure": "stop"}, by="regulator")
    campaign = await client.post("/v1/filings", {"sender": "ORG-9"})
    cases = [one.case for one in (filed, found, directed, campaign)]
    for case in cases:
        await client.show(case)
    return cases


def _send_anything(runner: asyncio.Runner, client: ApiClient, path: str, method: str, cases: list[str]) -> None:
    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(targets(path, cases), headers_of(), bodies(path, method) if method == "post" else st.just(b""))
    def answered(target: bytes, headers: dict[str, bytes], body: bytes) -> None:
        status, kind, content = runner.run(send(client, request_of(method, target, headers, body)))
        assert status < 500, (target, headers, body, content)
        if kind.startswith("application/json"):
            asked = target.partition(b"?")[0].decode("ascii")
            exact = asked if asked.count("/") == path.count("/") else path
            keeps_the_contract(method, exact, status, orjson.loads(content))

    answered()
