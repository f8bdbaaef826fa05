from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert, update

from radloop.domain.enums import ObjectKind, RunState, Split, Standing
from radloop.domain.learning import TrainingRun
from radloop.domain.records import Acquisition
from radloop.ledger import Ledger, acquisitions, checks, instances, lineage, models, objects, results, studies
from radloop.ledger.checks import CheckOutcome
from radloop.ledger.learning import cohort_members, cohorts, patients, training_copies, training_runs
from radloop.ledger.tables import acquisitions as acquisition_table
from radloop.ledger.tables import study_versions
from tests.radloop.ledger.rows import MODEL, NOW, arrival, result, stored


def answered(conn: Connection, study: str = "1.2.3", sop: str = "1.2.3.4") -> tuple[str, str]:
    """A study version and its result, by their ids."""
    receipt = instances.record(conn, [arrival(study, sop, content=sop)])[0]
    assert receipt.version_id is not None
    made = result(receipt.version_id)
    results.add(conn, made)
    return receipt.version_id, made.id


def run(run_id: str, digest: str, parent: str | None, cohort: str = "co_1") -> TrainingRun:
    return TrainingRun(
        id=run_id, model=MODEL.name, cohort_id=cohort, parent=parent, digest=digest, state=RunState.DONE, commit="c",
        device="cpu", threads=1, processes=1, seed=1, mlflow_run=None, actor="ml.kim", at=NOW, ended_at=None,
    )  # fmt: skip


def trained(conn: Connection, *runs: TrainingRun) -> None:
    row = {"model": MODEL.name, "manifest": "{}", "left_out": [], "actor": "a", "at": NOW}
    conn.execute(insert(cohorts).values(id="co_1", digest="1" * 64, **row))
    for one in runs:
        conn.execute(insert(training_runs).values(**asdict(one)))


def test_a_result_is_found_by_every_name_that_a_person_may_hold(ledger: Ledger) -> None:
    with ledger.write() as conn:
        version_id, result_id = answered(conn)
        answered(conn, "9.9", "9.9.9")
        version = studies.get(conn, version_id)
        assert version is not None
        objects.add(conn, stored(result_id, ObjectKind.SR, "2.25.77"))
        objects.add(conn, stored(result_id, ObjectKind.ORU, "MSG10"))
        for name in (result_id, version_id, version.study_id, "1.2.3", "2.25.77", "MSG10"):
            assert lineage.results_named(conn, name) == (result_id,)
        for name in ("", "1.2", "nothing", "%"):
            assert lineage.results_named(conn, name) == ()


def test_a_study_names_the_results_of_all_its_versions_oldest_first(ledger: Ledger) -> None:
    with ledger.write() as conn:
        first, result_of_first = answered(conn)
        conn.execute(update(study_versions).where(study_versions.c.id == first).values(state="ANSWERED"))
        second, result_of_second = answered(conn, "1.2.3", "1.2.3.5")
        assert first != second
        assert lineage.results_named(conn, "1.2.3") == (result_of_first, result_of_second)
        assert lineage.versions_named(conn, "1.2.3") == (first, second)
        assert lineage.versions_named(conn, second) == (second,)


def test_what_a_version_read_is_told_with_its_standing_of_then(ledger: Ledger) -> None:
    with ledger.write() as conn:
        models.register(conn, MODEL)
        version_id, result_id = answered(conn)
        models.move(conn, MODEL.digest, Standing.CHAMPION, Standing.PREVIOUS)
        (reading,) = lineage.readings(conn, MODEL.digest)
        assert (reading.result_id, reading.version_id, reading.study_uid) == (result_id, version_id, "1.2.3")
        assert reading.standing is Standing.CHAMPION
        assert lineage.readings(conn, "0" * 64) == ()


def test_ancestry_follows_parents_to_the_first_and_ends_even_in_a_circle(ledger: Ledger) -> None:
    with ledger.write() as conn:
        trained(conn, run("tr_3", "c3", "c2"), run("tr_2", "c2", "c1"), run("tr_1", "c1", "c3"), run("tr_9", "x", None))
        assert [one.id for one in lineage.ancestry(conn, "c3")] == ["tr_3", "tr_2", "tr_1"]
        assert lineage.ancestry(conn, "shipped") == ()
        assert lineage.runs_of(conn, "c2") == (run("tr_2", "c2", "c1"),)


def test_a_deleted_copy_is_still_told_with_its_patient(ledger: Ledger) -> None:
    facts = {"model": "m", "patient": "pa_1", "site": "", "scanner": "", "sex": "", "age_band": "", "at": NOW}
    with ledger.write() as conn:
        trained(conn)
        conn.execute(insert(patients).values(id="pa_1", patient_id="P", issuer=""))
        for copy_id, key in (("tc_1", "k1"), ("tc_2", None)):
            row = {"id": copy_id, "content_sha256": copy_id, "pixel_sha256": "p", "blob_key": key, **facts}
            conn.execute(insert(training_copies).values(**row))
            conn.execute(insert(cohort_members).values(cohort_id="co_1", copy_id=copy_id, split=Split.TRAIN.value))
        found = lineage.copies_in(conn, "co_1")
    assert [(copy.copy_id, copy.patient, copy.kept) for copy in found] == [
        ("tc_1", "pa_1", True),
        ("tc_2", "pa_1", False),
    ]


def outcome(word: str, start: int, end: int) -> CheckOutcome:
    return CheckOutcome(
        suite="acquisition", check="kvp", outcome=word, rows=9, unexpected=0, detail="",
        window_start=NOW + timedelta(hours=start), window_end=NOW + timedelta(hours=end),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("windows", "word"),
    [
        ([("pass", -1, 1)], "pass"),
        ([("pass", -1, 1), ("fail", 0, 2)], "fail"),
        ([("fail", -3, 0), ("pass", 1, 2)], None),
        ([], None),
    ],
)
def test_only_checks_whose_window_held_the_acquisition_count_and_the_newest_of_them(
    ledger: Ledger, windows: list[tuple[str, int, int]], word: str | None
) -> None:
    with ledger.write() as conn:
        receipt = instances.record(conn, [arrival()])[0]
        assert receipt.instance_id is not None
        assert receipt.version_id is not None
        acquisitions.add(
            conn, [Acquisition(instance_id=receipt.instance_id, version_id=receipt.version_id, modality="CR")]
        )
        conn.execute(update(acquisition_table).values(at=NOW))
        for one in windows:
            checks.add(conn, [outcome(*one)])
        found = lineage.checks_around(conn, [receipt.instance_id])
    assert [one.outcome for one in found] == ([word] if word else [])
