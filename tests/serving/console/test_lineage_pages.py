"""Lineage over REST and as pages: found by what people know, followed back and forward, exported."""

import csv
import io
import re

import pytest

from flows.answers import not_applicable
from radloop.domain.access import Role
from radloop.ledger.tables import studies
from serving.console.api.lineage import RESULT_ID
from tests.serving.console.conftest import Console
from tests.serving.console.test_access import rows

ACCESSION = "/api/v1/lineage/search"


def uid_of(console: Console) -> tuple[str, str]:
    with console.house.ledger.read() as conn:
        (row,) = conn.execute(studies.select())
        return row.study_uid, row.accession_number


def test_an_answer_is_found_by_accession_uid_model_and_day_and_the_audit_keeps_no_word_of_it(console: Console) -> None:
    uid, accession = uid_of(console)
    mine = console.as_role(Role.GOVERNANCE)
    for said in (
        {"accession": accession},
        {"name": uid},
        {"model": console.result.model.name},
        {"name": console.result.id},
    ):
        found = console.http.post(ACCESSION, json=said, headers=mine).json()
        assert console.result.id in {one["result_id"] for one in found["results"]}, said
    model, result = console.result.model.name, console.result.id
    for said in ({"accession": accession}, {"name": uid}, {"model": model}, {"name": result}):
        found = console.http.post(ACCESSION, json=said, headers=mine).json()
        assert console.result.id in {one["result_id"] for one in found["results"]}, said
    for said in ({"accession": "nobody's"}, {"reader": "nobody"}, {"until": "2001-01-01"}):
        assert console.http.post(ACCESSION, json=said, headers=mine).json() == {"results": [], "more": False}
    for day in ("0001-01-01", "9999-12-31"):
        assert console.http.post(ACCESSION, json={"until": day}, headers=mine).status_code == 422
    kept = rows(console, "search")
    assert [row.detail for row in kept][:2] == ["accession", "name"]
    assert not any(uid in str(row) or (accession and accession in str(row)) for row in kept)


def test_a_chain_is_shown_as_json_picture_page_and_file_and_each_look_is_on_record(console: Console) -> None:
    mine = console.as_role(Role.GOVERNANCE)
    chain = console.http.get(f"/api/v1/lineage/results/{console.result.id}", headers=mine).json()
    assert (chain["kind"], chain["id"]) == ("result", console.result.id)
    assert {child["kind"] for child in chain["children"]} >= {"study version", "model version"}
    picture = console.http.get(f"/api/v1/lineage/results/{console.result.id}/picture.svg", headers=mine)
    assert picture.headers["content-type"].startswith("image/svg+xml")
    page = console.http.get(f"/lineage/results/{console.result.id}", headers=mine)
    assert page.status_code == 200
    assert console.result.id in page.text
    saved = console.http.get(f"/api/v1/lineage/results/{console.result.id}/export", headers=mine)
    assert saved.json()["id"] == console.result.id
    assert "attachment" in saved.headers["content-disposition"]
    assert [row.object_id for row in rows(console, "view.result")] == [console.result.id] * 2
    assert [row.object_id for row in rows(console, "export")] == [console.result.id]
    assert console.http.get("/api/v1/lineage/results/rs_0", headers=mine).status_code == 404


def test_a_version_is_followed_forward_to_all_that_it_read_without_uids(console: Console) -> None:
    mine = console.as_role(Role.GOVERNANCE)
    uid, _ = uid_of(console)
    named = f"{console.result.model.name}@{console.result.model.version}"
    touch = console.http.get(f"/api/v1/lineage/models/{named}", headers=mine)
    if touch.status_code == 404:
        pytest.fail("the version that answered is not registered in this home")
    assert console.result.id in {one["result_id"] for one in touch.json()["read"]}
    saved = console.http.get(f"/api/v1/lineage/models/{named}/export", headers=mine)
    listed = list(csv.DictReader(io.StringIO(saved.text)))
    assert console.result.id in {one["result_id"] for one in listed}
    assert uid not in saved.text + touch.text
    assert console.http.get(f"/lineage/models/{named}", headers=mine).status_code == 200
    assert console.http.get("/api/v1/lineage/models/none@9", headers=mine).status_code == 404


def test_the_search_page_puts_rows_in_its_place_and_refuses_what_is_no_day(console: Console) -> None:
    with console.browser(Role.GOVERNANCE) as browser:
        assert browser.get("/lineage").status_code == 200
        found = browser.post("/lineage/search", data={"model": console.result.model.name})
        assert console.result.id in found.text
        assert browser.post("/lineage/search", data={"since": "yesterday"}).status_code == 422
        assert browser.post("/lineage/search", data={}, headers={"X-CSRF-Token": ""}).status_code == 403


def test_the_ids_that_triage_gives_are_those_that_lineage_takes(console: Console) -> None:
    made = not_applicable(console.result.version_id, console.result.model, "", console.result.created_at)
    assert re.fullmatch(RESULT_ID, made.id)
    assert re.fullmatch(RESULT_ID, console.result.id)
