"""Headers of every answer: nothing of a patient stays in a cache, and a page runs our own programs only."""

import re
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

NONCE: Final = "radloop.nonce"
NONCE_BYTES: Final = 16
YEAR: Final = 365 * 86400

ALWAYS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# CSP level 3. No inline style, no eval; pictures may be made on the page (canvas, blob:).
POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'{provider}; frame-ancestors 'none'; base-uri 'none'"
)
# The pages of MLflow and Prefect are not ours to change: they keep to this origin, and may do there what they need.
GUESTS: Final = ("/mlflow", "/prefect")
GUEST_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self' data:; connect-src {here}; worker-src 'self' blob:; "
    "form-action {here}; frame-ancestors 'self'; base-uri 'self'"
)
ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


def headers_for(scope: Scope, secure: bool) -> Mapping[str, str]:  # noqa: FBT001 - TLS or not, nothing else
    """The headers for the answer to this request; leaves its nonce in the scope, for the templates."""
    scope.setdefault("state", {})[NONCE] = nonce = secrets.token_urlsafe(NONCE_BYTES)
    guest = scope["path"].startswith(GUESTS)
    policy = guest_policy("", "") if guest else POLICY.format(nonce=nonce, provider="")
    headers = {**ALWAYS, "Content-Security-Policy": policy}
    return {**headers, "Strict-Transport-Security": f"max-age={YEAR}"} if secure else headers


def guest_policy(origin: str, prefix: str) -> str:
    """The policy of a page of theirs: it asks and sends below its own prefix only, not for our patients (CSP 6.7.2.8).

    Where our own origin is not known, within this origin.
    """
    return GUEST_POLICY.format(here=f"{origin}{prefix}/" if ORIGIN.fullmatch(origin) else "'self'")
