"""Adoption as a page, over REST and as a command."""

import json

from typer.testing import CliRunner

from radloop.domain.access import Role
from radloop.domain.ids import utc_now
from radloop.ledger import openings, votes
from radloop.ledger.openings import Opening
from radloop.ledger.votes import Vote
from serving.cli.main import app
from tests.flows.readings import READER, answered
from tests.serving.console.conftest import Console

MODEL = "cxr_pneumonia"


def test_what_is_used_is_shown_and_the_command_says_the_same(console: Console) -> None:
    now = utc_now()
    result = answered(console.house, seed=2, created_at=now)
    with console.house.ledger.write() as conn:
        openings.record(
            conn, Opening(version_id=result.version_id, actor=READER, at=utc_now(), blinded=False, ai_shown_at=None)
        )
        votes.cast(conn, Vote(result_id=result.id, actor=READER, useful=True, at=now))
    with console.browser(Role.GOVERNANCE, name="gov") as browser:
        found = browser.get("/api/v1/adoption?weeks=2").json()
        page = browser.get("/adoption?weeks=2")
        plot = browser.get(f"/api/v1/adoption/{MODEL}.svg?weeks=2")
        assert browser.get("/adoption?weeks=0").status_code == 422
    this_week = next(one for one in found["weeks"] if one["opened"]["hits"])
    assert (this_week["model"], this_week["shown"], this_week["timed"]) == (MODEL, 1, 1)
    assert this_week["useful"]["value"] == 1.0
    assert 0 < this_week["useful"]["low"] < 1
    assert page.status_code == 200
    assert "voted useful: 100" in page.text
    assert READER not in page.text
    assert plot.headers["content-type"] == "image/svg+xml"
    assert b"voted useful" in plot.content
    said = CliRunner().invoke(app, ["adoption", "--weeks", "2", "--json", "--home", str(console.house.settings.home)])
    assert json.loads(said.stdout)["models"][0]["useful"] == found["models"][0]["useful"]
    table = CliRunner().invoke(app, ["adoption", "--home", str(console.house.settings.home)])
    assert MODEL in table.stdout
