"""The processes: which one is ill. One may choose by job and instance."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query

CHOSEN: Final = 'job=~"$job",instance=~"$instance"'

BOARD: Final = Board(
    name="process",
    title="processes",
    says="The state of each process, to be filtered by job and instance.",
    by_instance=True,
    rows=(
        (
            "All",
            (
                Panel(
                    "Reachable",
                    "1 while Prometheus reaches it.",
                    (Query(f"up{{{CHOSEN}}}", "{{job}} {{instance}}"),),
                ),
                Panel(
                    "Ready",
                    "1 while it does its work; otherwise its `/readyz` says why.",
                    tuple(
                        Query(f"{metric}{{{CHOSEN}}}", "{{job}} {{instance}}")
                        for metric in ("wurao_ready", "wurao_enforce_ready", "wurao_watch_ready", "wurao_audit_ready")
                    ),
                ),
                Panel(
                    "Time to answer Prometheus",
                    "A busy event loop answers late.",
                    (Query(f"scrape_duration_seconds{{{CHOSEN}}}", "{{job}} {{instance}}"),),
                    unit="s",
                ),
                Panel(
                    "CPU",
                    "Cores that each process keeps busy. A worker can use one.",
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
                    "Event loop lag",
                    "Heartbeats are as late. Above a second the group may remove the worker.",
                    (Query(f"wurao_event_loop_lag_seconds{{{CHOSEN}}}", "{{instance}}"),),
                    unit="s",
                    limit=1,
                ),
                Panel(
                    "Decisions by worker",
                    "Very unequal: partitions are assigned unequally, or one worker has a fault.",
                    (Query(f"sum by (instance) (rate(wurao_decisions_total{{{CHOSEN}}}[{RATE}]))", "{{instance}}"),),
                    unit="ops",
                ),
                Panel(
                    "Policies",
                    "Workers by the policy in use: two for more than a moment means that a reload has not reached "
                    "all. Refused reloads (in a day): the log says what is wrong with the new one.",
                    (
                        Query(f"count by (version) (wurao_policy_info{{{CHOSEN}}})", "workers on {{version}}"),
                        Query(
                            f"sum by (outcome) (increase(wurao_policy_reloads_total{{{CHOSEN}}}[1d]))",
                            "reloads {{outcome}}",
                        ),
                    ),
                ),
                Panel(
                    "Native and Python path",
                    "Workers on the native path and on the Python path, and crashes in the native module. The log "
                    "at startup says why the native path is not in use.",
                    (
                        Query(f"count by (path) (wurao_native_info{{{CHOSEN}}})", "workers: {{path}}"),
                        Query(f"wurao_native_failures_total{{{CHOSEN}}}", "crashed at {{instance}}"),
                    ),
                    width=12,
                ),
                Panel(
                    "Fallback from the native path to Python",
                    "Share of the decisions: replies, texts of which it is not sure. Each costs ten times the others.",
                    (
                        Query(
                            f"sum(rate(wurao_native_left_total{{{CHOSEN}}}[{RATE}]))"
                            f" / sum(rate(wurao_decisions_total{{{CHOSEN}}}[{RATE}]))",
                            "fallback",
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
                    "Time per record",
                    "From consuming a record to the acknowledgement of all its effects.",
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
                    "How long the last took until cases were processed; records that had to be fetched; cases "
                    "removed from the table after their retention.",
                    (
                        Query(f"wurao_enforce_recovery_seconds{{{CHOSEN}}}", "recovery of {{instance}}, s"),
                        Query(f"wurao_enforce_fetched_total{{{CHOSEN}}}", "fetched by {{instance}}"),
                        Query(f"wurao_enforce_left_total{{{CHOSEN}}}", "removed by {{instance}}"),
                    ),
                ),
                Panel(
                    "Partitions",
                    "Assigned, by instance. None: others have them all.",
                    (Query(f"wurao_enforce_partitions{{{CHOSEN}}}", "{{instance}}"),),
                ),
                Panel(
                    "Time per API request",
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
                    "Including closed ones.",
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
                    "Lag",
                    "Early warning is ten seconds behind at best: a window is that long. The audit is at 0 when it "
                    "has judged everything.",
                    (
                        Query(f"wurao_watch_lag_seconds{{{CHOSEN}}}", "early warning {{instance}}"),
                        Query(f"wurao_audit_lag_seconds{{{CHOSEN}}}", "audit {{instance}}"),
                    ),
                    unit="s",
                ),
                Panel(
                    "Parties in early warning's memory",
                    "About a kilobyte each, counted per channel.",
                    (Query(f"wurao_watch_parties{{{CHOSEN}}}", "{{instance}}"),),
                ),
            ),
        ),
    ),
)
