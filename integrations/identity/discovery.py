"""What a provider says of itself (OpenID Connect Discovery 1.0), and its keys (RFC 7517), kept for a while."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from integrations.identity.wire import Json, Said, Wire
from radloop.domain.errors import Unavailable

# A key that the provider withdrew is believed no longer than this.
KEPT_SECONDS: Final = 3600.0
# Whoever makes up key ids must not make us ask the provider each time.
REST_SECONDS: Final = 10.0
# Public keys only (RFC 8725 section 3.1): HMAC would take the public key for a secret, `none` nothing for a signature.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
PUBLIC_KINDS: Final = frozenset(("RSA", "EC", "OKP"))
OK: Final = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The parts of a discovery document that a login needs; '' and () where it has none."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    algorithms: tuple[str, ...]
    auth_methods: tuple[str, ...]
    says_issuer: bool


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    at: float


class Discovery:
    """The provider of one issuer.

    Args:
        issuer: as the settings have it; the document must say exactly the same.
        wire: how it is asked.
        clock: seconds that never run backwards.
    """

    def __init__(self, issuer: str, wire: Wire, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._wire = wire
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: _Kept[Metadata] | None = None
        self._keys: _Kept[KeySet] | None = None

    def metadata(self) -> Metadata:
        """What it says of itself.

        Raises:
            Unavailable: it is away, or says something else than a provider of this issuer would.
        """
        with self._lock:
            kept = self._metadata
            if kept is None or self._clock() - kept.at > KEPT_SECONDS:
                self._metadata = kept = _Kept(self._fetch_metadata(), self._clock())
            return kept.value

    def keys(self, *, missed: bool = False) -> KeySet:
        """Its public keys; asked for again where one was `missed`, unless that was done just now.

        Raises:
            Unavailable: as `metadata`.
        """
        uri = self.metadata().jwks_uri
        with self._lock:
            kept = self._keys
            longest = REST_SECONDS if missed else KEPT_SECONDS
            if kept is None or self._clock() - kept.at > longest:
                self._keys = kept = _Kept(_key_set(_found(self._wire.get(uri))), self._clock())
            return kept.value

    def _fetch_metadata(self) -> Metadata:
        # Discovery section 4: the path is appended to the issuer without its last slash.
        said = _found(self._wire.get(self._issuer.removesuffix("/") + "/.well-known/openid-configuration"))
        # Section 4.3: exactly, or another's document would be believed.
        if said.get("issuer") != self._issuer:
            raise Unavailable("the sign-on provider names another issuer than [login.oidc] issuer")
        found = Metadata(
            issuer=self._issuer,
            authorization_endpoint=self._url(said, "authorization_endpoint"),
            token_endpoint=self._url(said, "token_endpoint"),
            jwks_uri=self._url(said, "jwks_uri"),
            userinfo_endpoint=self._url(said, "userinfo_endpoint"),
            end_session_endpoint=self._url(said, "end_session_endpoint"),
            algorithms=tuple(one for one in ALGORITHMS if one in _words(said, "id_token_signing_alg_values_supported")),
            # Section 3: client_secret_basic where it does not say.
            auth_methods=_words(said, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
            says_issuer=said.get("authorization_response_iss_parameter_supported") is True,
        )
        # joserfc takes no algorithms to mean its own choice, which has HMAC in it.
        if not (found.authorization_endpoint and found.token_endpoint and found.jwks_uri and found.algorithms):
            raise Unavailable("the sign-on provider lacks an endpoint, or signs by no algorithm that we believe")
        return found

    def _url(self, said: Json, key: str) -> str:
        value = said.get(key, "")
        if not isinstance(value, str) or (value and not value.startswith(("https://", "http://"))):
            raise Unavailable(f"the sign-on provider's {key} is no address")
        if value.startswith("http://") and self._issuer.startswith("https://"):
            raise Unavailable(f"the sign-on provider's {key} is in the clear")
        return value


def _found(said: Said) -> Json:
    if said.status != OK:
        raise Unavailable(f"the sign-on provider answers {said.status}")
    return said.body


def _words(said: Json, key: str) -> tuple[str, ...]:
    value = said.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _key_set(said: Json) -> KeySet:
    listed = said.get("keys")
    keys = [key for one in (listed if isinstance(listed, list) else ()) if (key := _public_key(one)) is not None]
    if not keys:
        raise Unavailable("the sign-on provider has no key that we can use")
    return KeySet(keys)


def _public_key(said: object) -> Key | None:
    """A key for signatures; None for any other, and for what RFC 7517 section 5 says to ignore."""
    if not isinstance(said, dict) or said.get("kty") not in PUBLIC_KINDS or said.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(said)
    except (JoseError, ValueError, TypeError):
        return None
