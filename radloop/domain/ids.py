"""Our own identifiers: surrogate ids that are safe to log, and DICOM UIDs derived from them."""

import hashlib
import secrets
from datetime import UTC, datetime

ID_BYTES = 10


def new_id(prefix: str) -> str:
    """A fresh surrogate id such as `st_9f86d081884c7d659a2f`; it carries no time and no patient data."""
    return f"{prefix}_{secrets.token_hex(ID_BYTES)}"


def derive_uid(root: str, *parts: str) -> str:
    """A DICOM UID under `root`, the same for the same parts.

    PS3.5 section 9.1: at most 64 characters, components without leading zeros. The last component is an
    integer of 128 bits taken from SHA-256 over the parts, cut to what the root leaves room for.

    Raises:
        ValueError: the root leaves fewer than 20 digits.
    """
    room = 64 - len(root) - 1
    if room < 20:
        raise ValueError("the UID root is too long: it must leave 20 digits")
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    # 128 bits, so that under 2.25 the last component is in the range of PS3.5 B.2 (a UUID as an integer).
    digits = str(int.from_bytes(digest[:16], "big"))[:room]
    return f"{root}.{digits.lstrip('0') or '0'}"


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
