"""The contract of every encoder, over the catalog: a newcomer is tested on arrival."""

from dataclasses import replace
from functools import cache

import pytest
from pydicom.uid import UID

from integrations.objects.catalog import encoders
from integrations.objects.context import Predecessor, PriorityMessage
from radloop.domain.enums import ObjectKind, Qualification, ResultStatus, Urgency
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject
from tests.integrations.objects import answers, reading

KINDS = sorted(encoders())
DICOM_KINDS = [ObjectKind.SC, ObjectKind.SR]
HOSTILE = "<script>alert(1)</script>|^~\\&\r\nMSH|\x0b\x1c\x00\x85\u2028 ${x} ' \" ../../etc" + "x" * 5000
CONTEXTS = {
    "research": answers.context(),
    "product": answers.context(qualification=Qualification.PRODUCT),
    "critical": answers.context([answers.finding(urgency=Urgency.CRITICAL)]),
    "no box, no place": answers.context(
        [answers.finding(box=None, location=None, severity=None, urgency=Urgency.URGENT)]
    ),
    "side without a place": answers.context([answers.finding(location=None)]),
    "no order": replace(answers.context(), order=None),
    "order with half a code": answers.context(
        order=replace(answers.ORDER, placer_number="", procedure=Code("CXR", "", ""))
    ),
    "order with a strange code": answers.context(order=replace(answers.ORDER, procedure=Code(*[HOSTILE] * 3))),
    "imaging order": replace(
        answers.context(), site=replace(answers.SITE, priority_message=PriorityMessage.OMI_O23)
    ),
    "predecessor": answers.context(
        predecessor=Predecessor(
            study_uid=answers.STUDY, series_uid=f"{answers.ROOT}.8", sop_uid=f"{answers.ROOT}.9"
        )
    ),
    "hostile header": answers.context(
        sources=[
            answers.header(
                PatientName=HOSTILE.encode(),
                StudyDescription=HOSTILE.encode(),
                ReferringPhysicianName=HOSTILE.encode(),
                BodyPartExamined=HOSTILE.encode(),
            )
        ]
    ),
    "hostile card": answers.context([answers.finding(target=HOSTILE[:60])], title=HOSTILE, calibration=HOSTILE[:99]),
    "bare header": answers.context(
        sources=[
            answers.header(
                **dict.fromkeys(
                    (
                        "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientName",
                        "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName",
                        "StudyDescription", "BodyPartExamined", "PatientOrientation", "Rows", "Columns", "Modality",
                    )
                )
            )
        ]
    ),
}  # fmt: skip


@cache
def made(kind: ObjectKind, name: str) -> tuple[EncodedObject, ...]:
    return encoders()[kind].encode(CONTEXTS[name])


def test_every_promised_kind_has_an_encoder() -> None:
    assert set(KINDS) == {
        ObjectKind.SR,
        ObjectKind.SC,
        ObjectKind.ORU,
        ObjectKind.ORM,
        ObjectKind.DIAGNOSTIC_REPORT,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONTEXTS)
def test_an_object_is_one_valid_and_the_same_each_time(kind: ObjectKind, name: str) -> None:
    (first,) = made(kind, name)
    assert first.kind is kind
    assert encoders()[kind].encode(CONTEXTS[name]) == (first,)
    encoders()[kind].validate(first, CONTEXTS[name])


@pytest.mark.parametrize("kind", sorted(reading.READERS))
@pytest.mark.parametrize("name", CONTEXTS)
def test_every_finding_is_found_again_with_probability_threshold_and_urgency(kind: ObjectKind, name: str) -> None:
    (obj,) = made(kind, name)
    expected = [
        reading.Read(f.code.value, f.probability, f.threshold, f.urgency, f.positive)
        for f in CONTEXTS[name].result.findings
    ]
    assert reading.findings(obj) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_another_result_gets_other_identifiers(kind: ObjectKind) -> None:
    ctx = CONTEXTS["research"]
    other = replace(ctx, result=replace(ctx.result, id="rs_ffffffffffffffffffff"))
    (one,), (two,) = encoders()[kind].encode(ctx), encoders()[kind].encode(other)
    assert one.identifier != two.identifier


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_of_another_result_is_refused_without_a_word_about_the_patient(kind: ObjectKind) -> None:
    ctx = CONTEXTS["research"]
    other = replace(ctx, result=replace(ctx.result, id="rs_ffffffffffffffffffff"))
    (obj,) = encoders()[kind].encode(other)
    with pytest.raises(InvalidObject) as refused:
        encoders()[kind].validate(obj, ctx)
    for token in ("Müller", "PID-7", "ACC0001", answers.STUDY):
        assert token not in str(refused.value)


@pytest.mark.parametrize("kind", DICOM_KINDS)
@pytest.mark.parametrize("name", CONTEXTS)
def test_a_dicom_object_is_of_the_same_study_in_a_series_of_its_own_under_our_root(kind: ObjectKind, name: str) -> None:
    (obj,) = made(kind, name)
    ds = reading.dicom(obj)
    assert ds.StudyInstanceUID == answers.STUDY
    assert ds.SeriesInstanceUID != f"{answers.ROOT}.3"
    assert ds.SOPInstanceUID == obj.identifier == ds.file_meta.MediaStorageSOPInstanceUID
    for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.file_meta.ImplementationClassUID):
        assert uid.startswith(f"{answers.ROOT}.")
        assert UID(uid).is_valid
    assert obj.data[:128] == bytes(128)
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"


@pytest.mark.parametrize("kind", DICOM_KINDS)
@pytest.mark.parametrize("qualification", ["research", "product"])
def test_a_dicom_object_says_which_model_and_how_qualified(kind: ObjectKind, qualification: str) -> None:
    (obj,) = made(kind, qualification)
    ds = reading.dicom(obj)
    assert ds.ContentQualification == qualification.upper()
    assert ds.SeriesDescription == f"Chest radiograph pneumonia 1.2.0 {qualification.upper()}"


@pytest.mark.parametrize("kind", DICOM_KINDS)
def test_a_dicom_object_keeps_the_patient_and_the_request(kind: ObjectKind) -> None:
    (obj,) = made(kind, "research")
    ds = reading.dicom(obj)
    assert ds.PatientName == "Müller^Jörg"
    assert (ds.PatientID, ds.IssuerOfPatientID, ds.AccessionNumber) == ("PID-7", "HOSPITAL", "ACC0001")
    assert (ds.PatientBirthDate, ds.PatientSex, ds.StudyDate) == ("19700102", "M", "20260304")


@pytest.mark.parametrize("status", [ResultStatus.NOT_APPLICABLE, ResultStatus.UNAVAILABLE])
def test_only_the_report_speaks_of_a_result_without_an_answer(status: ResultStatus) -> None:
    assert [kind for kind in KINDS if status in encoders()[kind].statuses] == [ObjectKind.SR]
