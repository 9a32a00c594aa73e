"""Every file below `deploy/` that is made from the code, and its text: one list for writing and for the drift test."""

from pathlib import Path
from typing import Final

from deploy import dashboards, objectives, rules, topics, users

TOP: Final = Path(__file__).parents[1]


def files() -> dict[Path, str]:
    """Path → text."""
    made = {module.TARGET: module.render() for module in (objectives, rules, topics, users)} | dashboards.render()
    return {TOP / path: text for path, text in made.items()}
