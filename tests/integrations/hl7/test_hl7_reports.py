"""Reports of the RIS, read by position, as real systems write them."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.hl7 import MessageKind, Presence, Report, ReportStatus, kind_of, parse, read_reports
from integrations.hl7.reports import LONGEST_TEXT
from radloop.domain.enums import Awareness
from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.domain.records import Code
from tests.peers.reports import Obx, Oru

PNEUMONIA = Code("233604007", "SCT", "Pneumonia")
CODED = "233604007^Pneumonia^SCT"
TEXT = Obx(value="Lungs clear.")
BASE = Oru(accession="ACC-1", patient_id="P1", observations=(TEXT,))


def read(*observations: Obx, **changes: object) -> Report:
    oru = replace(BASE, observations=observations or (TEXT,), **changes)  # type: ignore[arg-type]
    (report,) = read_reports(parse(oru.encode()), UTC)
    return report


def said(*observations: Obx) -> set[Presence]:
    return set(read(*observations).says(PNEUMONIA))


def test_a_report_is_a_kind_of_its_own_and_is_read_whole() -> None:
    assert kind_of(parse(BASE.encode())) is MessageKind.REPORT
    report = read()
    assert (report.status, report.numbers, report.patient_id) == (ReportStatus.FINAL, ("ACC-1",), "P1")
    assert (report.interpreter.ids, report.interpreter.names) == (("mcurie",), ("Curie^Marie",))
    assert report.at == datetime(2026, 3, 4, 6, tzinfo=UTC)
    assert (report.text, report.conclusion) == ("Lungs clear.", "Lungs clear.")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [("F", ReportStatus.FINAL), ("C", ReportStatus.CORRECTED), *((s, ReportStatus.NOT_FINAL) for s in "PRISAXY")],
)
def test_only_final_and_corrected_count(status: str, meaning: ReportStatus) -> None:
    assert read(status=status).status is meaning


def test_a_status_that_obr_leaves_out_is_that_of_every_observation() -> None:
    assert read(replace(TEXT, status="F"), status="").status is ReportStatus.FINAL
    assert read(replace(TEXT, status="F"), replace(TEXT, status="P"), status="").status is ReportStatus.NOT_FINAL


@pytest.mark.parametrize("status", ["P", "R", "S", "X", "D", "W"])
def test_an_observation_that_is_not_final_says_nothing(status: str) -> None:
    report = read(Obx(kind="ID", name=CODED, value="Y", status=status), replace(TEXT, status=status))
    assert (report.statements, report.text) == ((), "")


PRESENT, ABSENT = Presence.PRESENT, Presence.ABSENT


@pytest.mark.parametrize(
    ("observation", "presence"),
    [
        (Obx(kind="CWE", name=CODED, value="52101004^Present^SCT"), {PRESENT}),
        (Obx(kind="CWE", name=CODED, value="10828004^Positive^SNM3"), {PRESENT}),
        (Obx(kind="CWE", name=CODED, value="121054^Absent^DCM"), {ABSENT}),
        (Obx(kind="CWE", name=CODED, value="LA9634-2^Absent^LN"), {ABSENT}),
        (Obx(kind="CE", name=CODED, value="Y"), {PRESENT}),
        (Obx(kind="CE", name=CODED, value="Y^Yes^HL70136"), {PRESENT}),
        (Obx(kind="CE", name=CODED, value="Y^Yes^99OTHER"), set()),
        (Obx(kind="CWE", name=CODED, value="X1^local^L^2667000^Absent^SCT"), {ABSENT}),
        (Obx(kind="CWE", name=CODED, value="52101004^Present^SCT^121054^Absent^DCM"), set()),
        (Obx(kind="IS", name=CODED, value="neg"), {ABSENT}),
        (Obx(kind="ST", name=CODED, value="perhaps"), set()),
        (Obx(kind="NM", name=CODED, value="1", flag="A"), set()),
        (Obx(kind="TX", name=CODED, value="Y"), set()),
        (Obx(kind="CWE", name=CODED, value="", flag="N"), {ABSENT}),
        (Obx(kind="CWE", name=CODED, value="", flag="AA"), {PRESENT}),
        (Obx(kind="CWE", name=CODED, value=""), set()),
        (Obx(kind="CWE", name="233604007^Pneumonia^99OTHER", value="Y"), set()),
        (Obx(kind="CWE", name="L1^local^L^" + CODED, value="Y"), {PRESENT}),
        (Obx(kind="CWE", name="121071^Finding^DCM", value=CODED), {PRESENT}),
        (Obx(kind="CWE", name="59776-5^Findings^LN", value=f"1^Other^SCT~{CODED}"), {PRESENT}),
        (Obx(kind="CWE", name="REPORT&IMP^Impression^L", value=CODED), {PRESENT}),
        (Obx(kind="CWE", name="121071^Finding^DCM", value=CODED, flag="NEG"), {ABSENT}),
        (Obx(kind="CWE", name="18785-6^Reason for study^LN", value=CODED), set()),
    ],
)
def test_what_a_coded_observation_says(observation: Obx, presence: set[Presence]) -> None:
    assert said(observation) == presence


def test_radlex_is_known_by_either_name() -> None:
    lesion = Code("RID5350", "RADLEX", "pneumonia")
    for system in ("RADLEX", "RID", "RadLex"):
        assert read(Obx(kind="ID", name=f"RID5350^pneumonia^{system}", value="Y")).says(lesion) == {PRESENT}


def test_text_is_unescaped_and_keeps_its_lines_and_no_component_is_cut() -> None:
    report = read(
        Obx(kind="FT", value="No effusion.\\.br\\Heart \\T\\ lungs\\.sp 2\\clear \\H\\now\\N\\."),
        Obx(value="one~two ^ three\\F\\four"),
    )
    assert report.text == "No effusion.\nHeart & lungs\nclear now.\none\ntwo ^ three|four"


def test_the_impression_is_the_conclusion_where_it_is_marked() -> None:
    for name in ("19005-8^Impression^LN", "36643-5&IMP^Chest^LN"):
        report = read(TEXT, Obx(name=name, value="Pneumonia."))
        assert (report.conclusion, report.text) == ("Pneumonia.", "Lungs clear.\nPneumonia.")


@pytest.mark.parametrize(
    ("written", "ids", "names"),
    [
        ("D1&Curie&Marie&&&Dr.", ("D1",), ("Curie^Marie",)),
        ("D1^Curie^Marie", ("D1",), ("Curie^Marie",)),
        ("&Curie&Marie", (), ("Curie^Marie",)),
        ("D1", ("D1",), ()),
        ("D1^20260304055000^20260304055730", ("D1",), ()),
        ("", (), ()),
    ],
)
def test_the_reader_stands_in_obr_32_in_either_layout(written: str, ids: tuple[str], names: tuple[str]) -> None:
    found = read(reader=written).interpreter
    assert (found.ids, found.names) == (ids, names)


@pytest.mark.parametrize(
    ("written", "began", "ended"),
    [
        ("D1&Curie&Marie^20260304055000^20260304055730", datetime(2026, 3, 4, 5, 50, tzinfo=UTC), True),
        ("D1^202603040550", datetime(2026, 3, 4, 5, 50, tzinfo=UTC), False),
        ("D1^Curie^Marie", None, False),
        ("D1&Curie&Marie", None, False),
    ],
)
def test_when_the_reader_began_and_ended_stands_in_obr_32_too(
    written: str, began: datetime | None, ended: bool
) -> None:
    found = read(reader=written)
    assert (found.began, found.ended is not None) == (began, ended)


def test_a_time_without_an_offset_is_the_sites_and_without_any_it_is_that_of_the_message() -> None:
    zone = timezone(timedelta(hours=1))
    local = replace(BASE, reported="202603040700")
    assert read_reports(parse(local.encode()), zone)[0].at == datetime(2026, 3, 4, 6, tzinfo=UTC)
    assert read(reported="").at == datetime(2026, 3, 4, 6, 5, tzinfo=UTC)
    assert read(reported="", sent="yesterday").at is None


def test_awareness_is_read_where_it_is_coded() -> None:
    assert read().awareness is None
    coded = Obx(kind="CWE", name="AWARENESS^^99RADLOOP", value="CORRECTED^^99RADLOOP")
    assert read(coded).awareness is Awareness.CORRECTED


def test_every_obr_is_a_report_with_its_own_observations() -> None:
    first, second = BASE.encode(), replace(BASE, accession="ACC-2", observations=(Obx(value="Mass."),)).encode()
    both = first + b"\r".join(second.split(b"\r")[2:])
    assert [(r.numbers, r.text) for r in read_reports(parse(both), UTC)] == [
        (("ACC-1",), "Lungs clear."),
        (("ACC-2",), "Mass."),
    ]


@pytest.mark.parametrize("changes", [{"accession": ""}, {"patient_id": ""}])
def test_a_report_of_nobody_is_unparsable(changes: dict[str, object]) -> None:
    with pytest.raises(Unparsable):
        read(**changes)


def test_a_message_without_obr_is_unparsable() -> None:
    with pytest.raises(Unparsable):
        read_reports(parse(b"\r".join(BASE.encode().split(b"\r")[:2])), UTC)


def test_more_text_than_a_report_has_is_too_large() -> None:
    with pytest.raises(TooLarge):
        read(Obx(value="a" * (LONGEST_TEXT + 1)))


def test_nothing_of_the_patient_shows_when_a_report_is_printed() -> None:
    told = repr(read(Obx(value="Secret finding.")))
    assert not {"ACC-1", "P1", "Secret", "Curie", "mcurie"} & set(told.replace("'", " ").replace(",", " ").split())


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 20))
@example(b"OBX|1|FT|a||\\.br\\", 0, 0)
def test_any_bytes_are_reports_or_rejected(data: bytes, position: int, cut: int) -> None:
    whole = BASE.encode()
    position %= len(whole)
    for message in (whole + data, whole[:position] + data + whole[position + cut :]):
        with contextlib.suppress(Rejected):
            read_reports(parse(message), UTC)


@given(st.lists(st.text(alphabet="OBXRPID|^~\\&.19FCYN \r", max_size=60), max_size=8))
def test_any_segments_are_reports_or_rejected(lines: list[str]) -> None:
    with contextlib.suppress(Rejected):
        read_reports(parse(BASE.encode() + "\r".join(lines).encode()), UTC)
