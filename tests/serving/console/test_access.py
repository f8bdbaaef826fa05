"""Every path and method of the console against every role: what the table does not grant is refused."""

from typing import Any

import pytest

from radloop.domain.access import GRANTS, Permission, Role
from radloop.ledger.tables import audit_events
from serving.console.app import OPEN, permissions_of, routes
from tests.serving.console.conftest import Console

OUR_ID = "zz_0"
FILLS = {"name": "radloop.css"}


def doors() -> list[tuple[str, str, frozenset[Permission] | None]]:
    """(method, path with made-up ids, what it asks for) of every route."""
    assert len(routes()) > 20
    return [
        (method, one.path_format.format_map(_Filled()), permissions_of(one))
        for one in routes()
        for method in sorted((one.methods or set()) - {"HEAD"})
    ]


class _Filled(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return FILLS.get(key, OUR_ID)


def test_every_path_asks_for_at_most_one_permission_and_only_the_listed_ones_for_none(console: Console) -> None:
    for method, path, wanted in doors():
        assert wanted is None or len(wanted) <= 1, (method, path)
    free = {path for _, path, wanted in doors() if wanted is None}
    assert free <= {path.replace("{name}", "radloop.css") for path in OPEN}


def test_nobody_comes_in_without_a_token_or_a_session(console: Console) -> None:
    for method, path, wanted in doors():
        if wanted is None:
            continue
        answer = console.http.request(method, path)
        assert answer.status_code in ({401} if path.startswith("/api/") else {303}), (method, path, answer.status_code)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_exactly_the_doors_that_the_table_grants(console: Console, role: Role) -> None:
    streams = ("/events", "/export")
    for method, path, wanted in doors():
        if not wanted or path.endswith(streams):
            continue
        answer = console.http.request(method, path, headers={**console.as_role(role), "Accept": "*/*"})
        refused = answer.status_code == 403
        assert refused == (not wanted <= GRANTS[role]), (method, path, role, answer.status_code)


@pytest.mark.parametrize("role", list(Role))
def test_streams_and_exports_are_refused_to_whom_the_table_does_not_grant_them(console: Console, role: Role) -> None:
    for method, path, wanted in doors():
        if wanted and not wanted <= GRANTS[role]:
            answer = console.http.request(method, path, headers=console.as_role(role))
            assert answer.status_code == 403, (method, path)


def test_a_refusal_is_on_record_with_who_in_which_role_and_from_where(console: Console) -> None:
    assert console.http.get("/api/v1/sessions", headers=console.as_role(Role.READER)).status_code == 403
    (row,) = rows(console, "deny")
    assert (row.actor, row.role, row.address, row.detail) == ("only-reader", "READER", "127.0.0.1", "ADMINISTER")
    assert row.object_id == "/api/v1/sessions"


def rows(console: Console, action: str) -> list[Any]:
    with console.house.ledger.read() as conn:
        return list(conn.execute(audit_events.select().where(audit_events.c.action == action)))
