"""Assessments of our SR, as workstations write them, and as nobody should."""

import contextlib
import io
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import BasicTextSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from integrations.objects import concepts
from integrations.objects.sr import ENCODER
from integrations.objects.sr import assessment_codes as codes
from integrations.objects.sr.assessment import Assessment, read_assessment, tracking_uids
from radloop.domain.enums import Awareness, Laterality, Severity, VerdictKind
from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.domain.records import Code
from tests.integrations.objects import answers
from tests.peers import assessments
from tests.peers.assessments import Said, assess
from tests.peers.dicom_files import part10
from tests.peers.programs import need

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ADDED = Said(number=None, kind=VerdictKind.ADD, code=answers.PNEUMOTHORAX)
WHOLE = (
    Said(number=0, kind=VerdictKind.REJECT, text="atelectasis", awareness=Awareness.BLINDED),
    Said(number=1, kind=VerdictKind.MODIFY, severity=Severity.MILD, laterality=Laterality.LEFT),
    ADDED,
)


@cache
def report() -> bytes:
    (obj,) = ENCODER.encode(answers.context())
    return obj.data


def document(*said: Said, **changes: object) -> Dataset:
    options: dict[str, object] = {"login": "mcurie", "at": AT, **changes}
    return assess(report(), said or WHOLE, **options)  # type: ignore[arg-type]


def read(ds: Dataset) -> Assessment:
    found = read_assessment(part10(ds), UTC)
    assert found is not None
    return found


def groups(ds: Dataset) -> list[Dataset]:
    return list(ds.ContentSequence[-1].ContentSequence)


def item_named(group: Dataset, code: str) -> Dataset:
    return next(item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == code)


def test_the_document_is_valid_by_dciodvfy(tmp_path: Path) -> None:
    file = tmp_path / "assessment.dcm"
    file.write_bytes(part10(document()))
    program = need("dciodvfy", "dicom3tools")
    said = subprocess.run([program, file], capture_output=True, text=True, timeout=30, check=False)
    assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


def test_everything_that_the_template_has_is_read() -> None:
    ours, found = dcmread(io.BytesIO(report())), read(document())
    assert (found.complete, found.references) == (True, (ours.SOPInstanceUID,))
    assert (found.study_uid, found.patient_id) == (ours.StudyInstanceUID, ours.PatientID)
    first, second, third = found.findings
    assert [one.kind for one in found.findings] == [VerdictKind.REJECT, VerdictKind.MODIFY, VerdictKind.ADD]
    assert [first.tracking_uid, second.tracking_uid] == assessments.tracking_uids(ours)
    assert (first.text, first.awareness, first.at) == ("atelectasis", Awareness.BLINDED, AT)
    assert (second.severity, second.laterality) == (Severity.MILD, Laterality.LEFT)
    assert third.code == answers.PNEUMOTHORAX
    assert {one.observer.ids for one in found.findings} == {("mcurie",)}
    assert {one.observer.names for one in found.findings} == {("Curie^Marie",)}


def test_our_own_report_assesses_nothing_and_tells_its_tracking_uids() -> None:
    assert read_assessment(report(), UTC) is None
    assert list(tracking_uids(report())) == assessments.tracking_uids(dcmread(io.BytesIO(report())))


@pytest.mark.parametrize("sop_class", [BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage])
def test_other_sr_classes_are_read_alike(sop_class: str) -> None:
    assert len(read(document(SOPClassUID=sop_class)).findings) == 3


