from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.gateway.door import Door, make_home, open_door


@pytest.fixture(scope="session")
def shared_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One for all tests that do not look at what is in it."""
    with open_door(make_home(tmp_path_factory.mktemp("shared") / "home")) as opened:
        yield opened


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A gateway in this process, with an empty home."""
    with open_door(make_home(tmp_path / "home")) as opened:
        yield opened
