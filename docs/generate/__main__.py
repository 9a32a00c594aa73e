"""Write every generated document."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import docs.generate

TOP = Path(docs.generate.__path__[0]).parents[1]


def documents() -> dict[Path, str]:
    """Path → text of every document that is made from the code."""
    modules = (import_module(f"docs.generate.{found.name}") for found in iter_modules(docs.generate.__path__))
    return {TOP / module.TARGET: module.render() for module in modules if hasattr(module, "TARGET")}


def main() -> None:
    """Write them."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(TOP))


if __name__ == "__main__":
    main()
