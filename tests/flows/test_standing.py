"""Standing: what is registered, who may approve, what the last approval brings about, and what a refusal leaves."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from flows import approving, standing
from flows.house import House
from models import change_plan
from models.bundles import SIGNATURE
from radloop.domain.enums import ActorKind, ApprovalKind, GateOutcome, Qualification, Standing
from radloop.domain.errors import NotFound, Rejected, Unavailable
from radloop.domain.records import ModelVersion
from radloop.ledger import actors, approvals, models
from radloop.ledger import standing as standing_rows
from radloop.ledger.tables import audit_events
from tests.flows.candidates import NAME, WHY, candidate, chest_plan, evaluated, person, shipped, signed, trained
from tests.flows.fake_inference import FakeInference

PEOPLE = ("ann", "ben", "cem")


@pytest.fixture(autouse=True)
def plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model goes by the plan of the chest model, and needs no study beside the champion."""
    monkeypatch.setattr(approving, "read_plan", chest_plan)


@pytest.fixture
def champion(house: House) -> Iterator[ModelVersion]:
    person(house, *PEOPLE)
    yield shipped(house)


def stands(house: House) -> dict[str, Standing]:
    with house.ledger.read() as conn:
        return {one.version: one.standing for one in models.known(conn) if one.name == NAME}


def refusals(house: House) -> list[tuple[str, str, str]]:
    """Actor, action and words of every refusal in the audit."""
    e = audit_events.c
    with house.ledger.read() as conn:
        rows = conn.execute(select(e.actor, e.action, e.detail).where(e.action.like("%deny")).order_by(e.at))
        return [tuple(row) for row in rows]


def in_shadow(house: House, champion: ModelVersion, number: int = 1) -> ModelVersion:
    made = candidate(house, number)
    evaluated(house, made, champion.digest)
    return standing.shadow(house, made.digest, "ann", "to be compared")


def test_a_bundle_is_registered_once_as_challenger_and_installed(house: House, champion: ModelVersion) -> None:
    folder = signed(house, 1)
    made = standing.register(house, folder, "runner", WHY)
    assert standing.register(house, folder, "runner", WHY) == made
    assert (made.standing, made.qualification) == (Standing.CHALLENGER, Qualification.RESEARCH)
    assert standing.check_bundle(house, made).is_dir()
    assert stands(house) == {"1.0.0": champion.standing, "1.1.0": "CHALLENGER"}
    with house.ledger.read() as conn:
        (step,) = [one for one in standing_rows.history(conn, NAME) if one.digest == made.digest]
    assert (step.before, step.after, step.actor, step.why) == (None, "CHALLENGER", "runner", WHY)


