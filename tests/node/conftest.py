"""A town of institutions for the tests of jobs."""

from collections.abc import Iterator

import job_town
import pytest


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Iterator[job_town.Town]:
    """A bank, and a card network and a helper whose daemons run in processes of their own."""
    town = job_town.Town(tmp_path_factory.mktemp("town")).found().start()
    yield town
    town.stop()
