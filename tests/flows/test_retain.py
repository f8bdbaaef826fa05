"""Retention: a policy that was looked at deletes what is due and nothing else; killed anywhere, it ends the same."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from flows import cohorts, consent, holds, retain
from flows.forgetting import Gone
from flows.house import House, open_house
from flows.retain import keep_retaining, preview
from flows.signing_off import sign_off
from radloop.domain.enums import ObjectKind
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Facts, TrainingCopy
from radloop.domain.records import Result, StoredObject
from radloop.ledger import copies, instances, objects, patients, signoffs
from radloop.ledger.learning import signoffs as signoff_table
from radloop.ledger.retained import Part
from radloop.ledger.tables import audit_events
from radloop.settings import load_settings
from tests.flows import place
from tests.flows.readings import answer, answered, introduce, signoff
from tests.flows.runners import ROOT
from tests.radloop.ledger import rows

POLICY = """
[retention]
pictures_days = {pictures}
reports_days = {reports}
keep_for_audits = {audits}
"""
DAY = timedelta(days=1)


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[House]:
    opened = place.make_home(tmp_path / "hospital", more=POLICY.format(pictures=30, reports=60, audits="false"))
    introduce(opened.ledger)
    yield opened
    asyncio.run(opened.http.aclose())
    opened.ledger.close()


def changed(house: House, **policy: object) -> House:
    """The same home under another policy."""
    path = house.settings.home / "radloop.toml"
    kept = path.read_text().split("[retention]")[0]
    path.write_text(kept + POLICY.format(**{"pictures": 30, "reports": 60, "audits": "false", **policy}))
    return open_house(load_settings(house.settings.home))


def signed(house: House, days_ago: float, seed: int = 1) -> Result:
    """A study with image, picture, heatmap and a sent object, signed so many days ago."""
    keys = {name: house.store.put(name.encode()).key for name in ("picture_key", "heatmap_key")}
    result = answered(house, seed, findings=(rows.finding(**keys),))
    with house.ledger.write() as conn:
        objects.add(
            conn,
            StoredObject(
                id=new_id("ob"), result_id=result.id, kind=ObjectKind.SR, ordinal=0, identifier=new_id("2"),
                media_type="application/dicom", blob=house.store.put(b"sent"),
            ),
        )  # fmt: skip
    sign_off(house, signoff(result))
    with house.ledger.write() as conn:
        row = signoff_table.c.version_id == result.version_id
        conn.execute(update(signoff_table).where(row).values(at=utc_now() - timedelta(days=days_ago)))
    return result


def keys_of(house: House, result: Result, part: Part) -> list[str]:
    with house.ledger.read() as conn:
        if part is Part.REPORTS:
            return [one.blob.key for one in objects.of_result(conn, result.id)]
        images = [one.blob.key for one in instances.of_version(conn, result.version_id)]
    (finding,) = result.findings
    return [*images, str(finding.picture_key), str(finding.heatmap_key)]


def there(house: House, result: Result, part: Part) -> list[bool]:
    """For every stored object of a part, whether it can be read."""
    at_rest = set(house.store.keys())
    return [key in at_rest for key in keys_of(house, result, part)]


def actions(house: House) -> list[str]:
    with house.ledger.read() as conn:
        return list(conn.scalars(select(audit_events.c.action).order_by(audit_events.c.at)))


def test_a_policy_that_nobody_looked_at_deletes_nothing_whoever_runs_it(hospital: House) -> None:
    result = signed(hospital, 99)
    with pytest.raises(Rejected, match="radloop retain --dry-run"):
        retain.retain(hospital, "ann")
    assert all(there(hospital, result, Part.PICTURES))
    preview(hospital, "ann")
    other = changed(hospital, pictures=1)
    with pytest.raises(Rejected, match="radloop retain --dry-run"):
        retain.retain(other, "ann")
    assert all(there(hospital, result, Part.PICTURES))
    retain.retain(hospital, "ann")
    assert not any(there(hospital, result, Part.PICTURES))


def test_each_part_goes_by_its_own_time_and_the_rows_stay(hospital: House) -> None:
    young, middle, old = signed(hospital, 29, 1), signed(hospital, 31, 2), signed(hospital, 61, 3)
    preview(hospital, "ann")
    done = retain.retain(hospital, "ann")
    for result, pictures, reports in ((young, True, True), (middle, False, True), (old, False, False)):
        assert set(there(hospital, result, Part.PICTURES)) == {pictures}
        assert set(there(hospital, result, Part.REPORTS)) == {reports}
        with hospital.ledger.read() as conn:
            assert len(instances.of_version(conn, result.version_id)) == 1
            assert (signoffs.forgotten_at(conn, result.version_id) is None) is pictures
    assert done.versions == {Part.PICTURES: 2, Part.REPORTS: 1}
    assert done.gone.objects == 2 * 3 + 1
    assert actions(hospital).count("forget") == 3
    assert retain.retain(hospital, "ann").gone.objects == 0


def test_a_dry_run_changes_nothing_and_says_what_a_run_then_does(hospital: House) -> None:
    results = [signed(hospital, days, days) for days in (20, 40, 70)]
    held = signed(hospital, 80, 80)
    holds.place(hospital, held.version_id, "ann", "a claim")
    before = set(hospital.store.keys())
    plan = preview(hospital, "ann")
    assert set(hospital.store.keys()) == before
    assert preview(hospital, "ann").due == plan.due
    done = retain.retain(hospital, "ann")
    told = {part: [one for one in plan.going if one.part is part] for part in done.versions}
    assert done.versions == {part: len(some) for part, some in told.items()}
    assert done.gone == sum((one.gone for one in plan.going), Gone())
    assert len(before) - len(set(hospital.store.keys())) == done.gone.objects
    for result in results:
        gone = {one.part for one in plan.going if one.version_id == result.version_id}
        for part in done.versions:
            assert any(there(hospital, result, part)) is (part not in gone)
    assert {(one.version_id, one.kept_by) for one in plan.kept} == {(held.version_id, ("legal hold",))}


def test_images_that_two_versions_share_are_counted_and_deleted_once(hospital: House) -> None:
    result = signed(hospital, 99)
    (late,) = place.arrive(hospital, place.chest_study(1, SOPInstanceUID="2.25.77"))
    assert late.version_id not in (None, result.version_id)
    second = answer(hospital.ledger, str(late.version_id))
    sign_off(hospital, signoff(second))
    with hospital.ledger.write() as conn:
        conn.execute(update(signoff_table).values(at=utc_now() - 99 * DAY))
    plan = preview(hospital, "ann")
    assert retain.retain(hospital, "ann").gone == sum((one.gone for one in plan.going), Gone())


def test_a_hold_beats_the_policy_until_it_is_lifted(hospital: House) -> None:
    result = signed(hospital, 99)
    hold = holds.place(hospital, result.version_id, "ann", "a claim").hold
    preview(hospital, "ann")
    retain.retain(hospital, "ann")
    assert all(there(hospital, result, Part.PICTURES) + there(hospital, result, Part.REPORTS))
    holds.lift(hospital, hold.id, "bob", "settled")
    retain.retain(hospital, "ann")
    assert not any(there(hospital, result, Part.PICTURES) + there(hospital, result, Part.REPORTS))
    assert [one for one in actions(hospital) if "hold" in one] == ["hold", "unhold"]


def test_a_study_that_no_audit_covers_is_kept_where_the_site_says_so(hospital: House) -> None:
    result = signed(hospital, 99)
    careful = changed(hospital, audits="true")
    plan = preview(careful, "ann")
    assert {one.kept_by for one in plan.due} == {("no audit report covers it yet",)}
    assert retain.retain(careful, "ann").gone.objects == 0
    assert all(there(hospital, result, Part.PICTURES))


@pytest.mark.parametrize("when", ["2", "end", "4"])
def test_killed_anywhere_it_is_finished_by_the_next_run_and_noted_once(hospital: House, when: str) -> None:
    result = signed(hospital, 99)
    preview(hospital, "ann")
    argv = [sys.executable, "-m", "tests.flows.drive_retain", str(hospital.settings.home), when]
    assert subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode == -9
    assert not all(there(hospital, result, Part.PICTURES))
    retain.retain(hospital, "ann")
    assert not any(there(hospital, result, Part.PICTURES) + there(hospital, result, Part.REPORTS))
    assert actions(hospital).count("forget") == 2


def test_a_hold_that_comes_while_a_study_is_deleted_is_told_so(hospital: House) -> None:
    result = signed(hospital, 99)
    preview(hospital, "ann")
    argv = [sys.executable, "-m", "tests.flows.drive_retain", str(hospital.settings.home), "1"]
    subprocess.run(argv, cwd=ROOT, timeout=60, check=False)
    assert holds.place(hospital, result.version_id, "ann", "a claim").gone == 3
    retain.retain(hospital, "ann")
    assert sorted(there(hospital, result, Part.PICTURES)) == [False, True, True]


def copy_of(house: House, number: str) -> str:
    """A training copy of a patient, in the store; the patient's surrogate id."""
    with house.ledger.write() as conn:
        patient = patients.ensure(conn, number, "")
        copies.add(
            conn,
            TrainingCopy(
                id=new_id("tc"), model="m", patient=patient, version_id=None, instance_id=None,
                content_sha256=new_id("c"), pixel_sha256=new_id("p"), blob=house.store.put(b"copy"),
                facts=Facts(site="", scanner="", sex="", age_band=""), at=utc_now(),
            ),
        )  # fmt: skip
    return patient


