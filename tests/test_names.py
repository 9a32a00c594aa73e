"""Names: no two classes of `stream` and `bloom` share one, no coined word comes back, tests stand where they belong."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("bloom", "stream")

COINED: Final = frozenset(
    {"apart", "glyphs", "hear", "heard", "learn", "said", "tells", "told", "wish", "wished", "wishes"}
)
"""Words that once named expressions, misplaced records, fold tables and what was logged here: no name is made of them
any more."""

HEARINGS: Final = Path("stream/enforce/procedures")
"""Where a party is heard in the law's sense."""

KNOWN: Final[frozenset[str]] = frozenset()
"""Class names that two modules still share. It may only shrink."""

ACROSS: Final = frozenset({"enforce/articles", "operate"})
"""Tests of all processes at once: the law's whole ways; how they start, and what they do without a broker."""


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert paths, "the packages have moved"
    for path in paths:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict[str, list[str]](list)
    for path, module in _modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    assert places, "no class was found"
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in KNOWN} == {}
    assert set(shared) >= KNOWN, "a name that is shared no more may leave `KNOWN`"


def test_a_folder_of_tests_bears_the_name_of_the_folder_that_it_tests() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(folders) > 10, "the tests have moved"
    nowhere = [
        str(folder)
        for folder in folders
        if str(folder) not in ACROSS and not any((ROOT / top / folder).is_dir() for top in ("stream", "."))
    ]
    assert nowhere == []


def test_coined_words_name_nothing() -> None:
    found = [
        f"{path}:{line}: {name}"
        for path, module in _modules()
        for line, name in _names(module)
        if path.parent != HEARINGS and COINED.intersection(name.lower().split("_"))
    ]
    assert found == []


def _names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """What a module itself names: classes, functions, parameters, variables, fields."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass
