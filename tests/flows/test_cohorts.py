"""Cohorts end to end on a small home: what readers said, what was brought, and what is taken back."""

import asyncio
import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import Dataset
from sqlalchemy import func, insert, select

from flows import acquisitions, cohorts, drawing, freezing, importing
from flows.cohorts import Purpose, Taken
from flows.guards import SHARES, Reason, split_of
from flows.house import House
from models.catalog import catalog
from models.phantoms import brain_slices, chest
from models.training.arrays import Arrays
from radloop.domain.enums import (
    Awareness,
    Consent,
    RunState,
    Split,
    Urgency,
    VerdictKind,
    VerdictSource,
)
from radloop.domain.errors import NotFound, Permanent, Rejected, Unavailable, Unparsable
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Cohort, ConsentGiven
from radloop.domain.records import Code, Finding, ModelVersion, Verdict
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import consents, instances, patients, results, verdicts
from radloop.ledger.learning import cohorts as cohort_table
from radloop.ledger.learning import training_copies, training_runs
from radloop.ledger.tables import audit_events
from radloop.pixels import read_header
from tests.flows import cards, place
from tests.radloop.ledger.rows import result

MODEL = "cxr_pneumonia"
ME = "ml"
COLUMNS = ("file", "label", "patient", "split", "reader", "awareness", "site", "scanner", "sex", "age")


@pytest.fixture(autouse=True)
def small_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's card reads images of 256 rows; phantoms of tests are smaller."""
    spec = catalog()[MODEL]
    small = replace(spec, applicability=replace(spec.applicability, min_rows=64, min_columns=64))
    brain = catalog()["brain_mr_tumour"]
    monkeypatch.setattr(cohorts, "catalog", lambda: {MODEL: small, brain.name: brain})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = place.make_home(tmp_path / "home", more='[consent]\npolicy = "training"\n[training]\nagreements = 1.0')
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


def labelled_set(folder: Path, rows: list[dict[str, str]], datasets: list[Dataset]) -> Path:
    folder.mkdir(exist_ok=True)
    for row, ds in zip(rows, datasets, strict=False):
        ds.save_as(folder / row["file"], enforce_file_format=True)
    with (folder / "labels.csv").open("w", newline="") as table:
        out = csv.DictWriter(table, COLUMNS)
        out.writeheader()
        out.writerows(rows)
    return folder / "labels.csv"


def chests(count: int, **more: str) -> tuple[list[dict[str, str]], list[Dataset]]:
    rows = [
        {"file": f"{n}.dcm", "label": "pneumonia" if n % 2 else "no-finding", "patient": f"P{n}", **more}
        for n in range(count)
    ]
    return rows, [chest(n, opacity=bool(n % 2), rows=96) for n in range(count)]


def brought(house: House, folder: Path, count: int = 8, **options: object) -> Cohort:
    rows, datasets = chests(count)
    table = labelled_set(folder, rows, datasets)
    return cohorts.import_labelled(house, folder, table, MODEL, ME, **options)  # type: ignore[arg-type]


def rows_of(house: House, table: object) -> int:
    with house.ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


def arrays_of(house: House, cohort: Cohort) -> dict[Split, Arrays]:
    wanted = {member.split for member in cohort.members}
    return {split: cohorts.load_arrays(house, cohort, split) for split in wanted}


def test_an_imported_set_is_frozen_with_its_facts_and_loads_in_the_order_of_the_manifest(
    house: House, tmp_path: Path
) -> None:
    rows, datasets = chests(6, site="north", sex="female", age="61")
    rows[0]["age"] = ""
    datasets[0].PatientAge = "005M"
    table = labelled_set(tmp_path / "set", rows, datasets)
    cohort = cohorts.import_labelled(house, tmp_path / "set", table, MODEL, ME, site="elsewhere")
    assert len(cohort.members) == 6
    assert {member.facts.site for member in cohort.members} == {"north"}
    assert {member.facts.scanner for member in cohort.members} == {"Phantom"}
    assert {member.facts.sex for member in cohort.members} == {"F"}
    assert sorted({member.facts.age_band for member in cohort.members}) == ["0-17", "60-79"]
    assert {(m.label.reader, m.label.awareness, m.stratum, m.probability) for m in cohort.members} == {
        ("import", Awareness.BLINDED, "import", 1.0)
    }
    for split, arrays in arrays_of(house, cohort).items():
        members = [member for member in cohort.members if member.split is split]
        assert arrays.labels.tolist() == [member.label.value for member in members]
        assert arrays.groups.tolist() == [member.patient for member in members]
        assert list(arrays.facts) == [member.facts for member in members]
        assert arrays.small.shape == (len(members), 96, 96)
        assert arrays.large.shape == (len(members), 128, 128)


