"""The machine of standings: which steps there are, that each is on record, and that races have one winner."""

import threading
from itertools import product

import pytest
from sqlalchemy import func, select

from radloop.domain.enums import ApprovalKind, Qualification, Standing
from radloop.domain.errors import NotFound, RadloopError, Rejected
from radloop.domain.ids import new_id, utc_now
from radloop.domain.learning import Approval
from radloop.domain.records import ModelVersion
from radloop.ledger import Ledger, approvals, models, standing
from radloop.ledger.standing import STEPS, Act
from radloop.ledger.tables import audit_events
from radloop.ledger.tables import models as table

ACT = Act("dr.who", "because")
RACERS = 8


def version(number: int, stands: Standing = Standing.CHALLENGER, name: str = "cxr") -> ModelVersion:
    digest = f"{number:x}".rjust(64, "0")
    return ModelVersion(
        name=name, version=str(number), digest=digest, standing=stands, qualification=Qualification.RESEARCH
    )


def enter(ledger: Ledger, *versions: ModelVersion) -> None:
    with ledger.write() as conn:
        for one in versions:
            assert standing.enter(conn, one, ACT)


def stands(ledger: Ledger, name: str = "cxr") -> dict[str, Standing]:
    with ledger.read() as conn:
        return {one.version: one.standing for one in models.known(conn) if one.name == name}


def test_a_version_goes_all_the_way_and_every_step_is_on_record_and_in_the_audit(ledger: Ledger) -> None:
    first, second, third = (version(number) for number in (1, 2, 3))
    enter(ledger, first, second, third)
    with ledger.write() as conn:
        standing.promote(conn, first.digest, ACT, expected=None)
        standing.shadow(conn, second.digest, ACT)
        standing.promote(conn, second.digest, ACT, expected=first.digest)
        standing.shadow(conn, third.digest, ACT)
        standing.promote(conn, third.digest, ACT, expected=second.digest)
    assert stands(ledger) == {"1": "CHALLENGER", "2": "PREVIOUS", "3": "CHAMPION"}
    with ledger.write() as conn:
        done = standing.roll_back(conn, "cxr", ACT)
    assert (done.restored.version, done.demoted.version) == ("2", "3")
    assert stands(ledger) == {"1": "CHALLENGER", "2": "CHAMPION", "3": "CHALLENGER"}
    with ledger.read() as conn:
        steps = standing.history(conn, "cxr")
        audited = conn.scalar(select(func.count()).select_from(audit_events))
        assert standing.latest(conn, third.digest) == steps[-2]
        assert standing.newest(conn)[second.digest].after is Standing.CHAMPION
    assert len(steps) == audited == 13
    assert all((one.before, one.after) in STEPS for one in steps)
    assert {(one.actor, one.why) for one in steps if one.after is Standing.CHAMPION} == {("dr.who", "because")}


@pytest.mark.parametrize(("before", "after"), list(product(Standing, Standing)))
def test_there_are_no_other_steps_than_those_of_the_table(ledger: Ledger, before: Standing, after: Standing) -> None:
    enter(ledger, version(1), version(2))
    one = version(1, before)
    with ledger.write() as conn:
        models.move(conn, one.digest, Standing.CHALLENGER, before)
    if (before, after) in STEPS:
        with ledger.write() as conn:
            assert standing.step(conn, one, after, ACT).standing is after
        return
    with pytest.raises(Rejected, match=f"is {before}"), ledger.write() as conn:
        standing.step(conn, one, after, ACT)
    assert stands(ledger) == {"1": before, "2": "CHALLENGER"}


def test_a_challenger_cannot_pass_the_shadow_by_where_there_is_a_champion(ledger: Ledger) -> None:
    enter(ledger, version(1, Standing.CHAMPION), version(2))
    with pytest.raises(Rejected, match="shadow first"), ledger.write() as conn:
        standing.promote(conn, version(2).digest, ACT, expected=version(1).digest)
    assert stands(ledger) == {"1": "CHAMPION", "2": "CHALLENGER"}


def test_there_is_one_shadow_and_a_version_entered_twice_is_there_once(ledger: Ledger) -> None:
    enter(ledger, version(1, Standing.CHAMPION), version(2), version(3))
    with ledger.write() as conn:
        standing.shadow(conn, version(2).digest, ACT)
        standing.shadow(conn, version(3).digest, ACT)
        standing.shadow(conn, version(3).digest, ACT)
        assert not standing.enter(conn, version(3), ACT)
        with pytest.raises(NotFound):
            standing.shadow(conn, "f" * 64, ACT)
    assert stands(ledger) == {"1": "CHAMPION", "2": "CHALLENGER", "3": "SHADOW"}
    with pytest.raises(Rejected, match="another bundle"), ledger.write() as conn:
        standing.enter(conn, ModelVersion(**{**_fields(version(3)), "digest": "e" * 64}), ACT)


