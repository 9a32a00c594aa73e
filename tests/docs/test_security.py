"""The threat model claims nothing that no test holds: every threat names a test that is there, or is marked as open."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "security.md"
TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
OPEN: Final = "**open**"


def _threats() -> list[list[str]]:
    """The cells of each row of a table of threats: kind, threat, measure, and what holds it."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [row for row in cells if len(row) == 4 and re.fullmatch(r"[STRIDE](?:, [STRIDE])*", row[0])]


def test_every_threat_is_held_by_a_test_or_marked_as_open() -> None:
    threats = _threats()
    assert len(threats) > 40
    assert not [row for row in threats if not (row[3] == OPEN or TEST.fullmatch(row[3]))]


def test_every_flow_is_looked_at_for_disclosure_or_denial_and_all_six_kinds_occur() -> None:
    assert {kind for row in _threats() for kind in row[0].split(", ")} == set("STRIDE")


def test_every_test_that_is_named_is_there() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in TEST.findall(PAGE.read_text(encoding="utf-8"))
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert not missing