def test_importing_again_changes_nothing_at_all(house: House, tmp_path: Path) -> None:
    first = brought(house, tmp_path / "set")
    counts = [rows_of(house, table) for table in (training_copies, cohort_table, audit_events)]
    blobs = set(house.store.keys())
    second = brought(house, tmp_path / "set")
    assert second == first
    assert [rows_of(house, table) for table in (training_copies, cohort_table, audit_events)] == counts
    assert set(house.store.keys()) == blobs


def test_an_import_that_was_cut_short_goes_on_and_comes_to_the_same(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 3)
    seen: list[Taken] = []

    def killed(taken: Taken) -> None:
        seen.append(taken)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        brought(house, tmp_path / "set", told=killed)
    kept = rows_of(house, training_copies)
    assert 0 < kept < 8
    cohort = brought(house, tmp_path / "set")
    assert len(cohort.members) == rows_of(house, training_copies) == 8


def test_bad_files_are_told_counted_and_left(house: House, tmp_path: Path) -> None:
    rows, datasets = chests(9)
    rows[1]["label"] = "covid"
    rows[2]["file"] = "../outside.dcm"
    datasets[3] = brain_slices(1, lesion=True, count=1)[0]
    datasets[4].PixelData = b"\0" * 10
    rows.append({**rows[0]})
    rows.append({"file": "absent.dcm", "label": "pneumonia"})
    folder = tmp_path / "set"
    table = labelled_set(folder, rows, datasets)
    (folder / "5.dcm").write_bytes(b"no DICOM at all")
    told: list[Taken] = []
    cohort = cohorts.import_labelled(house, folder, table, MODEL, ME, told=told.append)
    assert len(told) == len(rows)
    assert {one.path.name: one.reason for one in told if one.reason} == {
        "1.dcm": Reason.NO_LABEL,
        "outside.dcm": Reason.UNREADABLE,
        "3.dcm": Reason.OUTSIDE,
        "4.dcm": Reason.UNDECODABLE,
        "5.dcm": Reason.UNREADABLE,
        "absent.dcm": Reason.UNREADABLE,
        "0.dcm": Reason.LISTED_TWICE,
    }
    assert len(cohort.members) == 4
    assert dict(cohort.left_out) == {
        "file cannot be read": 3, "label is not known": 1, "listed twice": 1, "outside the model's card": 1,
        "pixels cannot be decoded": 1,
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, "name,label\n", "file,text\na,b\n", b"\xff\xfe\x00"])
def test_a_table_without_its_columns_is_unparsable(house: House, tmp_path: Path, content: str | bytes | None) -> None:
    table = tmp_path / "labels.csv"
    if content is not None:
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Unparsable):
        cohorts.import_labelled(house, tmp_path, table, MODEL, ME)


def test_a_purpose_puts_all_into_test_or_none(house: House, tmp_path: Path) -> None:
    test = brought(house, tmp_path / "set", purpose=Purpose.TEST)
    assert {member.split for member in test.members} == {Split.TEST}
    with pytest.raises(Rejected, match="8 patient is in another split"):
        brought(house, tmp_path / "set", purpose=Purpose.TRAIN)


