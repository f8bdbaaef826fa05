import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

import models.zoo
from flows.audits import keeping
from flows.audits.accuracy import LEAST, Accuracy, Measured
from flows.audits.cases import Reading, gather
from flows.audits.measuring import Audit, measure
from flows.audits.period import Period, before, whole_days_before
from flows.audits.turnaround import Stage
from flows.house import House
from models.bundles import install, public_key
from models.spec import read_spec
from radloop.domain.enums import Standing, Urgency, VerdictKind
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.learning import Facts, TrainingCopy
from radloop.domain.records import Blob
from radloop.ledger import audit_reports, blobs, copies, patients
from radloop.ledger.audit_reports import AuditReport, audit_report_files
from radloop.ledger.audit_reports import audit_reports as table
from radloop.ledger.tables import audit_events, instances
from radloop.settings import Escalation
from radloop.store import Keyring
from tests.flows import auditing as told
from tests.flows import cards, place
from tests.flows.auditing import (
    ADD,
    BLIND,
    CALLED,
    NO,
    PERIOD,
    SAW,
    SILENT,
    YES,
    Told,
    blinded,
    saw,
    square,
    tell,
    tell_all,
)
from tests.recipes import as_written


def overall(audit: Audit, reading: Reading = Reading.BLINDED) -> Accuracy:
    (row,) = [row for row in audit.overall if row.group.reading is reading]
    return row


def close(number: Measured, value: float, n: int) -> bool:
    return number.value == pytest.approx(value) and number.n == n


def test_the_numbers_are_those_of_the_square_between_wilsons_bounds(house: House) -> None:
    tell_all(house, square(true=18, false=6, missed=2, quiet=24))
    row = overall(measure(house, PERIOD))
    assert close(row.sensitivity, 18 / 20, 20)
    assert close(row.specificity, 24 / 30, 30)
    assert close(row.ppv, 18 / 24, 24)
    assert close(row.npv, 24 / 26, 26)
    assert close(row.agreement, 42 / 50, 50)
    # Wilson 1927: 18 of 20 is 0.699 to 0.972.
    assert row.sensitivity.low == pytest.approx(0.6990, abs=1e-3)
    assert row.sensitivity.high == pytest.approx(0.9721, abs=1e-3)
    # Two probabilities only: the AUC is the mean of sensitivity and specificity.
    assert row.auc.value == pytest.approx((0.9 + 0.8) / 2)
    assert (row.cases, row.patients, row.positives) == (50, 50, 20)


def test_readers_who_saw_the_ai_are_counted_apart_and_a_corrected_word_leaves_its_blinded_one(house: House) -> None:
    tell_all(house, [Told(probability=CALLED, words=blinded(NO)) for _ in range(12)])
    tell_all(house, [Told(probability=CALLED, words=saw(YES)) for _ in range(15)])
    both = (("dr.lee", NO, BLIND), ("dr.lee", YES, SAW))
    tell(house, Told(probability=CALLED, words=both))
    audit = measure(house, PERIOD)
    assert close(overall(audit).ppv, 0.0, 13)
    assert close(overall(audit, Reading.SAW_AI).ppv, 1.0, 16)


def test_the_signers_word_counts_before_that_of_others(house: House) -> None:
    words = (("dr.zoe", YES, BLIND), ("dr.abe", NO, BLIND))
    tell_all(house, [Told(probability=CALLED, words=words, signer="dr.zoe") for _ in range(LEAST)])
    assert close(overall(measure(house, PERIOD)).ppv, 1.0, LEAST)


def test_below_ten_cases_there_is_insufficient_data_and_no_number(house: House) -> None:
    tell_all(house, square(true=9, false=0, missed=0, quiet=12))
    row = overall(measure(house, PERIOD))
    assert (row.sensitivity.value, row.sensitivity.n) == (None, 9)
    assert str(row.sensitivity) == "insufficient data (n 9)"
    assert (row.auc.value, row.auc.n) == (None, 9)
    assert row.specificity.value == 1.0


def test_studies_of_one_patient_widen_the_interval(house: House) -> None:
    tell_all(house, square(true=30, false=0, missed=10, quiet=0))
    apart = overall(measure(house, PERIOD)).sensitivity
    # The same forty cases, of four patients: one of them has all that were missed.
    house_of_four = PERIOD.end + timedelta(days=1)
    later = Period(PERIOD.end, PERIOD.end + timedelta(days=2))
    tell_all(
        house,
        [
            replace(one, at=house_of_four, patient=f"P{number // 10}")
            for number, one in enumerate(square(true=30, false=0, missed=10, quiet=0))
        ],
    )
    together = overall(measure(house, later)).sensitivity
    assert together.value == apart.value == 0.75
    assert apart.low is not None
    assert together.low is not None
    assert together.low < apart.low


