"""The structured report, item by item as RESULTS.md asks, and before the programs that hospitals have."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from highdicom.sr import srread
from pydicom import Dataset
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage, SecondaryCaptureImageStorage

from integrations.objects.context import AnswerContext, Predecessor
from integrations.objects.sr import ENCODER
from radloop.domain.enums import ResultStatus, Urgency
from radloop.domain.errors import InvalidObject
from tests.integrations.objects import answers, reading
from tests.peers.programs import need

PIXELMED = Path("/usr/share/java/pixelmed.jar")


def report(ctx: AnswerContext) -> Dataset:
    (obj,) = ENCODER.encode(ctx)
    ENCODER.validate(obj, ctx)
    return reading.dicom(obj)


def test_it_is_complete_unverified_and_preliminary() -> None:
    ds = report(answers.context())
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert reading.name_of(ds) == "126000"
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_it_names_the_observer_the_procedure_and_the_images() -> None:
    ds = report(answers.context())
    assert {reading.name_of(item) for item in ds.ContentSequence} >= {"121012", "121013", "121014", "121015", "121016"}
    assert [reading.coded_value(i) for i in ds.ContentSequence if reading.name_of(i) == "121058"] == ["363679005"]
    (library,) = [item for item in ds.ContentSequence if reading.name_of(item) == "111028"]
    (entry,) = library.ContentSequence[0].ContentSequence
    assert entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{answers.ROOT}.2"


def test_the_observer_is_the_weights_and_not_the_result() -> None:
    def observer(ds: Dataset) -> str:
        (item,) = [i for i in ds.ContentSequence if reading.name_of(i) == "121012"]
        return str(item.UID)

    ctx = answers.context()
    later = replace(ctx, result=replace(ctx.result, id="rs_later"))
    retrained = replace(ctx, result=replace(ctx.result, model=replace(ctx.result.model, digest="0" * 64)))
    assert observer(report(ctx)) == observer(report(later)) != observer(report(retrained))


def test_a_finding_is_tracked_over_the_versions_of_its_study() -> None:
    ctx = answers.context()
    later = replace(ctx, result=replace(ctx.result, id="rs_later"), study=replace(ctx.study, id="sv_2", number=2))

    def tracked(ds: Dataset) -> list[str]:
        return [str(reading.named(group, "112040")[0].UID) for group in reading.groups(ds)]

    assert tracked(report(ctx)) == tracked(report(later))
    assert len(set(tracked(report(ctx)))) == 2


def test_evidence_and_request_are_filled() -> None:
    ds = report(answers.context())
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    (instance,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == f"{answers.ROOT}.2"
    (request,) = ds.ReferencedRequestSequence
    assert request.AccessionNumber == "ACC0001"
    assert request.PlacerOrderNumberImagingServiceRequest == "PLACER-1"
    assert request.FillerOrderNumberImagingServiceRequest == "FILLER-1"
    assert "PredecessorDocumentsSequence" not in ds


def test_a_rerun_names_its_predecessor() -> None:
    before = Predecessor(study_uid=answers.STUDY, series_uid=f"{answers.ROOT}.8", sop_uid=f"{answers.ROOT}.9")
    (study,) = report(answers.context(predecessor=before)).PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == before.sop_uid


def test_a_group_holds_everything_that_is_known_of_a_finding() -> None:
    positive, negative = reading.groups(report(answers.context()))
    assert reading.named(positive, "112039")[0].TextValue == "cxr_pneumonia pneumonia"
    assert [item.TextValue for item in reading.named(positive, "111002")] == [
        f"digest=sha256:{answers.DIGEST}",
        "threshold=0.5000",
        "calibration=temperature 1.3",
    ]
    assert reading.named(positive, "111001")[0].TextValue == "cxr_pneumonia"
    assert reading.named(positive, "111003")[0].TextValue == "1.2.0"
    (site,) = reading.named(positive, "363698007")
    assert reading.coded_value(site) == "39607008"
    assert reading.coded_value(site.ContentSequence[0]) == "24028007"
    assert reading.coded_value(reading.named(positive, "246112005")[0]) == "6736007"
    assert reading.coded_value(reading.named(negative, "111017")[0]) == "111241"
    assert not reading.named(negative, "260870009")


@pytest.mark.parametrize(
    ("urgency", "category"),
    [(Urgency.CRITICAL, "RID49480"), (Urgency.URGENT, "RID49481"), (Urgency.ROUTINE, "RID49482")],
)
def test_urgency_is_an_acr_category(urgency: Urgency, category: str) -> None:
    (group,) = reading.groups(report(answers.context([answers.finding(urgency=urgency)])))
    assert reading.coded_value(reading.named(group, "260870009")[0]) == category


QUALITY = ("the image is blurred, as by motion", "the grey values look inverted")


def test_what_is_odd_about_the_images_is_told_as_qualitative_evaluations() -> None:
    ds = report(answers.context(quality=QUALITY))
    names = [reading.name_of(item) for item in ds.ContentSequence]
    assert names[-2:] == ["126010", "C0034375"]
    said = ds.ContentSequence[-1].ContentSequence
    assert [(item.ValueType, reading.name_of(item), item.TextValue) for item in said] == [
        ("TEXT", "111101", note) for note in QUALITY
    ]


def test_a_report_without_a_remark_has_no_word_of_quality() -> None:
    assert "C0034375" not in [reading.name_of(item) for item in report(answers.context()).ContentSequence]


def test_a_region_is_a_closed_polyline_in_pixels_of_its_image() -> None:
    (group,) = reading.groups(report(answers.context([answers.finding()])))
    assert group.ContentTemplateSequence[0].TemplateIdentifier == "1410"
    (region,) = reading.named(group, "111030")
    assert region.GraphicType == "POLYLINE"
    assert list(region.GraphicData) == [40, 50, 120, 50, 120, 160, 40, 160, 40, 50]
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{answers.ROOT}.2"


def test_a_region_in_a_multiframe_image_names_its_frame() -> None:
    ds = answers.header(SOPClassUID=MultiFrameTrueColorSecondaryCaptureImageStorage, NumberOfFrames="3")
    (group,) = reading.groups(report(answers.context([answers.finding()], sources=[ds])))
    (region,) = reading.named(group, "111030")
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 1


def test_a_single_frame_class_with_several_frames_is_referred_to_as_a_whole() -> None:
    ds = answers.header(SOPClassUID=SecondaryCaptureImageStorage, NumberOfFrames="2")
    (group,) = reading.groups(report(answers.context([answers.finding()], sources=[ds])))
    (region,) = reading.named(group, "111030")
    assert "ReferencedFrameNumber" not in region.ContentSequence[0].ReferencedSOPSequence[0]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ResultStatus.NOT_APPLICABLE, "Not applicable: lateral view"),
        (ResultStatus.UNAVAILABLE, "AI unavailable: lateral view"),
    ],
)
def test_a_failure_is_said_with_its_reason(status: ResultStatus, said: str) -> None:
    (group,) = reading.groups(report(answers.context(status=status, reason="lateral view")))
    assert reading.coded_value(reading.named(group, "111017")[0]) == "111245"
    assert reading.named(group, "121106")[0].TextValue == said
    assert not reading.named(group, "122157")


def test_without_an_image_to_refer_to_there_is_no_report() -> None:
    with pytest.raises(InvalidObject, match="rs_0123456789abcdef0123"):
        ENCODER.encode(answers.context(sources=[]))


def test_many_images_are_all_evidence() -> None:
    slices = [answers.header(SOPInstanceUID=f"{answers.ROOT}.2.{n}", Modality="MR") for n in range(1, 41)]
    ds = report(answers.context(sources=slices))
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 40


CONFORMING = {
    "region": answers.context([answers.finding()]),
    "no region": answers.context([answers.finding(box=None, location=None), answers.NEGATIVE]),
    "not applicable": answers.context(status=ResultStatus.NOT_APPLICABLE, reason="lateral view"),
    "quality": answers.context([answers.finding()], quality=QUALITY),
}


@pytest.mark.parametrize(
    "name", ["region", pytest.param("no region", marks=pytest.mark.campaign), "not applicable", "quality"]
)
def test_pixelmed_finds_no_error_in_template_order_or_codes(name: str, tmp_path: Path) -> None:
    assert not pixelmed_errors(CONFORMING[name], tmp_path)


@pytest.mark.campaign
def test_pixelmed_errs_only_where_it_takes_every_group_for_the_one_with_a_region(tmp_path: Path) -> None:
    # Its TID 1500 rows 7 to 9 count regions over all groups together, so that beside one group after TID 1410 it
    # misses the region in every group after TID 1501.
    errors = pixelmed_errors(answers.context(), tmp_path)
    assert all("Template 1410" in e and e.endswith("Missing conditional content item") for e in errors)


def pixelmed_errors(ctx: AnswerContext, folder: Path) -> list[str]:
    java = need("java", "default-jre-headless")
    if not PIXELMED.exists():
        pytest.skip("PixelMed is missing: apt-get install libpixelmed-java")
    (obj,) = ENCODER.encode(ctx)
    path = folder / "sr.dcm"
    path.write_bytes(obj.data)
    limits = [f"-Djdk.xml.{name}=0" for name in ("xpathExprOpLimit", "xpathTotalOpLimit", "xpathExprGrpLimit")]
    options = ["-checkcontentitemorder", "-checktemplateid"]
    # A short run: the second compiler costs more than it saves.
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = [
        java,
        *quick,
        *limits,
        "-cp",
        "/usr/share/java/*",
        "com.pixelmed.validate.DicomSRValidator",
        *options,
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    assert "Root Template Validation Complete" in done.stdout + done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("name", CONFORMING)
def test_dsrdump_shows_it(name: str, tmp_path: Path) -> None:
    program = need("dsrdump", "dcmtk")
    (obj,) = ENCODER.encode(CONFORMING[name])
    path = tmp_path / "sr.dcm"
    path.write_bytes(obj.data)
    done = subprocess.run([program, "--print-all-codes", str(path)], capture_output=True, timeout=30, check=True)
    assert b"126000" in done.stdout
    assert b"Error" not in done.stderr


def test_highdicom_reads_it_back_as_a_measurement_report(tmp_path: Path) -> None:
    (obj,) = ENCODER.encode(answers.context(quality=QUALITY))
    path = tmp_path / "sr.dcm"
    path.write_bytes(obj.data)
    content = srread(path).content
    (planar,) = content.get_planar_roi_measurement_groups()
    (plain,) = content.get_image_measurement_groups()
    assert planar.finding_type.value == answers.PNEUMONIA.value
    assert plain.finding_type.value == answers.PNEUMOTHORAX.value
    assert [m.value for m in plain.get_measurements()] == [0.0312, 0.4]
