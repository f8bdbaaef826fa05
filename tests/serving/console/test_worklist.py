"""The worklist: everything open is in it, urgent first with the reason; filters, pages, live, and what it costs."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.house import House
from flows.patient_header import header_of
from flows.signing_off import sign_off
from radloop.domain.access import Role
from radloop.domain.enums import Standing, Urgency
from radloop.domain.ids import utc_now
from radloop.ledger import openings, results, studies, study_headers, worklist
from radloop.ledger.openings import Opening
from tests.bench.busy_site import fill
from tests.clock import cost, until
from tests.flows import cards, place
from tests.flows.readings import READER, answer, answered, introduce, signoff
from tests.radloop.ledger import rows
from tests.serving.console.conftest import Console, client_of, listening

SCRIPT = "<script>alert(1)</script>"


def arrived(house: House, seed: int, **header: str) -> str:
    """A stored radiograph that nothing has been said of; its version's id."""
    (receipt,) = place.arrive(house, place.chest_study(seed, **header))
    assert receipt.version_id is not None
    return receipt.version_id


def named(house: House, version_id: str, **header: str) -> None:
    """What triage would have kept of the study's headers."""
    with house.ledger.write() as conn:
        version = studies.get(conn, version_id)
        assert version is not None
        kept = header_of([place.chest_study(1, **header)])
        assert kept is not None
        study_headers.keep(conn, version.study_id, kept)


def listed(console: Console, query: str = "") -> list[dict[str, object]]:
    answer = console.http.get(f"/api/v1/worklist{query}", headers=console.as_actor())
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, object]] = answer.json()["rows"]
    return rows


def test_every_open_study_is_listed_urgent_first_with_the_reason(console: Console) -> None:
    house = console.house
    unread = arrived(house, 2, AccessionNumber="ACC2")
    calm = answer(house.ledger, arrived(house, 3), findings=(rows.finding(probability=0.1, urgency=Urgency.ROUTINE),))
    with house.ledger.write() as conn:
        worklist.rise(conn, unread, Urgency.CRITICAL)
        worklist.rise(conn, unread, Urgency.URGENT)
    found = listed(console)
    assert {row["version_id"] for row in found} >= {unread, calm.version_id, console.result.version_id}
    assert [row["urgency"] for row in found] == sorted(
        (row["urgency"] for row in found), key=("CRITICAL", "URGENT", "ROUTINE").index
    ), "it rises and never falls"
    first = next(row for row in found if row["version_id"] == console.result.version_id)
    assert (first["why"], first["place"]) == (["Pneumonia 0.92 (cxr_pneumonia)"], "ANSWERED")
    (line,) = first["findings"]  # type: ignore[misc]
    assert (line["called"], line["threshold"], line["model"]) == (True, 0.5, "cxr_pneumonia")
    assert next(row for row in found if row["version_id"] == unread)["place"] == "RECEIVING"


def test_a_result_in_the_shadow_neither_shows_nor_lifts_a_study(console: Console) -> None:
    version_id = arrived(console.house, 4)
    quiet = rows.result(version_id, model=cards.version(standing=Standing.SHADOW))
    with console.house.ledger.write() as conn:
        results.add(conn, quiet)
    row = next(row for row in listed(console) if row["version_id"] == version_id)
    assert (row["findings"], row["urgency"], row["why"]) == ([], "ROUTINE", [])
    assert version_id not in {row["version_id"] for row in listed(console, "?model=cxr_pneumonia")}


def test_a_late_image_hides_no_urgency_and_no_waiting_time(console: Console) -> None:
    house, before = console.house, listed(console)
    first = next(row for row in before if row["version_id"] == console.result.version_id)
    with house.ledger.read() as conn:
        version = studies.get(conn, console.result.version_id)
    assert version is not None
    place.arrive(house, place.chest_study(1, SOPInstanceUID="1.2.3.99"))
    (row,) = [row for row in listed(console) if row["accession_number"] == first["accession_number"]]
    assert row["version_id"] != version.id
    assert (row["urgency"], row["since"], row["number"]) == ("URGENT", first["since"], 2)
    assert row["why"] == ["Pneumonia 0.92 (cxr_pneumonia)"]


def test_filters_say_what_they_mean_and_nonsense_is_refused(console: Console) -> None:
    house = console.house
    version_id = arrived(house, 5, AccessionNumber="ZQ77", PatientID="PAT-9")
    named(house, version_id, PatientName="Ångström^Åsa", PatientBirthDate="19700101", PatientSex="F")
    for query in ("?text=ZQ77", "?text=pat-9", "?text=ngstr", "?state=receiving&text=zq"):
        assert [row["version_id"] for row in listed(console, query)] == [version_id], query
    (row,) = listed(console, "?text=ZQ77")
    assert (row["patient_name"], row["sex"], row["age"]) == ("Ångström, Åsa", "F", row["age"])
    assert listed(console, "?urgency=critical") == []
    assert len(listed(console, "?urgency=urgent&modality=CR&model=cxr_pneumonia")) == 1
    assert listed(console, "?modality=MR") == []
    assert listed(console, "?text=%25") == [], "a wildcard is a letter"
    for query in ("?urgency=loud", "?state=away", "?after=1.2", "?after=x.y.z", "?after=1.99999999999999999999.a"):
        assert console.http.get(f"/api/v1/worklist{query}", headers=console.as_actor()).status_code == 422, query
    assert console.http.get("/api/v1/worklist?text=%00", headers=console.as_actor()).status_code == 200


