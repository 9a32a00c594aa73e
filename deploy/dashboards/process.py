"""The processes: which one is ill. One may choose by job and instance."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query

CHOSEN: Final = 'job=~"$job",instance=~"$instance"'

BOARD: Final = Board(
    name="process",
    title="processes",
    says="Which process is ill: one may choose by job and instance.",
    by_instance=True,
    rows=(
        (
            "All",
            (
                Panel(
                    "Answers",
                    "1 while Prometheus reaches it.",
                    (Query(f"up{{{CHOSEN}}}", "{{job}} {{instance}}"),),
                ),
                Panel(
                    "At work",
                    "1 while it does its work. Its `/readyz` says why not.",
                    tuple(
                        Query(f"{metric}{{{CHOSEN}}}", "{{job}} {{instance}}")
                        for metric in ("wurao_ready", "wurao_enforce_ready", "wurao_watch_ready", "wurao_audit_ready")
                    ),
                ),
                Panel(
                    "Time to answer Prometheus",
                    "A loop that is busy answers late.",
                    (Query(f"scrape_duration_seconds{{{CHOSEN}}}", "{{job}} {{instance}}"),),
                    unit="s",
                ),
                Panel(
                    "Processors",
                    "Processors that each process keeps busy. A worker can use one.",
                    (Query(f"rate(process_cpu_seconds_total{{{CHOSEN}}}[{RATE}])", "{{job}} {{instance}}"),),
                    width=12,
                ),
                Panel(
                    "Memory",
                    "Resident. Workers of a host share the registry's base, and each counts it.",
                    (Query(f"process_resident_memory_bytes{{{CHOSEN}}}", "{{job}} {{instance}}"),),
                    unit="bytes",
                    width=12,
                ),
            ),
        ),
        (
            "Filter",
            (
                Panel(
                    "How late the loop wakes",
                    "Heartbeats are as late. Above a second the group may drop the worker.",
                    (Query(f"wurao_event_loop_lag_seconds{{{CHOSEN}}}", "{{instance}}"),),
                    unit="s",
                    limit=1,
                ),
                Panel(
                    "Decisions of each worker",
                    "Very unequal: partitions are shared unequally, or one worker is ill.",
                    (Query(f"sum by (instance) (rate(wurao_decisions_total{{{CHOSEN}}}[{RATE}]))", "{{instance}}"),),
                    unit="ops",
                ),
                Panel(
                    "Policies",
                    "Workers by the policy that they decide by: two at once for more than a moment means that a reload "
                    "has not reached all. Refused reloads (in a day): the log says what is wrong with the new one.",
                    (
                        Query(f"count by (version) (wurao_policy_info{{{CHOSEN}}})", "workers on {{version}}"),
                        Query(
                            f"sum by (outcome) (increase(wurao_policy_reloads_total{{{CHOSEN}}}[1d]))",
                            "reloads {{outcome}}",
                        ),
                    ),
                ),
                Panel(
                    "Which path decides",
                    "Workers on the native path and on Python's, and those that the native module brought down. The "
                    "log's first lines say why native is not taken.",
                    (
                        Query(f"count by (path) (wurao_native_info{{{CHOSEN}}})", "workers: {{path}}"),
                        Query(f"wurao_native_failures_total{{{CHOSEN}}}", "brought down at {{instance}}"),
                    ),
                    width=12,
                ),
                Panel(
                    "Left to Python by the native path",
                    "Share of the decisions: replies, texts that it is not sure of. Each costs ten times the others.",
                    (
                        Query(
                            f"sum(rate(wurao_native_left_total{{{CHOSEN}}}[{RATE}]))"
                            f" / sum(rate(wurao_decisions_total{{{CHOSEN}}}[{RATE}]))",
                            "left",
                        ),
                    ),
                    unit="percentunit",
                    width=12,
                ),
            ),
        ),
        (
            "Control plane",
            (
                Panel(
                    "Time for one arrival",
                    "From taking a record to having all its effects acknowledged.",
                    (
                        Query(
                            f"sum by (instance) (rate(wurao_enforce_step_seconds_total{{{CHOSEN}}}[{RATE}]))"
                            f" / sum by (instance) (rate(wurao_enforce_arrivals_total{{{CHOSEN}}}[{RATE}]))",
                            "{{instance}}",
                        ),
                    ),
                    unit="s",
                ),
                Panel(
                    "Start and rebalance",
                    "How long the last took until cases were dealt with; records that had to be fetched; cases that "
                    "left the table, having ended long ago.",
                    (
                        Query(f"wurao_enforce_recovery_seconds{{{CHOSEN}}}", "recovery of {{instance}}, s"),
                        Query(f"wurao_enforce_fetched_total{{{CHOSEN}}}", "fetched by {{instance}}"),
                        Query(f"wurao_enforce_left_total{{{CHOSEN}}}", "left {{instance}}"),
                    ),
                ),
                Panel(
                    "Partitions",
                    "Of the cases, by instance. None: another has them all.",
                    (Query(f"wurao_enforce_partitions{{{CHOSEN}}}", "{{instance}}"),),
                ),
                Panel(
                    "Time for one request to the API",
                    "By operation.",
                    (
                        Query(
                            f"sum by (operation) (rate(wurao_api_request_seconds_total{{{CHOSEN}}}[{RATE}]))"
                            f" / sum by (operation) (rate(wurao_api_requests_total{{{CHOSEN}}}[{RATE}]))",
                            "{{operation}}",
                        ),
                    ),
                    unit="s",
                    width=12,
                ),
                Panel(
                    "Cases in the API's memory",
                    "Ended ones among them.",
                    (Query(f"wurao_api_cases{{{CHOSEN}}}", "{{instance}}"),),
                    width=12,
                ),
            ),
        ),
        (
            "Early warning and audit",
            (
                Panel(
                    "Records of activity judged each second",
                    "By instance.",
                    (Query(f"rate(wurao_watch_records_total{{{CHOSEN}}}[{RATE}])", "{{instance}}"),),
                    unit="ops",
                ),
                Panel(
                    "How far behind",
                    "Early warning is ten seconds behind at best: a window is that long. The audit is at nought when "
                    "it has judged all.",
                    (
                        Query(f"wurao_watch_lag_seconds{{{CHOSEN}}}", "early warning {{instance}}"),
                        Query(f"wurao_audit_lag_seconds{{{CHOSEN}}}", "audit {{instance}}"),
                    ),
                    unit="s",
                ),
                Panel(
                    "Parties remembered by early warning",
                    "About a kilobyte each, on each channel.",
                    (Query(f"wurao_watch_parties{{{CHOSEN}}}", "{{instance}}"),),
                ),
            ),
        ),
    ),
)
