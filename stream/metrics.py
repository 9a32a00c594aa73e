"""Every metric, with its sentence: what it counts, and what an operator does when it moves.

Promises: names follow Prometheus' conventions; a label never holds a subscriber's number, a text or anything whose
values are without bound. Metrics are updated once per batch, never per event; latencies are counted into buckets
with one numpy call and handed to Prometheus when it asks.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

LATENCY_BUCKETS_S = (
    0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05, 0.075,
    0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0,
)  # fmt: skip
"""From a call's patience (200 ms) down to what a worker can do, by the millisecond there, and up to an SMS's (5 s) and
a backlog's."""

LANES = ("urgent", "bulk")
"""The two lanes of a filter worker."""


class Latency(Collector):
    """A histogram that takes whole batches, one for each value of a label where it has one. Some 10 µs a batch."""

    def __init__(self, name: str, sentence: str, *, label: str | None = None, values: Sequence[str] = ("",)) -> None:
        self._name, self._sentence, self._label = name, sentence, label
        self._edges_ms = np.array(LATENCY_BUCKETS_S) * 1000.0
        self._series = {value: _Series() for value in values}

    def observe(self, latencies_ms: NDArray[np.int64], *, value: str = "", trace_id: str | None = None) -> None:
        """Count a batch of latencies, in milliseconds. A `trace_id` becomes the exemplar of the longest."""
        series = self._series[value]
        places = np.searchsorted(self._edges_ms, latencies_ms, side="left")
        series.counts += np.bincount(places, minlength=len(series.counts))
        series.sum_s += float(latencies_ms.sum()) / 1000.0
        if trace_id is not None:
            longest_s = float(latencies_ms.max()) / 1000.0
            series.exemplars[int(places.max())] = Exemplar({"trace_id": trace_id}, longest_s, time.time())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as Prometheus asks for it."""
        family = HistogramMetricFamily(self._name, self._sentence, labels=[self._label] if self._label else None)
        for value, series in self._series.items():
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            cumulated = np.cumsum(series.counts)
            for place, (edge, count) in enumerate(zip((*LATENCY_BUCKETS_S, "+Inf"), cumulated, strict=True)):
                exemplar = series.exemplars.get(place)
                buckets.append((str(edge), float(count), exemplar) if exemplar else (str(edge), float(count)))
            family.add_metric([value] if self._label else [], buckets, sum_value=series.sum_s)
        yield family


class _Series:
    """The counts of one histogram."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(len(LATENCY_BUCKETS_S) + 1, dtype=np.int64)
        self.sum_s = 0.0
        self.exemplars: dict[int, Exemplar] = {}
        """bucket → the last traced batch whose longest latency fell into it"""


