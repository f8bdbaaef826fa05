"""Coming in and going out, with a real directory (slapd), a real provider of single sign-on, and one that lies."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import select
from structlog.testing import capture_logs

from flows.house import House
from radloop.domain.enums import ActorKind
from radloop.ledger import actors
from radloop.ledger.tables import audit_events
from radloop.settings import Oidc
from serving.cli.access import hashed
from tests.flows import place
from tests.integrations.identity import people
from tests.integrations.identity.people import LDIF, PASSWORD
from tests.peers.certificates import Certificates, certificates
from tests.peers.oidc import CLIENT, SECRET, Liar, MockProvider, lying_provider, mock_provider, rsa_key
from tests.peers.programs import free_port
from tests.peers.slapd import Slapd, slapd
from tests.serving.console.conftest import listening

GROUPS = """
[console]
login_tries = 1000
url = "{url}"
[login]
break_glass = {break_glass}
[login.groups]
staff = ["READER"]
Board = ["GOVERNANCE"]
"""
WRONG = "QZXWKVJ wrong"
GLASS = "QZXWKVJ break in case of fire"
BACK = "/login/oidc/callback"
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
FIRST, FOREIGN = rsa_key("first"), rsa_key("foreign")


@dataclass(frozen=True)
class Site:
    """A running console and its house."""

    house: House
    base: str

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.base, trust_env=False, timeout=30.0) as client:
            yield client

    def audited(self, action: str) -> list[Any]:
        with self.house.ledger.read() as conn:
            return list(conn.execute(select(audit_events).where(audit_events.c.action == action)))

    def last_failure(self) -> tuple[str, str]:
        with self.house.ledger.read() as conn:
            rows = conn.execute(select(audit_events).order_by(audit_events.c.at.desc()))
            return next((row.actor, row.detail) for row in rows if row.action == "login.fail")


@contextmanager
def site(home: Path, *tables: str, break_glass: bool = False, url: str = "") -> Iterator[Site]:
    more = GROUPS.format(break_glass=str(break_glass).lower(), url=url) + "\n".join(tables)
    house = place.make_home(home, more=more)
    try:
        with listening(house) as port:
            yield Site(house, f"http://127.0.0.1:{port}")
    finally:
        asyncio.run(house.http.aclose())
        house.ledger.close()


def table(name: str, settings: BaseModel) -> str:
    said = settings.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return "\n".join((f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in said.items()))) + "\n"


def provider(issuer: str, files: Certificates) -> str:
    secret = files.ca.parent / "client.secret"
    secret.write_text(SECRET, encoding="utf-8")
    return table("login.oidc", Oidc(issuer=issuer, client_id=CLIENT, client_secret_file=secret, ca=files.ca))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def directory(files: Certificates) -> Iterator[Slapd]:
    pytest.importorskip("bonsai", reason="bonsai is compiled, and libldap was not there")
    with slapd(files, LDIF) as running:
        yield running


@pytest.fixture(scope="module")
def by_name(directory: Slapd, files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a directory, where break-glass is off."""
    folder = tmp_path_factory.mktemp("by-name")
    ldap = people.settings(directory, files, folder)
    with site(folder / "home", table("login.ldap", ldap)) as running:
        keep_password(running, "fire-chief")
        yield running


