from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert

from radloop.domain.enums import Awareness, Standing, VerdictKind, VerdictSource
from radloop.domain.ids import new_id
from radloop.domain.records import Acquisition, SignOff, Verdict
from radloop.ledger import Ledger, acquisitions, instances, reading_times, results, signed, signoffs, verdicts
from radloop.ledger.reading_times import ReadingTime
from radloop.ledger.tables import attempts
from tests.radloop.ledger.rows import MODEL, NOW, arrival, result

HOUR = timedelta(hours=1)


def study(ledger: Ledger, uid: str, **header: str) -> str:
    """One image of a study, with its typed row; the version's id."""
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival(uid, f"{uid}.1", f"content-{uid}", **header)])
        assert receipt.version_id is not None
        assert receipt.instance_id is not None
        row = Acquisition(
            instance_id=receipt.instance_id, version_id=receipt.version_id, modality="CR", manufacturer="ACME",
            model_name="One", station="R1",
        )  # fmt: skip
        acquisitions.add(conn, [row])
        return receipt.version_id


def sign(ledger: Ledger, version_id: str, hours: float) -> None:
    with ledger.write() as conn:
        signoff = SignOff(
            version_id=version_id, reader="dr.lee", actor="gateway", at=NOW + hours * HOUR, source=VerdictSource.REST
        )
        assert signoffs.add(conn, signoff)


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(ledger: Ledger) -> None:
    versions = [study(ledger, f"1.{n}") for n in range(3)]
    for version, hours in zip(versions, (0, 1, 2), strict=True):
        sign(ledger, version, hours)
    with ledger.read() as conn:
        found = signed.between(conn, NOW, NOW + 2 * HOUR)
    assert [one.version_id for one in found] == versions[:2]


def test_studies_of_one_patient_are_known_for_it_and_studies_without_one_are_nobodys(ledger: Ledger) -> None:
    numbers = {"1.1": "P1", "1.2": "P1", "1.3": "", "1.4": ""}
    for uid, number in numbers.items():
        sign(ledger, study(ledger, uid, patient_id=number), 0)
    with ledger.read() as conn:
        found = {one.study_uid: one.patient for one in signed.between(conn, NOW, NOW + HOUR)}
    assert found["1.1"] == found["1.2"]
    assert len(set(found.values())) == 3
    assert "P1" not in found.values()


def test_what_identifies_a_patient_is_in_no_printed_row(ledger: Ledger) -> None:
    sign(ledger, study(ledger, "1.2.3.4.5", accession_number="ACC"), 0)
    with ledger.read() as conn:
        text = repr(signed.between(conn, NOW, NOW + HOUR))
    assert "1.2.3.4.5" not in text
    assert "ACC" not in text


def test_devices_contents_and_first_images_are_found_by_study_and_version(ledger: Ledger) -> None:
    version = study(ledger, "1.1")
    with ledger.write() as conn:
        instances.record(conn, [arrival("1.1", "1.1.2", "content-2")])
    sign(ledger, version, 0)
    with ledger.read() as conn:
        (one,) = signed.between(conn, NOW, NOW + HOUR)
        (device,) = signed.devices(conn, [one.study_id])[one.study_id]
        assert device.name == "ACME One R1"
        assert {sha256 for _, sha256 in signed.contents(conn, [version])[version]} == {"content-1.1", "content-2"}
        assert set(signed.first_images(conn, [one.study_id])) == {one.study_id}
        assert signed.learned(conn, [version]) == {}


def test_uses_and_failures_are_those_of_the_period_and_the_model(ledger: Ledger) -> None:
    version = study(ledger, "1.1")
    made = result(version, created_at=NOW)
    failed = {"id": "at_1", "version_id": version, "model": "cxr", "digest": "d" * 64, "error": "timeout"}
    with ledger.write() as conn:
        results.add(conn, made)
        conn.execute(insert(attempts).values(**failed, at=NOW))
    with ledger.read() as conn:
        assert signed.used(conn, NOW, NOW + HOUR) == {made.id: version}
        assert signed.used(conn, NOW, NOW + HOUR, "another") == {}
        assert signed.used(conn, NOW + HOUR, NOW + 2 * HOUR) == {}
        (failure,) = signed.failures(conn, NOW, NOW + HOUR, "cxr")
        assert (failure.version_id, failure.error) == (version, "timeout")
        assert signed.failures(conn, NOW - HOUR, NOW) == ()


def test_verdicts_of_many_versions_come_by_version(ledger: Ledger) -> None:
    version = study(ledger, "1.1")
    made = result(version)
    said = Verdict(
        id=new_id("ve"), result_id=made.id, version_id=version, target="pneumonia", kind=VerdictKind.CONFIRM,
        reader="dr.lee", actor="dr.lee", at=NOW, awareness=Awareness.BLINDED, source=VerdictSource.REST, source_id="s",
    )  # fmt: skip
    with ledger.write() as conn:
        results.add(conn, made)
        verdicts.add(conn, said)
        assert verdicts.of_versions(conn, [version, "sv_other"]) == {version: [said]}


def test_a_reading_is_beside_an_answer_where_a_champion_had_spoken_before_it_began(ledger: Ledger) -> None:
    version, silent = study(ledger, "1.1"), study(ledger, "1.2")
    with ledger.write() as conn:
        results.add(conn, result(version, created_at=NOW))
        results.add(conn, result(silent, created_at=NOW, model=replace(MODEL, standing=Standing.SHADOW)))
        for number, (one, began) in enumerate([(version, NOW), (version, NOW - HOUR), (silent, NOW)]):
            assert reading_times.add(conn, _time(number, one, began))
        again = _time(0, version, NOW)
        assert not reading_times.add(conn, again)
    with ledger.read() as conn:
        found = reading_times.between(conn, NOW - HOUR, NOW + HOUR)
        assert reading_times.between(conn, NOW + HOUR, NOW + 2 * HOUR) == ()
    assert sorted((one.version_id, one.answered, one.seconds) for one in found) == sorted(
        [(version, True, 300.0), (version, False, 300.0), (silent, False, 300.0)]
    )


def _time(number: int, version_id: str, began: datetime) -> ReadingTime:
    return ReadingTime(
        id=new_id("rt"), version_id=version_id, began_at=began, ended_at=began + timedelta(minutes=5), peer="ris",
        source_id=f"s{number}", at=NOW,
    )  # fmt: skip
