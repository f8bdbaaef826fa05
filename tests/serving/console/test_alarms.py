"""Alarms over REST and in the metrics: with a token, without a scanner's name in the metrics."""

import pytest

from radloop.domain.access import Role
from radloop.domain.watching import Alarm, Cause, Choice, Evidence, Sighting
from radloop.ledger import alarms, checks
from radloop.ledger.checks import CheckOutcome
from tests.flows.traffic import NOON
from tests.serving.console.conftest import Console


@pytest.fixture
def alarm(console: Console) -> Alarm:
    sighting = Sighting(
        key="k",
        cause=Cause(suite="protocol", check="moved", model="m", site="pacs", device="ZQSCANNER", words="another kvp"),
        evidence=Evidence(statistic="ks", value=0.4, p=1e-9, n=60, m=400, smallest_shift=None),
        since=NOON,
        versions=(console.result.version_id,),
    )
    outcome = CheckOutcome(
        suite="protocol", check="m.protocol", outcome="fail", rows=60, unexpected=60, detail="another kvp",
        window_start=NOON, window_end=NOON,
    )  # fmt: skip
    with console.house.ledger.write() as conn:
        checks.add(conn, [outcome, outcome])
        return alarms.see(conn, sighting, NOON)[0]


def test_an_alarm_is_listed_and_shown_to_whoever_may_see_drift(console: Console, alarm: Alarm) -> None:
    assert console.http.get("/api/v1/alarms").status_code == 401
    (listed,) = console.http.get("/api/v1/alarms", headers=console.as_role(Role.GOVERNANCE)).json()
    assert (listed["id"], listed["cause"], listed["smallest_shift"]) == (alarm.id, "another kvp", None)
    shown = console.http.get(f"/api/v1/alarms/{alarm.id}", headers=console.as_role(Role.GOVERNANCE)).json()
    assert shown["study_versions"] == [console.result.version_id]
    assert console.http.get("/api/v1/alarms/al_0", headers=console.as_role(Role.GOVERNANCE)).status_code == 404
    with console.house.ledger.write() as conn:
        alarms.decide(conn, alarm.id, Choice.CLOSE, "ann", "over", NOON)
    assert console.http.get("/api/v1/alarms", headers=console.as_role(Role.GOVERNANCE)).json() == []
    (closed,) = console.http.get("/api/v1/alarms?state=CLOSED", headers=console.as_role(Role.GOVERNANCE)).json()
    assert (closed["who"], closed["why"]) == ("ann", "over")


def test_metrics_count_open_alarms_and_outcomes_and_name_no_scanner(console: Console, alarm: Alarm) -> None:
    text = console.http.get("/metrics").text
    assert 'radloop_alarms{model="m",state="OPEN",suite="protocol"} 1.0' in text
    assert 'radloop_check_outcomes_total{outcome="fail",suite="protocol"} 2.0' in text
    assert "ZQSCANNER" not in text
