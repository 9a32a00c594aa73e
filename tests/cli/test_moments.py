"""Moments that a person types: read as everywhere, and none that nobody can mean."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.cli.moments import asked_moment
from stream.model.times import SHANGHAI
from tests.cli.command import Wurao

NOON_MS = 1_795_500_000_000


@pytest.mark.parametrize("text", ["20261009", "2026-10-09", "2026-10-09T00:00", "2026-10-08T16:00:00Z", "2026/10/9"])
def test_a_day_of_a_zone_begins_there(text: str) -> None:
    assert asked_moment(text, SHANGHAI) == datetime(2026, 10, 8, 16, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (str(NOON_MS // 1000), "looks like seconds"),
        (str(NOON_MS * 1000), "looks like microseconds"),
        ("-5", "neither milliseconds"),
        ("1969-01-01T00:00:00Z", "is no time"),
        (str(1 << 53), "is no time"),
        ("9" * 5_000, "is no milliseconds"),
        ("20261009", "a date is written"),
    ],
)
def test_a_moment_that_nobody_means_is_refused_with_the_mend(now: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        asked_moment(now)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("command", ["decide", "explain", "scrub"])
def test_no_command_asks_at_a_moment_that_nobody_means(command: str, tmp_path: Path) -> None:
    words = ("--registry", "r", "--channel", "sms", "--sender", "S", "--category", "c") if command == "scrub" else ()
    ran = Wurao(tmp_path).run(command, "EVENTS", *words, "--now", str(NOON_MS // 1000))
    assert ran.returncode == 2
    assert "argument --now: 1795500000 looks like seconds" in ran.stderr


def test_any_other_moment_of_the_wire_may_be_asked_for() -> None:
    for text in ("0", "1", str(NOON_MS), str((1 << 53) - 1), "2026-11-24T12:00:00+08:00"):
        assert asked_moment(text) >= 0
