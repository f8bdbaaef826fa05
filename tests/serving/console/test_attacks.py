"""What an attacker at the web side would try (FAULTS.md), over every path that the console has."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi.routing import APIRoute

from radloop.domain.access import Permission, Role
from radloop.domain.enums import ActorKind
from radloop.domain.ids import utc_now
from radloop.ledger import actors, sessions, tokens
from serving.console import connection
from serving.console.app import OPEN, permissions_of, routes
from serving.console.hosts import Hosts, name_of
from serving.console.identity import GUEST, SAFE
from tests.clock import until
from tests.flows import place
from tests.flows.readings import OTHER, READER, answer, introduce
from tests.serving.console.conftest import Console, client_of, connect, listening
from tests.serving.console.everything import Everything, everything, filled, parameters
from tests.serving.console.test_access import OUR_ID
from tests.serving.console.test_worklist import named

STREAMS = ("/events",)
SAFE_HEADERS = (
    *("cache-control", "content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"),
    *("cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy"),
)
LEAKS = re.compile(r"Traceback|File \"|\.py\b|sqlalchemy|psycopg|object at 0x|Error\(|pydantic|line \d+", re.IGNORECASE)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    """Of which these tests change nothing that another one looks at."""
    with everything(tmp_path_factory.mktemp("there") / "home") as running:
        yield running


def unsafe() -> list[tuple[str, APIRoute]]:
    found = [(method, one) for one in routes() for method in sorted(one.methods or ()) if method not in SAFE]
    assert len(found) > 60
    return found


def readable() -> list[APIRoute]:
    return [one for one in routes() if "GET" in (one.methods or ()) and not one.path.endswith(STREAMS)]


def check_words(answer: httpx.Response, *where: object) -> None:
    assert answer.status_code < 500 or answer.status_code in (503, 504), (*where, answer.status_code)
    for name in SAFE_HEADERS:
        assert name in answer.headers, (*where, name)
    if answer.status_code >= 400:
        assert LEAKS.search(answer.text) is None, (*where, answer.text)
        assert answer.headers["cache-control"] == "no-store", where


def test_a_session_changes_nothing_without_its_csrf_token_or_from_another_site_by_any_path(console: Console) -> None:
    with console.browser(*Role) as browser:
        for method, route in unsafe():
            if route.path in OPEN:
                continue
            path = filled(route, OUR_ID)
            foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
            guest = hasattr(route.endpoint, GUEST)
            for headers in ({"X-CSRF-Token": ""}, {"X-CSRF-Token": "é" * 43}, foreign):
                sent = {name: value.encode("latin-1") for name, value in headers.items()}
                answer = browser.request(method, path, headers=sent)
                assert answer.status_code == 403, (method, path, headers)
                assert "did not come from a page" in answer.text
            if guest:  # the browser's own word stands for the token there; a sister site's does not
                sister = {"Sec-Fetch-Site": "same-site", "X-CSRF-Token": ""}
                assert browser.request(method, path, headers=sister).status_code == 403, path
        assert browser.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_no_method_is_smuggled_into_another(console: Console, method: str) -> None:
    with console.browser(*Role) as browser:
        tricks = {"X-HTTP-Method-Override": method, "X-Method-Override": method, "X-CSRF-Token": ""}
        before = browser.get("/api/v1/me").json()
        answer = browser.get("/api/v1/me/logout", headers=tricks, params={"_method": method})
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert browser.get("/api/v1/me").json() == before


EMPTY = ("[]", '{"count":0}')
TRAVERSALS = (
    *("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%252e%252e%252fetc%252fpasswd"),
    *("..%5c..%5cetc%5cpasswd", "..\\..\\etc\\passwd", "%00", "x%00.css", "%2fetc%2fpasswd", "%c0%ae%c0%ae%2f"),
    *("%ff", "%ed%a0%80", "%e2%80%ae", "a" * 3000, "-1", "99999999999999999999999", "%0d%0aSet-Cookie:%20a=b"),
    *("'%20OR%201=1--", "{{7*7}}", "%3cscript%3e", "zz_" + "0" * 5000, "radloop.toml", "keys"),
)


def test_no_path_leads_out_of_it_or_breaks_whatever_stands_in_it(there: Everything) -> None:
    tried = 0
    for route in routes():
        method = "GET" if "GET" in (route.methods or ()) else min(route.methods or ())
        if route.path.startswith(("/mlflow", "/prefect")):
            continue  # tests/serving/console/test_guests.py
        for name in parameters(route):
            for value in TRAVERSALS:
                answer = raw(there, method, filled(route, value, name))
                # Of a name that nobody has, a plot is empty, a list has nothing in it, and nothing is resent.
                empty = answer.status_code == 200 and (route.path.endswith(".svg") or answer.text in EMPTY)
                refused = answer.status_code in (404, 405, 422)
                assert empty or refused, (route.path, name, value[:40], answer.status_code)
                assert "root:" not in answer.text
                assert "set-cookie" not in answer.headers
                check_words(answer, route.path, name, value[:40])
                tried += 1
    assert tried > 800


ODD = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "%e2%80%ae",
    "-1",
    "9" * 30,
    "1e400",
    "9999-12-31T23:59:59Z",
    "0001-01-01",
    "a" * 5000,
)


def test_no_query_breaks_a_page_or_a_path(there: Everything) -> None:
    tried = 0
    for route in readable():
        if route.path.startswith(("/mlflow", "/prefect")) or route.path.endswith("/export"):
            continue
        for name in (one.alias for one in route.dependant.query_params):
            for value in ODD:
                answer = raw(there, "GET", f"{filled(route, OUR_ID)}?{name}={value}")
                check_words(answer, route.path, name, value[:40])
                assert answer.status_code not in (503, 504), (route.path, name, value[:40])
                tried += 1
    assert tried > 150


def raw(there: Everything, method: str, target: str) -> httpx.Response:
    """A request whose target nobody has put into order before."""
    request = there.http.build_request(method, "/", headers=there.mine)
    request.url = httpx.URL(str(there.http.base_url)).copy_with(raw_path=target.encode("latin-1"))
    return there.http.send(request)


def test_no_id_of_another_kind_and_none_that_is_made_up_opens_anything(there: Everything) -> None:
    """IDOR, over every path with an id: a path takes ids of its own kind alone."""
    tried = 0
    for route in routes():
        if route.path.startswith(("/mlflow", "/prefect")) or route.path.endswith(STREAMS):
            continue
        for name in (one for one in parameters(route) if one.endswith("_id")):
            others = [one for kind, one in there.ids.items() if kind != name]
            for method in sorted((route.methods or set()) - {"HEAD"}):
                for value in (*others, "re_0", "rs_0"):
                    answer = there.http.request(method, filled(route, value, name), headers=there.mine, json={})
                    assert answer.status_code in (404, 422), (method, route.path, value, answer.status_code)
                    check_words(answer, method, route.path, value)
                    tried += 1
    assert tried > 150


def test_what_is_somebody_s_own_is_nobody_else_s_and_says_no_more_than_that_it_is_not_there(there: Everything) -> None:
    upload = there.ids["upload_id"]
    mine = [one for one in routes() if one.path.startswith(("/api/v1/uploads/{upload_id}", "/upload/{upload_id}"))]
    assert len(mine) >= 6
    for route in mine:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = filled(route, "0").replace("/0", f"/{upload}", 1)
            path = path.replace("/objects/0", "/objects/of_0")
            made_up = there.http.request(method, path.replace(upload, "up_0"), headers=there.mine)
            theirs = there.http.request(method, path, headers=there.mine)
            assert (theirs.status_code, theirs.text[:400]) == (404, made_up.text[:400]), (method, route.path)
    assert there.http.get(f"/api/v1/uploads/{upload}", headers=there.another).status_code == 200
    assert upload not in there.http.get("/api/v1/uploads", headers=there.mine).text


def test_sessions_and_tokens_are_ended_by_their_owner_or_by_administration_alone(console: Console) -> None:
    with console.browser(Role.READER, name=OTHER) as other:
        (listed,) = console.http.get("/api/v1/sessions", headers=console.as_role(Role.ADMIN)).json()
        held = console.http.get("/api/v1/tokens", headers=console.as_role(Role.ADMIN)).json()
        theirs = next(one["id"] for one in held if one["owner"] == OTHER)
        for role in set(Role) - {Role.ADMIN}:
            for path in (f"/api/v1/sessions/{listed['id']}/end", f"/api/v1/tokens/{theirs}/end"):
                assert console.http.post(path, headers=console.as_role(role)).status_code == 403, (role, path)
        assert other.get("/api/v1/me").status_code == 200
    assert console.http.get("/api/v1/me", headers=console.as_actor(OTHER)).status_code == 200


def test_a_shadow_s_answer_is_in_no_reader_s_hands(console: Console) -> None:
    shadow = console.shadow.id
    mine = console.as_role(Role.READER)
    for route in readable():
        wanted = permissions_of(route)
        if "result_id" in parameters(route) and wanted == {Permission.VIEW_STUDIES}:
            path = filled(route, shadow, "result_id").replace(OUR_ID, "0")
            assert console.http.get(path, headers=mine).status_code == 404, path
    assert console.http.post(f"/api/v1/results/{shadow}/vote", json={"useful": True}, headers=mine).status_code == 404


def test_forged_ended_and_foreign_secrets_are_nobody_s(there: Everything) -> None:
    with there.house.ledger.write() as conn:
        person = actors.ensure(conn, READER, ActorKind.PERSON)
        old = tokens.issue(conn, person, "old", None, utc_now() - timedelta(seconds=1))
        begun = sessions.begin(
            conn, person, [Role.ADMIN], sessions.Door.LDAP, "::1", now=utc_now(), lasts=timedelta(hours=1)
        )
        sessions.end(conn, begun.session.id, utc_now())
    good = there.mine["Authorization"].removeprefix("Bearer ")
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJkci53aG8ifQ."
    for token in (old, good[:-1], good + "x", good.upper(), good[::-1], begun.secret, unsigned, "'", "null", "%00"):
        answer = there.http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
        check_words(answer, token)
    for cookie in (begun.secret, begun.session.id, begun.session.csrf, good, '"\\054"', "é".encode().hex()):
        assert there.http.get("/api/v1/me", headers={"Cookie": f"radloop={cookie}"}).status_code == 401
    # A cookie over TLS has another name: one that a page without TLS has set is not taken for it.
    assert there.http.get("/api/v1/me", headers={"Cookie": f"__Host-radloop={begun.secret}"}).status_code == 401


def test_every_answer_carries_our_headers_and_stays_in_no_cache(there: Everything) -> None:
    for route in readable():
        for headers in (there.mine, {}):
            answer = there.http.get(filled(route, OUR_ID), headers=headers)
            check_words(answer, route.path)
            if not route.path.startswith(("/static/", "/mlflow", "/prefect")):
                assert answer.headers["cache-control"] in ("no-store", "private, no-store"), route.path


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X" * 200])
def test_odd_methods_get_an_answer_and_nothing_back_of_what_they_sent(there: Everything, method: str) -> None:
    for path in ("/", "/api/v1/me", "/login", "/static/radloop.css", "/api/v1/nothing"):
        answer = there.http.request(method, path, headers={**there.mine, "X-Secret": "QZXWKVJ"})
        assert answer.status_code in (200, 303, 404, 405), (method, path)
        assert "QZXWKVJ" not in answer.text + str(answer.headers)
        assert "access-control-allow-origin" not in answer.headers
        check_words(answer, method, path)
        if answer.status_code == 405:
            assert "allow" in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8480", 200),
        ("[::1]:8480", 200),
        ("LocalHost", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost/evil.example", 421),
        ("localhost:port", 421),
        ("evil.example:8480", 421),
        ("löcalhost", 421),
    ],
)
def test_a_host_that_is_not_ours_is_refused_before_anything_else(there: Everything, host: str, status: int) -> None:
    for path in ("/login", "/static/radloop.css"):
        answer = there.http.get(path, headers={"Host": host.encode("utf-8")})
        assert answer.status_code == status
        assert "evil.example" not in answer.text
        check_words(answer, host)


def test_an_odd_host_has_no_name() -> None:
    assert name_of("a:b:c") is None
    assert name_of("[::1") is None
    assert not Hosts(frozenset()).know("localhost")
    assert Hosts(frozenset()).know("")


HEAD = b"POST /api/v1/me/logout HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
        HEAD + b"Content-Length: +5\r\n\r\n0\r\n\r\nX",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        HEAD + b"Host: evil.example\r\n\r\n",
        b"POST /api/v1/me/logout HTTP/1.1\r\n\r\n",
        b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\x00c\r\n\r\n",
        b"GET /login\rX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 66_000 + b"\r\n\r\n",
    ],
)
def test_a_request_that_two_servers_would_read_differently_is_refused_and_the_connection_ends(
    there: Everything, sent: bytes
) -> None:
    with connect(there.port) as sock:
        sock.sendall(sent + b"\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = to_the_end(sock)
    status = answer.split(b" ", 2)[1]
    assert status == b"400"
    assert answer.count(b"HTTP/1.1") == 1
    assert b"no-store" in answer
    assert LEAKS.search(answer.decode("latin-1")) is None


def to_the_end(sock: socket.socket) -> bytes:
    received = b""
    try:
        while part := sock.recv(65536):
            received += part
    except ConnectionResetError:  # it hung up on what it had not read
        pass
    return received


def test_whoever_sends_no_whole_head_in_time_is_hung_up_on_and_others_are_served(
    there: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection.HEAD_SECONDS == 10.0
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.8)
    silent, dripping, later = connect(there.port), connect(there.port), connect(there.port)
    with silent, dripping, later:
        later.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert later.recv(65536).startswith(b"HTTP/1.1 200")
        later.sendall(b"GET /livez HTTP/1.1\r\nHost: loc")
        begun = time.monotonic()
        dripping.sendall(b"GET /livez HTTP/1.1\r\n")
        ended = False
        while not ended and time.monotonic() - begun < 8:
            try:
                dripping.sendall(b"X: y\r\n")
            except OSError:
                ended = True
            time.sleep(0.1)
            assert there.http.get("/livez").status_code == 200
        assert ended
        assert to_the_end(silent) == b""
        assert to_the_end(later) == b""
    assert time.monotonic() - begun < 8


def test_one_connection_too_many_is_told_so_and_the_next_one_after_that_is_served(
    there: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.http.get("/livez")  # its own connection is one of them
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 6)
    held = [connect(there.port) for _ in range(8)]
    try:
        held[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = to_the_end(held[-1])
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in answer.lower()
        assert b"content-security-policy" in answer.lower()
        assert there.http.get("/livez").status_code == 200
    finally:
        for sock in held:
            sock.close()
    until(lambda: fresh(there.port) == b"200")


def fresh(port: int) -> bytes:
    with connect(port) as sock:
        sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        return to_the_end(sock).split(b" ", 2)[1]


def test_bodies_that_are_too_large_too_slow_too_deep_or_no_text_are_refused(console: Console) -> None:
    mine = console.as_actor()
    address = f"/api/v1/results/{console.result.id}/verdicts"
    bodies = [
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"finding": "pneumonia", "kind": "confirm", "text": "\\ud800"}',
        b'{"finding": "pneumonia", "kind": "confirm", "text": "\\u0000"}',
        b'{"finding": "\\ud800", "kind": "confirm"}',
        b'{"finding": "pneumonia", "kind": "confirm", "at": "99999-01-01T00:00:00Z"}',
        b'{"finding": "pneumonia", "kind": "confirm", "at": 1e400}',
        b'{"finding": "pneumonia", "kind": ' + b"9" * 10_000 + b"}",
        b"\x00",
        b"NaN",
    ]
    for body in bodies:
        answer = console.http.post(address, content=body, headers={**mine, "Content-Type": "application/json"})
        assert answer.status_code in (404, 422), (body[:60], answer.status_code)
        check_words(answer, body[:60])
    large = console.http.post(address, content=b" " * 100_000, headers=mine)
    assert (large.status_code, large.json()["code"]) == (413, "too-large")
    form = console.http.post("/login", data={"name": "\ud7ff\u202e\u0000" * 100, "password": "x"})
    assert form.status_code == 422
    with listening(console.house, 1.0) as port, connect(port) as sock:
        sock.sendall(
            f"POST {address} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
            f"Authorization: {mine['Authorization']}\r\n\r\n".encode()
        )
        begun = time.monotonic()
        assert sock.recv(65536).startswith(b"HTTP/1.1 504")
        assert time.monotonic() - begun < 8


def test_a_script_in_a_name_is_text_wherever_it_is_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    evil = "<script>alert(1)</script>^\"'><img src=x onerror=alert(1)>"
    house = place.make_home(tmp_path_factory.mktemp("evil") / "home")
    introduce(house.ledger)
    ds = place.chest_study(1, PatientName=evil, PatientID="{{1234*5678}}<u>", AccessionNumber="<u>A")
    (receipt,) = place.arrive(house, ds)
    assert receipt.version_id is not None
    result = answer(house.ledger, receipt.version_id)
    named(house, receipt.version_id, PatientName=evil, PatientID="{{1234*5678}}<u>")
    with house.ledger.write() as conn:
        person = actors.ensure(conn, "<script>alert(2)</script>", ActorKind.PERSON)
        actors.set_roles(conn, person, list(Role))
        token = tokens.issue(conn, person, "<svg onload=alert(3)>")
    with listening(house) as port, client_of(port) as http:
        mine = {"Authorization": f"Bearer {token}"}
        pages = ["/worklist", f"/studies/{result.version_id}", "/access", "/audit", f"/worklist?q={'<script>'}"]
        texts = {page: http.get(page, headers=mine) for page in pages}
    for page, shown in texts.items():
        assert shown.status_code == 200, page
        for raw_text in ("<script>alert", "<img src=x", "<svg onload", "<u>", "7006652"):
            assert raw_text not in shown.text, (page, raw_text)
    assert "&lt;script&gt;alert(1)" in texts["/worklist"].text
    assert "&lt;script&gt;alert(2)" in texts["/access"].text
    asyncio.run(house.http.aclose())
    house.ledger.close()


def test_nothing_that_is_sent_becomes_a_header_of_ours(there: Everything) -> None:
    for path in ("/login?next=%0d%0aX-Evil:%201", "/open?x=%0d%0aX-Evil:%201", "/worklist?a=%0d%0aX-Evil:%201"):
        answer = there.http.get(path)
        assert "x-evil" not in answer.headers
        assert answer.status_code in (200, 303, 403, 404, 422)
    sent = there.http.post("/login", data={"token": "x", "next": "/\r\nX-Evil: 1"})
    assert "x-evil" not in sent.headers


def test_the_deadline_of_heads_is_for_the_real_server() -> None:
    """The tests' server and the one of `radloop up` are made by the same function."""
    from serving.console.server import configuration  # noqa: PLC0415

    made = configuration(cast(Any, SimpleNamespace()))
    assert made.http is connection.Connection