class FilterMetrics:
    """What a filter worker shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = self._counter(
            "wurao_decisions_total",
            "Decisions acknowledged by the broker, by kind of event, verdict and reason. A jump of one reason is the "
            "first thing to look at when senders complain.",
            "kind",
            "verdict",
            "reason",
        )
        self.latency = Latency(
            "wurao_decision_latency_seconds",
            "From an event's record timestamp to the acknowledgement of its decision, by lane. Above 0.2 s calls are "
            "decided without us: look at consumer lag, then at the broker.",
            label="lane",
            values=LANES,
        )
        self.registry.register(self.latency)
        self.batch_seconds = self._counter(
            "wurao_batch_decide_seconds_total",
            "Processor time spent on deciding batches; divided by decisions it is the cost of one.",
        )
        self.batches = self._counter("wurao_batches_total", "Batches decided, by lane.", "lane")
        self.dead_letters = self._counter(
            "wurao_dead_letters_total",
            "Records that could not be decoded, by topic; they stand in dead-letter with the reason. Tell whoever "
            "writes them.",
            "topic",
        )
        self.misplaced = self._counter(
            "wurao_misplaced_records_total",
            "Records found in another partition than their subscriber's, by topic: a producer partitions by another "
            "hash (see the README's partition vectors).",
            "topic",
        )
        self.lost = self._counter(
            "wurao_events_lost_total",
            "Offsets of events passed over, by topic: retention or a deletion removed them before they were read, and "
            "they get no decision. See what kept the filter from reading, and raise the topic's retention.",
            "topic",
        )
        self.native_info = self._gauge(
            "wurao_native_info",
            "1 for the path on which this worker decides: native, or python. Where native was expected, the log's "
            "first lines say why it is not taken.",
            "path",
        )
        self.native_left = self._counter(
            "wurao_native_left_total",
            "Records that the native path left to Python: replies, what cannot be decoded, texts it is not sure of. "
            "Divided by decisions it is their share; each costs ten times the others.",
        )
        self.wills = self._counter("wurao_reply_wills_total", "Expressions written because a subscriber replied.")
        self.replies = self._counter(
            "wurao_replies_total",
            "Replies, by what came of them: expression; unheard (to an owner's port, and no refusal: a share that "
            "rises may be a way to refuse that the policy's reply table lacks); other (to a service number); "
            "author_unknown, port_unknown (`from` or `to` is of no use: the log names one; tell whoever writes them).",
            "outcome",
        )
        self.records = self._counter("wurao_registry_records_total", "Registry records applied, by topic.", "topic")
        self.staleness = self._gauge(
            "wurao_registry_staleness_seconds",
            "Time since the worker had applied everything that the broker then held. Beyond the policy's limit "
            "commercial traffic is blocked: look at the broker and at the network to it.",
        )
        self.epoch = self._gauge("wurao_registry_epoch", "How many registry states this worker has decided from.")
        self.numbers = self._gauge("wurao_registry_numbers", "Numbers that refuse everything, by channel.", "channel")
        self.overlay_numbers = self._gauge(
            "wurao_registry_overlay_numbers",
            "Numbers changed since the shared base: the memory that each worker holds for itself. The supervisor "
            "folds it into a new base.",
        )
        self.senders = self._gauge("wurao_registry_senders", "Registered senders.")
        self.clashes = self._gauge(
            "wurao_registry_prefix_clashes",
            "Prefixes that more than one sender claims; the later `since` owns them.",
        )
        self.partitions_held = self._gauge(
            "wurao_registry_partitions_held",
            "Partitions of registry.expressions whose wills this worker holds, in partitioned mode (0 in replicated).",
        )
        self.partitions_loading = self._gauge(
            "wurao_registry_partitions_loading",
            "Partitions that the worker was given and is loading: their events wait. For long where a partition has "
            "no snapshot on this host, or the broker is slow.",
        )
        self.partition_pause = self._gauge(
            "wurao_registry_partition_pause_seconds",
            "How long the partition that was loaded last stood still, from its assignment until its events were "
            "decided: its snapshot is read, and what came since. Long pauses want a smaller registry.fold_every_ms.",
        )
        self.lag_seconds = self._gauge(
            "wurao_consumer_lag_seconds",
            "Age of the oldest event of the last batch when it was taken, by lane: how far behind the worker is.",
            "lane",
        )
        self.in_flight = self._gauge("wurao_batches_in_flight", "Batches decided and not yet acknowledged.")
        self.loop_lag = self._gauge(
            "wurao_event_loop_lag_seconds",
            "How late the event loop woke, the worst of the last minute: heartbeats are as late. Above a second: see "
            "what stalls it; at the session timeout the group drops the worker.",
        )
        self.policy = self._gauge(
            "wurao_policy_info",
            "1 for the policy that this worker decides by. Two versions at once, for more than a moment: a reload has "
            "not reached every worker, or hosts have different files.",
            "version",
            "hash",
        )
        self.ready = self._gauge("wurao_ready", "1 when the registry is loaded and fresh and the broker answers.")

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(name, sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(name, sentence, labels, registry=self.registry)


class SupervisorMetrics:
    """What the supervisor of a host's workers shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.workers = Gauge("wurao_workers", "Workers of this host that run.", registry=self.registry)
        self.restarts = Counter(
            "wurao_worker_restarts_total",
            "Workers that died and were started anew. More than a few an hour: read the last lines of their log.",
            registry=self.registry,
        )
        self.native_failures = Counter(
            "wurao_native_failures_total",
            "Workers that the native module brought down; each runs on the Python path since. Report the log's lines.",
            registry=self.registry,
        )
        self.policy_reloads = Counter(
            "wurao_policy_reloads_total",
            "Times that the policy file was looked at again on demand, by outcome: loaded, unchanged, or refused, when "
            "the old policy stays and the log says what is wrong with the new one.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("loaded", "unchanged", "refused"):
            self.policy_reloads.labels(outcome)
        self.policy_refused = Gauge(
            "wurao_policy_refused",
            "1 while the policy file, as it was last looked at, was refused. The policy before it goes on, but a start "
            "with that file fails: mend it before the next one.",
            registry=self.registry,
        )
        self.bases = Counter(
            "wurao_registry_bases_total",
            "Bases folded from the topics since the start.",
            registry=self.registry,
        )
        self.base_numbers = Gauge(
            "wurao_registry_base_numbers",
            "Numbers in the shared base, by channel.",
            ("channel",),
            registry=self.registry,
        )


class WatchMetrics:
    """What an instance of early warning shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records = Counter("wurao_watch_records_total", "Records of activity judged.", registry=self.registry)
        self.findings = Counter(
            "wurao_watch_findings_total",
            "Findings acknowledged by the broker, by grounds. Each opens a case or joins one.",
            ("grounds",),
            registry=self.registry,
        )
        self.undecodable = Counter(
            "wurao_watch_undecodable_total",
            "Records of activity that could not be read; the log says where they stand. Only filters write there: "
            "look at their versions.",
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "wurao_watch_lag_seconds",
            "Age of the newest window judged in the last batch, so at least ten seconds. Minutes: findings come late; "
            "start another instance.",
            registry=self.registry,
        )
        self.parties = Gauge(
            "wurao_watch_parties",
            "Parties that are remembered, on each channel: about a kilobyte each.",
            registry=self.registry,
        )
        self.ready = Gauge(
            "wurao_watch_ready", "1 when the past is read back and findings are raised.", registry=self.registry
        )


class AuditMetrics:
    """What an instance of the audit shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "wurao_audit_decisions_total",
            "Decisions judged again from the registry that they name, by outcome: agrees, differs (the log says how), "
            "unknown (the event, the epoch or that state of the registry cannot be had any more, or another policy "
            "decided).",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("agrees", "differs", "unknown"):
            self.decisions.labels(outcome)
        self.violations = Counter(
            "wurao_audit_violations_total",
            "Commercial traffic let through to a subscriber whose will forbade it. The objective is none, ever: the "
            "log names each event and its place.",
            registry=self.registry,
        )
        self.in_force = Latency(
            "wurao_refusal_in_force_seconds",
            "From a refusal's record to the first epoch that includes it, once for each filter worker. Above 1 s: "
            "look at the staleness of that worker's registry.",
        )
        self.registry.register(self.in_force)
        self.lag_seconds = Gauge(
            "wurao_audit_lag_seconds",
            "Age of the oldest decision that waits to be judged; 0 when none does. Growing: start another instance.",
            registry=self.registry,
        )
        self.events_kept = Gauge(
            "wurao_audit_events_kept",
            "Events in memory, about a kilobyte each: read and not judged yet, or judged lately. Growing with the lag: "
            "some thousand for each partition at most.",
            registry=self.registry,
        )
        self.ready = Gauge(
            "wurao_audit_ready", "1 when the registry is read and decisions are judged.", registry=self.registry
        )


class ShadowMetrics:
    """What a shadow of the filter shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "wurao_shadow_decisions_total",
            "Decisions of production that the candidate made anew, by outcome: same, differs (they stand in "
            "shadow-differences), unknown (the event, the epoch or that registry cannot be had any more).",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("same", "differs", "unknown"):
            self.decisions.labels(outcome)
        self.lag_seconds = Gauge(
            "wurao_shadow_lag_seconds", "Age of the oldest decision not yet compared.", registry=self.registry
        )
        self.ready = Gauge("wurao_shadow_ready", "1 when decisions are compared.", registry=self.registry)


class EnforceMetrics:
    """What an instance of the control plane shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.arrivals = self._counter(
            "wurao_enforce_arrivals_total",
            "Records that came in, by topic and by what became of them: taken, repeated (taken before), refused (no "
            "row of the procedure takes it now), undecodable. Those last two stand in dead-letter with the reason.",
            "topic",
            "outcome",
        )
        self.effects = self._counter(
            "wurao_enforce_effects_total", "Effects acknowledged by the broker, by topic.", "topic"
        )
        self.alerts = self._counter(
            "wurao_enforce_alerts_total",
            "What people should look at, by level and what it is about: a term that ends soon (warning), one that was "
            "missed (breach), a decision that is theirs (decision). Every breach is a duty of law missed.",
            "level",
            "about",
        )
        self.unknown_years = self._counter(
            "wurao_enforce_unknown_calendar_total",
            "Clocks set over a year whose official calendar is not known: Monday to Friday were counted. Give the "
            "year in the file that enforce.calendar names.",
        )
        self.fetched = self._counter(
            "wurao_enforce_fetched_total",
            "Records that Faust's stream had left out and that were read from their topic instead (decision 0010). "
            "Some after a start or rebalance are usual; many at other times are not.",
        )
        self.failures = self._counter(
            "wurao_enforce_step_failures_total",
            "Steps that failed by a fault of the program; the record stands in dead-letter. Report it.",
        )
        self.left = self._counter(
            "wurao_enforce_left_total",
            "Cases and dockets that left the table, having ended long enough ago; their last pictures stay in `cases`.",
        )
        self.cases = self._gauge("wurao_enforce_entries", "Cases and dockets of this instance's partitions.")
        self.clocks = self._gauge("wurao_enforce_clocks", "Clocks that run in them.")
        self.overdue = self._gauge(
            "wurao_enforce_overdue_seconds",
            "How long ago the oldest clock that has not been dealt with should have rung. Above some seconds: the "
            "instance is behind, look at its arrivals.",
        )
        self.partitions = self._gauge("wurao_enforce_partitions", "Partitions of the cases that this instance has.")
        self.step_seconds = self._counter(
            "wurao_enforce_step_seconds_total",
            "Time from taking an arrival to having all its effects acknowledged; divided by arrivals, of one.",
        )
        self.recovery_seconds = self._gauge(
            "wurao_enforce_recovery_seconds", "How long the last start or rebalance took until cases were dealt with."
        )
        self.ready = self._gauge("wurao_enforce_ready", "1 when this instance deals with its cases.")

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(name, sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(name, sentence, labels, registry=self.registry)


class ApiMetrics:
    """What the control plane's API shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wurao_api_requests_total",
            "Requests, by operation and HTTP status. Many 401: somebody tries tokens. Any 503: the broker does not "
            "acknowledge, and nobody can file anything.",
            ("operation", "status"),
            registry=self.registry,
        )
        self.seconds = Counter(
            "wurao_api_request_seconds_total",
            "Time spent on requests, by operation; divided by requests, of one.",
            ("operation",),
            registry=self.registry,
        )
        self.cases = Gauge(
            "wurao_api_cases",
            "Cases in the API's memory; those that ended leave it after `ended_kept_ms` of the settings.",
            registry=self.registry,
        )


class NotifyMetrics:
    """What the connector of notices shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "wurao_notify_attempts_total",
            "Attempts to deliver a notice, by way and outcome. While they fail, no measure that must be told first "
            "can begin: look at the way's server, and at the contacts file.",
            ("via", "outcome"),
            registry=self.registry,
        )
        self.given_up = Counter(
            "wurao_notify_given_up_total",
            "Notices whose last attempt failed. Somebody must be told in another way.",
            registry=self.registry,
        )
        self.repeats = Counter(
            "wurao_notify_repeats_total",
            "Notices that came again and had been delivered, so were not sent again.",
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "wurao_notify_dead_letters_total",
            "Records of `notices` that could not be decoded; they stand in dead-letter with the reason.",
            registry=self.registry,
        )
        self.pending = Gauge(
            "wurao_notify_pending",
            "Notices that wait for an attempt. Near connector.pending_max: nothing more is fetched.",
            registry=self.registry,
        )
