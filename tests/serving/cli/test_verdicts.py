"""`radloop verdict`, `signoff`, `overrides` and `consent`."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from radloop.domain.enums import ActorKind, StudyState, Urgency, VerdictKind
from radloop.domain.ids import utc_now
from radloop.domain.records import Evidence
from radloop.ledger import actors, instances, patients, results, signoffs, studies, unmatched, verdicts
from radloop.ledger.unmatched import Unmatched, derive_id
from serving.cli.desk import Desk, system_user
from serving.cli.main import app
from tests.radloop.ledger.rows import arrival
from tests.serving.cli.conftest import STUDY_UID, cli


def result_id(desk: Desk) -> str:
    with desk.reading() as conn:
        version = studies.latest(conn, None, None)[0]
        return results.of_version(conn, version.id)[0].id


def target(desk: Desk) -> str:
    with desk.reading() as conn:
        found = results.get(conn, result_id(desk))
    assert found is not None
    return found.findings[0].target


def say(desk: Desk, kind: str, *more: str) -> Result:
    return cli(desk, "verdict", result_id(desk), "--finding", target(desk), "--kind", kind, *more)


def test_an_override_is_recorded_thanked_for_and_listed(desk: Desk, delivery: str) -> None:
    done = say(desk, "reject", "--awareness", "blinded")
    assert done.exit_code == 0, done.output
    assert "Thank you" in done.output
    (row,) = json.loads(cli(desk, "overrides", "--json").output)
    assert (row["study_uid"], row["verdict"], row["reader"]) == (STUDY_UID, "REJECT", system_user())
    assert (row["awareness"], row["called"]) == ("BLINDED", True)
    assert row["finding"] == target(desk)
    assert "REJECT" in cli(desk, "overrides").output
    assert json.loads(cli(desk, "overrides", "--json", "--since", "2999-01-01").output) == []


def test_what_no_verdict_could_be_made_of_is_listed_with_its_reason(desk: Desk, delivery: str) -> None:
    row = Unmatched(id=derive_id("a report"), version_id=None, peer="ris", reason="no such order", at=utc_now())
    with desk.ledger.write() as conn:
        unmatched.add(conn, row)
    (shown,) = json.loads(cli(desk, "unmatched", "--json").output)
    assert (shown["peer"], shown["reason"], shown["version"]) == ("ris", "no such order", None)
    assert "no such order" in cli(desk, "unmatched").output


def test_a_confirmation_is_no_override(desk: Desk, delivery: str) -> None:
    assert json.loads(say(desk, "confirm", "--json").output)["override"] is False
    assert json.loads(cli(desk, "overrides", "--json").output) == []


def test_the_same_id_is_one_verdict(desk: Desk, delivery: str) -> None:
    assert "already" not in say(desk, "confirm", "--id", "K1").output
    assert "already" in say(desk, "confirm", "--id", "K1").output
    other = say(desk, "reject", "--id", "K1")
    assert other.exit_code == 1
    assert "another verdict" in other.output


def test_a_modification_takes_code_severity_and_side_and_words_from_standard_input(desk: Desk, delivery: str) -> None:
    argv = ["verdict", result_id(desk), "--finding", target(desk), "--kind", "modify", "--severity", "severe"]
    argv += ["--laterality", "left", "--code", "36118008^SCT^Pneumothorax", "--text-file", "-"]
    done = CliRunner().invoke(app, [*argv, "--home", str(desk.home)], input="QZXWKVJ words\n")
    assert done.exit_code == 0, done.output
    assert "QZXWKVJ" not in done.output
    with desk.reading() as conn:
        (kept,) = verdicts.of_result(conn, result_id(desk))
    assert (kept.kind, kept.text) == (VerdictKind.MODIFY, "QZXWKVJ words")
    assert (kept.severity, kept.laterality, kept.code and kept.code.value) == ("SEVERE", "LEFT", "36118008")


@pytest.mark.parametrize(
    ("argv", "exit_code"),
    [
        (("--kind", "modify"), 1),
        (("--kind", "confirm", "--reader", "nobody"), 1),
        (("--kind", "confirm", "--code", "x"), 2),
        (("--kind", "perhaps"), 2),
    ],
)
def test_what_cannot_be_taken_ends_with_its_exit_code(
    desk: Desk, delivery: str, argv: tuple[str, ...], exit_code: int
) -> None:
    done = cli(desk, "verdict", result_id(desk), "--finding", target(desk), *argv)
    assert done.exit_code == exit_code, done.output
    with desk.reading() as conn:
        assert verdicts.of_result(conn, result_id(desk)) == ()


def test_a_result_that_is_not_there_is_exit_code_4(desk: Desk) -> None:
    assert cli(desk, "verdict", "rs_0", "--finding", "x", "--kind", "confirm").exit_code == 4
    assert cli(desk, "signoff", "1.2.3").exit_code == 4


def test_a_verdict_may_be_entered_for_another_reader_and_names_both(desk: Desk, delivery: str) -> None:
    with desk.ledger.write() as conn:
        actors.ensure(conn, "dr.who", ActorKind.PERSON)
    assert say(desk, "confirm", "--reader", "dr.who").exit_code == 0
    with desk.reading() as conn:
        (kept,) = verdicts.of_result(conn, result_id(desk))
    assert (kept.reader, kept.actor) == ("dr.who", system_user())


def test_sign_off_closes_the_newest_version_once(desk: Desk, delivery: str) -> None:
    first, again = cli(desk, "signoff", STUDY_UID), cli(desk, "signoff", STUDY_UID)
    assert first.exit_code == again.exit_code == 0, first.output + again.output
    assert "already" in again.output
    with desk.reading() as conn:
        version = studies.latest_of(conn, STUDY_UID)
        assert version is not None
        assert version.state is StudyState.SIGNED
        assert signoffs.of_version(conn, version.id) is not None


def test_a_reader_s_own_report_that_came_in_later_is_not_what_sign_off_closes(desk: Desk, delivery: str) -> None:
    with desk.ledger.write() as conn:
        read = studies.latest(conn, None, None)[0]
        (late,) = instances.record(conn, [arrival(study=STUDY_UID, sop="1.2.3.9", modality="SR")])
        assert late.version_id is not None
    assert cli(desk, "signoff", STUDY_UID).exit_code == 1
    with desk.ledger.write() as conn:
        studies.complete(conn, late.version_id, Evidence(), utc_now(), 2)
        studies.claim(conn, "test", utc_now(), utc_now(), 9, only=[late.version_id])
        studies.answer(conn, late.version_id, "test", "no new image", Urgency.ROUTINE, utc_now())
    done = cli(desk, "signoff", STUDY_UID)
    assert done.exit_code == 0, done.output
    with desk.reading() as conn:
        assert signoffs.of_version(conn, read.id) is not None
        assert signoffs.of_version(conn, late.version_id) is None


def test_consent_is_given_shown_and_withdrawn_under_our_own_id(desk: Desk, delivery: str) -> None:
    number = "P"
    assert json.loads(cli(desk, "consent", "show", number, "--json").output) == []
    given = cli(desk, "consent", "give", number)
    assert given.exit_code == 0, given.output
    with desk.reading() as conn:
        patient = patients.find(conn, number, "")
    assert patient is not None
    assert patient in given.output
    shown = json.loads(cli(desk, "consent", "show", number, "--json").output)
    assert shown == [{"patient": patient, "said": "TRAINING", "may_learn": True}]
    gone = json.loads(cli(desk, "consent", "withdraw", number, "--json").output)
    assert gone == [{"patient": patient, "copies_deleted": 0, "models": []}]
    shown = json.loads(cli(desk, "consent", "show", number, "--json").output)
    assert shown == [{"patient": patient, "said": "WITHDRAWN", "may_learn": False}]


def test_a_number_of_several_patients_is_not_guessed_at_but_a_withdrawal_holds_for_all(desk: Desk) -> None:
    with desk.ledger.write() as conn:
        both = {patients.ensure(conn, "P7", issuer) for issuer in ("A", "B")}
    refused = cli(desk, "consent", "give", "P7")
    assert refused.exit_code == 1
    assert "several issuers" in refused.output
    assert cli(desk, "consent", "give", "P7", "--issuer", "A").exit_code == 0
    gone = json.loads(cli(desk, "consent", "withdraw", "P7", "--json").output)
    assert {row["patient"] for row in gone} == both
