"""Every metric, with its help text: what it measures, in which unit, and what an operator does when it moves.

Promises: names follow Prometheus' conventions; a label never holds a subscriber's number, a text or anything whose
values are without bound. Metrics are updated once per batch, never per event; latencies are counted into buckets
with one numpy call and handed to Prometheus when it asks.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final

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
"""Fine below a call's time limit (200 ms), where a worker usually is; coarse up to an SMS's limit (5 s) and a backlog's
delays."""

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


POLICY_REFUSED: Final = (
    "wurao_policy_refused",
    (
        "1 while the policy file as last read was refused. The previous policy stays in use, but a start with "
        "that file fails: correct it before the next start."
    ),
)
"""Shown by the supervisor, which reads the file first, and by each worker, which reads it for itself."""


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
            "Seconds from an event's record timestamp to the acknowledgement of its decision, by lane. Above 0.2 s "
            "gateways route calls without a decision: look at consumer lag, then at the broker.",
            label="lane",
            values=LANES,
        )
        self.registry.register(self.latency)
        self.batch_seconds = self._counter(
            "wurao_batch_decide_seconds_total",
            "CPU time spent deciding batches, in seconds; divided by decisions, the cost of one.",
        )
        self.batches = self._counter("wurao_batches_total", "Batches decided, by lane.", "lane")
        self.dead_letters = self._counter(
            "wurao_dead_letters_total",
            "Records that could not be decoded, by topic; each is in dead-letter with the reason. Report it to "
            "whoever produces them.",
            "topic",
        )
        self.misplaced = self._counter(
            "wurao_misplaced_records_total",
            "Records in another partition than their subscriber's number hashes to, by topic: a producer uses another "
            "partitioner (see the partition vectors in the README).",
            "topic",
        )
        self.lost = self._counter(
            "wurao_events_lost_total",
            "Event offsets skipped, by topic: retention or a deletion removed the records before they were consumed, "
            "and they get no decision. Find what kept the filter from consuming, and raise the topic's retention.",
            "topic",
        )
        self.native_info = self._gauge(
            "wurao_native_info",
            "1 for the path by which this worker decides: native or python. Where native was expected, the log at "
            "startup says why it is not in use.",
            "path",
        )
        self.native_fallbacks = self._counter(
            "wurao_native_left_total",
            "Records that fell back from the native path to Python: replies, records that cannot be decoded, texts of "
            "which it is not sure. Divided by decisions, the fallback share; each costs ten times the others.",
        )
        self.reply_expressions = self._counter(
            "wurao_reply_wills_total", "Expressions written because a subscriber replied."
        )
        self.replies = self._counter(
            "wurao_replies_total",
            "Replies, by outcome: expression; unheard (to a port with an owner, and not recognised as a refusal: a "
            "rising share may be a wording that the policy's reply table lacks); other (to a service number); "
            "author_unknown, port_unknown (`from` or `to` is not a usable number: the log shows one; report it to "
            "whoever produces them).",
            "outcome",
        )
        self.records = self._counter("wurao_registry_records_total", "Registry records applied, by topic.", "topic")
        self.staleness = self._gauge(
            "wurao_registry_staleness_seconds",
            "Seconds since this worker had last applied the registry topics up to their end offsets. Above the "
            "policy's limit commercial traffic is blocked: look at the broker and at the network to it.",
        )
        self.epoch = self._gauge(
            "wurao_registry_epoch",
            "Number of this worker's current epoch: how many registry states it has decided from since its start.",
        )
        self.numbers = self._gauge(
            "wurao_registry_numbers", "Subscribers' numbers that refuse all commercial traffic, by channel.", "channel"
        )
        self.overlay_numbers = self._gauge(
            "wurao_registry_overlay_numbers",
            "Subscribers' numbers changed since the shared base was made: memory that each worker holds of its own. "
            "The supervisor folds it into a new base.",
        )
        self.senders = self._gauge("wurao_registry_senders", "Registered senders.")
        self.clashes = self._gauge(
            "wurao_registry_prefix_clashes",
            "Number prefixes that more than one sender claims; the one with the later `since` owns them.",
        )
        self.partitions_held = self._gauge(
            "wurao_registry_partitions_held",
            "Partitions of registry.expressions that this worker holds, in partitioned mode (0 in replicated mode).",
        )
        self.partitions_loading = self._gauge(
            "wurao_registry_partitions_loading",
            "Partitions assigned to this worker whose registry is still loading: their events wait. It takes long "
            "where a partition has no snapshot on this host, or the broker is slow.",
        )
        self.partition_pause = self._gauge(
            "wurao_registry_partition_pause_seconds",
            "Seconds from the assignment of the partition that was loaded last until its events were decided: its "
            "snapshot is read, then the records after it. Where pauses are long, lower registry.fold_every_ms.",
        )
        self.lag_seconds = self._gauge(
            "wurao_consumer_lag_seconds",
            "Age of the oldest event of the last batch when it was fetched, in seconds, by lane: how far behind the "
            "worker is.",
            "lane",
        )
        self.in_flight = self._gauge(
            "wurao_batches_in_flight", "Batches in flight: decided, and not yet acknowledged by the broker."
        )
        self.loop_lag = self._gauge(
            "wurao_event_loop_lag_seconds",
            "Delay of the event loop in seconds, the maximum of the last minute; heartbeats are as late. Above 1 s: "
            "find what blocks it; at the session timeout the group removes the worker.",
        )
        self.policy = self._gauge(
            "wurao_policy_info",
            "1 for the policy by which this worker decides. Two versions for more than a moment: a reload has not "
            "reached every worker, or hosts have different files.",
            "version",
            "hash",
        )
        self.policy_refused = self._gauge(*POLICY_REFUSED)
        self.ready = self._gauge(
            "wurao_ready",
            "1 when the registry is loaded, its staleness is within the policy's limit, and the broker answers.",
        )

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(name, sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(name, sentence, labels, registry=self.registry)


class SupervisorMetrics:
    """What the supervisor of a host's workers shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.workers = Gauge("wurao_workers", "Workers running on this host.", registry=self.registry)
        self.restarts = Counter(
            "wurao_worker_restarts_total",
            "Workers that died and were restarted. More than a few an hour: read the last lines of their log.",
            registry=self.registry,
        )
        self.native_failures = Counter(
            "wurao_native_failures_total",
            "Workers that crashed in the native module; each was restarted on the Python path. Report the log lines.",
            registry=self.registry,
        )
        self.policy_reloads = Counter(
            "wurao_policy_reloads_total",
            "Reloads of the policy file on demand, by outcome: loaded, unchanged, or refused; then the old policy "
            "stays in use and the log says what is wrong with the new one.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("loaded", "unchanged", "refused"):
            self.policy_reloads.labels(outcome)
        self.policy_refused = Gauge(
            *POLICY_REFUSED,
            registry=self.registry,
        )
        self.bases = Counter(
            "wurao_registry_bases_total",
            "Bases made from the registry topics since the start.",
            registry=self.registry,
        )
        self.base_numbers = Gauge(
            "wurao_registry_base_numbers",
            "Subscribers' numbers in the shared base, by channel.",
            ("channel",),
            registry=self.registry,
        )


class WatchMetrics:
    """What an instance of early warning shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records = Counter("wurao_watch_records_total", "Records of `activity` judged.", registry=self.registry)
        self.findings = Counter(
            "wurao_watch_findings_total",
            "Findings acknowledged by the broker, by grounds. Each opens a case or is added to an open one.",
            ("grounds",),
            registry=self.registry,
        )
        self.undecodable = Counter(
            "wurao_watch_undecodable_total",
            "Records of `activity` that could not be decoded; the log gives their offsets. Only filters produce them: "
            "check their versions.",
            registry=self.registry,
        )
        self.decisions = Counter(
            "wurao_watch_decisions_total",
            "Decisions looked through for prohibited content that was blocked.",
            registry=self.registry,
        )
        self.blocked = Counter(
            "wurao_watch_blocked_total",
            "Times that a case of Article 32 was told of prohibited content that the filter blocked; of each party and "
            "day the first opens the case.",
            registry=self.registry,
        )
        self.held = Counter(
            "wurao_watch_held_total",
            "Records that holds name, by outcome: copied to `held` (copied, differs from the digest that was named, "
            "shortened), or gone or absent, which the case's people must know.",
            ("outcome",),
            registry=self.registry,
        )
        self.lost = Counter(
            "wurao_watch_lost_total",
            "Offsets passed over, by topic, since their records were deleted before they were read: cases that were "
            "not opened, evidence that was not copied. Find what kept it from reading, and raise retention.ms.",
            ("topic",),
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "wurao_watch_lag_seconds",
            "Age in seconds of the newest window judged in the last batch, so at least 10. Minutes: findings are "
            "late; start another instance.",
            registry=self.registry,
        )
        self.parties = Gauge(
            "wurao_watch_parties",
            "Parties (senders, or numbers without an owner) held in memory, counted per channel: about a kilobyte "
            "each.",
            registry=self.registry,
        )
        self.ready = Gauge(
            "wurao_watch_ready",
            "1 when past activity has been read back and findings are raised.",
            registry=self.registry,
        )


class RegistrarMetrics:
    """What a registrar shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "wurao_registrar_requests_total", "Requests answered, by lane (requests: single ones; bulk: files).", "lane"
        )
        self.records = self._counter(
            "wurao_registrar_records_total",
            "Records of requests that stand now, by outcome: admitted (written), already (they stood).",
            "outcome",
        )
        self.refusals = self._counter(
            "wurao_registrar_refusals_total",
            "Records and requests refused, by reason. Whoever asked has it in the answer, with the mend; "
            "many `unreadable` or `wrong-partition`: some client is of another version.",
            "code",
        )
        self.latency = Latency(
            "wurao_registrar_answer_seconds",
            "Seconds from a request's timestamp to its committed answer, by lane. Single requests above 50 ms: the "
            "processor is short, or the broker slow; start another registrar.",
            label="lane",
            values=("requests", "bulk"),
        )
        self.registry.register(self.latency)
        self.transactions = self._counter(
            "wurao_registrar_transactions_total",
            "Transactions, by outcome: committed, aborted (somebody wrote about a subscriber of the batch before it, "
            "which was admitted anew).",
            "outcome",
        )
        self.beside = self._counter(
            "wurao_registrar_beside_total",
            "Records of `registry.expressions` that others wrote: the filter's opt-out replies. More than replies: "
            "somebody writes past the door; `wurao doctor` names it.",
        )
        self.expired = self._counter("wurao_registrar_expired_total", "Consents ended at their `expires`.")
        self.store_failures = self._counter(
            "wurao_registrar_store_failures_total",
            "Times a store could not be read or written; nothing is admitted in its partition until it can. See that "
            "the disk of registrar.directory has room.",
        )
        self.rebuilt = self._counter(
            "wurao_registrar_stores_rebuilt_total",
            "Stores built anew: of other topics, damaged, or not as the topic has it (the log says which).",
        )
        self.left = self._gauge(
            "wurao_registrar_left_records",
            "Offsets that a partition's store had left to read when it read last. It must reach 0 before the partition "
            "is served.",
            "partition",
        )
        self.lost = self._counter(
            "wurao_registrar_lost_total", "Requests that were deleted before they were answered, by topic.", "topic"
        )
        self.partitions = self._gauge("wurao_registrar_partitions", "Partitions assigned to this registrar.")
        self.ready = self._gauge("wurao_registrar_ready", "1 when all its partitions are served.")

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(name, sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(name, sentence, labels, registry=self.registry)


class AuditMetrics:
    """What an instance of the audit shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "wurao_audit_decisions_total",
            "Decisions made again from the registry state of their epoch, by outcome: agrees, differs (the log says "
            "how), unknown (the log says why: the event, the epoch or that registry state is no longer available, its "
            "topics were recreated, or the policy that decided is not known here).",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("agrees", "differs", "unknown"):
            self.decisions.labels(outcome)
        self.violations = Counter(
            "wurao_audit_violations_total",
            "Commercial events allowed to a subscriber who had refused them. The objective is none: the log gives "
            "each event's id, topic, partition and offset.",
            registry=self.registry,
        )
        self.in_force = Latency(
            "wurao_refusal_in_force_seconds",
            "Propagation: seconds from a refusal's record timestamp to the first epoch that includes it, once for "
            "each filter worker. Above 1 s: look at that worker's registry staleness.",
        )
        self.registry.register(self.in_force)
        self.lag_seconds = Gauge(
            "wurao_audit_lag_seconds",
            "Age in seconds of the oldest decision not yet judged; 0 when there is none. Growing: start another "
            "instance.",
            registry=self.registry,
        )
        self.events_kept = Gauge(
            "wurao_audit_events_kept",
            "Events held in memory, about a kilobyte each: consumed and not yet judged, or judged recently. Grows "
            "with the lag, to some thousands per partition at most.",
            registry=self.registry,
        )
        self.ready = Gauge(
            "wurao_audit_ready",
            "1 when the registry is loaded, brokers answer and no topic is missing: decisions are judged.",
            registry=self.registry,
        )


class ShadowMetrics:
    """What a shadow of the filter shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "wurao_shadow_decisions_total",
            "Decisions of production made again by the candidate policy, by outcome: same, differs (recorded in "
            "shadow-differences), unknown (the event, the epoch or that registry state is no longer available).",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("same", "differs", "unknown"):
            self.decisions.labels(outcome)
        self.lag_seconds = Gauge(
            "wurao_shadow_lag_seconds",
            "Age in seconds of the oldest decision not yet compared.",
            registry=self.registry,
        )
        self.ready = Gauge("wurao_shadow_ready", "1 when decisions are compared.", registry=self.registry)


class EnforceMetrics:
    """What an instance of the control plane shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.arrivals = self._counter(
            "wurao_enforce_arrivals_total",
            "Records consumed, by topic and outcome: taken, repeated (processed before), refused (no transition of "
            "the procedure accepts it in this state), undecodable. The last two are in dead-letter with the reason.",
            "topic",
            "outcome",
        )
        self.effects = self._counter(
            "wurao_enforce_effects_total", "Records of effects acknowledged by the broker, by topic.", "topic"
        )
        self.alerts = self._counter(
            "wurao_enforce_alerts_total",
            "Alerts for people, by level and subject: a deadline that is near (warning), one that was missed "
            "(breach), a decision that people must make (decision). Every breach is a missed legal deadline.",
            "level",
            "about",
        )
        self.unknown_years = self._counter(
            "wurao_enforce_unknown_calendar_total",
            "Clocks set over a year whose official calendar is not known: Monday to Friday were counted as working "
            "days. Add the year to the file that enforce.calendar names.",
        )
        self.fetched = self._counter(
            "wurao_enforce_fetched_total",
            "Records that Faust's stream had skipped and that were fetched from their topic instead (decision 0010). "
            "Some after a start or rebalance are normal; many at other times are not.",
        )
        self.failures = self._counter(
            "wurao_enforce_step_failures_total",
            "Records whose processing raised an exception, a bug; the record is in dead-letter. Report it.",
        )
        self.left = self._counter(
            "wurao_enforce_left_total",
            "Cases and escalation records removed from the table after their retention; `cases` keeps the last view.",
        )
        self.cases = self._gauge("wurao_enforce_entries", "Cases and escalation records in this instance's partitions.")
        self.clocks = self._gauge("wurao_enforce_clocks", "Clocks running in these cases.")
        self.overdue = self._gauge(
            "wurao_enforce_overdue_seconds",
            "Seconds by which the oldest clock not yet processed is overdue. Above some seconds: the instance is "
            "behind; look at its arrivals.",
        )
        self.partitions = self._gauge("wurao_enforce_partitions", "Partitions assigned to this instance.")
        self.step_seconds = self._counter(
            "wurao_enforce_step_seconds_total",
            "Seconds from consuming a record to the acknowledgement of all its effects, summed; divided by arrivals, "
            "the time of one.",
        )
        self.recovery_seconds = self._gauge(
            "wurao_enforce_recovery_seconds",
            "Seconds that the last start or rebalance took until cases were processed.",
        )
        self.ready = self._gauge("wurao_enforce_ready", "1 when this instance processes its cases.")

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
            "Requests, by operation and HTTP status. Many 401: somebody guesses tokens. Any 503: the broker does not "
            "acknowledge, and nothing can be filed.",
            ("operation", "status"),
            registry=self.registry,
        )
        self.seconds = Counter(
            "wurao_api_request_seconds_total",
            "Seconds spent on requests, by operation; divided by requests, the time of one.",
            ("operation",),
            registry=self.registry,
        )
        self.cases = Gauge(
            "wurao_api_cases",
            "Cases in the API's memory; closed cases are removed after the setting `ended_kept_ms`.",
            registry=self.registry,
        )


class NotifyMetrics:
    """What the connector of notices shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "wurao_notify_attempts_total",
            "Attempts to deliver a notice, by transport and outcome. While they fail, no measure that requires a "
            "notice first can begin: look at the transport's server, and at the contacts file.",
            ("via", "outcome"),
            registry=self.registry,
        )
        self.given_up = Counter(
            "wurao_notify_given_up_total",
            "Notices whose last attempt failed: nothing more is tried. Notify the addressee by other means.",
            registry=self.registry,
        )
        self.repeats = Counter(
            "wurao_notify_repeats_total",
            "Notices consumed again after they had been delivered, and not sent again.",
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "wurao_notify_dead_letters_total",
            "Records of `notices` that could not be decoded; each is in dead-letter with the reason.",
            registry=self.registry,
        )
        self.pending = Gauge(
            "wurao_notify_pending",
            "Notices waiting for an attempt. At connector.pending_max nothing more is fetched.",
            registry=self.registry,
        )