def test_verification_is_shown_and_corrected_after_begg_and_greenes(house: House) -> None:
    # All 40 called answers are judged, and 20 of the 60 others: 10 of those have the finding.
    tell_all(house, square(true=30, false=10, missed=10, quiet=10))
    tell_all(house, [Told(probability=SILENT) for _ in range(40)])
    (row,) = [one for one in measure(house, PERIOD).verifications if one.group.reading is Reading.BLINDED]
    assert (row.called, row.called_judged, row.silent, row.silent_judged) == (40, 40, 60, 20)
    # Each judged silent answer stands for three: 30 of 30 + 30, and 30 of 30 + 10.
    assert row.sensitivity.value == pytest.approx(30 / 60)
    assert row.specificity.value == pytest.approx(30 / 40)


def test_subgroups_are_of_site_scanner_month_and_the_copys_sex_and_age(house: House) -> None:
    ids = tell_all(house, [Told(words=blinded(YES), site="south") for _ in range(LEAST)])
    tell_all(house, [Told(words=blinded(YES), scanner=("ACME", "Two", "")) for _ in range(3)])
    with house.ledger.write() as conn:
        for number, version in enumerate(ids):
            copies.add(conn, _copy(version, patients.ensure(conn, f"X{number}", ""), number))
    rows = {(row.group.fact, row.group.value): row.cases for row in measure(house, PERIOD).accuracies if row.cases}
    assert rows == {
        ("all", "all"): 13, ("site", "south"): 10, ("site", "north"): 3, ("scanner", "ACME One R1"): 10,
        ("scanner", "ACME Two"): 3, ("sex", "F"): 10, ("age_band", "60-79"): 10, ("month", "2026-01"): 13,
    }  # fmt: skip


def _copy(version_id: str, patient: str, number: int) -> TrainingCopy:
    return TrainingCopy(
        id=f"tc_{number}", model="cxr_pneumonia", patient=patient, version_id=version_id, instance_id=None,
        content_sha256=f"{number:064d}", pixel_sha256="p" * 64, blob=Blob(f"k{number}", "s" * 64, 1),
        facts=Facts(site="south", scanner="One", sex="F", age_band="60-79"), at=told.START,
    )  # fmt: skip


def test_sex_and_age_band_are_read_from_a_header_where_no_copy_is_and_a_deleted_image_has_none(house: House) -> None:
    for number in range(2):
        ds = place.chest_study(number, PatientSex="F", PatientAge="061Y")
        (receipt,) = place.arrive(house, ds)
        assert receipt.version_id is not None
        told.answer_and_sign(house, receipt.version_id, Told(words=blinded(YES)))
    with house.ledger.read() as conn:
        keys = list(conn.scalars(select(instances.c.blob_key)))
    house.store.delete(keys[0])
    rows = {(row.group.fact, row.group.value): row.cases for row in measure(house, PERIOD).accuracies if row.cases}
    assert (rows["all", "all"], rows["sex", "F"], rows["age_band", "60-79"]) == (2, 1, 1)


def test_a_card_that_is_installed_says_how_urgent_a_missed_finding_is(house: House) -> None:
    bundle = Path(models.zoo.__file__).parent / "cxr_pneumonia" / "bundle"
    spec = read_spec(install(bundle, house.settings.models_path, Keyring.load(house.settings.keys_path).signing_key))
    tell(house, Told(probability=0.001, words=saw(ADD), model=replace(cards.version(), digest=spec.digest)))
    (row,) = measure(house, PERIOD).missed
    assert row.urgency is spec.target("pneumonia").escalates_to


def test_only_what_was_signed_in_the_period_and_said_aloud_as_champion_counts(house: House) -> None:
    tell(house, Told(words=blinded(YES), at=PERIOD.start))
    tell(house, Told(words=blinded(YES), at=PERIOD.end))
    tell(house, Told(words=blinded(YES), at=PERIOD.start - timedelta(seconds=1)))
    tell(house, Told(words=blinded(YES), standing=Standing.SHADOW))
    audit = measure(house, PERIOD)
    assert (audit.counts.signed, audit.counts.answered, audit.counts.silent) == (2, 1, 1)
    assert overall(audit).cases == 1


def test_an_empty_period_is_said_to_be_empty(house: House) -> None:
    audit = measure(house, PERIOD)
    assert audit.accuracies == ()
    assert audit.counts.signed == 0
    report = keeping.make(house, PERIOD, "ann")
    page = keeping.content(house, report, keeping.HTML).decode()
    assert "insufficient data for any accuracy" in page
    assert "No answered study was signed" in page


def stage(audit: Audit, urgency: Urgency, name: str) -> Stage:
    return next(one for one in audit.stages if (one.urgency, one.name) == (urgency, name))


