"""One Chromium, and a house that has read some studies, for all who browse."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from models.phantoms.brain import brain_slices
from models.phantoms.chest import chest
from tests.acceptance.conftest import World, saved
from tests.acceptance.console.browsing import chromium

# PS3.5 6.2: "=" and "^" part the name; the script does without.
SCRIPT = "<script>alert(1)</script>^Eve"


@dataclass(frozen=True)
class Furnished:
    """The world with studies in it: rows of `radloop studies` by what they are."""

    world: World
    chest: Any
    scripted: Any
    brain: Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: as long as Playwright runs, no other test of this process may run a loop of its own.
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def furnished(world: World, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    folder: Path = tmp_path_factory.mktemp("furniture")
    film, scripted, slices = (
        chest(901, opacity=True),
        chest(902, opacity=False),
        brain_slices(903, lesion=True, count=6),
    )
    scripted.PatientName = SCRIPT
    sent = world.send(saved(folder, film, scripted, *slices))
    assert sent.returncode == 0, sent.stderr
    uids = [str(film.StudyInstanceUID), str(scripted.StudyInstanceUID), str(slices[0].StudyInstanceUID)]
    rows = world.house.answered(uids, 90)
    return Furnished(world, *(rows[uid] for uid in uids))
