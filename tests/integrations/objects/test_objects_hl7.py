"""ORU^R01 and the priority upgrade, field by field, and against text that would break a message."""

from dataclasses import replace

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.objects.context import AnswerContext, Encoder, PriorityMessage
from integrations.objects.hl7message import text
from integrations.objects.orm import ENCODER as ORM
from integrations.objects.oru import ENCODER as ORU
from integrations.objects.values import plain
from radloop.domain.enums import Qualification, Urgency
from radloop.domain.errors import InvalidObject
from radloop.domain.records import Code, EncodedObject
from tests.integrations.objects import answers, reading

DELIMITERS = "|^~\\&\r\n\x0b\x1c\x00\x85\u2028"
HOSTILE_TEXT = st.text(st.one_of(st.sampled_from(DELIMITERS), st.characters(codec="utf-8")), min_size=1, max_size=80)


def segments(obj: EncodedObject, name: str) -> list[list[str]]:
    return [fields for fields in reading.segments(obj.data) if fields[0] == name]


def oru(ctx: AnswerContext) -> EncodedObject:
    (obj,) = ORU.encode(ctx)
    ORU.validate(obj, ctx)
    return obj


def test_the_header_names_both_sides_the_charset_and_a_control_id_of_at_most_twenty_characters() -> None:
    obj = oru(answers.context())
    (msh,) = segments(obj, "MSH")
    assert msh[2:6] == ["RADLOOP", "RADIOLOGY", "RIS", "HOSPITAL"]
    assert msh[8] == "ORU^R01^ORU_R01"
    assert msh[9] == obj.identifier
    assert len(obj.identifier) <= 20
    assert msh[11] == "2.5.1"
    assert msh[17] == "UNICODE UTF-8"


def test_the_patient_is_named_with_the_authority_that_issued_the_number() -> None:
    (pid,) = segments(oru(answers.context()), "PID")
    assert pid[3] == "PID-7^^^HOSPITAL^MR"
    assert pid[5] == "Müller^Jörg^^^^^^A"
    assert pid[7:9] == ["19700102", "M"]


def test_prefix_and_suffix_change_places_between_the_standards() -> None:
    ctx = answers.context(sources=[answers.header(PatientName="Adams^John^Quincy^Rev.^B.A. M.Div.")])
    (pid,) = segments(oru(ctx), "PID")
    assert pid[5] == "Adams^John^Quincy^B.A. M.Div.^Rev.^^^A"


def test_the_request_carries_the_numbers_as_the_order_had_them() -> None:
    (obr,) = segments(oru(answers.context()), "OBR")
    assert obr[2:5] == ["PLACER-1", "FILLER-1", "36643-5^XR Chest 2 Views^LN"]
    assert (obr[18], obr[24], obr[25]) == ("ACC0001", "RAD", "R")


def test_without_an_order_the_accession_stands_with_a_filler_number_of_our_own() -> None:
    (obr,) = segments(oru(answers.context(order=None)), "OBR")
    assert obr[2] == ""
    assert 0 < len(obr[3]) <= 20
    assert obr[18] == "ACC0001"


@pytest.mark.parametrize(
    ("urgency", "priority", "flags"),
    [
        (Urgency.ROUTINE, "R", ("A", "H")),
        (Urgency.URGENT, "A", ("A", "H")),
        (Urgency.CRITICAL, "S", ("AA", "HH")),
    ],
)
def test_urgency_is_the_priority_and_the_abnormal_flag(urgency: Urgency, priority: str, flags: tuple[str, str]) -> None:
    obj = oru(answers.context([answers.finding(urgency=urgency)]))
    assert segments(obj, "TQ1")[0][9].startswith(f"{priority}^")
    own = {fields[3].partition("^")[0]: fields[8] for fields in segments(obj, "OBX") if len(fields) > 8}
    assert (own["121071"], own["122157"]) == flags


@pytest.mark.parametrize("status", ["R", "P"])
def test_the_study_comes_first_and_the_site_chooses_the_status_of_the_rest(status: str) -> None:
    ctx = answers.context(site=replace(answers.SITE, observation_status=status))
    first, *others = segments(oru(ctx), "OBX")
    assert first[2:6] == ["ST", "113014^DICOM Study^DCM", "", answers.STUDY]
    assert first[11] == "O"
    assert {fields[11] for fields in others} == {status}
    assert segments(oru(ctx), "OBR")[0][25] == status


def test_a_negative_is_sent_and_said_to_be_one() -> None:
    own = [f for f in segments(oru(answers.context([answers.NEGATIVE])), "OBX") if f[4] == "1"]
    assert [fields[8] for fields in own[:2]] == ["N", "N"]
    assert own[1][5:8] == ["0.0312", "1^no units^UCUM", "<0.4000"]
    assert own[2][5].startswith("111241^")