def test_turnaround_is_told_by_urgency_and_stage_and_clocks_that_differ_are_left_out(house: House) -> None:
    tell_all(house, [Told(wait=timedelta(minutes=m)) for m in range(1, 11)])
    tell_all(house, [Told(probability=SILENT, wait=timedelta(hours=5)) for _ in range(LEAST)])
    # Signed, by the RIS's clock, before it was received by ours.
    tell(house, Told(wait=timedelta(minutes=-3)))
    audit = measure(house, PERIOD)
    signed = stage(audit, Urgency.URGENT, "received to signed")
    assert (signed.median, signed.n, signed.behind) == (330.0, 10, 1)
    assert signed.ninth == pytest.approx(546.0)
    assert stage(audit, Urgency.URGENT, "answered to accepted").median == 20.0
    assert stage(audit, Urgency.ROUTINE, "received to signed").median == 5 * 3600.0
    assert stage(audit, Urgency.CRITICAL, "received to signed").median is None


def test_findings_that_a_reader_saw_and_the_model_did_not_call_are_named_by_study_and_no_others(house: House) -> None:
    missed = tell(house, Told(probability=SILENT, words=saw(ADD)))
    tell(house, Told(probability=SILENT, words=saw(YES)))
    tell(house, Told(probability=CALLED, words=saw(YES)))
    (row,) = measure(house, PERIOD).missed
    assert (row.version_id, row.target, row.reading) == (missed, "pneumonia", Reading.SAW_AI)
    # The bundle of the test's card is not installed: what is not known is not taken for harmless.
    assert row.urgency is None
    assert row.critical


def test_the_sites_own_escalation_says_how_urgent_a_missed_finding_is(house: House) -> None:
    rule = {"cxr_pneumonia": {"pneumonia": Escalation(escalate_at=0.9, urgency=Urgency.ROUTINE)}}
    settings = house.settings.model_copy(update={"escalation": rule})
    tell(house, Told(probability=SILENT, words=saw(ADD)))
    (row,) = measure(replace(house, settings=settings), PERIOD).missed
    assert (row.urgency, row.critical) == (Urgency.ROUTINE, False)


def test_a_report_is_kept_signed_and_checked_and_names_no_reader_and_no_patient(house: House) -> None:
    tell_all(house, square(true=12, false=3, missed=3, quiet=12, make=_by_lee))
    report = keeping.make(house, PERIOD, "ann")
    assert keeping.verify(house, report.id) == report
    assert set(report.files) == {"report.html", "report.pdf", "data.json"}
    for name in report.files:
        data = keeping.content(house, report, name)
        assert told.SECRET.encode() not in data
        assert b"dr.lee" not in data
    assert keeping.content(house, report, keeping.PDF).startswith(b"%PDF-")
    with house.ledger.read() as conn:
        assert audit_reports.known(conn) == (report,)
        row = conn.execute(select(audit_events).where(audit_events.c.action == "report.make")).one()
        assert blobs.referenced(conn, [blob.key for blob in report.files.values()]) == {
            blob.key for blob in report.files.values()
        }
    assert (row.actor, row.object_id) == ("ann", report.id)
    assert report.digest in row.detail


def _by_lee(**changes: object) -> Told:
    return Told(**{"signer": "dr.lee", **changes})  # type: ignore[arg-type]


def test_subgroups_that_are_too_small_are_named_with_their_size_and_not_tabled(house: House) -> None:
    tell_all(house, square(true=12, false=3, missed=3, quiet=12))
    tell_all(house, [Told(words=blinded(YES), site="island") for _ in range(3)])
    page = keeping.content(house, keeping.make(house, PERIOD, "ann"), keeping.HTML).decode()
    assert "Fewer than 10 cases, insufficient data: site island (3)." in page
    assert "<td>site north</td>" in page
    assert "<td>site island</td>" not in page


def test_the_data_beside_the_report_has_every_number_as_json(house: House) -> None:
    tell_all(house, square(true=12, false=3, missed=3, quiet=12))
    data = json.loads(keeping.content(house, keeping.make(house, PERIOD, "ann"), keeping.DATA))
    assert data["counts"] == {"signed": 30, "answered": 30, "silent": 0, "judged": 30, "readers": 1}
    first = data["accuracy"][0]
    assert (first["group"]["reading"], first["cases"], first["sensitivity"]["value"]) == ("blinded", 30, 0.8)
    assert len(data["missed"]) == 3
    assert sum(Counter(one["counts"]).total() for one in data["verdicts"]) == 30


def test_the_same_period_measured_again_gives_the_same_numbers(house: House) -> None:
    tell_all(house, [replace(one, patient=f"P{n % 7}") for n, one in enumerate(square(15, 4, 3, 15))])
    assert measure(house, PERIOD) == measure(house, PERIOD)


