"""The part of `requirements.lock` that an image needs: what runs, without what tests and builds it.

The lock holds everything, each package with its checksums and, as comments, with those that asked for it. What the
image needs is what pyproject.toml names as dependencies, and what asks lead to from there. Run in the image's build
stage, before anything is installed, so it uses the standard library alone.

    python image_lock.py pyproject.toml requirements.lock > runtime.lock
    python image_lock.py pyproject.toml requirements.lock setuptools maturin > build.lock    these, and what they need
"""

import re
import sys
import tomllib
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)==", re.MULTILINE)
_OURSELVES = "wurao"


def normal(name: str) -> str:
    """A project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(pyproject: str, extras: tuple[str, ...]) -> set[str]:
    """The names that `[project]` depends on, with those of some extras."""
    project = tomllib.loads(pyproject)["project"]
    asked = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return {normal(found.group()) for one in asked if (found := _NAME.match(one))}


def select(lock: str, names: set[str]) -> str:
    """The blocks of a lock file that these names need. Raises `SystemExit` for a name that it lacks."""
    blocks = blocks_of(lock)
    if missing := names - blocks.keys():
        raise SystemExit(f"requirements.lock lacks {', '.join(sorted(missing))}: run `make lock`")
    asked = {name: askers(block) for name, block in blocks.items()}
    chosen = set(names)
    while more := {name for name, by in asked.items() if by & chosen} - chosen:
        chosen |= more
    return "".join(blocks[name] for name in sorted(chosen))


def blocks_of(lock: str) -> dict[str, str]:
    """The blocks of a lock file by the names of their packages."""
    starts = [found.start() for found in _PINNED.finditer(lock)]
    return {
        normal(lock[start:].split("==", 1)[0]): lock[start:end]
        for start, end in zip(starts, [*starts[1:], len(lock)], strict=True)
    }


def askers(block: str) -> set[str]:
    """The names of the packages that ask for that of a block."""
    comments = block.split("# via", 1)[-1] if "# via" in block else ""
    return {normal(word) for word in _NAME.findall(comments)} - {_OURSELVES}


def main() -> None:
    """Write the selected part to standard output: of the names that are given, or else of the programs."""
    pyproject, lock = (Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])
    sys.stdout.write(select(lock, set(sys.argv[3:]) or wanted(pyproject, ("trace",))))


if __name__ == "__main__":
    main()
