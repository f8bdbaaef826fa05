"""MLflow and Prefect behind the door: a fixed target, listed paths, nothing of ours to them nor of theirs to us."""

from collections.abc import Iterator

import pytest

from radloop.domain.access import Role
from radloop.process import announce
from tests.peers.guest import GuestServer, guest_server
from tests.serving.console.conftest import Console, client_of, connect

SEARCH = "/mlflow/ajax-api/2.0/mlflow/runs/search"
TAG = "/mlflow/api/2.0/mlflow/runs/set-tag"


@pytest.fixture
def mlflow(console: Console) -> Iterator[GuestServer]:
    with guest_server() as server:
        announce(console.house.settings.home, "mlflow", server.port)
        yield server


def browser_headers(console: Console, **changes: str) -> dict[str, str]:
    """What Chromium sends with a request of a page's own program."""
    origin = str(console.http.base_url).rstrip("/")
    return {"Sec-Fetch-Site": "same-origin", "Origin": origin, "X-CSRF-Token": "", **changes}


def test_a_page_goes_through_with_neither_cookies_nor_tokens_of_either_side(
    console: Console, mlflow: GuestServer
) -> None:
    mlflow.headers = {
        "Set-Cookie": "radloop=stolen",
        "Connection": "close, X-Hop",
        "X-Hop": "1",
        "Content-Security-Policy": "default-src *",
        "Access-Control-Allow-Origin": "*",
        "X-Kept": "yes",
    }
    with console.browser(Role.ML) as client:
        answer = client.get(
            "/mlflow/static-files/main.js?v=1&x=%2e", headers={"Authorization": "", "X-Forwarded-For": "9.9.9.9"}
        )
    assert (answer.status_code, answer.text, answer.headers["x-kept"]) == (200, "hello", "yes")
    for name in ("set-cookie", "x-hop", "access-control-allow-origin", "server"):
        assert name not in answer.headers
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert f"connect-src http://127.0.0.1:{console.port}/mlflow/;" in answer.headers["content-security-policy"]
    (asked,) = mlflow.asked
    assert asked.path == "/static-files/main.js?v=1&x=%2e"
    assert asked.headers["host"] == f"127.0.0.1:{mlflow.port}"
    assert not {"cookie", "authorization", "x-csrf-token", "x-forwarded-for", "origin"} & asked.headers.keys()


def test_a_token_stays_here_too(console: Console, mlflow: GuestServer) -> None:
    assert console.http.get("/mlflow/", headers=console.as_role(Role.READER)).status_code == 200
    assert "authorization" not in mlflow.asked[0].headers


ASTRAY = (
    "/mlflow/../api/v1/me",
    "/mlflow/%2e%2e/secret",
    "/mlflow/static-files/%252e%252e/%252e%252e/etc",
    "/mlflow/static-files/..%2f..%2fetc",
    "/mlflow/static-files/a%5c..%5cb",
    "/mlflow//127.0.0.1:1/x",
    "/mlflow/http://127.0.0.1:1/",
    "/%6dlflow/health",
    "/mlflow/static-files/a%00b",
    "/mlflow/static-files/a%0d%0aX:y",
    "/mlflow/ajax-api/3.0/mlflow/assistant/config",
    "/mlflow/api/2.0/mlflow/webhooks",
    "/mlflow/api/2.0/mlflow/gateway-proxy",
    "/mlflow/healthy",
)


def test_no_path_leads_out_of_what_is_served(console: Console, mlflow: GuestServer) -> None:
    token = console.as_role(Role.ML)["Authorization"]
    for path in ASTRAY:
        with connect(console.port) as sock:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\nAuthorization: {token}\r\n"
            sock.sendall(f"{head}Connection: close\r\n\r\n".encode())
            answer = b""
            while data := sock.recv(65536):
                answer += data
        assert answer.split()[1] in (b"404", b"400"), (path, answer[:200])
    assert mlflow.asked == []


