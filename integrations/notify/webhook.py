"""A POST per notice, signed with a secret that both sides know (HMAC, RFC 2104, with SHA-256).

The signature is over the time and the body, so that an old message cannot be played again as a new one.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Final

import httpx

from integrations.notify.message import Message
from radloop.domain.errors import Permanent, RefusedByPeer, Unavailable
from radloop.settings import NotifySettings

SIGNATURE: Final = "X-Radloop-Signature"
TIMESTAMP: Final = "X-Radloop-Time"
ID: Final = "X-Radloop-Notice"
# RFC 9110: a server that is busy or slow may be asked again; every other refusal is meant.
LATER: Final = frozenset((408, 425, 429))
SERVER_ERROR: Final = 500


def post(settings: NotifySettings, message: Message) -> None:
    """Post a message and wait for the answer. Redirects are not followed: the secret is for one address.

    Raises:
        Unavailable: the other side is away, slow, busy or broken (5xx, 408, 425, 429).
        RefusedByPeer: any other answer than 2xx.
        Permanent: there is no webhook, or its secret cannot be read.
    """
    if settings.webhook is None:
        raise Permanent("there is no webhook")
    body = body_of(message)
    at = str(int(datetime.now(UTC).timestamp()))
    headers = {
        "Content-Type": "application/json",
        ID: message.id,
        TIMESTAMP: at,
        SIGNATURE: signature(_secret(settings), at, body),
    }
    try:
        with httpx.Client(timeout=settings.timeout_seconds, trust_env=False) as client:
            answer = client.post(settings.webhook, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise Unavailable(f"the webhook is away ({type(error).__name__})") from None
    _judge(answer.status_code)


def body_of(message: Message) -> bytes:
    """The JSON that is posted."""
    said = {"id": message.id, "subject": message.subject, "text": message.text, **message.facts}
    return json.dumps(said, sort_keys=True, ensure_ascii=False).encode()


def signature(secret: bytes, at: str, body: bytes) -> str:
    """`sha256=` and the HMAC (hex) of the time (seconds since 1970, as text), a full stop and the body."""
    return "sha256=" + hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _judge(status: int) -> None:
    if status in LATER or status >= SERVER_ERROR:
        raise Unavailable(f"the webhook says later: {status}")
    if not httpx.codes.is_success(status):
        raise RefusedByPeer(f"the webhook refused: {status}")


def _secret(settings: NotifySettings) -> bytes:
    try:
        secret = settings.webhook_secret_file.read_bytes().strip() if settings.webhook_secret_file else b""
    except OSError:
        raise Permanent("the webhook's secret cannot be read") from None
    if not secret:
        raise Permanent("the webhook's secret is empty")
    return secret