@pytest.mark.parametrize("qualification", list(Qualification))
def test_the_narrative_and_the_model_have_observations_of_their_own(qualification: Qualification) -> None:
    obx = segments(oru(answers.context(qualification=qualification)), "OBX")
    (narrative,) = [fields for fields in obx if fields[3] == "59776-5^Procedure Findings^LN"]
    assert narrative[2] == "TX"
    assert narrative[5].startswith("AI result, not a diagnosis.")
    assert ("research use" in narrative[5]) == (qualification is Qualification.RESEARCH)
    assert obx[-1][5] == f"cxr_pneumonia 1.2.0 sha256:{answers.DIGEST} {qualification}"


def test_what_is_odd_about_the_images_stands_in_the_narrative() -> None:
    obx = segments(oru(answers.context(quality=("the image is all black",))), "OBX")
    (narrative,) = [fields for fields in obx if fields[3] == "59776-5^Procedure Findings^LN"]
    assert "Image quality: the image is all black" in narrative[5].split("~")


def planted(value: str) -> AnswerContext:
    """An answer with `value` in every text that comes from outside."""
    raw = value.encode("utf-8")
    texts = ("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyDescription")
    order = replace(
        answers.ORDER,
        accession_number=value,
        placer_number=value,
        filler_number=value,
        procedure=Code(value, value, value),
    )
    odd = answers.finding(code=Code(value, value, value), location=Code(value, value, value), target=value)
    site = replace(answers.SITE, application=value, facility=value, receiving_facility=value, assigning_authority=value)
    ctx = answers.context([odd], sources=[answers.header(**dict.fromkeys(texts, raw))], order=order, title=value)
    model = replace(ctx.result.model, name=value, version=value)
    return replace(ctx, site=site, result=replace(ctx.result, model=model))


@given(HOSTILE_TEXT)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("encoder", [ORU, ORM], ids=["ORU", "ORM"])
def test_no_text_changes_the_number_of_segments_or_reaches_the_wire_as_a_frame(encoder: Encoder, value: str) -> None:
    (harmless,) = encoder.encode(planted("a"))
    (obj,) = encoder.encode(planted(value))
    assert obj.data.count(b"\r") == harmless.data.count(b"\r")
    assert not set(obj.data) & {0x0A, 0x0B, 0x1C, 0x00}
    shape = [(fields[0], len(fields)) for fields in reading.segments(obj.data)]
    assert [name for name, _ in shape] == [fields[0] for fields in reading.segments(harmless.data)]
    assert all(length <= len(e) for (_, length), e in zip(shape, reading.segments(harmless.data), strict=True))


@given(HOSTILE_TEXT)
def test_escaped_text_has_no_delimiter_and_reads_back_as_it_was(value: str) -> None:
    escaped = text(value)
    assert not set(escaped) & set("|^~&\r\n\x0b\x1c")
    assert reading.unescape(escaped) == plain(value)


def test_a_message_cut_in_half_is_refused() -> None:
    ctx = answers.context()
    obj = oru(ctx)
    with pytest.raises(InvalidObject, match=r"no TQ1 segment|hl7apy"):
        ORU.validate(replace(obj, data=obj.data[: obj.data.index(b"TQ1")]), ctx)


@pytest.mark.parametrize("structure", list(PriorityMessage))
@pytest.mark.parametrize(("urgency", "priority"), [(Urgency.URGENT, "A"), (Urgency.CRITICAL, "S")])
def test_the_upgrade_names_the_order_and_its_new_priority(
    structure: PriorityMessage, urgency: Urgency, priority: str
) -> None:
    ctx = answers.context([answers.finding(urgency=urgency)], site=replace(answers.SITE, priority_message=structure))
    (obj,) = ORM.encode(ctx)
    ORM.validate(obj, ctx)
    (msh,), (orc,), (obr,), (tq1,) = (segments(obj, name) for name in ("MSH", "ORC", "OBR", "TQ1"))
    assert msh[8] == f"{structure.replace('_', '^')}^{structure}"
    assert orc[1:4] == ["XO", "PLACER-1", "FILLER-1"]
    assert tq1[9].startswith(f"{priority}^")
    assert (obr[18], obr[27]) == ("ACC0001", f"^^^^^{priority}")


def test_the_two_forms_of_the_upgrade_have_control_ids_of_their_own() -> None:
    forms = [answers.context(site=replace(answers.SITE, priority_message=form)) for form in PriorityMessage]
    assert len({obj.identifier for ctx in forms for obj in (*ORM.encode(ctx), *ORU.encode(ctx))}) == 3


def test_the_imaging_order_names_the_study() -> None:
    ctx = answers.context(site=replace(answers.SITE, priority_message=PriorityMessage.OMI_O23))
    (obj,) = ORM.encode(ctx)
    (ipc,) = segments(obj, "IPC")
    assert ipc[1:4] == ["ACC0001", "FILLER-1", answers.STUDY]
    parsed = parse_message(obj.data.decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert parsed.validate()


@pytest.mark.parametrize("ordered", list(Urgency))
@pytest.mark.parametrize("found", list(Urgency))
def test_a_priority_is_only_ever_raised(ordered: Urgency, found: Urgency) -> None:
    order = replace(answers.ORDER, priority=ordered)
    sent = ORM.encode(answers.context([answers.finding(urgency=found)], order=order))
    assert len(sent) == (1 if found.rank > ordered.rank else 0)
