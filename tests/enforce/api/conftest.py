"""A configuration that points at the test's broker, for every test of the API."""

from pathlib import Path

import pytest

from stream.config import Config
from tests.enforce.api.harness import config_for
from tests.filter.harness import Broker


@pytest.fixture
def config(broker: Broker, tmp_path: Path) -> Config:
    return config_for(broker, tmp_path)
