"""Watch: what a window comes to, what opens an alarm, and what does not."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, select, update

from flows import alarms as verbs
from flows import baselines, watch
from flows.baselines import Source
from flows.house import House
from radloop.domain.enums import ActorKind
from radloop.domain.errors import Rejected
from radloop.domain.ids import utc_now
from radloop.domain.watching import Alarm, AlarmState, Baseline, Choice
from radloop.ledger import actors, alarms, checks
from radloop.ledger.tables import acquisitions, audit_events
from radloop.ledger.windows import Span
from tests.data_checks import conftest  # noqa: F401 - what Great Expectations imports is deprecated: told there
from tests.flows import cards, traffic
from tests.flows.traffic import Scanner

DAY = timedelta(days=1)
OLD = Scanner()
NEW = Scanner(software="2.0", shift=1.0)


def people(conn: Connection) -> None:
    for name in ("ann", "bob"):
        actors.ensure(conn, name, ActorKind.PERSON)


def grounded(house: House, scanner: Scanner = OLD, count: int = 400) -> Baseline:
    """A baseline in force, of live traffic before the window."""
    end = utc_now() - 2 * DAY
    with house.ledger.write() as conn:
        people(conn)
        traffic.send(conn, scanner, count, begin=end - DAY, minutes=1, seed=1)
    asked = baselines.propose(house, cards.NAME, Source(span=Span(end - 2 * DAY, end)), "ann", "first")
    return baselines.approve(house, asked.id, "bob")


def send(
    house: House, scanner: Scanner, count: int, seed: int = 7, minutes: float = 1.0, hours: float = 20
) -> list[str]:
    with house.ledger.write() as conn:
        begin = utc_now() - timedelta(hours=hours)
        return traffic.send(conn, scanner, count, begin=begin, minutes=minutes, seed=seed)


def opened(house: House, *states: AlarmState) -> tuple[Alarm, ...]:
    with house.ledger.read() as conn:
        return alarms.known(conn, states or tuple(AlarmState))


def outcomes(house: House, suite: str = "") -> dict[str, str]:
    found = watch.watch(house, DAY)
    return {one.check: one.outcome for one in found if one.suite == suite or not suite}


def audited(house: House, action: str) -> list[str]:
    e = audit_events.c
    with house.ledger.read() as conn:
        return list(conn.scalars(select(e.object_id).where(e.action == action)))


def test_without_a_baseline_there_is_insufficient_data_and_no_alarm(house: House) -> None:
    send(house, OLD, 60)
    found = outcomes(house)
    assert {found[f"{cards.NAME}.{suite}"] for suite in ("protocol", "scores", "embeddings", "agreement")} == {
        "insufficient data"
    }
    assert opened(house) == ()


def test_traffic_as_it_was_opens_no_alarm(house: House) -> None:
    grounded(house)
    send(house, OLD, 120)
    found = outcomes(house)
    assert found[f"{cards.NAME}.protocol"] == found[f"{cards.NAME}.combination"] == "pass"
    assert opened(house) == ()


def test_new_software_is_one_alarm_that_names_scanner_version_and_first_study_however_often_it_is_seen(
    house: House,
) -> None:
    grounded(house)
    send(house, OLD, 60)
    moved = send(house, NEW, 60, hours=10)
    assert outcomes(house)[f"{cards.NAME}.combination"] == "fail"
    (alarm,) = opened(house, AlarmState.OPEN)
    assert ("AcmeRay X1 S1" in alarm.cause.words, "2.0" in alarm.cause.words) == (True, True)
    assert (alarm.cause.site, alarm.cause.device, alarm.cause.model) == ("pacs", "AcmeRay X1 S1", cards.NAME)
    assert (alarm.first_version, alarm.studies, alarm.evidence.n > 0) == (moved[0], 60, True)
    again = send(house, NEW, 20, seed=8, hours=5)
    watch.watch(house, DAY)
    watch.watch(house, timedelta(days=30))
    (seen,) = opened(house)
    assert (seen.id, seen.studies, seen.first_version) == (alarm.id, 80, moved[0])
    assert seen.last_seen > alarm.last_seen
    assert audited(house, "alarm.open") == [alarm.id]
    with house.ledger.read() as conn:
        assert set(alarms.studies_of(conn, alarm.id)) == {*moved, *again}


def test_a_movement_of_a_known_scanner_is_one_alarm_whatever_moves_with_it(house: House) -> None:
    grounded(house)
    send(house, OLD, 60)
    send(house, Scanner(shift=1.0, kvp=80.0), 80, seed=9, hours=10)
    watch.watch(house, DAY)
    watch.watch(house, timedelta(hours=12))
    (alarm,) = opened(house)
    assert (alarm.cause.check, alarm.cause.device) == ("moved", "AcmeRay X1 S1")


def test_an_acknowledged_alarm_takes_up_what_is_seen_and_a_closed_one_is_opened_anew(house: House) -> None:
    grounded(house)
    send(house, NEW, 60)
    watch.watch(house, DAY)
    (alarm,) = opened(house)
    with pytest.raises(Rejected, match="reason"):
        verbs.decide(house, alarm.id, Choice.ACKNOWLEDGE, "ann", " ")
    verbs.decide(house, alarm.id, Choice.ACKNOWLEDGE, "ann", "known upgrade")
    watch.watch(house, DAY)
    (kept,) = opened(house)
    assert (kept.state, kept.who, kept.why) == (AlarmState.ACKNOWLEDGED, "ann", "known upgrade")
    verbs.decide(house, alarm.id, Choice.CLOSE, "bob", "rolled back")
    with pytest.raises(Rejected, match="closed already"):
        verbs.decide(house, alarm.id, Choice.ACKNOWLEDGE, "ann", "late")
    watch.watch(house, DAY)
    assert len(opened(house, AlarmState.OPEN)) == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_empty_window_and_a_scanner_that_appears_and_vanishes_open_nothing(house: House, count: int) -> None:
    grounded(house)
    if count:
        send(house, Scanner(station="LOAN", software="9"), count)
    found = outcomes(house)
    assert {found[f"{cards.NAME}.{suite}"] for suite in ("protocol", "scores", "embeddings", "agreement")} == {
        "insufficient data"
    }
    assert opened(house) == ()


def test_rows_without_any_value_open_nothing_where_there_was_none_before_either(house: House) -> None:
    blank = Scanner(
        manufacturer="", model_name="", station="", software="", view="", kvp=None,
        changes=dict.fromkeys(("exposure", "spacing", "rows", "columns", "frames", "bits_stored"))
        | {"body_part": "", "protocol": "", "photometric": "", "transfer_syntax": ""},
    )  # fmt: skip
    grounded(house, blank)
    send(house, blank, 60)
    outcomes(house)
    assert [one.cause.words for one in opened(house) if one.cause.model] == []


def test_a_clock_that_steps_opens_nothing(house: House) -> None:
    """Half of the rows stand in another order, some before the baseline, some in the future."""
    grounded(house)
    send(house, OLD, 100)
    with house.ledger.write() as conn:
        later = utc_now() + timedelta(days=3)
        ids = list(conn.scalars(select(acquisitions.c.instance_id).order_by(acquisitions.c.at.desc()).limit(50)))
        a = acquisitions.c
        conn.execute(
            update(acquisitions).where(a.instance_id.in_(ids[::2])).values(at=datetime(1999, 1, 1, tzinfo=UTC))
        )
        conn.execute(update(acquisitions).where(a.instance_id.in_(ids[1::2])).values(at=later))
    outcomes(house)
    assert opened(house) == ()


def test_a_broken_rule_is_an_alarm_of_its_scanner_from_ten_studies_on(house: House) -> None:
    grounded(house)
    send(house, OLD, 60)
    send(house, Scanner(station="S2", changes={"photometric": "INVERTED"}), 9)
    assert outcomes(house)["photometric"] == "fail"
    assert [one for one in opened(house) if one.cause.check == "photometric"] == []
    bad = send(house, Scanner(station="S2", changes={"photometric": "INVERTED"}), 3, seed=12, hours=2)
    watch.watch(house, DAY)
    (alarm,) = [one for one in opened(house) if one.cause.check == "photometric"]
    assert (alarm.cause.device, alarm.studies, alarm.evidence.n) == ("AcmeRay X1 S2", 12, 12)
    assert set(bad) < set(studies_of(house, alarm))


def studies_of(house: House, alarm: Alarm) -> tuple[str, ...]:
    with house.ledger.read() as conn:
        return alarms.studies_of(conn, alarm.id)


def test_the_pages_are_built_without_a_value_of_a_row_and_fetch_nothing(house: House) -> None:
    send(house, Scanner(view="ZQTOKEN", changes={"description": "ZQTOKEN", "body_part": "ZQTOKEN"}), 30)
    watch.watch(house, DAY)
    pages = {page.name: page.read_text() for page in house.settings.data_docs_path.iterdir()}
    assert {"index.html", "acquisition.html"} <= pages.keys()
    for page in pages.values():
        assert "ZQTOKEN" not in page
        assert 'src="http' not in page
        assert 'href="https://cdn' not in page
        assert str(house.settings.home) not in page


def test_every_watch_is_kept_with_its_outcomes_and_in_the_audit(house: House) -> None:
    found = watch.watch(house, DAY)
    with house.ledger.read() as conn:
        assert len(checks.latest(conn, 1000)) == len(found)
        e = audit_events.c
        assert conn.scalar(select(func.count()).where(e.action == "watch", e.actor == "watch")) == 1
