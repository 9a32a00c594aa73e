"""How the demonstration looks: one screen on a terminal, one line at a time elsewhere. Pure: figures in,
pictures out.

The screen fits 80 columns by 24 rows and grows with the terminal. Without a terminal nothing but plain
text is written: no colours, no cursor movements, no carriage returns.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.demo.optout import OptOut
from stream.demo.tally import OutcomeKey
from stream.model.fields import Verdict
from stream.testbed.decision_line import DecisionLine
from stream.testbed.processes import Usage

COLOUR: dict[Verdict, str] = {"allow": "green", "block": "red", "suspend": "yellow"}
REASONS_ROWS_MIN = 8
BAR_CELLS_MIN, BAR_CELLS_MAX = 3, 40
_BESIDE_BAR = 40
"""Cells of the left panel that names, counts and borders take."""

_WIDE_CELLS = 100
"""Below, names and figures need what bars would take."""

_ABOVE_ROWS = 5
"""The head, and the story: two lines and their borders."""

_BORDERS_ROWS = 2
_SUMMARY_BAR_CELLS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it is shown: what it has, and what share of a core it took lately."""

    name: str
    usage: Usage
    core_share: float


@dataclass(frozen=True, slots=True)
class RegistryInMemory:
    """What the registry in the workers' memory holds, by their own metrics."""

    refusing_sms: int = 0
    refusing_calls: int = 0
    senders: int = 0
    changed: int = 0
    """numbers changed since the shared base"""
    staleness_ms: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that is shown at one moment."""

    elapsed_s: float
    seconds: float
    rate_wanted: int
    sent: int
    decided: int
    rate: float
    outcomes: Counter[OutcomeKey]
    latency_ms: tuple[float, float, float]
    """of the last seconds: median, 99th percentile, largest"""
    acked_s: tuple[float | None, float | None] = (None, None)
    """from the workers' histograms, to the decision's acknowledgement: bucket edges of median and 99th percentile"""
    held: RegistryInMemory = field(default_factory=RegistryInMemory)
    processes: Sequence[Process] = ()

    @property
    def waiting(self) -> int:
        """Events sent and not yet seen decided."""
        return max(0, self.sent - self.decided)

    def share(self, verdict: Verdict) -> float:
        """The part of all decisions that has this verdict."""
        counted = sum(count for outcome, count in self.outcomes.items() if outcome.verdict == verdict)
        return counted / max(1, self.decided)


def screen(frame: Frame, story: OptOut, *, height: int, width: int) -> RenderableType:
    """The whole picture for a terminal of this size: 80 by 24 at least.

    What does not fit is cut off at the bottom, so the subscriber's story stands at the top, and where the three panels
    of figures would reach beyond it, they are one.
    """
    left_width = width * 54 // 100 if width >= _WIDE_CELLS else width // 2
    bar_cells = max(BAR_CELLS_MIN, min(BAR_CELLS_MAX, left_width - _BESIDE_BAR))
    rows = max(REASONS_ROWS_MIN, height - _ABOVE_ROWS - _BORDERS_ROWS - 1)  # a terminal's last row is the cursor's
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(width=left_width)
    grid.add_column(ratio=1)
    grid.add_row(
        Panel(_reasons(frame, rows, bar_cells), title="decisions by reason", border_style="dim"), _figures(frame, rows)
    )
    return Group(
        _head(frame, width),
        Panel(story_text(story), title="one subscriber's opt-out", border_style="cyan"),
        grid,
    )


def line(frame: Frame, story: OptOut) -> str:
    """The same in one plain line."""
    median, high, _ = frame.latency_ms
    word = f"  opt-out applied after {story.in_force_ms:.0f} ms" if story.in_force_ms is not None else ""
    return (
        f"{frame.elapsed_s:5.1f} s  {frame.rate:7,.0f}/s  decided {frame.decided:9,}  waiting {frame.waiting:6,}  "
        f"allow {frame.share('allow'):4.0%}  block {frame.share('block'):4.0%}  suspend {frame.share('suspend'):4.1%}  "
        f"p50 {median:3.0f} ms  p99 {high:3.0f} ms{word}"
    )


def story_text(story: OptOut) -> Text:
    """How far the subscriber's story has come, two lines at most."""
    text = Text()
    if story.welcome is None:
        return text.append("one who consented to 江澜银行 (finance, SMS) will soon get a message from it", "dim")
    text.append("to one who consented: ").append("allowed", "green")
    if story.replied_ms is None:
        return text
    text.append("; replies ").append("TD", "bold").append("; ")
    if story.in_force_ms is None:
        return text.append("waiting for the first that is blocked …", "dim")
    text.append(f"a message {story.in_force_ms:.0f} ms later: ").append("blocked", "bold red")
    text.append(f"\nin between {story.allowed_count} got through, since then {story.blocked_count} blocked", "dim")
    return text.append(f", {story.allowed_afterwards_count} let through", "dim")


def summary(frame: Frame) -> RenderableType:
    """Every reason with its count, for the end: nothing is left out."""
    return _reasons(frame, len(frame.outcomes), _SUMMARY_BAR_CELLS)


