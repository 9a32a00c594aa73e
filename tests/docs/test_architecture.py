"""The map leads somewhere: every file, and every name in it, that docs/architecture.md gives a step by."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from stream.enforce.procedures.terms import TERMS
from stream.policy.rules import TABLE

ROOT: Final = Path(__file__).parents[2]
MAP: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILE: Final = re.compile(r"`((?:bloom|stream|native)/[\w/]+\.(?:py|rs))`")
STEP: Final = re.compile(FILE.pattern + r"((?:,?\s+`[A-Za-z_][\w.]*`)*)")
"""A file, and the names right after it that are defined there."""

CONTRACTS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]

PATHS: Final = ("event", "expression", "finding")


def _steps() -> list[tuple[str, str]]:
    """(file, name) of every step; the name is empty where a step gives the file alone."""
    steps: set[tuple[str, str]] = set()
    for file, names in STEP.findall(MAP):
        steps |= {(file, name) for name in re.findall(r"`([^`]+)`", names)} or {(file, "")}
    return sorted(steps)


def _python_names(path: Path) -> set[str]:
    """What a module defines: `function`, `Class`, `Class.method`, `CONSTANT`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}.{method.name}" for method in methods}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _rust_names(path: Path) -> set[str]:
    return set(re.findall(r"\b(?:fn|struct|enum|trait|const|static) (\w+)", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("file", "name"), _steps(), ids=lambda part: part)
def test_a_step_of_the_map_is_there(file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file(), f"docs/architecture.md names {file}, which is not there"
    if name:
        defined = _python_names(path) if path.suffix == ".py" else _rust_names(path)
        assert name in defined, f"docs/architecture.md names {name} of {file}, which does not define it"


@pytest.mark.parametrize("path", PATHS)
def test_the_map_has_a_path_of_numbered_steps_that_each_name_a_file(path: str) -> None:
    (section,) = re.findall(rf"^## The path of one {path}$\n(.*?)(?=^## |\Z)", MAP, re.MULTILINE | re.DOTALL)
    steps = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(steps) >= 8
    assert all(FILE.search(step) for step in steps)


def test_every_folder_that_the_map_names_is_there_and_every_folder_of_the_programs_is_named() -> None:
    named = set(re.findall(r"`((?:bloom|native|stream)(?:/\w+)*)`", MAP))
    assert named
    assert all((ROOT / folder).is_dir() for folder in named)
    packages = {f"stream/{path.parent.name}" for path in (ROOT / "stream").glob("*/__init__.py")}
    assert packages <= named


def test_the_readme_draws_the_layers_as_the_import_contract_has_them() -> None:
    (layers,) = (one["layers"] for one in CONTRACTS if one["type"] == "layers" and "containers" not in one)
    assert " → ".join(layers).replace("stream.", "") in (ROOT / "README.md").read_text(encoding="utf-8")
    packages = {f"stream.{path.parent.name}" for path in (ROOT / "stream").glob("*/__init__.py")}
    assert set(" | ".join(layers).split(" | ")) == {*packages, "bloom"}, "a layer is not there, or a package is in none"


def test_nothing_but_the_demonstration_is_free_to_import_the_test_bed() -> None:
    (bound,) = (one["source_modules"] for one in CONTRACTS if "stream.testbed" in one.get("forbidden_modules", ()))
    there = {path.stem for path in (ROOT / "stream").glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / "stream").glob("*/__init__.py")} - {"demo", "testbed"}
    assert {name.removeprefix("stream.").removesuffix(".*") for name in bound} == there | {"bloom"}


def test_what_the_readme_says_of_rule_28_of_a_complaints_clocks_and_of_offsets_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"28a", "28b"} <= {rule.id for rule in TABLE}
    named = re.search(r"^\| which clock rings for a complaint \| ((?:`[a-z-]+`(?:, )?)+)", readme, re.MULTILINE)
    assert named
    clocks = set(re.findall(r"`([a-z-]+)`", named[1]))
    procedures = ROOT / "stream" / "enforce" / "procedures"
    rows = "".join((procedures / name).read_text(encoding="utf-8") for name in ("complaint.py", "telling.py"))
    assert clocks == set(re.findall(r'turn\.clock\("([a-z-]+)"\)', rows))
    assert clocks <= {term.clock for term in TERMS}
    linked = re.findall(r"`(\w+)` in \[(stream/[\w/]+\.py|bloom/[\w/]+\.py)\]", readme)
    assert ("AtLeastOnceDelivery", "stream/filter/delivery.py") in linked
    assert all(name in _python_names(ROOT / file) for name, file in linked)


def test_contributing_names_tables_that_are_there_and_commits_by_their_hash() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)` (?:in|of) `(stream/[\w/]+\.py)`", text)
    assert {("ORDER", "stream/cli/parser.py"), ("OUTLINES", "stream/enforce/procedures/outlines.py")} <= set(named)
    assert all(name in _python_names(ROOT / file) for name, file in named)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and line.count(" | ") == 3]
    kinds = {cells[0].removeprefix("| ") for cells in rows[1:] if re.match(r"`[0-9a-f]{7}`", cells[3])}
    assert {"rule", "metric", "record", "procedure", "command", "transport of notices"} <= kinds
