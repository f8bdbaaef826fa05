"""The commands by which a version comes in, is approved by two people, and is taken back."""

import json
from collections.abc import Iterator

import pytest

from flows import approving
from flows.house import House, open_house
from radloop.process import announce
from serving.cli.desk import Desk, system_user
from serving.cli.exits import Exit
from serving.cli.setup import installed
from tests.flows.candidates import NAME, candidate, chest_plan, evaluated, shipped
from tests.flows.fake_inference import fake_inference
from tests.serving.cli.conftest import cli


@pytest.fixture
def house(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(approving, "read_plan", chest_plan)
    opened = open_house(desk.settings)
    yield opened
    opened.ledger.close()


def versions(desk: Desk) -> dict[str, dict[str, str]]:
    rows = json.loads(cli(desk, "models", "list", "--json").stdout)
    return {row["version"]: row for row in rows}


def test_two_people_bring_a_version_in_and_one_command_takes_it_back(desk: Desk, house: House) -> None:
    token = json.loads(cli(desk, "actor", "add", "ann", "--json").stdout)["token"]
    champion, made = shipped(house), candidate(house, 1)
    evaluated(house, made, champion.digest)
    assert cli(desk, "shadow", f"{NAME}@{made.digest[:8]}").exit_code == Exit.OK
    assert cli(desk, "approve", f"{NAME}@1.1.0", "--token", token).exit_code == Exit.OK
    twice = cli(desk, "approve", f"{NAME}@1.1.0", "--token", token)
    assert (twice.exit_code, "has approved" in twice.stderr) == (Exit.FAILED, True)
    assert cli(desk, "approve", f"{NAME}@1.1.0").exit_code == Exit.NOT_READY, "inference is away"
    with fake_inference(house.store) as service:
        announce(desk.home, "inference", service.port)
        done = cli(desk, "approve", f"{NAME}@1.1.0", "--json")
    assert json.loads(done.stdout)["standing"] == "CHAMPION"
    assert versions(desk)["1.0.0"]["standing"] == "PREVIOUS"
    assert versions(desk)["1.1.0"]["by"] == system_user()
    back = cli(desk, "rollback", NAME, "--why", "it misses the obvious", "--token", token, "--json")
    assert json.loads(back.stdout)["restored"]["version"] == "1.0.0"
    steps = json.loads(cli(desk, "models", "history", NAME, "--json").stdout)
    assert [(one["version"], one["before"], one["after"], one["by"]) for one in steps] == [
        ("1.0.0", None, "CHAMPION", "radloop"),
        ("1.1.0", None, "CHALLENGER", "runner"),
        ("1.1.0", "CHALLENGER", "SHADOW", system_user()),
        ("1.0.0", "CHAMPION", "PREVIOUS", system_user()),
        ("1.1.0", "SHADOW", "CHAMPION", system_user()),
        ("1.1.0", "CHAMPION", "CHALLENGER", "ann"),
        ("1.0.0", "PREVIOUS", "CHAMPION", "ann"),
    ]
    assert steps[-1]["why"] == "it misses the obvious"
    verdict = cli(desk, "audit", "verify", "--json")
    assert json.loads(verdict.stdout)["sound"]


def test_a_version_that_is_not_there_or_is_not_named_rightly_is_said(desk: Desk, house: House) -> None:
    shipped(house)
    assert cli(desk, "shadow", f"{NAME}@9").exit_code == Exit.NOT_FOUND
    assert cli(desk, "shadow", NAME).exit_code == Exit.USAGE
    assert cli(desk, "approve", f"{NAME}@1.0.0", "--kind", "praise").exit_code == Exit.USAGE
    assert cli(desk, "rollback", NAME, "--why", "w").exit_code == Exit.FAILED
    nothing = json.loads(cli(desk, "compare", f"{NAME}@1.0.0", "--json").stdout)
    assert (nothing[0]["studies"], nothing[0]["agreement"]["value"]) == (0, None)
    assert "nothing to compare" in cli(desk, "compare", f"{NAME}@1.0.0").stdout
    assert "1.0.0" in cli(desk, "models", "list").stdout


def test_a_bare_home_has_no_models(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path / "home")
    assert cli(desk, "init", "--bare").exit_code == Exit.OK
    assert installed(desk) == ()
    assert not (desk.settings.models_path).exists()
    desk.ledger.close()
