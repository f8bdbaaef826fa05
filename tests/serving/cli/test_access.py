"""`radloop actor`, `radloop token` and `radloop access`, on a home of their own."""

import json
from datetime import timedelta

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import select
from typer.testing import CliRunner

from radloop.domain.access import GRANTS, Permission, Role
from radloop.domain.ids import utc_now
from radloop.ledger import actors, sessions, tokens
from radloop.ledger.sessions import Door
from radloop.ledger.tables import audit_events
from serving.cli.access import hashed
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from serving.cli.main import app
from tests.serving.cli.conftest import cli

GLASS = "a long enough one"


def told(desk: Desk, *argv: str) -> dict[str, object]:
    result = cli(desk, *argv, "--json")
    assert result.exit_code == Exit.OK, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def listed(desk: Desk, name: str) -> dict[str, object]:
    rows: list[dict[str, object]] = json.loads(cli(desk, "actor", "list", "--json").stdout)
    return next(row for row in rows if row["name"] == name)


def audited(desk: Desk) -> list[tuple[str, str]]:
    with desk.ledger.read() as conn:
        return [tuple(row) for row in conn.execute(select(audit_events.c.action, audit_events.c.detail))]


def session_of(desk: Desk, name: str) -> str:
    with desk.ledger.write() as conn:
        actor = actors.by_name(conn, name)
        assert actor is not None
        begun = sessions.begin(conn, actor, [Role.READER], Door.TOKEN, "", now=utc_now(), lasts=timedelta(hours=1))
    return begun.secret


def stands(desk: Desk, secret: str) -> bool:
    with desk.ledger.read() as conn:
        return sessions.standing(conn, secret, now=utc_now(), idle=timedelta(hours=1)) is not None


def opens(desk: Desk, secret: object) -> bool:
    with desk.ledger.read() as conn:
        return tokens.held(conn, str(secret)) is not None


def with_break_glass(desk: Desk) -> None:
    path = desk.home / "radloop.toml"
    path.write_text(path.read_text().replace("#break_glass = false", "break_glass = true"))
    assert "\nbreak_glass = true" in path.read_text()


def typed(desk: Desk, name: str, password: str, *more: str) -> int:
    argv = ["actor", "password", name, *more, "--home", str(desk.home)]
    return CliRunner().invoke(app, argv, input=f"{password}\n").exit_code


def test_a_machine_may_hand_verdicts_over_for_a_year_unless_told_otherwise(desk: Desk) -> None:
    made = told(desk, "actor", "add", "ris", "--machine")
    assert made["scopes"] == ["READ", "VIEW_STUDIES"]
    assert f"{utc_now() + timedelta(days=365):%Y-%m-%d}" in str(made["expires_at"])
    other = told(desk, "actor", "add", "pump", "--machine", "--scope", "upload", "--expires", "never")
    assert (other["scopes"], other["expires_at"]) == (["UPLOAD"], None)
    renewed = told(desk, "actor", "add", "pump", "--renew")
    assert renewed["scopes"] == ["UPLOAD"]
    assert not opens(desk, other["token"])


def test_a_person_has_the_roles_that_they_are_given(desk: Desk) -> None:
    made = told(desk, "actor", "add", "ann", "--role", "ML", "--role", "approver")
    assert (made["scopes"], made["expires_at"], listed(desk, "ann")["roles"]) == (None, None, ["APPROVER", "ML"])
    assert told(desk, "actor", "add", "bob")["kind"] == "PERSON"
    assert listed(desk, "bob")["roles"] == ["READER"]


def test_a_machine_has_no_roles_and_no_password(desk: Desk) -> None:
    with_break_glass(desk)
    assert cli(desk, "actor", "add", "ris", "--machine", "--role", "ADMIN").exit_code == Exit.FAILED
    assert cli(desk, "actor", "roles", "radloop", "ADMIN").exit_code == Exit.FAILED
    assert typed(desk, "radloop", GLASS) == Exit.FAILED
    assert cli(desk, "actor", "list").exit_code == Exit.OK


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "a" * 129])
def test_a_name_that_no_provider_would_say_is_refused(desk: Desk, name: str) -> None:
    assert cli(desk, "actor", "add", name).exit_code == Exit.FAILED


def test_new_roles_hold_at_once(desk: Desk) -> None:
    told(desk, "actor", "add", "ann")
    secret = session_of(desk, "ann")
    assert "1 sessions ended" in cli(desk, "actor", "roles", "ann", "it", "ML").stdout
    assert listed(desk, "ann")["roles"] == ["IT", "ML"]
    assert not stands(desk, secret)
    assert ("actor.roles", "READER -> IT, ML") in audited(desk)
    assert cli(desk, "actor", "roles", "nobody", "IT").exit_code == Exit.NOT_FOUND
    assert cli(desk, "actor", "roles", "ann", "KING").exit_code == Exit.USAGE


