"""Fixtures that every room's tests share: a ledger on each database, and arrivals to put into it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from sqlalchemy import text
from xdist.scheduler.loadfile import LoadFileScheduling

from radloop.ledger import Ledger
from radloop.ledger.tables import metadata
from tests.peers.postgres import postgres
from tests.templates import put_ledger

WORLD: Final = ("tests/acceptance/console/", "tests/acceptance/test_phi", "tests/acceptance/test_spine")


class Sharing(LoadFileScheduling):
    """What one worker runs as a whole: a file, and all files whose tests share the acceptance tests' house."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "world" if file.startswith(WORLD) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """With `-n`: by this, and not by pytest-xdist's own groups, whose marks its 3.8 loses under pytest 9."""
    return Sharing(config, log)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that a test calls in this process sets up its log, which would be the next test's."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def denormals_as_they_were() -> Iterator[None]:
    """Training flushes them to zero for its whole process; hypothesis will not draw floats then."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        put_ledger(tmp_path / "ledger.db")
        opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    else:
        opened = Ledger(request.getfixturevalue("postgres_url"))
        opened.upgrade()
        with opened.write() as conn:
            conn.execute(text("TRUNCATE " + ", ".join(metadata.tables)))
    yield opened
    opened.close()