def test_items_that_the_template_does_not_have_are_ignored() -> None:
    ds = document()
    for group in groups(ds):
        group.ContentSequence.insert(0, assessments._evaluation(MOOD, Code("Y", "99OTHER", "Good"))[0])
    assert [one.kind for one in read(ds).findings] == [one.kind for one in WHOLE]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("AI Result Accepted", VerdictKind.CONFIRM),
        ("Agree", VerdictKind.CONFIRM),
        ("Accept with modification", VerdictKind.MODIFY),
        ("REJECTED", VerdictKind.REJECT),
    ],
)
def test_private_codes_of_others_are_read_by_the_profiles_words(word: str, kind: VerdictKind) -> None:
    ds = document(WHOLE[0])
    item = item_named(groups(ds)[0], codes.ASSESSMENT.value)
    item.ConceptNameCodeSequence[0].CodeValue = "A-10"
    item.ConceptNameCodeSequence[0].CodingSchemeDesignator = "99PACS"
    item.ConceptNameCodeSequence[0].CodeMeaning = "Assessment Decision"
    item.ConceptCodeSequence[0].CodeValue = "A-11"
    item.ConceptCodeSequence[0].CodingSchemeDesignator = "99PACS"
    item.ConceptCodeSequence[0].CodeMeaning = word
    assert read(ds).findings[0].kind is kind


def test_an_assessment_of_the_whole_document_stands_at_its_root() -> None:
    ds = document(WHOLE[0])
    ds.ContentSequence.append(item_named(groups(ds)[0], codes.ASSESSMENT.value))
    del ds.ContentSequence[-2]
    (found,) = read(ds).findings
    assert (found.kind, found.tracking_uid) == (VerdictKind.REJECT, "")


def test_the_verifier_is_the_reader_where_no_observer_is_named() -> None:
    ds = document()
    ds.ContentSequence = [i for i in ds.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue not in OBSERVERS]
    verifier, code = Dataset(), Dataset()
    verifier.VerifyingObserverName = "Hahn^Otto"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "D2", "99SITE", "Otto Hahn"
    verifier.VerifyingObserverIdentificationCodeSequence = [code]
    ds.VerifyingObserverSequence = [verifier]
    observer = read(ds).findings[0].observer
    assert (observer.ids, observer.names) == (("D2",), ("Hahn^Otto",))


MOOD = Code("X", "99OTHER", "Mood")
OBSERVERS = ("121005", "121008", "128774")


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({}, AT),
        ({"TimezoneOffsetFromUTC": "+0100"}, AT - timedelta(hours=1)),
        ({"TimezoneOffsetFromUTC": None}, AT - timedelta(hours=2)),
        ({"ContentTime": "0506"}, AT.replace(second=0)),
        ({"ContentDate": "", "ContentTime": ""}, None),
        ({"ContentTime": None}, None),
    ],
)
def test_times_are_aware_and_those_that_cannot_be_read_are_none(
    changes: dict[str, object], at: datetime | None
) -> None:
    found = read_assessment(part10(document(**changes)), timezone(timedelta(hours=2)))
    assert found is not None
    assert found.findings[0].at == at


def two_assessments(ds: Dataset) -> None:
    first, second, _ = groups(ds)
    first.ContentSequence.append(item_named(second, codes.ASSESSMENT.value))


def unknown_kind(ds: Dataset) -> None:
    item_named(groups(ds)[0], codes.ASSESSMENT.value).ConceptCodeSequence[0].CodeValue = "PERHAPS"


def no_value(ds: Dataset) -> None:
    del item_named(groups(ds)[0], codes.ASSESSMENT.value).ConceptCodeSequence


def unknown_awareness(ds: Dataset) -> None:
    item_named(groups(ds)[0], codes.AWARENESS.value).ConceptCodeSequence[0].CodeValue = "PERHAPS"


def added_without_code(ds: Dataset) -> None:
    group = groups(ds)[2]
    item_named(group, concepts.FINDING.value).ConceptNameCodeSequence[0].CodeValue = "121069"


def no_uid(ds: Dataset) -> None:
    item_named(groups(ds)[0], "112040").UID = "not-a-uid"


def two_uids(ds: Dataset) -> None:
    first, second, _ = groups(ds)
    first.ContentSequence.append(item_named(second, "112040"))


def two_observers(ds: Dataset) -> None:
    other = document(reader="Hahn^Otto")
    ds.ContentSequence.insert(0, item_named(other, "121008"))


