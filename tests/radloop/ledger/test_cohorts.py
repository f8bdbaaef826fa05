import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select

from radloop.domain.enums import Awareness, RunState, Split
from radloop.domain.errors import IntegrityError, NotFound, Unavailable
from radloop.domain.learning import Cohort, CohortMember, Facts, Label
from radloop.ledger import Ledger, cohorts, copies, patients
from radloop.ledger.cohorts import Draw, Entry
from radloop.ledger.learning import cohort_members, training_runs
from radloop.ledger.learning import cohorts as table
from tests.radloop.ledger.rows import NOW
from tests.radloop.ledger.test_copies import copy

DRAW = Draw("verdicts", 3, 0.1, 0.05)


def entry(patient: str, number: int, split: Split = Split.TRAIN) -> Entry:
    member = CohortMember(
        copy_id=f"tc_{number}",
        patient=patient,
        instance_id=None,
        content_sha256=f"{number:064d}",
        pixel_sha256=f"{number:064d}",
        split=split,
        label=Label(target="pneumonia", value=number % 2, reader="ä", awareness=Awareness.BLINDED, origin="import"),
        facts=Facts(site="A", scanner="X1"),
        stratum="import",
        probability=0.1,
    )
    return Entry(member, None, "imported")


def frozen(*entries: Entry, cohort_id: str = "co_1") -> tuple[Cohort, str]:
    manifest = cohorts.manifest_of("cxr", "pneumonia", DRAW, entries)
    cohort = Cohort(
        id=cohort_id,
        digest=cohorts.digest_of(manifest),
        model="cxr",
        members=cohorts.members_of(manifest),
        left_out=(("no consent", 2),),
        actor="me",
        at=NOW,
    )
    return cohort, manifest


def people(conn: Connection, count: int) -> list[str]:
    found = [patients.ensure(conn, f"P{number}", "") for number in range(count)]
    for number, patient in enumerate(found):
        copies.add(conn, copy(patient, number))
    return found


def test_a_cohort_comes_back_as_it_was_frozen_by_id_and_by_digest(ledger: Ledger) -> None:
    with ledger.write() as conn:
        one, two = people(conn, 2)
        cohort, manifest = frozen(entry(one, 0), entry(two, 1, Split.TEST))
        assert cohorts.freeze(conn, cohort, manifest)
    with ledger.read() as conn:
        assert cohorts.get(conn, cohort.id) == cohorts.get(conn, cohort.digest) == cohort
        assert cohorts.latest(conn, "cxr") == cohort
        assert cohorts.latest(conn, "other") is None
        assert cohorts.known(conn) == cohorts.known(conn, "cxr") == (cohort,)
        assert cohorts.that_saw(conn, "tc_1") == (cohort.id,)
        with pytest.raises(NotFound):
            cohorts.get(conn, "co_none")


def test_freezing_the_same_again_makes_no_second_row(ledger: Ledger) -> None:
    with ledger.write() as conn:
        (one,) = people(conn, 1)
        assert cohorts.freeze(conn, *frozen(entry(one, 0)))
    with ledger.write() as conn:
        cohort, manifest = frozen(entry(one, 0), cohort_id="co_2")
        assert not cohorts.freeze(conn, replace(cohort, left_out=()), manifest)
        assert conn.scalar(select(func.count()).select_from(table)) == 1
        assert conn.scalar(select(func.count()).select_from(cohort_members)) == 1


@given(st.permutations(range(6)))
def test_the_digest_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    entries = [entry(f"pa_{number}", number, list(Split)[number % 3]) for number in range(6)]
    one = cohorts.manifest_of("cxr", "pneumonia", DRAW, entries)
    other = cohorts.manifest_of("cxr", "pneumonia", DRAW, [entries[number] for number in order])
    assert one == other


def test_the_manifest_is_canonical_and_says_where_every_label_is_from() -> None:
    manifest = cohorts.manifest_of("cxr", "pneumonia", DRAW, [entry("pa_1", 1)])
    said = json.loads(manifest)
    assert manifest == json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert said["draw"] == {"kind": "verdicts", "seed": 3, "agreements": 0.1, "uncertain": 0.05}
    (member,) = said["members"]
    assert member["consent"] == "imported"
    assert member["label"] == {
        "target": "pneumonia", "value": 1, "reader": "ä", "awareness": "BLINDED", "origin": "import",
    }  # fmt: skip
    assert member.keys() >= {"content_sha256", "pixel_sha256", "probability", "stratum", "split", "version_id"}


def test_any_change_of_a_member_is_another_digest() -> None:
    base = entry("pa_1", 1)
    changed = [
        replace(base, member=replace(base.member, split=Split.TEST)),
        replace(base, member=replace(base.member, probability=0.2)),
        replace(base, member=replace(base.member, label=replace(base.member.label, value=0))),
        replace(base, consent="policy"),
        replace(base, version_id="sv_1"),
    ]
    digests = {cohorts.digest_of(cohorts.manifest_of("cxr", "pneumonia", DRAW, [one])) for one in (base, *changed)}
    assert len(digests) == len(changed) + 1


def test_a_manifest_of_other_members_is_refused(ledger: Ledger) -> None:
    with ledger.write() as conn:
        one, two = people(conn, 2)
        cohort, manifest = frozen(entry(one, 0))
        _, other = frozen(entry(two, 1))
        with pytest.raises(IntegrityError):
            cohorts.freeze(conn, cohort, other)
        with pytest.raises(IntegrityError):
            cohorts.freeze(conn, replace(cohort, members=()), manifest)


def test_a_patient_keeps_the_split_over_all_cohorts(ledger: Ledger) -> None:
    with ledger.write() as conn:
        one, two = people(conn, 2)
        cohorts.freeze(conn, *frozen(entry(one, 0, Split.TEST)))
        assert cohorts.splits_of(conn, [one, two]) == {one: Split.TEST}
        assert cohorts.splits_of_pixels(conn, [f"{0:064d}", f"{1:064d}"]) == {f"{0:064d}": Split.TEST}
        with pytest.raises(Unavailable):
            cohorts.freeze(conn, *frozen(entry(one, 0, Split.TRAIN), entry(two, 1), cohort_id="co_2"))


def test_the_models_that_saw_a_patient_are_listed_by_digest(ledger: Ledger) -> None:
    with ledger.write() as conn:
        one, two = people(conn, 2)
        cohorts.freeze(conn, *frozen(entry(one, 0)))
        cohorts.freeze(conn, *frozen(entry(two, 1), cohort_id="co_2"))
        for number, (cohort_id, digest) in enumerate(
            (("co_1", "d1"), ("co_1", "d2"), ("co_1", None), ("co_2", "d3")), 1
        ):
            values = {"id": f"tr_{number}", "model": "cxr", "cohort_id": cohort_id, "digest": digest, "at": NOW}
            more = {"commit": "", "device": "cpu", "threads": 1, "processes": 1, "seed": 0, "actor": "me"}
            conn.execute(insert(training_runs).values(**values, **more, state=RunState.DONE))
        assert cohorts.digests_that_saw(conn, one) == ("d1", "d2")
        copies.forget(conn, ["tc_0"])
        assert cohorts.digests_that_saw(conn, one) == ("d1", "d2")
