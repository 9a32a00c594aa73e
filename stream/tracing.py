"""Traces: a span for each batch that a worker decides, from taking it to the acknowledgement. Off unless configured.

`[trace] endpoint` names a collector that takes OTLP over HTTP; the packages are those of the extra `trace`, imported
only then. A batch's span is linked to the span of the registry state that it was decided from, so that a slow batch and
a large change of the registry are found together.

Promises: spans leave from a thread of their own and a bounded queue; a collector that is away costs spans and nothing
else. Must never carry a number, a text or an event's id: attributes are counts, names of topics and lanes, versions.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stream import logs
from stream.config import ConfigError, TraceConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext

log = logs.get(__name__)

QUEUE_SPANS_MAX: Final = 2_048
EXPORT_SPANS_MAX: Final = 512
EXPORT_EVERY_MS: Final = 2_000
GOODBYE_MS_MAX: Final = 2_000

UNFINISHED_MAX: Final = 1_000
"""Batches whose acknowledgement is awaited: far more than may be in flight, in case some are abandoned."""


@dataclass(frozen=True, slots=True)
class BatchSpan:
    """What a batch's span tells. Counts only."""

    lane: str
    events_count: int
    partitions_count: int
    dead_letters_count: int
    epoch: str
    policy: str


class BatchTracer:
    """The spans of one process. Make it with `start`, after forking: its thread would not survive that."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("wurao.filter")
        self._state: SpanContext | None = None
        self._open: dict[int, Span] = {}

    def state(self, epoch: str, *, policy: str, stale: bool, records_count: int) -> None:
        """A new state of the registry: a span of no length, which the batches decided from it are linked to."""
        span = self._tracer.start_span(
            "registry state",
            attributes={
                "wurao.epoch": epoch,
                "wurao.policy": policy,
                "wurao.stale": stale,
                "wurao.registry.offsets": records_count,
            },
        )
        self._state = span.get_span_context()
        span.end()

    def decided(self, ticket: int, batch: BatchSpan, *, began_ns: int) -> None:
        """A batch was taken at `began_ns` (nanoseconds since the epoch) and is decided; `ticket` names it."""
        from opentelemetry.trace import Link  # noqa: PLC0415  # only where the extra is installed

        span = self._tracer.start_span(
            "batch",
            start_time=began_ns,
            links=[Link(self._state)] if self._state is not None else [],
            attributes={
                "wurao.lane": batch.lane,
                "wurao.events": batch.events_count,
                "wurao.partitions": batch.partitions_count,
                "wurao.dead_letters": batch.dead_letters_count,
                "wurao.epoch": batch.epoch,
                "wurao.policy": batch.policy,
            },
        )
        span.add_event("decided")
        while len(self._open) >= UNFINISHED_MAX:
            self._open.pop(next(iter(self._open))).end()
        self._open[ticket] = span

    def acknowledged(self, ticket: int) -> str | None:
        """All of a batch is acknowledged. Returns its trace's id, for an exemplar; None where it is not sampled."""
        span = self._open.pop(ticket, None)
        if span is None:
            return None
        recorded = span.is_recording()
        span.end(end_time=time.time_ns())
        return format(span.get_span_context().trace_id, "032x") if recorded else None

    def stop(self) -> None:
        """Send what is left, within a bound."""
        self._provider.force_flush(GOODBYE_MS_MAX)
        self._provider.shutdown()


def start(trace: TraceConfig, *, service: str, instance: str) -> BatchTracer | None:
    """The tracer that the configuration asks for; None where it asks for none. Raises `ConfigError`."""
    if trace.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"trace.endpoint is set, but {error.name} is missing: install wurao[trace]") from error
    provider = TracerProvider(
        sampler=TraceIdRatioBased(trace.share),
        resource=Resource({"service.name": service, "service.instance.id": instance}),
        shutdown_on_exit=False,  # a forked child ends without exit handlers; `stop` does it
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint=trace.endpoint, timeout=trace.timeout_ms / 1000),
            max_queue_size=QUEUE_SPANS_MAX,
            max_export_batch_size=EXPORT_SPANS_MAX,
            schedule_delay_millis=EXPORT_EVERY_MS,
        )
    )
    log.info("traces are sent", endpoint=trace.endpoint, share=trace.share)
    return BatchTracer(provider)
