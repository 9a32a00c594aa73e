"""One guarded broker for all tests of users and their rights."""

from collections.abc import Iterator

import pytest

from tests.deploy.guarded import Guarded, guarded_kafka


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A broker on which the table of rights is in force. Whoever needs topics without records makes them anew."""
    with guarded_kafka(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker
