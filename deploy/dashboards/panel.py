"""What a panel and a dashboard are, and their JSON: the only place that knows Grafana.

A panel asks for rates over RATE, which Grafana fills in from its range and the scrape interval.
"""

from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

RATE: Final = "$__rate_interval"

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

Unit = Literal["short", "s", "µs", "percentunit", "ops", "bytes", "percent"]
"""Grafana's own names: a count, seconds, microseconds, a share of 1, each second, bytes."""

WIDTH: Final = 24
HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Query:
    """One line, or some: PromQL, and what to call them by their labels."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `limit` draws a line that a healthy deployment stays below."""

    title: str
    says: str
    """what it means and what to do when it moves: shown beside the title"""
    queries: tuple[Query, ...]
    unit: Unit = "short"
    limit: float | None = None
    stacked: bool = False
    number: bool = False
    """one number rather than a line"""
    width: int = 8

    def shown(self) -> "timeseries.Panel | stat.Panel":
        """It for Grafana."""
        return self._number() if self.number else self._lines()

    def _lines(self) -> timeseries.Panel:
        made = timeseries.Panel().title(self.title).description(self.says).unit(self.unit).datasource(DATASOURCE)
        made = made.span(self.width).height(HEIGHT).min(0).line_width(1).fill_opacity(10)
        made = made.show_points(common_models.VisibilityMode.NEVER)
        made = made.legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        if self.stacked:
            made = made.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL)).fill_opacity(40)
        if self.limit is not None:
            made = made.thresholds(self._thresholds()).thresholds_style(
                common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.DASHED)
            )
        for query in self.queries:
            made = made.with_target(_target(query))
        return made

    def _number(self) -> stat.Panel:
        made = stat.Panel().title(self.title).description(self.says).unit(self.unit).datasource(DATASOURCE)
        made = made.span(self.width).height(HEIGHT).color_mode(common_models.BigValueColorMode.VALUE)
        made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        if self.limit is not None:
            made = made.thresholds(self._thresholds())
        for query in self.queries:
            made = made.with_target(_target(query))
        return made

    def _thresholds(self) -> dashboard.ThresholdsConfig:
        return (
            dashboard.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps([models.Threshold(color="green"), models.Threshold(value=self.limit, color="red")])
        )


def _target(query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(DATASOURCE)


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of panels, each row with its title."""

    name: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    by_instance: bool = False
    """whether one may choose jobs and instances: `$job` and `$instance` in its queries"""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them, in order."""
        return tuple(panel for _, panels in self.rows for panel in panels)

    def render(self) -> str:
        """Its JSON."""
        made = (
            dashboard.Dashboard(f"wurao · {self.title}")
            .uid(f"wurao-{self.name}")
            .description(self.says)
            .tags(["wurao"])
            .refresh("30s")
            .time("now-3h", "now")
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(
                dashboard.DashboardLink("wurao")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags(["wurao"])
                .as_dropdown(True)
            )
            .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        )
        if self.by_instance:
            made = made.with_variable(_choice("job", 'label_values(up{job=~"wurao-.*"}, job)'))
            made = made.with_variable(_choice("instance", 'label_values(up{job=~"$job"}, instance)'))
        for title, panels in self.rows:
            made = made.with_row(dashboard.Row(title))
            for panel in panels:
                made = made.with_panel(panel.shown())
        return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(made.build()) + "\n"


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .datasource(DATASOURCE)
        .query(query)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )
