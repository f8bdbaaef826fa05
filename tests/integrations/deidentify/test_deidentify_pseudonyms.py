"""Pseudonyms: the same within a project, others in another, and dates that keep their distance."""

from datetime import date
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.deidentify import Pseudonyms, deidentify_dataset, deidentify_file, site_key
from integrations.deidentify.cleaning import capped
from integrations.deidentify.pseudonyms import MOST_DAYS, shifted
from radloop.domain.errors import SettingsError
from tests.integrations.deidentify import images

OTHER = Pseudonyms.of_project(b"k" * 32, "another")


def test_the_same_patient_is_the_same_within_a_project_and_another_in_another() -> None:
    first, second = images.image(), images.image()
    second.SOPInstanceUID += ".1"
    ours = [deidentify_file(images.in_bytes(ds), images.KEYS) for ds in (first, second)]
    theirs = deidentify_file(images.in_bytes(first), OTHER)
    assert ours[0].patient == ours[1].patient != theirs.patient
    assert (ours[0].study_uid, ours[0].series_uid) == (ours[1].study_uid, ours[1].series_uid)
    assert len({ours[0].sop_uid, ours[1].sop_uid, theirs.sop_uid}) == 3
    assert ours[0].file_name != theirs.file_name


def test_two_issuers_of_one_number_are_two_patients_and_no_number_makes_one_of_each_study() -> None:
    issued, nobody = images.image(), images.image()
    issued.IssuerOfPatientID, nobody.PatientID = "Elsewhere", ""
    found = {deidentify_dataset(ds, images.KEYS).PatientID for ds in (images.image(), issued, nobody)}
    assert len(found) == 3


def test_references_between_files_hold() -> None:
    ds, item = images.image(), pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.SourceImageSequence = [item]
    found = deidentify_dataset(ds, images.KEYS)
    (reference,) = found.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    assert reference.ReferencedSOPClassUID == ds.SOPClassUID


def test_dates_move_by_the_patients_own_days_and_keep_their_distance() -> None:
    found = deidentify_dataset(images.image(), images.KEYS)
    days = images.KEYS.days(found.PatientID)
    assert (_day(found.StudyDate), _day(found.SeriesDate)) == (
        date(2024, 2, 29).toordinal() - days,
        date(2024, 3, 2).toordinal() - days,
    )
    assert found.AcquisitionDateTime == f"{found.SeriesDate}101500.25"
    assert (found.StudyTime, found.PatientBirthDate, found.PatientAge) == ("101112.5", "", "090Y")


def test_an_output_says_what_was_done_to_it() -> None:
    found = deidentify_dataset(images.image(), images.KEYS)
    assert (found.PatientIdentityRemoved, found.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]
    assert found.BurnedInAnnotation == "NO"
    assert found.PatientName == found.PatientID


def test_the_input_is_left_as_it_was() -> None:
    ds = images.image()
    before = images.in_bytes(ds)
    deidentify_dataset(ds, images.KEYS)
    assert images.in_bytes(ds) == before


@given(
    moments=st.lists(st.dates(date(1900, 1, 1), date(2099, 12, 31)), min_size=2, max_size=2),
    days=st.integers(1, MOST_DAYS),
    time=st.sampled_from(["", "10", "101112", "101112.123456"]),
    zone=st.sampled_from(["", "+0100", "-1130"]),
)
def test_intervals_are_kept_whatever_the_dates(moments: list[date], days: int, time: str, zone: str) -> None:
    moved = [shifted(f"{moment:%Y%m%d}{time}{zone}", days) for moment in moments]
    ordinals = [_day((text or "")[:8]) for text in moved]
    assert ordinals[0] - ordinals[1] == (moments[0] - moments[1]).days
    assert all(text and text[8:] == time for text in moved)


@given(st.text(max_size=20))
def test_what_is_no_date_becomes_none(text: str) -> None:
    moved = shifted(text, 10)
    assert moved is None or (moved[:8].isdigit() and moved[:8] != text[:8])


def test_nobody_is_older_than_89() -> None:
    assert [capped(age) for age in ("089Y", "090Y", "104Y", "011M", "99", "Zoe")] == [
        "089Y",
        "090Y",
        "090Y",
        "011M",
        "",
        "",
    ]


def test_the_key_is_made_once_is_private_and_is_refused_when_open_to_others(tmp_path: Path) -> None:
    key = site_key(tmp_path)
    path = tmp_path / "pseudonym.key"
    assert site_key(tmp_path) == key
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="re-identify"):
        site_key(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SettingsError, match="32 bytes"):
        site_key(tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65])
def test_a_project_has_a_plain_name(name: str) -> None:
    with pytest.raises(SettingsError):
        Pseudonyms.of_project(b"k" * 32, name)


def test_the_key_is_never_shown() -> None:
    assert "kkkk" not in repr(images.KEYS)


def _day(text: str) -> int:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal()
