"""What people do about an alarm, and what an open one blocks: the whole story is in the audit."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from flows import alarms as verbs
from flows import baselines, promote, routing, standing, triage, watch
from flows.house import House
from radloop.domain.enums import GateOutcome, Standing
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.records import Acquisition
from radloop.domain.watching import AlarmState, Choice
from radloop.ledger import alarms, models, objects, results, shadowed, studies
from radloop.ledger.tables import audit_events
from radloop.ledger.tables import results as result_table
from tests.data_checks import conftest  # noqa: F401 - what Great Expectations imports is deprecated: told there
from tests.flows import cards, contestants, place
from tests.flows.fake_inference import FakeInference
from tests.flows.test_promote import in_memory, quick  # noqa: F401 - fixtures
from tests.flows.test_watch import DAY, NEW, OLD, audited, grounded, opened, send


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A home that computes with one thread: several wait for each other on a busy machine."""
    opened_house = place.make_home(tmp_path / "home", more="[training]\nthreads = 1")
    yield opened_house
    asyncio.run(opened_house.http.aclose())
    opened_house.ledger.close()


def alarmed(house: House) -> str:
    """A scanner with new software, and its open alarm."""
    grounded(house)
    send(house, OLD, 60)
    send(house, NEW, 60, hours=10)
    watch.watch(house, DAY)
    (alarm,) = opened(house, AlarmState.OPEN)
    return alarm.id


def acquired(site: str = "pacs", station: str = "S1") -> Acquisition:
    return Acquisition(
        instance_id="in", version_id="sv", modality="CR", body_part="CHEST", view="PA", manufacturer="AcmeRay",
        model_name="X1", station=station, photometric="MONOCHROME2", rows=128, columns=128, site=site,
    )  # fmt: skip


def planned(house: House, row: Acquisition) -> routing.Plan:
    with house.ledger.read() as conn:
        return routing.plan(conn, (cards.NAME,), [row], house.settings.models_path)


def test_a_scanner_in_the_shadow_is_read_silently_and_no_other(house: House) -> None:
    alarm = alarmed(house)
    assert planned(house, acquired()).appointments[0].model.standing is Standing.CHAMPION
    done = verbs.shadow(house, alarm, "ann", "until the physicist has looked")
    assert (done.state, done.choice, done.who) == (AlarmState.ACKNOWLEDGED, Choice.SHADOW, "ann")
    plan = planned(house, acquired())
    assert (plan.appointments[0].model.standing, plan.reasons) == (Standing.SHADOW, (routing.IN_SHADOW,))
    for other in (acquired(station="S2"), acquired(site="clinic")):
        assert planned(house, other).appointments[0].model.standing is Standing.CHAMPION
    verbs.unshadow(house, alarm, "bob", "recalibrated")
    assert planned(house, acquired()).reasons == ()
    with pytest.raises(NotFound):
        verbs.unshadow(house, alarm, "bob", "again")
    assert audited(house, "scanner.shadow") == audited(house, "scanner.unshadow") == [alarm]


def test_a_study_of_a_shadowed_scanner_has_a_result_and_nothing_that_anybody_is_sent(
    house: House, inference: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = alarmed(house)
    verbs.shadow(house, alarm, "ann", "for the test")
    changes = {"Manufacturer": "AcmeRay", "ManufacturerModelName": "X1", "StationName": "S1"}
    (receipt,) = place.arrive(house, place.chest_study(3, **changes), peer="pacs")
    with house.ledger.read() as conn:
        version = studies.get(conn, receipt.version_id or "")
    assert version is not None
    monkeypatch.setattr(studies, "answer", lambda *_: True)
    assert asyncio.run(triage.read_study(house, version)) == triage.Outcome.ANSWERED
    with house.ledger.read() as conn:
        (result,) = results.of_version(conn, version.id)
        assert (result.model.standing, result.model.digest) == (Standing.SHADOW, cards.DIGEST)
        assert objects.of_result(conn, result.id) == ()


def test_a_shadowed_scanner_is_still_watched(house: House) -> None:
    grounded(house)
    send(house, NEW, 60)
    with house.ledger.write() as conn:
        conn.execute(result_table.update().where(result_table.c.at > watch.utc_now() - DAY).values(standing="SHADOW"))
        assert shadowed.known(conn) == ()
    watch.watch(house, DAY)
    assert len(opened(house, AlarmState.OPEN)) == 1


@pytest.mark.usefixtures("in_memory")
def test_drift_alarm_refuses_promotion_until_the_reference_is_extended_with_approval(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, and all of it in the audit."""
    champion = contestants.champion(house)
    monkeypatch.setattr(cards, "DIGEST", champion.digest)
    alarm = alarmed(house)
    contestants.cohort(house, 330, stored=False)
    challenger = contestants.version(house, "1.1.0")

    refused = promote.evaluate(house, cards.NAME, challenger.digest, "ann")
    assert refused.outcome is GateOutcome.FAIL
    assert [one.words for one in refused.gates if one.outcome is GateOutcome.FAIL] == [
        f"open alarms: {alarm} ({opened(house)[0].cause.words})"
    ]

    asked = baselines.extend_for(house, alarm, "ann", "the new software was looked at")
    with pytest.raises(Rejected):
        baselines.approve(house, asked.id, "ann")
    baselines.approve(house, asked.id, "bob")

    passed = promote.evaluate(house, cards.NAME, challenger.digest, "ann")
    assert {one.gate: one.words for one in passed.gates if one.outcome is not GateOutcome.PASS} == {}
    e = audit_events.c
    with house.ledger.read() as conn:
        told = [(row.actor, row.action) for row in conn.execute(select(e.actor, e.action).order_by(e.at, e.id))]
    story = [
        ("watch", "alarm.open"), ("ann", "model.evaluate"), ("ann", "baseline.propose"),
        ("ann", "baseline.approve.deny"), ("bob", "baseline.approve"), ("bob", "alarm.extend"),
        ("ann", "model.evaluate"),
    ]  # fmt: skip
    assert [one for one in told if one in story and told.count(one) < 5][-len(story) :] == story


def test_an_alarm_that_opens_after_the_gates_passed_still_stops_the_approval(house: House) -> None:
    alarm = alarmed(house)
    with house.ledger.read() as conn:
        case = standing.gather(conn, cards.DIGEST, None, standing.ApprovalKind.PROMOTE)
    assert case.alarms == (alarm,)
    verbs.decide(house, alarm, Choice.ACKNOWLEDGE, "ann", "known")
    with house.ledger.read() as conn:
        assert standing.gather(conn, cards.DIGEST, None, standing.ApprovalKind.PROMOTE).alarms == ()
        assert alarms.blocking(conn, "another") == ()
        assert models.champion(conn, cards.NAME) is not None
