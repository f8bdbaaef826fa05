"""What triage leaves for the readers' list: whose study it is, whatever becomes of it, and how urgent it is."""

import asyncio

from flows import claims
from flows.house import House
from radloop.domain.enums import StudyState, Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence
from radloop.ledger import studies, study_headers, worklist
from radloop.ledger.study_headers import StudyHeader
from radloop.ledger.worklist import Entry, Filter, Place
from tests.flows import place
from tests.flows.fake_inference import FakeInference


def read_all(house: House) -> None:
    async def run() -> None:
        for version in claims.claim(house, 50):
            await claims.read_claimed(house, version)

    with house.ledger.write() as conn:
        for version in studies.receiving(conn):
            studies.complete(conn, version.id, Evidence(), utc_now(), version.instances)
    asyncio.run(run())


def only(house: House) -> Entry:
    with house.ledger.read() as conn:
        (entry,) = worklist.page(conn, Filter()).entries
    return entry


def test_the_list_knows_the_patient_once_triage_has_looked(house: House, inference: FakeInference) -> None:
    place.arrive(
        house,
        place.chest_study(
            1, PatientName="CURIE^Marie", PatientBirthDate="18671107", PatientSex="F", StudyDescription="Chest\tPA"
        ),
    )
    assert only(house).patient_name == ""
    read_all(house)
    entry = only(house)
    assert (entry.patient_name, entry.birth_date, entry.sex) == ("CURIE, Marie", "18671107", "F")
    assert (entry.description, entry.place, entry.urgency) == ("Chest PA", Place.ANSWERED, Urgency.URGENT)
    late = place.chest_study(1, SOPInstanceUID="1.2.3.98", PatientName="CURIE-SKLODOWSKA^Marie", PatientSex="F")
    place.arrive(house, late)
    read_all(house)
    assert only(house).patient_name == "CURIE-SKLODOWSKA, Marie", "the newest images say it best"


def test_a_study_that_no_route_matches_is_in_the_list_with_its_patient(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(2, Modality="MR", BodyPartExamined="KNEE", PatientName="BOHR^Niels"))
    read_all(house)
    entry = only(house)
    assert (entry.patient_name, entry.place, entry.reason) == ("BOHR, Niels", Place.NOT_READ, "no route matched")


def test_a_study_waits_in_the_list_while_the_ai_is_unavailable(house: House, inference: FakeInference) -> None:
    inference.status = 503
    place.arrive(house, place.chest_study(3, PatientName="MEITNER^Lise"))
    read_all(house)
    entry = only(house)
    assert (entry.patient_name, entry.place, entry.reason) == ("MEITNER, Lise", Place.UNAVAILABLE, "AI unavailable")


def test_urgency_is_known_with_the_result_and_never_sinks(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(4))
    version_id = only(house).version_id
    with house.ledger.write() as conn:
        worklist.rise(conn, version_id, Urgency.CRITICAL)
        worklist.rise(conn, version_id, Urgency.ROUTINE)
        version = studies.get(conn, version_id)
    assert version is not None
    assert (version.urgency, version.state) == (Urgency.CRITICAL, StudyState.RECEIVING)


def test_a_header_is_kept_once_for_each_study(house: House) -> None:
    place.arrive(house, place.chest_study(5))
    study_id = only(house).study_id
    with house.ledger.write() as conn:
        study_headers.keep(conn, study_id, StudyHeader(patient_name="ONE"))
        study_headers.keep(conn, study_id, StudyHeader(patient_name="TWO", sex="O"))
    with house.ledger.read() as conn:
        assert study_headers.of_study(conn, study_id) == StudyHeader(patient_name="TWO", sex="O")
        assert study_headers.of_studies(conn, ["st_none"]) == {}