def test_a_table_may_name_splits_readers_and_awareness(house: House, tmp_path: Path) -> None:
    rows, datasets = chests(5, split="test")
    rows[0]["split"] = "Validation"
    rows[1]["awareness"] = "saw-ai"
    rows += [{**rows[2], "reader": "second", "label": "pneumonia"}, {**rows[3], "reader": "second", "label": "1"}]
    table = labelled_set(tmp_path / "set", rows, datasets)
    cohort = cohorts.import_labelled(house, tmp_path / "set", table, MODEL, ME)
    assert sorted((m.split, m.label.reader) for m in cohort.members) == [
        (Split.TEST, "import"), (Split.TEST, "import"), (Split.VALIDATION, "import"),
    ]  # fmt: skip
    assert dict(cohort.left_out) == {"not blinded": 1, "readers disagree": 1}


def test_near_duplicates_stay_in_one_split_where_images_have_no_patient(house: House, tmp_path: Path) -> None:
    (one,) = brain_slices(1, lesion=True, count=1)
    datasets = [one, *brain_slices(1, lesion=True, count=1)]
    datasets[1].SOPInstanceUID += ".1"
    datasets[1].file_meta.MediaStorageSOPInstanceUID = datasets[1].SOPInstanceUID
    array = datasets[1].pixel_array.copy()
    array[:2] = 0
    datasets[1].PixelData = array.tobytes()
    rows = [
        {"file": f"{n}.dcm", "label": "tumour", "patient": f"P{n}", "split": split}
        for n, split in enumerate(("train", "test"))
    ]
    table = labelled_set(tmp_path / "set", rows, datasets)
    cohort = cohorts.import_labelled(house, tmp_path / "set", table, "brain_mr_tumour", ME)
    assert [member.split for member in cohort.members] == [Split.TEST]
    assert cohort.left_out == (("nearly the same picture in another split", 1),)


