"""Moments that a person types as an option, read as everywhere (`stream.model.times`).

It imports nothing that takes time, for commands whose first answer is to come at once.
"""

import argparse
from datetime import tzinfo
from typing import Final

from stream.clock import now_ms
from stream.model.times import asked_problem, read_time

WRITTEN: Final = "milliseconds since the epoch, or ISO 8601 with an offset"
"""How such a moment is written, for the help of its option."""


def asked_moment(text: str, zone: tzinfo | None = None) -> int:
    """The moment (milliseconds since the epoch) for which something is asked; with a `zone` also a date of it.

    Raises `ValueError` with the mend.
    """
    asked = read_time(text, zone)
    if problem := asked_problem(asked, now_ms()):
        raise ValueError(problem)
    return asked


def moment(text: str) -> int:
    """The same as the `type` of an option. Raises `ArgumentTypeError`."""
    try:
        return asked_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
