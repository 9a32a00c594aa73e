"""In the place of `stream.filter.native`, for the choice of a path."""

from stream.config import Config
from stream.filter.paths import MakeNative
from stream.policy.settings import Policy
from stream.registry.registry import Registry
from tests.filter import standin


def misfit(policy: Policy, config: Config) -> str | None:
    """It fits."""
    return None


def share(registry: Registry, config: Config) -> MakeNative:
    """The stand-in's."""
    wanted = standin.path().share
    assert wanted is not None
    return wanted(registry)