def spoil_nothing(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def spoil_signature(folder: Path) -> None:
    (folder / SIGNATURE).write_bytes(os.urandom(64))


def spoil_weights(folder: Path) -> None:
    path = folder / "models" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


SPOILERS = [spoil_nothing, spoil_signature, spoil_weights]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_an_unsigned_or_changed_bundle_is_refused_at_registration_and_that_is_audited(
    house: House, champion: ModelVersion, spoil: Callable[[Path], None]
) -> None:
    folder = signed(house, 1)
    spoil(folder)
    with pytest.raises(Rejected, match="cannot be trusted"):
        standing.register(house, folder, "ann", WHY)
    assert stands(house) == {"1.0.0": champion.standing}
    ((actor, action, words),) = refusals(house)
    assert (actor, action) == ("ann", "model.register.deny")
    assert "cannot be trusted" in words


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_version_whose_bundle_was_changed_is_promoted_by_nobody_and_the_champion_stays(
    house: House, inference: FakeInference, champion: ModelVersion, spoil: Callable[[Path], None]
) -> None:
    made = in_shadow(house, champion)
    standing.approve(house, made.digest, "ann")
    spoil(standing.check_bundle(house, made))
    with pytest.raises(Rejected, match="cannot be trusted"):
        standing.approve(house, made.digest, "ben")
    assert stands(house) == {"1.0.0": "CHAMPION", "1.1.0": "SHADOW"}
    assert [(actor, action) for actor, action, _ in refusals(house)] == [("ben", "approval.promote.deny")]
    assert inference.questions == []


def test_two_different_people_promote_and_the_old_champion_is_kept(
    house: House, inference: FakeInference, champion: ModelVersion
) -> None:
    made = in_shadow(house, champion)
    assert standing.approve(house, made.digest, "ann").standing is Standing.SHADOW
    assert inference.warmed == []
    assert standing.approve(house, made.digest, "ben").standing is Standing.CHAMPION
    assert inference.warmed == [made.digest]
    assert stands(house) == {"1.0.0": "PREVIOUS", "1.1.0": "CHAMPION"}
    with house.ledger.read() as conn:
        step = standing_rows.latest(conn, made.digest)
        given = approvals.of_digest(conn, made.digest)
    assert step is not None
    assert (step.actor, step.why) == ("ben", "approved by ann and ben")
    assert [one.actor for one in given] == ["ann", "ben"]
    assert all(one.evaluation_id for one in given)
    assert refusals(house) == []


@pytest.mark.parametrize("person_or_not", ["robot", "nobody"])
def test_only_people_that_are_known_approve(house: House, champion: ModelVersion, person_or_not: str) -> None:
    with house.ledger.write() as conn:
        actors.ensure(conn, "robot", ActorKind.MACHINE)
    made = in_shadow(house, champion)
    with pytest.raises(Rejected, match="people approve"):
        standing.approve(house, made.digest, person_or_not)
    assert [actor for actor, _, _ in refusals(house)] == [person_or_not]


def test_who_trained_a_version_cannot_approve_it_and_that_is_audited(house: House, champion: ModelVersion) -> None:
    made = in_shadow(house, champion)
    trained(house, made, "ann")
    with pytest.raises(Rejected, match="ann trained"):
        standing.approve(house, made.digest, "ann")
    ((actor, action, words),) = refusals(house)
    assert (actor, action) == ("ann", "approval.promote.deny")
    assert "another person must approve" in words
    with house.ledger.read() as conn:
        assert approvals.of_digest(conn, made.digest) == ()


def test_nobody_approves_twice(house: House, inference: FakeInference, champion: ModelVersion) -> None:
    made = in_shadow(house, champion)
    trained(house, made, "runner")
    standing.approve(house, made.digest, "ann")
    with pytest.raises(Rejected, match="has approved"):
        standing.approve(house, made.digest, "ann")
    assert stands(house)["1.1.0"] is Standing.SHADOW
    assert [action for _, action, _ in refusals(house)] == ["approval.promote.deny"]


@pytest.mark.parametrize("outcome", [GateOutcome.FAIL, GateOutcome.INSUFFICIENT_EVIDENCE, None])
def test_what_has_not_passed_its_gates_is_approved_by_nobody(
    house: House, champion: ModelVersion, outcome: GateOutcome | None
) -> None:
    """The newest evaluation counts: an old pass does not help."""
    made = candidate(house, 1)
    if outcome is not None:
        evaluated(house, made, champion.digest)
        evaluated(house, made, champion.digest, outcome)
    standing.shadow(house, made.digest, "ann", "w")
    with pytest.raises(Rejected, match="gates have to pass"):
        standing.approve(house, made.digest, "ann")


def test_a_pass_against_another_champion_is_none(house: House, champion: ModelVersion) -> None:
    made = candidate(house, 1)
    evaluated(house, made, "e" * 64)
    standing.shadow(house, made.digest, "ann", "w")
    with pytest.raises(Rejected, match="evaluate it again"):
        standing.approve(house, made.digest, "ann")


def test_a_challenger_is_not_approved_before_it_stood_in_the_shadow_and_was_compared(
    house: House, champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = candidate(house, 1)
    evaluated(house, made, champion.digest)
    with pytest.raises(Rejected, match="stands in the shadow"):
        standing.approve(house, made.digest, "ann")
    standing.shadow(house, made.digest, "ann", "w")
    monkeypatch.setattr(approving, "read_plan", lambda _: chest_plan(compared=20))
    with pytest.raises(Rejected, match="0 studies, not on 20"):
        standing.approve(house, made.digest, "ann")


def test_the_first_champion_of_a_model_needs_no_shadow_but_its_gates_and_two_people(
    house: House, inference: FakeInference
) -> None:
    person(house, *PEOPLE)
    made = candidate(house, 1)
    with pytest.raises(Rejected, match="never evaluated"):
        standing.approve(house, made.digest, "ann")
    evaluated(house, made, None)
    standing.approve(house, made.digest, "ann")
    assert standing.approve(house, made.digest, "ben").standing is Standing.CHAMPION


def test_after_a_rollback_old_approvals_count_no_more(
    house: House, inference: FakeInference, champion: ModelVersion
) -> None:
    made = in_shadow(house, champion)
    standing.approve(house, made.digest, "ann")
    standing.approve(house, made.digest, "ben")
    done = standing.rollback(house, NAME, "cem", "it misses the obvious", expected=made.digest)
    assert (done.restored.digest, done.demoted.standing) == (champion.digest, Standing.CHALLENGER)
    assert stands(house) == {"1.0.0": "CHAMPION", "1.1.0": "CHALLENGER"}
    standing.shadow(house, made.digest, "ann", "another try")
    assert standing.approve(house, made.digest, "ann").standing is Standing.SHADOW
    with pytest.raises(Rejected, match="1 of 2"):
        standing.promote(house, made.digest, "cem", "in haste")
    assert standing.approve(house, made.digest, "cem").standing is Standing.CHAMPION


def test_a_rollback_with_nothing_to_roll_back_to_is_refused_and_audited(house: House, champion: ModelVersion) -> None:
    with pytest.raises(Rejected, match="no previous version"):
        standing.rollback(house, NAME, "ann", "w")
    assert [(actor, action) for actor, action, _ in refusals(house)] == [("ann", "model.rollback.deny")]
    assert stands(house) == {"1.0.0": champion.standing}


def test_a_version_that_inference_refuses_is_not_promoted(
    house: House, inference: FakeInference, champion: ModelVersion
) -> None:
    made = in_shadow(house, champion)
    standing.approve(house, made.digest, "ann")
    inference.refuses = {made.digest: "integrity"}
    with pytest.raises(Rejected, match="inference refuses"):
        standing.approve(house, made.digest, "ben")
    assert stands(house) == {"1.0.0": "CHAMPION", "1.1.0": "SHADOW"}
    inference.refuses = {}
    inference.status = 503
    with pytest.raises(Unavailable):
        standing.approve(house, made.digest, "ben")
    inference.status = 200
    assert standing.approve(house, made.digest, "ben").standing is Standing.CHAMPION


def test_product_is_a_qualification_apart_from_standing_that_two_people_give(
    house: House, champion: ModelVersion
) -> None:
    made = in_shadow(house, champion)
    standing.approve(house, made.digest, "ann", ApprovalKind.QUALIFY)
    with pytest.raises(Rejected, match="has approved"):
        standing.approve(house, made.digest, "ann", ApprovalKind.QUALIFY)
    done = standing.approve(house, made.digest, "ben", ApprovalKind.QUALIFY)
    assert (done.qualification, done.standing) == (Qualification.PRODUCT, Standing.SHADOW)
    with pytest.raises(Rejected, match="PRODUCT already"):
        standing.approve(house, made.digest, "cem", ApprovalKind.QUALIFY)
    assert [action for _, action, _ in refusals(house)] == ["approval.qualify.deny"] * 2


def test_a_version_without_a_plan_is_approved_by_nobody(
    house: House, champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approving, "read_plan", change_plan.read_plan)
    made = in_shadow(house, champion)
    with pytest.raises(Rejected, match=r"change_plan\.toml"):
        standing.approve(house, made.digest, "ann")


def test_a_bundle_that_is_gone_and_a_digest_that_is_unknown_are_said(house: House, champion: ModelVersion) -> None:
    made = candidate(house, 1)
    shutil.rmtree(standing.check_bundle(house, made))
    with pytest.raises(Rejected, match="not installed"):
        standing.shadow(house, made.digest, "ann", "w")
    with pytest.raises(NotFound):
        standing.shadow(house, "f" * 64, "ann", "w")