def test_there_is_no_cohort_for_a_model_that_is_not_there(house: House, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        cohorts.build(house, "nothing", ME)
    with pytest.raises(Rejected, match="nothing was found"):
        cohorts.build(house, MODEL, ME)


def seen(house: House, seed: int, probability: float = 0.9, **changes: object) -> str:
    """A study that arrived and was read; the id of its result."""
    receipt = place.arrive(house, place.chest_study(seed, **changes))[0]
    with house.ledger.write() as conn:
        instance = instances.of_version(conn, receipt.version_id)[0]
        header = read_header(house.store.get(instance.blob.key))
        acquisition_rows.add(conn, [acquisitions.acquisition(instance, header)])
        model: ModelVersion = cards.version()
        found = Finding(
            target="pneumonia",
            code=Code("233604007", "SCT", "Pneumonia"),
            probability=probability,
            threshold=0.5,
            urgency=Urgency.ROUTINE,
            instance_id=instance.id,
        )
        made = result(receipt.version_id, id=new_id("rs"), model=model, findings=(found,))
        assert results.add(conn, made)
    return made.id


def judge(
    house: House,
    result_id: str,
    kind: VerdictKind = VerdictKind.CONFIRM,
    reader: str = "dr",
    awareness: Awareness = Awareness.BLINDED,
    later: int = 0,
) -> str:
    with house.ledger.write() as conn:
        about = results.get(conn, result_id)
        assert about is not None
        verdict = Verdict(
            id=new_id("ve"),
            result_id=result_id,
            version_id=about.version_id,
            target="pneumonia",
            kind=kind,
            reader=reader,
            actor=reader,
            at=utc_now() + timedelta(seconds=later),
            awareness=awareness,
            source=VerdictSource.REST,
            source_id=new_id("x"),
        )
        verdicts.add(conn, verdict)
    return verdict.id


def under(house: House, section: str, **values: object) -> House:
    """The house under another setting."""
    changed = getattr(house.settings, section).model_copy(update=values)
    return replace(house, settings=house.settings.model_copy(update={section: changed}))


def patient_of(house: House, cohort: Cohort, number: int = 0) -> str:
    return cohort.members[number].patient


def test_a_cohort_is_built_of_overrides_agreements_and_uncertain_cases(house: House) -> None:
    override = judge(house, seen(house, 1), VerdictKind.REJECT)
    agreement = judge(house, seen(house, 2))
    uncertain = judge(house, seen(house, 3, probability=0.45))
    missed = judge(house, seen(house, 4, probability=0.1), VerdictKind.ADD)
    cohort = cohorts.build(house, MODEL, ME)
    by_origin = {member.label.origin: member for member in cohort.members}
    assert {origin: (m.stratum, m.label.value, m.probability) for origin, m in by_origin.items()} == {
        override: ("override", 0, 1.0),
        agreement: ("agreement", 1, 1.0),
        uncertain: ("uncertain", 0, 1.0),
        missed: ("override", 1, 1.0),
    }
    assert all(m.instance_id and m.facts.site == "modality" and m.facts.scanner for m in cohort.members)
    assert all(m.split is split_of(m.patient, SHARES[Purpose.ALL]) for m in cohort.members)
    assert cohorts.build(house, MODEL, ME) == cohort
    assert rows_of(house, cohort_table) == 1


def test_agreements_that_are_not_drawn_are_counted(house: House) -> None:
    judge(house, seen(house, 1), VerdictKind.REJECT)
    judge(house, seen(house, 2))
    cohort = cohorts.build(under(house, "training", agreements=0.0), MODEL, ME)
    assert [m.stratum for m in cohort.members] == ["override"]
    assert cohort.left_out == (("agreement not drawn", 1),)


def test_nothing_is_copied_without_consent_and_a_patients_own_word_beats_the_policy(house: House) -> None:
    strict = under(house, "consent", policy="none")
    for seed in (1, 2):
        judge(house, seen(house, seed), VerdictKind.REJECT)
    with pytest.raises(Rejected, match="2 no consent"):
        cohorts.build(strict, MODEL, ME)
    assert rows_of(house, training_copies) == 0
    with house.ledger.write() as conn:
        ds = chest(1, opacity=True, rows=128)
        patient = patients.ensure(conn, ds.PatientID, ds.IssuerOfPatientID)
        consents.add(conn, ConsentGiven(patient=patient, consent=Consent.TRAINING, actor=ME, at=utc_now()))
    cohort = cohorts.build(strict, MODEL, ME)
    assert [m.patient for m in cohort.members] == [patient]
    assert cohort.left_out == (("no consent", 1),)
    with house.ledger.read() as conn:
        manifest = conn.scalar(select(cohort_table.c.manifest))
    assert [m["consent"] for m in json.loads(manifest or "")["members"]] == ["patient"]


def test_two_readers_who_differ_are_left_out_until_a_third_decides(house: House) -> None:
    first = seen(house, 1)
    judge(house, seen(house, 2))
    judge(house, first, VerdictKind.REJECT, "dr a")
    judge(house, first, VerdictKind.CONFIRM, "dr b")
    assert cohorts.build(house, MODEL, ME).left_out == (("readers disagree", 1),)
    judge(house, first, VerdictKind.CONFIRM, "dr c")
    cohort = cohorts.build(house, MODEL, ME)
    assert cohort.left_out == ()
    assert sorted((m.stratum, m.label.value) for m in cohort.members) == [("agreement", 1), ("override", 1)]


def test_a_reader_who_changes_their_mind_counts_once(house: House) -> None:
    first = seen(house, 1)
    judge(house, first, VerdictKind.REJECT, "dr a")
    newest = judge(house, first, VerdictKind.CONFIRM, "dr a", later=5)
    cohort = cohorts.build(house, MODEL, ME)
    assert [(m.label.origin, m.label.value, m.stratum) for m in cohort.members] == [(newest, 1, "agreement")]


def test_a_test_set_takes_blinded_labels_only(house: House) -> None:
    for seed in range(16):
        judge(house, seen(house, seed), VerdictKind.REJECT, awareness=Awareness.SAW_AI)
    cohort = cohorts.build(house, MODEL, ME)
    with house.ledger.read() as conn:
        everyone = [
            patients.find(conn, ds.PatientID, ds.IssuerOfPatientID)
            for ds in (chest(seed, opacity=True, rows=128) for seed in range(16))
        ]
    tests = sum(split_of(patient or "", SHARES[Purpose.ALL]) is Split.TEST for patient in everyone)
    assert Split.TEST not in {m.split for m in cohort.members}
    assert dict(cohort.left_out) == ({"not blinded": tests} if tests else {})
    assert len(cohort.members) == 16 - tests


def test_one_bad_study_stops_nothing(house: House) -> None:
    bad = seen(house, 1, PixelData=b"\0" * 4)
    gone = seen(house, 2)
    for one in (bad, gone, seen(house, 3)):
        judge(house, one, VerdictKind.REJECT)
    with house.ledger.read() as conn:
        about = results.get(conn, gone)
        assert about is not None
        house.store.delete(instances.of_version(conn, about.version_id)[0].blob.key)
    cohort = cohorts.build(house, MODEL, ME)
    assert len(cohort.members) == 1
    assert dict(cohort.left_out) == {"image is no longer stored": 1, "pixels cannot be decoded": 1}


def test_a_finding_that_the_model_missed_in_one_of_several_images_is_nobodys_label(house: House) -> None:
    first = chest(1, opacity=True, rows=128)
    second = chest(2, opacity=True, rows=128)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "AccessionNumber"):
        setattr(second, keyword, getattr(first, keyword))
    receipts = place.arrive(house, first, second)
    with house.ledger.write() as conn:
        found = instances.of_version(conn, receipts[0].version_id)
        rows = [acquisitions.acquisition(one, read_header(house.store.get(one.blob.key))) for one in found]
        acquisition_rows.add(conn, rows)
        finding = Finding(
            target="pneumonia",
            code=Code("233604007", "SCT", "Pneumonia"),
            probability=0.1,
            threshold=0.5,
            urgency=Urgency.ROUTINE,
            instance_id=found[0].id,
        )
        made = result(receipts[0].version_id, model=cards.version(), findings=(finding,))
        results.add(conn, made)
    judge(house, made.id, VerdictKind.ADD)
    judge(house, seen(house, 3))
    assert cohorts.build(house, MODEL, ME).left_out == (("not known which image shows it", 1),)


