"""Schedules over REST: made and removed by the rules of radloop.toml, listed whether Prefect is there or not."""

from radloop.domain.access import Role
from radloop.ledger import kept_schedules
from radloop.ledger.tables import audit_events
from tests.serving.console.conftest import Console

BASE = "/api/v1/schedules"
WATCH = {"name": "look", "flow": "watch", "cron": "*/15 * * * *"}


def test_a_schedule_is_made_listed_without_prefect_and_removed(console: Console) -> None:
    mine = console.as_role(Role.IT)
    assert console.http.post(BASE, json=WATCH, headers=mine).status_code == 201
    listed = console.http.get(BASE, headers=mine).json()
    assert listed["prefect"] is False
    (row,) = listed["schedules"]
    assert (row["name"], row["cron"], row["source"], row["registered"]) == ("look", "*/15 * * * *", "console", False)
    assert console.http.post(BASE, json=WATCH, headers=mine).status_code == 409
    part = console.http.get("/operations/schedules", headers=mine).text
    assert "Prefect is away" in part
    assert "look" in part
    for verb in ("pause", "resume", "run"):
        assert console.http.post(f"{BASE}/look/{verb}", headers=mine).status_code == 503
    assert console.http.delete(f"{BASE}/look", headers=mine).status_code == 200
    assert console.http.delete(f"{BASE}/look", headers=mine).status_code == 404
    with console.house.ledger.read() as conn:
        assert kept_schedules.known(conn) == {}
        found = conn.execute(audit_events.select().where(audit_events.c.object_kind == "schedule")).all()
    assert [(row.actor, row.action) for row in sorted(found, key=lambda row: row.at)] == [
        ("only-it", "schedule.add"),
        ("only-it", "schedule.remove"),
    ]


WRONG = (
    ({"cron": "0 25 * * *"}, "hour"),
    ({"cron": "often"}, "five parts"),
    ({"flow": "dance"}, "flow"),
    ({"flow": "ingest"}, "either peer or folder"),
    ({"flow": "retrain"}, "needs model"),
    ({"flow": "ingest", "peer": "nobody"}, "no [peers.nobody]"),
    ({"flow": "ingest", "folder": "incoming"}, "absolute"),
    ({"since": "always"}, "since"),
)


def test_what_radloop_toml_would_not_take_is_refused_with_the_reason(console: Console) -> None:
    for change, words in WRONG:
        refused = console.http.post(BASE, json={**WATCH, **change}, headers=console.as_role(Role.IT))
        assert refused.status_code == 422, change
        assert words in refused.json()["error"]


def test_our_own_files_are_nothing_to_import(console: Console) -> None:
    home = console.house.settings.home
    for folder in (home / "keys", home, home.parent, f"{home.parent}/x/../{home.name}/keys"):
        asked = {**WATCH, "flow": "ingest", "folder": str(folder)}
        refused = console.http.post(BASE, json=asked, headers=console.as_role(Role.IT))
        assert refused.status_code == 422, folder
