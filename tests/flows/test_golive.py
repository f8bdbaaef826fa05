"""Going live step by step: what is not live is read in silence, with figures, and no study is held up or hidden."""

import asyncio
from datetime import timedelta

import pytest

from flows import golive, routing, triage
from flows.house import House
from flows.verdicts import enter
from radloop.domain.enums import Standing, StudyState, VerdictKind
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Acquisition, Evidence, StudyVersion
from radloop.ledger import deliveries, golive_figures, results, studies
from radloop.ledger import golive as rows
from radloop.ledger.tables import audit_events
from tests.flows import cards, place
from tests.flows.fake_inference import FakeInference
from tests.flows.readings import answered, entry, introduce


def planned(house: House, modality: str = "CR") -> routing.Plan:
    row = Acquisition(
        instance_id="in", version_id="sv", modality=modality, body_part="CHEST", view="PA", photometric="MONOCHROME2",
        rows=128, columns=128,
    )  # fmt: skip
    with house.ledger.read() as conn:
        return routing.plan(conn, (cards.NAME,), [row], house.settings.models_path)


def standing(house: House, modality: str = "CR") -> tuple[Standing, tuple[str, ...]]:
    plan = planned(house, modality)
    return plan.appointments[0].model.standing, plan.reasons


def test_without_a_step_everything_is_live(house: House) -> None:
    assert standing(house) == (Standing.CHAMPION, ())
    assert golive.said(None) == "Everything is live."
    with pytest.raises(Rejected, match="live already"):
        golive.widen(house.ledger, "ann", "first", ["DX"])


def test_a_stop_silences_all_and_each_widening_gives_one_more_its_voice(house: House) -> None:
    golive.stop(house.ledger, "ann", "a bad week")
    assert standing(house) == (Standing.SHADOW, (routing.NOT_LIVE,))
    golive.widen(house.ledger, "ann", "agreed with the readers", ["dx"])
    assert standing(house, "DX") == (Standing.CHAMPION, ())
    assert standing(house, "CR") == (Standing.SHADOW, (routing.NOT_LIVE,))
    step = golive.widen(house.ledger, "bob", "next", ["CR"])
    assert (step.modalities, golive.said(step)) == (("CR", "DX"), "Live: CR, DX. Everything else is read in silence.")
    assert standing(house, "CR") == (Standing.CHAMPION, ())
    golive.widen(house.ledger, "bob", "all of it", None)
    with house.ledger.read() as conn:
        assert [one.modalities for one in rows.history(conn)] == [None, ("CR", "DX"), ("DX",), ()]
        audited = conn.execute(audit_events.select().where(audit_events.c.action == "golive")).all()
    assert [(row.actor, row.detail) for row in sorted(audited, key=lambda row: row.at)] == [
        ("ann", "live: none; a bad week"),
        ("ann", "live: DX; agreed with the readers"),
        ("bob", "live: CR, DX; next"),
        ("bob", "live: all; all of it"),
    ]


def test_a_step_needs_a_reason_and_a_change(house: House) -> None:
    with pytest.raises(Rejected, match="reason"):
        golive.stop(house.ledger, "ann", "  ")
    golive.stop(house.ledger, "ann", "x")
    with pytest.raises(Rejected, match="already"):
        golive.stop(house.ledger, "ann", "again")
    with pytest.raises(Rejected, match="modalities"):
        golive.widen(house.ledger, "ann", "x", ["<b>"])
    golive.widen(house.ledger, "ann", "x", ["CR"])
    with pytest.raises(Rejected, match="already"):
        golive.widen(house.ledger, "ann", "x", ["CR"])


def test_a_study_that_is_not_live_is_answered_in_silence_with_the_reason_and_nothing_is_sent(
    house: House, inference: FakeInference
) -> None:
    golive.stop(house.ledger, "ann", "x")
    version = read(house)
    assert (version.state, version.reason) == (StudyState.ANSWERED, routing.NOT_LIVE)
    with house.ledger.read() as conn:
        (result,) = results.of_version(conn, version.id)
        assert result.model.standing is Standing.SHADOW
        assert deliveries.unfinished(conn) == ()
        (hour,) = golive_figures.by_hour(conn, utc_now() - timedelta(hours=1))
    assert (hour.modality, hour.studies, hour.answered, hour.within_fast) == ("CR", 1, 1, 1)
    assert hour.urgent == int(max(one.urgency.rank for one in result.findings) > 0)


def test_figures_count_by_modality_and_hour_what_was_answered_said_and_failed(house: House) -> None:
    introduce(house.ledger)
    first, second = answered(house, 1), answered(house, 2)
    place.arrive(house, place.chest_study(3))
    enter(house, entry(first))
    enter(house, entry(second, VerdictKind.REJECT, source_id="r"))
    with house.ledger.write() as conn:
        results.note_attempt(conn, second.version_id, "m", "d" * 64, "away")
    with house.ledger.read() as conn:
        (day,) = golive_figures.together(golive_figures.by_hour(conn, utc_now() - timedelta(days=1)))
    assert (day.studies, day.answered, day.within_slow, day.errors) == (3, 2, 2, 1)
    assert (day.urgent, day.verdicts, day.agreed, day.hour) == (2, 2, 1, None)


def read(house: House) -> StudyVersion:
    (receipt,) = place.arrive(house, place.chest_study(3))
    assert receipt.version_id is not None
    with house.ledger.write() as conn:
        assert studies.complete(conn, receipt.version_id, Evidence(), utc_now(), 1)
        (claimed,) = studies.claim(conn, house.owner, utc_now(), utc_now() + timedelta(seconds=9), 1)
    asyncio.run(triage.read_study(house, claimed))
    with house.ledger.read() as conn:
        version = studies.get(conn, receipt.version_id)
    assert version is not None
    return version