@pytest.fixture(scope="module")
def glass(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose directory and provider are away, with break-glass on."""
    folder = tmp_path_factory.mktemp("glass")
    ldap = people.settings(Slapd(free_port(), free_port()), files, folder)
    nowhere = provider(f"https://127.0.0.1:{free_port()}", files)
    with site(folder / "home", table("login.ldap", ldap), nowhere, break_glass=True) as running:
        keep_password(running, "fire-chief")
        yield running


@pytest.fixture(scope="module")
def mock(files: Certificates) -> Iterator[MockProvider]:
    with mock_provider(files) as running:
        running.person("s-curie", preferred_username="Curie", groups=["staff", "board", "choir"])
        running.person("s-alone", preferred_username="alone", groups=["choir"])
        yield running


@pytest.fixture(scope="module")
def signed_on(mock: MockProvider, files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a real provider of single sign-on."""
    with site(tmp_path_factory.mktemp("sso") / "home", provider(mock.issuer, files)) as running:
        yield running


@pytest.fixture(scope="module")
def lying(files: Certificates) -> Iterator[Liar]:
    with lying_provider(files) as running:
        yield running


@pytest.fixture(scope="module")
def lied_to(lying: Liar, files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("lied-to") / "home", provider(lying.issuer, files)) as running:
        yield running


@pytest.fixture
def liar(lying: Liar) -> Liar:
    """Honest, until a test changes it."""
    lying.keys, lying.claims, lying.tokens, lying.metadata = [FIRST], {"groups": ["staff"]}, {}, {}
    return lying


def keep_password(at: Site, name: str) -> None:
    with at.house.ledger.write() as conn:
        actors.set_password(conn, actors.ensure(conn, name, ActorKind.PERSON), hashed(GLASS))


def enter(browser: httpx.Client, name: str, password: str = PASSWORD, goal: str = "/") -> httpx.Response:
    return browser.post("/login", data={"name": name, "password": password, "next": goal})


def to_provider(browser: httpx.Client, goal: str = "/") -> str:
    """Press the button; where the browser is sent."""
    away = browser.get("/login/oidc", params={"next": goal})
    assert away.status_code == 303
    return away.headers["location"]


def sign_on(browser: httpx.Client, liar: Liar) -> httpx.Response:
    return browser.get(BACK, params=liar.log_in(to_provider(browser)))


def me(browser: httpx.Client) -> dict[str, Any]:
    answer = browser.get("/api/v1/me")
    return dict(answer.json()) if answer.status_code == 200 else {}


def log_out(browser: httpx.Client) -> str:
    csrf = browser.get("/audit").text.split('name="csrf" content="')[1].split('"')[0]
    return str(browser.post("/api/v1/me/logout", headers={"X-CSRF-Token": csrf}).json()["next"])


def test_the_directory_s_nested_groups_give_roles_and_the_browser_goes_where_it_wanted(by_name: Site) -> None:
    with by_name.browser() as browser:
        wanted = browser.get("/audit?actor=a%26b")
        assert wanted.status_code == 303
        form = browser.get(wanted.headers["location"]).text
        assert 'name="next" value="/audit?actor=a%26b"' in form
        assert 'type="password"' in form
        entered = enter(browser, "curie", goal="/audit?actor=a%26b")
        assert (entered.status_code, entered.headers["location"]) == (303, "/audit?actor=a%26b")
        # staff holds clinicians, and that radiologists, in which she is.
        assert (me(browser)["name"], me(browser)["roles"]) == ("Curie", ["GOVERNANCE", "READER"])
        assert log_out(browser) == "/login?left=1"
        assert me(browser) == {}
    (row,) = by_name.audited("login")
    assert (row.actor, row.role, row.detail, row.address) == ("Curie", "GOVERNANCE,READER", "LDAP", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "password", "recorded"),
    [
        ("Curie", WRONG, ("Curie", "password")),
        ("Curie", "", ("Curie", "empty-password")),
        ("Curie", "\0" + PASSWORD, ("Curie", "odd-input")),
        ("disabled", PASSWORD, ("unknown", "disabled")),
        ("closed", PASSWORD, ("unknown", "locked")),
        ("alone", PASSWORD, ("unknown", "no-role")),
        ("QZXWKVJ", PASSWORD, ("unknown", "unknown")),
        ("*", PASSWORD, ("unknown", "unknown")),
        ("Cu\0rie", PASSWORD, ("unknown", "odd-input")),
        ("", "", ("unknown", "empty-password")),
        ("fire-chief", GLASS, ("fire-chief", "unknown")),
    ],
)
def test_a_refusal_says_one_thing_to_whoever_stands_there_and_why_to_the_audit_alone(
    by_name: Site, capfd: pytest.CaptureFixture[str], name: str, password: str, recorded: tuple[str, str]
) -> None:
    with by_name.house.ledger.write() as conn:
        actors.ensure(conn, "Curie", ActorKind.PERSON)
    with by_name.browser() as browser, capture_logs() as logged:
        refused = enter(browser, name, password)
        assert refused.status_code == 422
        assert "check the name and the password" in refused.text
        assert "set-cookie" not in refused.headers
        assert me(browser) == {}
    assert by_name.last_failure() == recorded
    with by_name.house.ledger.read() as conn:
        kept = str(list(conn.execute(select(audit_events))))
    told = refused.text + kept + str(logged) + "".join(capfd.readouterr())
    assert all(secret not in told for secret in (WRONG, PASSWORD, GLASS, "QZXWKVJ"))


