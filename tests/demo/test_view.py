"""The view shows what is known, fits its screen, and is plain text where there is no terminal."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from stream.config import TopicsConfig
from stream.demo import view
from stream.demo.optout import OptOut
from stream.demo.run import registry_written, topics_made
from stream.demo.tally import OutcomeKey
from stream.demo.view import Frame, Process, RegistryInMemory
from stream.kafka import topics
from stream.testbed.decision_line import DecisionLine
from stream.testbed.processes import Usage
from stream.testbed.sample import sample
from stream.testbed.traffic import SCENARIOS
from tests.demo.test_optout import after_reply

ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def frame() -> Frame:
    outcomes: Counter[OutcomeKey] = Counter()
    for place, scenario in enumerate(SCENARIOS):
        outcomes[OutcomeKey("suspend" if "susp" in scenario.reason else "block", scenario.reason)] += 10 ** (place % 6)
    outcomes[OutcomeKey("allow", "personal")] = 1_234_567
    return Frame(
        elapsed_s=12.3,
        seconds=24.0,
        rate_wanted=5_000,
        sent=61_000,
        decided=60_000,
        rate=4_987.6,
        outcomes=outcomes,
        latency_ms=(700.0, 1_500.0, 2_345.0),
        acked_s=(0.01, float("inf")),
        held=RegistryInMemory(refusing_sms=600_000, refusing_calls=300_000, senders=19, changed=7, staleness_ms=800),
        processes=[
            Process(name, Usage(100.4, 50.2, 40.1, 3.0), 0.25)
            for name in ("supervisor", "worker 1", "worker 2", "broker 1", "this view")
        ],
    )


def printed(picture: RenderableType, *, width: int, height: int = 30, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=terminal, color_system=None)
    console.print(picture)
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (200, 60)])
def test_the_screen_fits_the_terminal_and_shows_the_story_whole(width: int, height: int) -> None:
    shown = printed(view.screen(frame(), after_reply(), height=height, width=width), width=width)
    lines = shown.splitlines()
    assert len(lines) < height, "the last row is the cursor's"
    assert all(cell_len(line) <= width for line in lines)
    text = " ".join(word for line in lines[1:5] for word in line.strip("│╭╮╰╯─ ").split())
    assert " ".join(view.story_text(after_reply()).plain.split()) in text
    for figure in ("1,000 waiting", "p50 700 p99 1500 max 2345 ms", "600,000", "800 ms", "this view", "more reasons"):
        assert figure in shown or (figure == "more reasons" and height == 60)


def test_the_screen_shows_the_figures() -> None:
    shown = printed(view.screen(frame(), after_reply(), height=30, width=100), width=100)
    for figure in (
        "4,988",
        "1,234,567",
        "600,000",
        "p50 700",
        "p99 1500",
        "≤ 10 ms",
        "worker 2",
        "25%",
        "1,000 waiting",
    ):
        assert figure in shown


def test_reasons_that_do_not_fit_are_counted_together() -> None:
    shown = printed(view.screen(frame(), OptOut(), height=30, width=100), width=100)
    assert re.search(r"… \d+ more reasons", shown)


def test_the_summary_leaves_no_reason_out() -> None:
    shown = printed(view.summary(frame()), width=100)
    assert all(scenario.reason in shown for scenario in SCENARIOS)


def test_without_a_terminal_there_are_no_control_characters() -> None:
    for picture in (view.line(frame(), after_reply()), view.summary(frame()), view.story_text(after_reply())):
        assert not ESCAPES.search(printed(picture, width=120))


SAID = (
    "registry  1,010,601 expressions (10,601 consents), 19 senders, 3 orders, 4 campaigns (1.4 s)\n"
    "    because 它是商业短信, and the recipient has refused what it is about, by a reply of the day before yesterday"
)


@pytest.mark.parametrize("hanging", [0, 4, 10])
def test_on_a_terminal_lines_are_wrapped_at_words(monkeypatch: pytest.MonkeyPatch, hanging: int) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    view.say(Console(file=out, width=80, force_terminal=True, color_system=None), SAID, hanging=hanging)
    rows = out.getvalue().splitlines()
    assert len(rows) == 4
    assert all(cell_len(row) <= 80 for row in rows)
    assert " ".join(rows).split() == SAID.split()
    assert all(rows[place].startswith(" " * hanging) for place in (1, 3))


def test_elsewhere_a_line_stays_one() -> None:
    out = io.StringIO()
    view.say(Console(file=out, width=80), SAID, hanging=10)
    assert out.getvalue() == SAID + "\n"


def test_the_document_shows_the_topics_and_the_registry_that_there_are() -> None:
    shown = (Path(__file__).parents[2] / "docs/demo.md").read_text(encoding="utf-8")
    partitions = TopicsConfig().partitions
    assert f"\ntopics    {topics_made(len(topics.EXPECTED), partitions)} (" in shown
    assert f"\nregistry  {registry_written(sample(now=0))} (" in shown


def test_a_file_is_no_terminal_and_a_dumb_terminal_is_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    assert view.is_plain(Console(file=io.StringIO()))
    monkeypatch.setenv("TERM", "xterm")
    assert not view.is_plain(Console(file=io.StringIO(), force_terminal=True))
    monkeypatch.setenv("TERM", "dumb")
    assert view.is_plain(Console(file=io.StringIO(), force_terminal=True))


def test_a_line_tells_the_rate_the_verdicts_the_latency_and_the_word_that_is_in_force() -> None:
    line = view.line(frame(), after_reply())
    for part in ("12.3 s", "4,988/s", "decided", "waiting  1,000", "p50 700 ms", "p99 1500 ms", "applied after 12 ms"):
        assert part in line
    assert "\n" not in line


def test_the_story_is_told_as_far_as_it_has_come() -> None:
    assert "soon" in view.story_text(OptOut()).plain
    text = view.story_text(after_reply()).plain
    assert "replies TD" in text
    assert "12 ms later: blocked" in text
    assert "1 got through" in text


def test_a_frame_before_the_first_decision_is_shown_as_well() -> None:
    nothing = Frame(0.0, 24.0, 5_000, 0, 0, 0.0, Counter(), (0.0, 0.0, 0.0))
    assert "0 waiting" in printed(view.screen(nothing, OptOut(), height=30, width=100), width=100)
    assert view.line(nothing, OptOut())


@pytest.mark.parametrize(("share", "cells"), [(0.0, 0), (0.001, 1), (0.5, 5), (1.0, 10), (7.0, 10)])
def test_a_bar_is_as_long_as_its_share_and_anything_at_all_is_seen(share: float, cells: int) -> None:
    assert len(view.bar(share, 10)) == cells


def test_a_decision_is_told_with_its_answer_and_its_reason() -> None:
    text = view.decision_text(DecisionLine("an SMS", "block · refused", "the recipient has refused")).plain
    assert text == "an SMS\n  block · refused\n  because the recipient has refused"
