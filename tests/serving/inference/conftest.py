"""One model server for all of these tests: it takes seconds to start."""

from collections.abc import Iterator

import pytest

from tests.serving.inference.house import ModelServer, install_tiny, make_home, model_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    home = make_home(tmp_path_factory.mktemp("inference") / "home")
    with model_server(home, install_tiny(home).name) as running:
        yield running