def test_earlier_cohorts_are_replayed_in_their_splits(house: House, tmp_path: Path) -> None:
    imported = brought(house, tmp_path / "set")
    judge(house, seen(house, 100), VerdictKind.REJECT)
    built = cohorts.build(house, MODEL, ME)
    assert sorted(m.stratum for m in built.members) == ["override", *["replay"] * 8]
    before = {m.patient: m.split for m in imported.members}
    assert all(m.split is before[m.patient] for m in built.members if m.patient in before)
    assert cohorts.counts(built)["stratum replay"] == 8
    assert cohorts.build(house, MODEL, ME) == built


def test_an_agreement_that_an_earlier_draw_took_is_replayed_with_the_chance_it_had(house: House) -> None:
    judge(house, seen(house, 1))
    judge(house, seen(house, 2), VerdictKind.REJECT)
    assert sorted(m.stratum for m in cohorts.build(house, MODEL, ME).members) == ["agreement", "override"]
    again = cohorts.build(under(house, "training", agreements=0.0), MODEL, ME, seed=1)
    assert sorted((m.stratum, m.probability) for m in again.members) == [("override", 1.0), ("replay", 1.0)]
    assert again.left_out == ()


def test_an_outside_readers_word_and_a_verdict_on_the_same_image_are_weighed_together(
    house: House, tmp_path: Path
) -> None:
    ds = place.chest_study(1)
    table = labelled_set(tmp_path / "set", [{"file": "1.dcm", "label": "no-finding"}], [ds])
    cohorts.import_labelled(house, tmp_path / "set", table, MODEL, ME)
    first = seen(house, 1)
    judge(house, seen(house, 2))
    judge(house, first)
    assert cohorts.build(house, MODEL, ME).left_out == (("readers disagree", 1),)


def trained(house: House, cohort: Cohort, digest: str) -> None:
    with house.ledger.write() as conn:
        values = {"id": new_id("tr"), "model": MODEL, "cohort_id": cohort.id, "digest": digest, "at": utc_now()}
        more = {"commit": "", "device": "cpu", "threads": 1, "processes": 1, "seed": 0, "actor": ME}
        conn.execute(insert(training_runs).values(**values, **more, state=RunState.DONE))


