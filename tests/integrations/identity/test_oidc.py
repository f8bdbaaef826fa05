"""Single sign-on, with a real provider, and with one that lies."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey

from integrations.identity.oidc import LoginRefused, Provider, Started
from integrations.identity.wire import Wire
from radloop.domain.access import Identified
from radloop.domain.errors import Unavailable
from radloop.settings import Oidc
from tests.peers.certificates import Certificates, certificates
from tests.peers.oidc import (
    CLIENT,
    SECRET,
    Liar,
    MockProvider,
    honest,
    lying_provider,
    mock_provider,
    rsa_key,
)
from tests.peers.sockets import dripping, hostile, refusing

BACK = "https://radloop.example.org/login/oidc/callback"
CURIE = Identified(name="Curie", groups=("radiologists",), provider_session="provider-session")
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
FIRST, SECOND, FOREIGN = rsa_key("first"), rsa_key("second"), rsa_key("foreign")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def mock(files: Certificates) -> Iterator[MockProvider]:
    with mock_provider(files) as running:
        yield running


@pytest.fixture
def liar(files: Certificates) -> Iterator[Liar]:
    with lying_provider(files) as running:
        running.keys = [FIRST]
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(liar: Liar, files: Certificates, clock: Clock) -> Provider:
    return Provider(settings(liar.issuer, files), clock)


def settings(issuer: str, files: Certificates, **changes: Any) -> Oidc:
    return Oidc(**{"issuer": issuer, "client_id": CLIENT, "ca": files.ca, **changes})


def log_in(provider: Provider, liar: Liar) -> Identified:
    started = provider.begin(BACK)
    return provider.finish(BACK, started, liar.log_in(started.url))


def refusal(provider: Provider, liar: Liar) -> str:
    with pytest.raises(LoginRefused) as refused:
        log_in(provider, liar)
    assert str(refused.value) == "the login was refused"
    return refused.value.why


def test_who_logs_in_at_a_real_provider_is_who_it_says(mock: MockProvider, files: Certificates, tmp_path: Path) -> None:
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET)
    mock.person("u1", preferred_username="Röntgen", groups=["readers", "board", "readers"])
    provider = Provider(settings(mock.issuer, files, client_secret_file=secret))
    started = provider.begin(BACK)
    back = mock.log_in(started.url, "u1")
    assert provider.finish(BACK, started, back) == Identified(name="Röntgen", groups=("board", "readers"))
    with pytest.raises(LoginRefused) as refused:
        provider.finish(BACK, started, back)
    assert refused.value.why == "code"


def test_who_says_no_at_a_real_provider_does_not_come_in(mock: MockProvider, files: Certificates) -> None:
    provider = Provider(settings(mock.issuer, files))
    started = provider.begin(BACK)
    with pytest.raises(LoginRefused) as refused:
        provider.finish(BACK, started, {"state": started.state, **mock.deny(started.url)})
    assert refused.value.why == "denied"


def test_a_real_provider_takes_the_address_of_logging_out(mock: MockProvider, files: Certificates) -> None:
    assert mock.page(Provider(settings(mock.issuer, files)).end_url("https://radloop.example.org/") or "") == 200


def test_a_login_asks_for_a_code_with_pkce_and_secrets_of_its_own(provider: Provider) -> None:
    first, second = provider.begin(BACK), provider.begin(BACK)
    asked = dict(parse_qsl(urlsplit(first.url).query))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(first.verifier.encode()).digest()).rstrip(b"=").decode()
    assert asked == {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "scope": "openid profile email groups",
        "state": first.state, "nonce": first.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    secrets = {first.state, first.nonce, first.verifier, second.state, second.nonce, second.verifier}
    assert len(secrets) == 6
    assert min(map(len, secrets)) == 64


def test_an_honest_provider_is_believed(provider: Provider, liar: Liar) -> None:
    assert log_in(provider, liar) == CURIE


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "of another login"}, "claim-nonce"),
        ({"nonce": None}, "claim-nonce"),
        ({"iss": "https://sso.example.org"}, "claim-iss"),
        ({"iss": None}, "claim-iss"),
        ({"aud": "another"}, "claim-aud"),
        ({"aud": []}, "claim-aud"),
        ({"aud": None}, "claim-aud"),
        ({"aud": [CLIENT, "another"]}, "claim-azp"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "claim-azp"),
        ({"azp": "another"}, "claim-azp"),
        ({"exp": int(time.time()) - 90}, "expired"),
        ({"exp": None}, "claim-exp"),
        ({"exp": "tomorrow"}, "claim-exp"),
        ({"exp": float("nan")}, "claim-exp"),
        ({"iat": int(time.time()) + 3600}, "claim-iat"),
        ({"iat": None}, "claim-iat"),
        ({"nbf": int(time.time()) + 3600}, "claim-nbf"),
        ({"sub": None}, "claim-sub"),
        ({"sub": ""}, "claim-sub"),
        ({"sub": 7}, "claim-sub"),
        ({"at_hash": "of another token"}, "claim-at_hash"),
        ({"preferred_username": 7}, "odd-name"),
        ({"preferred_username": "Cur\nie"}, "odd-name"),
        ({"preferred_username": "C" * 129}, "odd-name"),
        ({"preferred_username": ""}, "odd-name"),
        ({"groups": {"a": "b"}}, "odd-groups"),
        ({"groups": [1]}, "odd-groups"),
        ({"groups": None, "_claim_names": {"groups": "src1"}}, "groups-left-out"),
    ],
)
def test_a_claim_that_is_not_of_this_login_is_refused(
    provider: Provider, liar: Liar, claims: dict[str, Any], why: str
) -> None:
    liar.claims = claims
    assert refusal(provider, liar) == why


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another"], "azp": CLIENT},
        {"at_hash": base64.urlsafe_b64encode(hashlib.sha256(b"access").digest()[:16]).rstrip(b"=").decode()},
    ],
)
def test_what_the_standard_allows_is_believed(provider: Provider, liar: Liar, claims: dict[str, Any]) -> None:
    liar.claims = claims
    assert log_in(provider, liar) == CURIE


def test_clocks_may_differ_by_a_minute(provider: Provider, liar: Liar) -> None:
    now = int(time.time())
    liar.claims = {"exp": now - 5, "iat": now + 5, "nbf": now + 5}
    assert log_in(provider, liar) == CURIE


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none", **header}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_a_token_without_a_signature_is_refused(provider: Provider, liar: Liar) -> None:
    liar.token = unsigned
    assert refusal(provider, liar) == "algorithm"


@pytest.mark.parametrize("secret", [FIRST.as_pem(private=False), json.dumps(FIRST.as_dict(private=False)).encode()])
def test_the_public_key_is_no_secret_to_sign_with(provider: Provider, liar: Liar, secret: bytes) -> None:
    def keyed(header: dict[str, Any], claims: dict[str, Any]) -> str:
        said = unsigned({"alg": "HS256", "kid": "first"}, claims).removesuffix(".")
        made = hmac.digest(secret, said.encode(), "sha256")
        return f"{said}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"

    liar.token = keyed
    assert refusal(provider, liar) == "algorithm"


def test_another_key_of_the_same_name_is_refused(provider: Provider, liar: Liar) -> None:
    liar.token = lambda _, claims: liar.sign({"kid": "first"}, claims, FOREIGN)
    assert refusal(provider, liar) == "signature"


def test_a_key_that_the_token_brings_along_is_not_used(provider: Provider, liar: Liar) -> None:
    along = {"jwk": FOREIGN.as_dict(private=False), "jku": "https://evil.example.org/jwks"}
    liar.token = lambda _, claims: liar.sign(along, claims, FOREIGN)
    assert refusal(provider, liar) == "key"


@pytest.mark.parametrize("token", ["", "a.b.c", "a" * 300_000, 7, None])
def test_what_is_no_token_is_refused(provider: Provider, liar: Liar, token: object) -> None:
    liar.tokens = {"id_token": token}
    assert refusal(provider, liar) == "token"


def test_a_changed_claim_breaks_the_signature(provider: Provider, liar: Liar) -> None:
    def changed(header: dict[str, Any], claims: dict[str, Any]) -> str:
        head, _, signature = liar.sign({}, claims).split(".")
        body = json.dumps({**claims, "groups": ["board"]}).encode()
        return f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{signature}"

    liar.token = changed
    assert refusal(provider, liar) == "signature"


def test_a_new_key_is_asked_for_once_and_made_up_ones_are_not(provider: Provider, liar: Liar, clock: Clock) -> None:
    assert log_in(provider, liar) == CURIE
    clock.now = 60
    liar.keys = [SECOND, FIRST]
    assert log_in(provider, liar) == CURIE
    assert liar.asked.count("/jwks") == 2
    liar.token = lambda _, claims: liar.sign({}, claims, FOREIGN)
    assert [refusal(provider, liar) for _ in range(3)] == ["key"] * 3
    assert liar.asked.count("/jwks") == 2
    clock.now = 120
    assert refusal(provider, liar) == "key"
    assert liar.asked.count("/jwks") == 3


def test_a_withdrawn_key_is_believed_for_an_hour_at_most(provider: Provider, liar: Liar, clock: Clock) -> None:
    assert log_in(provider, liar) == CURIE
    liar.keys = [SECOND]
    liar.token = lambda _, claims: liar.sign({}, claims, FIRST)
    clock.now = 3601
    assert refusal(provider, liar) == "key"


def test_what_a_provider_says_of_itself_is_asked_once_an_hour(provider: Provider, liar: Liar, clock: Clock) -> None:
    for _ in range(3):
        log_in(provider, liar)
    assert liar.asked.count("/.well-known/openid-configuration") == 1
    clock.now = 3601
    log_in(provider, liar)
    assert liar.asked.count("/.well-known/openid-configuration") == 2


def test_a_code_is_good_once_and_for_the_browser_that_began(provider: Provider, liar: Liar) -> None:
    started, other = provider.begin(BACK), provider.begin(BACK)
    back = liar.log_in(started.url)
    with pytest.raises(LoginRefused) as crossed:
        provider.finish(BACK, other, back)
    assert crossed.value.why == "state"
    stolen = Started(other.url, started.state, started.nonce, other.verifier)
    with pytest.raises(LoginRefused) as swapped:
        provider.finish(BACK, stolen, liar.log_in(started.url))
    assert swapped.value.why == "code"
    assert provider.finish(BACK, started, back) == CURIE
    with pytest.raises(LoginRefused) as again:
        provider.finish(BACK, started, back)
    assert again.value.why == "code"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({}, "state"),
        ({"state": "é"}, "state"),
        ({"state": "STATE", "error": "access_denied"}, "denied"),
        ({"state": "STATE", "error": "server_error", "error_description": "<script>"}, "provider-error"),
        ({"state": "STATE"}, "no-code"),
        ({"state": "STATE", "code": "x", "iss": "https://sso.example.org"}, "issuer"),
        ({"state": "STATE", "code": "x"}, "issuer"),
    ],
)
def test_a_query_that_is_not_the_providers_is_refused(
    provider: Provider, liar: Liar, query: dict[str, str], why: str
) -> None:
    # RFC 9207: a provider that promises to say who it is must.
    liar.metadata = {"authorization_response_iss_parameter_supported": True}
    started = provider.begin(BACK)
    if "iss" not in query and why not in ("issuer", "state"):
        query = {"iss": liar.issuer, **query}
    with pytest.raises(LoginRefused) as refused:
        provider.finish(BACK, started, {k: started.state if v == "STATE" else v for k, v in query.items()})
    assert refused.value.why == why
    assert liar.forms == []


def test_groups_may_come_from_userinfo_of_the_same_person(provider: Provider, liar: Liar) -> None:
    liar.claims = {"groups": None}
    liar.userinfo = {"sub": "s1", "groups": ["board"], "preferred_username": "Mallory", "sid": "x"}
    assert log_in(provider, liar) == Identified(name="Curie", groups=("board",), provider_session="provider-session")
    assert liar.authorizations[-1] == "Bearer access"
    liar.userinfo = {"sub": "s2", "groups": ["board"]}
    assert refusal(provider, liar) == "userinfo"


def test_who_is_in_no_group_is_in_none(provider: Provider, liar: Liar) -> None:
    liar.claims, liar.userinfo = {"groups": None, "sid": None}, {"sub": "s1"}
    assert log_in(provider, liar) == Identified(name="Curie", groups=())


def test_an_address_names_nobody_until_it_is_verified(liar: Liar, files: Certificates) -> None:
    provider = Provider(settings(liar.issuer, files, name_claim="email"))
    liar.claims = {"email": "curie@example.org"}
    assert refusal(provider, liar) == "email-not-verified"
    liar.claims["email_verified"] = True
    assert log_in(provider, liar).name == "curie@example.org"


@pytest.mark.parametrize(("methods", "basic"), [(None, True), (["client_secret_post"], False)])
def test_our_secret_goes_to_the_token_endpoint_only(
    liar: Liar, files: Certificates, tmp_path: Path, methods: list[str] | None, *, basic: bool
) -> None:
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET + "\n")
    liar.metadata = {"token_endpoint_auth_methods_supported": methods}
    log_in(Provider(settings(liar.issuer, files, client_secret_file=secret)), liar)
    pair = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
    assert [one for one in liar.authorizations if one] == ([f"Basic {pair}"] if basic else [])
    assert liar.forms[0].get("client_secret") == (None if basic else SECRET)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://sso.example.org"}, "another issuer"),
        ({"issuer": "https://127.0.0.1/"}, "another issuer"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "in the clear"),
        ({"jwks_uri": "file:///etc/passwd"}, "no address"),
        ({"jwks_uri": ""}, "lacks an endpoint"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "no algorithm"),
        ({"id_token_signing_alg_values_supported": "RS256"}, "no algorithm"),
    ],
)
def test_a_provider_that_contradicts_the_settings_is_not_used(
    provider: Provider, liar: Liar, metadata: dict[str, Any], words: str
) -> None:
    liar.metadata = metadata
    with pytest.raises(Unavailable, match=words):
        provider.begin(BACK)


def test_keys_that_are_not_for_signatures_do_not_count(provider: Provider, liar: Liar) -> None:
    liar.keys = [OctKey.generate_key(256, {"kid": "first"}), RSAKey.generate_key(2048, {"kid": "x", "use": "enc"})]
    liar.token = lambda _, claims: liar.sign({"kid": "x"}, claims, FIRST)
    with pytest.raises(Unavailable, match="no key"):
        log_in(provider, liar)


@pytest.mark.parametrize(
    ("status", "tokens", "error"),
    [
        (503, {}, Unavailable),
        (401, {"error": "invalid_client"}, Unavailable),
        (400, {"error": "invalid_grant"}, LoginRefused),
        (302, {}, LoginRefused),
    ],
)
def test_a_token_endpoint_that_fails_lets_nobody_in(
    provider: Provider, liar: Liar, status: int, tokens: dict[str, Any], error: type[Exception]
) -> None:
    liar.status, liar.tokens = status, tokens
    with pytest.raises(error):
        log_in(provider, liar)


def test_a_provider_that_is_away_is_said_to_be(files: Certificates) -> None:
    with refusing() as port, pytest.raises(Unavailable, match="away"):
        Provider(settings(f"https://127.0.0.1:{port}", files)).begin(BACK)


def test_a_provider_of_another_authority_is_not_believed(liar: Liar, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="away"):
        Provider(settings(liar.issuer, certificates(tmp_path))).begin(BACK)
    assert liar.asked == []


def test_an_authority_that_cannot_be_read_is_said(liar: Liar, files: Certificates) -> None:
    with pytest.raises(Unavailable, match="ca cannot be read"):
        Provider(settings(liar.issuer, files, ca=Path("/nowhere/ca.pem"))).begin(BACK)


def test_a_provider_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch, files: Certificates) -> None:
    monkeypatch.setattr("integrations.identity.oidc.Wire", lambda ca: Wire(ca, 0.8))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with hostile(dripping(head + b" " * 100, 0.005)) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"too slow|away"):
            Provider(settings(f"http://127.0.0.1:{port}", files)).begin(BACK)
    assert time.monotonic() - begun < 4


def logout(liar: Liar, header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": liar.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": "j", "sid": "s", "events": EVENT}
    claims.update(changes)
    return liar.sign({"typ": "logout+jwt", **(header or {})}, {k: v for k, v in claims.items() if v is not None})


def test_the_provider_says_which_session_it_ended(provider: Provider, liar: Liar) -> None:
    assert provider.back_channel(logout(liar)) == "s"
    assert provider.back_channel(logout(liar, exp=None)) == "s"
    assert provider.back_channel(logout(liar, sid=None, sub="s1")) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"events": None}, "claim-events"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": "x"}}, "claim-events"),
        ({"nonce": "n"}, "claim-nonce"),
        ({"iss": "https://sso.example.org"}, "claim-iss"),
        ({"aud": "another"}, "claim-aud"),
        ({"iat": None}, "claim-iat"),
        ({"iat": int(time.time()) - 900}, "expired"),
        ({"exp": int(time.time()) - 90}, "expired"),
        ({"jti": None}, "claim-jti"),
        ({"sid": None}, "claim-sid"),
        ({"header": {"typ": "at+jwt"}}, "type"),
    ],
)
def test_a_logout_that_is_not_the_providers_ends_nothing(
    provider: Provider, liar: Liar, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(LoginRefused) as refused:
        provider.back_channel(logout(liar, **changes))
    assert refused.value.why == why


def test_an_id_token_logs_nobody_out_and_a_logout_token_nobody_in(provider: Provider, liar: Liar) -> None:
    with pytest.raises(LoginRefused):
        provider.back_channel(liar.sign({}, {**honest(liar.issuer), "jti": "j"}))
    liar.tokens = {"id_token": logout(liar, sub="s1", preferred_username="Curie")}
    assert refusal(provider, liar) == "claim-nonce"


def test_a_forged_logout_ends_nothing(provider: Provider, liar: Liar) -> None:
    liar.keys, honest_keys = [FOREIGN], liar.keys
    forged = logout(liar)
    liar.keys = honest_keys
    for token, why in ((forged, "key"), ("x", "token"), (unsigned({"typ": "logout+jwt"}, {}), "algorithm")):
        with pytest.raises(LoginRefused) as refused:
            provider.back_channel(token)
        assert refused.value.why == why


def test_logging_out_at_the_provider_comes_back_to_us(provider: Provider, liar: Liar) -> None:
    url = provider.end_url("https://radloop.example.org/", "hint") or ""
    assert url.startswith(f"{liar.issuer}/logout?realm=x&")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "realm": "x", "client_id": CLIENT, "post_logout_redirect_uri": "https://radloop.example.org/",
        "id_token_hint": "hint",
    }  # fmt: skip


def test_a_provider_without_logging_out_has_no_address_for_it(provider: Provider, liar: Liar) -> None:
    liar.metadata = {"end_session_endpoint": ""}
    assert provider.end_url("https://radloop.example.org/") is None
