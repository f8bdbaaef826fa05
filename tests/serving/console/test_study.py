"""A study's page: what is shown to whom, verdicts and votes from it, reading blinded, what is on record of a view."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.house import House
from flows.patient_header import header_of, name_for_people
from radloop.domain.access import Role
from radloop.domain.acquired import NoteOutcome, QualityNote
from radloop.domain.enums import Awareness, ResultStatus, Urgency, VerdictKind
from radloop.domain.ids import utc_now
from radloop.ledger import openings, quality_notes, results, studies, study_headers, verdicts, votes
from radloop.pixels import read_header
from tests.flows import place
from tests.flows.readings import OTHER, READER, answer, answered
from tests.peers.dicom_files import part10
from tests.radloop.ledger import rows
from tests.serving.console.conftest import Console, client_of, listening

SCRIPT = "<script>alert(1)</script>"
FINDINGS = (
    rows.finding(target="nodule", probability=0.2, urgency=Urgency.ROUTINE),
    rows.finding(),
    rows.finding(target="effusion", probability=0.7, urgency=Urgency.ROUTINE),
)


def several(console: Console) -> str:
    """A study with three findings, of which one is urgent and one not called; the result's id."""
    (receipt,) = place.arrive(console.house, place.chest_study(21, PatientID=place.chest_study(1).PatientID))
    assert receipt.version_id is not None
    return answer(console.house.ledger, receipt.version_id, findings=FINDINGS).id


def version_of(console: Console, result_id: str) -> str:
    with console.house.ledger.read() as conn:
        result = results.get(conn, result_id)
    assert result is not None
    return result.version_id


def test_the_study_is_told_with_findings_urgent_first_notes_votes_and_priors(console: Console) -> None:
    house, result_id = console.house, several(console)
    version_id = version_of(console, result_id)
    note = QualityNote(
        id="qn_1", version_id=version_id, result_id=result_id, instance_id=None, check="motion_blur",
        outcome=NoteOutcome.WARN, detail="the image is blurred, as by motion", at=utc_now(),
    )  # fmt: skip
    with house.ledger.write() as conn:
        quality_notes.add(conn, [note])
    told = console.http.get(f"/api/v1/studies/{version_id}", headers=console.as_actor()).json()
    assert [(one["finding"], one["number"], one["ordinal"]) for one in told["findings"]] == [
        ("pneumonia", 1, 1), ("effusion", 2, 2), ("nodule", 3, 0),
    ]  # fmt: skip
    assert told["results"][0]["quality"] == ["the image is blurred, as by motion"]
    assert console.result.version_id in {one["version_id"] for one in told["priors"]}
    assert told["priors"][0]["findings"] == ["Pneumonia 0.92"]
    with console.browser(Role.READER) as browser:
        page = browser.get(f"/studies/{version_id}")
    assert page.status_code == 200
    for words in ("Pneumonia", "RESEARCH", "not a diagnosis", "blurred, as by motion", "1 not called", "d" * 12):
        assert words in page.text, words


def test_the_same_study_is_one_key_away_in_the_viewer_of_the_pacs(tmp_path: Path) -> None:
    viewer = '[console]\nviewer = "https://pacs.example/show?study={study_uid}&acc={accession}"'
    house = place.make_home(tmp_path / "pacs", more=viewer)
    (receipt,) = place.arrive(house, place.chest_study(1, StudyInstanceUID="1.2.3", AccessionNumber="A/1 &x"))
    with (
        listening(house) as port,
        client_of(port) as http,
        Console(house, http, port, None, None, {}).browser(Role.READER) as browser,  # type: ignore[arg-type]
    ):
        page = browser.get(f"/studies/{receipt.version_id}").text
    assert 'href="https://pacs.example/show?study=1.2.3&amp;acc=A%2F1%20%26x"' in page
    assert "Images still arrive" in page
    house.ledger.close()


