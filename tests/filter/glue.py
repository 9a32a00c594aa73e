"""In the place of `stream.filter.native`, for the choice of a path."""

from tests.filter.standin import path

make_native = path().make


def misfit() -> str | None:
    """It fits."""
    return None
