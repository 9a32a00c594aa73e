"""Compliance: were refusals obeyed, are terms of law kept, are violators stopped, are parties notified."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query
from deploy.objectives import DUTIES, OBJECTIVES

BOARD: Final = Board(
    name="compliance",
    title="compliance",
    says="Refusals obeyed, legal deadlines met, violators stopped, parties notified.",
    rows=(
        (
            "What must not happen, and what may happen seldom (docs/slo.md)",
            (
                *(
                    Panel(
                        duty.title, duty.promise, (Query(duty.broken, "in thirty days"),), number=True, limit=1, width=5
                    )
                    for duty in DUTIES
                ),
                Panel(
                    "Error budgets: burn rate",
                    "1 spends a month's budget in exactly a month. Above 14.4 for an hour somebody is paged.",
                    tuple(
                        Query(f"{objective.record('1h')} / {objective.budget:g}", objective.title)
                        for objective in OBJECTIVES
                    ),
                    limit=14.4,
                    width=14,
                ),
            ),
        ),
        (
            "Refusals",
            (
                Panel(
                    "Decisions judged again",
                    "By the audit, from its own copy of the registry. Its log names what differs.",
                    (Query(f"sum by (outcome) (rate(wurao_audit_decisions_total[{RATE}]))", "{{outcome}}"),),
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "Findings, in an hour",
                    "Senders that work without consent, by grounds. Each opens a case or is added to an open one.",
                    (Query("sum by (grounds) (increase(wurao_watch_findings_total[1h]))", "{{grounds}}"),),
                    width=12,
                ),
            ),
        ),
        (
            "Replies",
            (
                Panel(
                    "Replies to owned ports not recognised as a refusal, share",
                    "A rising share may be a wording of refusals that the policy's reply table lacks.",
                    (
                        Query(
                            'sum(rate(wurao_replies_total{outcome="unheard"}[1h]))'
                            ' / sum(rate(wurao_replies_total{outcome=~"unheard|expression"}[1h]))',
                            "unheard",
                        ),
                    ),
                    unit="percentunit",
                    width=12,
                ),
                Panel(
                    "Replies with unusable numbers, in an hour",
                    "The author is not a person's number, or the port has no owner. The log shows one, masked.",
                    (
                        Query(
                            'sum by (outcome) (increase(wurao_replies_total{outcome=~".*_unknown"}[1h]))', "{{outcome}}"
                        ),
                    ),
                    limit=1,
                    width=12,
                ),
            ),
        ),
        (
            "Cases and their clocks",
            (
                Panel(
                    "Cases and clocks",
                    "Held by the control plane, including closed cases, and the clocks that run.",
                    (Query("sum(wurao_enforce_entries)", "cases"), Query("sum(wurao_enforce_clocks)", "clocks")),
                ),
                Panel(
                    "Oldest overdue clock",
                    "How long it is overdue. Above a minute: WuraoClocksOverdue.",
                    (Query("max by (instance) (wurao_enforce_overdue_seconds)", "{{instance}}"),),
                    unit="s",
                    limit=60,
                ),
                Panel(
                    "Alerts for people, in a day",
                    "Deadlines that are near (warning), that were missed (breach), decisions that people must make "
                    "(decision).",
                    (
                        Query(
                            "sum by (level, about) (wurao_enforce_alerts_total - (wurao_enforce_alerts_total offset 1d)"
                            " or wurao_enforce_alerts_total)",
                            "{{level}}: {{about}}",
                        ),
                    ),
                ),
                Panel(
                    "Records consumed",
                    "By topic and outcome. Refused and undecodable ones are in dead-letter.",
                    (
                        Query(
                            f"sum by (topic, outcome) (rate(wurao_enforce_arrivals_total[{RATE}]))",
                            "{{topic}}: {{outcome}}",
                        ),
                    ),
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "Effects",
                    "Acknowledged by the broker, by topic: orders, notices, reports, expressions.",
                    (Query(f"sum by (topic) (rate(wurao_enforce_effects_total[{RATE}]))", "{{topic}}"),),
                    unit="ops",
                    width=12,
                ),
            ),
        ),
        (
            "Notices and API",
            (
                Panel(
                    "Attempts to deliver notices",
                    "By transport and outcome. While they fail, no measure that requires a notice first can begin.",
                    (
                        Query(
                            f"sum by (via, outcome) (rate(wurao_notify_attempts_total[{RATE}]))", "{{via}}: {{outcome}}"
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    "Notices waiting, and given up",
                    "Given up: notify the addressee by other means.",
                    (
                        Query("sum(wurao_notify_pending)", "waiting"),
                        Query("sum(increase(wurao_notify_given_up_total[1d]))", "given up, in a day"),
                    ),
                ),
                Panel(
                    "Requests to the API",
                    "By operation and status. 503: nothing can be filed.",
                    (
                        Query(
                            f"sum by (operation, status) (rate(wurao_api_requests_total[{RATE}]))",
                            "{{operation}} {{status}}",
                        ),
                    ),
                    unit="ops",
                ),
            ),
        ),
    ),
)