def test_what_a_shadow_says_is_nowhere(console: Console) -> None:
    version_id, shadow = console.result.version_id, console.shadow
    with console.browser(Role.READER) as browser:
        page = browser.get(f"/studies/{version_id}").text
        told = browser.get(f"/api/v1/studies/{version_id}").json()
        assert shadow.id not in page
        assert [one["id"] for one in told["results"]] == [console.result.id]
        for path in ("vote", "verdicts"):
            body = {"useful": True} if path == "vote" else {"finding": "pneumonia", "kind": "CONFIRM"}
            if path == "vote":
                assert browser.post(f"/api/v1/results/{shadow.id}/{path}", json=body).status_code == 404
        for path in ("heatmap", "thumbnail"):
            assert browser.get(f"/api/v1/results/{shadow.id}/findings/0/{path}").status_code == 404


def test_ids_of_other_things_are_not_found(console: Console) -> None:
    paths = ("/api/v1/studies/{}", "/studies/{}", "/studies/{}/part?name=alerts", "/studies/{}/part?name=findings")
    with console.browser(Role.READER) as browser:
        for path in paths:
            for strange in (console.result.id, "sv_0", "in_1", "sv_" + "f" * 28):
                assert browser.get(path.format(strange)).status_code == 404, (path, strange)


def test_who_may_not_see_studies_is_refused_and_the_audit_says_so(console: Console) -> None:
    version_id = console.result.version_id
    for role in (Role.IT, Role.ML, Role.ADMIN, Role.APPROVER):
        with console.browser(role) as browser:
            for path in (
                f"/studies/{version_id}",
                f"/api/v1/studies/{version_id}",
                f"/api/v1/studies/{version_id}/events",
            ):
                assert browser.get(path).status_code == 403, (role, path)
    assert {event.action for event in events(console.house)} >= {"deny"}
    with console.browser(Role.GOVERNANCE, name="gov") as browser:
        page = browser.get(f"/studies/{version_id}").text
        assert "Confirm" not in page, "who does not read has nothing to say"
        assert browser.post(f"/api/v1/results/{console.result.id}/vote", json={"useful": True}).status_code == 403
        assert browser.post(f"/api/v1/studies/{version_id}/show-ai").status_code == 403
    with console.house.ledger.read() as conn:
        assert openings.find(conn, version_id, "gov") is None, "they did not read it"


def test_a_view_is_on_record_with_who_and_in_which_role(console: Console) -> None:
    version_id = console.result.version_id
    with console.browser(Role.READER) as browser:
        browser.get(f"/studies/{version_id}")
        browser.get(f"/studies/{version_id}/part?name=findings", headers={"HX-Request": "true"})
    seen = [event for event in events(console.house) if event.action.startswith("view.")]
    assert [(one.action, one.object_id) for one in seen] == [
        ("view.study", version_id), ("view.result", console.result.id),
    ]  # fmt: skip
    assert {(one.actor, one.role, one.address) for one in seen} == {(READER, "READER", "127.0.0.1")}
    with console.house.ledger.read() as conn:
        opening = openings.find(conn, version_id, READER)
    assert opening is not None
    assert (opening.blinded, opening.ai_shown_at is not None) == (False, True)


def test_a_script_in_a_name_is_text_and_so_is_a_reason(console: Console) -> None:
    version_id = console.result.version_id
    with console.house.ledger.write() as conn:
        version = studies.get(conn, version_id)
        kept = header_of([place.chest_study(1, PatientName=f"{SCRIPT}^Eve", StudyDescription="'\"><img src=x>")])
        assert version is not None
        assert kept is not None
        study_headers.keep(conn, version.study_id, kept)
    with console.browser(Role.READER) as browser:
        page = browser.get(f"/studies/{version_id}").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;, Eve" in page


