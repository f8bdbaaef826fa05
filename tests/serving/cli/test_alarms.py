"""`radloop alarms` and `radloop baseline`: what is shown, in whose name, and what is refused."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from radloop.domain.enums import ActorKind
from radloop.domain.watching import Alarm, AlarmState, Cause, Evidence, Sighting
from radloop.ledger import actors, alarms, models, shadowed, tokens
from radloop.ledger.tables import audit_events
from serving.cli.desk import Desk, system_user
from tests.flows import cards, traffic
from tests.serving.cli.conftest import cli


@pytest.fixture
def alarm(desk: Desk) -> Iterator[Alarm]:
    """An open alarm on one scanner, with sixty studies before it."""
    with desk.ledger.write() as conn:
        models.register(conn, cards.version())
        versions = traffic.send(conn, traffic.Scanner(), 60)
        sighting = Sighting(
            key=alarms.key_of("x"),
            cause=Cause(
                suite="protocol",
                check="moved",
                model=cards.NAME,
                site="pacs",
                device="AcmeRay X1 S1",
                words="another kvp",
            ),
            evidence=Evidence(statistic="ks", value=0.4, p=1e-9, n=60, m=400, smallest_shift=0.3),
            since=traffic.NOON,
            versions=(versions[0],),
        )
        made, _ = alarms.see(conn, sighting, traffic.NOON)
    yield made


def printed(desk: Desk, *argv: str) -> object:
    found = cli(desk, *argv, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.output)


def audited(desk: Desk) -> list[tuple[str, str]]:
    e = audit_events.c
    with desk.ledger.read() as conn:
        rows = conn.execute(select(e.actor, e.action).where(e.object_kind.in_(["alarm", "baseline"])).order_by(e.at))
        return [(row.actor, row.action) for row in rows]


def test_an_alarm_is_shown_with_its_cause_its_statistic_and_what_can_be_done(desk: Desk, alarm: Alarm) -> None:
    (listed,) = printed(desk, "alarms")  # type: ignore[misc]
    assert (listed["id"], listed["state"], listed["studies"]) == (alarm.id, "OPEN", 1)
    shown = cli(desk, "alarms", "show", alarm.id).output
    for word in ("another kvp", "AcmeRay X1 S1", "ks", "0.3", "acknowledge", "baseline extend --alarm", "data-docs"):
        assert word in shown
    told = printed(desk, "alarms", "show", alarm.id)
    assert (told["first_study"], told["n"], told["smallest_shift"]) == (alarm.first_version, 60, 0.3)  # type: ignore[index]
    assert cli(desk, "alarms", "show", "al_none").exit_code == 4


def test_every_choice_is_made_in_somebodys_name_and_with_a_reason(desk: Desk, alarm: Alarm) -> None:
    assert cli(desk, "alarms", "acknowledge", alarm.id).exit_code == 2
    told = printed(desk, "alarms", "acknowledge", alarm.id, "--why", "a known upgrade")
    assert (told["state"], told["who"], told["why"]) == ("ACKNOWLEDGED", system_user(), "a known upgrade")  # type: ignore[index]
    assert cli(desk, "alarms", "retrain", alarm.id, "--why", "it shall learn it").exit_code == 0
    assert cli(desk, "alarms", "close", alarm.id, "--why", "over").exit_code == 0
    assert cli(desk, "alarms", "acknowledge", alarm.id, "--why", "late").exit_code != 0
    assert printed(desk, "alarms") == []
    (closed,) = printed(desk, "alarms", "list", "--all")  # type: ignore[misc]
    assert closed["state"] == AlarmState.CLOSED
    acts = ["alarm.acknowledge", "alarm.retrain", "alarm.close"]
    assert audited(desk) == [(system_user(), act) for act in acts]


def test_a_scanner_goes_into_the_shadow_and_comes_back(desk: Desk, alarm: Alarm) -> None:
    assert cli(desk, "alarms", "shadow", alarm.id, "--why", "until looked at").exit_code == 0
    with desk.ledger.read() as conn:
        assert [(one.site, one.device) for one in shadowed.known(conn)] == [("pacs", "AcmeRay X1 S1")]
    assert cli(desk, "alarms", "unshadow", alarm.id, "--why", "recalibrated").exit_code == 0
    with desk.ledger.read() as conn:
        assert shadowed.known(conn) == ()


def test_a_baseline_is_proposed_shown_and_approved_by_another(desk: Desk, alarm: Alarm) -> None:
    since = ("--since", "2026-03-01T00:00", "--until", "2026-03-02T00:00")
    made = printed(desk, "baseline", "propose", cards.NAME, *since, "--why", "the first")
    assert (made["state"], made["rows"], made["asked_by"]) == ("PROPOSED", 60, system_user())  # type: ignore[index]
    name = str(made["id"])  # type: ignore[index]
    assert cli(desk, "baseline", "approve", name).exit_code != 0
    with desk.ledger.write() as conn:
        token = tokens.issue(conn, actors.ensure(conn, "bob", ActorKind.PERSON))
    done = printed(desk, "baseline", "approve", name, "--token", token)
    assert (done["state"], done["approved_by"]) == ("IN_FORCE", "bob")  # type: ignore[index]
    assert printed(desk, "baseline", "show", name)["scanners"] == [  # type: ignore[index]
        {"site": "pacs", "device": "AcmeRay X1 S1", "rows": 60}
    ]
    assert name in cli(desk, "baseline", "list").output
    assert ("bob", "baseline.approve") in audited(desk)


@pytest.mark.parametrize(
    "wrong",
    [
        ("baseline", "propose", "m", "--cohort", "c", "--since", "1d", "--why", "x"),
        ("baseline", "propose", "m", "--until", "1d", "--why", "x"),
        ("baseline", "extend", "--why", "x"),
        ("baseline", "extend", "m", "--alarm", "a", "--why", "x"),
    ],
)
def test_what_contradicts_itself_is_refused(desk: Desk, wrong: tuple[str, ...]) -> None:
    assert cli(desk, *wrong).exit_code == 2
