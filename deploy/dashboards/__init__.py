"""The dashboards: what each panel asks, and how Grafana is to show it.

`panel` says what a panel is and makes Grafana's JSON of it; one file for each dashboard holds its table. The same
tables are asked of a real Prometheus by `python -m deploy.check_panels`, so no panel can be there that shows nothing.
"""

from typing import Final

from deploy.dashboards import compliance, flow, process, registry
from deploy.dashboards.panel import Board

BOARDS: Final[tuple[Board, ...]] = (flow.BOARD, registry.BOARD, compliance.BOARD, process.BOARD)
"""In the order in which somebody looks: is traffic decided, from what, was it right, which process is ill."""

FOLDER: Final = "deploy/grafana/dashboards"


def render() -> dict[str, str]:
    """Path → JSON of every dashboard."""
    return {f"{FOLDER}/{board.name}.json": board.render() for board in BOARDS}