def _fields(one: ModelVersion) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("name", "version", "standing", "qualification")}


def test_a_version_is_found_by_its_number_or_the_beginning_of_its_digest(ledger: Ledger) -> None:
    enter(ledger, version(0xA1), version(0xB2))
    with ledger.read() as conn:
        assert models.find(conn, "cxr", "161") == version(0xA1)
        assert models.find(conn, "cxr", version(0xB2).digest[:64]) == version(0xB2)
        for unclear in ("0", "", "77", "ff"):
            with pytest.raises(NotFound):
                models.find(conn, "cxr", unclear)


@pytest.mark.parametrize("turn", range(3))
def test_of_promotions_that_race_one_wins_and_there_is_one_champion_at_every_instant(ledger: Ledger, turn: int) -> None:
    """The losers find another champion than the one they were compared with; a watcher never sees none or two."""
    del turn
    enter(ledger, version(1, Standing.CHAMPION), *(version(number) for number in range(2, 2 + RACERS)))
    with ledger.write() as conn:
        for number in range(2, 2 + RACERS):
            models.move(conn, version(number).digest, Standing.CHALLENGER, Standing.SHADOW)
    start, over, seen, lost, won = threading.Barrier(RACERS + 1), threading.Event(), set(), [], []

    def race(number: int) -> None:
        start.wait(10)
        try:
            with ledger.write() as conn:
                standing.promote(conn, version(number).digest, ACT, expected=version(1).digest)
            won.append(number)
        except RadloopError as error:
            lost.append(error)

    def watch() -> None:
        start.wait(10)
        while not over.is_set():
            with ledger.read() as conn:
                champions = select(func.count()).select_from(table).where(table.c.standing == Standing.CHAMPION)
                seen.add(conn.scalar(champions))

    racers = [threading.Thread(target=race, args=(number,)) for number in range(2, 2 + RACERS)]
    watcher = threading.Thread(target=watch)
    for thread in (*racers, watcher):
        thread.start()
    for thread in racers:
        thread.join(30)
    over.set()
    watcher.join(10)
    assert len(won) == 1
    assert len(lost) == RACERS - 1
    assert {type(error) for error in lost} == {Rejected}
    assert seen == {1}
    assert stands(ledger)[str(won[0])] is Standing.CHAMPION
    assert stands(ledger)["1"] is Standing.PREVIOUS


def test_a_rollback_needs_a_previous_version_and_the_champion_that_was_meant(ledger: Ledger) -> None:
    enter(ledger, version(1, Standing.CHAMPION), version(2))
    with pytest.raises(Rejected, match="no previous version"), ledger.write() as conn:
        standing.roll_back(conn, "cxr", ACT)
    with ledger.write() as conn:
        standing.shadow(conn, version(2).digest, ACT)
        standing.promote(conn, version(2).digest, ACT, expected=version(1).digest)
    with pytest.raises(Rejected, match="another version is champion"), ledger.write() as conn:
        standing.roll_back(conn, "cxr", ACT, expected=version(1).digest)
    assert stands(ledger) == {"1": "PREVIOUS", "2": "CHAMPION"}


def test_an_approval_given_again_is_renewed_and_counts_from_then(ledger: Ledger) -> None:
    enter(ledger, version(1))
    digest = version(1).digest

    def approval(kind: ApprovalKind = ApprovalKind.PROMOTE) -> Approval:
        return Approval(id=new_id("ap"), digest=digest, kind=kind, actor="dr.who", evaluation_id=None, at=utc_now())

    with ledger.write() as conn:
        approvals.add(conn, approval())
        between = utc_now()
        assert approvals.of_digest(conn, digest, ApprovalKind.PROMOTE, between) == ()
        approvals.add(conn, approval())
        approvals.add(conn, approval(ApprovalKind.QUALIFY))
        (renewed,) = approvals.of_digest(conn, digest, ApprovalKind.PROMOTE, between)
        assert renewed.actor == "dr.who"
        assert len(approvals.of_digest(conn, digest)) == 2
        assert approvals.examined(conn, digest) is None
        assert approvals.trainers(conn, digest) == frozenset()