def test_others_verdicts_show_after_ones_own(console: Console) -> None:
    version_id, result_id = console.result.version_id, console.result.id
    body, path = {"finding": "pneumonia", "kind": "REJECT"}, f"/api/v1/results/{result_id}/verdicts"
    assert console.http.post(path, json=body, headers=console.as_actor(OTHER)).is_success
    with console.browser(Role.READER) as browser:
        assert OTHER not in browser.get(f"/studies/{version_id}/part?name=findings").text
        browser.post(path, json={**body, "kind": "CONFIRM"})
        (finding,) = browser.get(f"/api/v1/studies/{version_id}").json()["findings"]
    assert (finding["own"]["kind"], finding["own"]["awareness"]) == ("CONFIRM", "SAW_AI")
    assert [(one["reader"], one["kind"]) for one in finding["others"]] == [(OTHER, "REJECT")]


def test_a_vote_is_one_click_and_the_last_one_counts(console: Console) -> None:
    result_id = console.result.id
    with console.browser(Role.READER) as browser:
        for useful in (True, True, False):
            assert browser.post(f"/api/v1/results/{result_id}/vote", json={"useful": useful}).json()["useful"] is useful
        assert browser.post("/api/v1/results/re_0/vote", json={"useful": True}).status_code == 404
        assert browser.post(f"/api/v1/results/{result_id}/vote", json={"useful": "maybe"}).status_code == 422
    with console.house.ledger.read() as conn:
        assert [(one.actor, one.useful) for one in votes.of_results(conn, [result_id])[result_id]] == [(READER, False)]
    assert [event.detail for event in events(console.house) if event.action == "vote"] == ["useful", "not useful"]


def test_a_blinded_reader_speaks_first_and_then_sees_the_ai(console: Console) -> None:
    result_id = several(console)
    version_id = version_of(console, result_id)
    said = [
        {"result_id": result_id, "finding": target, "judgement": judgement}
        for target, judgement in (("pneumonia", "ABSENT"), ("nodule", "PRESENT"), ("effusion", "UNSURE"))
    ]
    with console.browser(Role.READER) as browser:
        page = browser.get(f"/studies/{version_id}?blinded=1").text
        assert "0.92" not in page
        assert "0.20" not in page
        assert "urgent AI finding" in page, "what is urgent is told at once"
        assert browser.get(f"/studies/{version_id}/part?name=findings&blinded=1").text.count("<fieldset") == 3
        told = browser.post(f"/api/v1/studies/{version_id}/blind", json={"judgements": said})
        assert (told.status_code, told.json()["verdicts"]) == (201, 2)
        assert "0.92" in browser.get(f"/studies/{version_id}?blinded=1").text
        again = browser.post(f"/api/v1/studies/{version_id}/blind", json={"judgements": said})
        assert again.status_code == 422, "nobody is blinded twice"
        late = {"finding": "effusion", "kind": "CONFIRM", "awareness": "BLINDED"}
        receipt = browser.post(f"/api/v1/results/{result_id}/verdicts", json=late).json()
        assert receipt["verdict"]["awareness"] == "SAW_AI", "the record says that they saw it"
        changed = next(
            one for one in browser.get(f"/api/v1/studies/{version_id}").json()["findings"] if one["finding"] == "nodule"
        )
        assert changed["awareness"] == "CORRECTED", "a change of mind would be one"
    with console.house.ledger.read() as conn:
        entered = {(one.target, one.kind, one.awareness) for one in verdicts.of_result(conn, result_id)}
        opening = openings.find(conn, version_id, READER)
    assert entered == {
        ("pneumonia", VerdictKind.REJECT, Awareness.BLINDED),
        ("nodule", VerdictKind.ADD, Awareness.BLINDED),
        ("effusion", VerdictKind.CONFIRM, Awareness.SAW_AI),
    }
    assert opening is not None
    assert opening.blinded
    assert opening.ai_shown_at is not None
    assert opening.ai_shown_at >= opening.at


