"""Every refusal of the door has a row in the documentation."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from stream.model.requests import RefusalCode
from stream.registry.refusals import REASONS

ROOT = Path(__file__).parents[2]
REFUSING = {"Refused", "RecordRefusal", "refuse", "_because"}
"""What is called with a code to refuse."""


def _codes() -> Iterator[str]:
    for path in (*(ROOT / "stream/registry").glob("*.py"), *(ROOT / "stream/registrar").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
                if name in REFUSING:
                    yield str(node.args[0].value)


def test_every_code_has_a_row_and_something_is_refused_by_it() -> None:
    assert set(REASONS) == set(get_args(RefusalCode)) == set(_codes())


def test_every_row_has_its_meaning_its_mend_and_one_line() -> None:
    page = (ROOT / "docs/admission.md").read_text(encoding="utf-8")
    for code, reason in REASONS.items():
        assert f"| `{code}` | {reason.meaning} | {reason.mend} |" in page
        assert "\n" not in reason.meaning + reason.mend
        assert "|" not in reason.meaning + reason.mend
