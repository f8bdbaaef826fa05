from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.gateway.door import Door, make_home, open_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A gateway in this process, with an empty home."""
    with open_door(make_home(tmp_path / "home")) as opened:
        yield opened
