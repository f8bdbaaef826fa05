"""The forecast counts what the ledger knows, and frees only what a run of retention would delete."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from flows import holds, retain, storage_forecast
from flows.house import House
from flows.storage_forecast import forecast
from radloop.domain.errors import StorageFull
from radloop.domain.ids import utc_now
from radloop.ledger.tables import instances, study_versions
from tests.flows import place
from tests.flows.readings import introduce
from tests.flows.test_retain import POLICY, signed

DAY = timedelta(days=1)


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[House]:
    opened = place.make_home(tmp_path / "hospital", more=POLICY.format(pictures=30, reports=60, audits="false"))
    introduce(opened.ledger)
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


def arrived(house: House, days_ago: float) -> None:
    with house.ledger.write() as conn:
        conn.execute(update(study_versions).values(received_at=utc_now() - days_ago * DAY))


def images(house: House) -> int:
    with house.ledger.read() as conn:
        return conn.scalar(select(func.sum(instances.c.blob_size))) or 0


def test_bytes_a_day_are_those_of_the_days_that_there_were(hospital: House) -> None:
    assert forecast(hospital).days_left is None
    signed(hospital, 1)
    signed(hospital, 1, 2)
    arrived(hospital, 4)
    found = forecast(hospital)
    assert found.days == pytest.approx(4, abs=0.01)
    assert found.per_day["images"] == pytest.approx(images(hospital) / 4, rel=0.01)
    assert found.per_day["reports"] == pytest.approx(2 * len(b"sent") / 4, rel=0.01)
    assert found.days_left == pytest.approx(found.free / sum(found.per_day.values()), rel=0.01)
    assert 0 < found.free <= found.total
    arrived(hospital, 0.01)
    assert forecast(hospital).days == 1
    arrived(hospital, 40)
    assert set(forecast(hospital, 7).per_day.values()) == {0.0}


def test_what_retention_will_free_is_what_it_frees_and_only_under_a_policy_that_was_seen(hospital: House) -> None:
    signed(hospital, 99, 1)
    signed(hospital, 10, 2)
    held = signed(hospital, 99, 3)
    holds.place(hospital, held.version_id, "ann", "a claim")
    before = forecast(hospital)
    assert (before.obeyed, before.freed_ahead > 0, before.held_back > 0) == (False, True, True)
    assert before.freed_ahead + before.held_back == images(hospital) + 2 * len(b"sent")
    retain.preview(hospital, "ann")
    seen = forecast(hospital)
    assert seen.obeyed
    assert seen.freed_ahead == before.freed_ahead
    assert seen.days_left is None or before.days_left is None or seen.days_left > before.days_left
    retain.retain(hospital, "ann")
    # The one that is ten days old still goes within thirty.
    assert 0 < forecast(hospital).freed_ahead < seen.freed_ahead


def test_a_disk_that_cannot_be_asked_is_an_error_of_ours(hospital: House) -> None:
    shutil.rmtree(hospital.settings.store_path)
    with pytest.raises(StorageFull):
        storage_forecast.forecast(hospital)
