"""The broker of the filter's tests, here for the demonstration's."""

from tests.filter.conftest import broker

__all__ = ["broker"]