def test_a_session_chosen_before_the_login_is_worth_nothing_after_it_and_a_former_one_ends(by_name: Site) -> None:
    with by_name.browser() as browser:
        browser.cookies.set("radloop", "chosen-by-somebody-else", domain="127.0.0.1")
        first = enter(browser, "Curie").cookies["radloop"]
        assert first != "chosen-by-somebody-else"
        browser.cookies.clear()
        browser.cookies.set("radloop", first, domain="127.0.0.1")
        second = enter(browser, "comma").cookies["radloop"]
        assert second != first
        for cookie, name in (("chosen-by-somebody-else", None), (first, None), (second, "comma")):
            browser.cookies.clear()
            browser.cookies.set("radloop", cookie, domain="127.0.0.1")
            assert me(browser).get("name") == name
    assert by_name.audited("logout")[-1].detail == "another login of the same browser"


def test_with_the_directory_away_the_local_account_works_loudly_and_outsiders_learn_nothing(glass: Site) -> None:
    with glass.browser() as browser, capture_logs() as logged:
        away = enter(browser, "Curie")
        assert away.status_code == 503
        assert "logging in is not possible just now" in away.text
        sso = browser.get("/login/oidc")
        assert sso.status_code == 503
        assert "logging in is not possible just now" in sso.text
        for page in (away, sso):
            assert [word for word in ("127.0.0.1", "bind_dn", "provider", "Error") if word in page.text] == []
        assert enter(browser, "fire-chief", WRONG).status_code == 503
        assert enter(browser, "fire-chief", GLASS).status_code == 303
        assert (me(browser)["name"], me(browser)["roles"]) == ("fire-chief", ["READER"])
    reasons = [str(one["reason"]) for one in logged if one["event"] == "nobody can be asked"]
    assert len(reasons) == 3
    assert any("directory" in reason for reason in reasons)
    assert [one["log_level"] for one in logged if one["event"] == "break-glass"] == ["warning"]
    (row,) = glass.audited("break-glass")
    assert (row.actor, row.role, row.detail) == ("fire-chief", "READER", "BREAK_GLASS")
    assert glass.audited("login") == []
    with glass.house.ledger.read() as conn:
        assert (actors.password_of(conn, "fire-chief") or "").startswith("$argon2id$")
        assert GLASS not in str(list(conn.execute(select(audit_events)))) + str(logged)


