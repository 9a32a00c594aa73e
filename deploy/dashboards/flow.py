"""The flow: what comes in, what is decided, how quickly, and at which cost."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query

LATENCY: Final = "sum by (le) (rate(wurao_decision_latency_seconds_bucket[" + RATE + "]))"

BOARD: Final = Board(
    name="flow",
    title="flow",
    says="Traffic in, decisions out, latency, and cost.",
    rows=(
        (
            "Decisions",
            (
                Panel(
                    "Decisions each second",
                    "All that the broker has acknowledged. None while gateways send: see the runbook of "
                    "WuraoDecisionsStopped.",
                    (Query(f"sum by (verdict) (rate(wurao_decisions_total[{RATE}]))", "{{verdict}}"),),
                    unit="ops",
                    stacked=True,
                    width=12,
                ),
                Panel(
                    "Blocks and suspensions, by reason",
                    "The ten commonest reasons. A jump of one is the first thing to look at when senders complain.",
                    (
                        Query(
                            f'topk(10, sum by (reason) (rate(wurao_decisions_total{{verdict!="allow"}}[{RATE}])))',
                            "{{reason}}",
                        ),
                    ),
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "By kind",
                    "SMS, calls and replies.",
                    (Query(f"sum by (kind) (rate(wurao_decisions_total[{RATE}]))", "{{kind}}"),),
                    unit="ops",
                ),
                Panel(
                    "Share blocked",
                    "Over half an hour. WuraoBlockShareJumped compares it with the day before.",
                    (Query("wurao:block_share:ratio_30m", "blocked"),),
                    unit="percentunit",
                ),
                Panel(
                    "Records that could not be decoded, and lost ones",
                    "By topic; each is in dead-letter with the reason. Report them to whoever produces them. Lost: "
                    "deleted before a worker had consumed them, see the runbook of WuraoEventsLost.",
                    (
                        Query(f"sum by (topic) (rate(wurao_dead_letters_total[{RATE}]))", "{{topic}}"),
                        Query(f"sum by (topic) (rate(wurao_events_lost_total[{RATE}]))", "{{topic}}, lost"),
                    ),
                    unit="ops",
                ),
            ),
        ),
        (
            "Latency",
            (
                Panel(
                    "From event to acknowledged decision",
                    "Upper edges of the buckets in which the quantiles lie. Above 200 ms gateways route calls "
                    "without a decision.",
                    tuple(
                        Query(f"histogram_quantile({quantile}, {LATENCY})", f"p{100 * quantile:g}")
                        for quantile in (0.5, 0.99, 0.999)
                    ),
                    unit="s",
                    limit=0.2,
                    width=12,
                ),
                Panel(
                    "Decided within 200 ms",
                    "The objective is 99.9% over thirty days (docs/slo.md).",
                    (
                        Query(
                            f'sum(rate(wurao_decision_latency_seconds_bucket{{le="0.2"}}[{RATE}]))'
                            f" / sum(rate(wurao_decision_latency_seconds_count[{RATE}]))",
                            "in time",
                        ),
                    ),
                    unit="percentunit",
                    number=True,
                    width=4,
                ),
                Panel(
                    "Lag",
                    "Age of the oldest event of the last batch, by lane, of the slowest worker. It stays where it was "
                    "when traffic ends.",
                    (Query("max by (lane) (wurao_consumer_lag_seconds)", "{{lane}}"),),
                    unit="s",
                    limit=5,
                    width=8,
                ),
            ),
        ),
        (
            "Cost",
            (
                Panel(
                    "CPU time per decision",
                    "Decode, decide, encode; without Kafka.",
                    (
                        Query(
                            f"1e6 * sum(rate(wurao_batch_decide_seconds_total[{RATE}]))"
                            f" / sum(rate(wurao_decisions_total[{RATE}]))",
                            "one decision",
                        ),
                    ),
                    unit="µs",
                ),
                Panel(
                    "Events per batch",
                    "Small batches: little traffic. At filter.batch_records_max: the worker is busy.",
                    (
                        Query(
                            f"sum(rate(wurao_decisions_total[{RATE}])) / sum(rate(wurao_batches_total[{RATE}]))",
                            "events",
                        ),
                    ),
                ),
                Panel(
                    "Batches in flight",
                    "Decided and not yet acknowledged. At filter.batches_in_flight_max: the broker is slow.",
                    (Query("max by (instance) (wurao_batches_in_flight)", "{{instance}}"),),
                ),
                Panel(
                    "Workers",
                    "Ready workers, and running ones.",
                    (Query("sum(wurao_ready)", "ready"), Query("sum(wurao_workers)", "running")),
                    width=12,
                ),
                Panel(
                    "Worker restarts, in an hour",
                    "No event is lost; some are decided twice. More than a few: read the last lines of their log.",
                    (Query("sum by (instance) (increase(wurao_worker_restarts_total[1h]))", "{{instance}}"),),
                    limit=3,
                    width=12,
                ),
            ),
        ),
    ),
)
