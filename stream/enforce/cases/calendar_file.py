"""The calendar's file, which is read again when it changes: the coming year's is announced while processes run."""

from collections.abc import Callable

from stream.config import Config
from stream.enforce.procedures.calendar_cn import WorkingDays
from stream.enforce.procedures.settings import calendar_of
from stream.reloading_file import reloading_file


def calendar_file(config: Config) -> Callable[[], WorkingDays]:
    """The working days as the file of `enforce.calendar` has them at each call: the same object until it changes.

    Raises `ConfigError` for a file that cannot be used; at later calls the calendar that was read last stays.
    """
    if config.enforce.calendar is None:
        known = WorkingDays()
        return lambda: known
    return reloading_file(config.enforce.calendar, calendar_of).value
