"""Templates of letters: read from TOML, looked through for placeholders that there are not, and filled.

A template is plain text. `{name}` stands for what the notice says; there is no other syntax, so that no template can
reach for anything. A line whose placeholders all come to nothing is left out. The file is a table, `[letters]`, with a
text for each kind of letter that it replaces; the rest stay ours.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from stream.config import ConfigError, LettersConfig
from stream.model.schema_fault import schema_fault

Kind = Literal[
    "measure",
    "measure-ended",
    "missing",
    "answer",
    "decision-appeal",
    "decision-campaign",
    "decision-dispute",
    "listing",
]

PLACEHOLDERS: Final[dict[str, str]] = {
    "addressee": "whom it is for",
    "appeal": "where to appeal",
    "article": "the articles that it rests on",
    "at": "when what a user complains of came",
    "case": "the case's id",
    "channel": "SMS, calls, or both",
    "date": "the day of the notice",
    "duration": "how long the measure lasts",
    "effect": "from when it is carried out",
    "evidence": "what shows it",
    "figures": "the numbers behind it",
    "incident": "what was found, and when",
    "issuer": "`letters.issuer`, who writes",
    "measure": "the measure",
    "missing": "what is to be supplied or mended, a line each",
    "notice": "the notice's id",
    "number": "the number or sender that a user complains of",
    "outcome": "how an appeal, a dispute, a complaint or a filing came out",
    "reason": "why, in the words of who decided",
    "regulation": "the regulation's name",
    "you": "您, 你方 or 你单位",
}
"""What a template may name, and what stands there."""

NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    "measure": ("measure", "appeal"),
    "measure-ended": ("measure",),
    "missing": ("missing",),
    "answer": ("outcome", "reason"),
    "decision-appeal": ("outcome", "reason"),
    "decision-campaign": ("outcome", "reason"),
    "decision-dispute": ("outcome", "reason"),
    "listing": ("reason", "appeal"),
}
"""What a letter must say: whoever was sent one without it counts as notified, and was told nothing."""

CHARACTERS_MAX: Final = 10_000
"""Of a template: thirty times the longest of ours."""

_NAMES: Final = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_PLACEHOLDER: Final = re.compile(r"\{([^{}\n]*)\}")


class _TemplatesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    letters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates in use, by kind, and who writes."""

    texts: Mapping[Kind, str]
    issuer: str | None = None


def read(config: LettersConfig) -> Templates:
    """Our templates, with those of `letters.file` in their places. Raises `ConfigError` with file, line and mend."""
    templates = dict(_ours())
    if config.file is not None:
        path = Path(config.file)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"letters.file: {path}: {error}; give a readable TOML file") from error
        templates |= templates_of(text, str(path))
    return Templates(templates, config.issuer)


def templates_of(text: str, where: str) -> dict[Kind, str]:
    """The templates of a file. Raises `ConfigError`."""
    try:
        file = msgspec.convert(tomllib.loads(text), _TemplatesFile)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where}: {schema_fault(error, _TemplatesFile)}; write [letters] and a text for each kind"
        ) from error
    except (ValueError, RecursionError) as error:  # tomllib raises others than its own for long integers
        raise ConfigError(f"{where}: not TOML: {error}; write [letters] and a text for each kind") from error
    templates: dict[Kind, str] = {}
    for name, template in file.letters.items():
        kind = next((one for one in get_args(Kind) if one == name), None)
        if kind is None:
            raise ConfigError(
                f"{where}: letters.{name}: there is no such letter; there are {', '.join(get_args(Kind))}"
            )
        _check(template, f"{where}: letters.{name}")
        if lacking := [needed for needed in NEEDED[kind] if f"{{{needed}}}" not in template]:
            named = ", ".join(f"{{{needed}}}" for needed in lacking)
            raise ConfigError(f"{where}: letters.{name}: it says nowhere {named}, which the letter is for; put that in")
        templates[kind] = template
    return templates


def _check(template: str, where: str) -> None:
    if len(template) > CHARACTERS_MAX:
        raise ConfigError(f"{where}: {len(template):,} characters; keep it within {CHARACTERS_MAX:,}")
    for number, line in enumerate(template.splitlines(), start=1):
        for name in _PLACEHOLDER.findall(line):
            if name not in PLACEHOLDERS:
                raise ConfigError(f"{where}: line {number}: no placeholder {{{name}}}; there are {_NAMES}")
        left = _PLACEHOLDER.sub("", line)
        if "{" in left or "}" in left:
            raise ConfigError(f"{where}: line {number}: a brace without its other; a placeholder is one of {_NAMES}")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with these values, without the lines that come to nothing."""
    lines = []
    for line in template.strip("\n").splitlines():
        names = _PLACEHOLDER.findall(line)
        if not names or any(values.get(name) for name in names):
            lines.append(_PLACEHOLDER.sub(lambda found: values.get(found[1], ""), line).rstrip())
    return "\n".join(lines) + "\n"


@cache
def _ours() -> dict[Kind, str]:
    text = files(__package__).joinpath("letters.toml").read_text(encoding="utf-8")
    return templates_of(text, "letters.toml")
