"""Traces as a collector receives them, and the way from a slow bucket to its trace."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream import tracing
from stream.config import TraceConfig
from stream.metrics import Latency
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess
from tests.patience import LONG_S

TraceRequest = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="install wurao[trace]"
).ExportTraceServiceRequest


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Collector:
    """A tiny OTLP/HTTP collector: keeps what it is sent, decoded."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        kept = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                kept.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def spans(self) -> list["Span"]:
        """Every span received."""
        found: list[Span] = []
        for body in self.requests:
            for resource in TraceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [
                        Span(
                            one.name,
                            one.trace_id.hex(),
                            one.span_id.hex(),
                            {pair.key: str(pair.value) for pair in one.attributes},
                            [link.span_id.hex() for link in one.links],
                            one.end_time_unix_nano - one.start_time_unix_nano,
                        )
                        for one in scope.spans
                    ]
        return found


@dataclass(frozen=True)
class Span:
    """As much of a span as these tests look at."""

    name: str
    trace: str
    span: str
    attributes: dict[str, str]
    links: list[str]
    took_ns: int


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, for as long as the block lasts."""
    collector = Collector()
    collector._thread.start()
    try:
        yield collector
    finally:
        collector._server.shutdown()
        collector._thread.join()
        collector._server.server_close()


@pytest.mark.kafka
def test_every_batch_is_a_span_linked_to_the_registry_state_it_was_decided_from(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    broker.write_events(cases.EVENTS)
    with (
        collecting() as collector,
        FilterProcess(broker, tmp_path, WURAO_TRACE__ENDPOINT=collector.endpoint) as filter_,
    ):
        filter_.wait_ready()
        broker.decisions(until=len(cases.EVENTS))
        shown = _openmetrics(filter_, f'wurao_decision_latency_seconds_count{{lane="bulk"}} {len(cases.EVENTS)}.0')
        assert filter_.terminate() == 0
        spans = collector.spans()
        sent = b"".join(collector.requests)
    batches = [span for span in spans if span.name == "batch"]
    states = {span.span for span in spans if span.name == "registry state"}
    assert sum(int(span.attributes["wurao.events"].split(":")[1]) for span in batches) == len(cases.EVENTS)
    assert all(len(span.links) == 1 and span.links[0] in states for span in batches)
    assert all(span.took_ns > 0 for span in batches)
    for secret in (cases.WILLING, cases.REFUSING, cases.SILENT, "consented", "山海"):
        assert secret.encode() not in sent
    exemplars = re.findall(r'wurao_decision_latency_seconds_bucket.* # \{trace_id="([0-9a-f]{32})"\}', shown)
    assert exemplars
    assert set(exemplars) <= {span.trace for span in batches}


def _openmetrics(filter_: FilterProcess, line: str) -> str:
    """The first worker's metrics with exemplars, once they have this line: acknowledgements come after decisions."""
    deadline = time.monotonic() + LONG_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", filter_.port + 1, timeout=LONG_S)
        connection.request("GET", "/metrics", headers={"Accept": OPENMETRICS})
        shown = connection.getresponse().read().decode()
        connection.close()
        if line in shown:
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)


def test_a_batch_that_is_not_sampled_leaves_no_exemplar() -> None:
    with collecting() as collector:
        tracer = tracing.start(TraceConfig(endpoint=collector.endpoint, share=0.0), service="s", instance="i")
        assert tracer is not None
        tracer.decided(1, tracing.BatchSpan("bulk", 1, 1, 0, "r-1", "p"), began_ns=1)
        assert tracer.acknowledged(1) is None
        assert tracer.acknowledged(2) is None, "never seen"
        tracer.stop()
        assert collector.requests == []


def test_without_an_endpoint_there_is_no_tracer() -> None:
    assert tracing.start(TraceConfig(), service="s", instance="i") is None


def test_the_longest_latency_of_a_traced_batch_is_the_exemplar_of_its_bucket() -> None:
    latency = Latency("t_seconds", "t")
    latency.observe(np.array([1, 3, 150]), trace_id="aa")
    latency.observe(np.array([1, 3]))
    registry = CollectorRegistry()
    registry.register(latency)
    encode, _ = choose_encoder(OPENMETRICS)
    text = encode(registry).decode()
    (line,) = (line for line in text.splitlines() if "trace_id" in line)
    assert line.startswith('t_seconds_bucket{le="0.15"} 5.0 # {trace_id="aa"} 0.15 ')
