"""Compliance: were refusals obeyed, are terms of law kept, are violators stopped, are parties told."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query
from deploy.objectives import DUTIES, OBJECTIVES

BOARD: Final = Board(
    name="compliance",
    title="compliance",
    says="Were refusals obeyed, are terms of law kept, are violators stopped, are parties told.",
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
                    "Budgets: how fast they are spent",
                    "1 spends a month's budget in just a month. Above 14.4 for an hour somebody is woken.",
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
                    "By the audit, from its own reading of the registry. What differs is named in its log.",
                    (Query(f"sum by (outcome) (rate(wurao_audit_decisions_total[{RATE}]))", "{{outcome}}"),),
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "Findings, in an hour",
                    "Senders that work without consent, by grounds. Each opens a case or joins one.",
                    (Query("sum by (grounds) (increase(wurao_watch_findings_total[1h]))", "{{grounds}}"),),
                    width=12,
                ),
            ),
        ),
        (
            "Replies",
            (
                Panel(
                    "Replies to owners' ports that are no refusal, share",
                    "People write all sorts; a share that rises may be a way to refuse that the policy's reply table "
                    "does not have.",
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
                    "Replies whose numbers are of no use, in an hour",
                    "Whose author is no person's number, or which went to nobody's port. The log names one, masked.",
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
                    "What the control plane holds, ended cases among them, and the clocks that run.",
                    (Query("sum(wurao_enforce_entries)", "cases"), Query("sum(wurao_enforce_clocks)", "clocks")),
                ),
                Panel(
                    "The oldest clock not dealt with",
                    "How long ago it should have rung. Above a minute: WuraoClocksOverdue.",
                    (Query("max by (instance) (wurao_enforce_overdue_seconds)", "{{instance}}"),),
                    unit="s",
                    limit=60,
                ),
                Panel(
                    "For people, in a day",
                    "Terms that end soon (warning), that were missed (breach), decisions that are theirs (decision).",
                    (
                        Query(
                            "sum by (level, about) (wurao_enforce_alerts_total - (wurao_enforce_alerts_total offset 1d)"
                            " or wurao_enforce_alerts_total)",
                            "{{level}}: {{about}}",
                        ),
                    ),
                ),
                Panel(
                    "What comes in",
                    "By topic and what became of it. Refused and undecodable ones stand in dead-letter.",
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
                    "What follows",
                    "Effects acknowledged, by topic: orders, notices, reports, wills.",
                    (Query(f"sum by (topic) (rate(wurao_enforce_effects_total[{RATE}]))", "{{topic}}"),),
                    unit="ops",
                    width=12,
                ),
            ),
        ),
        (
            "Telling and filing",
            (
                Panel(
                    "Attempts to deliver notices",
                    "By way and outcome. While they fail, no measure that must be told first can begin.",
                    (
                        Query(
                            f"sum by (via, outcome) (rate(wurao_notify_attempts_total[{RATE}]))", "{{via}}: {{outcome}}"
                        ),
                    ),
                    unit="ops",
                ),
                Panel(
                    "Notices that wait, and that were given up",
                    "Given up: somebody must be told in another way.",
                    (
                        Query("sum(wurao_notify_pending)", "waiting"),
                        Query("sum(increase(wurao_notify_given_up_total[1d]))", "given up, in a day"),
                    ),
                ),
                Panel(
                    "Requests to the API",
                    "By operation and status. 503: nobody can file anything.",
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
