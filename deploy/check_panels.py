"""Ask every panel's queries of a real Prometheus that watched a real run: no panel may be without data.

    python -m deploy.check_panels                             a minute and a half of traffic; exit 1 for an empty panel
    python -m deploy.check_panels --pictures docs/dashboards  and draw each dashboard from that run

Needs `prometheus` (Debian's package of that name). Alerts that fired in the run are printed as well.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.dashboards import BOARDS
from deploy.dashboards.panel import RATE, Panel, Query
from deploy.pictures import Line, draw
from deploy.trial import Trial, TrialError, live, trial

STEP_S: Final = 2
SHORT_RATE: Final = "10s"
"""What a rate is taken over in a run of a minute, scraped every other second."""

SETTLE_S: Final = 15.0
"""Notices, findings and the audit come after the events that they are about."""


MEMORY: Final = Query("process_resident_memory_bytes / 2 ^ 20", "{{job}} {{instance}}")
"""What requests of memory rest on; pages that workers share are counted in each."""

Seen = Mapping[str, Mapping[str, tuple[Line, ...]]]
"""Dashboard → panel → lines."""


def ask(deployment: Trial, query: Query, *, begin: float, end: float) -> tuple[Line, ...]:
    """The lines of a query over a time."""
    expr = query.expr.replace(RATE, SHORT_RATE).replace("$job", ".*").replace("$instance", ".*")
    asked = urllib.parse.urlencode({"query": expr, "start": begin, "end": end, "step": STEP_S})
    with urllib.request.urlopen(f"{deployment.prometheus}/api/v1/query_range?{asked}", timeout=30) as answer:  # noqa: S310  # 127.0.0.1
        found = json.load(answer)["data"]["result"]
    return tuple(
        Line(
            _named(query.legend, one["metric"]),
            tuple(float(moment) for moment, value in one["values"] if value != "NaN"),
            tuple(float(value) for _, value in one["values"] if value != "NaN"),
        )
        for one in found
        if any(value != "NaN" for _, value in one["values"])
    )


def _named(legend: str, labels: Mapping[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend


def look(deployment: Trial, *, begin: float, end: float) -> Seen:
    """Every panel's lines."""

    def lines(panel: Panel) -> tuple[Line, ...]:
        return tuple(line for query in panel.queries for line in ask(deployment, query, begin=begin, end=end))

    return {board.name: {panel.title: lines(panel) for panel in board.panels} for board in BOARDS}


def fired(deployment: Trial, *, begin: float, end: float) -> tuple[Line, ...]:
    """The alerts that fired."""
    return ask(deployment, Query('ALERTS{alertstate="firing"}', "{{alertname}} ({{severity}})"), begin=begin, end=end)


def main() -> int:
    """Run, look, tell; 1 where a panel had no data."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.check_panels", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--seconds", type=float, default=90.0, help="how long events come (default: 90)")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second (default: 2000)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw each dashboard into this folder")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(
        logging.ERROR
    )  # new topics have no leaders for a moment; it says so at length
    try:
        with trial() as deployment:
            begin = time.time()
            sent = asyncio.run(live(deployment, seconds=arguments.seconds, rate=arguments.rate))
            time.sleep(SETTLE_S)
            end = time.time()
            seen = look(deployment, begin=begin, end=end)
            alerts = fired(deployment, begin=begin, end=end)
            memory = ask(deployment, MEMORY, begin=end - SETTLE_S, end=end)
    except TrialError as error:
        print(f"check_panels: {error}", file=sys.stderr)
        return 1
    empty = [f"{board}: {panel}" for board, panels in seen.items() for panel, lines in panels.items() if not lines]
    for panel in empty:
        print(f"no data: {panel}")
    panels_count = sum(map(len, seen.values()))
    print(f"{sent:,} events; {panels_count - len(empty)} of {panels_count} panels show data")
    print("alerts that fired: " + (", ".join(sorted({line.name for line in alerts})) or "none"))
    print("resident, MiB: " + ", ".join(f"{line.name} {line.values[-1]:.0f}" for line in memory))
    if arguments.pictures is not None:
        for board in BOARDS:
            draw(board, seen[board.name], begin=begin, path=arguments.pictures / f"{board.name}.png")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
