"""Single sign-on: OpenID Connect Core 1.0 with the authorisation code and PKCE (RFC 7636), and logging out there.

begin     where the browser goes, and what must be remembered until it comes back
finish    it came back with a code: who it is
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import quote_plus, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from integrations.identity.discovery import OK, Discovery, Metadata
from integrations.identity.refusals import LoginRefused, is_usable
from integrations.identity.signed import id_claims, logout_claims
from integrations.identity.wire import Json, Wire
from radloop.domain.access import Identified
from radloop.domain.errors import Unavailable
from radloop.settings import Oidc

__all__ = ["LoginRefused", "Provider", "Started"]

# 48 random bytes are 64 characters; RFC 7636 section 4.1 asks for 43 to 128.
SECRET_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class Started:
    """A login that has gone to the provider. All but `url` stay here, bound to the browser that began it."""

    url: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class Provider:
    """The site's provider. Safe to share between threads; asks nothing before the first login.

    Args:
        settings: [login.oidc].
        clock: seconds that never run backwards, for what is kept for a while.
    """

    def __init__(self, settings: Oidc, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._wire = Wire(settings.ca)
        self._discovery = Discovery(settings.issuer, self._wire, clock)

    def begin(self, redirect_uri: str) -> Started:
        """Where to send a browser that wants in.

        Raises:
            Unavailable: the provider is away.
        """
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        url = prepare_grant_uri(
            self._discovery.metadata().authorization_endpoint,
            self._settings.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=" ".join(dict.fromkeys(("openid", *self._settings.scopes))),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return Started(url, state, nonce, verifier)

    def finish(self, redirect_uri: str, started: Started, query: Mapping[str, str]) -> Identified:
        """Who came back with this query; `redirect_uri` as it was given to `begin`.

        Raises:
            LoginRefused: what came back proves nobody.
            Unavailable: the provider is away.
        """
        metadata = self._discovery.metadata()
        code = _code(metadata, started, query)
        tokens = self._tokens(metadata, code, redirect_uri, started.verifier)
        access_token = _text(tokens, "access_token")
        claims = id_claims(
            self._discovery, _text(tokens, "id_token"), self._settings.client_id, started.nonce, access_token
        )
        return self._identified(self._with_userinfo(metadata, claims, access_token))

    def end_url(self, post_logout_redirect_uri: str, id_token_hint: str | None = None) -> str | None:
        """Where a browser logs out at the provider too (RP-Initiated Logout 1.0); None where that cannot be.

        Raises:
            Unavailable: the provider is away.
        """
        endpoint = self._discovery.metadata().end_session_endpoint
        if not endpoint:
            return None
        asked = {"client_id": self._settings.client_id, "post_logout_redirect_uri": post_logout_redirect_uri}
        if id_token_hint:
            asked["id_token_hint"] = id_token_hint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def back_channel(self, logout_token: str) -> str | None:
        """The session that the provider ended, by its `sid`; None where it names a person only.

        Raises:
            LoginRefused: the token is not the provider's, or not for us.
            Unavailable: the provider is away.
        """
        claims = logout_claims(self._discovery, logout_token, self._settings.client_id)
        return _text(claims, "sid") or None

    def _tokens(self, metadata: Metadata, code: str, redirect_uri: str, verifier: str) -> Json:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._settings.client_id,
        }
        secret = self._secret()
        headers: dict[str, str] = {}
        if secret and "client_secret_basic" in metadata.auth_methods:
            headers["Authorization"] = _basic(self._settings.client_id, secret)
        elif secret:
            form["client_secret"] = secret
        said = self._wire.post(metadata.token_endpoint, form, headers)
        if said.body.get("error") == "invalid_client":
            raise Unavailable("the sign-on provider refuses [login.oidc] client_id or its secret")
        if said.status != OK or "error" in said.body:
            raise LoginRefused("code")
        return said.body

    def _secret(self) -> str:
        if self._settings.client_secret_file is None:
            return ""
        try:
            kept = self._settings.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            kept = ""
        if not kept:
            raise Unavailable("[login.oidc] client_secret_file holds no secret that can be read")
        return kept

    def _with_userinfo(self, metadata: Metadata, claims: Json, access_token: str) -> Json:
        """The claims, with what only the userinfo endpoint says of the same person (Core section 5.3.2)."""
        wanted = (self._settings.name_claim, self._settings.groups_claim)
        lacking = [key for key in wanted if key not in claims]
        if not lacking or not metadata.userinfo_endpoint or not access_token or _overflows(claims, lacking):
            return claims
        said = self._wire.get(metadata.userinfo_endpoint, bearer=access_token)
        if said.status != OK or said.body.get("sub") != claims["sub"]:
            raise LoginRefused("userinfo")
        return {**said.body, **claims}

    def _identified(self, claims: Json) -> Identified:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not is_usable(name):
            raise LoginRefused("odd-name")
        # Whoever may write any address into their own account must not become its owner here.
        if self._settings.name_claim == "email" and claims.get("email_verified") is not True:
            raise LoginRefused("email-not-verified")
        if _overflows(claims, [self._settings.groups_claim]):
            raise LoginRefused("groups-left-out")
        return Identified(name=name, groups=self._groups(claims), provider_session=_text(claims, "sid") or None)

    def _groups(self, claims: Json) -> tuple[str, ...]:
        said = claims.get(self._settings.groups_claim, [])
        listed = [said] if isinstance(said, str) else said
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise LoginRefused("odd-groups")
        return tuple(sorted(set(listed)))


def _code(metadata: Metadata, started: Started, query: Mapping[str, str]) -> str:
    """The code of a browser that came back from where it was sent."""
    if not compare_digest(query.get("state", "").encode(), started.state.encode()):
        raise LoginRefused("state")
    # RFC 9207 section 2.4: the answer of another provider than was asked.
    if query.get("iss", "" if metadata.says_issuer else metadata.issuer) != metadata.issuer:
        raise LoginRefused("issuer")
    if "error" in query:
        raise LoginRefused("denied" if query["error"] == "access_denied" else "provider-error")
    if not query.get("code"):
        raise LoginRefused("no-code")
    return query["code"]


def _overflows(claims: Json, keys: list[str]) -> bool:
    """Whether a claim is left out for its length (Core section 5.6.2; Entra ID does so with many groups)."""
    elsewhere = claims.get("_claim_names")
    return isinstance(elsewhere, Mapping) and any(key in elsewhere for key in keys)


def _text(said: Json, key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""


def _basic(client_id: str, secret: str) -> str:
    # RFC 6749 section 2.3.1: each is form-encoded first.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
