"""One Chromium, and a house that has read some studies, for all who browse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from models.phantoms.brain import brain_slices
from models.phantoms.chest import chest
from radloop.domain.ids import utc_now
from radloop.domain.watching import Cause, Evidence, Sighting
from radloop.ledger import Ledger, alarms
from radloop.settings import load_settings
from tests.acceptance.conftest import World, saved
from tests.acceptance.console.browsing import chromium

# PS3.5 6.2: "=" and "^" part the name; the script does without.
SCRIPT = "<script>alert(1)</script>^Eve"


@dataclass(frozen=True)
class Furnished:
    """The world with studies in it: rows of `radloop studies` by what they are.

    `ids`: one of everything that a page may be about, by the name of the path's parameter.
    """

    world: World
    chest: Any
    scripted: Any
    brain: Any
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: as long as Playwright runs, no other test of this process may run a loop of its own.
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
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
    shown = rows[uids[0]]
    (result,) = shown["results"]
    ids = {
        "version_id": shown["id"],
        "result_id": result["id"],
        "named": f"{result['model']}@{result['version']}",
        "actor_id": world.house.json("actor", "list")[0]["id"],
        "alarm_id": alarmed(world, shown["id"]),
    }
    return Furnished(world, *(rows[uid] for uid in uids), ids)


def alarmed(world: World, version_id: str) -> str:
    """The id of an alarm that the watch would have opened, with this study before it."""
    now = utc_now()
    sighting = Sighting(
        key=alarms.key_of("acceptance"),
        cause=Cause(
            suite="protocol",
            check="moved",
            model="cxr_pneumonia",
            site="modality",
            device="AcmeRay X1 S1",
            words="KVP moved from 85 to 110 after software 4.2",
        ),
        evidence=Evidence(statistic="ks", value=0.41, p=1e-9, n=60, m=400, smallest_shift=0.3),
        since=now,
        versions=(version_id,),
    )
    ledger = Ledger(load_settings(world.house.home).ledger_url)
    try:
        with ledger.write() as conn:
            return alarms.see(conn, sighting, now)[0].id
    finally:
        ledger.close()
