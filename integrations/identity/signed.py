"""Tokens that the provider signed: ID tokens (OpenID Connect Core 1.0) and logout tokens (Back-Channel Logout 1.0)."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
    UnsupportedAlgorithmError,
)
from joserfc.jws import JWSRegistry

from integrations.identity.discovery import Discovery
from integrations.identity.refusals import LoginRefused
from integrations.identity.wire import Json

LEEWAY_SECONDS: Final = 60
# Back-Channel Logout section 2.4: two minutes at the most are advised; some providers say no `exp`.
LONGEST_LOGOUT_SECONDS: Final = 600
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYPES: Final = frozenset(("logout+jwt", "application/logout+jwt", "jwt"))
CODES: Final[tuple[tuple[type[JoseError], str], ...]] = (
    (ExpiredTokenError, "expired"),
    (BadSignatureError, "signature"),
    (UnsupportedAlgorithmError, "algorithm"),
    (InvalidKeyIdError, "key"),
)


class _Registry(JWSRegistry):
    """Room for a certificate chain in the header, which some providers send."""

    max_header_length = 16384


def id_claims(discovery: Discovery, token: str, client_id: str, nonce: str, access_token: str) -> Json:
    """The claims of an ID token that is for us, of this login, signed and of now (Core section 3.1.3.7).

    Raises:
        LoginRefused: it is not.
        Unavailable: the provider's keys cannot be asked for.
    """

    def claims() -> Json:
        read = _verified(discovery, token)
        options = {"iss": {"value": discovery.metadata().issuer}, "aud": {"value": client_id}}
        asked = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
        found = CodeIDToken(read.claims, read.header, options, asked)
        found.validate(leeway=LEEWAY_SECONDS)
        return dict(found)

    found = _refusing(claims)
    if not found.get("sub"):
        raise LoginRefused("claim-sub")
    return found


def logout_claims(discovery: Discovery, token: str, client_id: str) -> Json:
    """The claims of a logout token that is for us, signed and of now (Back-Channel Logout section 2.6).

    A `jti` seen before is not refused: what it ends has ended already.

    Raises:
        LoginRefused: it is not.
        Unavailable: the provider's keys cannot be asked for.
    """

    def claims() -> Json:
        read = _verified(discovery, token)
        if str(read.header.get("typ", "jwt")).lower() not in LOGOUT_TYPES:
            raise LoginRefused("type")
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": discovery.metadata().issuer},
            aud={"essential": True, "value": client_id},
            iat={"essential": True},
            jti={"essential": True},
        )
        registry.validate(read.claims)
        return read.claims

    found = _refusing(claims)
    _look_at_logout(found)
    return found


def _look_at_logout(claims: Json) -> None:
    events = claims.get("events")
    # An ID token in its place would have a nonce, and no event.
    if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping):
        raise LoginRefused("claim-events")
    if "nonce" in claims:
        raise LoginRefused("claim-nonce")
    issued = claims["iat"]
    if not isinstance(issued, int | float) or issued < time.time() - LONGEST_LOGOUT_SECONDS:
        raise LoginRefused("expired")
    if not (isinstance(claims.get("sid"), str) or isinstance(claims.get("sub"), str)):
        raise LoginRefused("claim-sid")


def _verified(discovery: Discovery, token: str) -> jwt.Token:
    """The token, where a key of the provider signed it; its keys are asked for once more where none has this id."""
    registry = _Registry(algorithms=discovery.metadata().algorithms, strict_check_header=False)
    try:
        return jwt.decode(token, discovery.keys(), registry=registry)
    except InvalidKeyIdError:
        return jwt.decode(token, discovery.keys(missed=True), registry=registry)


def _refusing(claims: Callable[[], Json]) -> Json:
    try:
        return claims()
    except JoseError as error:
        raise LoginRefused(_code(error)) from None
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise LoginRefused("token") from None


def _code(error: JoseError) -> str:
    known = next((code for kind, code in CODES if isinstance(error, kind)), None)
    return known or (f"claim-{error.claim}" if isinstance(error, ClaimError) else "token")
