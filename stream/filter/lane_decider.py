"""The batch decider as lanes call it: with the clock, metrics, logs and traces of each batch.

A lane calls `decide` with a batch and gets its outputs; the lane's delivery calls `acknowledged` when the broker has
acknowledged them. All that counts, logs or traces a batch is here, so that `BatchDecider` stays pure and neither lane
nor delivery knows the worker. Neither method blocks.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from stream import logs, tracing
from stream.clock import now_ms
from stream.deciding.batch import Keyed, Outputs
from stream.deciding.batch_decider import BatchDecider, keyed_epoch
from stream.deciding.native_batch import Taken
from stream.metrics import FilterMetrics
from stream.model.topics import TopicPartition
from stream.policy.facts import USELESS
from stream.policy.settings import Policy

log = logs.get(__name__)

PYTHON_BYTES_MAX: Final = 2 * 1024 * 1024
"""What Python decides between two turns of the loop, more than any usual batch has: of texts made to be slow to
normalise, a second's work. Without it a batch of some kilobytes that unpacks to megabytes of them held up heartbeats
and emergencies for half a minute, and the worker was killed for one that hangs."""


class LaneDecider:
    """Both lanes' decider. `tracer` is set once the worker has one."""

    def __init__(self, batches: BatchDecider, metrics: FilterMetrics, *, worker: int) -> None:
        self._batches = batches
        self._metrics = metrics
        self._worker = worker
        self._throttle: defaultdict[str, logs.Throttle] = defaultdict(logs.Throttle)
        """message → its own limit, so that one fault does not silence another"""
        self._misread_logged = False
        """it is logged once: how many events it concerns is part of the fallback counter"""
        self.tracer: tracing.BatchTracer | None = None
        self._show_policy()

    def adopt(self, policy: Policy) -> None:
        """Decide by another policy from the next batch on. Called on the loop, so not within a batch."""
        self._batches.adopt(policy)
        self._show_policy()
        log.info("policy reloaded", worker=self._worker, policy=policy.version, policy_hash=policy.digest[:12])

    def _show_policy(self) -> None:
        policy = self._batches.policy
        self._metrics.policy.clear()
        self._metrics.policy.labels(policy.version, policy.digest[:12]).set(1)
        self._metrics.policy_refused.set(0)
        if self._batches.unfit is not None:
            log.warning(
                "the native module does not support this policy: every event falls back to Python",
                problem=self._batches.unfit,
            )

    def decide(self, lane: str, batches: Mapping[TopicPartition, Taken]) -> Outputs:
        """Decide a batch of a lane now. The lane calls it, on the loop and without an await.

        Raises `NativeFailed` for whatever the native module raises, and `NotHeldError`.
        """
        began = time.process_time()
        now = now_ms()
        announced = self.settle(now)
        outputs = self._batches.decide(batches, now=now, python_bytes_max=PYTHON_BYTES_MAX)
        if announced is not None:
            outputs.epochs.append(announced)
        metrics = self._metrics
        metrics.batches.labels(lane).inc()
        metrics.batch_seconds.inc(time.process_time() - began)
        timestamps = outputs.counts.timestamps()
        if len(timestamps):
            metrics.lag_seconds.labels(lane).set(max(0, now - int(timestamps.min())) / 1000)
        metrics.native_fallbacks.inc(outputs.counts.fallback_count)
        self._log_misread(outputs.counts.misread_routes_count)
        for letter in outputs.dead_letters:
            metrics.dead_letters.labels(letter.place.topic).inc()
        self.count_misplaced(outputs.counts.misplaced)
        self._count_replies(outputs)
        if self.tracer is not None:
            self._trace(self.tracer, lane, outputs, began_ns=now * 1_000_000)
        return outputs

    def settle(self, now: int) -> Keyed | None:
        """Give the registry's state an epoch. Returns the record that announces a new one; `now` in milliseconds."""
        epoch = self._batches.settle(now=now)
        if epoch is None:
            return None
        self._metrics.epoch.set(self._batches.epochs_count)
        if self.tracer is not None:
            applied = sum(map(sum, epoch.offsets.values()))
            self.tracer.state(epoch.epoch, policy=epoch.policy, stale=epoch.stale, records_count=applied)
        return keyed_epoch(epoch)

    def acknowledged(self, lane: str, outputs: Outputs) -> None:
        """Count what the broker has acknowledged. The delivery calls it, once for each batch or portion."""
        metrics = self._metrics
        for outcome, count in outputs.counts.verdicts.items():
            metrics.decisions.labels(*outcome).inc(count)
        metrics.reply_expressions.inc(sum(map(len, outputs.expressions.values())))
        trace_id = self.tracer.acknowledged(id(outputs)) if self.tracer is not None else None
        timestamps = outputs.counts.timestamps()
        if len(timestamps):
            metrics.latency.observe(now_ms() - timestamps, value=lane, trace_id=trace_id)

    def count_misplaced(self, misplaced: Mapping[str, int]) -> None:
        """Count records found in another partition than their subscriber's, by topic, and log a warning."""
        for topic, count in misplaced.items():
            if not count:
                continue
            self._metrics.misplaced.labels(topic).inc(count)
            if (held_back := self._throttle["misplaced"].now()) is not None:
                log.warning(
                    "records in the wrong partition: their producer does not partition by murmur2 of the number",
                    topic=topic,
                    records_count=count,
                    held_back=held_back,
                )

    def _log_misread(self, routes_count: int) -> None:
        if routes_count and not self._misread_logged:
            self._misread_logged = True
            log.error(
                "the native module parses some numbers differently from the policy: their events fall back to Python; "
                "report it with the policy's patterns of numbers",
                worker=self._worker,
                policy=self._batches.policy.version,
            )

    def _count_replies(self, outputs: Outputs) -> None:
        for outcome, count in outputs.counts.replies.items():
            self._metrics.replies.labels(outcome).inc(count)
        useless = outputs.counts.useless_reply
        if useless is not None and (held_back := self._throttle["useless reply"].now()) is not None:
            log.warning(
                "reply with unusable numbers: no expression can be written for its author; report it to its producer",
                topic=useless.place.topic,
                partition=useless.place.partition,
                offset=useless.offset,
                outcome=useless.outcome,
                reply_from=useless.from_,
                reply_to=useless.to,
                replies_count=sum(outputs.counts.replies[outcome] for outcome in USELESS),
                held_back=held_back,
            )

    def _trace(self, tracer: tracing.BatchTracer, lane: str, outputs: Outputs, *, began_ns: int) -> None:
        batch = tracing.BatchSpan(
            lane=lane,
            events_count=len(outputs.counts.timestamps()),
            partitions_count=len({place.partition for place in outputs.next_offsets}),
            dead_letters_count=len(outputs.dead_letters),
            epoch=self._batches.epoch,
            policy=self._batches.policy.version,
        )
        tracer.decided(id(outputs), batch, began_ns=began_ns)
