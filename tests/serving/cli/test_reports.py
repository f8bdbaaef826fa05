import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from radloop.domain.enums import ActorKind, Awareness, StudyState, VerdictKind, VerdictSource
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import SignOff, Verdict
from radloop.ledger import actors, results, signoffs, studies, verdicts
from radloop.ledger.audit_reports import audit_report_files
from radloop.ledger.tables import audit_events, study_versions
from radloop.settings import Settings, load_settings
from serving.cli.desk import Desk, system_user
from tests.serving.cli.conftest import STUDY_UID, cli

READER = "dr.lee"


@pytest.fixture
def signed(desk: Desk, delivery: str) -> str:
    """The answered study of `delivery`, judged by two readers and signed; its version's id."""
    del delivery
    with desk.ledger.write() as conn:
        actors.ensure(conn, READER, ActorKind.PERSON)
        version = studies.latest(conn, None, None)[0]
        (result,) = results.of_version(conn, version.id)
        for reader in (READER, system_user()):
            verdicts.add(
                conn,
                Verdict(
                    id=new_id("ve"), result_id=result.id, version_id=version.id, target="pneumonia",
                    kind=VerdictKind.REJECT, reader=reader, actor=reader, at=utc_now(), awareness=Awareness.BLINDED,
                    source=VerdictSource.REST, source_id=new_id("s"), text="Mrs Secret",
                ),
            )  # fmt: skip
        conn.execute(update(study_versions).values(state=StudyState.SIGNED))
        signoff = SignOff(
            version_id=version.id, reader=READER, actor=READER, at=utc_now(), source=VerdictSource.REST, conclusion="c"
        )
        signoffs.add(conn, signoff)
    return version.id


def made(desk: Desk) -> str:
    return str(json.loads(cli(desk, "report", "run", "--json").stdout)["id"])


def test_a_report_is_made_listed_verified_and_given_out(desk: Desk, signed: str, tmp_path: Path) -> None:
    report = made(desk)
    assert [row["id"] for row in json.loads(cli(desk, "report", "list", "--json").stdout)] == [report]
    assert report in cli(desk, "report", "list").stdout.replace("\n", "")
    assert json.loads(cli(desk, "report", "verify", report, "--json").stdout)["sound"] is True
    data = json.loads(cli(desk, "report", "show", report).stdout)
    assert data["counts"]["signed"] == 1
    assert cli(desk, "report", "show", report, "--format", "pdf").exit_code == 1
    page = tmp_path / "report.html"
    assert cli(desk, "report", "show", report, "--format", "html", "-o", str(page)).exit_code == 0
    assert signed not in page.read_text()  # it was called: nothing was missed
    assert "cxr 1 pneumonia" in page.read_text()
    saved = cli(desk, "report", "save", report, str(tmp_path / "out"))
    assert saved.exit_code == 0
    assert len(saved.stdout.splitlines()) == 5


def test_a_changed_report_ends_with_exit_code_5(desk: Desk, signed: str) -> None:
    del signed
    report = made(desk)
    with desk.ledger.write() as conn:
        other = desk.store.put(b"another")
        conn.execute(update(audit_report_files).values(blob_key=other.key))
    assert cli(desk, "report", "verify", report).exit_code == 5
    assert cli(desk, "report", "show", report).exit_code == 5


def test_a_report_that_is_not_there_and_a_model_that_nobody_knows_end_with_exit_code_4(desk: Desk) -> None:
    assert cli(desk, "report", "verify", "ar_none").exit_code == 4
    assert cli(desk, "report", "run", "--model", "none").exit_code == 4


def test_times_that_are_none_are_refused_by_the_name_of_their_option(desk: Desk) -> None:
    for option in ("--from", "--to"):
        answer = cli(desk, "report", "run", option, "yesterday")
        assert answer.exit_code == 2
        assert f"{option} yesterday" in answer.stderr
    assert cli(desk, "report", "run", "--from", "2026-01-02", "--to", "2026-01-01").exit_code == 1


def test_who_runs_it_sees_their_own_page_and_nobody_elses(desk: Desk, signed: str) -> None:
    (page,) = json.loads(cli(desk, "report", "readers", "--json").stdout)
    assert (page["reader"], page["verdicts"]) == (system_user(), 1)
    assert [one["study_version"] for one in page["second_reads"]] == [signed]
    assert "second read" in cli(desk, "report", "readers").stdout
    assert cli(desk, "report", "readers", "--reader", READER).exit_code == 1


def test_the_lead_reader_of_the_settings_sees_all_by_name(desk: Desk, signed: str) -> None:
    del signed
    _set(desk, "audit", f'lead_readers = ["{system_user()}"]')
    pages = json.loads(cli(desk, "report", "readers", "--json").stdout)
    assert [page["reader"] for page in pages] == sorted([READER, system_user()])


def test_roi_names_the_keys_that_are_missing_and_reckons_when_they_are_there(desk: Desk, signed: str) -> None:
    del signed
    bare = cli(desk, "roi", "--json")
    assert bare.exit_code == 2
    assert "[roi] currency, reader_hour_cost" in bare.stderr
    assert json.loads(bare.stdout)["net"] is None
    _set(
        desk,
        "roi",
        'currency = "EUR"\nreader_hour_cost = 100.0\nminutes_saved_per_study = 30.0\n'
        "minutes_lost_per_override = 0.0\ncost_per_year = 0.0",
    )
    case = json.loads(cli(desk, "roi", "--json").stdout)
    assert (case["hours_recovered"], case["worth"], case["net"]) == (0.5, 50.0, 50.0)
    told = cli(desk, "roi").stdout
    assert "radloop.toml, [roi] reader_hour_cost" in told
    assert "EUR" in told


def test_exports_carry_no_patient_until_they_are_asked_to_and_the_audit_says_which(desk: Desk, signed: str) -> None:
    bare = cli(desk, "report", "export", "acr-csv").stdout
    (row,) = csv.DictReader(io.StringIO(bare))
    assert row["radloop Study Version"] == signed
    for format_ in ("acr-csv", "acr-fhir", "ai-act"):
        told = cli(desk, "report", "export", format_).stdout
        assert STUDY_UID not in told
        assert "Secret" not in told
    assert STUDY_UID in cli(desk, "report", "export", "acr-fhir", "--identifiers").stdout
    assert cli(desk, "report", "export", "ai-act", "--identifiers").exit_code == 1
    with desk.ledger.read() as conn:
        c = audit_events.c
        details = list(conn.scalars(select(c.detail).where(c.action == "report.export").order_by(c.at)))
    assert ["with identifiers" in detail for detail in details] == [False, False, False, False, True]


def test_an_audit_can_be_scheduled(desk: Desk) -> None:
    _append(desk, '[schedules.audit]\nflow = "audit"\ncron = "0 6 1 1,4,7,10 *"\n')
    assert _settings(desk).schedules["audit"].flow == "audit"


def _set(desk: Desk, section: str, lines: str) -> None:
    """Write keys under a table that the file has already."""
    file = desk.home / "radloop.toml"
    text = file.read_text()
    assert f"[{section}]\n" in text
    file.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{lines}\n"))


def _append(desk: Desk, lines: str) -> None:
    file = desk.home / "radloop.toml"
    file.write_text(f"{file.read_text()}\n{lines}")


def _settings(desk: Desk) -> Settings:
    return load_settings(desk.home)
