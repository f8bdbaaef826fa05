"""Sessions of browsers: how they begin and end, and what they are worth to a page of somebody else's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from radloop.domain.access import Permission, Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.ledger import actors, sessions, tokens
from radloop.ledger.admitted import sessions as session_table
from serving.console.pages.login import safe_target
from tests.flows.readings import READER
from tests.serving.console.conftest import Console, client_of
from tests.serving.console.test_access import rows


@contextmanager
def stranger(console: Console) -> Iterator[httpx.Client]:
    with client_of(console.port) as client:
        yield client


def test_a_personal_token_opens_a_session_where_there_is_no_directory(console: Console) -> None:
    with stranger(console) as browser:
        page = browser.get("/login")
        assert page.status_code == 200
        assert 'name="token"' in page.text
        entered = browser.post("/login", data={"token": console.tokens[READER], "next": "/api/v1/me"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/api/v1/me")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        me = browser.get("/api/v1/me").json()
        assert (me["name"], me["roles"]) == (READER, ["READER"])
        assert console.tokens[READER] not in cookie
    (row,) = rows(console, "login")
    assert (row.actor, row.role, row.address, row.detail) == (READER, "READER", "127.0.0.1", "TOKEN")


def test_a_wrong_token_is_refused_in_words_that_tell_nothing_and_is_on_record(console: Console) -> None:
    with stranger(console) as browser:
        refused = browser.post("/login", data={"token": "rlt_wrong"})
        assert refused.status_code == 422
        assert "that did not work" in refused.text
        assert "rlt_wrong" not in refused.text
        assert browser.get("/api/v1/me").status_code == 401
    (row,) = rows(console, "login.fail")
    assert (row.actor, row.detail) == ("unknown", "token")


def test_a_limited_token_opens_no_session(console: Console) -> None:
    with console.house.ledger.write() as conn:
        person = actors.ensure(conn, READER, ActorKind.PERSON)
        limited = tokens.issue(conn, person, "limited", [Permission.VIEW_STUDIES])
    with stranger(console) as browser:
        assert browser.post("/login", data={"token": limited}).status_code == 422


def test_a_token_with_a_scope_does_no_more_than_that_and_ends_when_it_expires(console: Console) -> None:
    with console.house.ledger.write() as conn:
        person = actors.ensure(conn, READER, ActorKind.PERSON)
        narrow = tokens.issue(conn, person, "narrow", [Permission.VIEW_STUDIES, Permission.ADMINISTER])
        old = tokens.issue(conn, person, "old", None, utc_now() - timedelta(seconds=1))
    me = console.http.get("/api/v1/me", headers={"Authorization": f"Bearer {narrow}"}).json()
    assert me["permissions"] == ["VIEW_STUDIES"]
    assert console.http.get("/api/v1/me", headers={"Authorization": f"Bearer {old}"}).status_code == 401


def test_too_many_failures_of_one_address_wait_even_with_the_right_token(console: Console) -> None:
    with stranger(console) as browser:
        for _ in range(console.house.settings.console.login_tries):
            assert browser.post("/login", data={"token": "rlt_wrong"}).status_code == 422
        late = browser.post("/login", data={"token": console.tokens[READER]})
        assert late.status_code == 429
        assert "too many" in late.text


def test_a_change_without_the_csrf_token_or_from_another_site_is_refused(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        assert browser.post("/api/v1/me/logout", headers={"X-CSRF-Token": ""}).status_code == 403
        assert browser.post("/api/v1/me/logout", headers={"X-CSRF-Token": "x" * 43}).status_code == 403
        assert browser.post("/api/v1/me/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert browser.get("/api/v1/me").status_code == 200
        assert browser.post("/api/v1/me/logout").json() == {"ended": 1, "next": "/login?left=1"}
        assert browser.get("/api/v1/me").status_code == 401
    with stranger(console) as browser:
        sent = {"token": console.tokens[READER]}
        assert browser.post("/login", data=sent, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_many_logouts_of_one_session_at_once_end_it_and_break_nothing(console: Console) -> None:
    with console.browser(Role.READER) as browser, ThreadPoolExecutor(8) as pool:
        paths = ["/api/v1/me/logout", "/api/v1/me/logout-everywhere"] * 4
        answers = {one.status_code for one in pool.map(browser.post, paths)}
        assert answers <= {200, 401}
        assert 200 in answers
        assert browser.get("/api/v1/me").status_code == 401


def test_logging_out_everywhere_ends_every_session_and_no_token(console: Console) -> None:
    with console.browser(Role.READER) as here, console.browser(Role.READER) as there:
        assert here.post("/api/v1/me/logout-everywhere").json()["ended"] == 2
        assert there.get("/api/v1/me").status_code == 401
    assert console.http.get("/api/v1/me", headers=console.as_actor()).status_code == 200


@pytest.mark.parametrize(("column", "back"), [("seen_at", timedelta(minutes=31)), ("ends_at", timedelta(hours=2))])
def test_a_session_ends_when_nobody_uses_it_and_after_its_longest_time(
    console: Console, column: str, back: timedelta
) -> None:
    with console.browser(Role.READER) as browser:
        assert browser.get("/api/v1/me").status_code == 200
        with console.house.ledger.write() as conn:
            conn.execute(session_table.update().values({column: utc_now() - back}))
        assert browser.get("/api/v1/me").status_code == 401


def test_a_page_that_refreshes_itself_keeps_no_session_alive(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        long_ago = utc_now() - timedelta(minutes=20)
        with console.house.ledger.write() as conn:
            conn.execute(session_table.update().values(seen_at=long_ago))
        assert browser.get("/api/v1/me", headers={"X-Background": "1"}).status_code == 200
        with console.house.ledger.read() as conn:
            assert conn.scalar(session_table.select().with_only_columns(session_table.c.seen_at)) == long_ago
        browser.get("/api/v1/me")
        with console.house.ledger.read() as conn:
            assert conn.scalar(session_table.select().with_only_columns(session_table.c.seen_at)) > long_ago


def test_whoever_is_disabled_is_out_at_once(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        with console.house.ledger.write() as conn:
            actors.disable(conn, actors.ensure(conn, READER, ActorKind.PERSON), utc_now())
        assert browser.get("/api/v1/me").status_code == 401
    assert console.http.get("/api/v1/me", headers=console.as_actor()).status_code == 401


def test_administration_sees_sessions_and_ends_them(console: Console) -> None:
    with console.browser(Role.READER) as browser:
        (listed,) = console.http.get("/api/v1/sessions", headers=console.as_role(Role.ADMIN)).json()
        assert (listed["name"], listed["door"]) == (READER, "LDAP")
        ended = console.http.post(f"/api/v1/sessions/{listed['id']}/end", headers=console.as_role(Role.ADMIN))
        assert ended.status_code == 200
        assert browser.get("/api/v1/me").status_code == 401
        again = console.http.post(f"/api/v1/sessions/{listed['id']}/end", headers=console.as_role(Role.ADMIN))
        assert again.status_code == 404


def test_a_forged_cookie_is_nobody_s(console: Console) -> None:
    with stranger(console) as browser:
        for forged in ("x", "x" * 43, "' OR 1=1", "ss_0"):
            assert browser.get("/api/v1/me", headers={"Cookie": f"radloop={forged}"}).status_code == 401


def test_pages_carry_a_policy_with_a_fresh_nonce_and_stay_in_no_cache(console: Console) -> None:
    first, second = (console.http.get("/login") for _ in range(2))
    policy = first.headers["content-security-policy"]
    assert policy != second.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert first.text.count(f'nonce="{nonce}"') == first.text.count("<script")
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-frame-options"] == "DENY"
    kept = console.http.get("/static/radloop.css")
    assert "immutable" in kept.headers["cache-control"]
    assert console.http.get("/static/..%2fapp.py").status_code == 404


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/login", "evil", "/a\nb"]
)
def test_after_the_login_one_goes_to_a_page_of_ours(wanted: str) -> None:
    assert safe_target(wanted) == "/"
    assert safe_target("/studies/sv_1?x=1") == "/studies/sv_1?x=1"


def test_sessions_are_kept_as_digests_only(console: Console) -> None:
    with console.house.ledger.write() as conn:
        person = actors.ensure(conn, READER, ActorKind.PERSON)
        begun = sessions.begin(
            conn, person, [Role.READER], sessions.Door.OIDC, "::1", now=utc_now(), lasts=timedelta(hours=1)
        )
        (row,) = conn.execute(session_table.select())
    assert begun.secret not in str(row)