def test_withdrawn_consent_deletes_copies_lists_models_and_holds_for_ever(house: House, tmp_path: Path) -> None:
    cohort = brought(house, tmp_path / "set")
    trained(house, cohort, "d" * 64)
    patient, split = patient_of(house, cohort), cohort.members[0].split
    of = sum(member.split is split for member in cohort.members)
    keys = set(house.store.keys())
    done = cohorts.withdraw(house, patient, ME)
    assert (done.deleted, done.models) == (1, ("d" * 64,))
    assert len(keys - set(house.store.keys())) == 1
    with pytest.raises(Permanent, match=f"1 of {of} training copies"):
        cohorts.load_arrays(house, cohort, split)
    audited = rows_of(house, audit_events)
    again = cohorts.withdraw(house, patient, ME)
    assert (again.deleted, again.models) == (0, ("d" * 64,))
    assert rows_of(house, audit_events) == audited
    for later in (brought(house, tmp_path / "set"), cohorts.build(house, MODEL, ME)):
        assert patient not in {member.patient for member in later.members}
        assert dict(later.left_out) == {"no consent": 1}
    assert set(house.store.keys()) < keys
    with house.ledger.read() as conn:
        assert cohort_rows.get(conn, cohort.id) == cohort


def test_a_withdrawal_that_was_cut_short_is_finished_by_whatever_comes_next(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = brought(house, tmp_path / "set")
    patient = patient_of(house, cohort)

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(cohorts, "_forget", killed)
        with pytest.raises(KeyboardInterrupt):
            cohorts.withdraw(house, patient, ME)
    keys = set(house.store.keys())
    cohorts.build(house, MODEL, ME)
    assert len(keys - set(house.store.keys())) == 1
    assert cohorts.withdraw(house, patient, ME).deleted == 0


def test_consent_that_is_withdrawn_while_a_cohort_is_made_keeps_the_patient_out(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = brought(house, tmp_path / "set")
    patient = patient_of(house, cohort)
    honest = freezing.sift_all

    def meanwhile(*arguments: object) -> object:
        sifted = honest(*arguments)  # type: ignore[arg-type]
        cohorts.withdraw(house, patient, ME)
        return sifted

    with monkeypatch.context() as context:
        context.setattr(freezing, "sift_all", meanwhile)
        with pytest.raises(Unavailable):
            cohorts.build(house, MODEL, ME)
    assert patient not in {member.patient for member in cohorts.build(house, MODEL, ME).members}


def test_nobody_can_withdraw_for_a_patient_who_is_not_there(house: House) -> None:
    with pytest.raises(NotFound):
        cohorts.withdraw(house, "pa_nobody", ME)


def test_counts_and_audit_tell_of_no_patient(house: House, tmp_path: Path) -> None:
    cohort = brought(house, tmp_path / "set")
    told = json.dumps(cohorts.counts(cohort))
    with house.ledger.read() as conn:
        told += " ".join(conn.scalars(select(audit_events.c.detail)))
    for member in cohort.members:
        assert member.patient not in told
        assert member.content_sha256 not in told
    assert "PHANTOM" not in told
    assert {"members": 8, "stratum import": 8}.items() <= cohorts.counts(cohort).items()


def test_a_split_without_images_is_not_found(house: House, tmp_path: Path) -> None:
    cohort = brought(house, tmp_path / "set", purpose=Purpose.TEST)
    with pytest.raises(NotFound):
        cohorts.load_arrays(house, cohort, Split.TRAIN)


def test_replay_is_capped_for_each_scanner(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = brought(house, tmp_path / "set", count=12)
    monkeypatch.setattr(drawing, "REPLAYED", 2)
    built = cohorts.build(house, MODEL, ME)
    train = [m for m in built.members if m.split is Split.TRAIN]
    of = sum(m.split is Split.TRAIN for m in imported.members)
    assert [m.probability for m in train] == [min(1.0, 2 / of)] * min(2, of)
