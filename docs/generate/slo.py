"""`docs/slo.md`: the objectives, from the table that the rules are made from as well."""

from typing import Final

from deploy.objectives import BURNS, DUTIES, OBJECTIVES, WINDOW_DAYS, Duty, Objective

TARGET: Final = "docs/slo.md"

_HEAD: Final = f"""# Objectives

<!-- Made by `make docs` from deploy/objectives.py and docs/generate/slo.py; change them there. -->

What wurao promises to those who run it and to those who rely on it: what is measured, by which query, over which
window, how much may be missed, and what is excluded. The window is {WINDOW_DAYS} days for all. The
rules stand in [deploy/prometheus](../deploy/prometheus), the panels in the dashboard *compliance*, and each alert has
its [runbook](runbooks).

**Duties** have no budget: one event is one too many, and each raises an alert. **Objectives** have one, and alerts
fire when it is spent too fast.
"""

_DELIVERY: Final = """
How the first is known: `wurao audit` is a process of its own with a Kafka user that may write nothing. It reads events,
decisions and the registry's topics, folds the registry again up to the offsets that the decision's epoch names, and
decides again. So it finds a fault in a worker's copy of the registry, which no metric of the worker could show. It
shares the rules' code with the filter; that the rules do what they promise is proved separately (`make prove`).

"Applied within a second" is measured twice. The objective looks at each worker's *staleness*: the time since it had
last applied the registry topics up to their end offsets, so an expression is applied at the latest when that falls
below its age. This is known without traffic and errs to the strict side. Beside it the audit measures the propagation
of real refusals (`wurao_refusal_in_force_seconds`, dashboard *registry*): from a refusal's record to the first epoch
that includes it, in each worker. A worker begins an epoch only when it decides from it, so that figure grows where
there is no traffic, and has no alert.
"""


def render() -> str:
    """The page."""
    parts = [_HEAD, "## Duties\n", *map(_duty, DUTIES), _DELIVERY.strip() + "\n", "## Objectives\n"]
    parts += [*map(_objective, OBJECTIVES), _burns()]
    return "\n".join(parts)


def _duty(duty: Duty) -> str:
    return (
        f"### {duty.title}\n\n{duty.promise}\n\n```promql\n{duty.broken}\n```\n\n"
        f"* **budget**: 0\n* **excluded**: {duty.excluded}\n* **alert**: {_runbook(duty.alert)}\n"
    )


def _objective(objective: Objective) -> str:
    window = f"{WINDOW_DAYS}d"
    minutes = objective.budget * WINDOW_DAYS * 24 * 60
    budget = f"{objective.budget:.2%}"
    if "avg_over_time" in objective.bad:
        budget += f", {minutes:,.0f} minutes of {WINDOW_DAYS} days"
    return (
        f"### {objective.title}\n\n{objective.promise}\n\n```promql\n{objective.query(window)}\n```\n\n"
        f"* **budget**: {budget}\n* **excluded**: {objective.excluded}\n* **alert**: {_runbook(objective.alert)}\n"
    )


def _runbook(alert: str) -> str:
    return f"[{alert}](runbooks/{alert}.md)"


def _burns() -> str:
    rows = [f"| {burn.rate:g} × | {burn.long} and {burn.short} | {burn.severity} | {burn.spends} |" for burn in BURNS]
    names = ", ".join(f"`{objective.name}`" for objective in OBJECTIVES)
    return "\n".join(
        [
            "## When a budget is spent too fast\n",
            "An alert fires when the share that broke the objective is above its budget times the burn rate, over both",
            "windows: the long one says that it matters, the short one that it still goes on.\n",
            "| burn rate | windows | severity | at this speed |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Recorded shares: `wurao:NAME:ratio_WINDOW`, where NAME is {names}.",
            "",
            "What a missed objective leads to is the operator's decision: we suggest that while a budget is spent,",
            "nothing but its fix goes into production.",
            "",
        ]
    )
