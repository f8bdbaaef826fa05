"""`--since`: a time span back from now, or a time."""

import re
from datetime import UTC, datetime, timedelta

from radloop.domain.errors import SettingsError

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def since(text: str, now: datetime) -> datetime:
    """`1d`, `12h`, `30m` before `now`, or an ISO 8601 time (UTC where it names no offset).

    Raises:
        SettingsError: neither.
    """
    if span := re.fullmatch(r"([0-9]{1,6})([dhm])", text.strip()):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(f"--since {text}: expected 1d, 12h or a time like 2026-05-01T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
