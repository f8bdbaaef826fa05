"""Reading time: what the RIS sends with a report, kept once and without its reader, and what an audit makes of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from flows.audits import keeping
from flows.audits.business import business
from flows.audits.measuring import measure
from flows.house import House
from radloop.ledger import reading_times
from radloop.ledger.reading_times import ReadingTime
from tests.flows import assessing, place
from tests.flows.auditing import PERIOD, Told, tell
from tests.flows.test_ris_reports import CLEAR, Ward

TIMED = "mcurie&Curie&Marie^20260304055000+0000^20260304055730+0000"


def note(house: House, version_id: str, number: int, seconds: float, began: datetime) -> None:
    """The RIS said that reading this version took so long."""
    ended = began + timedelta(seconds=seconds)
    time = ReadingTime(
        id=f"rt_{number}", version_id=version_id, began_at=began, ended_at=ended, peer="ris", source_id=f"s{number}",
        at=ended,
    )  # fmt: skip
    with house.ledger.write() as conn:
        assert reading_times.add(conn, time)
        assert not reading_times.add(conn, time)


def many(house: House, count: int) -> None:
    """As many readings with an answer (5 min, 10 s apart) as before one (8 min)."""
    for number in range(count):
        told = Told()
        version = tell(house, told)
        note(house, version, number, 300.0 + 10 * number, told.at)
        # This one began before anything had arrived, so before any answer.
        note(house, version, 1000 + number, 480.0 + 10 * number, told.at - told.wait)


def test_minutes_saved_are_the_difference_of_the_medians_with_its_interval(house: House) -> None:
    many(house, 12)
    (row,) = measure(house, PERIOD).readings
    assert (row.modality, row.without_n, row.beside_n) == ("CR", 12, 12)
    assert row.saved.value == pytest.approx(3.0)
    assert row.saved.low is not None
    assert row.saved.high is not None
    assert 1.5 < row.saved.low < 3.0 < row.saved.high < 4.5


def test_few_readings_are_insufficient_data_and_none_are_said_to_be_none(house: House) -> None:
    tell(house, Told())
    page = keeping.content(house, keeping.make(house, PERIOD, "ann"), keeping.HTML).decode()
    assert "The RIS sends no times" in page
    many(house, 3)
    (row,) = measure(house, PERIOD).readings
    assert (row.without, row.beside, row.saved.value) == (None, None, None)


def test_the_business_case_shows_what_was_measured_and_does_not_use_it(house: House) -> None:
    many(house, 12)
    case = business(house, PERIOD)
    (shown,) = [one for one in case.assumptions if one.name.startswith("minutes saved per CR study")]
    assert shown.value == 3.0
    assert "shown, not used" in shown.source
    assert case.hours_recovered is None


def kept(house: House) -> list[tuple[datetime, datetime]]:
    c = reading_times.reading_times.c
    with house.ledger.read() as conn:
        return [tuple(row) for row in conn.execute(select(c.began_at, c.ended_at))]


def test_a_report_with_times_leaves_them_once_and_its_reader_is_still_known(tmp_path: Path) -> None:
    with assessing.hospital(tmp_path / "home") as (house, service):
        ward = Ward(house, service, 0.92)
        ward.told(CLEAR, reader=TIMED)
        ward.told(CLEAR, reader=TIMED)
        assert kept(house) == [(datetime(2026, 3, 4, 5, 50, tzinfo=UTC), datetime(2026, 3, 4, 5, 57, 30, tzinfo=UTC))]
        assert [one.reader for one in ward.verdicts] == ["marie"]
        assert assessing.audited(house, "reading.time") == ["from ris"]


def test_a_study_that_no_model_read_is_timed_too_and_a_report_without_times_or_with_wrong_ones_is_not(
    tmp_path: Path,
) -> None:
    with assessing.hospital(tmp_path / "home") as (house, service):
        ward = Ward(house, service, 0.92)
        ward.told(CLEAR)
        ward.told(CLEAR, control_id="2", reader="mcurie&Curie&Marie^20260304060000+0000^20260304055000+0000")
        assert kept(house) == []
        other = place.chest_study(8, AccessionNumber="ACC-8")
        place.arrive(house, other)
        ward.told(CLEAR, accession="ACC-8", patient_id=other.PatientID, reader=TIMED)
        assert len(kept(house)) == 1


def test_whose_reading_it_was_is_kept_nowhere(tmp_path: Path) -> None:
    with assessing.hospital(tmp_path / "home") as (house, service):
        Ward(house, service, 0.92).told(CLEAR, reader=TIMED)
        with house.ledger.read() as conn:
            row = conn.execute(select(reading_times.reading_times)).mappings().one()
        assert not any("marie" in str(value) or "Curie" in str(value) for value in row.values())
