"""Versions, gates, approvals and roll-back over REST and as pages: the verbs of the commands, by the same rules."""

import pytest

from radloop.domain.access import Role
from tests.serving.console.conftest import Console


def named(console: Console) -> str:
    model = console.result.model
    return f"{model.name}@{model.version}"


def test_versions_are_listed_and_one_is_shown_with_gates_approvals_and_history(console: Console) -> None:
    mine = console.as_role(Role.ML)
    listed = console.http.get("/api/v1/models", headers=mine).json()
    assert console.result.model.digest in {one["digest"] for one in listed}
    assert console.http.get("/models", headers=mine).status_code == 200
    page = console.http.get(f"/models/{named(console)}", headers=mine)
    assert page.status_code == 200
    assert console.result.model.digest in page.text
    assert console.http.get("/models/none@1", headers=mine).status_code == 404


def test_whoever_may_not_say_yes_is_told_the_rule_and_refused_with_it(console: Console) -> None:
    mine = console.as_role(Role.APPROVER)
    promote, _ = console.http.get(f"/api/v1/models/{named(console)}/approval", headers=mine).json()
    assert promote["refused"]
    refused = console.http.post(f"/api/v1/models/{named(console)}/approvals", json={}, headers=mine)
    assert refused.status_code == 422
    assert "not installed" in refused.json()["error"]


def test_a_roll_back_needs_a_reason_and_a_previous_version(console: Console) -> None:
    address, mine = f"/api/v1/models/{console.result.model.name}/rollback", console.as_role(Role.APPROVER)
    assert console.http.post(address, json={}, headers=mine).status_code == 422
    assert console.http.post(address, json={"why": "worse"}, headers=mine).status_code in (404, 422)


@pytest.mark.parametrize("path", ["/api/v1/cohorts", "/api/v1/training-runs"])
def test_cohorts_and_training_runs_are_lists(console: Console, path: str) -> None:
    assert console.http.get(path, headers=console.as_role(Role.GOVERNANCE)).json() == []
