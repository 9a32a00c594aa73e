"""The procedures' settings as the configuration gives them: terms, calendar, policy. Read once, at the start; the
calendar again when its file changes (`stream.enforce.cases.calendar_file`).
"""

import tomllib
from pathlib import Path

import msgspec

from stream.config import Config, ConfigError
from stream.enforce.procedures.calendar_cn import CalendarError, WorkingDays, read_years
from stream.enforce.procedures.terms import Settings, Terms
from stream.model.schema_fault import schema_fault
from stream.policy.settings import Policy


def terms(config: Config, policy: Policy) -> Terms:
    """All that procedures ask for. Raises `ConfigError` for a file that cannot be used."""
    return Terms(settings=_settings(config.enforce.terms), calendar=_calendar(config.enforce.calendar), policy=policy)


def _settings(file: str | None) -> Settings:
    if file is None:
        return Settings()
    try:
        return msgspec.convert(tomllib.loads(_text("enforce.terms", file)), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"enforce.terms: {file}: {schema_fault(error, Settings)}") from error
    except (ValueError, RecursionError) as error:  # tomllib raises others than its own for long integers
        raise ConfigError(f"enforce.terms: {file}: not TOML: {error}") from error


def _calendar(file: str | None) -> WorkingDays:
    return WorkingDays() if file is None else calendar_of(_text("enforce.calendar", file), Path(file))


def calendar_of(text: str, file: Path) -> WorkingDays:
    """The working days by a calendar file. Raises `ConfigError`, which names the file."""
    try:
        return WorkingDays(read_years(text, source=str(file)))
    except CalendarError as error:
        raise ConfigError(f"enforce.calendar: {error}") from error


def _text(setting: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{setting}: {file}: {fault}; give a readable file") from error