def test_whoever_may_see_searches_by_post_and_only_whoever_trains_changes(
    console: Console, mlflow: GuestServer
) -> None:
    with console.browser(Role.APPROVER) as client:
        assert client.post(SEARCH, json={}, headers=browser_headers(console)).status_code == 200
        assert client.post(TAG, json={}, headers=browser_headers(console)).status_code == 403
    with console.browser(Role.ML) as client:
        assert client.post(TAG, json={"key": "a"}, headers=browser_headers(console)).status_code == 200
    assert [one.path.rsplit("/", 1)[-1] for one in mlflow.asked] == ["search", "set-tag"]
    assert mlflow.asked[1].body == b'{"key":"a"}'


def test_what_could_read_files_or_run_programs_there_is_passed_on_to_nobody(
    console: Console, mlflow: GuestServer
) -> None:
    with console.browser(*Role) as client:
        for path in (
            "/mlflow/api/2.0/mlflow/experiments/create",
            "/mlflow/api/2.0/mlflow/model-versions/create",
            "/mlflow/api/2.0/mlflow/registered-models/alias",
            "/mlflow/ajax-api/3.0/mlflow/assistant/message",
            "/prefect/api/deployments/",
            "/prefect/api/deployments/x/create_flow_run",
            "/prefect/api/work_pools/",
        ):
            answer = client.post(path, json={}, headers=browser_headers(console))
            assert answer.status_code in (404, 405), path
    assert mlflow.asked == []


FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://127.0.0.1"},
)


def test_without_our_token_only_the_browsers_own_word_opens_a_guests_path(
    console: Console, mlflow: GuestServer
) -> None:
    with console.browser(Role.ML) as client:
        for changes in FOREIGN:
            refused = client.post(TAG, json={}, headers=browser_headers(console, **changes))
            assert refused.status_code == 403, changes
    assert mlflow.asked == []


def test_that_word_opens_no_path_of_our_own(console: Console, mlflow: GuestServer) -> None:
    with console.browser(Role.IT) as client:
        refused = client.post("/api/v1/golive/stop", json={"why": "x"}, headers=browser_headers(console))
    assert refused.status_code == 403


def test_a_redirect_stays_below_our_address_and_leads_nowhere_else(console: Console, mlflow: GuestServer) -> None:
    mine = console.as_role(Role.ML)
    mlflow.status = 302
    for location, wanted in (
        ("/health", "/mlflow/health"),
        (f"http://127.0.0.1:{mlflow.port}/health?x=1", "/mlflow/health?x=1"),
        ("next", "next"),
    ):
        mlflow.headers = {"Location": location}
        answer = console.http.get("/mlflow/version", headers=mine, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (302, wanted)
    for location in ("http://evil.example/", "//evil.example/", "javascript:alert(1)"):
        mlflow.headers = {"Location": location}
        assert console.http.get("/mlflow/version", headers=mine).status_code == 503, location


def test_one_that_is_away_is_said_to_be(console: Console) -> None:
    answer = console.http.get("/mlflow/", headers=console.as_role(Role.ML))
    assert answer.status_code == 503
    assert "MLflow" in answer.text


def test_prefects_pages_keep_their_prefix_and_its_interface_does_not(console: Console) -> None:
    with guest_server() as prefect:
        settings = console.house.settings
        there = settings.model_copy(update={"prefect": settings.prefect.model_copy(update={"port": prefect.port})})
        object.__setattr__(console.house, "settings", there)
        with console.browser(Role.IT) as client:
            for method, path in (("GET", "/runs"), ("GET", "/api/health"), ("HEAD", "/assets/a.js")):
                assert client.request(method, f"/prefect{path}").status_code == 200
            asked = client.post("/prefect/api/flow_runs/filter", json={}, headers=browser_headers(console))
            assert asked.status_code == 200
    assert [one.path for one in prefect.asked] == [
        "/prefect/runs",
        "/api/health",
        "/prefect/assets/a.js",
        "/api/flow_runs/filter",
    ]


def test_the_bare_address_leads_to_the_first_page(console: Console) -> None:
    with client_of(console.port) as client:
        answer = client.get("/prefect", headers=console.as_role(Role.IT))
    assert answer.headers["location"] == "/prefect/"
