"""What retention may delete, asked of each database."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from sqlalchemy import select, text, update

from radloop.domain.enums import Standing, Urgency, VerdictSource
from radloop.domain.ids import new_id
from radloop.domain.records import Evidence, Result, SignOff
from radloop.ledger import (
    Ledger,
    audit_reports,
    blobs,
    deliveries,
    holds,
    instances,
    objects,
    results,
    retained,
    signoffs,
    studies,
)
from radloop.ledger.learning import signoffs as signoff_table
from radloop.ledger.retained import Bound, Part, deletions
from radloop.ledger.tables import deliveries as delivery_table
from tests.radloop.ledger.rows import MODEL, NOW, arrival, finding, result, stored
from tests.radloop.ledger.test_audit_reports import report

DAY = timedelta(days=1)
DUE = Bound(NOW, audited=False)
AUDITED = Bound(NOW, audited=True)
EARLY = Bound(NOW - DAY, audited=False)
PICTURES, REPORTS = Part.PICTURES, Part.REPORTS


def version_of(ledger: Ledger, sop: str = "1.2.3.4", **header: str) -> str:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival(sop=sop, **header)])
    assert receipt.version_id is not None
    return receipt.version_id


def read(ledger: Ledger, version_id: str, *, answered: bool = True) -> Result:
    """A model read a version: a finding with pictures, and an object that was sent."""
    made = result(version_id, findings=(finding(picture_key=new_id("p"), heatmap_key=new_id("h")),))
    with ledger.write() as conn:
        version = studies.get(conn, version_id)
        assert version is not None
        studies.complete(conn, version_id, Evidence(), NOW, version.instances)
        studies.claim(conn, "t", NOW, NOW, 9, only=[version_id])
        results.add(conn, made)
        objects.add(conn, stored(made.id, identifier=new_id("2")))
        if answered:
            assert studies.answer(conn, version_id, "t", None, Urgency.ROUTINE, NOW)
    return made


def sign(ledger: Ledger, version_id: str, at: datetime = NOW) -> None:
    with ledger.write() as conn:
        signoffs.add(
            conn,
            SignOff(
                version_id=version_id, reader="ann", actor="ann", at=at, source=VerdictSource.REST, conclusion="Normal."
            ),
        )


def due(ledger: Ledger, part: Part, bound: Bound) -> tuple[str, ...]:
    with ledger.read() as conn:
        found = retained.due(conn, part, bound, 9)
        told = retained.candidates(conn, part, bound)
    # What a dry run says and what a run takes is one question.
    assert found == tuple(one.version_id for one in told if not one.kept_by)
    return found


def reasons(ledger: Ledger, part: Part, bound: Bound) -> list[tuple[str, ...]]:
    with ledger.read() as conn:
        return [one.kept_by for one in retained.candidates(conn, part, bound)]


def test_a_part_is_due_from_its_time_on_until_it_is_noted_as_gone(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    sign(ledger, version_id)
    for part in (PICTURES, REPORTS):
        assert due(ledger, part, EARLY) == ()
        assert due(ledger, part, DUE) == (version_id,)
    with ledger.write() as conn:
        assert retained.begin(conn, PICTURES, DUE, version_id, NOW) is not None
        assert retained.end(conn, PICTURES, version_id, (), NOW)
        assert not retained.end(conn, PICTURES, version_id, (), NOW)
        assert retained.begin(conn, PICTURES, DUE, version_id, NOW) is None
        assert signoffs.forgotten_at(conn, version_id) == NOW
    assert due(ledger, PICTURES, DUE) == ()
    assert due(ledger, REPORTS, DUE) == (version_id,)


def test_images_stay_while_a_later_version_of_the_study_needs_them(ledger: Ledger) -> None:
    first = version_of(ledger)
    read(ledger, first)
    second = version_of(ledger, "1.2.3.5")
    sign(ledger, first, NOW - DAY)
    assert due(ledger, PICTURES, EARLY) == ()
    assert reasons(ledger, PICTURES, EARLY) == [("a later version is open",)]
    assert due(ledger, REPORTS, EARLY) == (first,)
    read(ledger, second)
    sign(ledger, second)
    assert due(ledger, PICTURES, EARLY) == ()
    assert due(ledger, PICTURES, DUE) == (first, second)


def test_a_later_version_that_brought_nothing_to_read_keeps_no_images(ledger: Ledger) -> None:
    first = version_of(ledger)
    read(ledger, first)
    second = version_of(ledger, "1.2.3.5")
    sign(ledger, first)
    with ledger.write() as conn:
        studies.complete(conn, second, Evidence(), NOW, 2)
        studies.claim(conn, "t", NOW, NOW, 9, only=[second])
        assert studies.answer(conn, second, "t", None, Urgency.ROUTINE, NOW)
    assert due(ledger, PICTURES, DUE) == (first,)


def test_what_an_earlier_version_left_goes_with_the_one_that_was_signed(ledger: Ledger) -> None:
    first = version_of(ledger)
    before = read(ledger, first)
    second = version_of(ledger, "1.2.3.5")
    after = read(ledger, second)
    sign(ledger, second)
    with ledger.read() as conn:
        pictures, sent = (retained.blobs(conn, part, second) for part in (PICTURES, REPORTS))
        images = {one.blob.key: one.blob.size for one in instances.of_version(conn, second)}
        made = {one.blob.key: one.blob.size for it in (before, after) for one in objects.of_result(conn, it.id)}
    keys = {key for it in (before, after) for one in it.findings for key in (one.picture_key, one.heatmap_key)}
    assert pictures == {**images, **dict.fromkeys(keys)}
    assert sent == made


def test_what_an_earlier_version_signed_for_itself_goes_by_its_own_time(ledger: Ledger) -> None:
    first = version_of(ledger)
    before = read(ledger, first)
    second = version_of(ledger, "1.2.3.5")
    read(ledger, second)
    sign(ledger, first)
    sign(ledger, second)
    with ledger.read() as conn:
        assert objects.of_result(conn, before.id)[0].blob.key not in retained.blobs(conn, REPORTS, second)


def test_a_hold_keeps_every_part_of_every_version_until_it_is_lifted(ledger: Ledger) -> None:
    first, other = version_of(ledger), version_of(ledger, "1.9.1", study="1.9")
    sign(ledger, first)
    sign(ledger, other)
    with ledger.write() as conn:
        study = holds.study_of(conn, first)
        assert study is not None
        assert holds.study_of(conn, study) == study
        hold = holds.add(conn, study, "a claim", "ann", NOW)
    for part in (PICTURES, REPORTS):
        assert due(ledger, part, DUE) == (other,)
        assert sorted(reasons(ledger, part, DUE)) == [(), ("legal hold",)]
        with ledger.write() as conn:
            assert retained.begin(conn, part, DUE, first, NOW) is None
    with ledger.write() as conn:
        assert holds.lift(conn, hold.id, "settled", "bob", NOW + DAY)
        assert not holds.lift(conn, hold.id, "again", "bob", NOW + DAY)
        (known,) = holds.known(conn)
    assert (known.lifted_by, known.lifted_why, known.lifted_at) == ("bob", "settled", NOW + DAY)
    assert set(due(ledger, PICTURES, DUE)) == {first, other}


def test_a_hold_and_a_deletion_of_one_study_take_turns(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    sign(ledger, version_id)
    placed, ended = threading.Event(), list[object]()

    def begin() -> None:
        with ledger.write() as conn:
            ended.append(retained.begin(conn, PICTURES, DUE, version_id, NOW))

    with ledger.write() as conn:
        study = holds.study_of(conn, version_id)
        assert study is not None
        retained.lock_study(conn, study)
        deleting = threading.Thread(target=begin)
        deleting.start()
        deleting.join(0.3)
        assert not ended
        holds.add(conn, study, "a claim", "ann", NOW)
        placed.set()
    deleting.join(10)
    assert ended == [None]


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({"end": NOW + DAY, "at": NOW + DAY}, True),
        ({"end": NOW + DAY, "at": NOW + DAY, "model": MODEL.name}, True),
        ({"end": NOW + DAY, "at": NOW + DAY, "model": "another"}, False),
        ({"end": NOW, "at": NOW + DAY}, False),
        ({"end": NOW + DAY, "at": NOW - DAY}, False),
    ],
)
def test_what_no_audit_report_covers_yet_is_kept_where_the_site_says_so(
    ledger: Ledger, changes: dict[str, object], covered: bool
) -> None:
    version_id = version_of(ledger)
    read(ledger, version_id)
    sign(ledger, version_id)
    assert due(ledger, PICTURES, DUE) == (version_id,)
    assert reasons(ledger, PICTURES, AUDITED) == [("no audit report covers it yet",)]
    with ledger.write() as conn:
        audit_reports.add(conn, report(**changes))  # type: ignore[arg-type]
    assert bool(due(ledger, PICTURES, AUDITED)) is covered


def test_no_report_needs_to_cover_what_only_a_shadow_read(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    with ledger.write() as conn:
        results.add(conn, result(version_id, model=replace(MODEL, standing=Standing.SHADOW)))
    sign(ledger, version_id)
    assert due(ledger, PICTURES, AUDITED) == (version_id,)


@pytest.mark.parametrize(
    ("state", "commit_at", "kept"),
    [
        ("QUEUED", None, True),
        ("SENT", None, True),
        ("PARKED", None, True),
        ("ACCEPTED", NOW, True),
        ("ACCEPTED", None, False),
        ("COMMITTED", None, False),
        ("DROPPED", None, False),
    ],
)
def test_what_is_still_to_be_delivered_is_kept(
    ledger: Ledger, state: str, commit_at: datetime | None, kept: bool
) -> None:
    version_id = version_of(ledger)
    made = read(ledger, version_id)
    sign(ledger, version_id)
    with ledger.write() as conn:
        (one,) = objects.of_result(conn, made.id)
        deliveries.queue(conn, one, version_id, "pacs", Urgency.ROUTINE)
        conn.execute(update(delivery_table).values(state=state, commit_at=commit_at))
    assert bool(due(ledger, REPORTS, DUE)) is not kept
    assert due(ledger, PICTURES, DUE) == (version_id,)


def test_keys_that_are_about_to_go_are_noted_once_and_none_is_expected_in_a_backup(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    sign(ledger, version_id)
    with ledger.read() as conn:
        study = holds.study_of(conn, version_id)
        named = {one.blob.key for one in instances.of_version(conn, version_id)}
        assert study is not None
        assert retained.begun(conn, study) == 0
        assert blobs.at_rest(conn, " ", "~") == named
    for _ in range(2):
        with ledger.write() as conn:
            assert retained.begin(conn, PICTURES, DUE, version_id, NOW) == dict.fromkeys(named, 1000)
    with ledger.write() as conn:
        assert retained.begun(conn, study) == 1
        assert conn.execute(select(deletions.c.size, deletions.c.gone_at)).all() == [(1000, None)]
        retained.end(conn, PICTURES, version_id, named, NOW)
        assert conn.scalar(select(deletions.c.gone_at)) == NOW
        assert blobs.referenced(conn, named) == named
        assert blobs.at_rest(conn, " ", "~") == set()


def test_the_policy_that_was_looked_at_last_is_the_one_that_counts(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert not retained.seen(conn, "a")
        for number, digest in enumerate("aba"):
            retained.add_preview(conn, f"rp_{number}", retained.Preview(digest, "ann", NOW + number * DAY), "{}")
            assert [one for one in "ab" if retained.seen(conn, one)] == [digest]


def test_what_was_forgotten_before_there_was_a_record_of_it_is_recorded(ledger: Ledger) -> None:
    """The migration's own statements, on rows as an earlier radloop left them."""
    migration = import_module("radloop.ledger.migrations.versions.0009_retention")
    version_id, other = version_of(ledger), version_of(ledger, "1.9.1", study="1.9")
    made = read(ledger, version_id)
    for one in (version_id, other):
        sign(ledger, one)
    with ledger.write() as conn:
        conn.execute(update(signoff_table).where(signoff_table.c.version_id == version_id).values(forgotten_at=NOW))
        conn.execute(text(migration.FORGOTTEN_IMAGES))
        conn.execute(text(migration.FORGOTTEN_PICTURES))
        found = set(conn.scalars(select(deletions.c.blob_key).where(deletions.c.gone_at == NOW)))
        (image,) = instances.of_version(conn, version_id)
    assert found == {image.blob.key, made.findings[0].picture_key, made.findings[0].heatmap_key}
