"""Going live over REST and as a page."""

from radloop.domain.access import Role
from tests.serving.console.conftest import Console

BASE = "/api/v1/golive"


def test_a_stop_and_a_widening_are_shown_with_who_and_why_and_the_figures_of_the_day(console: Console) -> None:
    mine = console.as_role(Role.IT)
    now = console.http.get(BASE, headers=mine).json()
    assert (now["said"], now["steps"]) == ("Everything is live.", [])
    (day,) = now["day"]
    assert (day["modality"], day["studies"], day["within_fast"], day["urgent"]) == ("CR", 1, 1, 1)
    assert console.http.post(f"{BASE}/stop", json={}, headers=mine).status_code == 422
    assert console.http.post(f"{BASE}/stop", json={"why": "a bad week"}, headers=mine).status_code == 200
    assert console.http.post(f"{BASE}/stop", json={"why": "again"}, headers=mine).status_code == 422
    page = console.http.get("/operations/go-live", headers=mine).text
    for words in ("Nothing is live", "a bad week", "only-it", 'value="DX"'):
        assert words in page
    asked = {"modalities": ["DX"], "why": "agreed"}
    assert console.http.post(f"{BASE}/widen", json=asked, headers=mine).json()["modalities"] == ["DX"]
    assert console.http.post(f"{BASE}/widen", json={"why": "all"}, headers=mine).json()["modalities"] is None
    part = console.http.get("/operations/go-live", headers={**mine, "HX-Request": "true"}).text
    assert "<html" not in part
    assert "CR" in part


def test_governance_sees_it_and_cannot_change_it(console: Console) -> None:
    page = console.http.get("/operations/go-live", headers=console.as_role(Role.GOVERNANCE))
    assert page.status_code == 200
    assert "/api/v1/golive/stop" not in page.text