def decision_text(decision: DecisionLine) -> Text:
    """A decision in words."""
    text = Text()
    text.append(f"{decision.event}\n")
    verdict = decision.answer.partition(" ")[0]
    colour = {str(known): colour for known, colour in COLOUR.items()}.get(verdict, "")
    text.append(f"  {decision.answer}\n", colour)
    return text.append(f"  because {decision.because}", "dim")


def bar(share: float, cells: int) -> str:
    """A bar of up to `cells` cells, to an eighth of one; anything at all shows at least that."""
    eighths = max(1 if share > 0 else 0, round(min(1.0, share) * cells * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def is_plain(console: Console) -> bool:
    """Whether only plain text may be written there."""
    return not console.is_terminal or console.is_dumb_terminal


def say(console: Console, text: str | Text, *, hanging: int = 0) -> None:
    """Print it. On a terminal lines are wrapped at words, what follows a line's first row `hanging` cells in; elsewhere
    a line stays one.
    """
    if is_plain(console):
        console.print(text, highlight=False, soft_wrap=True, markup=False)
        return
    for one in (Text(text) if isinstance(text, str) else text).split("\n"):
        if not hanging:
            console.print(one)
            continue
        head, *rest = one.divide([hanging])
        row = Table.grid()
        row.add_column(width=hanging, no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(head, *rest)
        console.print(row)


def _head(frame: Frame, width: int) -> RenderableType:
    done = min(1.0, frame.elapsed_s / frame.seconds)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" wurao 勿扰 ", "bold reverse").append(f"  {frame.elapsed_s:4.1f} of {frame.seconds:.0f} s  ")
    text.append(bar(done, 10).ljust(10, "·"), "cyan")
    text.append(f"  {frame.rate:,.0f}", "bold").append(" decisions/s  ")
    for verdict, colour in COLOUR.items():
        text.append(f"{verdict} ", "dim").append(f"{frame.share(verdict):.1%}  ", colour)
    text.truncate(width)
    return text


def _reasons(frame: Frame, rows: int, bar_cells: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    ranked = frame.outcomes.most_common()
    shown = ranked if len(ranked) <= rows else ranked[: rows - 1]
    largest = max((count for _, count in ranked), default=1)
    for (verdict, reason), count in shown:
        table.add_row(
            Text(reason, COLOUR[verdict]),
            f"{count:,}",
            Text(bar(count / largest, bar_cells), COLOUR[verdict]),
        )
    if hidden := ranked[len(shown) :]:
        table.add_row(Text(f"… {len(hidden)} more reasons", "dim"), f"{sum(count for _, count in hidden):,}", "")
    return table


def _figures(frame: Frame, rows: int) -> RenderableType:
    """Flow, registry and processes: a panel each where those fit into these rows and the borders of one, or in one."""
    parts = {"flow": _flow(frame), "registry in each worker": _registry(frame), "processes": _processes(frame)}
    if sum(part.row_count + _BORDERS_ROWS for part in parts.values()) <= rows + _BORDERS_ROWS:
        return Group(*(Panel(part, title=title, border_style="dim") for title, part in parts.items()))
    return Panel(Group(*parts.values()), title="flow, registry, processes", border_style="dim", padding=0)


def _flow(frame: Frame) -> Table:
    median, high, most = frame.latency_ms
    return _facts(
        [
            ("sent", f"{frame.sent:,} at {frame.rate_wanted:,}/s"),
            ("decided", f"{frame.decided:,}  ({frame.waiting:,} waiting)"),
            ("decision", f"p50 {median:.0f} p99 {high:.0f} max {most:.0f} ms"),
            ("its ack", f"p50 {_edge(frame.acked_s[0])} p99 {_edge(frame.acked_s[1])}"),
        ]
    )


def _registry(frame: Frame) -> Table:
    held = frame.held
    return _facts(
        [
            ("refuse all SMS", f"{held.refusing_sms:,}"),
            ("refuse all calls", f"{held.refusing_calls:,}"),
            ("senders", f"{held.senders:,}"),
            ("changed since base", f"{held.changed:,}"),
            ("staleness", f"{held.staleness_ms:,} ms"),
        ]
    )


def _processes(frame: Frame) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    for column in ("", "PSS MiB", "RSS MiB", "core"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    table.add_row("", *(Text(name, "dim") for name in ("PSS MiB", "RSS MiB", "core")))
    for process in frame.processes:
        table.add_row(
            process.name,
            f"{process.usage.pss_mib:,.0f}",
            f"{process.usage.rss_mib:,.0f}",
            f"{process.core_share:.0%}",
        )
    return table


def _facts(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True, min_width=max(len(name) for name, _ in facts))
    table.add_column(no_wrap=True)
    for name, value in facts:
        table.add_row(name, value)
    return table


def _edge(edge_s: float | None) -> str:
    """A bucket's upper edge, as what it is: a bound."""
    if edge_s is None:
        return "-"
    return "more" if edge_s == float("inf") else f"≤ {edge_s * 1000:.0f} ms"
