"""`radloop golive`, `radloop schedule add`, `radloop status --stuck`: what the page Operations does, by command."""

import json

from sqlalchemy import select

from radloop.ledger import kept_schedules
from radloop.ledger.tables import audit_events
from serving.cli.desk import Desk, system_user
from serving.cli.exits import Exit
from tests.serving.cli.conftest import cli


def audited(desk: Desk, kind: str) -> list[tuple[str, str]]:
    e = audit_events.c
    with desk.ledger.read() as conn:
        rows = conn.execute(select(e.actor, e.action).where(e.object_kind == kind).order_by(e.at)).all()
    return [(row.actor, row.action) for row in rows]


def test_going_live_is_stopped_widened_and_shown_in_ones_own_name(desk: Desk, delivery: str) -> None:
    assert "Everything is live." in cli(desk, "golive", "show").stdout
    refused = cli(desk, "golive", "widen", "DX", "--why", "first")
    assert (refused.exit_code, "live already" in refused.stderr) == (Exit.FAILED, True)
    assert "Nothing is live" in cli(desk, "golive", "stop", "--why", "a bad week").stdout
    assert "Live: DX." in cli(desk, "golive", "widen", "dx", "--why", "agreed").stdout
    for wrong in (("widen", "--why", "x"), ("widen", "CT", "--all", "--why", "x")):
        assert cli(desk, "golive", *wrong).exit_code == Exit.USAGE
    said = json.loads(cli(desk, "golive", "show", "--json").stdout)
    assert said["live"] == ["DX"]
    assert [(one["modality"], one["studies"]) for one in said["hours"]] == [("CR", 1)]
    assert cli(desk, "golive", "widen", "--all", "--why", "done").exit_code == Exit.OK
    assert audited(desk, "golive") == [(system_user(), "golive")] * 3


def test_a_schedule_is_made_and_removed_by_the_rules_of_radloop_toml(desk: Desk) -> None:
    assert cli(desk, "schedule", "add", "look", "--flow", "watch", "--cron", "*/15 * * * *").exit_code == Exit.OK
    with desk.reading() as conn:
        assert kept_schedules.known(conn) == {"look": {"flow": "watch", "cron": "*/15 * * * *"}}
    for wrong, words in (
        (("look2", "--flow", "watch", "--cron", "0 25 * * *"), "--cron: hour"),
        (("look2", "--flow", "retrain", "--cron", "0 2 * * *"), "needs model"),
        (("look", "--flow", "watch", "--cron", "0 2 * * *"), "already"),
        (("Look!", "--flow", "watch", "--cron", "0 2 * * *"), "name"),
    ):
        refused = cli(desk, "schedule", "add", *wrong)
        assert refused.exit_code in (Exit.USAGE, Exit.FAILED), wrong
        assert words in refused.stderr
    listed = cli(desk, "schedule", "list", "--json")
    assert listed.exit_code == Exit.NOT_READY
    assert "look" in [one["name"] for one in json.loads(listed.stdout)]
    assert cli(desk, "schedule", "remove", "look").exit_code == Exit.OK
    assert cli(desk, "schedule", "remove", "look").exit_code == Exit.NOT_FOUND
    assert audited(desk, "schedule") == [(system_user(), "schedule.add"), (system_user(), "schedule.remove")]


def test_status_says_what_is_stuck_and_what_to_do_and_ends_with_not_ready(desk: Desk) -> None:
    found = cli(desk, "status", "--stuck")
    assert found.exit_code == Exit.NOT_READY
    assert found.stdout.startswith("radloop is not running.")
    assert "radloop up --wait" in found.stdout
    (only,) = json.loads(cli(desk, "status", "--stuck", "--json").stdout)
    assert (only["what"], only["place"]) == ("radloop is not running", "processes")
    assert "radloop is not running." in cli(desk, "status").stdout