def test_whatever_is_changed_is_found(house: House) -> None:
    report = keeping.make(house, PERIOD, "ann")
    with house.ledger.write() as conn:
        other = house.store.put(b"another page")
        page = audit_report_files.c.name == keeping.HTML
        conn.execute(update(audit_report_files).where(page).values(blob_key=other.key))
    with pytest.raises(IntegrityError, match=r"report\.html of the report was changed"):
        keeping.verify(house, report.id)
    with house.ledger.write() as conn:
        conn.execute(update(table).values(manifest=report.manifest.replace("2026", "2025")))
    with pytest.raises(IntegrityError, match="manifest"):
        keeping.verify(house, report.id)
    with house.ledger.write() as conn:
        page = audit_report_files.c.name == keeping.HTML
        conn.execute(update(audit_report_files).where(page).values(blob_key=report.files[keeping.HTML].key))
    remade(house, report, {"end": "2030-01-01T00:00:00+00:00"})
    with pytest.raises(IntegrityError, match="not signed by this site's key"):
        keeping.verify(house, report.id)


def remade(house: House, report: AuditReport, changes: dict[str, object]) -> None:
    """Other facts in a report's manifest, and the digest that goes with them; the signature is the old one."""
    manifest = json.dumps({**json.loads(report.manifest), **changes})
    with house.ledger.write() as conn:
        conn.execute(update(table).values(manifest=manifest, digest=audit_reports.digest_of(manifest)))


def test_a_report_of_an_earlier_radloop_says_how_to_make_it_again(house: House) -> None:
    report = keeping.make(house, PERIOD, "ann")
    remade(house, report, {"format": 1})
    with pytest.raises(IntegrityError, match=r"earlier radloop.*radloop report run --from 2026-"):
        keeping.verify(house, report.id)


def test_a_saved_report_is_checked_anywhere_as_the_docs_say(house: House, tmp_path: Path) -> None:
    report = keeping.make(house, PERIOD, "ann")
    folder = tmp_path / "out"
    written = keeping.save(house, report.id, folder)
    assert {path.name for path in written} == {*report.files, "manifest.json", "report.sig"}
    pem = tmp_path / "site.pub"
    pem.write_bytes(public_key(Keyring.load(house.settings.keys_path).signing_key))
    names = {"FOLDER": folder, "site.pub": pem}
    done = as_written("audits.md", names)
    assert done.returncode == 0, done.stderr
    (folder / "data.json").write_bytes((folder / "data.json").read_bytes() + b" ")
    assert as_written("audits.md", names).returncode == 1
    with pytest.raises(FileExistsError):
        keeping.save(house, report.id, folder)


def test_scheduled_reports_leave_no_day_out_and_a_run_that_is_done_again_makes_no_second(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 4, 1, 6, 0, tzinfo=UTC)
    monkeypatch.setattr(keeping, "utc_now", lambda: now)
    first = keeping.audit_due(house)
    assert keeping.audit_due(house) == first
    assert (first.end, first.end - first.start) == (datetime(2026, 4, 1, tzinfo=UTC), timedelta(days=90))
    keeping.make(house, before(now), "ann")  # by hand, in between: the schedule goes on from its own
    now = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
    second = keeping.audit_due(house)
    assert (second.start, second.end) == (first.end, datetime(2026, 7, 1, tzinfo=UTC))


def test_a_model_that_nobody_knows_and_a_period_that_ends_before_it_begins_are_refused(house: House) -> None:
    with pytest.raises(NotFound):
        keeping.make(house, PERIOD, "ann", "no_such")
    with pytest.raises(NotFound):
        keeping.verify(house, "ar_none")
    with pytest.raises(Rejected):
        Period(PERIOD.end, PERIOD.start)


def test_whole_days_end_at_midnight() -> None:
    period = whole_days_before(datetime(2026, 4, 1, 6, 30, tzinfo=UTC))
    assert (period.end, period.days) == (datetime(2026, 4, 1, tzinfo=UTC), 90.0)


def test_an_audit_of_one_model_leaves_the_others_out(house: House) -> None:
    tell(house, Told(words=blinded(YES)))
    with house.ledger.read() as conn:
        assert len(gather(conn, PERIOD, "cxr_pneumonia").cases) == 1
        assert gather(conn, PERIOD, "another").cases == ()


def test_verdicts_are_counted_by_kind_and_by_what_the_model_said(house: House) -> None:
    tell_all(house, square(true=2, false=1, missed=3, quiet=4))
    counts = {(one.called, kind): n for one in measure(house, PERIOD).kinds for kind, n in one.counts.items()}
    assert counts == {
        (True, VerdictKind.CONFIRM): 2, (True, VerdictKind.REJECT): 1, (False, VerdictKind.ADD): 3,
        (False, VerdictKind.CONFIRM): 4,
    }  # fmt: skip
