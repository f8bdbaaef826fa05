"""Final reports of the RIS: codes decide, else phrases, else nobody; and a final report signs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from flows.house import House
from flows.ris_reports import Received, key_of, receive
from integrations.hl7 import parse, read_reports
from radloop.domain.enums import Awareness, ObjectKind, Standing, StudyState, VerdictKind, VerdictSource
from radloop.domain.ids import utc_now
from radloop.domain.records import SignOff, Verdict
from radloop.ledger import results, signoffs
from radloop.ledger.tables import deliveries, objects
from tests.flows import assessing, cards, place
from tests.flows.fake_inference import FakeInference
from tests.peers.assessments import Said, assess
from tests.peers.reports import Obx, Oru

PNEUMONIA = "233604007^Pneumonia^SCT"
FINDING = "121071^Finding^DCM"
CLEAR = Obx(value="Lungs: no evidence of pneumonia.")
ILL = Obx(value="Right lower lobe consolidation.")


class Ward:
    """One answered study, and a RIS that reports on it."""

    def __init__(self, house: House, service: FakeInference, probability: float) -> None:
        service.probability = probability
        self.house = house
        self.image = place.chest_study(7, AccessionNumber="ACC-7")
        self.version, self.result = assessing.answered_study(house, self.image)

    def report(self, *observations: Obx, **changes: object) -> Oru:
        base = {"accession": "ACC-7", "patient_id": self.image.PatientID, "observations": observations}
        return Oru(**{**base, **changes})  # type: ignore[arg-type]

    def told(self, *observations: Obx, **changes: object) -> None:
        """The report arrives."""
        self.receive(self.report(*observations, **changes))

    def receive(self, oru: Oru) -> None:
        data = oru.encode()
        for number, report in enumerate(read_reports(parse(data), UTC)):
            key = key_of("ris", oru.control_id, data.partition(b"\r")[2].hex(), number)
            receive(self.house, Received(report=report, key=key, peer="ris", at=utc_now()))

    @property
    def kinds(self) -> list[VerdictKind]:
        return [one.kind for one in self.verdicts]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return assessing.verdicts_of(self.house, self.result)

    @property
    def signoff(self) -> SignOff | None:
        with self.house.ledger.read() as conn:
            return signoffs.of_version(conn, self.version.id)


@pytest.fixture
def positive(tmp_path: Path) -> Iterator[Ward]:
    with assessing.hospital(tmp_path / "home") as (house, service):
        yield Ward(house, service, 0.92)


@pytest.fixture
def negative(tmp_path: Path) -> Iterator[Ward]:
    with assessing.hospital(tmp_path / "home") as (house, service):
        yield Ward(house, service, 0.1)


@pytest.mark.parametrize(
    ("observation", "kind"),
    [
        (CLEAR, VerdictKind.REJECT),
        (ILL, VerdictKind.CONFIRM),
        (Obx(kind="CWE", name=PNEUMONIA, value="52101004^Present^SCT"), VerdictKind.CONFIRM),
        (Obx(kind="CWE", name=PNEUMONIA, value="2667000^Absent^SCT"), VerdictKind.REJECT),
        (Obx(kind="CE", name=PNEUMONIA.replace("SCT", "SNM3"), value="N^No^HL70136"), VerdictKind.REJECT),
        (Obx(kind="ID", name=PNEUMONIA, value="Y"), VerdictKind.CONFIRM),
        (Obx(kind="ST", name=PNEUMONIA, value="negative"), VerdictKind.REJECT),
        (Obx(kind="CWE", name=FINDING, value=PNEUMONIA), VerdictKind.CONFIRM),
        (Obx(kind="CWE", name=FINDING, value=PNEUMONIA, flag="N"), VerdictKind.REJECT),
        (Obx(kind="CWE", name=PNEUMONIA, value="", flag="A"), VerdictKind.CONFIRM),
    ],
)
def test_a_report_on_a_called_finding_confirms_or_rejects_it(
    positive: Ward, observation: Obx, kind: VerdictKind
) -> None:
    positive.told(observation)
    (verdict,) = positive.verdicts
    assert (verdict.kind, verdict.target, verdict.reader, verdict.actor) == (kind, "pneumonia", "marie", "gateway")
    assert (verdict.source, verdict.awareness) == (VerdictSource.HL7_ORU, Awareness.SAW_AI)
    assert verdict.at == datetime(2026, 3, 4, 6, tzinfo=UTC)


@pytest.mark.parametrize(("observation", "kind"), [(CLEAR, VerdictKind.CONFIRM), (ILL, VerdictKind.ADD)])
def test_a_report_on_a_finding_that_was_not_called_confirms_or_adds_it(
    negative: Ward, observation: Obx, kind: VerdictKind
) -> None:
    negative.told(observation)
    assert negative.kinds == [kind]


def test_a_code_beats_the_phrases(positive: Ward) -> None:
    positive.told(CLEAR, Obx(kind="CWE", name=PNEUMONIA, value="52101004^Present^SCT"))
    assert positive.kinds == [VerdictKind.CONFIRM]


@pytest.mark.parametrize(
    ("observations", "reason"),
    [
        ((Obx(value="Heart size normal."),), "no-statement"),
        ((Obx(value="Left: no pneumonia. Right: pneumonia."),), "contradictory"),
        ((Obx(kind="ID", name=PNEUMONIA, value="Y"), Obx(kind="ID", name=PNEUMONIA, value="N")), "contradictory"),
        ((Obx(kind="CWE", name="18785-6^Reason for study^LN", value=PNEUMONIA),), "no-statement"),
        ((Obx(value=ILL.value, status="P"),), "no-statement"),
    ],
)
def test_what_is_not_said_is_not_guessed_and_the_report_signs_all_the_same(
    positive: Ward, observations: tuple[Obx, ...], reason: str
) -> None:
    positive.told(*observations)
    assert (positive.verdicts, assessing.reasons(positive.house)) == ((), [reason])
    assert positive.signoff is not None


def test_a_final_report_signs_the_version_and_the_final_goes_out(positive: Ward) -> None:
    positive.told(ILL, Obx(name="19005-8^Impression^LN", value="Pneumonia."))
    signoff = positive.signoff
    assert signoff is not None
    assert (signoff.reader, signoff.actor, signoff.conclusion) == ("marie", "gateway", "Pneumonia.")
    assert assessing.newest(positive.house).state is StudyState.SIGNED
    with positive.house.ledger.read() as conn:
        query = select(objects.c.kind).join(deliveries, deliveries.c.object_id == objects.c.id)
        sent = list(conn.scalars(query))
    assert sent.count(ObjectKind.DIAGNOSTIC_REPORT) == 2


@pytest.mark.parametrize("status", ["P", "R", "I", "X", "S"])
def test_a_report_that_is_not_final_is_noted_and_changes_nothing(positive: Ward, status: str) -> None:
    positive.told(CLEAR, status=status)
    assert (positive.verdicts, positive.signoff, assessing.reasons(positive.house)) == ((), None, [])
    assert assessing.audited(positive.house, "report.ignored") == ["not final"]


def test_the_same_message_again_changes_nothing(positive: Ward) -> None:
    positive.told(CLEAR)
    first = positive.verdicts
    positive.told(CLEAR)
    assert positive.verdicts == first
    assert len(assessing.audited(positive.house, "verdict")) == 1


def test_a_corrected_report_makes_a_new_verdict_and_the_sign_off_stays(positive: Ward) -> None:
    positive.told(CLEAR)
    signed = positive.signoff
    positive.told(ILL, status="C", control_id="2", reported="20260304070000+0000")
    assert positive.kinds == [VerdictKind.REJECT, VerdictKind.CONFIRM]
    assert positive.signoff == signed
    assert len(assessing.audited(positive.house, "report.after-sign-off")) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accession": "ACC-8"}, "no-study"),
        ({"patient_id": "SOMEBODY-ELSE"}, "no-study"),
        ({"reader": "nobody&Known&Nobody"}, "unknown-reader"),
        ({"reader": ""}, "unknown-reader"),
    ],
)
def test_a_report_that_fits_nothing_is_kept_with_its_reason(
    positive: Ward, changes: dict[str, object], reason: str
) -> None:
    positive.told(CLEAR, **changes)
    positive.told(CLEAR, **changes)
    assert (positive.verdicts, positive.signoff, assessing.reasons(positive.house)) == ((), None, [reason])


@pytest.mark.parametrize("reader", ["&Hahn&Otto", "^Hahn^Otto", "D1^Curie^Marie"])
def test_readers_are_known_however_their_names_are_laid_out(positive: Ward, reader: str) -> None:
    positive.told(CLEAR, reader=reader)
    assert [one.reader for one in positive.verdicts] == ["otto" if "Hahn" in reader else "marie"]


def test_a_report_before_any_answer_is_kept(tmp_path: Path) -> None:
    with assessing.hospital(tmp_path / "home") as (house, service):
        ward = Ward(house, service, 0.9)
        other = place.chest_study(8, AccessionNumber="ACC-8")
        place.arrive(house, other)
        ward.told(CLEAR, accession="ACC-8", patient_id=other.PatientID)
        assert assessing.reasons(house) == ["no-result"]


def test_two_studies_of_one_accession_are_not_chosen_between(positive: Ward) -> None:
    place.arrive(positive.house, place.chest_study(8, AccessionNumber="ACC-7", PatientID=positive.image.PatientID))
    positive.told(CLEAR)
    assert (positive.verdicts, assessing.reasons(positive.house)) == ((), ["several-studies"])


def test_an_assessment_that_came_before_does_not_hide_the_version_that_was_read(positive: Ward) -> None:
    ours = assessing.sr_of(positive.house, positive.result)
    place.arrive(positive.house, assess(ours, [Said(number=0, kind=VerdictKind.REJECT)], login="mcurie"))
    assert assessing.answer_all(positive.house) == ["ANSWERED"]
    positive.told(ILL)
    assert sorted(positive.kinds) == [VerdictKind.CONFIRM, VerdictKind.REJECT]
    assert positive.signoff is not None


def test_what_a_silent_version_said_is_nobodys_verdict(positive: Ward) -> None:
    silent = replace(positive.result, id="rs_silent", model=cards.version(digest="e" * 64, standing=Standing.SHADOW))
    with positive.house.ledger.write() as conn:
        assert results.add(conn, silent)
    positive.told(CLEAR)
    assert positive.kinds == [VerdictKind.REJECT]
    assert assessing.verdicts_of(positive.house, silent) == ()


def test_a_blinded_reader_says_so_by_a_code(positive: Ward) -> None:
    blinded = Obx(kind="CWE", name="AWARENESS^Awareness^99RADLOOP", value="BLINDED^Blinded^99RADLOOP")
    positive.told(CLEAR, blinded)
    assert [one.awareness for one in positive.verdicts] == [Awareness.BLINDED]


def test_a_catastrophic_pattern_costs_seconds_and_the_report_is_left_for_a_person(tmp_path: Path) -> None:
    slow = "[[phrases]]\nmodel = 'cxr_pneumonia'\nfinding = 'pneumonia'\npresent = ['(a+)+$']\n"
    with assessing.hospital(tmp_path / "home", slow) as (house, service):
        ward = Ward(house, service, 0.9)
        ward.told(Obx(value="a" * 60 + "!"))
        assert (ward.verdicts, assessing.reasons(house)) == ((), ["too-slow"])