def test_a_withdrawn_copy_that_was_left_is_swept_whatever_policy_was_looked_at(hospital: House) -> None:
    gone, kept = copy_of(hospital, "P1"), copy_of(hospital, "P2")
    consent.take_back(hospital, "P1", "", "ann")
    assert preview(hospital, "ann").copies == {gone: 1}
    unseen = changed(hospital, pictures=7)
    with pytest.raises(Rejected):
        retain.retain(unseen, "ann")
    with hospital.ledger.read() as conn:
        assert copies.of_patient(conn, gone) == {}
        assert len(copies.of_patient(conn, kept)) == 1
    assert actions(hospital).count("copies.delete") == 1
    cohorts.withdraw(hospital, kept, "ann")
    assert preview(hospital, "ann").copies == {}


def test_the_runner_says_once_that_a_policy_waits_and_obeys_it_once_it_was_seen(
    hospital: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = signed(hospital, 99)
    monkeypatch.setattr(retain, "EVERY_SECONDS", 0.05)

    async def story() -> tuple[bool, bool]:
        running = asyncio.create_task(keep_retaining(hospital))
        await asyncio.sleep(0.4)
        before = all(there(hospital, result, Part.PICTURES))
        await asyncio.to_thread(preview, hospital, "ann")
        for _ in range(100):
            await asyncio.sleep(0.05)
            if not any(there(hospital, result, Part.PICTURES) + there(hospital, result, Part.REPORTS)):
                break
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return before, any(there(hospital, result, Part.PICTURES))

    with capture_logs() as logged:
        assert asyncio.run(story()) == (True, False)
    assert [one["event"] for one in logged].count("retention waits for a dry run") == 1


def test_a_clock_that_is_set_while_the_runner_works_deletes_nothing_early(
    hospital: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = signed(hospital, 29.5)
    preview(hospital, "ann")
    monkeypatch.setattr(retain, "EVERY_SECONDS", 0.05)

    async def story() -> None:
        running = asyncio.create_task(keep_retaining(hospital))
        await asyncio.sleep(0.2)
        monkeypatch.setattr(retain, "utc_now", lambda: utc_now() + DAY)
        await asyncio.sleep(0.5)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with capture_logs() as logged:
        asyncio.run(story())
    assert all(there(hospital, result, Part.PICTURES))
    assert "the clock was set" in str(logged)


def test_a_reason_stays_in_the_ledger_and_is_in_no_audit_and_no_log(hospital: House) -> None:
    result = signed(hospital, 99)
    with capture_logs() as logged:
        hold = holds.place(hospital, result.version_id, "ann", "QZXWKVJ v. hospital").hold
        assert holds.place(hospital, result.version_id, "ann", "QZXWKVJ v. hospital").hold == hold
        holds.lift(hospital, hold.id, "ann", "QZXWKVJ settled")
    with hospital.ledger.read() as conn:
        assert [one.why for one in holds.holds(conn)] == ["QZXWKVJ v. hospital"]
        assert not [one for one in conn.scalars(select(audit_events.c.detail)) if "QZXWKVJ" in one]
    assert "QZXWKVJ" not in str(logged)


def test_a_hold_needs_a_study_and_a_reason_and_a_number_of_one_patient(hospital: House) -> None:
    result = signed(hospital, 1)
    for why in ("", "  ", "a\0b", "x" * 2001):
        with pytest.raises(Rejected, match="reason"):
            holds.place(hospital, result.version_id, "ann", why)
    with pytest.raises(NotFound):
        holds.place(hospital, "st_0", "ann", "why")
    with pytest.raises(NotFound):
        holds.lift(hospital, "lh_0", "ann", "why")
    for number in ("", "none has it"):
        with pytest.raises(NotFound) as raised:
            holds.accession(hospital, number)
        assert "none has it" not in str(raised.value)
    place.arrive(hospital, place.chest_study(8, AccessionNumber="77", PatientID="A"))
    (study,) = holds.accession(hospital, "77")
    assert holds.place(hospital, study, "ann", "why").hold.study_id == study
    place.arrive(hospital, place.chest_study(9, AccessionNumber="77", PatientID="B"))
    with pytest.raises(Rejected, match="several patients"):
        holds.accession(hospital, "77")