def test_seeing_an_urgent_finding_ends_blindness_and_is_on_record(console: Console) -> None:
    version_id = console.result.version_id
    with console.browser(Role.READER) as browser:
        assert browser.post(f"/api/v1/studies/{version_id}/show-ai").status_code == 404, "it was not opened"
        browser.get(f"/studies/{version_id}?blinded=1")
        assert [one.action for one in events(console.house) if one.action == "view.result"] == []
        assert browser.post(f"/api/v1/studies/{version_id}/show-ai").is_success
        assert "0.92" in browser.get(f"/studies/{version_id}?blinded=1").text
    (shown,) = [event for event in events(console.house) if event.action == "ai.shown"]
    assert (shown.object_id, shown.detail) == (version_id, "without a verdict before")


def test_nothing_of_another_study_comes_in_with_a_blinded_verdict(console: Console) -> None:
    version_id, foreign = console.result.version_id, several(console)
    with console.browser(Role.READER) as browser:
        browser.get(f"/studies/{version_id}?blinded=1")
        for result_id, finding in (
            (foreign, "pneumonia"),
            (console.shadow.id, "pneumonia"),
            (console.result.id, "gout"),
        ):
            body = {"judgements": [{"result_id": result_id, "finding": finding, "judgement": "PRESENT"}]}
            assert browser.post(f"/api/v1/studies/{version_id}/blind", json=body).status_code == 404
    with console.house.ledger.read() as conn:
        assert verdicts.of_version(conn, version_id) == ()
        opening = openings.find(conn, version_id, READER)
    assert opening is not None
    assert opening.ai_shown_at is None, "all of it or nothing"


def test_a_model_that_could_not_read_says_why_and_a_signed_study_says_who(console: Console) -> None:
    why = "view is not PA or AP"
    refused = answered(console.house, 31, status=ResultStatus.NOT_APPLICABLE, reason=why, findings=())
    with console.browser(Role.READER) as browser:
        page = browser.get(f"/studies/{refused.version_id}").text
        assert f"Does not read this study: {why}" in page
        said = {"conclusion": "Clear <b>lungs</b>."}
        signed = browser.post(f"/api/v1/studies/{refused.version_id}/signoff", json=said)
        assert signed.status_code == 201
        page = browser.get(f"/studies/{refused.version_id}").text
        assert f"</b> by {READER}" in page
        assert "Clear &lt;b&gt;lungs&lt;/b&gt;." in page
        assert "Sign off" not in page.split("<dialog")[0].split("data-verdict")[-1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CURIE^Marie", "CURIE, Marie"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("=山田^太郎", "山田, 太郎"),
        ("O'Neil^Ann^Mary^Dr^MD", "O'Neil, Ann Mary (Dr, MD)"),
        ("^^", ""),
        ("", ""),
        ("a\x00b\u202ec\ud800^d\n", "a b c, d"),
        ("x" * 999, "x" * 128),
    ],
)
def test_a_name_is_written_for_people(name: str, said: str) -> None:
    assert name_for_people(name) == said


@pytest.mark.parametrize(("charset", "raw", "said"), [
    ("ISO_IR 192", "Müller^Jörg".encode(), "Müller, Jörg"),
    ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller, Jörg"),
    ("NONSENSE", "Müller^Jörg".encode("latin-1"), None),
    ("ISO_IR 192", b"\xff\xfe^\x80", None),
])  # fmt: skip
def test_any_character_set_leaves_a_name_that_can_be_kept(charset: str, raw: bytes, said: str | None) -> None:
    whole = part10(place.chest_study(1, SpecificCharacterSet="ISO_IR 144", PatientName="Q" * len(raw)))
    patched = whole.replace(b"ISO_IR 144", charset.ljust(10).encode()).replace(b"Q" * len(raw), raw)
    found = header_of([read_header(patched)])
    assert found is not None
    found.patient_name.encode()
    if said:
        assert found.patient_name == said


def events(house: House) -> Sequence[object]:
    with house.ledger.read() as conn:
        return conn.exec_driver_sql(
            "SELECT actor, action, object_id, detail, role, address FROM audit_events ORDER BY at, id"
        ).all()