def test_a_signed_study_leaves_the_list_and_is_among_those_of_today(console: Console) -> None:
    sign_off(console.house, replace(signoff(console.result), at=utc_now()))
    assert listed(console) == []
    (row,) = listed(console, "?signed=today")
    assert (row["place"], row["signed_by"]) == ("SIGNED", READER)
    assert listed(console, "?state=signed") == [row]


def test_the_page_shows_text_as_text_and_is_one_view_in_the_audit(console: Console) -> None:
    named(console.house, console.result.version_id, PatientName=f"{SCRIPT}^Eve")
    with console.browser(Role.READER) as browser:
        page = browser.get("/worklist")
        assert page.status_code == 200
        assert SCRIPT not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
        assert browser.get("/worklist/next", follow_redirects=False).headers["location"].startswith("/studies/sv_")
    assert actions(console.house) == ["view.worklist"], "once for the opening, never for what it hears"
    with console.browser(Role.ML) as browser:
        assert browser.get("/worklist").status_code == 403


def test_a_page_is_sent_what_changed_of_its_rows_and_nothing_else(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        found = re.search(r'data-stream="([^"]+)"', browser.get("/worklist").text)
        assert found is not None
        with browser.stream("GET", html.unescape(found[1]), timeout=10) as stream:
            lines = stream.iter_lines()
            skip(lines, "event: counts")
            assert "<b>1</b>" in next(lines)
            named(console.house, console.result.version_id, PatientName=f"{SCRIPT}^Eve")
            unread = arrived(console.house, 8)
            skip(lines, "event: rows")
            rows = next(lines)
    assert unread in rows
    assert "&lt;script&gt;" in rows
    assert SCRIPT not in rows
    assert "csrf" not in rows, "they are everybody's"


def test_blinded_readers_are_told_what_is_urgent_and_nothing_more(tmp_path: Path) -> None:
    house = place.make_home(tmp_path / "blind", more="[console]\nblinded = true")
    result = answered(house)
    house.ledger.close()
    introduce(house.ledger)
    with listening(house) as port:
        console = Console(house, client_of(port), port, result, result, {})
        with console.http, console.browser(Role.READER) as browser:
            (row,) = browser.get("/api/v1/worklist").json()["rows"]
            page = browser.get("/worklist").text
    assert (row["urgency"], row["why"], row["findings"], row["blinded"]) == (
        "URGENT",
        ["an urgent AI finding"],
        [],
        True,
    )
    assert "Pneumonia" not in page
    house.ledger.close()


def test_who_has_a_study_open_shows_while_they_have_it(console: Console) -> None:
    version_id = console.result.version_id
    with console.house.ledger.write() as conn:
        openings.record(
            conn, Opening(version_id=version_id, actor="dr.no", at=utc_now(), blinded=False, ai_shown_at=None)
        )
    assert listed(console)[0]["opened_by"] == ["dr.no"]
    with console.http.stream("GET", f"/api/v1/studies/{version_id}/events", headers=console.as_actor()) as stream:
        told = stream.iter_text()
        next(told)
        assert listed(console)[0]["open_now"] == [READER]
    until(lambda: listed(console)[0]["open_now"] == [])


def test_the_stream_says_when_a_study_arrives(console: Console) -> None:
    with console.http.stream("GET", "/api/v1/worklist/events", headers=console.as_actor(), timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 3000"
        skip(lines, "data: changed")
        arrived(console.house, 7)
        skip(lines, "data: changed")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = place.make_home(tmp_path_factory.mktemp("busy") / "home")
    fill(house.ledger, 1000, 500)
    yield house
    house.ledger.close()


def test_pages_follow_each_other_without_a_gap_or_a_repeat(busy: House) -> None:
    seen: list[str] = []
    after = None
    with busy.ledger.read() as conn:
        while page := worklist.page(conn, worklist.Filter(), after, 130).entries:
            seen += [entry.version_id for entry in page]
            after = page[-1].cursor
        assert len(seen) == len(set(seen)) == 1000
        assert sum(worklist.page(conn, worklist.Filter()).counts.values()) == 1000
        ranks = [entry.urgency.rank for entry in worklist.page(conn, worklist.Filter(), None, 1000).entries]
        assert ranks == sorted(ranks, reverse=True)


def test_a_thousand_open_studies_are_listed_at_once(busy: House) -> None:
    """The full measure, 10,000 in under 300 ms and 50 who watch, is `python -m tests.bench.console`."""
    with listening(busy) as port, client_of(port) as http:
        console = Console(busy, http, port, None, None, {})  # type: ignore[arg-type]
        with console.browser(Role.READER) as browser:
            page = browser.get("/worklist?urgency=urgent")
            assert page.status_code == 200
            assert page.text.count("data-row") == 100
            assert cost(lambda: browser.get("/worklist?urgency=urgent"), 3) < 1.0
    with busy.ledger.read() as conn:
        question = "SELECT state, urgency, count(*) FROM study_versions WHERE state != 'SIGNED' GROUP BY 1, 2"
        plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}").all()
    assert any("ix_study_versions_open" in str(step) for step in plan), "signed ones are never walked over"


def actions(house: House) -> list[str]:
    with house.ledger.read() as conn:
        return list(
            conn.exec_driver_sql("SELECT action FROM audit_events WHERE action LIKE 'view.%' ORDER BY at, id").scalars()
        )


def skip(lines: Iterator[str], until: str) -> None:
    for line in lines:
        if line == until:
            return
    raise AssertionError(until)
