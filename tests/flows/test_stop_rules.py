"""Stop rules: a champion that does worse than its plan allows goes back, once, by itself, and on evidence only."""

import itertools
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from flows import stop_rules
from flows.house import House
from flows.inference import AWAY
from flows.stop_rules import NO_PREVIOUS, enforce, judged
from models.change_plan import StopRule
from radloop.domain.enums import Awareness, Standing, StudyState, VerdictKind, VerdictSource
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Acquisition, Arrival, Blob, ModelVersion, Verdict
from radloop.ledger import acquisitions, instances, models, results, standing, verdicts
from radloop.ledger.tables import audit_events, study_versions
from tests.flows import cards
from tests.flows.versions import NEXT, promote_next
from tests.radloop.ledger import rows

NUMBERS = itertools.count(1)
AGREEMENT = StopRule(measure="agreement", limit=0.7, minimum=20, hours=168)
BY_SITE = StopRule(measure="agreement", by="site", limit=0.6, minimum=15, hours=168)
BY_SCANNER = StopRule(measure="agreement", by="scanner", limit=0.6, minimum=15, hours=168)
ERRORS = StopRule(measure="error_rate", limit=0.1, minimum=20, hours=1)
LATENCY = StopRule(measure="latency", limit=30.0, minimum=20, hours=1)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> list[StopRule]:
    """The stop rules of every model; change them at will."""
    found: list[StopRule] = []
    monkeypatch.setattr(stop_rules, "rules_of", lambda _: tuple(found))
    return found


def champion(house: House) -> ModelVersion:
    with house.ledger.read() as conn:
        found = models.champion(conn, cards.NAME)
    assert found is not None
    return found


def study(house: House, peer: str = "pacs", scanner: str = "", seconds: float = 1.0) -> str:
    """A study version that was answered; its id."""
    uid = f"1.2.{next(NUMBERS)}"
    header = rows.arrival(uid, f"{uid}.1").header
    arrival = Arrival(
        header=header, blob=Blob(new_id("b"), "s" * 64, 1), content_sha256=uid, peer=peer, received_at=utc_now()
    )
    now = utc_now()
    with house.ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival])
        maker = {"manufacturer": scanner} if scanner else {}
        row = Acquisition(
            instance_id=receipt.instance_id, version_id=receipt.version_id, modality="CR", model_name="", **maker
        )
        acquisitions.add(conn, [row])
        times = {"completed_at": now - timedelta(seconds=seconds), "answered_at": now}
        mine = study_versions.c.id == receipt.version_id
        conn.execute(study_versions.update().where(mine).values(state=StudyState.ANSWERED, **times))
    return receipt.version_id


def answered(house: House, version_id: str, model: ModelVersion, at: datetime | None = None) -> str:
    """The result of a version; its id."""
    made = rows.result(version_id, model=model, created_at=at or utc_now())
    with house.ledger.write() as conn:
        assert results.add(conn, made)
    return made.id


def verdict(house: House, version_id: str, result_id: str, kind: VerdictKind, reader: str = "dr") -> None:
    given = Verdict(
        id=new_id("ve"), result_id=result_id, version_id=version_id, target="pneumonia", kind=kind, reader=reader,
        actor=reader, at=utc_now(), awareness=Awareness.SAW_AI, source=VerdictSource.REST, source_id=new_id("s"),
    )  # fmt: skip
    with house.ledger.write() as conn:
        assert verdicts.add(conn, given)


def judge(house: House, kinds: Iterable[VerdictKind], **place: str) -> None:
    """One study, result and verdict of the champion of now for each kind."""
    for kind in kinds:
        version_id = study(house, **place)
        verdict(house, version_id, answered(house, version_id, champion(house)), kind)


def audited(house: House, action: str) -> list[str]:
    e = audit_events.c
    with house.ledger.read() as conn:
        return list(conn.scalars(select(e.detail).where(e.action == action)))


YES, NO = VerdictKind.CONFIRM, VerdictKind.REJECT


@pytest.mark.parametrize(
    ("rule", "values", "fires"),
    [
        (AGREEMENT, [0.0] * 19, False),
        (AGREEMENT, [0.0] * 20, True),
        (AGREEMENT, [1.0] * 12 + [0.0] * 8, False),
        (AGREEMENT, [1.0] * 60 + [0.0] * 40, True),
        (AGREEMENT, [1.0] * 80 + [0.0] * 20, False),
        (ERRORS, [1.0] * 3 + [0.0] * 17, False),
        (ERRORS, [1.0] * 8 + [0.0] * 12, True),
        (LATENCY, [31.0] * 12 + [1.0] * 8, False),
        (LATENCY, [31.0] * 18 + [1.0] * 2, True),
        (LATENCY, [29.0] * 40, False),
    ],
)
def test_a_rule_fires_where_the_whole_interval_is_on_the_wrong_side(
    rule: StopRule, values: list[float], fires: bool
) -> None:
    assert (judged(rule, values) is not None) is fires


