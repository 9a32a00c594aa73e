"""Prose names nothing that is not there: files and modules in documents, comments and docstrings."""

import io
import re
import tokenize
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("bloom", "deploy", "docs", "examples", "loadtest", "native", "stream", "tests")
FILE: Final = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})(?:/[\w-]+)*/[\w-]+\.(?:md|py|pyi|rs|toml|yaml|yml)\b")
MODULE: Final = re.compile(r"`((?:bloom|stream|deploy|loadtest)(?:\.[A-Za-z_]\w*)+)`")
TEMPLATE: Final = "docs/runbooks/NAME.md"


def _prose(path: Path) -> str:
    """A document whole; of a module its comments and strings, since docstrings are strings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def _sources() -> list[Path]:
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
    ]
    for folder in FOLDERS:
        for pattern in ("*.md", "*.py", "*.pyi", "*.rs", "*.toml", "*.yaml", "*.yml"):
            found += (path for path in (ROOT / folder).rglob(pattern) if "target" not in path.parts)
    return sorted(found)


def _is_there(name: str) -> bool:
    """Whether `package.module.name` is a module, or stands in one by that name."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                return all(re.search(rf"\b{part}\b", text) for part in parts[count:])
    return False


def test_prose_names_no_file_and_no_module_that_is_not_there() -> None:
    missing = []
    for path in _sources():
        text = _prose(path)
        files = {name for name in FILE.findall(text) if name != TEMPLATE and not (ROOT / name).is_file()}
        modules = {name for name in MODULE.findall(text) if not _is_there(name)}
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(files | modules)]
    assert not missing


def test_the_names_that_are_looked_for_are_found() -> None:
    assert FILE.findall("see `stream/metrics.py`, bloom/wills.py.") == ["stream/metrics.py", "bloom/wills.py"]
    assert MODULE.findall("by `bloom.number.masked`") == ["bloom.number.masked"]
    assert _is_there("bloom.number.masked")
    assert not _is_there("bloom.number.unmasked")
    assert not _is_there("bloom.nowhere")


def test_links_within_the_repository_lead_to_a_file_and_to_a_heading_of_it() -> None:
    missing = []
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]:
        for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                missing.append(f"{page.relative_to(ROOT)}: {link}")
    assert not missing


def _anchors(page: Path) -> set[str]:
    """The headings of a page as links name them: lower case, spaces as dashes, without other marks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
