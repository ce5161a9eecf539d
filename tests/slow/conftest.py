"""Networks of few layers, in this process and in every trainer that a test starts; commands in this process."""

from collections.abc import Iterator

import pytest

from core import jobs
from tests.unit.conftest import core

__all__ = ["core"]


@pytest.fixture(scope="module", autouse=True)
def thin_everywhere(thin_networks: None) -> Iterator[None]:
    """Starting, stopping, dying and going on are the same for a network of 40 layers as for one of 150."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "PROGRAM", "tests.programs.thin")
        yield