def test_single_sign_on_brings_somebody_to_the_page_they_wanted_and_logs_out_at_the_provider(
    signed_on: Site, mock: MockProvider
) -> None:
    with signed_on.browser() as browser:
        answer = browser.get(BACK, params=mock.log_in(to_provider(browser, "/audit?actor=a%26b"), "s-curie"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/audit?actor=a%26b")
        assert (me(browser)["name"], me(browser)["roles"]) == ("Curie", ["GOVERNANCE", "READER"])
        after = log_out(browser)
        assert after.startswith(f"{mock.issuer}/oauth2/end_session?")
        assert dict(parse_qsl(urlsplit(after).query))["post_logout_redirect_uri"] == f"{signed_on.base}/login"
        assert mock.page(after) == 200
        assert me(browser) == {}
    (row,) = signed_on.audited("login")
    assert (row.actor, row.detail) == ("Curie", "OIDC")


def test_whoever_has_no_role_or_says_no_at_the_provider_does_not_come_in(signed_on: Site, mock: MockProvider) -> None:
    with signed_on.browser() as browser:
        assert browser.get(BACK, params=mock.log_in(to_provider(browser), "s-alone")).status_code == 422
        assert signed_on.last_failure() == ("unknown", "no-role")
        asked = to_provider(browser)
        # The mock leaves the state out where somebody says no.
        denied = {"state": dict(parse_qsl(urlsplit(asked).query))["state"], **mock.deny(asked)}
        assert browser.get(BACK, params=denied).status_code == 422
        assert signed_on.last_failure() == ("unknown", "denied")
        assert enter(browser, "Curie").status_code == 422
        assert browser.post("/login", data={"token": "rlt_x"}).status_code == 422
        assert signed_on.last_failure()[1] == "no-such-door"
        assert me(browser) == {}


def test_a_callback_counts_once_in_the_browser_that_began_it_and_with_its_own_state(
    signed_on: Site, mock: MockProvider
) -> None:
    with signed_on.browser() as browser, signed_on.browser() as other:
        back = mock.log_in(to_provider(browser), "s-curie")
        assert other.get(BACK, params=back).status_code == 422
        assert signed_on.last_failure() == ("unknown", "no-login-under-way")
        to_provider(other)
        assert other.get(BACK, params=back).status_code == 422
        assert signed_on.last_failure() == ("unknown", "state")
        pending = browser.cookies["radloop-login"]
        assert browser.get(BACK, params=back).status_code == 303
        browser.cookies.set("radloop-login", pending, domain="127.0.0.1")
        assert browser.get(BACK, params=back).status_code == 422
        assert signed_on.last_failure() == ("unknown", "no-login-under-way")
        assert me(other) == {}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "of another login"}, "claim-nonce"),
        ({"exp": int(time.time()) - 600}, "expired"),
        ({"aud": "somebody else"}, "claim-aud"),
        ({"preferred_username": "Cu\0rie"}, "odd-name"),
    ],
)
def test_a_token_of_another_login_another_time_or_for_another_opens_nothing(
    lied_to: Site, liar: Liar, claims: dict[str, Any], why: str
) -> None:
    liar.claims = {**liar.claims, **claims}
    with lied_to.browser() as browser:
        refused = sign_on(browser, liar)
        assert refused.status_code == 422
        assert why not in refused.text
        assert me(browser) == {}
    assert lied_to.last_failure() == ("unknown", why)


def logout_token(liar: Liar, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": liar.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": "j", "events": EVENT, **changes}
    return liar.sign({"typ": "logout+jwt"}, claims)


def test_the_provider_s_word_ends_the_session_it_names_and_nothing_else_does(lied_to: Site, liar: Liar) -> None:
    liar.keys = [FOREIGN]
    forged = logout_token(liar, sid="provider-session")
    liar.keys = [FIRST]
    liar.metadata = {"end_session_endpoint": ""}
    with lied_to.browser() as browser, lied_to.browser() as provider:
        assert sign_on(browser, liar).status_code == 303
        refused = [{}, {"logout_token": "x"}, {"logout_token": forged}]
        # It names the person alone, by an id that is kept nowhere here: to say 200 would be a lie.
        refused.append({"logout_token": logout_token(liar, sub="s1")})
        for form in refused:
            answer = provider.post("/login/oidc/back-channel", data=form)
            assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
            assert set(answer.json()) == {"code", "error"}
        unknown = provider.post("/login/oidc/back-channel", data={"logout_token": logout_token(liar, sid="another")})
        assert unknown.status_code == 200
        assert me(browser)["name"] == "Curie"
        ended = {"logout_token": logout_token(liar, sid="provider-session")}
        assert provider.post("/login/oidc/back-channel", data=ended).status_code == 200
        assert me(browser) == {}
    assert lied_to.audited("logout")[-1].detail == "1 ended by the provider"


def test_behind_tls_cookies_are_the_host_s_alone_and_addresses_are_ours_whatever_host_is_asked_for(
    liar: Liar, files: Certificates, tmp_path: Path
) -> None:
    ours = "https://radloop.example.org"
    with site(tmp_path / "home", provider(liar.issuer, files), url=ours) as behind, behind.browser() as browser:
        assert browser.get("/login/oidc", headers={"Host": "evil.example"}).status_code == 421
        away = browser.get("/login/oidc", headers={"Host": "radloop.example.org"})
        assert dict(parse_qsl(urlsplit(away.headers["location"]).query))["redirect_uri"] == ours + BACK
        assert "max-age" in away.headers["strict-transport-security"]
        state = away.headers["set-cookie"]
        back = liar.log_in(away.headers["location"])
        answer = browser.get(BACK, params=back, headers={"Cookie": state.split(";")[0]})
        assert answer.status_code == 303
        session = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-radloop="))
        for cookie in (state, session):
            assert cookie.startswith("__Host-radloop")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
            assert "Domain" not in cookie
