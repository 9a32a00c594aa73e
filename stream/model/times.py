"""Which times can be meant, and how they are written: the one place for the bounds of DESIGN section 4, *Every time*.

Those who write (files, API, commands, forms) ask here; the fold and `decide` take what a topic or a file has. Seconds
and microseconds in the place of milliseconds fall outside the bounds, so that they are found and not believed. Pure:
the moment of writing is given. Days are those of Shanghai, which has kept UTC+8 without summer time since September
1991.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from stream.model.fields import TIME_MAX

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

SHANGHAI_MS: Final = 8 * HOUR_MS
"""How far the clocks of Shanghai are ahead of UTC."""
SHANGHAI: Final = timezone(timedelta(milliseconds=SHANGHAI_MS))

TIME_MIN_MS: Final = 946_684_800_000
"""2000-01-01T00:00:00Z: no expression, of this system or of one before it, is older."""

AHEAD_MAX_MS: Final = DAY_MS
"""How far ahead of the writer's clock a time may lie: clocks and offsets differ, by a day at most."""

TERM_MAX_MS: Final = 3_653 * DAY_MS
"""Ten years: how far ahead `from` and `until` of orders and campaigns may lie."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def time_problem(time: int, now: int, *, ahead_max: int = AHEAD_MAX_MS) -> str | None:
    """Why nobody can have meant this time at `now` (both in milliseconds since the epoch), or None where one can.

    The sentence tells the mend for the usual mistakes. `ahead_max` is `TERM_MAX_MS` for what begins or ends later.
    """
    if TIME_MIN_MS <= time <= now + ahead_max:
        return None
    if problem := _unit_problem(time, now + ahead_max):
        return problem
    if time < TIME_MIN_MS:
        return f"{time} ({iso_time(time)}) is before 2000: write milliseconds since the epoch"
    ahead = "a day" if ahead_max == AHEAD_MAX_MS else f"{ahead_max / TERM_MAX_MS * 10:.0f} years"
    return (
        f"{time} ({iso_time(time)}) is more than {ahead} from now: "
        "write milliseconds since the epoch, and check the clock"
    )


def _unit_problem(time: int, latest: int) -> str | None:
    """That a time looks like one in another unit, which lies between 2000 and `latest`."""
    for unit, in_ms in (("seconds", time * 1000), ("microseconds", time // 1000), ("nanoseconds", time // 1_000_000)):
        if TIME_MIN_MS <= in_ms <= latest:
            return f"{time} looks like {unit}: write milliseconds since the epoch, here {in_ms}"
    return None


def asked_problem(time: int, now: int) -> str | None:
    """Why nobody can have asked for the state at this moment, or for what is due before it; None where one can.

    Nothing is written at it, so that any time of the wire can be meant but what looks like one in another unit.
    """
    if not 0 <= time <= TIME_MAX:
        return f"{time} is no time: milliseconds since the epoch are 0 to {TIME_MAX}"
    if TIME_MIN_MS <= time <= now + TERM_MAX_MS:
        return None
    return _unit_problem(time, now + TERM_MAX_MS)


def counts_from(time: int, written: int) -> int:
    """The moment with which an expression counts for the order rule (DESIGN section 3, *Order*).

    The earlier of its `time` and the moment at which it was written (its record's timestamp): an expression dated ahead
    bars nothing that is written after it.
    """
    return min(time, written)


def read_time(text: str, zone: tzinfo | None = None) -> int:
    """Milliseconds since the epoch from the text in which a person or a file writes a time.

    Takes milliseconds, or ISO 8601 with an offset; with a `zone`, in which the times of a file are, also without one,
    and as Excel writes it (`2026/11/1 8:00`). Raises `ValueError` with the mend for everything else: eight digits are
    a date without an offset, not milliseconds. The bounds are `time_problem`'s.
    """
    if text.isascii() and text.isdigit() and (zone is None or len(text) != _DATE_DIGITS):
        if len(text) == _DATE_DIGITS or len(text) > _MILLISECONDS_DIGITS_MAX:
            raise ValueError(f"{text[:40]!r} is no milliseconds since the epoch; a date is written {EXAMPLE}")
        return int(text)
    try:
        moment = datetime.fromisoformat(_EXCEL.sub(_as_iso, text) if zone is not None else text)
    except ValueError as error:
        raise ValueError(
            f"{text[:40]!r} is neither milliseconds since the epoch nor ISO 8601, such as {EXAMPLE}"
        ) from error
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"{text[:40]!r} has no offset: write {EXAMPLE}")
        moment = moment.replace(tzinfo=zone)
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            raise ValueError(f"{text[:40]!r} is there twice, or never, in {zone}: write {EXAMPLE}")
    return round((moment - _EPOCH) / timedelta(milliseconds=1))


EXAMPLE: Final = "2026-11-25T08:00:00+08:00"
_DATE_DIGITS: Final = 8
_MILLISECONDS_DIGITS_MAX: Final = 19
"""More digits than nanoseconds have: no unit of time."""


def _as_iso(found: re.Match[str]) -> str:
    year, month, day, hour, rest = found.groups()
    clock = "" if hour is None else f"T{hour:0>2}{rest}"
    return f"{year}-{month:0>2}-{day:0>2}{clock}"


_EXCEL: Final = re.compile(r"\A([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})(?: ([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?))?\Z")


def day_of(moment: int) -> int:
    """The day of Shanghai in which a moment (milliseconds) lies, counted from 1970."""
    return (moment + SHANGHAI_MS) // DAY_MS


def in_shanghai(moment: int) -> datetime | None:
    """A moment (milliseconds) as clocks in Shanghai show it; None where it is outside the calendar."""
    try:
        return datetime.fromtimestamp(moment / 1000, UTC).astimezone(SHANGHAI)
    except (OverflowError, ValueError):
        return None


def iso_time(time: int) -> str:
    """The moment (milliseconds since the epoch) as people read it, in UTC; of one outside the calendar the number."""
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        return f"{time} ms"
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").removesuffix("+00:00") + "Z"