def test_readers_who_disagree_bring_the_previous_version_back_within_ten_seconds_and_once(
    house: House, rules: list[StopRule]
) -> None:
    rules.append(AGREEMENT)
    promote_next(house)
    judge(house, [NO] * 14 + [YES] * 5)
    assert enforce(house) == ()
    judge(house, [NO] * 3)
    begun = time.monotonic()
    (firing,) = enforce(house)
    assert time.monotonic() - begun < 10.0
    assert firing.version.digest == NEXT
    assert champion(house).digest == cards.DIGEST
    with house.ledger.read() as conn:
        step = standing.latest(conn, NEXT)
    assert step is not None
    assert (step.after, step.actor) == (Standing.CHALLENGER, "runner")
    assert step.why.startswith("stop rule agreement: 0.227")
    assert enforce(house) == ()


def test_what_was_said_before_the_promotion_or_silently_or_by_another_version_does_not_count(
    house: House, rules: list[StopRule]
) -> None:
    rules.append(AGREEMENT)
    judge(house, [NO] * 25)
    made = promote_next(house)
    for _ in range(25):
        version_id = study(house)
        silent = ModelVersion(**{**_fields(made), "standing": Standing.SHADOW})
        verdict(house, version_id, answered(house, version_id, silent), NO)
    assert enforce(house) == ()
    assert champion(house).digest == NEXT


def _fields(version: ModelVersion) -> dict[str, object]:
    return {name: getattr(version, name) for name in ("name", "version", "digest", "standing", "qualification")}


def test_of_a_reader_who_changed_their_mind_the_last_word_counts(house: House, rules: list[StopRule]) -> None:
    rules.append(AGREEMENT)
    promote_next(house)
    for _ in range(22):
        version_id = study(house)
        result_id = answered(house, version_id, champion(house))
        verdict(house, version_id, result_id, NO)
        verdict(house, version_id, result_id, YES)
    assert enforce(house) == ()


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (BY_SITE, {"peer": "north"}, {"peer": "south"}),
        (BY_SCANNER, {"scanner": "Acme"}, {"scanner": "Zenith"}),
    ],
)
def test_one_site_or_scanner_that_suffers_is_enough(
    house: House, rules: list[StopRule], rule: StopRule, bad: dict[str, str], good: dict[str, str]
) -> None:
    rules.append(rule)
    promote_next(house)
    judge(house, [YES] * 40, **good)
    judge(house, [NO] * 14, **bad)
    assert enforce(house) == ()
    judge(house, [NO] * 2, **bad)
    (firing,) = enforce(house)
    assert firing.place == next(iter(bad.values()))
    assert f"at {rule.by} {firing.place}" in stop_rules.why(firing)
    assert champion(house).digest == cards.DIGEST


def test_attempts_that_fail_count_once_a_study_and_not_where_inference_was_away(
    house: House, rules: list[StopRule]
) -> None:
    rules.append(ERRORS)
    promote_next(house)

    def fail(error: str, count: int) -> None:
        for _ in range(count):
            version_id = study(house)
            for _ in range(3):
                with house.ledger.write() as conn:
                    results.note_attempt(conn, version_id, cards.NAME, NEXT, error)

    for _ in range(20):
        answered(house, study(house), champion(house))
    fail(f"{AWAY[0]}: ConnectError", 30)
    assert enforce(house) == ()
    fail("inference answered 409", 4)
    assert enforce(house) == ()
    fail("inference answered 409", 6)
    assert len(enforce(house)) == 1
    assert champion(house).digest == cards.DIGEST


def test_answers_that_come_too_late_bring_the_previous_version_back(house: House, rules: list[StopRule]) -> None:
    rules.append(LATENCY)
    promote_next(house)
    for seconds in [40.0] * 16 + [1.0] * 3:
        answered(house, study(house, seconds=seconds), champion(house))
    assert enforce(house) == ()
    for _ in range(2):
        answered(house, study(house, seconds=40.0), champion(house))
    (firing,) = enforce(house)
    assert firing.rule == LATENCY


def test_without_a_previous_version_the_champion_stays_and_the_alarm_is_raised_once(
    house: House, rules: list[StopRule]
) -> None:
    rules.append(AGREEMENT)
    judge(house, [NO] * 25)
    assert len(enforce(house)) == 1
    assert enforce(house) == ()
    assert champion(house).digest == cards.DIGEST
    (words,) = audited(house, NO_PREVIOUS)
    assert words.startswith("stop rule agreement")


def test_of_rules_that_fire_at_once_in_several_processes_one_rolls_back(house: House, rules: list[StopRule]) -> None:
    rules.append(AGREEMENT)
    promote_next(house)
    judge(house, [NO] * 25)
    start, fired = threading.Barrier(4), []

    def race() -> None:
        start.wait(10)
        fired.extend(enforce(house))

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(fired) == 1
    assert champion(house).digest == cards.DIGEST
    assert len(audited(house, "model.roll_back")) == 1
    assert audited(house, NO_PREVIOUS) == []


def test_the_plans_of_the_zoo_are_read_and_a_model_without_one_has_no_rules() -> None:
    assert {rule.measure for rule in stop_rules.rules_of("cxr_pneumonia")} == {"agreement", "error_rate", "latency"}
    assert stop_rules.rules_of("cxr_tiny") == ()
