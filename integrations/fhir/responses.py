"""What a FHIR server's response means for us (FHIR R4 section 3.1.0; RFC 9110 section 15). Data, not branches."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from radloop.domain.errors import RadloopError, RefusedByPeer, Unavailable
from radloop.domain.ids import utc_now
from radloop.domain.records import Accepted

CREATED = frozenset((200, 201, 202, 204))
"""200: a conditional create found it there already (FHIR R4 section 3.1.0.8.1)."""

# 408, 425, 429: not now. 409: a conflict with a write under way. Every 5xx is the server's own trouble.
AGAIN = frozenset((408, 409, 425, 429, *range(500, 600)))

WORDS = {
    400: "invalid resource",
    401: "not authenticated",
    403: "not authorised",
    404: "no such endpoint",
    405: "method not allowed",
    410: "gone",
    412: "more than one resource has this identifier",
    413: "too large",
    415: "media type not supported",
    422: "against the server's rules",
    429: "too many requests",
}
LONGEST_WAIT = timedelta(days=1)
SAFE_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def outcome_of(peer: str, status: int, retry_after: str, body: bytes) -> Accepted | RadloopError:
    """What a response means. `body` may be cut short, and may be anything."""
    if status in CREATED:
        return Accepted()
    words = f"peer {peer} answered {status}{_explain(status, body)}"
    if status in AGAIN:
        return Unavailable(words, read_retry_after(retry_after))
    return RefusedByPeer(words)


def read_retry_after(value: str) -> float | None:
    """Seconds to wait, of a Retry-After header in seconds or as a date (RFC 9110 section 10.2.3); at most a day."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT.total_seconds())
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - utc_now()
    return min(max(wait, timedelta()), LONGEST_WAIT).total_seconds()


def _explain(status: int, body: bytes) -> str:
    words = f": {WORDS[status]}" if status in WORDS else ": redirects are not followed" if 300 <= status < 400 else ""
    codes = tuple(dict.fromkeys(_issue_codes(body)))
    return f"{words} ({', '.join(codes)})" if codes else words


def _issue_codes(body: bytes) -> Iterator[str]:
    """The codes of an OperationOutcome. Its texts (diagnostics, details, expression) may carry the patient's data."""
    try:
        resource = json.loads(body)
    except (ValueError, RecursionError):
        return
    issues = resource.get("issue") if isinstance(resource, dict) else None
    for issue in issues[:8] if isinstance(issues, list) else []:
        code = issue.get("code") if isinstance(issue, dict) else None
        if isinstance(code, str) and SAFE_CODE.fullmatch(code):
            yield code
