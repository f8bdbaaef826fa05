"""A home, a card instead of the zoo's, and an inference service, for every test of the flows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import routing
from flows.house import House
from radloop.process import announce
from tests.flows import cards, place
from tests.flows.fake_inference import FakeInference, fake_inference


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "catalog", lambda: cards.CATALOG)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = place.make_home(tmp_path / "home")
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


@pytest.fixture
def inference(house: House) -> Iterator[FakeInference]:
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        yield service


def announce_fake(house: House, service: FakeInference) -> None:
    """The fake says where it listens, as the real one does."""
    announce(house.settings.home, "inference", service.port)
