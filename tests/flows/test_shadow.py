"""The shadow: it answers what the champion answered, after it; it is stored and compared, and nobody hears of it."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from flows import replay, routing, shadow
from flows.house import House
from flows.shadow import Comparison, compare
from radloop.domain.enums import Standing, StudyState, Urgency
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import InferenceAnswer, Result
from radloop.ledger import comparisons, deliveries, models, objects, results, studies
from radloop.ledger.comparisons import Pair
from radloop.ledger.tables import attempts
from tests.clock import until
from tests.flows import cards, place
from tests.flows.fake_inference import FakeInference
from tests.flows.runners import runner
from tests.flows.test_triage import complete_all, newest, read_all
from tests.flows.versions import NEXT, add_next, promote_next, shadow_next, spec_of

WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def every_version_has_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "spec_of", spec_of)


def answer_due(house: House, *, busy: bool = False) -> int:
    return asyncio.run(shadow.answer_due(house, lambda: busy))


def results_of(house: House) -> dict[str, Result]:
    """The results of the newest version, by digest."""
    with house.ledger.read() as conn:
        return {one.model.digest: one for one in results.of_version(conn, newest(house).id)}


def next_says(probability: float) -> object:
    def spoil(answer: InferenceAnswer) -> InferenceAnswer:
        if answer.digest != NEXT:
            return answer
        return replace(answer, scores=tuple(replace(score, probability=probability) for score in answer.scores))

    return spoil


def test_a_shadow_s_answer_is_stored_and_makes_no_object_no_delivery_and_no_urgency(
    house: House, inference: FakeInference
) -> None:
    shadow_next(house)
    inference.probability = 0.2
    inference.spoil = next_says(0.99)
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    assert set(results_of(house)) == {cards.DIGEST}
    before = newest(house)
    assert answer_due(house) == 1
    found = results_of(house)
    assert found[NEXT].model.standing is Standing.SHADOW
    assert found[NEXT].urgency is Urgency.URGENT
    assert newest(house) == before
    assert (before.state, before.urgency) == (StudyState.ANSWERED, Urgency.ROUTINE)
    with house.ledger.read() as conn:
        assert objects.of_result(conn, found[NEXT].id) == ()
        assert deliveries.of_versions(conn, [before.id]) == ()
    assert answer_due(house) == 0


def test_a_late_instance_s_answer_replaces_what_was_said_aloud_never_the_shadow_s(
    house: House, inference: FakeInference
) -> None:
    shadow_next(house)
    place.arrive(house, place.chest_study(1))
    read_all(house)
    answer_due(house)
    spoken = results_of(house)[cards.DIGEST]
    late = place.chest_study(1)
    late.SOPInstanceUID = f"{late.SOPInstanceUID}.2"
    place.arrive(house, late)
    read_all(house)
    answer_due(house)
    again = results_of(house)
    assert newest(house).number == 2
    assert again[cards.DIGEST].predecessor_id == again[NEXT].predecessor_id == spoken.id


def test_only_what_came_in_since_the_shadow_began_and_the_champion_read_is_due(
    house: House, inference: FakeInference
) -> None:
    place.arrive(house, place.chest_study(1))
    read_all(house)
    shadow_next(house)
    place.arrive(house, place.chest_study(2, ViewPosition="LL"), place.chest_study(3, BodyPartExamined="FOOT"))
    read_all(house)
    assert answer_due(house) == 0
    place.arrive(house, place.chest_study(4))
    complete_all(house)
    assert answer_due(house) == 0, "its champion has not answered yet"
    read_all(house)
    assert answer_due(house, busy=True) == 0, "a study waits for its champion"
    assert answer_due(house) == 1


def test_a_failing_shadow_touches_no_study_and_is_left_alone_after_three_tries(
    house: House, inference: FakeInference
) -> None:
    shadow_next(house)
    place.arrive(house, place.chest_study(1))
    read_all(house)
    before = newest(house)
    inference.status = 500
    for _ in range(5):
        assert answer_due(house) == 0
    assert newest(house) == before
    with house.ledger.read() as conn:
        failed = select(func.count()).select_from(attempts).where(attempts.c.digest == NEXT)
        assert conn.scalar(failed) == 3
    inference.status = 200
    assert answer_due(house) == 0


def test_a_replay_reads_stored_studies_once_and_compares_them(house: House, inference: FakeInference) -> None:
    for seed in (1, 2, 3):
        place.arrive(house, place.chest_study(seed))
    read_all(house)
    made = add_next(house)
    inference.spoil = next_says(0.42)
    done = asyncio.run(replay.replay(house, made, utc_now() - WEEK, "ann"))
    assert (done.due, done.answered, done.failed) == (3, 3, 0)
    everything, target = done.comparison
    assert (everything.target, target.target) == ("", "pneumonia")
    assert target.studies == 3
    assert target.agreement.value == 0.0
    assert target.difference == pytest.approx(0.5)
    assert len(target.disagreements) == 3
    assert results_of(house)[NEXT].model.standing is Standing.CHALLENGER
    asked = len(inference.questions)
    again = asyncio.run(replay.replay(house, made, utc_now() - WEEK, "ann"))
    assert (again.due, len(inference.questions)) == (0, asked)
    with house.ledger.read() as conn:
        assert comparisons.count(conn, NEXT) == 3
        assert comparisons.statuses(conn, NEXT) == {"OK": 3}


def test_the_champion_is_not_replayed(house: House, inference: FakeInference) -> None:
    made = promote_next(house)
    with pytest.raises(Rejected, match="aloud"):
        asyncio.run(replay.replay(house, made, utc_now() - WEEK, "ann"))


@pytest.mark.timeout(120)
def test_a_study_is_answered_while_the_shadow_takes_its_time_and_a_killed_runner_loses_no_shadow_answer(
    house: House, inference: FakeInference
) -> None:
    """The shadow takes two seconds; no study waits for it, and every study has its answer once in the end."""
    home = house.settings.home
    (home / "radloop.toml").write_text((home / "radloop.toml").read_text() + "\n[standing]\nwatch_seconds = 0.1\n")
    shadow_next(house)
    inference.spoil = lambda answer: time.sleep(2.0 * (answer.digest == NEXT)) or answer

    def answered(count: int) -> bool:
        with house.ledger.read() as conn:
            return studies.counts(conn)["ANSWERED"] == count

    def compared(count: int) -> bool:
        with house.ledger.read() as conn:
            return comparisons.count(conn, NEXT) == count

    with runner(home, "tests.flows.drive_shadow") as process:
        place.arrive(house, place.chest_study(1))
        until(lambda: answered(1), 20)
        until(lambda: any(one["digest"] == NEXT for one in inference.questions), 20)
        place.arrive(house, place.chest_study(2))
        assert until(lambda: answered(2), 20) < 2.0
        process.kill()
    with runner(home, "tests.flows.drive_shadow"):
        until(lambda: compared(2), 30)
    with house.ledger.read() as conn:
        assert models.champion(conn, cards.NAME) == cards.version()


def pair(silent: float, champion: float, version: str = "sv_1", target: str = "pneumonia") -> Pair:
    return Pair(
        version_id=version,
        target=target,
        silent=silent,
        silent_threshold=0.4,
        champion=champion,
        champion_threshold=0.5,
        silent_seconds=2.0,
        champion_seconds=None,
    )


def test_versions_agree_where_both_call_alike_each_at_its_own_threshold() -> None:
    everything, other, pneumonia = compare(
        [pair(0.45, 0.55), pair(0.45, 0.45, "sv_2"), pair(0.1, 0.2, "sv_3"), pair(0.1, 0.9, "sv_2", "other")]
    )
    assert [one.target for one in (everything, other, pneumonia)] == ["", "other", "pneumonia"]
    assert everything.agreement.value == 0.5
    assert everything.studies == 3
    assert everything.disagreements == ("sv_2",)
    assert pneumonia.agreement.value == pytest.approx(2 / 3)
    assert pneumonia.agreement.low < 2 / 3 < pneumonia.agreement.high
    assert pneumonia.difference == pytest.approx((0.1 + 0.0 + 0.1) / 3)
    assert (pneumonia.silent_seconds, pneumonia.champion_seconds) == (2.0, None)
    assert other.difference == pytest.approx(0.8)


def test_nothing_compares_as_nothing() -> None:
    (everything,) = compare([])
    assert isinstance(everything, Comparison)
    assert (everything.studies, everything.difference, everything.disagreements) == (0, None, ())
    assert (everything.agreement.low, everything.agreement.high) == (0.0, 1.0)


def test_an_outage_of_inference_is_no_try_of_the_shadow(house: House, inference: FakeInference) -> None:
    shadow_next(house)
    place.arrive(house, place.chest_study(1))
    read_all(house)
    said = house.settings.home / "run" / "inference.json"
    kept = said.read_text()
    said.unlink()
    for _ in range(4):
        assert answer_due(house) == 0
    said.write_text(kept)
    assert answer_due(house) == 1