BREAKS = [
    two_assessments,
    unknown_kind,
    no_value,
    unknown_awareness,
    added_without_code,
    no_uid,
    two_uids,
    two_observers,
]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # what a broken sender writes
@pytest.mark.parametrize("broken", BREAKS)
def test_what_could_mean_two_things_is_refused(broken: Callable[[Dataset], None]) -> None:
    ds = document()
    broken(ds)
    with pytest.raises(Unparsable):
        read(ds)


def test_too_many_findings_are_refused() -> None:
    ds = document(WHOLE[0])
    ds.ContentSequence[-1].ContentSequence = groups(ds) * 501
    with pytest.raises(TooLarge):
        read(ds)


def test_a_tree_that_nests_without_end_is_refused() -> None:
    ds = document(WHOLE[0])
    for _ in range(200):
        around = Dataset()
        around.ContentSequence = ds.ContentSequence
        ds.ContentSequence = [around]
    with pytest.raises(Rejected):
        read(ds)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=12)), min_size=1, max_size=6))
def test_an_assessment_with_other_bytes_in_it_is_read_or_rejected(patches: list[tuple[int, bytes]]) -> None:
    data = bytearray(_bytes())
    for position, patch in patches:
        at = 132 + position % (len(data) - 132)
        data[at : at + len(patch)] = patch
    with contextlib.suppress(Rejected):
        read_assessment(bytes(data), UTC)
    with contextlib.suppress(Rejected):
        tracking_uids(bytes(data))


@cache
def _bytes() -> bytes:
    return part10(document())


KEYWORDS = (
    "ContentSequence", "ConceptNameCodeSequence", "ConceptCodeSequence",
    "ReferencedSOPSequence",
    "VerifyingObserverSequence", "AuthorObserverSequence", "CurrentRequestedProcedureEvidenceSequence",
    "CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodeMeaning", "ValueType", "TextValue", "PersonName",
    "UID", "ObservationDateTime", "ContentDate", "ContentTime", "TimezoneOffsetFromUTC", "CompletionFlag", "PatientID",
)  # fmt: skip
VRS = ("LO", "UT", "PN", "UI", "UN", "OB", "SH", "DT", "CS", "IS", "FD", "US")
values = st.one_of(
    st.sampled_from(
        ["CODE", "CONTAINER", "ASSESSMENT", "99RADLOOP", "CONFIRM", "ADD", "121071", "DCM", "1.2.3", "+9999"]
    ),
    st.text(max_size=20),
    st.binary(max_size=12),
)


def _element(keyword: str, vr: str, value: object) -> Callable[[Dataset], None]:
    def put(ds: Dataset) -> None:
        with contextlib.suppress(ValueError, TypeError, AttributeError, KeyError):
            ds.add_new(keyword, vr, value)

    return put


def _sequence(keyword: str, items: list[Dataset]) -> Callable[[Dataset], None]:
    return lambda ds: ds.add_new(keyword, "SQ", items)


def _made(parts: list[Callable[[Dataset], None]]) -> Dataset:
    ds = Dataset()
    for part in parts:
        part(ds)
    return ds


leaves = st.builds(_element, st.sampled_from(KEYWORDS), st.sampled_from(VRS), values)
trees = st.recursive(
    st.lists(leaves, max_size=4).map(_made),
    lambda inner: st.lists(
        st.one_of(leaves, st.builds(_sequence, st.sampled_from(KEYWORDS[:7]), st.lists(inner, max_size=3))), max_size=5
    ).map(_made),
    max_leaves=12,
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom tells what is wrong with values that are made wrong here
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(trees)
def test_any_tree_is_no_assessment_or_one_or_rejected(tree: Dataset) -> None:
    ds = dcmread(io.BytesIO(_bytes()))
    ds.update(tree)
    try:
        data = part10(ds)
    except Exception:  # noqa: BLE001 - pydicom refuses to write it: nobody can send it
        return
    with contextlib.suppress(Rejected):
        read_assessment(data, UTC)
