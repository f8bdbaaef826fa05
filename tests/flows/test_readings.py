"""Assessments of readers, stored as instances of the study: verdicts once, and nothing read or sent again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import select

from flows import readings
from flows.house import House
from radloop.domain.enums import Awareness, Laterality, StudyState, Urgency, VerdictKind, VerdictSource
from radloop.domain.records import Code, Instance, StudyVersion, Verdict
from radloop.ledger import instances
from radloop.ledger.tables import audit_events
from tests.flows import assessing, place
from tests.flows.fake_inference import FakeInference
from tests.peers.assessments import Said, assess

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
REJECTED = Said(number=0, kind=VerdictKind.REJECT, text="atelectasis, no pneumonia")
EFFUSION = Code("60046008", "SCT", "Pleural effusion")


class Ward:
    """One answered study of a house, and a workstation that assesses it."""

    def __init__(self, house: House, service: FakeInference) -> None:
        self.house, self.service = house, service
        self.image = place.chest_study(7)
        self.version, self.result = assessing.answered_study(house, self.image)
        self.report = assessing.sr_of(house, self.result)

    def assessed(self, *said: Said, **changes: object) -> Dataset:
        options: dict[str, object] = {"login": "mcurie", "at": AT, **changes}
        return assess(self.report, said or (REJECTED,), **options)  # type: ignore[arg-type]

    def arrives(self, *datasets: Dataset) -> StudyVersion:
        """The workstation stores, the runner reads; the newest version."""
        place.arrive(self.house, *datasets, peer="workstation")
        assert set(assessing.answer_all(self.house)) <= {"ANSWERED"}
        return assessing.newest(self.house)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return assessing.verdicts_of(self.house, self.result)

    def instance(self, ds: Dataset) -> Instance:
        with self.house.ledger.read() as conn:
            found = instances.of_version(conn, assessing.newest(self.house).id)
        return next(one for one in found if one.header.sop_uid == ds.SOPInstanceUID)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with assessing.hospital(tmp_path / "home") as (house, service):
        yield Ward(house, service)


def test_a_rejected_finding_becomes_a_verdict_of_its_reader(ward: Ward) -> None:
    ward.arrives(ward.assessed())
    (verdict,) = ward.verdicts
    assert (verdict.target, verdict.kind, verdict.reader, verdict.actor) == (
        "pneumonia",
        VerdictKind.REJECT,
        "marie",
        "runner",
    )
    assert (verdict.at, verdict.awareness, verdict.source) == (AT, Awareness.SAW_AI, VerdictSource.DICOM_SR)
    assert verdict.text == "atelectasis, no pneumonia"
    assert verdict.version_id == ward.version.id


def test_an_assessment_has_nothing_read_and_nothing_sent_again(ward: Ward) -> None:
    asked, queued = len(ward.service.questions), assessing.queued(ward.house)
    version = ward.arrives(ward.assessed())
    assert (version.number, version.state, version.reason) == (2, StudyState.ANSWERED, "no new image")
    assert version.urgency is ward.version.urgency is Urgency.URGENT
    assert (len(ward.service.questions), assessing.queued(ward.house)) == (asked, queued)


def test_an_assessment_is_taken_after_the_images_were_deleted(ward: Ward) -> None:
    ds = ward.assessed()
    with ward.house.ledger.read() as conn:
        for image in instances.of_version(conn, ward.version.id):
            ward.house.store.delete(image.blob.key)
    assert ward.arrives(ds).state is StudyState.ANSWERED
    assert len(ward.verdicts) == 1


def test_a_late_image_that_comes_with_an_assessment_is_read(ward: Ward) -> None:
    late = place.chest_study(8, StudyInstanceUID=ward.image.StudyInstanceUID, PatientID=ward.image.PatientID)
    asked = len(ward.service.questions)
    ward.arrives(ward.assessed(), late)
    assert len(ward.verdicts) == 1
    assert len(ward.service.questions) == asked + 1


def test_the_same_assessment_is_entered_once_however_often_it_is_taken(ward: Ward) -> None:
    ds = ward.assessed()
    ward.arrives(ds)
    ward.arrives(ds)
    first = ward.verdicts
    again = readings.from_instance(ward.house, ward.instance(ds))
    assert (ward.verdicts, again) == (first, first)
    assert len(assessing.audited(ward.house, "verdict")) == 1


def test_a_finding_that_the_model_does_not_know_is_added(ward: Ward) -> None:
    ward.arrives(ward.assessed(Said(number=None, kind=VerdictKind.ADD, code=EFFUSION)))
    (verdict,) = ward.verdicts
    assert (verdict.target, verdict.kind, verdict.code) == ("", VerdictKind.ADD, EFFUSION)


def test_a_modification_says_what_is_other(ward: Ward) -> None:
    ward.arrives(ward.assessed(Said(number=0, kind=VerdictKind.MODIFY, laterality=Laterality.LEFT)))
    (verdict,) = ward.verdicts
    assert (verdict.kind, verdict.laterality, verdict.code) == (VerdictKind.MODIFY, Laterality.LEFT, None)


@pytest.mark.parametrize("awareness", Awareness)
def test_awareness_is_the_readers_word(ward: Ward, awareness: Awareness) -> None:
    ward.arrives(ward.assessed(replace(REJECTED, awareness=awareness)))
    assert [one.awareness for one in ward.verdicts] == [awareness]


def test_a_clock_that_runs_ahead_gives_the_time_of_arrival(ward: Ward) -> None:
    ds = ward.assessed(at=datetime.now(UTC) + timedelta(days=3))
    ward.arrives(ds)
    assert [one.at for one in ward.verdicts] == [ward.instance(ds).received_at]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"login": None, "reader": "Nobody^Known"}, "unknown-reader"),
        ({"PatientID": "SOMEBODY-ELSE"}, "other-study"),
    ],
)
def test_what_does_not_fit_is_kept_with_its_reason_and_nothing_is_entered(
    ward: Ward, changes: dict[str, object], reason: str
) -> None:
    ward.arrives(ward.assessed(**changes))
    assert ward.verdicts == ()
    assert assessing.reasons(ward.house) == [reason]
    assert assessing.audited(ward.house, "reading.unmatched") == [f"{reason} from workstation"]


def test_a_tracking_uid_of_nobody_is_an_unknown_finding_and_the_rest_is_entered(ward: Ward) -> None:
    ds = ward.assessed(Said(number=0, kind=VerdictKind.CONFIRM), REJECTED)
    group = ds.ContentSequence[-1].ContentSequence[1]
    tracked = next(i for i in group.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "112040")
    tracked.UID = generate_uid()
    ward.arrives(ds)
    assert [one.kind for one in ward.verdicts] == [VerdictKind.CONFIRM]
    assert assessing.reasons(ward.house) == ["unknown-finding"]


def test_an_assessment_of_another_vendors_report_is_not_ours(ward: Ward) -> None:
    ds = ward.assessed()
    reference = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    reference.ReferencedSOPInstanceUID = generate_uid()
    ward.arrives(ds)
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), ["not-our-result"])


def test_an_assessment_from_another_study_is_not_believed(ward: Ward) -> None:
    ward.arrives(ward.assessed(StudyInstanceUID=generate_uid()))
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), ["other-study"])


def test_a_draft_is_left_alone(ward: Ward) -> None:
    ward.arrives(ward.assessed(CompletionFlag="PARTIAL"))
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), [])
    assert assessing.audited(ward.house, "reading.draft") == ["from workstation"]


def test_a_broken_assessment_is_kept_as_unreadable_and_the_study_is_answered(ward: Ward) -> None:
    ds = ward.assessed(REJECTED, REJECTED)
    first, second = ds.ContentSequence[-1].ContentSequence
    first.ContentSequence.extend(second.ContentSequence)
    assert ward.arrives(ds).state is StudyState.ANSWERED
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), ["unreadable"])


def test_a_report_that_assesses_nothing_is_nobodys_business(ward: Ward) -> None:
    ds = ward.assessed()
    ds.ContentSequence = ds.ContentSequence[:-1]
    ward.arrives(ds)
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), [])


def test_a_reader_is_known_by_name_where_no_identifier_is_given(ward: Ward) -> None:
    ward.arrives(ward.assessed(login=None, reader="Hahn^Otto^^Dr."))
    assert [one.reader for one in ward.verdicts] == ["otto"]


def test_an_unknown_identifier_is_not_overruled_by_a_name_of_a_reader_with_identifiers(ward: Ward) -> None:
    ward.arrives(ward.assessed(login="somebody", reader="Curie^Marie"))
    assert (ward.verdicts, assessing.reasons(ward.house)) == ((), ["unknown-reader"])


def test_no_identifier_of_the_assessment_is_in_audit_or_unmatched_rows(ward: Ward) -> None:
    ds = ward.assessed(login="somebody", reader="Secret^Name")
    ward.arrives(ds)
    with ward.house.ledger.read() as conn:
        told = " ".join(map(str, conn.execute(select(audit_events)).all()))
    assert ds.SOPInstanceUID not in told
    assert "Secret" not in told