def test_who_is_disabled_is_out_everywhere_until_enabled(desk: Desk) -> None:
    made = told(desk, "actor", "add", "ann")
    secret = session_of(desk, "ann")
    assert cli(desk, "actor", "disable", "ann").exit_code == Exit.OK
    assert listed(desk, "ann")["disabled_at"]
    assert not stands(desk, secret)
    assert not opens(desk, made["token"])
    assert cli(desk, "token", "issue", "ann", "x").exit_code == Exit.FAILED
    assert cli(desk, "actor", "enable", "ann").exit_code == Exit.OK
    assert opens(desk, made["token"])
    assert not stands(desk, secret)
    assert {"actor.disable", "actor.enable"} <= {action for action, _ in audited(desk)}


def test_nobody_locks_themselves_out(desk: Desk) -> None:
    token = str(told(desk, "actor", "add", "ann", "--role", "ADMIN")["token"])
    assert cli(desk, "actor", "disable", "ann", "--token", token).exit_code == Exit.FAILED
    assert listed(desk, "ann")["disabled_at"] is None


def test_a_break_glass_password_is_kept_as_argon2id_and_loud_in_the_audit(desk: Desk) -> None:
    told(desk, "actor", "add", "ann")
    with_break_glass(desk)
    secret = session_of(desk, "ann")
    assert typed(desk, "ann", GLASS) == Exit.OK
    with desk.ledger.read() as conn:
        kept = actors.password_of(conn, "ann") or ""
    assert PasswordHasher().verify(kept, GLASS)
    said = extract_parameters(kept)
    assert (said.type.name, said.memory_cost, said.time_cost, said.parallelism) == ("ID", 19456, 2, 1)
    assert GLASS.encode() not in (desk.home / "ledger.db").read_bytes()
    assert ("break-glass.set", "") in audited(desk)
    assert listed(desk, "ann")["password"] is True
    assert not stands(desk, secret)
    assert typed(desk, "ann", "", "--remove") == Exit.OK
    assert listed(desk, "ann")["password"] is False
    assert ("break-glass.remove", "") in audited(desk)


def test_no_break_glass_password_where_it_is_off_or_short_or_nobodys(desk: Desk) -> None:
    told(desk, "actor", "add", "ann")
    assert typed(desk, "ann", GLASS) == Exit.FAILED
    with_break_glass(desk)
    assert typed(desk, "ann", "elevenchars") == Exit.FAILED
    assert typed(desk, "ann", "") == Exit.FAILED
    assert typed(desk, "nobody", GLASS) == Exit.NOT_FOUND
    assert listed(desk, "ann")["password"] is False


def test_two_hashes_of_one_password_differ() -> None:
    assert hashed(GLASS) != hashed(GLASS)


def test_a_token_is_issued_listed_and_ended(desk: Desk) -> None:
    told(desk, "actor", "add", "ann")
    made = told(desk, "token", "issue", "ann", "notebook", "--scope", "VIEW_STUDIES", "--expires", "30d")
    assert made["scopes"] == ["VIEW_STUDIES"]
    assert opens(desk, made["token"])
    rows = json.loads(cli(desk, "token", "list", "--json").stdout)
    assert [row["name"] for row in rows if row["owner"] == "ann"] == ["first", "notebook"]
    assert str(made["token"]) not in json.dumps(rows)
    assert cli(desk, "token", "list").exit_code == Exit.OK
    assert cli(desk, "token", "end", str(made["id"])).exit_code == Exit.OK
    assert not opens(desk, made["token"])
    assert cli(desk, "token", "end", str(made["id"])).exit_code == Exit.NOT_FOUND
    assert {"token.issue", "token.end"} <= {action for action, _ in audited(desk)}


def test_a_token_never_may_more_than_its_owner(desk: Desk) -> None:
    told(desk, "actor", "add", "ann")
    assert cli(desk, "token", "issue", "ann", "x", "--scope", "ADMINISTER").exit_code == Exit.FAILED
    assert cli(desk, "token", "issue", "radloop", "x").exit_code == Exit.FAILED
    assert told(desk, "token", "issue", "radloop", "x", "--scope", "VIEW_AUDIT")["scopes"] == ["VIEW_AUDIT"]
    assert cli(desk, "token", "issue", "nobody", "x").exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize("when", ["2001-01-01", "0d", "soon", "-1d", "999999d"])
def test_a_token_ends_in_the_time_to_come_or_never(desk: Desk, when: str) -> None:
    told(desk, "actor", "add", "ann")
    expected = Exit.OK if when == "999999d" else Exit.USAGE
    assert cli(desk, "token", "issue", "ann", "x", f"--expires={when}").exit_code == expected
    assert told(desk, "token", "issue", "ann", "x", "--expires", "never")["expires_at"] is None


def test_the_table_of_permissions_is_printed_whole(desk: Desk) -> None:
    result = CliRunner().invoke(app, ["access", "--json"])
    assert json.loads(result.stdout) == {
        one.value: [role.value for role in Role if one in GRANTS[role]] for one in Permission
    }
    assert all(role in CliRunner().invoke(app, ["access"]).stdout for role in Role)
